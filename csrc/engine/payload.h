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

/* What |value| (NULL: null) gives |sub|: its root field, projected. |buf| is
 * scratch. One reference, or NULL without memory. */
fq_rcbuf *
fq_payload_of_value(const fq_sub *sub, yyjson_val *value, fq_buf *buf);

/* The root field null and |message| as an error of code RESOLVER_ERROR. */
fq_rcbuf *
fq_payload_of_error(const fq_sub *sub, fq_str message, fq_buf *buf);

#endif
