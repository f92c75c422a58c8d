/* SPDX-License-Identifier: MIT */
/* Variable scope. Values are judged after coercion, as they would be used, so
 * it does not matter how a client brings them in. Thread: that of the schema.
 *
 * What must be there. A scoped argument that is left out would be no
 * restriction at all, so absence is refused, also of the input object that
 * would hold it. Types may hold themselves (`and: [Filter!]`), and then some
 * level must end: an input object type need not be given again inside of an
 * object of that type. */
#include "engine/security/scope.h"

#include <stdio.h>

#include "json/reader.h"

/* ── the rules ── */

static fq_status
read_steps(yyjson_val *list, fq_scope_rule *rule, fq_error *error)
{
    size_t n_steps = yyjson_arr_size(list);
    if (n_steps > FQ_SCOPE_STEPS_MAX)
        return fq_error_set(error, FQ_ERR_LIMIT, FQ_ERROR_NO_POS,
                            "variable_scope: at most %d keys lead to a claim",
                            FQ_SCOPE_STEPS_MAX);
    for (size_t i = 0; i < n_steps; i++)
        rule->steps[i] = fq_json_str(yyjson_arr_get(list, i));
    rule->n_steps = n_steps;
    fq_str first = n_steps > 0 ? rule->steps[0] : fq_str_make(NULL, 0);
    bool is_claim = fq_str_eq(first, FQ_STR_LIT("claims"));
    bool is_own = fq_str_eq(first, FQ_STR_LIT("user_id"))
                  || fq_str_eq(first, FQ_STR_LIT("tenant_id"));
    if ((is_own && n_steps == 1) || (is_claim && n_steps > 1))
        return FQ_OK;
    return fq_error_set(error, FQ_ERR_INVALID, FQ_ERROR_NO_POS,
                        "variable_scope: a value is user_id, tenant_id or "
                        "one of the claims");
}

static fq_status
read_rule(yyjson_val *item, fq_scope_rule *rule, fq_error *error)
{
    rule->field = fq_json_str(fq_json_get(item, FQ_STR_LIT("field")));
    rule->name = fq_json_str(fq_json_get(item, FQ_STR_LIT("name")));
    rule->is_optional = yyjson_is_true(
        fq_json_get(item, FQ_STR_LIT("optional")));
    if (rule->name.len == 0)
        return fq_error_set(error, FQ_ERR_INVALID, FQ_ERROR_NO_POS,
                            "variable_scope: not the text of a rule");
    return read_steps(fq_json_get(item, FQ_STR_LIT("own")), rule, error);
}

/* The rule for what is called |name| in operations on root field |root|. */
static const fq_scope_rule *
find_rule(const fq_scope_policy *policy, fq_str root, fq_str name)
{
    const fq_scope_rule *found = NULL;
    for (size_t i = 0; i < policy->n_rules; i++) {
        const fq_scope_rule *rule = &policy->rules[i];
        if (!fq_str_eq(rule->name, name))
            continue;
        if (rule->field.ptr != NULL && fq_str_eq(rule->field, root))
            return rule;
        if (rule->field.ptr == NULL)
            found = rule;
    }
    return found;
}

/* ── what types ask for ── */

/* Types looked through so far. */
typedef struct type_set {
    const fq_type *types[FQ_SCOPE_TYPES_MAX];
    size_t n_types;
} type_set;

/* False when it was there; a full set takes nothing. */
static bool
add_type(type_set *set, const fq_type *type, bool *pis_full)
{
    for (size_t i = 0; i < set->n_types; i++) {
        if (set->types[i] == type)
            return false;
    }
    *pis_full = set->n_types == FQ_SCOPE_TYPES_MAX;
    if (!*pis_full)
        set->types[set->n_types++] = type;
    return true;
}

/* One operation being judged. */
typedef struct judging {
    const fq_scope_policy *policy;
    const fq_security_context *context;
    const fq_plan *plan;
    fq_str root; /* the root field's name */
    fq_scope_verdict verdict;
    fq_str name;  /* what it is about, once it is not ALLOWED */
    size_t start; /* and where */
} judging;

/* Whether |defs| or the input objects in them have something that a rule must
 * find a value for; |any| counts optional rules, too. Types in |seen| are not
 * asked again. */
