/* SPDX-License-Identifier: MIT */
/* Projection into a scratch buffer that keeps its memory, then one exact copy
 * that is shared: so a payload costs one allocation. Thread: reactor. */
#include "engine/payload.h"

#include "json/reader.h"

/* A scratch buffer that one large payload has blown up beyond this is given
 * back; 64 KiB is more than events commonly have. */
#define PAYLOAD_SCRATCH_KEPT (64u << 10)

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
fq_payload_of_value(const fq_sub *sub, yyjson_val *value, fq_buf *buf)
{
    fq_plan_variant *variant = sub->binding.variant;
    if (sub->returns == FQ_RETURNS_DATA) {
        const fq_plan *plan = fq_plan_variant_plan(variant);
        value = fq_json_get(value, fq_plan_root_name(plan));
    }
    fq_buf_clear(buf);
    fq_status status = fq_plan_variant_project(variant, value, buf);
    return status == FQ_OK ? payload_finish(buf) : NULL;
}

fq_rcbuf *
fq_payload_of_error(const fq_sub *sub, fq_str message, fq_buf *buf)
{
    fq_buf_clear(buf);
    fq_plan_variant_write_root_error(sub->binding.variant, message,
                                     "RESOLVER_ERROR", buf);
    return payload_finish(buf);
}
