/* SPDX-License-Identifier: MIT */
/* What security does for the engine: it judges a subscription once, when it is
 * made, and each event for it, in the words of the five modules. It denies
 * what it cannot decide. Thread: reactor. */
#ifndef FQ_ENGINE_SECURITY_SECURITY_H
#define FQ_ENGINE_SECURITY_SECURITY_H

#include <stdbool.h>
#include <stdint.h>

#include "bus/event.h"
#include "engine/metrics.h"
#include "engine/security/context.h"
#include "engine/security/policy.h"
#include "engine/security/tenant.h"

/* What is worked out once per subscription; in its block. */
typedef struct fq_sub_security {
    uint64_t expires_at_ns; /* of the engine's clock; UINT64_MAX: never */
    bool must_be_named;     /* events of no tenant are not for it */
} fq_sub_security;

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
                         const fq_event *event,
                         const fq_event_security *facts, uint64_t now_ns,
                         fq_metrics *metrics);

/* When |context| (NULL: nobody) expires, as |now_ns| counts; |wall_ns| is the
 * time since 1970 at |now_ns|. 0, where it is not known, counts as too late
 * for any that expires. */
uint64_t
fq_security_expires_at_ns(const fq_security_context *context, uint64_t now_ns,
                          uint64_t wall_ns);

#endif
