/* SPDX-License-Identifier: MIT */
/* Filling in the names of channels for one subscription, saying what is wrong
 * with a value that cannot be part of one, and choosing the key by which
 * events find it there. Thread: reactor.
 *
 * A filter may have several equalities that an event must fulfil, and any of
 * them will do. The best is the one that fewest events fulfil, which nobody
 * knows; but a value that came with the subscription (`event.id == arg.id`)
 * tells it from others, while one of the declaration is that of all; a type
 * of event or a bool splits them in few; one alternative is better than many,
 * and a long value is an id rather than a word. */
#include "engine/listening.h"

#include "base/alloc.h"
#include "engine/channel_template.h"
#include "engine/internal.h"
#include "json/reader.h"

/* What the client is told when |part| of a template, or for NULL the whole
 * name, must be other than it is. Of the context it learns nothing. */
static fq_status
listening_refuse(const fq_listening_request *request,
                 const fq_channel_part *part, const fq_error *reason,
                 fq_gql_errors *errors)
{
    fq_str name = request->spec->name;
    fq_gql_error *error;
    bool is_context = part != NULL && part->kind != FQ_CHANNEL_ARGUMENT;
    if (is_context)
        error = fq_gql_errors_add(errors, "FORBIDDEN",
                                  "Not allowed to subscribe to field "
                                  "\"%.*s\".",
                                  FQ_STR_FMT(name));
    else if (part != NULL)
        error = fq_gql_errors_add(errors, "VALIDATION_ERROR",
                                  "Argument \"%.*s\" of field \"%.*s\" "
                                  "selects a channel: it %s.",
                                  FQ_STR_FMT(part->text), FQ_STR_FMT(name),
                                  reason->message);
    else
        error = fq_gql_errors_add(errors, "VALIDATION_ERROR",
                                  "The arguments of field \"%.*s\" select a "
                                  "channel: its name %s.",
                                  FQ_STR_FMT(name), reason->message);
    if (error == NULL)
        return FQ_ERR_NOMEM;
    fq_gql_error_locate(errors, error, fq_plan_source(request->plan),
                        fq_plan_root_start(request->plan));
    return is_context ? FQ_ERR_FORBIDDEN : FQ_ERR_INVALID;
}

/* The arguments as a tree, if some template asks for one. */
static fq_status
listening_read_args(fq_listening *self, const fq_listening_request *request)
{
    const fq_field *spec = request->spec;
    for (size_t i = 0; i < spec->n_channels; i++) {
        if (fq_channel_template_asks_args(spec->templates[i]))
            return fq_json_read(fq_rcbuf_str(request->binding->args),
                                FQ_JSON_LONE_SURROGATES, &self->args, NULL);
    }
    return FQ_OK;
}

static void
listening_add(fq_listening *self, fq_str name)
{
    for (size_t i = 0; i < self->n_names; i++) {
        if (fq_str_eq(self->names[i], name))
            return;
    }
    self->names[self->n_names++] = name;
}

/* The names that templates make are written one after the other; they are
 * taken for names when the buffer has come to rest. */
static fq_status
listening_expand(fq_listening *self, const fq_listening_request *request,
                 fq_buf *buf, fq_gql_errors *errors)
{
    const fq_field *spec = request->spec;
    size_t ends[FQ_FIELD_CHANNELS_MAX];
    yyjson_val *args = yyjson_doc_get_root(self->args);
    fq_buf_clear(buf);
    for (size_t i = 0; i < spec->n_channels; i++) {
        const fq_channel_part *part;
        fq_error reason;
        if (fq_channel_template_expand(spec->templates[i], args,
                                       request->context, buf, &part, &reason)
            != FQ_OK)
            return listening_refuse(request, part, &reason, errors);
        ends[i] = buf->len;
    }
    if (fq_buf_status(buf) != FQ_OK)
        return fq_buf_status(buf);
    size_t start = 0;
    for (size_t i = 0; i < spec->n_channels; start = ends[i], i++)
        listening_add(self, fq_str_make(buf->ptr + start, ends[i] - start));
    return FQ_OK;
}

/* How good |key| is, which has |n_values|; 0: of no use. */
static uint32_t
key_rank(const fq_filter_key *key, size_t n_values)
{
    if (key->path->source == FQ_FILTER_CHANNEL
        || key->path->source == FQ_FILTER_CREATED_AT)
        return 0;
    yyjson_val *value = key->value;
    if (yyjson_is_arr(value))
        value = yyjson_arr_get_first(value);
    uint32_t rank;
    if (yyjson_is_bool(value) || yyjson_is_null(value))
        rank = 1;
    else if (key->path->source == FQ_FILTER_TYPE)
        rank = 2;
    else
        rank = key->is_own ? 4 : 3;
    size_t len = yyjson_is_str(value) ? unsafe_yyjson_get_len(value) : 8;
    return rank << 16 | (uint32_t)(FQ_FILTER_KEY_VALUES_MAX - n_values) << 8
           | (uint32_t)(len < UINT8_MAX ? len : UINT8_MAX);
}

