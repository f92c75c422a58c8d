/* SPDX-License-Identifier: MIT */
/* One message on its way into a port's queue, by the policy of its
 * subscription, and what is counted of it. Thread: reactor. */
#ifndef FQ_REACTOR_DELIVERY_H
#define FQ_REACTOR_DELIVERY_H

#include "engine/engine.h"
#include "reactor/port.h"

/* Queues |payload| (borrowed, without its closing brace) for |sub| within
 * |head| (borrowed), whose last |tail_len| bytes come behind it. What is lost,
 * of this or another subscription, is counted and told. Errors: FQ_ERR_FULL:
 * nothing may be lost for |sub|, so the client is too slow; all else is dealt
 * with. */
fq_status
fq_delivery_queue(fq_port *port, fq_metrics *metrics, fq_sub *sub,
                  fq_rcbuf *head, uint8_t tail_len, fq_rcbuf *payload);

/* Queues |text| (one reference, stolen in any case), a message that is no
 * delivery; deliveries make room for it. Errors: as fq_port_offer. */
fq_status
fq_delivery_queue_text(fq_port *port, fq_metrics *metrics, fq_rcbuf *text);

#endif
