/* SPDX-License-Identifier: MIT */
/* What security does for the engine: it judges a subscription once, when it is
 * made, and each event for it, in the words of the five modules. It denies
 * what it cannot decide. Thread: reactor. */
#ifndef FQ_ENGINE_SECURITY_SECURITY_H
#define FQ_ENGINE_SECURITY_SECURITY_H

#include <stdbool.h>
#include <stdint.h>

#include "bus/event.h"
#include "engine/filter/filter.h"
#include "engine/metrics.h"
#include "engine/security/context.h"
#include "engine/security/policy.h"
#include "engine/security/tenant.h"
#include "graphql/errors.h"
#include "graphql/plan.h"

/* What is worked out once per subscription; in its block. */
typedef struct fq_sub_security {
    uint64_t expires_at_ns; /* of the engine's clock; UINT64_MAX: never */
    fq_filter_bound *row;   /* one reference; NULL: every row */
    bool must_be_named;     /* events of no tenant are not for it */
    bool is_public;         /* its field is declared so */
} fq_sub_security;

/* When |context| (NULL: nobody) expires, as |now_ns| counts; |wall_ns| is the
 * time since 1970 at |now_ns|. 0, where it is not known, is too late for any
 * context that expires. */
uint64_t
fq_security_expires_at_ns(const fq_security_context *context, uint64_t now_ns,
                          uint64_t wall_ns);

/* NULL members are allowed. */
void
fq_sub_security_fini(fq_sub_security *security);

/* Who wants to subscribe to what. */
typedef struct fq_security_request {
    fq_policy *policy;                  /* NULL: there is none */
    fq_plan *plan;                      /* compiled for the policy's schema */
    const fq_security_context *context; /* NULL: nobody, who gets nothing where
                                         * there is a policy */
    yyjson_val *variables;              /* as given to fq_plan_bind() */
    bool is_public;                     /* the field is declared so */
    uint64_t now_ns;
    uint64_t wall_ns; /* since 1970, at now_ns; 0, where it is not known, is
                       * too late for any context that expires */
    fq_metrics *metrics;
} fq_security_request;

/* Before variables are looked at: expiry, roles, boundaries. *phidden gets one
 * reference on the mask to bind the plan with; NULL: nothing is hidden.
 * Errors: FQ_ERR_FORBIDDEN (one entry in |errors|; counted), FQ_ERR_NOMEM. */
fq_status
fq_security_admit(const fq_security_request *request,
                  const fq_field_mask **phidden, fq_gql_errors *errors);

/* After it was bound to |binding|: variable scope, and what events will be
 * judged by, in *psecurity. Errors: FQ_ERR_FORBIDDEN, FQ_ERR_LIMIT (values of
 * a row filter; one entry likewise), FQ_ERR_NOMEM. */
fq_status
fq_security_bind(const fq_security_request *request, const fq_binding *binding,
                 fq_sub_security *psecurity, fq_gql_errors *errors);

/* What is worked out once per event, for whoever hears it. Lives no longer
 * than the event. */
typedef struct fq_event_security {
    fq_event_tenant tenant;
    fq_str boundary; /* ptr NULL: none */
} fq_event_security;

/* |policy| NULL: there is none. */
void
fq_security_read_event(const fq_policy *policy, const fq_event *event,
                       fq_event_security *facts);

/* Whether |event|, of which |facts| were read, may reach the subscription of
 * |context| (NULL: nobody) that |security| is of. A refusal is counted in
 * |metrics| and leaves no other trace. No allocation; < 200 ns and what the
 * row filter costs. */
bool
fq_security_allows_event(const fq_sub_security *security,
                         const fq_security_context *context,
                         const fq_event *event, const fq_event_security *facts,
                         uint64_t now_ns, fq_metrics *metrics);

#endif
