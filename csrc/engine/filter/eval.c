/* SPDX-License-Identifier: MIT */
/* Evaluating bound filters, and what an index of them needs. No allocation,
 * no recursion. Thread: any; events are the reactor's. */
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "engine/filter/program.h"
#include "json/reader.h"

yyjson_val *
fq_filter_walk(yyjson_val *object, const fq_str *steps, size_t n_steps)
{
    for (size_t i = 0; i < n_steps && object != NULL; i++)
        object = fq_json_get(object, steps[i]);
    return object;
}

fq_filter_truth
fq_filter_compare(fq_filter_op op, yyjson_val *a, yyjson_val *b)
{
    int order;
    switch (op) {
    case FQ_FILTER_EQ:
        return fq_filter_value_equal(a, b);
    case FQ_FILTER_LT:
        order = fq_filter_value_compare(a, b);
        return order == FQ_FILTER_UNORDERED ? FQ_FILTER_UNKNOWN
               : order < 0                  ? FQ_FILTER_TRUE
                                            : FQ_FILTER_FALSE;
    case FQ_FILTER_LE:
        order = fq_filter_value_compare(a, b);
        return order == FQ_FILTER_UNORDERED ? FQ_FILTER_UNKNOWN
               : order <= 0                 ? FQ_FILTER_TRUE
                                            : FQ_FILTER_FALSE;
    case FQ_FILTER_IN:
        return fq_filter_value_is_in(a, b);
    case FQ_FILTER_CONTAINS:
        return fq_filter_value_contains(a, b);
    case FQ_FILTER_STARTS_WITH:
        return fq_filter_value_starts_with(a, b);
    case FQ_FILTER_EXISTS:
        return a != NULL ? FQ_FILTER_TRUE : FQ_FILTER_FALSE;
    }
    return FQ_FILTER_UNKNOWN;
}

/* What |event| has at |path|; |room| is for what is no part of its data. */
static yyjson_val *
event_value(const fq_filter_path *path, const fq_event *event,
            yyjson_val *room)
{
    switch (path->source) {
    case FQ_FILTER_DATA:
        return fq_filter_walk(yyjson_doc_get_root(event->doc), path->steps,
                              path->n_steps);
    case FQ_FILTER_TYPE:
        unsafe_yyjson_set_strn(room, event->event_type->bytes,
                               event->event_type->len);
        return room;
    case FQ_FILTER_CHANNEL:
        unsafe_yyjson_set_strn(room, event->channel->bytes,
                               event->channel->len);
        return room;
    case FQ_FILTER_CREATED_AT:
        unsafe_yyjson_set_real(room, (double)event->created_at_ns / 1e9);
        return room;
    default:
        return NULL;
    }
}

/* The value that |operand| of a step of |bound| refers to. */
static inline yyjson_val *
load(const fq_filter_bound *bound, uint16_t operand, const fq_event *event,
     yyjson_val *room)
{
    if (operand & FQ_FILTER_OWN)
        return &bound->values[operand & ~FQ_FILTER_OWN];
    const fq_filter_input *input = &bound->filter->inputs[operand];
    if (input->constant != NULL)
        return input->constant;
    return event_value(&input->path, event, room);
}

bool
fq_filter_eval(const fq_filter_bound *bound, const fq_event *event)
{
    uint16_t at = bound->entry;
    while (at < FQ_FILTER_REJECT) {
        const fq_filter_step *step = &bound->steps[at];
        yyjson_val rooms[2];
        yyjson_val *a = load(bound, step->a, event, &rooms[0]);
        yyjson_val *b = step->b == step->a
                            ? a
                            : load(bound, step->b, event, &rooms[1]);
        fq_filter_truth truth = fq_filter_compare(step->op, a, b);
        bool holds = truth
                     == (step->is_negated ? FQ_FILTER_FALSE : FQ_FILTER_TRUE);
        uint16_t next = holds ? step->on_true : step->on_false;
        FQ_CHECK(next > at);
        at = next;
    }
    return at == FQ_FILTER_ACCEPT;
}

/* -- keys ----------------------------------------------------------------- */

/* The value of |operand|, or NULL when it is the event's; then *ppath. */
static yyjson_val *
peek(const fq_filter_bound *bound, uint16_t operand,
     const fq_filter_path **ppath)
{
    *ppath = NULL;
    if (operand & FQ_FILTER_OWN)
        return &bound->values[operand & ~FQ_FILTER_OWN];
    const fq_filter_input *input = &bound->filter->inputs[operand];
    if (input->constant == NULL)
        *ppath = &input->path;
    return input->constant;
}

