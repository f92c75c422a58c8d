/* SPDX-License-Identifier: MIT */
/* Roles: which fields of which types a context may select. A rule names a
 * field and the roles that may see it; without one of them the subscription is
 * refused, or the field is null for it. Besides, a context may be limited to
 * the root fields and types it names itself. Thread: that of the schema. */
#ifndef FQ_ENGINE_SECURITY_RBAC_H
#define FQ_ENGINE_SECURITY_RBAC_H

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
#include "graphql/mask.h"
#include "graphql/plan.h"

/* Rules of one policy: as many as a bit set on the stack has room for. */
#define FQ_RBAC_RULES_MAX 1024
#define FQ_RBAC_WORDS (FQ_RBAC_RULES_MAX / 64)

/* Sets of rules whose masks are kept. Roles come from whoever authenticates:
 * what is beyond shares its masks with nobody, but is as right. */
#define FQ_RBAC_CLASSES_MAX 256

typedef struct fq_rbac_rule {
    fq_field_coordinate at;
    const fq_str *roles; /* each of them may see it */
    size_t n_roles;
    bool is_mask;       /* else whoever selects it is refused */
    bool is_root;       /* a field of the subscription type */
    fq_str result_type; /* composite type of the field; ptr NULL: a leaf, or
                         * there is no schema */
} fq_rbac_rule;

/* What a set of rules that deny comes to. */
typedef struct fq_rbac_class {
    uint64_t denied[FQ_RBAC_WORDS]; /* by place of a rule */
    const fq_field_mask *refused;   /* one reference each; NULL: no field */
    const fq_field_mask *hidden;
} fq_rbac_class;

/* All zero: there are no rules. */
typedef struct fq_rbac_policy {
    fq_schema *schema; /* borrowed; NULL: none */
    const fq_rbac_rule *rules;
    size_t n_rules;
    fq_rbac_class **classes; /* made as contexts need them */
    size_t n_classes;
    size_t classes_cap;
} fq_rbac_policy;

/* Reads `field_roles` of |text|, which must outlive |policy|, and checks it
 * against |schema|. fq_rbac_fini_policy() is due on every path. Errors:
 * FQ_ERR_INVALID, FQ_ERR_LIMIT, FQ_ERR_NOMEM. */
fq_status
fq_rbac_read_policy(yyjson_val *text, fq_schema *schema, fq_arena *arena,
                    fq_rbac_policy *policy, fq_error *error);
void
fq_rbac_fini_policy(fq_rbac_policy *policy);

typedef enum fq_rbac_verdict {
    FQ_RBAC_ALLOWED,
    FQ_RBAC_REFUSED_ROLE,  /* a rule needs a role that |context| lacks */
    FQ_RBAC_REFUSED_FIELD, /* outside of context->fields */
} fq_rbac_verdict;

/* Judges what |plan|, of the policy's schema, selects for |context|. *phidden
 * gets one reference on the mask of what it sees as null; NULL: nothing. A
 * refusal adds one error, located at the field. Errors: FQ_ERR_NOMEM. */
fq_status
fq_rbac_judge(fq_rbac_policy *policy, const fq_plan *plan,
              const fq_security_context *context,
              const fq_field_mask **phidden, fq_rbac_verdict *pverdict,
              fq_gql_errors *errors);

#endif
