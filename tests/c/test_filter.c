/* SPDX-License-Identifier: MIT */
/* Filters: what comparisons come to, what binding leaves of a filter, and the
 * keys an index is given. That the decision is right for whatever filter is in
 * tests/unit/test_filter_model.py. */
#include "engine/filter/filter.h"

#include <stdio.h>

#include "engine/filter/program.h"
#include "json/reader.h"

#include "support.h"

/* -- fixture -------------------------------------------------------------- */

static yyjson_doc *
read_json(const char *text)
{
    yyjson_doc *doc;
    fq_error error;
    if (fq_json_read(fq_str_of(text), FQ_JSON_STRICT, &doc, &error) != FQ_OK)
        return NULL;
    return doc;
}

static fq_event *
make_event(const char *data)
{
    fq_event *event;
    if (fq_event_new(FQ_STR_LIT("orders"), FQ_STR_LIT("orderUpdated"),
                     fq_str_of(data), UINT64_C(1500000000), 0, &event, NULL)
        != FQ_OK)
        return NULL;
    return event;
}

static fq_security_context *
make_context(void)
{
    static const fq_str roles[] = {FQ_STR("staff"), FQ_STR("admin")};
    fq_security_context_args args = {
        .user_id = FQ_STR("u1"),
        .roles = roles,
        .n_roles = 2,
        .claims = FQ_STR("{\"team\":{\"id\":7}}"),
    };
    fq_security_context *context;
    if (fq_security_context_new(&args, &context) != FQ_OK)
        return NULL;
    return context;
}

/* A filter, what it is bound to, and what it is to say of an event. */
typedef struct decision {
    const char *ir;
    const char *args; /* NULL: none */
    const char *data;
    bool expected;
} decision;

typedef struct bound_filter {
    yyjson_doc *ir;
    yyjson_doc *args;
    fq_security_context *context;
    fq_filter *filter;
    fq_filter_bound *bound;
} bound_filter;

static void
bound_filter_fini(bound_filter *self)
{
    fq_filter_bound_unref(self->bound);
    fq_filter_unref(self->filter);
    fq_security_context_unref(self->context);
    fq_json_free(self->args);
    fq_json_free(self->ir);
}

static fq_status
bound_filter_init(bound_filter *self, const char *ir, const char *args)
{
    *self = (bound_filter){0};
    fq_status status = FQ_ERR_NOMEM;
    self->ir = read_json(ir);
    self->args = read_json(args != NULL ? args : "{}");
    self->context = make_context();
    if (self->ir == NULL || self->args == NULL || self->context == NULL)
        return status;
    status = fq_filter_compile(yyjson_doc_get_root(self->ir), &self->filter,
                               NULL);
    if (status != FQ_OK)
        return status;
    return fq_filter_bind(self->filter, yyjson_doc_get_root(self->args),
                          self->context, &self->bound);
}

static fq_status
body_decide(void *arg)
{
    const decision *wanted = arg;
    bound_filter self;
    fq_event *event = NULL;
    fq_status status = bound_filter_init(&self, wanted->ir, wanted->args);
    if (status == FQ_OK) {
        event = make_event(wanted->data);
        if (event == NULL)
            status = FQ_ERR_NOMEM;
    }
    if (status == FQ_OK) {
        long n_live = fq_alloc_n_live();
        if (fq_filter_eval(self.bound, event) != wanted->expected)
            fail_msg("%s of %s with %s", wanted->ir, wanted->data,
                     wanted->args != NULL ? wanted->args : "no arguments");
        assert_int_equal(fq_alloc_n_live(), n_live);
    }
    if (event != NULL)
        fq_event_unref(event);
    bound_filter_fini(&self);
    return status;
}

static void
decide_all(const decision *decisions, size_t n)
{
    for (size_t i = 0; i < n; i++)
        fq_test_body(body_decide, (void *)&decisions[i]);
}

#define DECIDE_ALL(decisions)                                                 \
    decide_all((decisions), sizeof(decisions) / sizeof((decisions)[0]))

