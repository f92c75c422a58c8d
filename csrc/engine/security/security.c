/* SPDX-License-Identifier: MIT */
/* The order in which the modules are asked, and what is counted. Thread:
 * reactor. */
#include "engine/security/security.h"

#include "base/clock.h"
#include "engine/security/federation.h"

/* ── subscriptions ── */

void
fq_sub_security_fini(fq_sub_security *security)
{
    fq_filter_bound_unref(security->row);
    security->row = NULL;
}

uint64_t
fq_security_expires_at_ns(const fq_security_context *context, uint64_t now_ns,
                          uint64_t wall_ns)
{
    if (context == NULL || context->expires_at_ms == 0)
        return UINT64_MAX;
    if (context->expires_at_ms < 0 || wall_ns == 0)
        return now_ns;
    uint64_t at_ms = (uint64_t)context->expires_at_ms;
    uint64_t wall_ms = wall_ns / FQ_NS_PER_MS;
    if (at_ms <= wall_ms)
        return now_ns;
    uint64_t left_ms = at_ms - wall_ms;
    if (left_ms > (UINT64_MAX - now_ns) / FQ_NS_PER_MS)
        return UINT64_MAX;
    return now_ns + left_ms * FQ_NS_PER_MS;
}

/* Refuses without a place. */
static fq_status
refuse(fq_gql_errors *errors, const char *message)
{
    fq_gql_errors_add(errors, "FORBIDDEN", "%s", message);
    return errors->status == FQ_OK ? FQ_ERR_FORBIDDEN : errors->status;
}

/* Roles, and what |context| limits itself to. */
static fq_status
admit_rbac(const fq_security_request *request, const fq_field_mask **phidden,
           fq_gql_errors *errors)
{
    fq_rbac_policy none = {.schema = fq_plan_schema(request->plan)};
    fq_rbac_verdict verdict;
    fq_status status = fq_rbac_judge(
        request->policy == NULL ? &none : &request->policy->rbac,
        request->plan, request->context, phidden, &verdict, errors);
    if (status != FQ_OK)
        return status;
    if (verdict == FQ_RBAC_ALLOWED)
        return FQ_OK;
    if (verdict == FQ_RBAC_REFUSED_ROLE)
        FQ_METRIC_ADD(request->metrics, security_rbac_refused_role, 1);
    else
        FQ_METRIC_ADD(request->metrics, security_rbac_refused_field, 1);
    return FQ_ERR_FORBIDDEN;
}

static fq_status
admit_federation(const fq_security_request *request, fq_gql_errors *errors)
{
    bool is_allowed;
    fq_status status = fq_federation_judge(&request->policy->federation,
                                           request->plan, request->context,
                                           &is_allowed, errors);
    if (status != FQ_OK || is_allowed)
        return status;
    FQ_METRIC_ADD(request->metrics, security_federation_refused, 1);
    return FQ_ERR_FORBIDDEN;
}

fq_status
fq_security_admit(const fq_security_request *request,
                  const fq_field_mask **phidden, fq_gql_errors *errors)
{
    *phidden = NULL;
    const fq_policy *policy = request->policy;
    if (request->context == NULL)
        return policy == NULL ? FQ_OK
                              : refuse(errors, "Not allowed to subscribe.");
    if (policy != NULL && policy->schema != fq_plan_schema(request->plan))
        return refuse(errors, "The schema was replaced; subscribe again.");
    if (fq_security_expires_at_ns(request->context, request->now_ns,
                                  request->wall_ns)
        <= request->now_ns) {
        FQ_METRIC_ADD(request->metrics, security_expired_refused, 1);
        return refuse(errors, "The authorization has expired.");
    }
    if (policy == NULL && !request->context->has_fields)
        return FQ_OK;
    fq_status status = admit_rbac(request, phidden, errors);
    if (status == FQ_OK && policy != NULL)
        status = admit_federation(request, errors);
    if (status != FQ_OK) {
        fq_field_mask_unref(*phidden);
        *phidden = NULL;
    }
    return status;
}

