/* SPDX-License-Identifier: MIT */
/* JSON as values of input types: what a value becomes, and everything that is
 * wrong with one, in graphql-core's words and order. The cases are data. */
#include "graphql_fixture.h"

#include "graphql/input_value.h"

/* The arguments name the types the cases use. */
static const char schema_sdl[]
    = "type Query { a( "
      "  a: Int b: Int! c: Float d: ID e: String f: Boolean g: Kind h: JSON "
      "  i: [Int] j: [Int!] k: [[Int]] l: [[Int!]!]! m: In n: [In!] o: One p: "
      "Pair "
      "): Int } "
      "input In { req: Boolean! int: Int = 3 list: [String!]! = \"x\" self: "
      "In kind: Kind = RED float: Float id: ID any: JSON = {k: 1} matrix: "
      "[[Int]] } "
      "input One @oneOf { a: Int b: [String] c: One } "
      "input Pair { left: Pair leaf: Int } "
      "enum Kind { RED GREEN REDDISH } "
      "scalar JSON ";

typedef struct fq_input_case {
    const char *type;
    const char *value;   /* JSON */
    const char *coerced; /* NULL: refused */
    const char *errors;  /* `path: message` in lines; NULL: none */
} fq_input_case;

typedef struct fq_input_arg {
    fq_schema *schema;
    const fq_input_case *it;
} fq_input_arg;

static const fq_type *
type_of(const fq_schema *schema, const char *name)
{
    const fq_field_def *field = fq_type_field(
        schema->roots[FQ_OPERATION_QUERY], FQ_STR_LIT("a"));
    for (uint32_t i = 0; i < field->n_args; i++)
        if (fq_str_eq(field->args[i].type->name, fq_str_of(name)))
            return field->args[i].type;
    fail_msg("no argument of type %s", name);
    return NULL;
}

static bool
on_error(void *arg, fq_str message, fq_str path)
{
    fq_buf *errors = arg;
    fq_buf_append_str(errors, path);
    fq_buf_append_str(errors, FQ_STR_LIT(": "));
    fq_buf_append_str(errors, message);
    fq_buf_append_char(errors, '\n');
    return true;
}

static fq_status
body_case(void *arg)
{
    const fq_input_case *it = ((fq_input_arg *)arg)->it;
    const fq_type *type = type_of(((fq_input_arg *)arg)->schema, it->type);
    yyjson_doc *doc;
    TRY(fq_json_read(fq_str_of(it->value), FQ_JSON_STRICT, &doc, NULL));
    fq_buf json, errors;
    fq_buf_init(&json);
    fq_buf_init(&errors);
    fq_status status = fq_input_value_coerce(yyjson_doc_get_root(doc), type,
                                             &json, on_error, &errors);
    if (status == FQ_OK)
        status = fq_buf_status(&json);
    if (status == FQ_OK) {
        if (it->coerced == NULL)
            fail_msg("accepted: %s %s", it->type, it->value);
        fq_test_assert_str(fq_buf_str(&json), it->coerced);
        assert_int_equal(errors.len, 0);
    } else if (status == FQ_ERR_INVALID) {
        status = fq_buf_status(&errors);
        if (it->errors == NULL)
            fail_msg("refused: %s %s", it->type, it->value);
        if (status == FQ_OK)
            fq_test_assert_str(fq_buf_str(&errors), it->errors);
    }
    fq_buf_fini(&json);
    fq_buf_fini(&errors);
    fq_json_free(doc);
    return status;
}

static void
run(const fq_input_case *cases, size_t n_cases)
{
    fq_schema *schema = build_schema(schema_sdl);
    for (size_t i = 0; i < n_cases; i++) {
        fq_input_arg arg = {schema, &cases[i]};
        fq_test_body(body_case, &arg);
    }
    fq_schema_unref(schema);
}

#define RUN(cases) run((cases), sizeof(cases) / sizeof((cases)[0]))

