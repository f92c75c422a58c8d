/* SPDX-License-Identifier: MIT */
/* Reading a filter's tree from what a client sent. One thread at a time. */
#include "engine/filter/client.h"

#include <string.h>

#include "json/reader.h"

typedef struct reader {
    fq_filter_tree tree;
    const fq_client_filter_scope *scope;
    fq_str steps[FQ_FILTER_STEPS_MAX]; /* that led to where it reads */
    size_t n_steps;
    size_t n_objects; /* so far */
} reader;

/* What operators take. */
typedef enum taken {
    TAKES_ANY,   /* a scalar or null */
    TAKES_VALUE, /* a scalar */
    TAKES_TEXT,
    TAKES_LIST,
    TAKES_PAIR,
    TAKES_BOOL,
} taken;

static const struct client_operator {
    fq_str word;
    fq_str op; /* as Python has it; of a pair, the first of two */
    taken takes;
} operators[] = {
    {FQ_STR("eq"), FQ_STR("=="), TAKES_ANY},
    {FQ_STR("ne"), FQ_STR("!="), TAKES_ANY},
    {FQ_STR("lt"), FQ_STR("<"), TAKES_VALUE},
    {FQ_STR("le"), FQ_STR("<="), TAKES_VALUE},
    {FQ_STR("gt"), FQ_STR(">"), TAKES_VALUE},
    {FQ_STR("ge"), FQ_STR(">="), TAKES_VALUE},
    {FQ_STR("in"), FQ_STR("in"), TAKES_LIST},
    {FQ_STR("contains"), FQ_STR("contains"), TAKES_VALUE},
    {FQ_STR("startsWith"), FQ_STR("startswith"), TAKES_TEXT},
    {FQ_STR("between"), FQ_STR(">="), TAKES_PAIR},
    {FQ_STR("exists"), FQ_STR("exists"), TAKES_BOOL},
};

#define N_OPERATORS (sizeof(operators) / sizeof(operators[0]))

static const char *const taken_words[] = {
    [TAKES_ANY] = "a single value",
    [TAKES_VALUE] = "a single value that is not null",
    [TAKES_TEXT] = "a text",
    [TAKES_LIST] = "a list of single values",
    [TAKES_PAIR] = "a list of two values that are not null",
    [TAKES_BOOL] = "true or false",
};

static fq_status
no_memory(reader *self)
{
    return fq_error_set(self->tree.error, FQ_ERR_NOMEM, FQ_ERROR_NO_POS,
                        "out of memory");
}

/* -- values --------------------------------------------------------------- */

static bool
is_list_of_scalars(yyjson_val *value, bool with_null)
{
    if (!yyjson_is_arr(value))
        return false;
    yyjson_arr_iter iter = yyjson_arr_iter_with(value);
    yyjson_val *item;
    while ((item = yyjson_arr_iter_next(&iter)) != NULL) {
        if (yyjson_is_ctn(item) || (!with_null && yyjson_is_null(item)))
            return false;
    }
    return true;
}

static bool
is_taken(taken takes, yyjson_val *value)
{
    switch (takes) {
    case TAKES_ANY:
        return !yyjson_is_ctn(value);
    case TAKES_VALUE:
        return !yyjson_is_ctn(value) && !yyjson_is_null(value);
    case TAKES_TEXT:
        return yyjson_is_str(value);
    case TAKES_LIST:
        return is_list_of_scalars(value, true);
    case TAKES_PAIR:
        return yyjson_arr_size(value) == 2 && is_list_of_scalars(value, false);
    default:
        return yyjson_is_bool(value);
    }
}

/* -- paths ---------------------------------------------------------------- */

/* Whether the last step is one that the client may take from |type|; *pnext
 * gets the type it leads to, NULL without a schema. */
static bool
may_step(const reader *self, const fq_type *type, fq_str key,
         const fq_type **pnext)
{
    *pnext = NULL;
    if (!self->scope->has_schema)
        return true;
    if (type == NULL || type->kind == FQ_TYPE_UNION)
        return false;
    const fq_field_def *field = fq_type_field(type, key);
    if (field == NULL)
        return false;
    *pnext = field->type->named;
    return self->scope->allows == NULL
           || self->scope->allows(type, field, self->scope->arg);
}

