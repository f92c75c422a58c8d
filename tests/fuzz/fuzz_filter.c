/* SPDX-License-Identifier: MIT */
/* A filter, a NUL byte, the JSON of arguments, a NUL byte, and that of an
 * event's data: whatever compiles, in either notation, binds and decides; a
 * negation never passes what the filter passes, and what passes has the keys
 * by which an index would find it. */
#include "engine/filter/client.h"
#include "engine/filter/filter.h"
#include "fuzz.h"
#include "json/reader.h"

static fq_security_context *context;

static void
fuzz_start(void)
{
    static const fq_str roles[] = {FQ_STR("admin"), FQ_STR("a")};
    const fq_security_context_args args = {
        .user_id = FQ_STR("a"),
        .roles = roles,
        .n_roles = 2,
        .claims = FQ_STR("{\"a\":1,\"b\":{\"a\":[1,\"a\",null]}}"),
    };
    FUZZ_REQUIRE(fq_security_context_new(&args, &context) == FQ_OK);
}

static void
check_keys(const fq_filter_bound *bound, const fq_event *event)
{
    fq_filter_key keys[4];
    size_t n_keys = fq_filter_index_keys(bound, keys, 4);
    for (size_t i = 0; i < n_keys; i++) {
        char room[FQ_FILTER_KEY_ROOM], event_room[FQ_FILTER_KEY_ROOM];
        fq_str value, found;
        FUZZ_REQUIRE(
            fq_filter_event_key(keys[i].path, event, event_room, &found));
        bool is_there = false;
        fq_status status = FQ_OK;
        for (size_t j = 0; status != FQ_ERR_NOT_FOUND && !is_there; j++) {
            status = fq_filter_key_value(&keys[i], j, room, &value);
            is_there = status == FQ_OK && fq_str_eq(value, found);
        }
        FUZZ_REQUIRE(is_there);
    }
}

/* Whether |event| passes |filter|. */
static bool
decide(fq_filter *filter, yyjson_val *args, const fq_event *event)
{
    fq_filter_bound *bound;
    fq_status status = fq_filter_bind(filter, args, context, &bound);
    FUZZ_REQUIRE(status == FQ_OK || status == FQ_ERR_LIMIT);
    if (status != FQ_OK)
        return false;
    bool passes = fq_filter_eval(bound, event);
    FUZZ_REQUIRE(!passes || !fq_filter_bound_is_never(bound));
    FUZZ_REQUIRE(passes || !fq_filter_bound_is_always(bound));
    if (passes)
        check_keys(bound, event);
    fq_filter_bound_unref(bound);
    return passes;
}

static void
decide_both(yyjson_val *ir, yyjson_val *args, const fq_event *event)
{
    fq_error error;
    fq_filter_tree tree;
    fq_filter_node *root;
    fq_filter_tree_init(&tree, &error);
    if (fq_filter_tree_read(&tree, ir, &root) == FQ_OK) {
        fq_filter *filter, *opposite;
        FUZZ_REQUIRE(fq_filter_compile_tree(&tree, root, &filter) == FQ_OK);
        root->is_negated = !root->is_negated;
        FUZZ_REQUIRE(fq_filter_compile_tree(&tree, root, &opposite) == FQ_OK);
        FUZZ_REQUIRE(!decide(filter, args, event)
                     || !decide(opposite, args, event));
        fq_filter_unref(filter);
        fq_filter_unref(opposite);
    }
    fq_filter_tree_fini(&tree);
    const fq_client_filter_scope scope = {.has_schema = false};
    fq_filter *client;
    if (fq_client_filter_compile(ir, &scope, &client, &error) == FQ_OK)
        decide(client, NULL, event);
    fq_filter_unref(client);
}

static void
fuzz_input(fq_str input)
{
    fq_str rest, data;
    fq_str filter = fuzz_split(input, &rest);
    fq_str args = fuzz_split(rest, &data);
    yyjson_doc *ir = NULL, *args_doc = NULL;
    fq_event *event = NULL;
    if (fq_json_read(filter, FQ_JSON_LONE_SURROGATES, &ir, NULL) == FQ_OK
        && fq_json_read(args, FQ_JSON_LONE_SURROGATES, &args_doc, NULL)
               == FQ_OK
        && fq_event_new(FQ_STR_LIT("a"), FQ_STR_LIT("b"), data, 1, 0, &event,
                        NULL)
               == FQ_OK)
        decide_both(yyjson_doc_get_root(ir), yyjson_doc_get_root(args_doc),
                    event);
    if (event != NULL)
        fq_event_unref(event);
    fq_json_free(args_doc);
    fq_json_free(ir);
}
