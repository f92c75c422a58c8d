/* SPDX-License-Identifier: MIT */
/* The order in which the modules are asked, and what is counted. Thread:
 * reactor. */
#include "engine/security/security.h"

#include "base/clock.h"
#include "engine/security/federation.h"

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
                         const fq_event *event,
                         const fq_event_security *facts, uint64_t now_ns,
                         fq_metrics *metrics)
{
    (void)event;
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
    return true;
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
