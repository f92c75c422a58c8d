/* SPDX-License-Identifier: MIT */
/* JSON text out of trees and scalars, straight into an fq_buf. Output is
 * compact and strict UTF-8; lone surrogates (WTF-8 bytes from the reader)
 * leave as \uXXXX escapes; of duplicate keys only the last is written, in the
 * place of the first, as JSON.parse + JSON.stringify would. */
#ifndef FQ_JSON_WRITER_H
#define FQ_JSON_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include <yyjson.h>

#include "base/buf.h"
#include "base/str.h"

/* |s|, which is UTF-8 or WTF-8, in quotes with the escapes RFC 8259 demands
 * (control characters, quote, backslash) and lone surrogates as \uXXXX;
 * everything else verbatim. */
void
fq_json_write_str(fq_buf *buf, fq_str s);

/* A finite double as the shortest text that reads back equal, integral ones
 * as 1.0; not finite ones as null. */
void
fq_json_write_double(fq_buf *buf, double value);

/* |val| whole; NULL is written as null. Raw numbers leave as they came. Cost:
 * linear in the text; an object of more than 32 members takes memory for a
 * map of its keys meanwhile. Failures are in fq_buf_status(). */
void
fq_json_write_val(fq_buf *buf, yyjson_val *val);

#endif