#define X "{\"event\":[\"x\"]}"
#define CONST(json) "{\"const\":" json "}"
#define CMP(op, json) "[\"" op "\"," X "," CONST(json) "]"
#define NOT(ir) "[\"not\"," ir "]"

/* -- decisions ------------------------------------------------------------ */

static void
test_filter_compares_numbers_exactly(void **state)
{
    (void)state;
    static const decision decisions[] = {
        {CMP("==", "1"), NULL, "{\"x\":1.0}", true},
        {CMP("==", "0"), NULL, "{\"x\":-0.0}", true},
        {CMP("==", "9007199254740993"), NULL, "{\"x\":9007199254740992.0}",
         false},
        {CMP(">", "9007199254740992.0"), NULL, "{\"x\":9007199254740993}",
         true},
        {CMP("==", "-9223372036854775808"), NULL,
         "{\"x\":-9223372036854775808.0}", true},
        {CMP("<", "-9223372036854775807"), NULL,
         "{\"x\":-9223372036854775808.0}", true},
        {CMP("<", "18446744073709551616"), NULL,
         "{\"x\":18446744073709551615}", true},
        {CMP("==", "18446744073709551616"), NULL,
         "{\"x\":1.8446744073709551616e19}", true},
        {CMP(">", "100000000000000000000000"), NULL,
         "{\"x\":100000000000000000000001}", true},
        {CMP("<", "100000000000000000000000"), NULL,
         "{\"x\":9.999999999999999e22}", true},
        {CMP("==", "99999999999999991611392"), NULL, "{\"x\":1e23}", true},
        {CMP("<", "-100000000000000000000000"), NULL,
         "{\"x\":-100000000000000000000001}", true},
        {CMP("<", "0"), NULL, "{\"x\":-100000000000000000000001}", true},
        {CMP("<", "2.5"), NULL, "{\"x\":2}", true},
        {CMP("<", "-2.5"), NULL, "{\"x\":-3}", true},
        {CMP(">", "-2.5"), NULL, "{\"x\":-2}", true},
        {CMP("<=", "1e300"), NULL, "{\"x\":-5}", true},
        /* beyond the range of doubles */
        {CMP("==", "1e400"), NULL, "{\"x\":1e400}", false},
        {CMP("!=", "1"), NULL, "{\"x\":1e400}", false},
        {CMP("!=", "null"), NULL, "{\"x\":1e400}", true},
    };
    DECIDE_ALL(decisions);
}

static void
test_filter_compares_values_of_one_type(void **state)
{
    (void)state;
    static const decision decisions[] = {
        {CMP("==", "true"), NULL, "{\"x\":1}", false},
        {CMP("!=", "true"), NULL, "{\"x\":1}", false},
        {CMP("!=", "true"), NULL, "{\"x\":false}", true},
        {CMP("<", "true"), NULL, "{\"x\":false}", false},
        {CMP("==", "\"1\""), NULL, "{\"x\":1}", false},
        {CMP("!=", "\"1\""), NULL, "{\"x\":1}", false},
        {CMP("!=", "\"1\""), NULL, "{}", false},
        {CMP("==", "\"\""), NULL, "{\"x\":\"\"}", true},
        {CMP("<", "\"\\uffff\""), NULL, "{\"x\":\"\\ud800\\udc00\"}", false},
        {CMP("<", "\"ab\""), NULL, "{\"x\":\"a\"}", true},
        {CMP("==", "null"), NULL, "{\"x\":null}", true},
        {CMP("==", "null"), NULL, "{}", false},
        {CMP("!=", "null"), NULL, "{}", false},
        {CMP("!=", "null"), NULL, "{\"x\":[1]}", true},
        {CMP("!=", "5"), NULL, "{\"x\":null}", true},
        {CMP("==", "[1]"), NULL, "{\"x\":[1]}", false},
        {CMP("!=", "[1]"), NULL, "{\"x\":[2]}", false},
        {CMP("contains", "\"bc\""), NULL, "{\"x\":\"abcd\"}", true},
        {CMP("contains", "\"\""), NULL, "{\"x\":\"\"}", true},
        {CMP("contains", "2"), NULL, "{\"x\":[1,2.0]}", true},
        {CMP("contains", "2"), NULL, "{\"x\":\"12\"}", false},
        {CMP("contains", "2"), NULL, "{\"x\":{\"2\":2}}", false},
        {CMP("startswith", "\"ab\""), NULL, "{\"x\":\"abc\"}", true},
        {CMP("startswith", "\"abc\""), NULL, "{\"x\":\"ab\"}", false},
        {CMP("startswith", "\"1\""), NULL, "{\"x\":1}", false},
        {CMP("in", "[1,\"a\",null]"), NULL, "{\"x\":\"a\"}", true},
        {CMP("in", "[1,\"a\",null]"), NULL, "{\"x\":null}", true},
        {CMP("in", "[]"), NULL, "{\"x\":null}", false},
        {CMP("in", "\"abc\""), NULL, "{\"x\":\"a\"}", false},
        {"[\"between\"," X "," CONST("1") "," CONST("3") "]", NULL,
         "{\"x\":3}", true},
        {"[\"between\"," X "," CONST("1") "," CONST("3") "]", NULL,
         "{\"x\":3.5}", false},
    };
    DECIDE_ALL(decisions);
}

