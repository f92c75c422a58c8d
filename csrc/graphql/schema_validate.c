/* SPDX-License-Identifier: MIT */
/* Type validation, in the reference's order: roots, directives, then type by
 * type; cycles of input objects are in schema_cycles.c. One thread at a
 * time. */
#include <stdarg.h>

#include "graphql/input_literal.h"
#include "graphql/schema_internal.h"

fq_gql_error *
fq_schema_report(fq_schema_check *check, const char *format, ...)
{
    if (check->is_done)
        return NULL;
    va_list args;
    va_start(args, format);
    fq_str text = fq_arena_format_va(&check->arena, format, args);
    va_end(args);
    fq_gql_error *error = NULL;
    if (text.ptr != NULL)
        error = fq_gql_errors_add_str(check->errors, "VALIDATION_ERROR", text);
    if (text.ptr == NULL || check->errors->status != FQ_OK)
        check->status = FQ_ERR_NOMEM;
    check->is_done = check->status != FQ_OK
                     || check->errors->n_items >= FQ_GQL_ERRORS_MAX;
    return error;
}

void
fq_schema_locate(fq_schema_check *check, fq_gql_error *error,
                 const fq_ast_node *node)
{
    if (error == NULL || node == NULL)
        return;
    fq_gql_error_locate(check->errors, error, check->document->source,
                        node->start);
    if (check->errors->status != FQ_OK) {
        check->status = FQ_ERR_NOMEM;
        check->is_done = true;
    }
}

/* The definition of |type| and its extensions. */
static void
locate_parts(fq_schema_check *check, fq_gql_error *error, const fq_type *type)
{
    fq_schema_locate(check, error, type->node);
    for (uint32_t i = 0; i < type->n_extensions; i++)
        fq_schema_locate(check, error, type->extensions[i]);
}

/* Where |name| is written in the list |which| of one part of a type. */
static void
locate_named_in(fq_schema_check *check, fq_gql_error *error,
                const fq_ast_list *list, fq_str name)
{
    FQ_AST_FOREACH(node, list)
    {
        if (fq_str_eq(((const fq_ast_type *)node)->name, name))
            fq_schema_locate(check, error, node);
    }
}

/* Where |type| names |other|: among its interfaces, or as a member. */
static void
locate_named(fq_schema_check *check, fq_gql_error *error, const fq_type *type,
             const fq_type *other)
{
    for (uint32_t i = 0; i <= type->n_extensions; i++) {
        const fq_ast_node *node = i == 0 ? type->node
                                         : type->extensions[i - 1];
        if (node == NULL)
            continue;
        const fq_ast_type_system *part = (const fq_ast_type_system *)node;
        locate_named_in(check, error,
                        type->kind == FQ_TYPE_UNION ? &part->members
                                                    : &part->interfaces,
                        other->name);
    }
}

/* Where the type of a field, argument or input field is written; NULL for a
 * built-in one. */
static const fq_ast_node *
type_node(const fq_ast_node *node)
{
    if (node == NULL)
        return NULL;
    if (node->kind == FQ_AST_FIELD_DEFINITION)
        return &((const fq_ast_field_definition *)node)->type->node;
    return &((const fq_ast_input_definition *)node)->type->node;
}

/* Where @deprecated stands on such a one. */
static const fq_ast_node *
deprecated_node(const fq_ast_node *node)
{
    if (node == NULL)
        return NULL;
    const fq_ast_list *directives
        = node->kind == FQ_AST_FIELD_DEFINITION
              ? &((const fq_ast_field_definition *)node)->directives
              : &((const fq_ast_input_definition *)node)->directives;
    FQ_AST_FOREACH(directive, directives)
    {
        if (fq_str_eq(((const fq_ast_directive *)directive)->name,
                      FQ_STR_LIT("deprecated")))
            return directive;
    }
    return NULL;
}

static void
check_name(fq_schema_check *check, fq_str name, const fq_ast_node *node)
{
    if (name.len < 2 || name.ptr[0] != '_' || name.ptr[1] != '_')
        return;
    fq_gql_error *error = fq_schema_report(
        check,
        "Name '%.*s' must not begin with '__', which is reserved by GraphQL "
        "introspection.",
        FQ_STR_FMT(name));
    fq_schema_locate(check, error, node);
}

/* Marks no type. */
static void
marks_clear(fq_schema_check *check)
{
    check->generation++;
}

