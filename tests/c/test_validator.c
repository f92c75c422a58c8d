/* SPDX-License-Identifier: MIT */
/* Validation without a schema. The cases are data: a document and what
 * graphql-core 3.3.2 says about it, with a schema that knows none of its
 * fields: one line per error, its message and its places. Hostile documents
 * end with an error in bounded time. */
#include "graphql_fixture.h"

#include <time.h>

#include "graphql/parser.h"
#include "graphql/validator.h"

typedef struct fq_validator_case {
    const char *document;
    const char *errors; /* NULL: valid */
} fq_validator_case;

/* `message line:column line:column`, a line per error. */
static void
write_errors(const fq_gql_errors *errors, fq_buf *buf)
{
    for (const fq_gql_error *it = errors->head; it != NULL; it = it->next) {
        if (it != errors->head)
            fq_buf_append_char(buf, '\n');
        fq_buf_append_str(buf, it->message);
        for (size_t i = 0; i < it->n_locations; i++)
            fq_buf_append_format(buf, " %u:%u",
                                 (unsigned)it->locations[i].line,
                                 (unsigned)it->locations[i].column);
    }
}

/* Documents beyond the memory they would get; what else bounds them is
 * tested. */
static const fq_document_limits unbounded = {.max_memory = SIZE_MAX};

static fq_status
validate(fq_str text, fq_gql_errors *errors)
{
    fq_document document;
    fq_status status = fq_parse(text, &unbounded, &document, errors);
    if (status == FQ_OK)
        status = fq_document_link(&document, errors);
    if (status == FQ_OK)
        status = fq_validate(&document, NULL, FQ_RULES_ALL, errors);
    fq_document_fini(&document);
    return status;
}

static fq_status
body_case(void *arg)
{
    const fq_validator_case *it = arg;
    fq_gql_errors errors;
    fq_buf buf;
    fq_gql_errors_init(&errors);
    fq_buf_init(&buf);
    fq_status status = validate(fq_str_of(it->document), &errors);
    if (status == FQ_OK && it->errors != NULL)
        fail_msg("valid: %s", it->document);
    if (status == FQ_ERR_INVALID) {
        write_errors(&errors, &buf);
        status = fq_buf_status(&buf);
        if (status == FQ_OK)
            fq_test_assert_str(fq_buf_str(&buf),
                               it->errors != NULL ? it->errors : "");
    }
    fq_buf_fini(&buf);
    fq_gql_errors_fini(&errors);
    return status;
}