static void
test_filter_never_takes_unknown_for_false(void **state)
{
    (void)state;
    static const decision decisions[] = {
        {NOT(CMP("==", "1")), NULL, "{\"x\":2}", true},
        {NOT(CMP("==", "1")), NULL, "{\"x\":\"2\"}", false},
        {NOT(CMP("==", "1")), NULL, "{}", false},
        {NOT(CMP("<", "1")), NULL, "{\"x\":1}", true},
        {NOT(CMP("<", "1")), NULL, "{\"x\":null}", false},
        {NOT(CMP("in", "[1,2]")), NULL, "{\"x\":3}", true},
        {NOT(CMP("in", "[1,\"a\"]")), NULL, "{\"x\":3}", false},
        {NOT(CMP("in", "[]")), NULL, "{\"x\":3}", true},
        {NOT(CMP("in", "[]")), NULL, "{}", false},
        {NOT(CMP("contains", "1")), NULL, "{\"x\":[]}", true},
        {NOT(CMP("contains", "1")), NULL, "{\"x\":[2,\"a\"]}", false},
        {NOT("[\"exists\"," X "]"), NULL, "{}", true},
        {NOT("[\"exists\"," X "]"), NULL, "{\"x\":null}", false},
        {NOT(NOT(CMP("==", "1"))), NULL, "{\"x\":1}", true},
        {NOT("[\"and\"," CMP("==", "1") "," CMP(">", "5") "]"), NULL,
         "{\"x\":1}", true},
        {NOT("[\"or\"," CMP("==", "1") "," CMP("==", "\"a\"") "]"), NULL,
         "{\"x\":2}", false},
        {"[\"or\"," CMP("==", "\"a\"") "," CMP("==", "2") "]", NULL,
         "{\"x\":2}", true},
        {"[\"and\"]", NULL, "{}", true},
        {"[\"or\"]", NULL, "{}", false},
        {NOT("[\"or\"]"), NULL, "{}", true},
        {"true", NULL, "{}", true},
        {NOT("true"), NULL, "{}", false},
    };
    DECIDE_ALL(decisions);
}

