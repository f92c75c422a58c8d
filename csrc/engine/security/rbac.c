/* SPDX-License-Identifier: MIT */
/* Roles. Contexts for which the same rules deny are of one class, whose masks
 * are made once: so equal classes have one mask and share projections, and
 * different ones never do, because masks are compared by what is in them.
 * Thread: that of the schema. */
#include "engine/security/rbac.h"

#include <string.h>

#include "base/alloc.h"
#include "json/reader.h"

/* ── the rules ── */

static fq_status
read_roles(yyjson_val *list, fq_arena *arena, fq_rbac_rule *rule,
           fq_error *error)
{
    size_t n_roles = yyjson_arr_size(list);
    fq_str *roles = FQ_ARENA_NEW_N(arena, fq_str, n_roles + 1);
    if (roles == NULL)
        return FQ_ERR_NOMEM;
    for (size_t i = 0; i < n_roles; i++) {
        roles[i] = fq_json_str(yyjson_arr_get(list, i));
        if (roles[i].len == 0)
            return fq_error_set(error, FQ_ERR_INVALID, FQ_ERROR_NO_POS,
                                "field_roles: a role is a name");
    }
    rule->roles = roles;
    rule->n_roles = n_roles;
    return FQ_OK;
}

static fq_status
read_rule(yyjson_val *item, fq_arena *arena, fq_rbac_rule *rule,
          fq_error *error)
{
    rule->at.type_name = fq_json_str(fq_json_get(item, FQ_STR_LIT("type")));
    rule->at.field_name = fq_json_str(fq_json_get(item, FQ_STR_LIT("field")));
    fq_str mode = fq_json_str(fq_json_get(item, FQ_STR_LIT("mode")));
    rule->is_mask = fq_str_eq(mode, FQ_STR_LIT("mask"));
    yyjson_val *roles = fq_json_get(item, FQ_STR_LIT("roles"));
    if (rule->at.type_name.len == 0 || rule->at.field_name.len == 0
        || !yyjson_is_arr(roles)
        || !(rule->is_mask || fq_str_eq(mode, FQ_STR_LIT("reject"))))
        return fq_error_set(error, FQ_ERR_INVALID, FQ_ERROR_NO_POS,
                            "field_roles: not the text of a rule");
    return read_roles(roles, arena, rule, error);
}

/* What the schema knows of the field of |rule|. */
static void
enter_rule(const fq_schema *schema, fq_rbac_rule *rule)
{
    rule->is_root = true;
    if (schema == NULL)
        return;
    const fq_type *type = fq_schema_type(schema, rule->at.type_name);
    const fq_field_def *def = fq_type_field(type, rule->at.field_name);
    rule->is_root = type == schema->roots[FQ_OPERATION_SUBSCRIPTION];
    if (fq_type_is_composite(def->type->named))
        rule->result_type = def->type->named->name;
}

/* Checks |rule| against |schema|. */
static fq_status
check_rule(fq_schema *schema, const fq_rbac_rule *rule, fq_error *error)
{
    const fq_field_mask *mask;
    size_t bad;
    fq_status status = fq_field_mask_new(schema, &rule->at, 1, &mask, &bad);
    if (status == FQ_ERR_NOT_FOUND && schema == NULL)
        return fq_error_set(
            error, FQ_ERR_INVALID, FQ_ERROR_NO_POS,
            "field_roles: %.*s.%.*s: without a schema types are not known; "
            "only fields of Subscription can have roles",
            FQ_STR_FMT(rule->at.type_name), FQ_STR_FMT(rule->at.field_name));
    if (status == FQ_ERR_NOT_FOUND)
        return fq_error_set(error, FQ_ERR_INVALID, FQ_ERROR_NO_POS,
                            "field_roles: the schema has no field %.*s.%.*s",
                            FQ_STR_FMT(rule->at.type_name),
                            FQ_STR_FMT(rule->at.field_name));
    if (status != FQ_OK)
        return status;
    fq_field_coordinate at;
    if (rule->is_mask && fq_field_mask_find_non_null(mask, &at))
        status = fq_error_set(
            error, FQ_ERR_INVALID, FQ_ERROR_NO_POS,
            "field_roles: %.*s.%.*s cannot be masked: its type is not "
            "nullable; use mode \"reject\"",
            FQ_STR_FMT(at.type_name), FQ_STR_FMT(at.field_name));
    fq_field_mask_unref(mask);
    return status;
}

