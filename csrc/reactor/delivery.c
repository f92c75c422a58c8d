/* SPDX-License-Identifier: MIT */
/* Deliveries. Thread: reactor. */
#include "reactor/delivery.h"

fq_status
fq_delivery_queue(fq_port *port, fq_metrics *metrics, fq_sub *sub,
                  fq_rcbuf *head, uint8_t tail_len, fq_rcbuf *payload)
{
    fq_queue_item item = {
        .head = fq_rcbuf_ref(head),
        .body = fq_rcbuf_ref(payload),
        .position = sub->next_position,
        .sub_id = sub->id,
        .n_dropped = sub->n_carried,
        .overflow = (uint8_t)sub->overflow,
        .tail_len = tail_len,
        .position_as = sub->position_as,
    };
    fq_rcbuf *key = sub->next_key;
    sub->next_key = NULL;
    sub->next_position = NULL;
    fq_status status = fq_port_offer(port, &item, key, metrics, true);
    fq_rcbuf_unref(key);
    if (status == FQ_OK) {
        sub->n_carried = 0;
        return FQ_OK;
    }
    fq_queue_item_fini(&item);
    FQ_METRIC_ADD(metrics, deliveries_dropped, 1);
    if (sub->n_carried < UINT32_MAX)
        sub->n_carried++;
    if (status != FQ_ERR_FULL)
        return FQ_OK;
    if (sub->overflow == FQ_OVERFLOW_DISCONNECT)
        return FQ_ERR_FULL;
    FQ_METRIC_ADD(metrics, dropped_newest, 1);
    return FQ_OK;
}

fq_status
fq_delivery_queue_text(fq_port *port, fq_metrics *metrics, fq_rcbuf *text)
{
    fq_queue_item item = {.head = text};
    fq_status status = fq_port_offer(port, &item, NULL, metrics, false);
    if (status != FQ_OK)
        fq_rcbuf_unref(text);
    return status;
}