static void
test_filter_reads_envelope_arguments_and_context(void **state)
{
    (void)state;
    static const decision decisions[] = {
        {"[\"==\",{\"envelope\":\"type\"},{\"const\":\"orderUpdated\"}]", NULL,
         "{}", true},
        {"[\"==\",{\"envelope\":\"channel\"},{\"const\":\"orders\"}]", NULL,
         "{}", true},
        {"[\"==\",{\"envelope\":\"created_at\"},{\"const\":1.5}]", NULL, "{}",
         true},
        {"[\"==\"," X ",{\"arg\":[\"in\",\"id\"]}]", "{\"in\":{\"id\":5}}",
         "{\"x\":5}", true},
        {"[\"==\"," X ",{\"arg\":[\"in\",\"id\"]}]", "{\"in\":5}", "{\"x\":5}",
         false},
        {"[\"!=\"," X ",{\"arg\":[\"id\"]}]", NULL, "{\"x\":5}", false},
        {"[\"==\"," X ",{\"ctx\":[\"user_id\"]}]", NULL, "{\"x\":\"u1\"}",
         true},
        {"[\"==\"," X ",{\"ctx\":[\"tenant_id\"]}]", NULL, "{\"x\":null}",
         false},
        {"[\"!=\"," X ",{\"ctx\":[\"tenant_id\"]}]", NULL, "{\"x\":\"t\"}",
         false},
        {"[\"exists\",{\"ctx\":[\"tenant_id\"]}]", NULL, "{}", false},
        {"[\"in\"," X ",{\"ctx\":[\"roles\"]}]", NULL, "{\"x\":\"admin\"}",
         true},
        {"[\"contains\",{\"ctx\":[\"roles\"]},{\"const\":\"staff\"}]", NULL,
         "{}", true},
        {"[\"contains\",{\"ctx\":[\"boundaries\"]},{\"const\":\"staff\"}]",
         NULL, "{}", false},
        {"[\"==\"," X ",{\"ctx\":[\"claims\",\"team\",\"id\"]}]", NULL,
         "{\"x\":7}", true},
        {"[\"==\"," X ",{\"ctx\":[\"claims\",\"none\",\"id\"]}]", NULL,
         "{\"x\":7}", false},
        {"[\"==\"," X ",{\"ctx\":[\"user_id\",\"x\"]}]", NULL,
         "{\"x\":\"u1\"}", false},
        {"[\"==\",{\"event\":[\"a\",\"b\"]},{\"event\":[\"c\"]}]", NULL,
         "{\"a\":{\"b\":1},\"c\":1}", true},
        {"[\"==\",{\"event\":[\"a\",\"b\"]},{\"event\":[\"c\"]}]", NULL,
         "{\"a\":[{\"b\":1}],\"c\":1}", false},
        {"[\"==\"," X ",{\"const\":2}]", NULL, "{\"x\":1,\"x\":2}", true},
    };
    DECIDE_ALL(decisions);
}

/* -- what binding leaves -------------------------------------------------- */

static fq_status
body_bind_simplifies(void *arg)
{
    (void)arg;
    bound_filter self;
    fq_status status = bound_filter_init(
        &self,
        "[\"and\",[\"or\",[\"==\",{\"arg\":[\"all\"]},{\"const\":true}],"
        "[\"==\",{\"event\":[\"id\"]},{\"arg\":[\"id\"]}]],"
        "[\"==\",{\"event\":[\"tenant\"]},{\"ctx\":[\"user_id\"]}]]",
        "{\"all\":false,\"id\":\"a long enough text\"}");
    fq_filter_bound *other = NULL;
    if (status == FQ_OK) {
        assert_int_equal(self.bound->n_steps, 2);
        assert_true(fq_filter_bound_n_bytes(self.bound) <= 128);
        yyjson_doc *args = read_json("{\"all\":true}");
        if (args == NULL)
            status = FQ_ERR_NOMEM;
        else
            status = fq_filter_bind(self.filter, yyjson_doc_get_root(args),
                                    self.context, &other);
        fq_json_free(args);
    }
    if (status == FQ_OK) {
        assert_int_equal(other->n_steps, 1);
        fq_filter_bound_unref(other);
        status = fq_filter_bind(self.filter, NULL, NULL, &other);
    }
    if (status == FQ_OK) {
        assert_true(fq_filter_bound_is_never(other));
        assert_false(fq_filter_bound_is_always(other));
    }
    fq_filter_bound_unref(other);
    bound_filter_fini(&self);
    return status;
}

static void
test_filter_bind_works_out_what_it_can(void **state)
{
    (void)state;
    fq_test_body(body_bind_simplifies, NULL);
}

static fq_status
body_bind_shares(void *arg)
{
    (void)arg;
    bound_filter self;
    fq_status status = bound_filter_init(&self, CMP("==", "1"), NULL);
    if (status == FQ_OK) {
        fq_filter_bound *other;
        assert_int_equal(fq_filter_bind(self.filter, NULL, NULL, &other),
                         FQ_OK);
        assert_ptr_equal(other, self.bound);
        assert_int_equal(fq_filter_bound_n_bytes(other), 0);
        /* A binding keeps its filter. */
        fq_filter_unref(self.filter);
        fq_filter_bound_unref(self.bound);
        self.filter = NULL;
        self.bound = other;
        assert_false(fq_filter_bound_is_always(other));
    }
    bound_filter_fini(&self);
    return status;
}