fq_status
fq_rbac_read_policy(yyjson_val *text, fq_schema *schema, fq_arena *arena,
                    fq_rbac_policy *policy, fq_error *error)
{
    *policy = (fq_rbac_policy){.schema = schema};
    yyjson_val *list = fq_json_get(text, FQ_STR_LIT("field_roles"));
    size_t n_rules = yyjson_arr_size(list);
    if (n_rules > FQ_RBAC_RULES_MAX)
        return fq_error_set(error, FQ_ERR_LIMIT, FQ_ERROR_NO_POS,
                            "field_roles: at most %d rules are allowed",
                            FQ_RBAC_RULES_MAX);
    fq_rbac_rule *rules = FQ_ARENA_NEW_N(arena, fq_rbac_rule, n_rules + 1);
    if (rules == NULL)
        return FQ_ERR_NOMEM;
    fq_status status = FQ_OK;
    for (size_t i = 0; i < n_rules && status == FQ_OK; i++) {
        status = read_rule(yyjson_arr_get(list, i), arena, &rules[i], error);
        if (status == FQ_OK)
            status = check_rule(schema, &rules[i], error);
        if (status == FQ_OK)
            enter_rule(schema, &rules[i]);
    }
    policy->rules = rules;
    policy->n_rules = n_rules;
    return status;
}

static void
class_free(fq_rbac_class *class)
{
    if (class == NULL)
        return;
    fq_field_mask_unref(class->refused);
    fq_field_mask_unref(class->hidden);
    fq_free(class);
}

void
fq_rbac_fini_policy(fq_rbac_policy *policy)
{
    for (size_t i = 0; i < policy->n_classes; i++)
        class_free(policy->classes[i]);
    fq_free(policy->classes);
    *policy = (fq_rbac_policy){0};
}

/* ── the class of a context ── */

static bool
has_role(const fq_rbac_rule *rule, const fq_security_context *context)
{
    for (size_t i = 0; i < rule->n_roles; i++) {
        if (fq_name_set_has(&context->roles, rule->roles[i]))
            return true;
    }
    return false;
}

/* Whether the limits of |context| leave out what |rule| can hide instead. */
static bool
is_outside(const fq_rbac_rule *rule, const fq_security_context *context)
{
    if (!context->has_fields || !rule->is_mask)
        return false;
    fq_str name = rule->is_root ? rule->at.field_name : rule->at.type_name;
    return !fq_name_set_has(&context->fields, name)
           || (rule->result_type.ptr != NULL
               && !fq_name_set_has(&context->fields, rule->result_type));
}

/* The mask of the rules in |denied| that hide, or of those that refuse. */
static fq_status
make_mask(const fq_rbac_policy *policy, const uint64_t *denied, bool hides,
          const fq_field_mask **pmask)
{
    *pmask = NULL;
    fq_field_coordinate *at = fq_alloc((policy->n_rules + 1) * sizeof(*at));
    if (at == NULL)
        return FQ_ERR_NOMEM;
    size_t n = 0;
    for (size_t i = 0; i < policy->n_rules; i++) {
        if ((denied[i / 64] >> (i % 64) & 1) != 0
            && policy->rules[i].is_mask == hides)
            at[n++] = policy->rules[i].at;
    }
    size_t bad;
    fq_status status = FQ_OK;
    if (n > 0)
        status = fq_field_mask_new(policy->schema, at, n, pmask, &bad);
    fq_free(at);
    return status;
}

static fq_status
class_new(const fq_rbac_policy *policy, const uint64_t *denied,
          fq_rbac_class **pclass)
{
    *pclass = NULL;
    fq_rbac_class *class = fq_alloc_zero(sizeof(*class));
    if (class == NULL)
        return FQ_ERR_NOMEM;
    memcpy(class->denied, denied, sizeof(class->denied));
    fq_status status = make_mask(policy, denied, false, &class->refused);
    if (status == FQ_OK)
        status = make_mask(policy, denied, true, &class->hidden);
    if (status == FQ_OK)
        *pclass = class;
    else
        class_free(class);
    return status;
}

/* The class for which the rules in |denied| deny. *pis_kept: the policy keeps
 * it; else the caller frees it. */
static fq_status
find_class(fq_rbac_policy *policy, const uint64_t *denied,
           fq_rbac_class **pclass, bool *pis_kept)
{
    *pis_kept = true;
    for (size_t i = 0; i < policy->n_classes; i++) {
        *pclass = policy->classes[i];
        if (memcmp((*pclass)->denied, denied, sizeof((*pclass)->denied)) == 0)
            return FQ_OK;
    }
    fq_status status = class_new(policy, denied, pclass);
    *pis_kept = status == FQ_OK && policy->n_classes < FQ_RBAC_CLASSES_MAX;
    if (!*pis_kept)
        return status;
    fq_rbac_class **classes = fq_alloc_grow(policy->classes, sizeof(*classes),
                                            policy->n_classes + 1, 4,
                                            &policy->classes_cap);
    if (classes == NULL) {
        class_free(*pclass);
        *pclass = NULL;
        return FQ_ERR_NOMEM;
    }
    policy->classes = classes;
    classes[policy->n_classes++] = *pclass;
    return FQ_OK;
}

/* ── judging ── */

