/* SPDX-License-Identifier: MIT */
/* The table of addresses, and its buckets. Thread: any, under its lock.
 *
 * Size: an entry stays while its address has connections, of which there are
 * max_connections at most, and then until its bucket is full again. Each
 * handshake looks at the two that left first, so they go faster than they
 * come. */
#include "reactor/admission.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"

/* Entries looked at per handshake. */
#define SWEEP_MAX 2

fq_status
fq_admission_init(fq_admission *self, const fq_admission_limits *limits,
                  fq_metrics *metrics)
{
    *self = (fq_admission){
        .limits = *limits,
        .metrics = metrics,
        .rate = fq_rate_make(limits->handshakes_per_s, 0),
        .address_rate = fq_rate_make(limits->handshakes_per_s_per_address, 0),
    };
    fq_map_init(&self->visitors);
    fq_list_init(&self->idle);
    return pthread_mutex_init(&self->lock, NULL) == 0 ? FQ_OK : FQ_ERR_NOMEM;
}

static fq_str
key_of(const fq_address *address)
{
    return fq_str_make((const char *)address->bytes, sizeof(address->bytes));
}

static void
forget(fq_admission *self, fq_visitor *visitor)
{
    fq_list_remove(&visitor->idle_node);
    self->n_idle--;
    fq_map_remove(&self->visitors, key_of(&visitor->address));
    fq_free(visitor);
}

static fq_visitor *
visitor_of_node(fq_list *node)
{
    return FQ_CONTAINER_OF(node, fq_visitor, idle_node);
}

void
fq_admission_fini(fq_admission *self)
{
    FQ_CHECK(self->n_open == 0);
    while (!fq_list_is_empty(&self->idle))
        forget(self, visitor_of_node(self->idle.next));
    FQ_CHECK(self->visitors.n_items == 0);
    fq_map_fini(&self->visitors);
    pthread_mutex_destroy(&self->lock);
}

/* Forgets some of those that need not be remembered. */
static void
sweep(fq_admission *self, uint64_t now_ns)
{
    for (int i = 0; i < SWEEP_MAX && !fq_list_is_empty(&self->idle); i++) {
        fq_visitor *first = visitor_of_node(self->idle.next);
        if (self->n_idle <= FQ_ADMISSION_IDLE_MAX
            && fq_rate_limit_owed_ns(&first->handshakes, &self->address_rate,
                                     now_ns)
                   > 0)
            return;
        forget(self, first);
    }
}

static bool
has_token(fq_rate_limit *limit, const fq_rate *rate, uint64_t now_ns)
{
    return !fq_rate_is_limited(rate) || fq_rate_limit_has(limit, rate, now_ns);
}

static void
take_token(fq_rate_limit *limit, const fq_rate *rate, uint64_t now_ns)
{
    if (fq_rate_is_limited(rate))
        fq_rate_limit_force(limit, rate, now_ns);
}

/* What keeps a connection of |visitor| (NULL: of nobody known so far) out.
 * What is cheapest to wait for comes first. */
static fq_refusal
judge(fq_admission *self, fq_visitor *visitor, uint64_t now_ns)
{
    const fq_admission_limits *limits = &self->limits;
    if (visitor != NULL
        && !has_token(&visitor->handshakes, &self->address_rate, now_ns))
        return FQ_REFUSAL_ADDRESS_HANDSHAKES;
    if (!has_token(&self->handshakes, &self->rate, now_ns))
        return FQ_REFUSAL_HANDSHAKES;
    if (visitor != NULL && limits->max_connections_per_address != 0
        && visitor->n_open >= limits->max_connections_per_address)
        return FQ_REFUSAL_ADDRESS_CONNECTIONS;
    if (self->n_open >= limits->max_connections)
        return FQ_REFUSAL_CONNECTIONS;
    return FQ_REFUSAL_NONE;
}