/* Marks |type|; true when it was not marked. */
static bool
marks_add(fq_schema_check *check, const fq_type *type)
{
    bool is_new = check->marks[type->index] != check->generation;
    check->marks[type->index] = check->generation;
    return is_new;
}

static bool
marks_has(const fq_schema_check *check, const fq_type *type)
{
    return check->marks[type->index] == check->generation;
}

static const char *const operations[] = {
    [FQ_OPERATION_QUERY] = "query",
    [FQ_OPERATION_MUTATION] = "mutation",
    [FQ_OPERATION_SUBSCRIPTION] = "subscription",
};

/* Where the definition of the schema, or an extension of it, names the root
 * of |operation|; or NULL. */
static const fq_ast_node *
find_root(const fq_document *document, fq_operation_type operation,
          bool is_extension)
{
    FQ_AST_FOREACH(node, &document->definitions)
    {
        const fq_ast_type_system *definition = (const fq_ast_type_system *)
            node;
        if (node->kind != FQ_AST_TYPE_SYSTEM
            || definition->what != FQ_DEFINITION_SCHEMA
            || definition->is_extension != is_extension)
            continue;
        FQ_AST_FOREACH(member, &definition->members)
        {
            const fq_ast_root_definition *root
                = (const fq_ast_root_definition *)member;
            if (root->operation == operation)
                return &root->type->node;
        }
    }
    return NULL;
}

static const fq_ast_node *
root_node(const fq_document *document, fq_operation_type operation)
{
    const fq_ast_node *node = find_root(document, operation, false);
    return node != NULL ? node : find_root(document, operation, true);
}

/* The definition of the schema, or NULL. */
static const fq_ast_node *
schema_node(const fq_document *document)
{
    FQ_AST_FOREACH(node, &document->definitions)
    {
        const fq_ast_type_system *definition = (const fq_ast_type_system *)
            node;
        if (node->kind == FQ_AST_TYPE_SYSTEM
            && definition->what == FQ_DEFINITION_SCHEMA
            && !definition->is_extension)
            return node;
    }
    return NULL;
}

static void
check_root_is_object(fq_schema_check *check, fq_operation_type operation)
{
    static const char *const names[] = {
        [FQ_OPERATION_QUERY] = "Query",
        [FQ_OPERATION_MUTATION] = "Mutation",
        [FQ_OPERATION_SUBSCRIPTION] = "Subscription",
    };
    const fq_type *root = check->schema->roots[operation];
    fq_gql_error *error = fq_schema_report(
        check, "%s root type must be Object type%s, it cannot be %.*s.",
        names[operation],
        operation == FQ_OPERATION_QUERY ? "" : " if provided",
        FQ_STR_FMT(root->name));
    const fq_ast_node *node = root_node(check->document, operation);
    fq_schema_locate(check, error, node != NULL ? node : root->node);
}

/* The root |first| stands for is used for other operations as well. */
static void
check_root_is_shared(fq_schema_check *check, size_t first)
{
    const fq_type *const *roots = check->schema->roots;
    size_t shared[3];
    size_t n_shared = 0;
    for (size_t i = first; i < 3; i++)
        if (roots[i] == roots[first])
            shared[n_shared++] = i;
    if (n_shared < 2)
        return;
    fq_gql_error *error = fq_schema_report(
        check,
        "All root types must be different, '%.*s' type is used as %s%s%s%s%s "
        "root types.",
        FQ_STR_FMT(roots[first]->name), operations[shared[0]],
        n_shared == 2 ? " and " : ", ", operations[shared[1]],
        n_shared == 2 ? "" : ", and ",
        n_shared == 2 ? "" : operations[shared[n_shared - 1]]);
    for (size_t i = 0; i < n_shared; i++)
        fq_schema_locate(
            check, error,
            root_node(check->document, (fq_operation_type)shared[i]));
}

static void
check_roots(fq_schema_check *check)
{
    const fq_type *const *roots = check->schema->roots;
    if (roots[FQ_OPERATION_QUERY] == NULL) {
        fq_gql_error *error = fq_schema_report(
            check, "Query root type must be provided.");
        fq_schema_locate(check, error, schema_node(check->document));
    }
    for (size_t i = 0; i < 3; i++)
        if (roots[i] != NULL && roots[i]->kind != FQ_TYPE_OBJECT)
            check_root_is_object(check, (fq_operation_type)i);
    for (size_t i = 0; i < 3; i++) {
        bool is_first = true;
        for (size_t j = 0; j < i; j++)
            is_first &= roots[j] != roots[i];
        if (is_first && roots[i] != NULL && roots[i]->kind == FQ_TYPE_OBJECT)
            check_root_is_shared(check, i);
    }
}