static bool
asks_for_values(const judging *self, const fq_input_def *defs, uint32_t n_defs,
                bool any, type_set *seen)
{
    for (uint32_t i = 0; i < n_defs; i++) {
        const fq_scope_rule *rule = find_rule(self->policy, self->root,
                                              defs[i].name);
        const fq_type *named = defs[i].type->named;
        if (rule != NULL) {
            if (any || !rule->is_optional)
                return true;
            continue;
        }
        bool is_full = false;
        if (named->kind != FQ_TYPE_INPUT_OBJECT
            || !add_type(seen, named, &is_full))
            continue;
        if (is_full
            || asks_for_values(self, named->input_fields, named->n_members,
                               any, seen))
            return true;
    }
    return false;
}

static fq_status
check_rule(const fq_scope_policy *policy, const fq_scope_rule *rule,
           const fq_schema *schema, fq_error *error)
{
    if (schema == NULL || rule->field.ptr == NULL)
        return FQ_OK;
    const fq_type *root = schema->roots[FQ_OPERATION_SUBSCRIPTION];
    const fq_field_def *def = root == NULL ? NULL
                                           : fq_type_field(root, rule->field);
    if (def == NULL)
        return fq_error_set(error, FQ_ERR_INVALID, FQ_ERROR_NO_POS,
                            "variable_scope: the schema has no subscription "
                            "field %.*s",
                            FQ_STR_FMT(rule->field));
    /* A policy of this rule alone tells whether it holds for anything. */
    fq_scope_policy alone = {.rules = rule, .n_rules = 1};
    judging self = {.policy = &alone, .root = rule->field};
    type_set seen = {.n_types = 0};
    (void)policy;
    if (asks_for_values(&self, def->args, def->n_args, true, &seen))
        return FQ_OK;
    return fq_error_set(error, FQ_ERR_INVALID, FQ_ERROR_NO_POS,
                        "variable_scope: the subscription field %.*s has no "
                        "argument %.*s",
                        FQ_STR_FMT(rule->field), FQ_STR_FMT(rule->name));
}

fq_status
fq_scope_read_policy(yyjson_val *text, const fq_schema *schema,
                     fq_arena *arena, fq_scope_policy *policy, fq_error *error)
{
    *policy = (fq_scope_policy){0};
    yyjson_val *list = fq_json_get(text, FQ_STR_LIT("variable_scope"));
    size_t n_rules = yyjson_arr_size(list);
    fq_scope_rule *rules = FQ_ARENA_NEW_N(arena, fq_scope_rule, n_rules + 1);
    if (rules == NULL)
        return FQ_ERR_NOMEM;
    fq_status status = FQ_OK;
    for (size_t i = 0; i < n_rules && status == FQ_OK; i++) {
        status = read_rule(yyjson_arr_get(list, i), &rules[i], error);
        if (status == FQ_OK)
            status = check_rule(policy, &rules[i], schema, error);
    }
    policy->rules = rules;
    policy->n_rules = n_rules;
    return status;
}

/* ── values ── */

/* Room for a 64 bit integer in decimal. */
#define NUMBER_ROOM 24

/* The text of a string or an integer; ptr NULL: it is neither. */
static fq_str
scalar_text(yyjson_val *val, char *room)
{
    if (yyjson_is_str(val))
        return fq_json_str(val);
    int len = 0;
    if (yyjson_is_uint(val))
        len = snprintf(room, NUMBER_ROOM, "%llu",
                       (unsigned long long)yyjson_get_uint(val));
    else if (yyjson_is_sint(val))
        len = snprintf(room, NUMBER_ROOM, "%lld",
                       (long long)yyjson_get_sint(val));
    return fq_str_make(len > 0 ? room : NULL, (size_t)len);
}

/* The claim that |rule| names; NULL: there is none. */
static yyjson_val *
find_claim(const fq_scope_rule *rule, const fq_security_context *context)
{
    yyjson_val *val = yyjson_doc_get_root(context->claims);
    for (size_t i = 1; i < rule->n_steps; i++)
        val = fq_json_get(val, rule->steps[i]);
    return val;
}

/* Whether |val| is what |context| has itself. An ID may be a number on one
 * side and a string on the other. */