static void
test_filter_without_arguments_is_bound_once(void **state)
{
    (void)state;
    fq_test_body(body_bind_shares, NULL);
}

static fq_status
body_bind_limits(void *arg)
{
    (void)arg;
    bound_filter self;
    const char *ir = "[\"in\"," X ",{\"arg\":[\"ids\"]}]";
    fq_status status = bound_filter_init(&self, ir, NULL);
    char *text = fq_alloc(20000);
    if (status == FQ_OK && text != NULL) {
        size_t len = (size_t)snprintf(text, 100, "{\"ids\":[0");
        for (int i = 0; i < 5000; i++, len += 2)
            memcpy(text + len, ",1", 2);
        memcpy(text + len, "]}", 3);
        yyjson_doc *args = read_json(text);
        fq_filter_bound *other;
        status = FQ_ERR_NOMEM;
        if (args != NULL)
            status = fq_filter_bind(self.filter, yyjson_doc_get_root(args),
                                    NULL, &other);
        if (status == FQ_ERR_LIMIT)
            status = FQ_OK;
        else
            assert_int_equal(status, FQ_ERR_NOMEM);
        fq_json_free(args);
    } else if (text == NULL) {
        status = FQ_ERR_NOMEM;
    }
    fq_free(text);
    bound_filter_fini(&self);
    return status;
}

static void
test_filter_bind_bounds_its_values(void **state)
{
    (void)state;
    fq_test_body(body_bind_limits, NULL);
}

/* -- refusals ------------------------------------------------------------- */

typedef struct refusal {
    const char *ir;
    fq_status status;
    const char *message;
} refusal;

static fq_status
body_refuse(void *arg)
{
    const refusal *wanted = arg;
    yyjson_doc *ir = read_json(wanted->ir);
    if (ir == NULL)
        return FQ_ERR_NOMEM;
    fq_filter *filter;
    fq_error error;
    fq_status status = fq_filter_compile(yyjson_doc_get_root(ir), &filter,
                                         &error);
    assert_null(filter);
    fq_json_free(ir);
    if (status == FQ_ERR_NOMEM)
        return status;
    assert_int_equal(status, wanted->status);
    assert_string_equal(error.message, wanted->message);
    return FQ_OK;
}

static void
test_filter_compile_refuses_what_is_no_filter(void **state)
{
    (void)state;
    static const refusal refusals[] = {
        {"5", FQ_ERR_INVALID, "a filter is a list with an operator"},
        {"[]", FQ_ERR_INVALID, "a filter is a list with an operator"},
        {"[\"=~\"," X "," X "]", FQ_ERR_INVALID, "unknown operator"},
        {"[\"==\"," X "]", FQ_ERR_INVALID, "wrong number of operands"},
        {"[\"not\"]", FQ_ERR_INVALID, "wrong number of operands"},
        {"[\"between\"," X "]", FQ_ERR_INVALID, "wrong number of operands"},
        {"[\"exists\",5]", FQ_ERR_INVALID,
         "an operand is an object of one member"},
        {"[\"exists\",{\"event\":[]}]", FQ_ERR_INVALID,
         "a path is a list of keys"},
        {"[\"exists\",{\"event\":[5]}]", FQ_ERR_INVALID,
         "a path is a list of keys"},
        {"[\"exists\",{\"y\":[\"x\"]}]", FQ_ERR_INVALID, "unknown operand"},
        {"[\"exists\",{\"envelope\":\"id\"}]", FQ_ERR_INVALID,
         "unknown member of the envelope"},
    };
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
        fq_test_body(body_refuse, (void *)&refusals[i]);
}