static void
count(fq_metrics *metrics, fq_refusal refusal)
{
    switch (refusal) {
    case FQ_REFUSAL_NONE:
        break;
    case FQ_REFUSAL_CONNECTIONS:
        FQ_METRIC_ADD(metrics, refused_connections, 1);
        break;
    case FQ_REFUSAL_ADDRESS_CONNECTIONS:
        FQ_METRIC_ADD(metrics, refused_address_connections, 1);
        break;
    case FQ_REFUSAL_HANDSHAKES:
        FQ_METRIC_ADD(metrics, refused_handshakes, 1);
        break;
    case FQ_REFUSAL_ADDRESS_HANDSHAKES:
        FQ_METRIC_ADD(metrics, refused_address_handshakes, 1);
        break;
    }
}

static fq_status
visitor_new(fq_admission *self, const fq_address *site, fq_visitor **pvisitor)
{
    fq_visitor *visitor = fq_alloc_zero(sizeof(*visitor));
    *pvisitor = visitor;
    if (visitor == NULL)
        return FQ_ERR_NOMEM;
    visitor->address = *site;
    fq_list_init(&visitor->idle_node);
    fq_status status = fq_map_add(&self->visitors, key_of(&visitor->address),
                                  visitor);
    if (status != FQ_OK) {
        fq_free(visitor);
        *pvisitor = NULL;
    }
    return status;
}

static fq_status
enter_locked(fq_admission *self, const fq_address *address, uint64_t now_ns,
             fq_visitor **pvisitor, fq_refusal *prefusal)
{
    fq_visitor *visitor = NULL;
    fq_address site;
    /* Where nothing is limited by address none is remembered. */
    bool is_by_address = address != NULL
                         && (self->limits.max_connections_per_address != 0
                             || fq_rate_is_limited(&self->address_rate));
    sweep(self, now_ns);
    if (is_by_address) {
        site = fq_address_site(address);
        visitor = fq_map_get(&self->visitors, key_of(&site));
    }
    *prefusal = judge(self, visitor, now_ns);
    if (*prefusal != FQ_REFUSAL_NONE)
        return FQ_ERR_LIMIT;
    if (is_by_address && visitor == NULL) {
        fq_status status = visitor_new(self, &site, &visitor);
        if (status != FQ_OK)
            return status;
    } else if (visitor != NULL && visitor->n_open == 0) {
        fq_list_remove(&visitor->idle_node);
        self->n_idle--;
    }
    take_token(&self->handshakes, &self->rate, now_ns);
    self->n_open++;
    if (visitor != NULL) {
        take_token(&visitor->handshakes, &self->address_rate, now_ns);
        visitor->n_open++;
    }
    *pvisitor = visitor;
    return FQ_OK;
}

fq_status
fq_admission_enter(fq_admission *self, const fq_address *address,
                   uint64_t now_ns, fq_visitor **pvisitor,
                   fq_refusal *prefusal)
{
    *pvisitor = NULL;
    *prefusal = FQ_REFUSAL_NONE;
    pthread_mutex_lock(&self->lock);
    fq_status status = enter_locked(self, address, now_ns, pvisitor, prefusal);
    pthread_mutex_unlock(&self->lock);
    count(self->metrics, *prefusal);
    return status;
}

void
fq_admission_leave(fq_admission *self, fq_visitor *visitor)
{
    pthread_mutex_lock(&self->lock);
    FQ_CHECK(self->n_open > 0);
    self->n_open--;
    if (visitor != NULL) {
        FQ_CHECK(visitor->n_open > 0);
        if (--visitor->n_open == 0) {
            fq_list_push_back(&self->idle, &visitor->idle_node);
            self->n_idle++;
            if (!fq_rate_is_limited(&self->address_rate))
                forget(self, visitor);
        }
    }
    pthread_mutex_unlock(&self->lock);
}

unsigned
fq_admission_retry_after_s(const fq_admission *self, fq_refusal refusal)
{
    const fq_rate *rate = refusal == FQ_REFUSAL_HANDSHAKES
                              ? &self->rate
                              : &self->address_rate;
    if (refusal != FQ_REFUSAL_HANDSHAKES
        && refusal != FQ_REFUSAL_ADDRESS_HANDSHAKES)
        return 1;
    /* One token grows in an interval. */
    uint64_t whole_s = (rate->interval_ns + FQ_NS_PER_S - 1) / FQ_NS_PER_S;
    return whole_s > 1 ? (unsigned)whole_s : 1;
}