/* clang-format off */
static const fq_validator_case reference_cases[] = {
    {"{a}",
     NULL},
    {"query A{a} query B{a}",
     NULL},
    {"query A{a} query A{b} mutation A{c}",
     "There can be only one operation named 'A'. 1:7 1:18\n"
     "There can be only one operation named 'A'. 1:7 1:32"
    },
    {"{a} query B{a}",
     "This anonymous operation must be the only defined operation. 1:1"
    },
    {"query($a:Int){a(b:$a)}",
     NULL},
    {"subscription{a b c:b}",
     "Anonymous Subscription must select only one top level "
     "field. 1:16 1:18"
    },
    {"subscription S{...F b} fragment F on T{a ...on T{c}}",
     "Subscription 'S' must select only one top level field. 1:50 1:21"
    },
    {"subscription{a a a{b}}",
     NULL},
    {"subscription{__typename}",
     "Anonymous Subscription must not select an introspection top "
     "level field. 1:14"
    },
    {"subscription S{a:__typename b}",
     "Subscription 'S' must select only one top level field. 1:29\n"
     "Subscription 'S' must not select an introspection top level "
     "field. 1:16"
    },
    {"subscription{a@skip(if:true)}",
     "Anonymous Subscription must not use `@skip` or `@include` "
     "directives in the top level selection. 1:15"
    },
    {"subscription S($x:Boolean!){...F ...@include(if:$x){b}} fragment F on T{c@skip(if:false)@include(if:true)}",
     "Subscription 'S' must not use `@skip` or `@include` "
     "directives in the top level selection. 1:74 1:37"
    },
    {"fragment F on T{a} fragment F on T{b} {...F}",
     "There can be only one fragment named 'F'. 1:10 1:29"
    },
    {"{...A ...B}",
     "Unknown fragment 'A'. 1:5\n"
     "Unknown fragment 'B'. 1:10"
    },
    {"fragment U on T{...V} fragment V on T{a} {a}",
     "Fragment 'U' is never used. 1:1\n"
     "Fragment 'V' is never used. 1:23"
    },
    {"{...A} fragment A on T{...A}",
     "Cannot spread fragment 'A' within itself. 1:24"
    },
    {"{...A} fragment A on T{...B} fragment B on T{b{...C}} fragment C on T{...A ...B}",
     "Cannot spread fragment 'A' within itself via 'B', 'C'. 1:24 "
     "1:48 1:71\n"
     "Cannot spread fragment 'B' within itself via 'C'. 1:48 1:76"
    },
    {"query($a:Int $b:Int $a:Int $b:Int $a:Int){x(a:$a b:$b)}",
     "There can be only one variable named '$a'. 1:8 1:22 1:36\n"
     "There can be only one variable named '$b'. 1:15 1:29"
    },
    {"query Q{a(b:$x)...F} fragment F on T{c(d:[{e:$y}])}",
     "Variable '$x' is not defined by operation 'Q'. 1:13 1:1\n"
     "Variable '$y' is not defined by operation 'Q'. 1:46 1:1"
    },
    {"{a(b:$x)}",
     "Variable '$x' is not defined. 1:6 1:1"
    },
    {"query Q($a:Int $b:Int){a(b:$b)...F} query R($a:Int){b} fragment F on T{c}",
     "Variable '$a' is never used in operation 'Q'. 1:9\n"
     "Variable '$a' is never used in operation 'R'. 1:45"
    },
    {"query@skip(if:true){a@foo@deprecated} fragment F on T@include(if:false){b} {...F@x}",
     "This anonymous operation must be the only defined operation. 1:1\n"
     "Directive '@skip' may not be used on query. 1:6\n"
     "Unknown directive '@foo'. 1:22\n"
     "Directive '@deprecated' may not be used on field. 1:26\n"
     "Directive '@include' may not be used on fragment "
     "definition. 1:54\n"
     "This anonymous operation must be the only defined "
     "operation. 1:76\n"
     "Unknown directive '@x'. 1:81"
    },
    {"query($a:Int@skip(if:true)){b(c:$a)...on T@oneOf{d}}",
     "Directive '@skip' may not be used on variable definition. 1:13\n"
     "Directive '@oneOf' may not be used on inline fragment. 1:43"
    },
    {"{a@skip(if:true)@skip(if:false)@x@x ...@include(if:true)@include(if:true){b}}",
     "The directive '@skip' can only be used once at this "
     "location. 1:3 1:17\n"
     "Unknown directive '@x'. 1:32\n"
     "Unknown directive '@x'. 1:34\n"
     "The directive '@include' can only be used once at this "
     "location. 1:40 1:57"
    },
    {"{a@skip(iff:true)@include(if:true xyz:1)}",
     "Unknown argument 'iff' on directive '@skip'. Did you mean "
     "'if'? 1:9\n"
     "Argument '@skip(if:)' of type 'Boolean!' is required, but "
     "it was not provided. 1:3\n"
     "Unknown argument 'xyz' on directive '@include'. 1:35"
    },
    {"{a@skip}",
     "Argument '@skip(if:)' of type 'Boolean!' is required, but "
     "it was not provided. 1:3"
    },
    {"{a@include(if:\"true\") b@skip(if:null)c@skip(if:[true])}",
     "Boolean cannot represent a non boolean value: \"true\" 1:15\n"
     "Expected value of non-null type 'Boolean!' not to be None. 1:33\n"
     "Boolean cannot represent a non boolean value: [true]"
    },
    {"{a(b:1 c:2 b:3 c:4 b:5)@skip(if:true if:false)}",
     "There can be only one argument named 'b'. 1:4 1:12 1:20\n"
     "There can be only one argument named 'c'. 1:8 1:16\n"
     "There can be only one argument named 'if'. 1:30 1:38"
    },
    {"{a(b:{c:1 d:{c:1 c:2} c:3})}",
     "There can be only one input field named 'c'. 1:14 1:18\n"
     "There can be only one input field named 'c'. 1:7 1:23"
    },
    {"query($a:Int=\"x\" $b:[Int!]=[1 null \"y\"] $c:ID=1.5 $d:String!=null $e:Float=1 $f:Foo=1 $g:Int=3000000000){x(a:$a b:$b c:$c d:$d e:$e f:$f g:$g)}",
     "Int cannot represent non-integer value: \"x\" 1:14\n"
     "Expected value of non-null type 'Int!' not to be None. 1:31\n"
     "Int cannot represent non-integer value: \"y\" 1:36\n"
     "ID cannot represent a non-string and non-integer value: 1.5 1:47\n"
     "Expected value of non-null type 'String!' not to be None. 1:62\n"
     "Int cannot represent non 32-bit signed integer value: "
     "3000000000 1:94"
    },
    {"query($a:Boolean $b:String! $c:Boolean=true $d:[Boolean!] $e:Foo){x@skip(if:$a) y@include(if:$b)z@skip(if:$c) w@skip(if:$d) v@skip(if:$e)}",
     "Variable '$a' of type 'Boolean' used in position expecting "
     "type 'Boolean!'. 1:7 1:77\n"
     "Variable '$b' of type 'String!' used in position expecting "
     "type 'Boolean!'. 1:18 1:94\n"
     "Variable '$d' of type '[Boolean!]' used in position "
     "expecting type 'Boolean!'. 1:45 1:121"
    },
    {"{a:b a:c}",
     "Fields 'a' conflict because 'b' and 'c' are different "
     "fields. Use different aliases on the fields to fetch both "
     "if this was intentional. 1:2 1:6"
    },
    {"{a(x:1) a(x:2) a}",
     "Fields 'a' conflict because they have differing arguments. "
     "Use different aliases on the fields to fetch both if this "
     "was intentional. 1:2 1:9\n"
     "Fields 'a' conflict because they have differing arguments. "
     "Use different aliases on the fields to fetch both if this "
     "was intentional. 1:2 1:16\n"
     "Fields 'a' conflict because they have differing arguments. "
     "Use different aliases on the fields to fetch both if this "
     "was intentional. 1:9 1:16"
    },
    {"{a(x:{p:1 q:[2]} y:$v)a(y:$v x:{q:[2] p:1})}",
     "Variable '$v' is not defined. 1:20 1:1\n"
     "Variable '$v' is not defined. 1:27 1:1"
    },
    {"{a{x:b}...F} fragment F on T{a{x:c ...G}} fragment G on U{x:d}",
     "Fields 'a' conflict because subfields 'x' conflict because "
     "'b' and 'c' are different fields and subfields 'x' conflict "
     "because 'b' and 'd' are different fields. Use different "
     "aliases on the fields to fetch both if this was "
     "intentional. 1:2 1:4 1:4 1:30 1:32 1:59\n"
     "Fields 'x' conflict because 'c' and 'd' are different "
     "fields. Use different aliases on the fields to fetch both "
     "if this was intentional. 1:32 1:59"
    },
    {"{a{x:b y:c} a{x:d y:e}}",
     "Fields 'a' conflict because subfields 'x' conflict because "
     "'b' and 'd' are different fields and subfields 'y' conflict "
     "because 'c' and 'e' are different fields. Use different "
     "aliases on the fields to fetch both if this was "
     "intentional. 1:2 1:4 1:8 1:13 1:15 1:19"
    },
    {"{...on T{a:b}...on U{a:c}}",
     "Fields 'a' conflict because 'b' and 'c' are different "
     "fields. Use different aliases on the fields to fetch both "
     "if this was intentional. 1:10 1:22"
    },
    {"{...F ...G} fragment F on T{a:b} fragment G on T{...H} fragment H on T{a:c}",
     "Fields 'a' conflict because 'b' and 'c' are different "
     "fields. Use different aliases on the fields to fetch both "
     "if this was intentional. 1:29 1:72"
    },
    {"{a(s:\"x\")a(s:\"\"\"x\"\"\")}",
     "Fields 'a' conflict because they have differing arguments. "
     "Use different aliases on the fields to fetch both if this "
     "was intentional. 1:2 1:10"
    },
};
/* clang-format on */

