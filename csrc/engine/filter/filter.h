/* SPDX-License-Identifier: MIT */
/* Filters: what an application, or a client, says about the events it wants,
 * as a small program. A filter is compiled once, bound once per subscription,
 * which puts the values of arguments and context into it, and evaluated per
 * event.
 *
 * A filter lets an event through if it is true. Comparisons are those of
 * value.h: one that cannot be made is unknown, `not` leaves it so, `and` and
 * `or` are Kleene's. So `not` never turns a missing value into permission.
 *
 * Compiling moves every `not` down to the comparisons; what is left, and, or
 * and comparisons that hold or do not, is a chain of comparisons that each
 * know where to go on either outcome: always forward, so that evaluating takes
 * at most as many steps as there are comparisons, and neither stack nor
 * memory. */
#ifndef FQ_ENGINE_FILTER_FILTER_H
#define FQ_ENGINE_FILTER_FILTER_H

#include <stdbool.h>
#include <stddef.h>

#include <yyjson.h>

#include "base/error.h"
#include "base/status.h"
#include "base/str.h"
#include "bus/event.h"
#include "engine/filter/expression.h"
#include "engine/filter/value.h"
#include "engine/security/context.h"

/* Bytes that the values of one binding take, 16 for each item of a list: they
 * come from clients, and a list is walked per event. */
#define FQ_FILTER_BOUND_BYTES_MAX (64 * 1024)

/* Alternatives of one key: beyond it an `in` is not worth an index. */
#define FQ_FILTER_KEY_VALUES_MAX 32

/* Immutable and counted: any thread. */
typedef struct fq_filter fq_filter;
/* A filter with all values but the event's; likewise. */
typedef struct fq_filter_bound fq_filter_bound;

/* What of an event is compared; a part of its filter. */
typedef struct fq_filter_path {
    fq_filter_source source; /* data, type, channel or created_at */
    size_t n_steps;          /* of data: at least one; else 0 */
    const fq_str *steps;     /* keys, outermost first */
    fq_str id; /* the same bytes for the same path of any filter, different
                * ones for different paths */
} fq_filter_path;

/* Compiles Python's notation, see expression.h; |ir| is not needed after.
 * *pfilter gets one reference. Errors: FQ_ERR_INVALID, FQ_ERR_LIMIT,
 * FQ_ERR_NOMEM; |error| has a sentence. */
fq_status
fq_filter_compile(yyjson_val *ir, fq_filter **pfilter, fq_error *error);

/* The same for a tree, whoever read it. */
fq_status
fq_filter_compile_tree(const fq_filter_tree *tree, const fq_filter_node *root,
                       fq_filter **pfilter);

fq_filter *
fq_filter_ref(fq_filter *filter);
/* NULL is allowed. */
void
fq_filter_unref(fq_filter *filter);

/* Shows |cb| every path of the event that |filter| may look at, until it says
 * no; false if it did. */
bool
fq_filter_each_path(const fq_filter *filter,
                    bool (*cb)(const fq_filter_path *path, void *arg),
                    void *arg);

/* Puts arguments (an object; NULL: none) and context (NULL: nobody) into
 * |filter| and works out whatever no event can change. They are not needed
 * after. *pbound gets one reference; a filter that uses neither is bound once
 * for all. Errors: FQ_ERR_LIMIT (FQ_FILTER_BOUND_BYTES_MAX), FQ_ERR_NOMEM. */
fq_status
fq_filter_bind(fq_filter *filter, yyjson_val *args,
               const fq_security_context *context, fq_filter_bound **pbound);

fq_filter_bound *
fq_filter_bound_ref(fq_filter_bound *bound);
/* NULL is allowed. */
void
fq_filter_bound_unref(fq_filter_bound *bound);

/* Whether it lets every event through, or none, whatever the event. */
bool
fq_filter_bound_is_always(const fq_filter_bound *bound);
bool
fq_filter_bound_is_never(const fq_filter_bound *bound);

/* Bytes that are this binding's own, for metrics. */
size_t
fq_filter_bound_n_bytes(const fq_filter_bound *bound);

/* Whether |event| passes. Cost: O(comparisons), each a walk along its path
 * and the comparison; no allocation, no recursion. */
bool
fq_filter_eval(const fq_filter_bound *bound, const fq_event *event);

/* An equality that must hold for an event to pass: its path has one of the
 * values. Both live as long as the binding. */
typedef struct fq_filter_key {
    const fq_filter_path *path;
    yyjson_val *value; /* a scalar, or a list of at most
                        * FQ_FILTER_KEY_VALUES_MAX items, for `in` */
    bool is_own;       /* |value| came with arguments or context: another
                        * binding has another one */
} fq_filter_key;

/* Writes up to |max_keys| such equalities, in the order of the filter, and
 * returns how many. An event that passes has a value of each of them. */
size_t
fq_filter_index_keys(const fq_filter_bound *bound, fq_filter_key *keys,
                     size_t max_keys);

/* The |i|-th alternative of |key| as bytes: *pvalue points into |room| (of
 * FQ_FILTER_KEY_ROOM bytes) or the binding. FQ_ERR_AGAIN: that one equals no
 * event's value, or came before: go on with the next. FQ_ERR_NOT_FOUND: there
 * are no more. */
fq_status
fq_filter_key_value(const fq_filter_key *key, size_t i, char *room,
                    fq_str *pvalue);

/* The bytes of what |event| has at |path|: those of an alternative exactly if
 * the two are equal. False if it equals nothing: missing, a list, an object.
 * *pvalue points into |room| or |event|. */
bool
fq_filter_event_key(const fq_filter_path *path, const fq_event *event,
                    char *room, fq_str *pvalue);

/* A copy of |path| in one block, for who outlives the filter. To be freed by
 * fq_free. Errors: FQ_ERR_NOMEM. */
fq_status
fq_filter_path_copy(const fq_filter_path *path, fq_filter_path **pcopy);

#endif