static void
test_filter_compile_bounds_depth_and_comparisons(void **state)
{
    (void)state;
    char text[20000];
    size_t len = 0;
    for (int i = 0; i < FQ_FILTER_DEPTH_MAX; i++)
        len += (size_t)sprintf(text + len, "[\"not\",");
    len += (size_t)sprintf(text + len, "true");
    for (int i = 0; i < FQ_FILTER_DEPTH_MAX; i++)
        text[len++] = ']';
    text[len] = '\0';
    refusal deep = {text, FQ_ERR_LIMIT, "A filter nests at most 64 levels."};
    fq_test_body(body_refuse, &deep);
    len = (size_t)sprintf(text, "[\"and\"");
    for (int i = 0; i <= FQ_FILTER_COMPARISONS_MAX; i++)
        len += (size_t)sprintf(text + len, ",[\"exists\"," X "]");
    sprintf(text + len, "]");
    refusal many = {text, FQ_ERR_LIMIT,
                    "A filter makes at most 256 comparisons."};
    fq_test_body(body_refuse, &many);
}

/* -- keys ----------------------------------------------------------------- */

static const char keys_ir[]
    = "[\"and\","
      "[\"or\",[\"exists\"," X "],[\"==\"," X "," X "]],"
      "[\"==\",{\"arg\":[\"id\"]},{\"event\":[\"id\"]}],"
      "[\"not\",[\"==\",{\"event\":[\"y\"]},{\"const\":1}]],"
      "[\"in\",{\"event\":[\"s\"]},{\"const\":[1,\"a\",1.0,[2]]}],"
      "[\"==\",{\"envelope\":\"type\"},{\"const\":\"orderUpdated\"}]]";

static fq_status
body_keys(void *arg)
{
    (void)arg;
    bound_filter self;
    fq_status status = bound_filter_init(&self, keys_ir, "{\"id\":1}");
    fq_event *event = status == FQ_OK ? make_event("{\"id\":1.0}") : NULL;
    if (event == NULL) {
        bound_filter_fini(&self);
        return FQ_ERR_NOMEM;
    }
    fq_filter_key keys[8];
    assert_int_equal(fq_filter_index_keys(self.bound, keys, 8), 3);
    assert_int_equal(fq_filter_index_keys(self.bound, keys, 1), 1);
    fq_filter_index_keys(self.bound, keys, 8);
    assert_int_equal(keys[0].path->n_steps, 1);
    fq_test_assert_str(keys[0].path->steps[0], "id");
    char room[FQ_FILTER_KEY_ROOM], event_room[FQ_FILTER_KEY_ROOM];
    fq_str value, found;
    assert_int_equal(fq_filter_key_value(&keys[0], 0, room, &value), FQ_OK);
    assert_true(fq_filter_event_key(keys[0].path, event, event_room, &found));
    assert_true(fq_str_eq(value, found));
    assert_int_equal(fq_filter_key_value(&keys[0], 1, room, &value),
                     FQ_ERR_NOT_FOUND);
    static const fq_status statuses[] = {FQ_OK, FQ_OK, FQ_ERR_AGAIN,
                                         FQ_ERR_AGAIN, FQ_ERR_NOT_FOUND};
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(fq_filter_key_value(&keys[1], i, room, &value),
                         statuses[i]);
    assert_false(fq_filter_event_key(keys[1].path, event, event_room, &found));
    assert_int_equal(keys[2].path->source, FQ_FILTER_TYPE);
    fq_filter_path *copy;
    status = fq_filter_path_copy(keys[2].path, &copy);
    if (status == FQ_OK) {
        assert_true(fq_str_eq(copy->id, keys[2].path->id));
        assert_true(fq_filter_event_key(copy, event, event_room, &found));
        fq_test_assert_str(found, "orderUpdated");
    }
    fq_free(copy);
    fq_event_unref(event);
    bound_filter_fini(&self);
    return status;
}

static void
test_filter_names_the_equalities_that_must_hold(void **state)
{
    (void)state;
    fq_test_body(body_keys, NULL);
}