/* Enters |key| before the worse ones; nothing compares with never. */
static void
listening_add_key(fq_listening *self, const fq_filter_key *key,
                  uint32_t ranks[FQ_LISTENING_KEYS_MAX])
{
    bool is_never;
    size_t n_values = fq_predicate_n_listeners(key, &is_never);
    uint32_t rank = is_never || key->path == NULL ? UINT32_MAX
                    : n_values == 0               ? 0
                                                  : key_rank(key, n_values);
    if (rank == 0 || self->n_keys == FQ_LISTENING_KEYS_MAX)
        return;
    size_t i = self->n_keys++;
    for (; i > 0 && ranks[i - 1] < rank; i--) {
        ranks[i] = ranks[i - 1];
        self->keys[i] = self->keys[i - 1];
    }
    ranks[i] = rank;
    self->keys[i] = is_never ? fq_predicate_never : *key;
}

static void
listening_read_keys(fq_listening *self, const fq_filter_bound *bound,
                    uint32_t ranks[FQ_LISTENING_KEYS_MAX])
{
    if (bound == NULL)
        return;
    if (fq_filter_bound_is_never(bound))
        listening_add_key(self, &fq_predicate_never, ranks);
    fq_filter_key keys[FQ_LISTENING_KEYS_MAX];
    size_t n_keys = fq_filter_index_keys(bound, keys, FQ_LISTENING_KEYS_MAX);
    for (size_t i = 0; i < n_keys; i++)
        listening_add_key(self, &keys[i], ranks);
}

/* Chooses for each channel the best key that it takes, as long as that makes
 * not too many listeners. */
static void
listening_choose_keys(fq_listening *self, const fq_engine *engine,
                      const fq_listening_request *request)
{
    uint32_t ranks[FQ_LISTENING_KEYS_MAX];
    for (size_t i = 0; i < sizeof(request->filters) / sizeof(void *); i++)
        listening_read_keys(self, request->filters[i], ranks);
    self->n_listeners = self->n_names;
    for (size_t i = 0; i < self->n_names; i++) {
        self->by[i] = NULL;
        for (size_t k = 0; k < self->n_keys && self->by[i] == NULL; k++) {
            const fq_filter_key *key = &self->keys[k];
            bool is_never;
            size_t n_more = fq_predicate_n_listeners(key, &is_never) - 1;
            if (self->n_listeners + n_more > FQ_LISTENERS_MAX
                || !fq_predicate_index_takes(&engine->predicates,
                                             self->names[i], key))
                continue;
            self->by[i] = key;
            self->n_listeners += n_more;
        }
    }
}

static fq_status
listening_find_names(fq_listening *self, fq_engine *engine,
                     const fq_listening_request *request,
                     fq_gql_errors *errors)
{
    const fq_field *spec = request->spec;
    if (spec->templates != NULL) {
        fq_status status = listening_read_args(self, request);
        if (status == FQ_OK)
            status = listening_expand(self, request, &engine->scratch, errors);
        return status;
    }
    for (size_t i = 0; i < spec->n_channels; i++)
        listening_add(self, spec->channels[i]);
    return FQ_OK;
}

fq_status
fq_listening_init(fq_listening *self, fq_engine *engine,
                  const fq_listening_request *request, fq_gql_errors *errors)
{
    self->n_names = self->n_listeners = self->n_keys = 0;
    self->args = NULL;
    fq_status status = listening_find_names(self, engine, request, errors);
    if (status == FQ_OK)
        listening_choose_keys(self, engine, request);
    return status;
}

void
fq_listening_fini(fq_listening *self)
{
    fq_json_free(self->args);
    self->args = NULL;
}

fq_status
fq_listening_enter(const fq_listening *self, fq_engine *engine, fq_sub *sub)
{
    for (size_t i = 0; i < self->n_names; i++) {
        fq_status status = fq_predicate_index_add(
            &engine->predicates, self->names[i], self->by[i], sub,
            &sub->listeners[sub->n_listeners]);
        if (status != FQ_OK)
            return status;
        bool is_never;
        sub->n_listeners += fq_predicate_n_listeners(self->by[i], &is_never);
    }
    return FQ_OK;
}

/* Listeners are in the subscription's block until it moves. */
static void
listeners_free(fq_sub *sub, fq_listener *listeners)
{
    if (listeners != (fq_listener *)(sub + 1))
        fq_free(listeners);
}

void
fq_listening_leave(fq_engine *engine, fq_sub *sub)
{
    fq_predicate_index_remove(&engine->predicates, sub->listeners,
                              sub->n_listeners);
    listeners_free(sub, sub->listeners);
    sub->listeners = NULL;
    sub->n_listeners = 0;
}

fq_status
fq_listening_move(const fq_listening *self, fq_engine *engine, fq_sub *sub)
{
    fq_listener *old = sub->listeners;
    size_t n_old = sub->n_listeners;
    /* One too many, so that there is a block for none. */
    sub->listeners = fq_alloc((self->n_listeners + 1) * sizeof(fq_listener));
    sub->n_listeners = 0;
    fq_status status = FQ_ERR_NOMEM;
    if (sub->listeners != NULL)
        status = fq_listening_enter(self, engine, sub);
    if (status != FQ_OK) {
        fq_listening_leave(engine, sub);
        sub->listeners = old;
        sub->n_listeners = n_old;
        return status;
    }
    fq_predicate_index_remove(&engine->predicates, old, n_old);
    listeners_free(sub, old);
    return FQ_OK;
}