static void
test_input_value_coerces_leaves(void **state)
{
    (void)state;
    static const fq_input_case cases[] = {
        {"Int", "3.0", "3", NULL},
        {"Int", "-5", "-5", NULL},
        {"Int", "null", "null", NULL},
        {"Int", "\"3\"", NULL,
         ": Int cannot represent non-integer value: '3'\n"},
        {"Int", "2147483648", NULL,
         ": Int cannot represent non 32-bit signed integer value: "
         "2147483648\n"},
        {"Int!", "null", NULL,
         ": Expected value of non-null type 'Int!' not to be None.\n"},
        {"Float", "1", "1.0", NULL},
        {"Float", "1.5", "1.5", NULL},
        {"Float", "9007199254740993", NULL,
         ": Float cannot represent non numeric value: 9007199254740993 (value "
         "would lose precision)\n"},
        {"Float", "\"1\"", NULL,
         ": Float cannot represent non numeric value: '1'\n"},
        {"ID", "5", "\"5\"", NULL},
        {"ID", "\"x\"", "\"x\"", NULL},
        {"ID", "true", NULL, ": ID cannot represent value: True\n"},
        {"String", "\"a\\\"b\"", "\"a\\\"b\"", NULL},
        {"String", "1", NULL,
         ": String cannot represent a non string value: 1\n"},
        {"Boolean", "false", "false", NULL},
        {"Boolean", "0", NULL,
         ": Boolean cannot represent a non boolean value: 0\n"},
        {"Kind", "\"RED\"", "\"RED\"", NULL},
        {"Kind", "\"RE\"", NULL,
         ": Value 'RE' does not exist in 'Kind' enum. Did you mean the enum "
         "value 'RED'?\n"},
        {"Kind", "\"PINK\"", NULL,
         ": Value 'PINK' does not exist in 'Kind' enum.\n"},
        {"Kind", "5", NULL,
         ": Enum 'Kind' cannot represent non-string value: 5.\n"},
        {"Kind", "[\"RED\"]", NULL,
         ": Enum 'Kind' cannot represent non-string value: ['RED'].\n"},
        {"JSON", "[1,{\"z\":null,\"a\":1180591620717411303424}]",
         "[1,{\"z\":null,\"a\":1180591620717411303424}]", NULL},
    };
    RUN(cases);
}

static void
test_input_value_coerces_lists(void **state)
{
    (void)state;
    static const fq_input_case cases[] = {
        {"[Int]", "1", "[1]", NULL},
        {"[Int]", "null", "null", NULL},
        {"[Int]", "[]", "[]", NULL},
        {"[Int]", "[1,null,3.0]", "[1,null,3]", NULL},
        {"[Int]", "[\"x\",1,2.5]", NULL,
         "[0]: Int cannot represent non-integer value: 'x'\n"
         "[2]: Int cannot represent non-integer value: 2.5\n"},
        {"[Int]", "{\"a\":1}", NULL,
         ": Int cannot represent non-integer value: {'a': 1}\n"},
        {"[Int!]", "[1,null]", NULL,
         "[1]: Expected value of non-null type 'Int!' not to be None.\n"},
        {"[Int!]", "null", "null", NULL},
        {"[[Int]]", "5", "[[5]]", NULL},
        {"[[Int]]", "[5,[6,null]]", "[[5],[6,null]]", NULL},
        {"[[Int]]", "[[\"x\"]]", NULL,
         "[0][0]: Int cannot represent non-integer value: 'x'\n"},
        {"[[Int!]!]!", "null", NULL,
         ": Expected value of non-null type '[[Int!]!]!' not to be None.\n"},
        {"[[Int!]!]!", "[null,[null]]", NULL,
         "[0]: Expected value of non-null type '[Int!]!' not to be None.\n"
         "[1][0]: Expected value of non-null type 'Int!' not to be None.\n"},
    };
    RUN(cases);
}

