/* SPDX-License-Identifier: MIT */
/* Which fields a client may filter by: those it may select and see. A filter
 * by a hidden field would tell its value by what arrives. Thread: that of the
 * schema. */
#ifndef FQ_ENGINE_SECURITY_FILTERABLE_H
#define FQ_ENGINE_SECURITY_FILTERABLE_H

#include <stdbool.h>

#include "engine/security/context.h"
#include "engine/security/policy.h"
#include "graphql/schema.h"

/* Whether |context| (NULL: nobody) may filter by |field| of |type|, a
 * composite type: no rule keeps it from the field, on whatever object it is
 * looked for, it may select the type, and it reaches the subgraph of what is
 * there. |policy| NULL: none. Cost: O(rules + types). */
bool
fq_security_is_filterable(const fq_policy *policy,
                          const fq_security_context *context,
                          const fq_type *type, const fq_field_def *field);

#endif