static fq_status
refuse(const fq_plan *plan, size_t start, fq_str type_name, fq_str field_name,
       fq_gql_errors *errors)
{
    fq_gql_error *error = fq_gql_errors_add(
        errors, "FORBIDDEN", "Not allowed to select field \"%.*s.%.*s\".",
        FQ_STR_FMT(type_name), FQ_STR_FMT(field_name));
    fq_gql_error_locate(errors, error, fq_plan_source(plan), start);
    return errors->status;
}

/* The search for a field outside of what a context names. */
typedef struct limit_search {
    const fq_name_set *names;
    const fq_field_mask *hidden;
    const fq_schema *schema;     /* NULL: none */
    const fq_type *parent;       /* of what was found; NULL: the root */
    const fq_ast_field *outside; /* NULL: nothing was */
} limit_search;

/* Whether |field| is hidden whatever object of |parent| it is selected on. */
static bool
is_hidden(const limit_search *search, const fq_type *parent,
          const fq_ast_field *field)
{
    if (search->hidden == NULL)
        return false;
    if (search->schema == NULL)
        return fq_field_mask_has_root(search->hidden, field->name);
    if (parent->kind == FQ_TYPE_OBJECT)
        return fq_field_mask_has(search->hidden, parent, field->def);
    for (uint32_t i = 0; i < parent->n_possible_types; i++) {
        const fq_type *type = parent->possible_types[i];
        const fq_field_def *def = fq_type_field(type, field->name);
        if (def == NULL || !fq_field_mask_has(search->hidden, type, def))
            return false;
    }
    return parent->n_possible_types > 0;
}

static fq_plan_visit
limit_visit(void *arg, const fq_type *parent, const fq_ast_field *field)
{
    limit_search *search = arg;
    if (is_hidden(search, parent, field))
        return FQ_VISIT_SKIP;
    bool is_root = search->schema == NULL
                   || parent
                          == search->schema->roots[FQ_OPERATION_SUBSCRIPTION];
    if (fq_name_set_has(search->names, is_root ? field->name : parent->name))
        return search->schema == NULL ? FQ_VISIT_SKIP : FQ_VISIT_ON;
    search->parent = is_root ? NULL : parent;
    search->outside = field;
    return FQ_VISIT_STOP;
}

/* Looks for a field that |context| does not name. */
static fq_status
judge_limits(const fq_rbac_policy *policy, const fq_plan *plan,
             const fq_security_context *context, const fq_field_mask *hidden,
             fq_rbac_verdict *pverdict, fq_gql_errors *errors)
{
    limit_search search = {
        .names = &context->fields,
        .hidden = hidden,
        .schema = policy->schema,
    };
    if (!context->has_fields
        || !fq_plan_each_field(plan, limit_visit, &search))
        return FQ_OK;
    *pverdict = FQ_RBAC_REFUSED_FIELD;
    return refuse(plan, search.outside->node.start,
                  search.parent == NULL ? FQ_STR_LIT("Subscription")
                                        : search.parent->name,
                  search.outside->name, errors);
}

static fq_status
judge_class(const fq_rbac_policy *policy, const fq_plan *plan,
            const fq_security_context *context, const fq_rbac_class *class,
            fq_rbac_verdict *pverdict, fq_gql_errors *errors)
{
    fq_plan_selection selection;
    if (class->refused != NULL
        && fq_plan_selects(plan, class->refused, &selection)) {
        *pverdict = FQ_RBAC_REFUSED_ROLE;
        return refuse(plan, selection.start, selection.coordinate.type_name,
                      selection.coordinate.field_name, errors);
    }
    return judge_limits(policy, plan, context, class->hidden, pverdict,
                        errors);
}

fq_status
fq_rbac_judge(fq_rbac_policy *policy, const fq_plan *plan,
              const fq_security_context *context,
              const fq_field_mask **phidden, fq_rbac_verdict *pverdict,
              fq_gql_errors *errors)
{
    *phidden = NULL;
    *pverdict = FQ_RBAC_ALLOWED;
    if (policy->n_rules == 0)
        return judge_limits(policy, plan, context, NULL, pverdict, errors);
    uint64_t denied[FQ_RBAC_WORDS] = {0};
    for (size_t i = 0; i < policy->n_rules; i++) {
        const fq_rbac_rule *rule = &policy->rules[i];
        if (!has_role(rule, context) || is_outside(rule, context))
            denied[i / 64] |= UINT64_C(1) << (i % 64);
    }
    fq_rbac_class *class;
    bool is_kept;
    fq_status status = find_class(policy, denied, &class, &is_kept);
    if (status != FQ_OK)
        return status;
    status = judge_class(policy, plan, context, class, pverdict, errors);
    if (status == FQ_OK && *pverdict == FQ_RBAC_ALLOWED
        && class->hidden != NULL)
        *phidden = fq_field_mask_ref(class->hidden);
    if (!is_kept)
        class_free(class);
    return status;
}
