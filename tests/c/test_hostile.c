/* SPDX-License-Identifier: MIT */
/* What documents made to hurt can cost: time, and bytes beside the document,
 * counted by the allocator. With all policy off, as fraiseql_asgi.graphql runs
 * them, and with the limits a manager has by default. */
#include "graphql_fixture.h"

#include <stdio.h>
#include <time.h>

#include "graphql/parser.h"
#include "graphql/validator.h"

/* Bytes of each document, as many as a manager takes. */
#define DOCUMENT_BYTES (64 * 1024)

/* What is promised, and how far a test may be off it on a busy machine; with
 * sanitizers five times as far. */
#define BYTES_MAX (1024 * 1024)
#define TIME_MAX_MS 10
#ifdef __SANITIZE_ADDRESS__
#define TIME_FACTOR 25
#else
#define TIME_FACTOR 5
#endif

static const char schema_sdl[]
    = "type Query { a: A } type Mutation { a: A } "
      "type Subscription { a: A b(f: F, l: L): A } "
      "type A { a: A b: A x: Int i(n: Int l: [Int] f: F d: L): Int n: N u: U "
      "} "
      "interface N { a: A n: N } union U = A | B "
      "type B implements N { a: A n: N x: String } "
      "input F { f: F n: Int l: [F] i: [Int] } scalar L "
      "directive @d(n: Int) repeatable on FIELD | QUERY | SUBSCRIPTION "
      "| FRAGMENT_SPREAD | INLINE_FRAGMENT | VARIABLE_DEFINITION";

typedef struct fq_hostile {
    const char *name;
    const char *head;
    const char *item; /* repeated to DOCUMENT_BYTES; %d is its number */
    const char *tail;
    int n_items; /* instead; 0: as many as there is room for */
} fq_hostile;

static const fq_hostile documents[] = {
    {"aliases", "subscription { a { ", "a%d:x ", "} }", 0},
    {"aliases of objects", "subscription { a { ", "a%d:a{x}", "} }", 0},
    {"aliases with arguments", "subscription { a { ", "a%d:i(n:%d)", "} }", 0},
    {"aliases at the root", "subscription { ", "a%d:a{x}", "}", 0},
    {"unknown fields", "subscription { a { ", "z%d ", "} }", 0},
    {"one field", "subscription { a { ", "x ", "} }", 0},
    {"one field at the root", "subscription { ", "a{x}", "}", 0},
    {"one nested field", "subscription { a { ", "a{x}", "} }", 0},
    {"nested pairs", "subscription { a { ", "a{a{x}b{x}}", "} }", 0},
    {"conflicts", "subscription { a { ", "k:x k:i ", "} }", 0},
    {"conflicting arguments", "subscription { a { ", "i(n:%d)", "} }", 0},
    {"open braces", "", "{", "", 100000},
    {"open fields", "", "{a", "", 50000},
    {"open brackets", "{a(l:", "[", "", 100000},
    {"open objects", "{a(f:", "{f:", "", 40000},
    {"open inline fragments", "{", "...{", "", 30000},
    {"spreads of one fragment", "subscription { a { ", "...F ",
     "} } fragment F on A { x }", 0},
    {"unknown spreads", "subscription { a { ", "...f%d ", "} }", 0},
    {"fragments", "subscription { a { x } } ", "fragment f%d on A{x}", "", 0},
    {"fragments of one name", "subscription { a { x } } ",
     "fragment F on A{x}", "", 0},
    {"fragments in a cycle", "subscription { a { ...f0 } } ",
     "fragment f%d on A{...f%d x}", "", 0},
    {"a chain of fragments", "subscription { a { ...f0 } } ",
     "fragment f%d on A{...f%d ...f%d}", "", 0},
    {"a bomb of fragments",
     "subscription { a { ...f0 } } "
     "fragment f0 on A{a{...f1}b{...f1}} fragment f1 on A{a{...f2}b{...f2}} "
     "fragment f2 on A{a{...f3}b{...f3}} fragment f3 on A{a{...f4}b{...f4}} "
     "fragment f4 on A{a{...f5}b{...f5}} fragment f5 on A{",
     "a{x}b{x}", "}", 0},
    {"inline fragments", "subscription { a { ", "...{x}", "} }", 0},
    {"inline fragments on types", "subscription { u:a { u { ",
     "... on B{x}... on A{x}", "} } }", 0},
    {"numbers", "subscription { b(l:[", "1 ", "]) { x } }", 0},
    {"one huge number", "subscription { b(l:", "9", ") { x } }", 0},
    {"one huge float", "subscription { b(f:{n:1.", "9", "e99}) { x } }", 0},
    {"empty lists", "subscription { b(l:[", "[]", "]) { x } }", 0},
    {"lists for numbers", "subscription { b(f:{i:[", "[] ", "]}) { x } }", 0},
    {"strings for numbers", "subscription { b(f:{i:[", "\"\"", "]}) { x } }",
     0},
    {"empty objects", "subscription { b(l:[", "{}", "]) { x } }", 0},
    {"fields of an object", "subscription { b(l:{", "a%d:1 ", "}) { x } }", 0},
    {"one field of an object", "subscription { b(f:{", "n:1 ", "}) { x } }",
     0},
    {"objects in a list", "subscription { b(f:{l:[", "{n:1}", "]}) { x } }",
     0},
    {"arguments", "subscription { b(", "a%d:1 ", ") { x } }", 0},
    {"one argument", "subscription { b(", "l:1 ", ") { x } }", 0},
    {"variables", "subscription (", "$v%d:F ", ") { a { x } }", 0},
    {"one variable", "subscription (", "$v:F ", ") { a { x } }", 0},
    {"types of variables", "subscription (", "$v%d:[[Int!]] ", ") { a { x } }",
     0},
    {"uses of a variable", "subscription ($v:L) { b(l:[", "$v ", "]) { x } }",
     0},
    {"uses of unknown variables", "subscription { b(l:[", "$v%d ",
     "]) { x } }", 0},
    {"directives", "subscription { a { x ", "@d ", "} }", 0},
    {"unknown directives", "subscription { a { x ", "@d%d ", "} }", 0},
    {"skipped fields", "subscription ($v:Boolean!) { a { ", "x@skip(if:$v)",
     "} }", 0},
    {"operations", "", "query q%d{a{x}}", "", 0},
    {"operations without a name", "", "{a{x}}", "", 0},
    {"one word", "", "x ", "", 0},
    {"a long string", "subscription { b(l:\"", "\\u00e9", "\") { x } }", 0},
    {"commas", "subscription { a { x", ",", "} }", 0},
    {"lines of a comment", "subscription { a { x", "#\n", "} }", 0},
    {"lines of a block string", "subscription { b(l:\"\"\"", "\n  x",
     "\"\"\") { x } }", 0},
};