/* Whether |step| says that a path has one of a few values. */
static bool
step_key(const fq_filter_bound *bound, const fq_filter_step *step,
         fq_filter_key *key)
{
    const fq_filter_path *a_path, *b_path;
    yyjson_val *a = peek(bound, step->a, &a_path);
    yyjson_val *b = peek(bound, step->b, &b_path);
    if (step->is_negated)
        return false;
    if (step->op == FQ_FILTER_EQ && a_path != NULL && b != NULL)
        *key = (fq_filter_key){.path = a_path, .value = b};
    else if (step->op == FQ_FILTER_EQ && a != NULL && b_path != NULL)
        *key = (fq_filter_key){.path = b_path, .value = a};
    else if (step->op == FQ_FILTER_IN && a_path != NULL && yyjson_is_arr(b)
             && yyjson_arr_size(b) <= FQ_FILTER_KEY_VALUES_MAX)
        *key = (fq_filter_key){.path = a_path, .value = b};
    else
        return false;
    key->is_own = ((step->a | step->b) & FQ_FILTER_OWN) != 0;
    /* A list equals nothing, and is no list of alternatives either. */
    return step->op == FQ_FILTER_IN || !yyjson_is_ctn(key->value);
}

/* A step must hold if every way to ACCEPT meets it, and it leads to REJECT
 * when it does not. Every way meets it if no step before it leads past it
 * (other than to REJECT): |furthest| is the furthest any does. */
size_t
fq_filter_index_keys(const fq_filter_bound *bound, fq_filter_key *keys,
                     size_t max_keys)
{
    size_t n_keys = 0;
    uint16_t furthest = bound->entry;
    for (uint16_t i = 0; i < bound->n_steps && n_keys < max_keys; i++) {
        const fq_filter_step *step = &bound->steps[i];
        if (furthest <= i && step->on_false == FQ_FILTER_REJECT
            && step_key(bound, step, &keys[n_keys]))
            n_keys++;
        if (step->on_true != FQ_FILTER_REJECT && step->on_true > furthest)
            furthest = step->on_true;
        if (step->on_false != FQ_FILTER_REJECT && step->on_false > furthest)
            furthest = step->on_false;
    }
    return n_keys;
}

fq_status
fq_filter_key_value(const fq_filter_key *key, size_t i, char *room,
                    fq_str *pvalue)
{
    *pvalue = fq_str_make(NULL, 0);
    yyjson_val *value = key->value;
    if (yyjson_is_arr(value)) {
        value = yyjson_arr_get(value, i);
        for (size_t j = 0; j < i && value != NULL; j++) {
            yyjson_val *before = yyjson_arr_get(key->value, j);
            if (fq_filter_value_equal(before, value) == FQ_FILTER_TRUE)
                return FQ_ERR_AGAIN;
        }
    } else if (i > 0) {
        value = NULL;
    }
    if (value == NULL)
        return FQ_ERR_NOT_FOUND;
    return fq_filter_value_key(value, room, pvalue) ? FQ_OK : FQ_ERR_AGAIN;
}

bool
fq_filter_event_key(const fq_filter_path *path, const fq_event *event,
                    char *room, fq_str *pvalue)
{
    yyjson_val value_room;
    yyjson_val *value = event_value(path, event, &value_room);
    /* A text in |value_room| is the event's own. */
    return fq_filter_value_key(value, room, pvalue);
}

fq_status
fq_filter_path_copy(const fq_filter_path *path, fq_filter_path **pcopy)
{
    fq_filter_path *copy = fq_alloc(
        sizeof(*copy) + path->n_steps * sizeof(fq_str) + path->id.len);
    *pcopy = copy;
    if (copy == NULL)
        return FQ_ERR_NOMEM;
    fq_str *steps = (fq_str *)(copy + 1);
    char *id = (char *)(steps + path->n_steps);
    memcpy(id, path->id.ptr, path->id.len);
    *copy = *path;
    copy->id.ptr = id;
    copy->steps = steps;
    for (size_t i = 0; i < path->n_steps; i++)
        steps[i] = fq_str_make(id + (path->steps[i].ptr - path->id.ptr),
                               path->steps[i].len);
    return FQ_OK;
}