static void
test_validator_answers_as_the_reference(void **state)
{
    (void)state;
    size_t n_cases = sizeof(reference_cases) / sizeof(reference_cases[0]);
    for (size_t i = 0; i < n_cases; i++)
        fq_test_body(body_case, (void *)&reference_cases[i]);
}

/* Nothing is read after a type system definition, and only that is told. */
static void
test_validator_refuses_type_definitions(void **state)
{
    (void)state;
    static const fq_validator_case cases[] = {
        {"{...F} type Foo {a:Int}",
         "The 'Foo' definition is not executable. 1:8"},
        {"schema {query: Q}", "The schema definition is not executable. 1:1"},
        {"extend union U = A", "The 'U' definition is not executable. 1:1"},
        {"directive @d on FIELD", "The 'd' definition is not executable. 1:1"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        fq_test_body(body_case, (void *)&cases[i]);
}

/* Documents of at most 64 KiB that would be slow if something were quadratic
 * or worse. |first_error| NULL: valid. */
typedef struct fq_hostile_case {
    const char *head, *item;
    int n;
    const char *tail;
    const char *first_error;
} fq_hostile_case;

static const fq_hostile_case hostile_cases[] = {
    {"{", "a:b%d ", 7000, "}", "Validation aborted."},
    {"{", "a%d:b ", 7000, "}", NULL},
    {"{", "a ", 32000, "}", "Validation aborted."},
    {"{", "a{x:b%d} ", 5000, "}", "Validation aborted."},
    {"{", "a(x:[1,2,{b:3}]) ", 3700, "}", "Validation aborted."},
    {"subscription{", "a%d ", 9000, "}",
     "Anonymous Subscription must select only one top level field."},
    {"{...F0}", "fragment F%d on T{...F1 ...F2 ...F3 a{...F0 b}}", 1000, "",
     "Cannot spread fragment 'F1' within itself."},
    {"query(", "$v:Int ", 9000, "){a}",
     "There can be only one variable named '$v'."},
    {"{a(", "v:1 ", 16000, ")}", "There can be only one argument named 'v'."},
    {"{a(v:{", "v:1 ", 16000, "})}",
     "There can be only one input field named 'v'."},
    {"{a", "@skip(if:true)", 4600, "}",
     "The directive '@skip' can only be used once at this location."},
    {"{a(", "v%d:$v ", 6000, ")}", "Variable '$v' is not defined."},
};

/* Sanitizers slow everything down, and the machine may be busy: the figure
 * is checked by the bench, here only that nothing explodes. */
#define HOSTILE_SECONDS_MAX 5

static fq_status
body_hostile(void *arg)
{
    const fq_hostile_case *it = arg;
    fq_buf text;
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    /* A document of this size asks for memory too often to refuse each
     * request in turn: a small one takes the same paths. */
    bool is_small = fq_test_is_failing_alloc();
    fq_status status = repeat(&text, it->head, it->item,
                              is_small ? it->n / 200 : it->n, it->tail);
    clock_t start = clock();
    if (status == FQ_OK) {
        assert_true(text.len < 66000);
        status = validate(fq_buf_str(&text), &errors);
    }
    assert_true(clock() - start < HOSTILE_SECONDS_MAX * CLOCKS_PER_SEC);
    if (status == FQ_OK && !is_small)
        assert_null(it->first_error);
    if (status == FQ_ERR_INVALID) {
        assert_non_null(it->first_error);
        if (!is_small)
            fq_test_assert_str(errors.head->message, it->first_error);
        status = FQ_OK;
    }
    fq_gql_errors_fini(&errors);
    fq_buf_fini(&text);
    return status;
}

static void
test_validator_survives_hostile_documents(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(hostile_cases) / sizeof(hostile_cases[0]);
         i++)
        fq_test_body(body_hostile, (void *)&hostile_cases[i]);
}

static fq_status
body_cycle(void *arg)
{
    (void)arg;
    fq_buf text;
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    fq_buf_init(&text);
    /* Each fragment spreads the one before it. */
    fq_buf_append_str(&text, FQ_STR_LIT("fragment F0 on T{...F1999}"));
    for (int i = 1; i < 2000; i++)
        fq_buf_append_format(&text, "fragment F%d on T{...F%d}", i, i - 1);
    fq_buf_append_str(&text, FQ_STR_LIT("{...F0}"));
    fq_status status = fq_buf_status(&text);
    if (status == FQ_OK)
        status = validate(fq_buf_str(&text), &errors);
    if (status == FQ_ERR_INVALID) {
        fq_test_assert_str(errors.head->message, "Validation aborted.");
        status = FQ_OK;
    }
    fq_gql_errors_fini(&errors);
    fq_buf_fini(&text);
    return status;
}

static void
test_validator_survives_long_cycles(void **state)
{
    (void)state;
    fq_test_body(body_cycle, NULL);
}

static fq_status
body_error_limit(void *arg)
{
    (void)arg;
    fq_buf text;
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    fq_status status = repeat(&text, "{", "...F%d ", 150, "}");
    if (status == FQ_OK)
        status = validate(fq_buf_str(&text), &errors);
    if (status == FQ_ERR_INVALID) {
        assert_int_equal(errors.n_items, FQ_GQL_ERRORS_MAX);
        const fq_gql_error *last = errors.head;
        while (last->next != NULL)
            last = last->next;
        fq_test_assert_str(last->message,
                           "Too many validation errors, error limit reached. "
                           "Validation aborted.");
        assert_int_equal(last->n_locations, 0);
        status = FQ_OK;
    }
    fq_gql_errors_fini(&errors);
    fq_buf_fini(&text);
    return status;
}

static void
test_validator_stops_after_100_errors(void **state)
{
    (void)state;
    fq_test_body(body_error_limit, NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_validator_answers_as_the_reference),
        FQ_TEST(test_validator_refuses_type_definitions),
        FQ_TEST(test_validator_survives_hostile_documents),
        FQ_TEST(test_validator_survives_long_cycles),
        FQ_TEST(test_validator_stops_after_100_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