/* An argument or input field, as messages call it. */
typedef struct fq_input_label {
    fq_schema_check *check;
    const char *text;
} fq_input_label;

static bool
report_default(void *arg, fq_str message, fq_str path, const fq_ast_node *node)
{
    const fq_input_label *input = arg;
    fq_gql_error *error = fq_schema_report(
        input->check, "%s has invalid default value%s%.*s: %.*s", input->text,
        path.len > 0 ? " at " : "", FQ_STR_FMT(path), FQ_STR_FMT(message));
    fq_schema_locate(input->check, error, node);
    return !input->check->is_done;
}

/* The default value of |def|, which is called |text|. */
static void
check_default(fq_schema_check *check, const fq_input_def *def,
              const char *text)
{
    if (check->is_done || def->default_value == NULL)
        return;
    fq_input_label input = {check, text};
    if (fq_input_literal_check((fq_ast_value *)def->default_value, def->type,
                               report_default, &input)
        == FQ_ERR_NOMEM) {
        check->status = FQ_ERR_NOMEM;
        check->is_done = true;
    }
}

/* What to call an argument or field in messages, in the arena of |check|;
 * empty without memory, when nothing can be reported anyway. */
__attribute__((format(printf, 2, 3))) static const char *
label(fq_schema_check *check, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fq_str text = fq_arena_format_va(&check->arena, format, args);
    va_end(args);
    if (text.ptr != NULL)
        return text.ptr;
    check->status = FQ_ERR_NOMEM;
    check->is_done = true;
    return "";
}

/* An argument |text| of a field, or of a directive, whose errors the
 * reference locates a little differently. */
static void
check_argument(fq_schema_check *check, const fq_input_def *arg,
               const char *text, bool is_directive)
{
    check_name(check, arg->name, arg->node);
    if (!fq_type_is_input(arg->type)) {
        fq_gql_error *error = fq_schema_report(
            check, "The type of %s must be Input Type but got: %.*s.", text,
            FQ_STR_FMT(arg->type->name));
        fq_schema_locate(check, error,
                         is_directive ? arg->node : type_node(arg->node));
    }
    if (fq_input_def_is_required(arg) && arg->deprecation_reason.ptr != NULL) {
        fq_gql_error *error = fq_schema_report(
            check, "Required argument %s cannot be deprecated.", text);
        fq_schema_locate(check, error, deprecated_node(arg->node));
        fq_schema_locate(check, error, type_node(arg->node));
    }
    check_default(check, arg, text);
}

static void
check_directives(fq_schema_check *check)
{
    const fq_schema *schema = check->schema;
    for (uint32_t i = 0; i < schema->n_directives && !check->is_done; i++) {
        const fq_directive_def *directive = &schema->directives[i];
        if (directive->node == NULL)
            continue; /* a specified one */
        check_name(check, directive->name, directive->node);
        for (uint32_t j = 0; j < directive->n_args && !check->is_done; j++) {
            const fq_input_def *arg = &directive->args[j];
            check_argument(check, arg,
                           label(check, "@%.*s(%.*s:)",
                                 FQ_STR_FMT(directive->name),
                                 FQ_STR_FMT(arg->name)),
                           true);
        }
    }
}

static void
check_fields(fq_schema_check *check, const fq_type *type)
{
    if (type->n_members == 0) {
        fq_gql_error *error = fq_schema_report(
            check, "Type %.*s must define one or more fields.",
            FQ_STR_FMT(type->name));
        locate_parts(check, error, type);
    }
    for (uint32_t i = 0; i < type->n_members && !check->is_done; i++) {
        const fq_field_def *field = &type->fields[i];
        check_name(check, field->name, field->node);
        if (!fq_type_is_output(field->type)) {
            fq_gql_error *error = fq_schema_report(
                check,
                "The type of %.*s.%.*s must be Output Type but got: %.*s.",
                FQ_STR_FMT(type->name), FQ_STR_FMT(field->name),
                FQ_STR_FMT(field->type->name));
            fq_schema_locate(check, error, type_node(field->node));
        }
        for (uint32_t j = 0; j < field->n_args && !check->is_done; j++)
            check_argument(check, &field->args[j],
                           label(check, "%.*s.%.*s(%.*s:)",
                                 FQ_STR_FMT(type->name),
                                 FQ_STR_FMT(field->name),
                                 FQ_STR_FMT(field->args[j].name)),
                           false);
    }
}

