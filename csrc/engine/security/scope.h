/* SPDX-License-Identifier: MIT */
/* Variable scope: an argument or variable of a certain name must be the
 * context's own value, say `userId` its user_id, wherever it comes from:
 * variables, literals, defaults, fields of input objects. Thread: that of the
 * schema. */
#ifndef FQ_ENGINE_SECURITY_SCOPE_H
#define FQ_ENGINE_SECURITY_SCOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <yyjson.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/status.h"
#include "base/str.h"
#include "engine/security/context.h"
#include "graphql/errors.h"
#include "graphql/plan.h"

/* Keys on the way to a claim. */
#define FQ_SCOPE_STEPS_MAX 16

/* Input object types within each other that are looked through for a value
 * that should be there; beyond it, it counts as missing. */
#define FQ_SCOPE_TYPES_MAX 64

typedef struct fq_scope_rule {
    fq_str field; /* holds for this root field alone, instead of a rule for
                   * all; ptr NULL: for all */
    fq_str name;  /* of arguments, variables and input fields */
    fq_str steps[FQ_SCOPE_STEPS_MAX]; /* `user_id`, `tenant_id`, or `claims`
                                       * and keys into these */
    size_t n_steps;
    bool is_optional; /* null and absent are fine */
} fq_scope_rule;

/* All zero: there are no rules. */
typedef struct fq_scope_policy {
    const fq_scope_rule *rules;
    size_t n_rules;
} fq_scope_policy;

/* Reads `variable_scope` of |text|, which must outlive |policy|; with a schema
 * a rule for one root field must have something there to hold for. Errors:
 * FQ_ERR_INVALID, FQ_ERR_LIMIT, FQ_ERR_NOMEM. */
fq_status
fq_scope_read_policy(yyjson_val *text, const fq_schema *schema,
                     fq_arena *arena, fq_scope_policy *policy,
                     fq_error *error);

typedef enum fq_scope_verdict {
    FQ_SCOPE_ALLOWED,
    FQ_SCOPE_FOREIGN, /* a value is not the context's own */
    FQ_SCOPE_MISSING, /* a value is null or absent */
} fq_scope_verdict;

/* Judges the values in |plan| under |variables|, those given to
 * fq_plan_bind(), for |context|. |coerced| is what that made of them, a JSON
 * text.
 *
 * With a schema every argument that a selected field has under such a name,
 * itself or within its input objects, must be there. An input object within
 * one of its own kind may be left out. Without a schema a value must be there
 * where a rule for the root field says so; otherwise what is not written is
 * not missed. A refusal adds one error, located at the field or variable.
 * Errors: FQ_ERR_NOMEM. */
fq_status
fq_scope_judge(const fq_scope_policy *policy, fq_plan *plan,
               yyjson_val *variables, fq_str coerced,
               const fq_security_context *context, fq_scope_verdict *pverdict,
               fq_gql_errors *errors);

#endif
