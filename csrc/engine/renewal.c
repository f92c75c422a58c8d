/* SPDX-License-Identifier: MIT */
/* A context in place of another. Thread: reactor.
 *
 * A token that was renewed as it is, the rule, costs a comparison per waiting
 * event and changes nothing. Claims are not compared for that: each token has
 * its own (iat, exp). Where rows look at claims, the events that wait are
 * judged by the new ones. */
#include "engine/renewal.h"

#include "engine/internal.h"
#include "engine/security/class.h"
#include "engine/start.h"

static bool
is_same(const fq_security_context *a, const fq_security_context *b)
{
    return fq_security_class_eq(a, b)
           && (a == NULL || fq_str_eq(a->user_id, b->user_id));
}

void
fq_renewal_mark(fq_engine *engine, fq_sub *sub,
                const fq_security_context *before)
{
    bool is_other = !is_same(before, sub->context);
    bool is_source_out = sub->kind == FQ_FIELD_SOURCE && sub->start == NULL;
    sub->was_renewed = true;
    if (is_other && sub->n_calls > 0 && !is_source_out)
        sub->n_outdated = sub->n_calls;
    if (sub->start != NULL && (is_other || sub->security.row != NULL))
        fq_start_drop(engine, sub);
}

bool
fq_renewal_judge(fq_engine *engine, const fq_sub *sub, const fq_event *event,
                 uint64_t now_ns)
{
    fq_event_security facts;
    fq_security_read_event(engine->policy, event, &facts);
    return fq_sub_filter_allows(&sub->filter, event)
           && fq_security_allows_event(&sub->security, sub->context, event,
                                       &facts, now_ns, engine->metrics);
}
