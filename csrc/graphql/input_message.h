/* SPDX-License-Identifier: MIT */
/* The words for what keeps a value from being one of an input type, which are
 * the reference's, for JSON (input_value.h) and literals (input_literal.h)
 * alike. How the value itself is shown is the caller's: it comes behind what
 * ends in `found: `, with a dot. Each appends to |message|. Cold: only errors
 * come here. One thread at a time. */
#ifndef FQ_GRAPHQL_INPUT_MESSAGE_H
#define FQ_GRAPHQL_INPUT_MESSAGE_H

#include "base/buf.h"
#include "base/str.h"
#include "graphql/schema.h"

/* Null, where |type| is non-null. */
void
fq_input_message_null(fq_buf *message, const fq_type *type);

/* No object, where |type| is an input object: up to `found: `. */
void
fq_input_message_no_object(fq_buf *message, const fq_type *type);

/* No |field|, which |type| requires: up to `found: `. */
void
fq_input_message_missing(fq_buf *message, const fq_type *type,
                         const fq_input_def *field);

/* A field |name|, which |type| has not: up to `found: `, with the names that
 * are near. */
void
fq_input_message_unknown(fq_buf *message, const fq_type *type, fq_str name);

/* Not exactly one field that is not null, where |type| is a OneOf. */
void
fq_input_message_one_of(fq_buf *message, const fq_type *type);

/* Behind what is wrong with |text|, which is no value of the enum |type|: the
 * values that are near. */
void
fq_input_message_near(fq_buf *message, const fq_type *type, fq_str text);

#endif
