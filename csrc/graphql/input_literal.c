/* SPDX-License-Identifier: MIT */
/* Recursion over the literal, bounded by the parser, with the way to where it
 * is in a buffer that grows and shrinks. One thread at a time. */
#include "graphql/input_literal.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "graphql/input_message.h"
#include "graphql/print.h"
#include "graphql/variables.h"

/* An object of so many fields or fewer is searched for each of its type. */
#define FEW_FIELDS 8

typedef struct fq_literal_check {
    fq_input_literal_cb error_cb;
    void *arg;
    const fq_variable_states *variables; /* NULL: not known yet */
    fq_buf path;
    bool has_errors;
    bool is_done;
    fq_status status;
} fq_literal_check;

static void
check_value(fq_literal_check *check, fq_ast_value *literal,
            const fq_type *type);

/* Reports |message| and frees it. */
static void
report(fq_literal_check *check, fq_buf *message, const fq_ast_node *node)
{
    if (fq_buf_status(message) != FQ_OK
        || fq_buf_status(&check->path) != FQ_OK) {
        check->status = FQ_ERR_NOMEM;
        check->is_done = true;
    } else if (!check->is_done) {
        check->has_errors = true;
        check->is_done = !check->error_cb(check->arg, fq_buf_str(message),
                                          fq_buf_str(&check->path), node);
    }
    fq_buf_fini(message);
}

const fq_ast_argument *
fq_input_literal_field(const fq_ast_value *object, fq_str name)
{
    const fq_ast_argument *found = NULL;
    FQ_AST_FOREACH(node, &object->items)
    {
        const fq_ast_argument *field = (const fq_ast_argument *)node;
        if (fq_str_eq(field->name, name))
            found = field;
    }
    return found;
}

const fq_ast_node *
fq_input_literal_place(const fq_ast_value *literal)
{
    return literal->node.kind == FQ_AST_LIST
                   || literal->node.kind == FQ_AST_OBJECT
               ? NULL
               : &literal->node;
}

static void
report_null(fq_literal_check *check, const fq_ast_value *literal,
            const fq_type *type)
{
    fq_buf message;
    fq_buf_init(&message);
    fq_input_message_null(&message, type);
    report(check, &message, &literal->node);
}

static void
report_no_object(fq_literal_check *check, fq_ast_value *literal,
                 const fq_type *type)
{
    fq_buf message;
    fq_buf_init(&message);
    fq_input_message_no_object(&message, type);
    fq_print_literal(&message, literal);
    fq_buf_append_char(&message, '.');
    report(check, &message, &literal->node);
}

static void
report_missing(fq_literal_check *check, fq_ast_value *literal,
               const fq_type *type, const fq_input_def *field)
{
    fq_buf message;
    fq_buf_init(&message);
    fq_input_message_missing(&message, type, field);
    fq_print_literal(&message, literal);
    fq_buf_append_char(&message, '.');
    report(check, &message, &literal->node);
}

static void
report_unknown(fq_literal_check *check, fq_ast_value *literal,
               const fq_type *type, const fq_ast_argument *field)
{
    fq_buf message;
    fq_buf_init(&message);
    fq_input_message_unknown(&message, type, field->name);
    fq_print_literal(&message, literal);
    fq_buf_append_char(&message, '.');
    report(check, &message, &field->node);
}

static void
report_one_of(fq_literal_check *check, const fq_ast_value *literal,
              const fq_type *type)
{
    fq_buf message;
    fq_buf_init(&message);
    fq_input_message_one_of(&message, type);
    report(check, &message, &literal->node);
}

/* Reports that the value of |variable|, which |type| wants, is null or that it
 * has none. */
static void
report_variable(fq_literal_check *check, const fq_ast_value *variable,
                const fq_type *type, bool is_null)
{
    fq_buf message;
    fq_buf_init(&message);
    fq_buf_append_format(&message,
                         "Expected variable '$%.*s' provided to %stype '%.*s' "
                         "%s.",
                         FQ_STR_FMT(variable->text),
                         is_null ? "non-null " : "", FQ_STR_FMT(type->name),
                         is_null ? "not to be None"
                                 : "to provide a runtime value");
    report(check, &message, &variable->node);
}