static void
test_input_value_coerces_objects(void **state)
{
    (void)state;
    static const fq_input_case cases[] = {
        {"In", "{\"req\":true}",
         "{\"req\":true,\"int\":3,\"list\":[\"x\"],\"kind\":\"RED\",\"any\":{"
         "\"k\":1}}",
         NULL},
        {"In",
         "{\"any\":[1],\"req\":false,\"int\":null,\"list\":\"one\",\"float\":"
         "3,\"id\":7,\"matrix\":[1,[2]],\"kind\":\"GREEN\",\"self\":{\"req\":"
         "true,\"list\":[]}}",
         "{\"req\":false,\"int\":null,\"list\":[\"one\"],\"self\":{\"req\":"
         "true,\"int\":3,\"list\":[],\"kind\":\"RED\",\"any\":{\"k\":1}},"
         "\"kind\":\"GREEN\",\"float\":3.0,\"id\":\"7\",\"any\":[1],"
         "\"matrix\":[[1],[2]]}",
         NULL},
        {"In", "{}", NULL,
         ": Expected value of type 'In' to include required field 'req', "
         "found: {}.\n"},
        {"In", "{\"req\":null}", NULL,
         ".req: Expected value of non-null type 'Boolean!' not to be None.\n"},
        {"In", "{\"int\":1,\"req\":\"x\",\"list\":null,\"kind\":\"RED \"}",
         NULL,
         ".req: Boolean cannot represent a non boolean value: 'x'\n"
         ".list: Expected value of non-null type '[String!]!' not to be "
         "None.\n"
         ".kind: Value 'RED ' does not exist in 'Kind' enum. Did you mean the "
         "enum value 'RED'?\n"},
        {"In", "{\"req\":true,\"self\":{\"self\":{\"int\":\"x\"}}}", NULL,
         ".self: Expected value of type 'In' to include required field 'req', "
         "found: {'self': {'int': 'x'}}.\n"
         ".self.self: Expected value of type 'In' to include required field "
         "'req', found: {'int': 'x'}.\n"
         ".self.self.int: Int cannot represent non-integer value: 'x'\n"},
        {"In", "{\"req\":true,\"Int\":1,\"zz\":2}", NULL,
         ": Expected value of type 'In' not to include unknown field 'Int'. "
         "Did you mean 'int', 'any', 'id', 'kind', or 'list'? Found: {'req': "
         "True, 'Int': 1, 'zz': 2}.\n"
         ": Expected value of type 'In' not to include unknown field 'zz', "
         "found: {'req': True, 'Int': 1, 'zz': 2}.\n"},
        {"In", "[{\"req\":true}]", NULL,
         ": Expected value of type 'In' to be an object, found: [{'req': "
         "True}].\n"},
        {"In", "\"x\"", NULL,
         ": Expected value of type 'In' to be an object, found: 'x'.\n"},
        {"In", "5", NULL,
         ": Expected value of type 'In' to be an object, found: 5.\n"},
        {"[In!]", "{\"req\":true}",
         "[{\"req\":true,\"int\":3,\"list\":[\"x\"],\"kind\":\"RED\",\"any\":{"
         "\"k\":1}}]",
         NULL},
        {"[In!]", "[{\"req\":true},{\"req\":1},null]", NULL,
         "[1].req: Boolean cannot represent a non boolean value: 1\n"
         "[2]: Expected value of non-null type 'In!' not to be None.\n"},
    };
    RUN(cases);
}

static void
test_input_value_coerces_one_of(void **state)
{
    (void)state;
    static const fq_input_case cases[] = {
        {"One", "{\"a\":1}", "{\"a\":1}", NULL},
        {"One", "{\"b\":\"x\"}", "{\"b\":[\"x\"]}", NULL},
        {"One", "{\"c\":{\"a\":2}}", "{\"c\":{\"a\":2}}", NULL},
        {"One", "{}", NULL,
         ": Within OneOf Input Object type 'One', exactly one field must be "
         "specified, and the value for that field must be non-null.\n"},
        {"One", "{\"a\":null}", NULL,
         ".a: Within OneOf Input Object type 'One', exactly one field must be "
         "specified, and the value for that field must be non-null.\n"},
        {"One", "{\"a\":1,\"b\":null}", NULL,
         ": Within OneOf Input Object type 'One', exactly one field must be "
         "specified, and the value for that field must be non-null.\n"},
        {"One", "{\"b\":null,\"a\":1}", NULL,
         ": Within OneOf Input Object type 'One', exactly one field must be "
         "specified, and the value for that field must be non-null.\n"
         ".b: Within OneOf Input Object type 'One', exactly one field must be "
         "specified, and the value for that field must be non-null.\n"},
        {"One", "{\"d\":1}", NULL,
         ": Expected value of type 'One' not to include unknown field 'd'. "
         "Did you mean 'a', 'b', or 'c'? Found: {'d': 1}.\n"
         ": Within OneOf Input Object type 'One', exactly one field must be "
         "specified, and the value for that field must be non-null.\n"},
        {"One", "{\"a\":1,\"d\":1}", NULL,
         ": Expected value of type 'One' not to include unknown field 'd'. "
         "Did you mean 'a', 'b', or 'c'? Found: {'a': 1, 'd': 1}.\n"},
        {"One", "{\"c\":{}}", NULL,
         ".c: Within OneOf Input Object type 'One', exactly one field must be "
         "specified, and the value for that field must be non-null.\n"},
        {"One", "{\"a\":\"x\"}", NULL,
         ".a: Int cannot represent non-integer value: 'x'\n"},
    };
    RUN(cases);
}

