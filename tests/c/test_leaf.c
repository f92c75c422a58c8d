/* SPDX-License-Identifier: MIT */
/* What scalars and enums show of a value, and how they refuse one; both are
 * graphql-core's. The cases are data. */
#include "graphql_fixture.h"

#include "graphql/leaf.h"

static const char schema_sdl[]
    = "type Query { a: Int b: Float c: ID d: E } enum E { RED GREEN REDDISH }";

typedef struct fq_leaf_case {
    const char *type;
    const char *value;   /* JSON */
    const char *shown;   /* NULL: refused */
    const char *refusal; /* NULL: not */
} fq_leaf_case;

typedef struct fq_leaf_arg {
    fq_schema *schema;
    const fq_leaf_case *it;
} fq_leaf_arg;

static fq_status
body_case(void *arg)
{
    const fq_leaf_case *it = ((fq_leaf_arg *)arg)->it;
    const fq_type *type = fq_schema_type(((fq_leaf_arg *)arg)->schema,
                                         fq_str_of(it->type));
    yyjson_doc *doc;
    TRY(fq_json_read(fq_str_of(it->value), FQ_JSON_STRICT, &doc, NULL));
    fq_buf buf;
    fq_buf_init(&buf);
    bool is_shown = fq_leaf_write(type, yyjson_doc_get_root(doc), &buf);
    if (fq_buf_status(&buf) == FQ_OK) {
        if (is_shown != (it->shown != NULL))
            fail_msg("%s %s: %d", it->type, it->value, is_shown);
        assert_true(is_shown || buf.len == 0);
        if (!is_shown)
            fq_leaf_write_refusal(type, yyjson_doc_get_root(doc), &buf);
    }
    fq_status status = fq_buf_status(&buf);
    if (status == FQ_OK)
        fq_test_assert_str(fq_buf_str(&buf),
                           is_shown ? it->shown : it->refusal);
    fq_buf_fini(&buf);
    fq_json_free(doc);
    return status;
}

static void
run(const fq_leaf_case *cases, size_t n_cases)
{
    fq_schema *schema = build_schema(schema_sdl);
    for (size_t i = 0; i < n_cases; i++) {
        fq_leaf_arg arg = {schema, &cases[i]};
        fq_test_body(body_case, &arg);
    }
    fq_schema_unref(schema);
}

#define RUN(cases) run((cases), sizeof(cases) / sizeof((cases)[0]))

static void
test_leaf_shows_int(void **state)
{
    (void)state;
    static const fq_leaf_case cases[] = {
        {"Int", "0", "0", NULL},
        {"Int", "-5", "-5", NULL},
        {"Int", "2147483647", "2147483647", NULL},
        {"Int", "-2147483648", "-2147483648", NULL},
        {"Int", "2147483648", NULL,
         "Int cannot represent non 32-bit signed integer value: 2147483648"},
        {"Int", "-2147483649", NULL,
         "Int cannot represent non 32-bit signed integer value: -2147483649"},
        {"Int", "18446744073709551616", NULL,
         "Int cannot represent non 32-bit signed integer value: "
         "18446744073709551616"},
        {"Int", "1180591620717411303424", NULL,
         "Int cannot represent non 32-bit signed integer value: "
         "1180591620717411303424"},
        {"Int", "3.0", "3", NULL},
        {"Int", "-0.0", "0", NULL},
        {"Int", "2.5", NULL, "Int cannot represent non-integer value: 2.5"},
        {"Int", "2147483648.0", NULL,
         "Int cannot represent non 32-bit signed integer value: 2147483648.0"},
        {"Int", "1e400", NULL, "Int cannot represent non-integer value: inf"},
        {"Int", "true", "1", NULL},
        {"Int", "false", "0", NULL},
        {"Int", "\"12\"", "12", NULL},
        {"Int", "\" +1_2 \"", "12", NULL},
        {"Int", "\"-2147483648\"", "-2147483648", NULL},
        {"Int", "\"2147483648\"", NULL,
         "Int cannot represent non 32-bit signed integer value: '2147483648'"},
        {"Int", "\"99999999999999999999\"", NULL,
         "Int cannot represent non 32-bit signed integer value: "
         "'99999999999999999999'"},
        {"Int", "\"\"", NULL, "Int cannot represent non-integer value: ''"},
        {"Int", "\"1__0\"", NULL,
         "Int cannot represent non-integer value: '1__0'"},
        {"Int", "\"_1\"", NULL,
         "Int cannot represent non-integer value: '_1'"},
        {"Int", "\"1_\"", NULL,
         "Int cannot represent non-integer value: '1_'"},
        {"Int", "\"1.0\"", NULL,
         "Int cannot represent non-integer value: '1.0'"},
        {"Int", "\"x\"", NULL, "Int cannot represent non-integer value: 'x'"},
        {"Int", "[1]", NULL, "Int cannot represent non-integer value: [1]"},
        {"Int", "{\"a\":1}", NULL,
         "Int cannot represent non-integer value: {'a': 1}"},
    };
    RUN(cases);
}

