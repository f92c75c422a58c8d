/* SPDX-License-Identifier: MIT */
/* Where a subscription listens, worked out before it exists: the names of its
 * channels, filled in with its arguments and its context, and on each the key
 * by which events find it, if its filters have one. Thread: reactor. */
#ifndef FQ_ENGINE_LISTENING_H
#define FQ_ENGINE_LISTENING_H

#include <stddef.h>

#include <yyjson.h>

#include "base/status.h"
#include "base/str.h"
#include "engine/engine.h"
#include "engine/field.h"
#include "engine/predicate_index.h"

/* The most listeners of one subscription: beyond it, it meets all events of
 * its channels. */
#define FQ_LISTENERS_MAX 128

/* Keys looked at to find the best one. */
#define FQ_LISTENING_KEYS_MAX 8

typedef struct fq_listening {
    fq_str names[FQ_FIELD_CHANNELS_MAX];            /* each once */
    const fq_filter_key *by[FQ_FIELD_CHANNELS_MAX]; /* by name; NULL: it meets
                                                     * every event */
    size_t n_names;
    size_t n_listeners;
    fq_filter_key keys[FQ_LISTENING_KEYS_MAX]; /* what its filters ask, the
                                                * most selective first */
    size_t n_keys;
    yyjson_doc *args; /* the root field's, if something asks for them */
} fq_listening;

/* What a subscription needs to have worked out where it listens. */
typedef struct fq_listening_request {
    const fq_plan *plan;
    const fq_field *spec;               /* of its root field */
    const fq_binding *binding;          /* of its variables and arguments */
    const fq_security_context *context; /* NULL: nobody */
    /* That an event must pass, bound to the same; NULL: none. Keys refer to
     * them. Not those of security, whose refusals are counted one by one. */
    const fq_filter_bound *filters[2];
} fq_listening_request;

/* Fills in |self|, whose names are valid as long as |request|'s parts and
 * until the engine's scratch buffer is used again; fq_listening_fini() is due
 * on every path. Errors: FQ_ERR_INVALID (a value that cannot be in a name:
 * an entry in |errors|, VALIDATION_ERROR), FQ_ERR_FORBIDDEN (one of the
 * context's), FQ_ERR_NOMEM. */
fq_status
fq_listening_init(fq_listening *self, fq_engine *engine,
                  const fq_listening_request *request, fq_gql_errors *errors);
void
fq_listening_fini(fq_listening *self);

/* Puts |sub| on all channels. sub->listeners has room for n_listeners. On
 * failure (FQ_ERR_NOMEM) those it is on are in sub->listeners. */
fq_status
fq_listening_enter(const fq_listening *self, fq_engine *engine, fq_sub *sub);

/* Whether |sub| is on |channel| (NULL: on none). */
static inline bool
fq_sub_is_on(const fq_sub *sub, const fq_channel *channel)
{
    for (size_t i = 0; i < sub->n_listeners; i++) {
        if (fq_listener_is_on(&sub->listeners[i], channel))
            return true;
    }
    return false;
}

/* Takes |sub| off all channels and frees what that took. Never fails. */
void
fq_listening_leave(fq_engine *engine, fq_sub *sub);

/* Puts |sub| on these channels instead of those it is on. Where it was already
 * it never ceases to listen: an event that is being dispatched meets it once.
 * Errors: FQ_ERR_NOMEM (nothing has changed). */
fq_status
fq_listening_move(const fq_listening *self, fq_engine *engine, fq_sub *sub);

#endif
