/* SPDX-License-Identifier: MIT */
/* Where a subscription listens, worked out before it exists: the names of its
 * channels, filled in with its arguments and its context. Thread: reactor. */
#ifndef FQ_ENGINE_LISTENING_H
#define FQ_ENGINE_LISTENING_H

#include <stddef.h>

#include <yyjson.h>

#include "base/status.h"
#include "base/str.h"
#include "engine/engine.h"
#include "engine/field.h"

typedef struct fq_listening {
    fq_str names[FQ_FIELD_CHANNELS_MAX]; /* each once */
    size_t n_names;
    yyjson_doc *args; /* the root field's, if something asks for them */
} fq_listening;

/* What a subscription needs to have worked out where it listens. */
typedef struct fq_listening_request {
    const fq_plan *plan;
    const fq_field *spec;               /* of its root field */
    const fq_binding *binding;          /* of its variables and arguments */
    const fq_security_context *context; /* NULL: nobody */
} fq_listening_request;

/* Fills in |self|, whose names are valid as long as |request|'s parts and
 * until the engine's scratch buffer is used again; fq_listening_fini() is due
 * on every path. Errors: FQ_ERR_INVALID (a value that cannot be in a name:
 * an entry in |errors|, VALIDATION_ERROR for an argument, FORBIDDEN for the
 * context's), FQ_ERR_NOMEM. */
fq_status
fq_listening_init(fq_listening *self, fq_engine *engine,
                  const fq_listening_request *request, fq_gql_errors *errors);
void
fq_listening_fini(fq_listening *self);

/* Puts |sub| on all channels. sub->listeners has room for each. On failure
 * (FQ_ERR_NOMEM) those it is on are in sub->listeners. */
fq_status
fq_listening_enter(const fq_listening *self, fq_engine *engine, fq_sub *sub);

#endif