static fq_status
add_comparison(reader *self, fq_str op, yyjson_val *value,
               fq_filter_node *parent, fq_filter_node **pnode)
{
    fq_filter_node *node;
    fq_status status = fq_filter_tree_compare(&self->tree, op, &node);
    if (status != FQ_OK)
        return status;
    fq_str *steps = FQ_ARENA_NEW_N(&self->tree.arena, fq_str, self->n_steps);
    if (steps == NULL)
        return no_memory(self);
    memcpy(steps, self->steps, self->n_steps * sizeof(*steps));
    node->a = (fq_filter_operand){
        .source = FQ_FILTER_DATA,
        .steps = steps,
        .n_steps = self->n_steps,
    };
    node->b = (fq_filter_operand){
        .source = FQ_FILTER_CONSTANT,
        .constant = value,
    };
    fq_filter_node_add(parent, node);
    *pnode = node;
    return FQ_OK;
}

static fq_status
read_operator(reader *self, const struct client_operator *op,
              yyjson_val *value, fq_filter_node *parent)
{
    if (self->n_steps == 0)
        return fq_error_set(self->tree.error, FQ_ERR_INVALID, FQ_ERROR_NO_POS,
                            "\"%s\" belongs to a field.", op->word.ptr);
    if (!is_taken(op->takes, value))
        return fq_error_set(self->tree.error, FQ_ERR_INVALID, FQ_ERROR_NO_POS,
                            "\"%s\" of \"%.*s\" takes %s.", op->word.ptr,
                            FQ_STR_FMT(self->steps[self->n_steps - 1]),
                            taken_words[op->takes]);
    fq_filter_node *node;
    if (op->takes != TAKES_PAIR) {
        fq_status status = add_comparison(self, op->op, value, parent, &node);
        if (status == FQ_OK && op->takes == TAKES_BOOL)
            node->is_negated = !yyjson_get_bool(value);
        return status;
    }
    fq_status status = add_comparison(self, op->op, yyjson_arr_get(value, 0),
                                      parent, &node);
    if (status == FQ_OK)
        status = add_comparison(self, FQ_STR_LIT("<="),
                                yyjson_arr_get(value, 1), parent, &node);
    return status;
}

/* -- objects -------------------------------------------------------------- */

static fq_status
read_object(reader *self, yyjson_val *object, const fq_type *type,
            size_t depth, fq_filter_node **pnode);

static fq_status
read_not(reader *self, yyjson_val *value, const fq_type *type, size_t depth,
         fq_filter_node *parent)
{
    fq_filter_node *node;
    fq_status status = read_object(self, value, type, depth + 1, &node);
    if (status != FQ_OK)
        return status;
    node->is_negated = true;
    fq_filter_node_add(parent, node);
    return FQ_OK;
}

static fq_status
read_list(reader *self, fq_filter_node_kind kind, yyjson_val *list,
          const fq_type *type, size_t depth, fq_filter_node *parent)
{
    if (!yyjson_is_arr(list))
        return fq_error_set(self->tree.error, FQ_ERR_INVALID, FQ_ERROR_NO_POS,
                            "\"%s\" takes a list of objects.",
                            kind == FQ_FILTER_NODE_AND ? "and" : "or");
    fq_filter_node *all = fq_filter_tree_node(&self->tree, kind);
    if (all == NULL)
        return no_memory(self);
    fq_filter_node_add(parent, all);
    yyjson_arr_iter iter = yyjson_arr_iter_with(list);
    yyjson_val *item;
    while ((item = yyjson_arr_iter_next(&iter)) != NULL) {
        fq_filter_node *node;
        fq_status status = read_object(self, item, type, depth + 1, &node);
        if (status != FQ_OK)
            return status;
        fq_filter_node_add(all, node);
    }
    return FQ_OK;
}