/* 200 levels are taken, one more is too much. */
static void
test_input_value_bounds_nesting(void **state)
{
    (void)state;
    fq_schema *schema = build_schema(schema_sdl);
    for (int n = 199; n <= 201; n++) {
        fq_buf text, json, errors;
        fq_buf_init(&text);
        fq_buf_init(&json);
        fq_buf_init(&errors);
        for (int i = 0; i < n; i++)
            fq_buf_append_str(&text, FQ_STR_LIT("{\"left\":"));
        fq_buf_append_str(&text, FQ_STR_LIT("null"));
        for (int i = 0; i < n; i++)
            fq_buf_append_char(&text, '}');
        fq_buf_append_char(&text, '\0');
        text.len--;
        yyjson_doc *doc;
        assert_int_equal(
            fq_json_read(fq_buf_str(&text), FQ_JSON_STRICT, &doc, NULL),
            FQ_OK);
        yyjson_val *value = yyjson_doc_get_root(doc);
        const fq_type *type = type_of(schema, "Pair");
        assert_int_equal(fq_input_value_is_too_deep(value, type), n > 200);
        assert_int_equal(
            fq_input_value_coerce(value, type, &json, on_error, &errors),
            FQ_OK);
        fq_test_assert_str(fq_buf_str(&json), text.ptr);
        fq_json_free(doc);
        fq_buf_fini(&text);
        fq_buf_fini(&json);
        fq_buf_fini(&errors);
    }
    fq_schema_unref(schema);
}

static bool
on_first_error(void *arg, fq_str message, fq_str path)
{
    (void)message;
    (void)path;
    ++*(size_t *)arg;
    return false;
}

/* A megabyte of members nobody knows, or of items nobody wants, ends with the
 * first of them. */
static void
test_input_value_stops_when_told(void **state)
{
    (void)state;
    fq_schema *schema = build_schema(schema_sdl);
    static const struct {
        const char *type, *head, *item, *tail;
    } cases[] = {
        {"In", "{\"req\":true", ",\"u%d\":1", "}"},
        {"[Int]", "[0", ",\"x\"", "]"},
        {"[In!]", "[null", ",{}", "]"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fq_buf text, json;
        fq_buf_init(&json);
        assert_int_equal(
            repeat(&text, cases[i].head, cases[i].item, 100000, cases[i].tail),
            FQ_OK);
        yyjson_doc *doc;
        assert_int_equal(
            fq_json_read(fq_buf_str(&text), FQ_JSON_STRICT, &doc, NULL),
            FQ_OK);
        size_t n_errors = 0;
        assert_int_equal(fq_input_value_coerce(yyjson_doc_get_root(doc),
                                               type_of(schema, cases[i].type),
                                               &json, on_first_error,
                                               &n_errors),
                         FQ_ERR_INVALID);
        assert_int_equal(n_errors, 1);
        fq_json_free(doc);
        fq_buf_fini(&text);
        fq_buf_fini(&json);
    }
    fq_schema_unref(schema);
}

/* Objects that stand for more than they say come to an end. */
static void
test_input_value_bounds_fields(void **state)
{
    (void)state;
    fq_schema *schema = build_schema(schema_sdl);
    fq_buf text, json, errors;
    fq_buf_init(&json);
    fq_buf_init(&errors);
    assert_int_equal(repeat(&text, "[{\"req\":true}", ",{\"req\":true}",
                            FQ_INPUT_FIELDS_MAX / 9 + 1, "]"),
                     FQ_OK);
    yyjson_doc *doc;
    assert_int_equal(
        fq_json_read(fq_buf_str(&text), FQ_JSON_STRICT, &doc, NULL), FQ_OK);
    const fq_type *type = type_of(schema, "[In!]");
    yyjson_val *value = yyjson_doc_get_root(doc);
    assert_int_equal(
        fq_input_value_coerce(value, type, &json, on_error, &errors),
        FQ_ERR_LIMIT);
    /* A full buffer is another end. */
    fq_buf_clear(&json);
    json.max = 1000;
    assert_int_equal(
        fq_input_value_coerce(value, type, &json, on_error, &errors), FQ_OK);
    assert_int_equal(fq_buf_status(&json), FQ_ERR_LIMIT);
    assert_int_equal(errors.len, 0);
    fq_json_free(doc);
    fq_buf_fini(&text);
    fq_buf_fini(&json);
    fq_buf_fini(&errors);
    fq_schema_unref(schema);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_input_value_coerces_leaves),
        FQ_TEST(test_input_value_coerces_lists),
        FQ_TEST(test_input_value_coerces_objects),
        FQ_TEST(test_input_value_coerces_one_of),
        FQ_TEST(test_input_value_bounds_nesting),
        FQ_TEST(test_input_value_bounds_fields),
        FQ_TEST(test_input_value_stops_when_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
