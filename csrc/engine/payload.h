/* SPDX-License-Identifier: MIT */
/* The payload of one `next`, made from a value or from an error; always
 * without its closing brace, see queue.h. Thread: reactor. */
#ifndef FQ_ENGINE_PAYLOAD_H
#define FQ_ENGINE_PAYLOAD_H

#include <yyjson.h>

#include "base/buf.h"
#include "base/rcbuf.h"
#include "base/str.h"
#include "engine/engine.h"

/* What |value| (NULL: null) gives who is bound to |variant|: its root field,
 * projected. |buf| is scratch. One reference, or NULL without memory. */
fq_rcbuf *
fq_payload_of_value(fq_plan_variant *variant, fq_returns returns,
                    yyjson_val *value, fq_buf *buf);

/* The root field null and |message| as an error of code RESOLVER_ERROR. */
fq_rcbuf *
fq_payload_of_error(fq_plan_variant *variant, fq_str message, fq_buf *buf);

/* The payload of an answer: of the value whose JSON |text| is, of the error
 * when |kind| is ERROR or FAIL or there is no making a value of the text;
 * counted. NULL when there is nothing to deliver (*pis_lost false) or no memory
 * (*pis_lost true). */
fq_rcbuf *
fq_payload_of_answer(fq_engine *engine, fq_plan_variant *variant,
                     fq_returns returns, fq_answer_kind kind, fq_str text,
                     bool *pis_lost);

#endif
