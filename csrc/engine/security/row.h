/* SPDX-License-Identifier: MIT */
/* Row filters: which events of a field a context may see. A filter is bound
 * to the context and the field's arguments once per subscription. Thread:
 * any; nothing here is changed once it is made. */
#ifndef FQ_ENGINE_SECURITY_ROW_H
#define FQ_ENGINE_SECURITY_ROW_H

#include <stddef.h>

#include <yyjson.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/status.h"
#include "base/str.h"
#include "engine/filter/filter.h"
#include "engine/security/context.h"
#include "graphql/schema.h"

/* All zero: every row is for everybody. */
typedef struct fq_row_policy {
    struct fq_row_rule {
        fq_str field;      /* a root field */
        fq_filter *filter; /* one reference */
    } *rules;
    size_t n_rules;
} fq_row_policy;

/* Reads `rows` of |text|, which must outlive |policy|; with a schema the
 * fields must be subscription fields of it. fq_row_fini_policy() is due on
 * every path. Errors: FQ_ERR_INVALID, FQ_ERR_LIMIT, FQ_ERR_NOMEM. */
fq_status
fq_row_read_policy(yyjson_val *text, const fq_schema *schema, fq_arena *arena,
                   fq_row_policy *policy, fq_error *error);
void
fq_row_fini_policy(fq_row_policy *policy);

/* The filter of root field |name| for |context| and the coerced arguments
 * |args|, a JSON text: *pbound gets one reference, NULL: there is none.
 * Errors: FQ_ERR_LIMIT, FQ_ERR_NOMEM. */
fq_status
fq_row_bind(const fq_row_policy *policy, fq_str name, fq_str args,
            const fq_security_context *context, fq_filter_bound **pbound);

#endif