/* Equal values, each group, and no two of different groups. */
static const char *const equal_values[][3] = {
    {"1", "1.0", "1e0"},
    {"0", "-0.0", "-0"},
    {"-1", "-1.0", NULL},
    {"-9223372036854775808", "-9223372036854775808.0", NULL},
    {"18446744073709551615", NULL, NULL},
    {"18446744073709551616", "18446744073709551616.0", NULL},
    {"-18446744073709551616", "-18446744073709551616.0", NULL},
    {"99999999999999991611392", "1e23", NULL},
    {"100000000000000000000000", NULL, NULL},
    {"1.5", "15e-1", NULL},
    {"true", NULL, NULL},
    {"false", NULL, NULL},
    {"null", NULL, NULL},
    {"\"1\"", NULL, NULL},
    {"\"\"", NULL, NULL},
    {"\"true\"", NULL, NULL},
};

#define N_GROUPS (sizeof(equal_values) / sizeof(equal_values[0]))

static fq_status
body_key_bytes(void *arg)
{
    (void)arg;
    yyjson_doc *docs[N_GROUPS * 3] = {NULL};
    fq_status status = FQ_OK;
    for (size_t i = 0; i < N_GROUPS * 3; i++) {
        const char *text = equal_values[i / 3][i % 3];
        if (text != NULL && (docs[i] = read_json(text)) == NULL)
            status = FQ_ERR_NOMEM;
    }
    for (size_t i = 0; i < N_GROUPS * 3 && status == FQ_OK; i++) {
        for (size_t j = 0; j < N_GROUPS * 3; j++) {
            if (docs[i] == NULL || docs[j] == NULL)
                continue;
            yyjson_val *a = yyjson_doc_get_root(docs[i]);
            yyjson_val *b = yyjson_doc_get_root(docs[j]);
            char a_room[FQ_FILTER_KEY_ROOM], b_room[FQ_FILTER_KEY_ROOM];
            fq_str a_key, b_key;
            assert_true(fq_filter_value_key(a, a_room, &a_key));
            assert_true(fq_filter_value_key(b, b_room, &b_key));
            assert_int_equal(fq_str_eq(a_key, b_key), i / 3 == j / 3);
            assert_int_equal(fq_filter_value_equal(a, b) == FQ_FILTER_TRUE,
                             i / 3 == j / 3);
        }
    }
    for (size_t i = 0; i < N_GROUPS * 3; i++)
        fq_json_free(docs[i]);
    return status;
}

static void
test_filter_keys_are_equal_as_values_are(void **state)
{
    (void)state;
    fq_test_body(body_key_bytes, NULL);
}

static bool
count_path(const fq_filter_path *path, void *arg)
{
    size_t *n_paths = arg;
    assert_true(path->source >= FQ_FILTER_DATA);
    return ++*n_paths < 2;
}

static fq_status
body_paths(void *arg)
{
    (void)arg;
    bound_filter self;
    fq_status status = bound_filter_init(
        &self, "[\"and\"," CMP("==", "1") ",[\"exists\",{\"arg\":[\"x\"]}]]",
        NULL);
    if (status == FQ_OK) {
        size_t n_paths = 0;
        assert_true(fq_filter_each_path(self.filter, count_path, &n_paths));
        assert_int_equal(n_paths, 1);
        assert_false(fq_filter_each_path(self.filter, count_path, &n_paths));
    }
    bound_filter_fini(&self);
    return status;
}

static void
test_filter_shows_the_paths_it_looks_at(void **state)
{
    (void)state;
    fq_test_body(body_paths, NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_filter_compares_numbers_exactly),
        FQ_TEST(test_filter_compares_values_of_one_type),
        FQ_TEST(test_filter_never_takes_unknown_for_false),
        FQ_TEST(test_filter_reads_envelope_arguments_and_context),
        FQ_TEST(test_filter_bind_works_out_what_it_can),
        FQ_TEST(test_filter_without_arguments_is_bound_once),
        FQ_TEST(test_filter_bind_bounds_its_values),
        FQ_TEST(test_filter_compile_refuses_what_is_no_filter),
        FQ_TEST(test_filter_compile_bounds_depth_and_comparisons),
        FQ_TEST(test_filter_names_the_equalities_that_must_hold),
        FQ_TEST(test_filter_keys_are_equal_as_values_are),
        FQ_TEST(test_filter_shows_the_paths_it_looks_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