/* What |interface| implements |type| must implement too; the interfaces of
 * |type| are marked. */
static void
check_ancestors(fq_schema_check *check, const fq_type *type,
                const fq_type *interface)
{
    for (uint32_t i = 0; i < interface->n_interfaces; i++) {
        const fq_type *ancestor = interface->interfaces[i];
        if (check->is_done || marks_has(check, ancestor))
            continue;
        fq_gql_error *error;
        if (ancestor == type)
            error = fq_schema_report(
                check,
                "Type %.*s cannot implement %.*s because it would create a "
                "circular reference.",
                FQ_STR_FMT(type->name), FQ_STR_FMT(interface->name));
        else
            error = fq_schema_report(
                check,
                "Type %.*s must implement %.*s because it is implemented by "
                "%.*s.",
                FQ_STR_FMT(type->name), FQ_STR_FMT(ancestor->name),
                FQ_STR_FMT(interface->name));
        locate_named(check, error, interface, ancestor);
        locate_named(check, error, type, interface);
    }
}

/* A field of a type and the one of its interface. */
typedef struct fq_field_pair {
    const fq_type *type;
    const fq_type *interface;
    const fq_field_def *own;
    const fq_field_def *expected;
} fq_field_pair;

static void
check_expected_argument(fq_schema_check *check, const fq_field_pair *pair,
                        const fq_input_def *expected)
{
    const fq_input_def *own = fq_field_arg(pair->own, expected->name);
    if (own != NULL && own->type == expected->type)
        return;
    fq_gql_error *error;
    if (own == NULL) {
        error = fq_schema_report(
            check,
            "Interface field argument %.*s.%.*s(%.*s:) expected but "
            "%.*s.%.*s does not provide it.",
            FQ_STR_FMT(pair->interface->name),
            FQ_STR_FMT(pair->expected->name), FQ_STR_FMT(expected->name),
            FQ_STR_FMT(pair->type->name), FQ_STR_FMT(pair->own->name));
        fq_schema_locate(check, error, expected->node);
        fq_schema_locate(check, error, pair->own->node);
    } else {
        error = fq_schema_report(
            check,
            "Interface field argument %.*s.%.*s(%.*s:) expects type %.*s but "
            "%.*s.%.*s(%.*s:) is type %.*s.",
            FQ_STR_FMT(pair->interface->name),
            FQ_STR_FMT(pair->expected->name), FQ_STR_FMT(expected->name),
            FQ_STR_FMT(expected->type->name), FQ_STR_FMT(pair->type->name),
            FQ_STR_FMT(pair->own->name), FQ_STR_FMT(own->name),
            FQ_STR_FMT(own->type->name));
        fq_schema_locate(check, error, type_node(expected->node));
        fq_schema_locate(check, error, type_node(own->node));
    }
}

static void
check_additional_argument(fq_schema_check *check, const fq_field_pair *pair,
                          const fq_input_def *own)
{
    if (!fq_input_def_is_required(own)
        || fq_field_arg(pair->expected, own->name) != NULL)
        return;
    fq_gql_error *error = fq_schema_report(
        check,
        "Argument '%.*s.%.*s(%.*s:)' must not be required type '%.*s' if not "
        "provided by the Interface field '%.*s.%.*s'.",
        FQ_STR_FMT(pair->type->name), FQ_STR_FMT(pair->own->name),
        FQ_STR_FMT(own->name), FQ_STR_FMT(own->type->name),
        FQ_STR_FMT(pair->interface->name), FQ_STR_FMT(pair->expected->name));
    fq_schema_locate(check, error, own->node);
    fq_schema_locate(check, error, pair->expected->node);
}