#define N_DOCUMENTS (sizeof(documents) / sizeof(documents[0]))

static void
append_item(fq_buf *buf, const char *item, int number)
{
    const char *mark;
    while ((mark = strstr(item, "%d")) != NULL) {
        fq_buf_append(buf, item, (size_t)(mark - item));
        fq_buf_append_int(buf, number++);
        item = mark + 2;
    }
    fq_buf_append_str(buf, fq_str_of(item));
}

static void
make(const fq_hostile *it, fq_buf *buf)
{
    fq_buf_init(buf);
    fq_buf_append_str(buf, fq_str_of(it->head));
    size_t max = DOCUMENT_BYTES - strlen(it->tail) - 32;
    for (int i = 0; it->n_items > 0 ? i < it->n_items : buf->len < max; i++)
        append_item(buf, it->item, i);
    fq_buf_append_str(buf, fq_str_of(it->tail));
    assert_int_equal(fq_buf_status(buf), FQ_OK);
}

/* Milliseconds of this thread. */
static double
now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* As fraiseql_asgi.graphql.validate. */
static fq_status
validate(fq_str text, fq_schema *schema, fq_gql_errors *errors)
{
    fq_document document;
    fq_status status = fq_parse(text, NULL, &document, errors);
    if (status == FQ_OK)
        status = fq_document_link(&document, errors);
    if (status == FQ_OK)
        status = fq_validate(&document, schema, FQ_RULES_ALL, errors);
    fq_document_fini(&document);
    return status;
}

/* As a manager with default limits: those of fq_service_new(). */
static fq_status
compile(fq_str text, fq_schema *schema, fq_gql_errors *errors)
{
    static const fq_document_limits limits = {
        .max_bytes = 64 * 1024,
        .max_tokens = 5000,
        .max_depth = 15,
        .max_fields = 500,
        .max_aliases = 100,
        .max_directives = 20,
    };
    fq_plan_request request = {.schema = schema, .query = text};
    fq_plan *plan;
    fq_status status = fq_plan_compile(&request, &limits, &plan, errors);
    fq_plan_unref(plan);
    return status;
}

