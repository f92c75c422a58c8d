/* SPDX-License-Identifier: MIT */
/* A subscription field as the application declared it: what to listen on and
 * who makes its value. Immutable once it is in the engine's table. */
#ifndef FQ_ENGINE_FIELD_H
#define FQ_ENGINE_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "base/str.h"
#include "base/rcbuf.h"
#include "engine/channel_template.h"
#include "engine/filter/filter.h"
#include "engine/overflow.h"

typedef enum fq_field_kind {
    FQ_FIELD_EVENT, /* the event's data is the value: never touches Python */
    FQ_FIELD_RESOLVER, /* a call per event and subscription makes it */
    FQ_FIELD_SOURCE,   /* a source per subscription yields it; no channel */
} fq_field_kind;

/* What the value made for an event is. */
typedef enum fq_returns {
    FQ_RETURNS_FIELD, /* the root field's value */
    FQ_RETURNS_DATA,  /* an object holding it under the root field's name */
} fq_returns;

/* The most channels one field or subscription listens on. */
#define FQ_FIELD_CHANNELS_MAX 64

typedef struct fq_field {
    fq_str name;
    fq_field_kind kind;
    fq_returns returns;
    uint64_t token; /* opaque: names the resolver or source to its owner */
    uint64_t initial_token; /* likewise, of what is asked for the first value
                             * of each subscription; 0: nobody. Not for a
                             * source */
    bool is_shared;         /* a resolver's value for an event is that of every
                             * subscription of the same class: shared.h */
    const fq_str *channels; /* names; none for a source; none for another
                             * kind: the field's name */
    size_t n_channels;
    bool is_public;     /* events that name no tenant are for all who listen */
    bool has_templates; /* |channels| are templates, compiled by fq_field_new
                         * unless the field is a source */
    fq_channel_template **templates; /* as many as channels; NULL: none. The
                                      * copy's own */
    fq_str client_filter; /* the argument by which clients filter; ptr NULL:
                           * none */
    fq_filter *where;     /* what events it is about; a copy takes a reference.
                       * NULL: all */
    fq_overflow overflow; /* none for a source, which waits for room */
    fq_rcbuf *conflate_path; /* of FQ_OVERFLOW_CONFLATE, see conflate_key.h;
                              * else NULL. The copy has its own reference */
} fq_field;

/* A deep copy of |field|, whose templates are compiled. Errors: FQ_ERR_LIMIT
 * (too many channels, an overlong template), FQ_ERR_INVALID (no template),
 * FQ_ERR_NOMEM. */
fq_status
fq_field_new(const fq_field *field, fq_field **pcopy);
void
fq_field_free(fq_field *field);

#endif
