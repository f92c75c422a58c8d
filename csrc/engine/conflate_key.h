/* SPDX-License-Identifier: MIT */
/* What a conflating field conflates by: a path like `order.id` into an event's
 * data, and the value found there. Thread: reactor. */
#ifndef FQ_ENGINE_CONFLATE_KEY_H
#define FQ_ENGINE_CONFLATE_KEY_H

#include <yyjson.h>

#include "base/buf.h"
#include "base/rcbuf.h"
#include "base/status.h"
#include "base/str.h"

/* *pkey gets the text of the scalar at |path|, names joined by dots, in
 * |data|: of a string its bytes, of a number or bool its JSON, so that the ids
 * 7 and "7" are one, as for a client. NULL, with FQ_OK, when there is none:
 * what has no key is never conflated. |scratch| is cleared. Errors:
 * FQ_ERR_NOMEM. */
fq_status
fq_conflate_key_new(fq_str path, yyjson_val *data, fq_buf *scratch,
                    fq_rcbuf **pkey);

#endif
