/* SPDX-License-Identifier: MIT */
/* Orders: a ring that is never too full, as forgetting one is told. Thread:
 * reactor. */
#include "reactor/orders.h"

#include <string.h>

static const fq_close again = {
    .code = 1012,
    .reason_len = 13,
    .reason = "Connect again",
};

void
fq_orders_fini(fq_orders *self)
{
    for (size_t i = 0; i < FQ_ORDERS_MAX; i++)
        fq_rcbuf_unref(self->ring[i].texts);
}

void
fq_orders_add(fq_orders *self, const fq_live_query *query, fq_rcbuf *texts,
              const fq_close *close)
{
    fq_order *order = &self->ring[self->n_ever++ % FQ_ORDERS_MAX];
    fq_rcbuf_unref(order->texts);
    *order = (fq_order){.query = *query, .close = *close};
    order->texts = texts == NULL ? NULL : fq_rcbuf_ref(texts);
}

bool
fq_orders_find(const fq_orders *self, uint64_t since,
               const fq_security_context *context, fq_str connection_id,
               fq_close *pclose)
{
    *pclose = again;
    if (self->n_ever - since > FQ_ORDERS_MAX)
        return true;
    for (uint64_t n = since; n < self->n_ever; n++) {
        const fq_order *order = &self->ring[n % FQ_ORDERS_MAX];
        if (!fq_live_query_matches(&order->query, context, connection_id))
            continue;
        *pclose = order->close;
        return true;
    }
    return false;
}