static void
check_variable(fq_literal_check *check, const fq_ast_value *variable,
               const fq_type *type)
{
    if (check->variables == NULL || type->kind != FQ_TYPE_NON_NULL)
        return;
    fq_variable_state state = fq_variable_states_get(check->variables,
                                                     variable->text);
    if (state == FQ_VARIABLE_NONE || state == FQ_VARIABLE_NULL)
        report_variable(check, variable, type, state == FQ_VARIABLE_NULL);
}

/* The same for the field |name| of |object|, which must have one. */
static void
check_one_of_variable(fq_literal_check *check, const fq_ast_value *object,
                      const fq_type *type, const fq_ast_argument *field,
                      fq_variable_state state)
{
    if (state != FQ_VARIABLE_NONE && state != FQ_VARIABLE_NULL)
        return;
    fq_buf message;
    fq_buf_init(&message);
    fq_buf_append_format(&message,
                         "Expected variable '$%.*s' provided to field '%.*s' "
                         "for OneOf Input Object type '%.*s' %s.",
                         FQ_STR_FMT(field->value->text),
                         FQ_STR_FMT(field->name), FQ_STR_FMT(type->name),
                         state == FQ_VARIABLE_NULL
                             ? "not to be None"
                             : "to provide a runtime value");
    report(check, &message, &object->node);
}

/* Looks at a variable given for field |def| of |object|. False: the field is
 * as if it had not been given. */
static bool
check_field_variable(fq_literal_check *check, const fq_ast_value *object,
                     const fq_type *type, const fq_ast_argument *field,
                     const fq_input_def *def)
{
    if (check->variables == NULL || field->value->node.kind != FQ_AST_VARIABLE)
        return true;
    fq_variable_state state = fq_variable_states_get(check->variables,
                                                     field->value->text);
    if (type->is_one_of) {
        check_one_of_variable(check, object, type, field, state);
        return true;
    }
    return state != FQ_VARIABLE_NONE || fq_input_def_is_required(def);
}

/* |literal| below `.name` of what the path leads to. */
static void
check_field(fq_literal_check *check, const fq_ast_argument *field,
            const fq_input_def *def)
{
    size_t len = check->path.len;
    fq_buf_append_char(&check->path, '.');
    fq_buf_append_str(&check->path, field->name);
    check_value(check, field->value, def->type);
    check->path.len = len;
}

static void
check_one_of(fq_literal_check *check, const fq_ast_value *literal,
             const fq_type *type)
{
    const fq_ast_argument *only = NULL;
    size_t n_known = 0;
    FQ_AST_FOREACH(node, &literal->items)
    {
        const fq_ast_argument *field = (const fq_ast_argument *)node;
        if (fq_type_input_field(type, field->name) == NULL)
            continue;
        only = field;
        n_known++;
    }
    if (n_known != 1) {
        report_one_of(check, literal, type);
    } else if (only->value->node.kind == FQ_AST_NULL) {
        size_t len = check->path.len;
        fq_buf_append_char(&check->path, '.');
        fq_buf_append_str(&check->path, only->name);
        report_one_of(check, literal, type);
        check->path.len = len;
    }
}

/* Which field of |literal| gives which of |type|, in the order of that, on the
 * heap; NULL for few fields, and on failure. */
static const fq_ast_argument **
list_given(fq_literal_check *check, const fq_ast_value *literal,
           const fq_type *type)
{
    if (literal->items.n_items <= FEW_FIELDS)
        return NULL;
    const fq_ast_argument **given = fq_alloc_zero(type->n_members
                                                  * sizeof(*given));
    if (given == NULL) {
        check->status = FQ_ERR_NOMEM;
        check->is_done = true;
        return NULL;
    }
    FQ_AST_FOREACH(node, &literal->items)
    {
        const fq_ast_argument *field = (const fq_ast_argument *)node;
        const fq_input_def *def = fq_type_input_field(type, field->name);
        if (def != NULL)
            given[def - type->input_fields] = field;
    }
    return given;
}

static void
check_object(fq_literal_check *check, fq_ast_value *literal,
             const fq_type *type)
{
    if (literal->node.kind != FQ_AST_OBJECT) {
        report_no_object(check, literal, type);
        return;
    }
    const fq_ast_argument **given = list_given(check, literal, type);
    for (uint32_t i = 0; i < type->n_members && !check->is_done; i++) {
        const fq_input_def *def = &type->input_fields[i];
        const fq_ast_argument *field = given != NULL ? given[i]
                                                     : fq_input_literal_field(
                                                           literal, def->name);
        if (field == NULL) {
            if (fq_input_def_is_required(def))
                report_missing(check, literal, type, def);
        } else if (check_field_variable(check, literal, type, field, def)) {
            check_field(check, field, def);
        }
    }
    fq_free(given);
    FQ_AST_FOREACH(node, &literal->items)
    {
        const fq_ast_argument *field = (const fq_ast_argument *)node;
        if (!check->is_done && fq_type_input_field(type, field->name) == NULL)
            report_unknown(check, literal, type, field);
    }
    if (type->is_one_of)
        check_one_of(check, literal, type);
}