static fq_status
read_step(reader *self, fq_str key, yyjson_val *value, const fq_type *type,
          size_t depth, fq_filter_node *parent)
{
    const fq_type *next;
    if (!may_step(self, type, key, &next))
        return fq_error_set(self->tree.error, FQ_ERR_INVALID, FQ_ERROR_NO_POS,
                            "There is no field \"%.*s\" to filter by.",
                            FQ_STR_FMT(key));
    if (self->n_steps == FQ_FILTER_STEPS_MAX
        || key.len > FQ_FILTER_PATH_BYTES_MAX)
        return fq_error_set(self->tree.error, FQ_ERR_LIMIT, FQ_ERROR_NO_POS,
                            "A path has at most %d steps of at most %d bytes.",
                            FQ_FILTER_STEPS_MAX, FQ_FILTER_PATH_BYTES_MAX);
    self->steps[self->n_steps++] = key;
    fq_filter_node *node;
    fq_status status = read_object(self, value, next, depth + 1, &node);
    self->n_steps--;
    if (status == FQ_OK)
        fq_filter_node_add(parent, node);
    return status;
}

static fq_status
read_member(reader *self, fq_str key, yyjson_val *value, const fq_type *type,
            size_t depth, fq_filter_node *parent)
{
    if (fq_str_eq(key, FQ_STR_LIT("and")))
        return read_list(self, FQ_FILTER_NODE_AND, value, type, depth, parent);
    if (fq_str_eq(key, FQ_STR_LIT("or")))
        return read_list(self, FQ_FILTER_NODE_OR, value, type, depth, parent);
    if (fq_str_eq(key, FQ_STR_LIT("not")))
        return read_not(self, value, type, depth, parent);
    for (size_t i = 0; i < N_OPERATORS; i++) {
        if (fq_str_eq(key, operators[i].word))
            return read_operator(self, &operators[i], value, parent);
    }
    return read_step(self, key, value, type, depth, parent);
}

static fq_status
read_object(reader *self, yyjson_val *object, const fq_type *type,
            size_t depth, fq_filter_node **pnode)
{
    *pnode = NULL;
    if (!yyjson_is_obj(object))
        return fq_error_set(self->tree.error, FQ_ERR_INVALID, FQ_ERROR_NO_POS,
                            "A filter is an object of fields and operators.");
    if (depth > FQ_CLIENT_FILTER_DEPTH_MAX
        || ++self->n_objects > FQ_CLIENT_FILTER_OBJECTS_MAX)
        return fq_error_set(self->tree.error, FQ_ERR_LIMIT, FQ_ERROR_NO_POS,
                            "A filter has at most %d objects in %d levels.",
                            FQ_CLIENT_FILTER_OBJECTS_MAX,
                            FQ_CLIENT_FILTER_DEPTH_MAX);
    fq_filter_node *all = fq_filter_tree_node(&self->tree, FQ_FILTER_NODE_AND);
    if (all == NULL)
        return no_memory(self);
    yyjson_obj_iter iter = yyjson_obj_iter_with(object);
    yyjson_val *key;
    fq_status status = FQ_OK;
    while (status == FQ_OK && (key = yyjson_obj_iter_next(&iter)) != NULL)
        status = read_member(self, fq_json_str(key),
                             yyjson_obj_iter_get_val(key), type, depth, all);
    *pnode = all;
    return status;
}

fq_status
fq_client_filter_compile(yyjson_val *value,
                         const fq_client_filter_scope *scope,
                         fq_filter **pfilter, fq_error *error)
{
    *pfilter = NULL;
    reader self = {.scope = scope};
    fq_filter_tree_init(&self.tree, error);
    self.tree.max_comparisons = FQ_CLIENT_FILTER_COMPARISONS_MAX;
    self.tree.max_bytes = FQ_CLIENT_FILTER_BYTES_MAX;
    fq_filter_node *root;
    fq_status status = read_object(&self, value, scope->type, 1, &root);
    if (status == FQ_OK)
        status = fq_filter_compile_tree(&self.tree, root, pfilter);
    fq_filter_tree_fini(&self.tree);
    return status;
}