static void
test_leaf_shows_float(void **state)
{
    (void)state;
    static const fq_leaf_case cases[] = {
        {"Float", "0.5", "0.5", NULL},
        {"Float", "-1.25", "-1.25", NULL},
        {"Float", "3", "3.0", NULL},
        {"Float", "9007199254740992", "9007199254740992.0", NULL},
        {"Float", "9007199254740993", NULL,
         "Float cannot represent non numeric value: 9007199254740993 (value "
         "would lose precision)"},
        {"Float", "18446744073709551617", NULL,
         "Float cannot represent non numeric value: 18446744073709551617 "
         "(value would lose precision)"},
        {"Float", "1e400", NULL,
         "Float cannot represent non numeric value: inf"},
        {"Float", "true", "1", NULL},
        {"Float", "\"1.5\"", "1.5", NULL},
        {"Float", "\" -1_0.2_5e1 \"", "-102.5", NULL},
        {"Float", "\".5\"", "0.5", NULL},
        {"Float", "\"5.\"", "5.0", NULL},
        {"Float", "\"007.5\"", "7.5", NULL},
        {"Float", "\"1e400\"", NULL,
         "Float cannot represent non numeric value: '1e400'"},
        {"Float", "\"inf\"", NULL,
         "Float cannot represent non numeric value: 'inf'"},
        {"Float", "\"nan\"", NULL,
         "Float cannot represent non numeric value: 'nan'"},
        {"Float", "\"1._5\"", NULL,
         "Float cannot represent non numeric value: '1._5'"},
        {"Float", "\"e5\"", NULL,
         "Float cannot represent non numeric value: 'e5'"},
        {"Float", "\"\"", NULL,
         "Float cannot represent non numeric value: ''"},
        {"Float", "\"x\"", NULL,
         "Float cannot represent non numeric value: 'x'"},
        {"Float", "[]", NULL, "Float cannot represent non numeric value: []"},
    };
    RUN(cases);
}

static void
test_leaf_shows_string(void **state)
{
    (void)state;
    static const fq_leaf_case cases[] = {
        {"String", "\"a\\\"b\"", "\"a\\\"b\"", NULL},
        {"String", "true", "\"true\"", NULL},
        {"String", "false", "\"false\"", NULL},
        {"String", "5", "\"5\"", NULL},
        {"String", "-5", "\"-5\"", NULL},
        {"String", "1180591620717411303424", "\"1180591620717411303424\"",
         NULL},
        {"String", "1.5", "\"1.5\"", NULL},
        {"String", "100.0", "\"100.0\"", NULL},
        {"String", "1e+21", "\"1e+21\"", NULL},
        {"String", "1e-07", "\"1e-07\"", NULL},
        {"String", "1.2345678901234568e+17", "\"1.2345678901234568e+17\"",
         NULL},
        {"String", "1e400", NULL, "String cannot represent value: inf"},
        {"String", "[1]", NULL, "String cannot represent value: [1]"},
        {"String", "{}", NULL, "String cannot represent value: {}"},
    };
    RUN(cases);
}

static void
test_leaf_shows_boolean(void **state)
{
    (void)state;
    static const fq_leaf_case cases[] = {
        {"Boolean", "true", "true", NULL},
        {"Boolean", "false", "false", NULL},
        {"Boolean", "0", "false", NULL},
        {"Boolean", "1", "true", NULL},
        {"Boolean", "2.5", "true", NULL},
        {"Boolean", "-0.0", "false", NULL},
        {"Boolean", "1180591620717411303424", "true", NULL},
        {"Boolean", "1e400", NULL,
         "Boolean cannot represent a non boolean value: inf"},
        {"Boolean", "\"true\"", NULL,
         "Boolean cannot represent a non boolean value: 'true'"},
        {"Boolean", "[]", NULL,
         "Boolean cannot represent a non boolean value: []"},
    };
    RUN(cases);
}

static void
test_leaf_shows_id(void **state)
{
    (void)state;
    static const fq_leaf_case cases[] = {
        {"ID", "\"x\"", "\"x\"", NULL},
        {"ID", "5", "\"5\"", NULL},
        {"ID", "-5", "\"-5\"", NULL},
        {"ID", "1180591620717411303424", "\"1180591620717411303424\"", NULL},
        {"ID", "3.0", "\"3\"", NULL},
        {"ID", "-0.0", "\"0\"", NULL},
        {"ID", "1e+21", "\"1000000000000000000000\"", NULL},
        {"ID", "2.5", NULL, "ID cannot represent value: 2.5"},
        {"ID", "1e400", NULL, "ID cannot represent value: inf"},
        {"ID", "true", NULL, "ID cannot represent value: True"},
        {"ID", "[]", NULL, "ID cannot represent value: []"},
        {"ID", "{}", NULL, "ID cannot represent value: {}"},
    };
    RUN(cases);
}

static void
test_leaf_shows_enums(void **state)
{
    (void)state;
    static const fq_leaf_case cases[] = {
        {"E", "\"RED\"", "\"RED\"", NULL},
        {"E", "\"REDDISH\"", "\"REDDISH\"", NULL},
        {"E", "\"red\"", NULL, "Enum 'E' cannot represent value: 'red'"},
        {"E", "\"PINK\"", NULL, "Enum 'E' cannot represent value: 'PINK'"},
        {"E", "5", NULL, "Enum 'E' cannot represent value: 5"},
        {"E", "true", NULL, "Enum 'E' cannot represent value: True"},
        {"E", "[\"RED\"]", NULL, "Enum 'E' cannot represent value: ['RED']"},
        {"E", "{}", NULL, "Enum 'E' cannot represent value: {}"},
    };
    RUN(cases);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_leaf_shows_int),    FQ_TEST(test_leaf_shows_float),
        FQ_TEST(test_leaf_shows_string), FQ_TEST(test_leaf_shows_boolean),
        FQ_TEST(test_leaf_shows_id),     FQ_TEST(test_leaf_shows_enums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