static fq_status
bind_scope(const fq_security_request *request, const fq_binding *binding,
           fq_gql_errors *errors)
{
    fq_scope_verdict verdict;
    fq_status status = fq_scope_judge(
        &request->policy->scope, request->plan, request->variables,
        fq_rcbuf_str(binding->variables), request->context, &verdict, errors);
    if (status != FQ_OK || verdict == FQ_SCOPE_ALLOWED)
        return status;
    if (verdict == FQ_SCOPE_FOREIGN)
        FQ_METRIC_ADD(request->metrics, security_scope_refused_foreign, 1);
    else
        FQ_METRIC_ADD(request->metrics, security_scope_refused_missing, 1);
    return FQ_ERR_FORBIDDEN;
}

static fq_status
bind_row(const fq_security_request *request, const fq_binding *binding,
         fq_filter_bound **prow, fq_gql_errors *errors)
{
    fq_status status = fq_row_bind(
        &request->policy->row, fq_plan_root_name(request->plan),
        fq_rcbuf_str(binding->args), request->context, prow);
    if (status == FQ_OK || status == FQ_ERR_NOMEM)
        return status;
    fq_gql_errors_add(errors, "LIMIT_REACHED",
                      "Arguments are too large to compare events with.");
    return errors->status == FQ_OK ? FQ_ERR_LIMIT : errors->status;
}

fq_status
fq_security_bind(const fq_security_request *request, const fq_binding *binding,
                 fq_sub_security *psecurity, fq_gql_errors *errors)
{
    const fq_policy *policy = request->policy;
    *psecurity = (fq_sub_security){
        .expires_at_ns = fq_security_expires_at_ns(
            request->context, request->now_ns, request->wall_ns),
        .must_be_named = policy != NULL && policy->tenant.is_multi_tenant
                         && !request->is_public,
        .is_public = request->is_public,
    };
    if (policy == NULL)
        return FQ_OK;
    fq_status status = bind_scope(request, binding, errors);
    if (status == FQ_OK)
        status = bind_row(request, binding, &psecurity->row, errors);
    return status;
}

/* ── events ── */

void
fq_security_read_event(const fq_policy *policy, const fq_event *event,
                       fq_event_security *facts)
{
    static const fq_tenant_policy no_policy;
    *facts = (fq_event_security){
        .tenant = fq_tenant_of_event(
            policy == NULL ? &no_policy : &policy->tenant, event),
    };
    if (event->boundary != NULL)
        facts->boundary = fq_rcbuf_str(event->boundary);
}

/* Counts why |verdict| denies. */
static void
count_tenant(fq_tenant_verdict verdict, fq_metrics *metrics)
{
    if (verdict == FQ_TENANT_FOREIGN)
        FQ_METRIC_ADD(metrics, security_tenant_denied_foreign, 1);
    else if (verdict == FQ_TENANT_UNNAMED)
        FQ_METRIC_ADD(metrics, security_tenant_denied_unnamed, 1);
    else
        FQ_METRIC_ADD(metrics, security_tenant_denied_unclear, 1);
}

bool
fq_security_allows_event(const fq_sub_security *security,
                         const fq_security_context *context,
                         const fq_event *event, const fq_event_security *facts,
                         uint64_t now_ns, fq_metrics *metrics)
{
    if (now_ns >= security->expires_at_ns) {
        FQ_METRIC_ADD(metrics, security_expired_denied, 1);
        return false;
    }
    fq_tenant_verdict verdict = fq_tenant_judge(
        &facts->tenant, security->must_be_named, context);
    if (verdict != FQ_TENANT_ALLOWED) {
        count_tenant(verdict, metrics);
        return false;
    }
    if (!fq_federation_reaches(facts->boundary, context)) {
        FQ_METRIC_ADD(metrics, security_federation_denied, 1);
        return false;
    }
    if (security->row != NULL && !fq_filter_eval(security->row, event)) {
        FQ_METRIC_ADD(metrics, security_row_denied, 1);
        return false;
    }
    return true;
}