static bool
is_own(const fq_scope_rule *rule, const fq_security_context *context,
       yyjson_val *val)
{
    char own_room[NUMBER_ROOM], room[NUMBER_ROOM];
    fq_str own;
    if (fq_str_eq(rule->steps[0], FQ_STR_LIT("user_id"))) {
        own = context->user_id;
    } else if (fq_str_eq(rule->steps[0], FQ_STR_LIT("tenant_id"))) {
        own = context->tenant_id;
    } else {
        yyjson_val *claim = find_claim(rule, context);
        if (yyjson_is_bool(claim))
            return yyjson_is_bool(val)
                   && yyjson_get_bool(claim) == yyjson_get_bool(val);
        own = scalar_text(claim, own_room);
    }
    fq_str text = scalar_text(val, room);
    return own.len > 0 && text.ptr != NULL && fq_str_eq(own, text);
}

static bool
deny(judging *self, fq_scope_verdict verdict, fq_str name)
{
    self->verdict = verdict;
    self->name = name;
    return false;
}

/* Whether |val| (NULL: absent) may stand under |rule|. */
static bool
judge_value(judging *self, const fq_scope_rule *rule, yyjson_val *val)
{
    if (val == NULL || yyjson_is_null(val))
        return rule->is_optional ? true
                                 : deny(self, FQ_SCOPE_MISSING, rule->name);
    return is_own(rule, self->context, val)
               ? true
               : deny(self, FQ_SCOPE_FOREIGN, rule->name);
}

/* ── with a schema ── */

/* The input objects around a value. */
typedef struct type_path {
    const fq_type *type;
    const struct type_path *outer;
} type_path;

static bool
judge_inputs(judging *self, const fq_input_def *defs, uint32_t n_defs,
             yyjson_val *object, const type_path *path);

/* Whether an input object of |def| may be missing. */
static bool
judge_absence(judging *self, const fq_input_def *def, const type_path *path)
{
    const fq_type *named = def->type->named;
    type_set seen = {.n_types = 0};
    bool is_full = false;
    for (; path != NULL; path = path->outer) {
        add_type(&seen, path->type, &is_full);
        if (path->type == named)
            return true;
    }
    if (!is_full)
        add_type(&seen, named, &is_full);
    return is_full
                   || asks_for_values(self, named->input_fields,
                                      named->n_members, false, &seen)
               ? deny(self, FQ_SCOPE_MISSING, def->name)
               : true;
}

/* Whether |val|, of the input object type that |def| has, or lists of it, may
 * stand there. Values nest no deeper than JSON that is read. */
static bool
judge_object(judging *self, const fq_input_def *def, yyjson_val *val,
             const type_path *path)
{
    const fq_type *named = def->type->named;
    if (val == NULL || yyjson_is_null(val)
        || (yyjson_is_arr(val) && yyjson_arr_size(val) == 0))
        return judge_absence(self, def, path);
    if (yyjson_is_arr(val)) {
        size_t i, n;
        yyjson_val *item;
        yyjson_arr_foreach(val, i, n, item)
        {
            if (!judge_object(self, def, item, path))
                return false;
        }
        return true;
    }
    type_path inner = {.type = named, .outer = path};
    return yyjson_is_obj(val) ? judge_inputs(self, named->input_fields,
                                             named->n_members, val, &inner)
                              : deny(self, FQ_SCOPE_FOREIGN, def->name);
}

static bool
judge_inputs(judging *self, const fq_input_def *defs, uint32_t n_defs,
             yyjson_val *object, const type_path *path)
{
    for (uint32_t i = 0; i < n_defs; i++) {
        const fq_input_def *def = &defs[i];
        const fq_scope_rule *rule = find_rule(self->policy, self->root,
                                              def->name);
        yyjson_val *val = fq_json_get(object, def->name);
        if (rule != NULL ? !judge_value(self, rule, val)
                         : def->type->named->kind == FQ_TYPE_INPUT_OBJECT
                               && !judge_object(self, def, val, path))
            return false;
    }
    return true;
}

/* ── without one ── */

