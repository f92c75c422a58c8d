/* SPDX-License-Identifier: MIT */
/* What one subscription says about the events it wants: the filter its field
 * was declared with, and the one its client sent, with arguments and context
 * in them. Both must let an event through. Thread: reactor. */
#ifndef FQ_ENGINE_SUB_FILTER_H
#define FQ_ENGINE_SUB_FILTER_H

#include <stdbool.h>

#include <yyjson.h>

#include "base/status.h"
#include "bus/event.h"
#include "engine/field.h"
#include "engine/filter/filter.h"
#include "engine/security/context.h"
#include "engine/security/policy.h"
#include "graphql/errors.h"
#include "graphql/plan.h"
#include "graphql/schema.h"

typedef struct fq_sub_filter {
    fq_filter_bound *where;  /* of the field; NULL: everything */
    fq_filter_bound *client; /* of the client; NULL: everything */
} fq_sub_filter;

/* What a subscription's filters are made from. */
typedef struct fq_sub_filter_request {
    const fq_field *field;              /* declared */
    const fq_binding *binding;          /* the root field's arguments */
    const fq_security_context *context; /* NULL: nobody */
    const fq_schema *schema;            /* NULL: none */
    const fq_policy *policy; /* says what fields a client may filter by; NULL:
                              * none */
} fq_sub_filter_request;

/* Binds the field's filter, and compiles and binds the client's. Errors:
 * FQ_ERR_INVALID (the argument is no filter: VALIDATION_ERROR in |errors|),
 * FQ_ERR_LIMIT (likewise LIMIT_REACHED), FQ_ERR_NOMEM. */
fq_status
fq_sub_filter_init(fq_sub_filter *filter, const fq_sub_filter_request *request,
                   fq_gql_errors *errors);
void
fq_sub_filter_fini(fq_sub_filter *filter);

/* Bytes held, for metrics. */
size_t
fq_sub_filter_n_bytes(const fq_sub_filter *filter);

static inline bool
fq_sub_filter_allows(const fq_sub_filter *filter, const fq_event *event)
{
    return (filter->where == NULL || fq_filter_eval(filter->where, event))
           && (filter->client == NULL
               || fq_filter_eval(filter->client, event));
}

#endif