static void
check_field_pair(fq_schema_check *check, const fq_field_pair *pair)
{
    const fq_field_def *own = pair->own;
    const fq_field_def *expected = pair->expected;
    if (!fq_type_is_subtype_of(own->type, expected->type)) {
        fq_gql_error *error = fq_schema_report(
            check,
            "Interface field %.*s.%.*s expects type %.*s but %.*s.%.*s is "
            "type %.*s.",
            FQ_STR_FMT(pair->interface->name), FQ_STR_FMT(expected->name),
            FQ_STR_FMT(expected->type->name), FQ_STR_FMT(pair->type->name),
            FQ_STR_FMT(own->name), FQ_STR_FMT(own->type->name));
        fq_schema_locate(check, error, type_node(expected->node));
        fq_schema_locate(check, error, type_node(own->node));
    }
    for (uint32_t i = 0; i < expected->n_args; i++)
        check_expected_argument(check, pair, &expected->args[i]);
    for (uint32_t i = 0; i < own->n_args; i++)
        check_additional_argument(check, pair, &own->args[i]);
    if (own->deprecation_reason.ptr != NULL
        && expected->deprecation_reason.ptr == NULL) {
        fq_gql_error *error = fq_schema_report(
            check,
            "Interface field %.*s.%.*s is not deprecated, so implementation "
            "field %.*s.%.*s must not be deprecated.",
            FQ_STR_FMT(pair->interface->name), FQ_STR_FMT(expected->name),
            FQ_STR_FMT(pair->type->name), FQ_STR_FMT(own->name));
        fq_schema_locate(check, error, deprecated_node(own->node));
        fq_schema_locate(check, error, type_node(own->node));
    }
}

static void
check_implements(fq_schema_check *check, const fq_type *type,
                 const fq_type *interface)
{
    for (uint32_t i = 0; i < interface->n_members && !check->is_done; i++) {
        fq_field_pair pair = {type, interface, NULL, &interface->fields[i]};
        pair.own = fq_type_field(type, pair.expected->name);
        if (pair.own != NULL) {
            check_field_pair(check, &pair);
            continue;
        }
        fq_gql_error *error = fq_schema_report(
            check,
            "Interface field %.*s.%.*s expected but %.*s does not provide it.",
            FQ_STR_FMT(interface->name), FQ_STR_FMT(pair.expected->name),
            FQ_STR_FMT(type->name));
        fq_schema_locate(check, error, pair.expected->node);
        locate_parts(check, error, type);
    }
}

/* True when interface |i| of |type| is named before. */
static bool
is_repeated(const fq_type *type, uint32_t i)
{
    for (uint32_t j = 0; j < i; j++)
        if (type->interfaces[j] == type->interfaces[i])
            return true;
    return false;
}

static void
check_interfaces(fq_schema_check *check, const fq_type *type)
{
    marks_clear(check);
    uint32_t n_distinct = 0;
    for (uint32_t i = 0; i < type->n_interfaces; i++)
        n_distinct += marks_add(check, type->interfaces[i]);
    bool has_repeated = n_distinct < type->n_interfaces;
    for (uint32_t i = 0; i < type->n_interfaces && !check->is_done; i++) {
        const fq_type *interface = type->interfaces[i];
        fq_gql_error *error;
        if (interface->kind != FQ_TYPE_INTERFACE) {
            error = fq_schema_report(
                check,
                "Type %.*s must only implement Interface types, it cannot "
                "implement %.*s.",
                FQ_STR_FMT(type->name), FQ_STR_FMT(interface->name));
            locate_named(check, error, type, interface);
            continue;
        }
        if (interface == type) {
            error = fq_schema_report(
                check,
                "Type %.*s cannot implement itself because it would create a "
                "circular reference.",
                FQ_STR_FMT(type->name));
            locate_named(check, error, type, interface);
        }
        if (has_repeated && is_repeated(type, i)) {
            error = fq_schema_report(
                check, "Type %.*s can only implement %.*s once.",
                FQ_STR_FMT(type->name), FQ_STR_FMT(interface->name));
            locate_named(check, error, type, interface);
            continue;
        }
        check_ancestors(check, type, interface);
        check_implements(check, type, interface);
    }
}

static void
check_union(fq_schema_check *check, const fq_type *type)
{
    if (type->n_possible_types == 0) {
        fq_gql_error *error = fq_schema_report(
            check, "Union type %.*s must define one or more member types.",
            FQ_STR_FMT(type->name));
        locate_parts(check, error, type);
    }
    marks_clear(check);
    for (uint32_t i = 0; i < type->n_possible_types && !check->is_done; i++) {
        const fq_type *member = type->possible_types[i];
        fq_gql_error *error;
        if (member->kind != FQ_TYPE_OBJECT)
            error = fq_schema_report(
                check,
                "Union type %.*s can only include Object types, it cannot "
                "include %.*s.",
                FQ_STR_FMT(type->name), FQ_STR_FMT(member->name));
        else if (!marks_add(check, member))
            error = fq_schema_report(
                check, "Union type %.*s can only include type %.*s once.",
                FQ_STR_FMT(type->name), FQ_STR_FMT(member->name));
        else
            continue;
        locate_named(check, error, type, member);
    }
}

