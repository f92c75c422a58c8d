/* SPDX-License-Identifier: MIT */
/* The query string of a URL as the form that it is, `name=value&name=value`
 * (application/x-www-form-urlencoded, WHATWG URL 5.1). Plain functions: any
 * thread. */
#ifndef FQ_PROTOCOL_FORM_H
#define FQ_PROTOCOL_FORM_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/str.h"

/* Appends the value of the first |name| of |form| to |buf|, decoded; false:
 * there is none. The bytes may be no UTF-8. Failures are in fq_buf_status().
 * Cost: linear. */
bool
fq_form_get(fq_str form, fq_str name, fq_buf *buf);

#endif
