/* SPDX-License-Identifier: MIT */
/* The name of a channel with gaps: `orders:{id}` has one for an argument of
 * the root field, `tenant:{ctx.tenant_id}:orders` one for a value of the
 * security context. `{{` and `}}` stand for braces. A template is compiled
 * once per declaration and filled in once per subscription.
 *
 * Values come from clients, and a name made of them must not be one that other
 * values make: a value cannot contain the character that follows its gap, nor
 * `:` unless nothing follows, and two gaps never touch. So the values can be
 * read back from the name. Immutable: any thread. */
#ifndef FQ_ENGINE_CHANNEL_TEMPLATE_H
#define FQ_ENGINE_CHANNEL_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>

#include <yyjson.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/status.h"
#include "base/str.h"
#include "engine/security/context.h"

/* The longest value that goes into a gap: an id, not a document. */
#define FQ_CHANNEL_VALUE_MAX 256

typedef enum fq_channel_part_kind {
    FQ_CHANNEL_TEXT,
    FQ_CHANNEL_ARGUMENT,
    FQ_CHANNEL_USER_ID,
    FQ_CHANNEL_TENANT_ID,
    FQ_CHANNEL_CLAIM,
} fq_channel_part_kind;

typedef struct fq_channel_part {
    fq_channel_part_kind kind;
    fq_str text; /* itself; the argument's name; the claim's path, `a.b` */
    fq_str stop; /* of a gap: the character that follows; empty: none */
} fq_channel_part;

typedef struct fq_channel_template {
    size_t n_parts;          /* > 0 */
    fq_channel_part parts[]; /* their texts behind them */
} fq_channel_template;

/* Compiles |text|; to be freed by fq_free. Errors: FQ_ERR_INVALID (no
 * template; |error| has a sentence for who wrote it), FQ_ERR_LIMIT (longer
 * than a channel's name can be), FQ_ERR_NOMEM. */
fq_status
fq_channel_template_new(fq_str text, fq_channel_template **ptemplate,
                        fq_error *error);

/* Whether any part asks for an argument. */
bool
fq_channel_template_asks_args(const fq_channel_template *self);

/* Appends the name that |args| (an object; NULL: none) and |context| (NULL:
 * nobody) make. Errors: FQ_ERR_INVALID: the value of *ppart is no good, or,
 * with NULL, the name as a whole; error->message says what it must be, as
 * the end of a sentence ("must not be null"). Failures of memory are in
 * fq_buf_status(). */
fq_status
fq_channel_template_expand(const fq_channel_template *self, yyjson_val *args,
                           const fq_security_context *context, fq_buf *buf,
                           const fq_channel_part **ppart, fq_error *error);

#endif