static void
check_enum(fq_schema_check *check, const fq_type *type)
{
    if (type->n_members == 0) {
        fq_gql_error *error = fq_schema_report(
            check, "Enum type %.*s must define one or more values.",
            FQ_STR_FMT(type->name));
        locate_parts(check, error, type);
    }
    for (uint32_t i = 0; i < type->n_members; i++)
        check_name(check, type->values[i].name, type->values[i].node);
}

static void
check_one_of_field(fq_schema_check *check, const fq_type *type,
                   const fq_input_def *field)
{
    if (field->type->kind == FQ_TYPE_NON_NULL) {
        fq_gql_error *error = fq_schema_report(
            check, "OneOf input field %.*s.%.*s must be nullable.",
            FQ_STR_FMT(type->name), FQ_STR_FMT(field->name));
        fq_schema_locate(check, error, type_node(field->node));
    }
    if (field->default_value != NULL) {
        fq_gql_error *error = fq_schema_report(
            check, "OneOf input field %.*s.%.*s cannot have a default value.",
            FQ_STR_FMT(type->name), FQ_STR_FMT(field->name));
        fq_schema_locate(check, error, field->node);
    }
}

static void
check_input_field(fq_schema_check *check, const fq_type *type,
                  const fq_input_def *field)
{
    check_name(check, field->name, field->node);
    const char *text = label(check, "%.*s.%.*s", FQ_STR_FMT(type->name),
                             FQ_STR_FMT(field->name));
    if (!fq_type_is_input(field->type)) {
        fq_gql_error *error = fq_schema_report(
            check, "The type of %s must be Input Type but got: %.*s.", text,
            FQ_STR_FMT(field->type->name));
        fq_schema_locate(check, error, type_node(field->node));
    }
    if (fq_input_def_is_required(field)
        && field->deprecation_reason.ptr != NULL) {
        fq_gql_error *error = fq_schema_report(
            check, "Required input field %s cannot be deprecated.", text);
        fq_schema_locate(check, error, deprecated_node(field->node));
        fq_schema_locate(check, error, type_node(field->node));
    }
    check_default(check, field, text);
    if (type->is_one_of)
        check_one_of_field(check, type, field);
}

static void
check_input_object(fq_schema_check *check, const fq_type *type)
{
    if (type->n_members == 0) {
        fq_gql_error *error = fq_schema_report(
            check, "Input Object type %.*s must define one or more fields.",
            FQ_STR_FMT(type->name));
        locate_parts(check, error, type);
    }
    for (uint32_t i = 0; i < type->n_members && !check->is_done; i++)
        check_input_field(check, type, &type->input_fields[i]);
}

static void
check_type(fq_schema_check *check, fq_default_cycles *cycles,
           const fq_type *type)
{
    check_name(check, type->name, type->node);
    switch (type->kind) {
    case FQ_TYPE_OBJECT:
    case FQ_TYPE_INTERFACE:
        check_fields(check, type);
        check_interfaces(check, type);
        break;
    case FQ_TYPE_UNION:
        check_union(check, type);
        break;
    case FQ_TYPE_ENUM:
        check_enum(check, type);
        break;
    case FQ_TYPE_INPUT_OBJECT:
        check_input_object(check, type);
        fq_schema_check_default_cycles(check, cycles, type);
        break;
    default:
        break;
    }
}

fq_status
fq_schema_validate(const fq_schema *schema, const fq_document *document,
                   fq_gql_errors *errors)
{
    size_t n_before = errors->n_items;
    fq_schema_check check = {
        .schema = schema,
        .document = document,
        .errors = errors,
    };
    fq_default_cycles cycles = {.visits = NULL};
    fq_arena_init(&check.arena, 0);
    check.marks = FQ_ARENA_NEW_N(&check.arena, uint32_t, schema->n_types);
    if (check.marks == NULL) {
        check.status = FQ_ERR_NOMEM;
        check.is_done = true;
    }
    if (!check.is_done)
        check_roots(&check);
    if (!check.is_done)
        check_directives(&check);
    for (uint32_t i = 0; i < schema->n_types && !check.is_done; i++)
        if (!schema->types[i]->is_builtin)
            check_type(&check, &cycles, schema->types[i]);
    if (!check.is_done)
        fq_schema_check_finite_values(&check);
    fq_arena_fini(&check.arena);
    if (check.status != FQ_OK)
        return check.status;
    return errors->n_items == n_before ? FQ_OK : FQ_ERR_INVALID;
}