static void
check_enum(fq_literal_check *check, fq_ast_value *literal, const fq_type *type)
{
    bool is_enum = literal->node.kind == FQ_AST_ENUM;
    if (is_enum && fq_type_enum_value(type, literal->text) != NULL)
        return;
    fq_buf text, message;
    fq_buf_init(&text);
    fq_buf_init(&message);
    fq_print_value(&text, literal);
    if (is_enum)
        fq_buf_append_format(
            &message, "Value '%.*s' does not exist in '%.*s' enum.",
            FQ_STR_FMT(fq_buf_str(&text)), FQ_STR_FMT(type->name));
    else
        fq_buf_append_format(
            &message, "Enum '%.*s' cannot represent non-enum value: %.*s.",
            FQ_STR_FMT(type->name), FQ_STR_FMT(fq_buf_str(&text)));
    fq_input_message_near(&message, type, fq_buf_str(&text));
    if (fq_buf_status(&text) != FQ_OK)
        message.status = fq_buf_status(&text);
    fq_buf_fini(&text);
    report(check, &message, fq_input_literal_place(literal));
}

static void
check_scalar(fq_literal_check *check, fq_ast_value *literal,
             const fq_type *type)
{
    bool is_range;
    if (fq_scalar_accepts_literal(type->scalar, literal, &is_range))
        return;
    fq_buf message;
    fq_buf_init(&message);
    fq_scalar_write_refusal(&message, type->scalar, is_range, NULL, literal);
    report(check, &message, fq_input_literal_place(literal));
}

static void
check_list(fq_literal_check *check, fq_ast_value *literal, const fq_type *type)
{
    size_t i = 0;
    FQ_AST_FOREACH(node, &literal->items)
    {
        if (check->is_done)
            return;
        size_t len = check->path.len;
        fq_buf_append_format(&check->path, "[%zu]", i++);
        check_value(check, (fq_ast_value *)node, type->of);
        check->path.len = len;
    }
}

static void
check_value(fq_literal_check *check, fq_ast_value *literal,
            const fq_type *type)
{
    if (check->is_done)
        return;
    if (literal->node.kind == FQ_AST_VARIABLE) {
        check_variable(check, literal, type);
        return;
    }
    if (type->kind == FQ_TYPE_NON_NULL) {
        if (literal->node.kind == FQ_AST_NULL) {
            report_null(check, literal, type);
            return;
        }
        type = type->of;
    }
    if (literal->node.kind == FQ_AST_NULL)
        return;
    while (type->kind == FQ_TYPE_LIST && literal->node.kind != FQ_AST_LIST)
        type = fq_type_nullable(type->of); /* stands for a list of one */
    if (type->kind == FQ_TYPE_LIST)
        check_list(check, literal, type);
    else if (type->kind == FQ_TYPE_INPUT_OBJECT)
        check_object(check, literal, type);
    else if (type->kind == FQ_TYPE_ENUM)
        check_enum(check, literal, type);
    else if (type->kind == FQ_TYPE_SCALAR)
        check_scalar(check, literal, type);
}

fq_status
fq_input_literal_check(fq_ast_value *literal, const fq_type *type,
                       fq_input_literal_cb error_cb, void *arg)
{
    return fq_input_literal_check_bound(literal, type, NULL, error_cb, arg);
}

fq_status
fq_input_literal_check_bound(fq_ast_value *literal, const fq_type *type,
                             const fq_variable_states *variables,
                             fq_input_literal_cb error_cb, void *arg)
{
    fq_literal_check check = {
        .error_cb = error_cb,
        .arg = arg,
        .variables = variables,
    };
    fq_buf_init(&check.path);
    check_value(&check, literal, type);
    fq_buf_fini(&check.path);
    if (check.status != FQ_OK)
        return check.status;
    return check.has_errors ? FQ_ERR_INVALID : FQ_OK;
}
