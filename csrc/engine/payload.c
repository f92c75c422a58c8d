/* SPDX-License-Identifier: MIT */
/* Projection into a scratch buffer that keeps its memory, then one exact copy
 * that is shared: so a payload costs one allocation. Thread: reactor. */
#include "engine/payload.h"

#include "engine/internal.h"
#include "json/reader.h"

/* A scratch buffer that one large payload has blown up beyond this is given
 * back; 64 KiB is more than events commonly have. */
#define PAYLOAD_SCRATCH_KEPT (64u << 10)

/* What a client reads when a value could not be read or projected. */
static const char text_no_value[]
    = "The value of this field could not be made.";

static fq_rcbuf *
payload_finish(fq_buf *buf)
{
    fq_rcbuf *payload;
    (void)fq_buf_to_rcbuf(buf, &payload);
    if (buf->cap > PAYLOAD_SCRATCH_KEPT)
        fq_buf_fini(buf);
    return payload;
}

fq_rcbuf *
fq_payload_of_value(fq_plan_variant *variant, fq_returns returns,
                    yyjson_val *value, fq_buf *buf)
{
    if (returns == FQ_RETURNS_DATA) {
        const fq_plan *plan = fq_plan_variant_plan(variant);
        value = fq_json_get(value, fq_plan_root_name(plan));
    }
    fq_buf_clear(buf);
    fq_status status = fq_plan_variant_project(variant, value, buf);
    return status == FQ_OK ? payload_finish(buf) : NULL;
}

fq_rcbuf *
fq_payload_of_error(fq_plan_variant *variant, fq_str message, fq_buf *buf)
{
    fq_buf_clear(buf);
    fq_plan_variant_write_root_error(variant, message, "RESOLVER_ERROR", buf);
    return payload_finish(buf);
}

fq_rcbuf *
fq_payload_of_answer(fq_engine *engine, fq_plan_variant *variant,
                     fq_returns returns, fq_answer_kind kind, fq_str text,
                     bool *pis_lost)
{
    fq_rcbuf *payload = NULL;
    *pis_lost = false;
    if (kind == FQ_ANSWER_VALUE) {
        yyjson_doc *doc;
        if (fq_json_read(text, FQ_JSON_LONE_SURROGATES, &doc, NULL) == FQ_OK) {
            payload = fq_payload_of_value(
                variant, returns, yyjson_doc_get_root(doc), &engine->scratch);
            fq_json_free(doc);
            FQ_METRIC_ADD(engine->metrics, projections, 1);
        }
        text = fq_str_of(text_no_value);
    } else if (kind != FQ_ANSWER_ERROR && kind != FQ_ANSWER_FAIL) {
        return NULL;
    }
    if (payload == NULL) {
        FQ_METRIC_ADD(engine->metrics, resolver_errors, 1);
        payload = fq_payload_of_error(variant, text, &engine->scratch);
    }
    *pis_lost = payload == NULL;
    return payload;
}