/* Whatever is called so, at any level. */
static bool
judge_untyped(judging *self, yyjson_val *val)
{
    size_t i, n;
    yyjson_val *key, *item;
    if (yyjson_is_arr(val)) {
        yyjson_arr_foreach(val, i, n, item)
        {
            if (!judge_untyped(self, item))
                return false;
        }
    }
    if (!yyjson_is_obj(val))
        return true;
    yyjson_obj_foreach(val, i, n, key, item)
    {
        const fq_scope_rule *rule = find_rule(self->policy, self->root,
                                              fq_json_str(key));
        if (rule != NULL ? !judge_value(self, rule, item)
                         : !judge_untyped(self, item))
            return false;
    }
    return true;
}

/* What rules for the root field ask for must be among its arguments. */
static bool
judge_root_args(judging *self, yyjson_val *args)
{
    for (size_t i = 0; i < self->policy->n_rules; i++) {
        const fq_scope_rule *rule = &self->policy->rules[i];
        if (rule->field.ptr == NULL || !fq_str_eq(rule->field, self->root))
            continue;
        if (!judge_value(self, rule, fq_json_get(args, rule->name)))
            return false;
    }
    return true;
}

/* ── the operation ── */

static fq_status
judge_args(void *arg, const fq_ast_field *field, yyjson_val *args)
{
    judging *self = arg;
    const fq_field_def *def = field->def;
    type_set seen = {.n_types = 0};
    bool is_allowed;
    if (args == NULL)
        is_allowed = def != NULL
                     && !asks_for_values(self, def->args, def->n_args, true,
                                         &seen);
    else if (def != NULL)
        is_allowed = judge_inputs(self, def->args, def->n_args, args, NULL);
    else
        is_allowed = judge_untyped(self, args)
                     && (field != fq_plan_root(self->plan)
                         || judge_root_args(self, args));
    if (is_allowed)
        return FQ_OK;
    if (self->verdict == FQ_SCOPE_ALLOWED)
        deny(self, FQ_SCOPE_FOREIGN, field->name);
    self->start = field->node.start;
    return FQ_ERR_INVALID;
}

/* The operation's own variables of such a name. */
static fq_status
judge_variables(judging *self, fq_str coerced)
{
    yyjson_doc *doc;
    fq_status status = fq_json_read(coerced, FQ_JSON_LONE_SURROGATES, &doc,
                                    NULL);
    if (status != FQ_OK)
        return status;
    const fq_ast_operation *operation = fq_plan_operation(self->plan);
    FQ_AST_FOREACH(node, &operation->variable_definitions)
    {
        const fq_ast_value *variable
            = ((const fq_ast_variable_definition *)node)->variable;
        const fq_scope_rule *rule = find_rule(self->policy, self->root,
                                              variable->text);
        if (rule == NULL
            || judge_value(
                self, rule,
                fq_json_get(yyjson_doc_get_root(doc), variable->text)))
            continue;
        self->start = variable->node.start;
        status = FQ_ERR_INVALID;
        break;
    }
    fq_json_free(doc);
    return status;
}

static fq_status
refuse(const judging *self, fq_gql_errors *errors)
{
    fq_gql_error *error = fq_gql_errors_add(
        errors, "FORBIDDEN",
        self->verdict == FQ_SCOPE_MISSING
            ? "A value for \"%.*s\" is required: your own."
            : "The value of \"%.*s\" must be your own.",
        FQ_STR_FMT(self->name));
    fq_gql_error_locate(errors, error, fq_plan_source(self->plan),
                        self->start);
    return errors->status;
}

fq_status
fq_scope_judge(const fq_scope_policy *policy, fq_plan *plan,
               yyjson_val *variables, fq_str coerced,
               const fq_security_context *context, fq_scope_verdict *pverdict,
               fq_gql_errors *errors)
{
    *pverdict = FQ_SCOPE_ALLOWED;
    if (policy->n_rules == 0)
        return FQ_OK;
    judging self = {
        .policy = policy,
        .context = context,
        .plan = plan,
        .root = fq_plan_root_name(plan),
    };
    fq_status status = judge_variables(&self, coerced);
    if (status == FQ_OK)
        status = fq_plan_each_args(plan, variables, judge_args, &self);
    if (status == FQ_OK || status == FQ_ERR_NOMEM)
        return status;
    /* Whatever else went wrong is a refusal. */
    *pverdict = self.verdict == FQ_SCOPE_ALLOWED ? FQ_SCOPE_FOREIGN
                                                 : self.verdict;
    return refuse(&self, errors);
}
