/* SPDX-License-Identifier: MIT */
/* Tenant isolation: an event that names a tenant is for contexts of that
 * tenant, and where tenants are told apart, one that names none is for nobody
 * but listeners of public fields. Thread: any; nothing here is changed once it
 * is made. */
#ifndef FQ_ENGINE_SECURITY_TENANT_H
#define FQ_ENGINE_SECURITY_TENANT_H

#include <stdbool.h>
#include <stddef.h>

#include <yyjson.h>

#include "base/error.h"
#include "base/status.h"
#include "base/str.h"
#include "bus/event.h"
#include "engine/security/context.h"

/* The deepest place in an event where its tenant is looked for. */
#define FQ_TENANT_STEPS_MAX 16

/* All zero: events are told apart by their envelope alone, and those that name
 * no tenant are for all. */
typedef struct fq_tenant_policy {
    bool is_multi_tenant;              /* an event must name its tenant */
    size_t n_steps;                    /* 0: only the envelope names tenants */
    fq_str steps[FQ_TENANT_STEPS_MAX]; /* keys into the data, outermost first;
                                        * of the policy's text */
} fq_tenant_policy;

typedef enum fq_tenant_kind {
    FQ_TENANT_NONE,    /* the event names no tenant */
    FQ_TENANT_NAMED,   /* it names one */
    FQ_TENANT_UNCLEAR, /* it names two, or something that is no name */
} fq_tenant_kind;

/* Whose an event is; worked out once per event. */
typedef struct fq_event_tenant {
    fq_tenant_kind kind;
    fq_str name; /* of FQ_TENANT_NAMED; lives as long as the event */
} fq_event_tenant;

/* Reads `multi_tenant` and `tenant_path` of |text|, which must outlive
 * |policy|. Errors: FQ_ERR_INVALID, FQ_ERR_LIMIT. */
fq_status
fq_tenant_read_policy(yyjson_val *text, fq_tenant_policy *policy,
                      fq_error *error);

/* An empty or null tenant is none; any other value that is no string, or a way
 * to it that ends in no object, is unclear. Cost: O(members on the way). */
fq_event_tenant
fq_tenant_of_event(const fq_tenant_policy *policy, const fq_event *event);

typedef enum fq_tenant_verdict {
    FQ_TENANT_ALLOWED,
    FQ_TENANT_FOREIGN, /* it belongs to another */
    FQ_TENANT_UNNAMED, /* it should belong to somebody */
    FQ_TENANT_REFUSED, /* whose it is, is unclear */
} fq_tenant_verdict;

/* Whether an event of |tenant| is for |context| (NULL: nobody).
 * |must_be_named|: those of no tenant are not. */
static inline fq_tenant_verdict
fq_tenant_judge(const fq_event_tenant *tenant, bool must_be_named,
                const fq_security_context *context)
{
    if (tenant->kind == FQ_TENANT_NONE)
        return must_be_named ? FQ_TENANT_UNNAMED : FQ_TENANT_ALLOWED;
    if (tenant->kind == FQ_TENANT_UNCLEAR)
        return FQ_TENANT_REFUSED;
    return context != NULL && context->tenant_id.len > 0
                   && fq_str_eq(context->tenant_id, tenant->name)
               ? FQ_TENANT_ALLOWED
               : FQ_TENANT_FOREIGN;
}

#endif