/* Runs |run| on |text| and holds it to what is promised. */
static void
measure(const char *name, const char *what, fq_str text, fq_schema *schema,
        fq_status (*run)(fq_str, fq_schema *, fq_gql_errors *))
{
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    fq_alloc_measure(true);
    double started = now_ms();
    fq_status status = run(text, schema, &errors);
    double ms = now_ms() - started;
    long n_bytes = fq_alloc_n_bytes_peak() - (long)text.len;
    fq_alloc_measure(false);
    if (getenv("FQ_TEST_VERBOSE") != NULL)
        print_message("%-28s %-10s %8ld bytes %7.2f ms %3d %.*s\n", name, what,
                      n_bytes, ms, (int)status,
                      FQ_STR_FMT(errors.head != NULL ? errors.head->message
                                                     : FQ_STR_LIT("")));
    assert_int_not_equal(status, FQ_ERR_NOMEM);
    assert_true(status == FQ_OK || errors.n_items > 0);
    if (getenv("FQ_TEST_VERBOSE") == NULL) {
        if (n_bytes > BYTES_MAX)
            fail_msg("%s, %s: %ld bytes", name, what, n_bytes);
        if (ms > TIME_MAX_MS * TIME_FACTOR)
            fail_msg("%s, %s: %.1f ms", name, what, ms);
    }
    fq_gql_errors_fini(&errors);
}

static void
test_hostile_documents_are_cheap(void **state)
{
    (void)state;
    fq_schema *schema = build_schema(schema_sdl);
    for (size_t i = 0; i < N_DOCUMENTS; i++) {
        fq_buf text;
        make(&documents[i], &text);
        const char *name = documents[i].name;
        measure(name, "schema", fq_buf_str(&text), schema, validate);
        measure(name, "no schema", fq_buf_str(&text), NULL, validate);
        measure(name, "limits", fq_buf_str(&text), schema, compile);
        measure(name, "limits, no", fq_buf_str(&text), NULL, compile);
        fq_buf_fini(&text);
    }
    fq_schema_unref(schema);
}

typedef struct fq_ordinary {
    const char *head, *item, *tail;
    size_t n_bytes;
} fq_ordinary;

/* What people write is far from the bound, also in large documents. */
static void
test_hostile_bound_spares_ordinary_documents(void **state)
{
    (void)state;
    static const fq_ordinary documents[] = {
        {"subscription {\n  order {\n    id", "\n    name%d", "\n  }\n}\n",
         64 * 1024},
        {"subscription {\n  order {\n    id",
         "\n    total%d: total(currency: EUR)", "\n  }\n}\n", 64 * 1024},
        {"subscription {\n  order {\n    id",
         "\n    item%d {\n      id\n      name\n    }", "\n  }\n}\n",
         64 * 1024},
        {"subscription {\n  order {\n    id", "\n    name%d", "\n  }\n}\n",
         1024 * 1024},
    };
    for (size_t i = 0; i < sizeof(documents) / sizeof(documents[0]); i++) {
        const fq_ordinary *it = &documents[i];
        fq_buf text;
        fq_buf_init(&text);
        fq_buf_append_str(&text, fq_str_of(it->head));
        for (int n = 0; text.len < it->n_bytes; n++)
            append_item(&text, it->item, n);
        fq_buf_append_str(&text, fq_str_of(it->tail));
        fq_gql_errors errors;
        fq_gql_errors_init(&errors);
        assert_int_equal(validate(fq_buf_str(&text), NULL, &errors), FQ_OK);
        fq_gql_errors_fini(&errors);
        fq_buf_fini(&text);
    }
}

static fq_status
body_bounded(void *arg)
{
    fq_gql_errors errors;
    fq_gql_errors_init(&errors);
    fq_document document;
    const fq_document_limits limits = {.max_memory = *(const size_t *)arg};
    fq_status status = fq_parse(
        FQ_STR_LIT("subscription ($v: Int, $w: Int) { a { ...F } } "
                   "fragment F on A { b c d e f(x: $v, y: $w) "
                   "g { a: x b: x c: x a: y } }"),
        &limits, &document, &errors);
    if (status == FQ_OK)
        status = fq_document_link(&document, &errors);
    if (status == FQ_OK)
        status = fq_validate(&document, NULL, FQ_RULES_ALL, &errors);
    bool is_over = status == FQ_ERR_LIMIT;
    if (status != FQ_ERR_NOMEM)
        assert_true(is_over || status == FQ_ERR_INVALID);
    if (is_over) {
        const fq_gql_error *last = errors.head;
        while (last->next != NULL)
            last = last->next;
        assert_string_equal(last->code, "LIMIT_REACHED");
    }
    fq_document_fini(&document);
    fq_gql_errors_fini(&errors);
    return status == FQ_ERR_NOMEM ? status : FQ_OK;
}

/* Wherever a document's memory ends, it is told. */
static void
test_hostile_bound_holds_everywhere(void **state)
{
    (void)state;
    for (size_t max = 16; max < 16 * 1024; max = max + max / 3 + 1)
        fq_test_body(body_bounded, &max);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_hostile_documents_are_cheap),
        FQ_TEST(test_hostile_bound_spares_ordinary_documents),
        FQ_TEST(test_hostile_bound_holds_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
