/* SPDX-License-Identifier: MIT */
/* Reading a filter's tree from Python's notation. One thread at a time. */
#include "engine/filter/expression.h"

#include <string.h>

#include "json/reader.h"

void
fq_filter_tree_init(fq_filter_tree *tree, fq_error *error)
{
    *tree = (fq_filter_tree){
        .error = error,
        .max_comparisons = FQ_FILTER_COMPARISONS_MAX,
        .max_depth = FQ_FILTER_DEPTH_MAX,
        .max_bytes = SIZE_MAX,
    };
    fq_arena_init(&tree->arena, 0);
}

void
fq_filter_tree_fini(fq_filter_tree *tree)
{
    fq_arena_fini(&tree->arena);
}

static fq_status
tree_no_memory(fq_filter_tree *tree)
{
    return fq_error_set(tree->error, FQ_ERR_NOMEM, FQ_ERROR_NO_POS,
                        "out of memory");
}

static fq_status
tree_refuse(fq_filter_tree *tree, const char *what)
{
    return fq_error_set(tree->error, FQ_ERR_INVALID, FQ_ERROR_NO_POS, "%s",
                        what);
}

fq_filter_node *
fq_filter_tree_node(fq_filter_tree *tree, fq_filter_node_kind kind)
{
    fq_filter_node *node = FQ_ARENA_NEW(&tree->arena, fq_filter_node);
    if (node != NULL)
        node->kind = kind;
    return node;
}

void
fq_filter_node_add(fq_filter_node *parent, fq_filter_node *child)
{
    child->prev = parent->last;
    parent->last = child;
}

fq_status
fq_filter_tree_check_depth(fq_filter_tree *tree, size_t depth)
{
    if (depth <= tree->max_depth)
        return FQ_OK;
    return fq_error_set(tree->error, FQ_ERR_LIMIT, FQ_ERROR_NO_POS,
                        "A filter nests at most %zu levels.", tree->max_depth);
}

/* -- comparisons ---------------------------------------------------------- */

static const struct {
    fq_str word;
    fq_filter_op op;
    bool is_negated;
} comparisons[] = {
    {FQ_STR("=="), FQ_FILTER_EQ, false},
    {FQ_STR("!="), FQ_FILTER_EQ, true},
    {FQ_STR("<"), FQ_FILTER_LT, false},
    {FQ_STR(">="), FQ_FILTER_LT, true},
    {FQ_STR("<="), FQ_FILTER_LE, false},
    {FQ_STR(">"), FQ_FILTER_LE, true},
    {FQ_STR("in"), FQ_FILTER_IN, false},
    {FQ_STR("contains"), FQ_FILTER_CONTAINS, false},
    {FQ_STR("startswith"), FQ_FILTER_STARTS_WITH, false},
    {FQ_STR("exists"), FQ_FILTER_EXISTS, false},
};

#define N_COMPARISONS (sizeof(comparisons) / sizeof(comparisons[0]))

fq_status
fq_filter_tree_compare(fq_filter_tree *tree, fq_str op, fq_filter_node **pnode)
{
    *pnode = NULL;
    size_t i = 0;
    while (i < N_COMPARISONS && !fq_str_eq(comparisons[i].word, op))
        i++;
    if (i == N_COMPARISONS)
        return tree_refuse(tree, "unknown operator");
    if (++tree->n_comparisons > tree->max_comparisons)
        return fq_error_set(tree->error, FQ_ERR_LIMIT, FQ_ERROR_NO_POS,
                            "A filter makes at most %zu comparisons.",
                            tree->max_comparisons);
    fq_filter_node *node = fq_filter_tree_node(tree,
                                               FQ_FILTER_NODE_COMPARISON);
    if (node == NULL)
        return tree_no_memory(tree);
    node->op = comparisons[i].op;
    node->is_negated = comparisons[i].is_negated;
    *pnode = node;
    return FQ_OK;
}

static fq_status
read_steps(fq_filter_tree *tree, yyjson_val *keys, fq_filter_operand *operand)
{
    size_t n_steps = yyjson_arr_size(keys);
    if (n_steps == 0)
        return tree_refuse(tree, "a path is a list of keys");
    if (n_steps > FQ_FILTER_STEPS_MAX)
        return fq_error_set(tree->error, FQ_ERR_LIMIT, FQ_ERROR_NO_POS,
                            "a path has at most %d steps",
                            FQ_FILTER_STEPS_MAX);
    fq_str *steps = FQ_ARENA_NEW_N(&tree->arena, fq_str, n_steps);
    if (steps == NULL)
        return tree_no_memory(tree);
    size_t n_bytes = 0;
    yyjson_arr_iter iter = yyjson_arr_iter_with(keys);
    for (size_t i = 0; i < n_steps; i++) {
        yyjson_val *key = yyjson_arr_iter_next(&iter);
        if (!yyjson_is_str(key))
            return tree_refuse(tree, "a path is a list of keys");
        steps[i] = fq_json_str(key);
        n_bytes += steps[i].len;
    }
    if (n_bytes > FQ_FILTER_PATH_BYTES_MAX)
        return fq_error_set(tree->error, FQ_ERR_LIMIT, FQ_ERROR_NO_POS,
                            "the keys of a path have at most %d bytes",
                            FQ_FILTER_PATH_BYTES_MAX);
    operand->steps = steps;
    operand->n_steps = n_steps;
    return FQ_OK;
}

static const struct {
    fq_str word;
    fq_filter_source source;
} envelope[] = {
    {FQ_STR("type"), FQ_FILTER_TYPE},
    {FQ_STR("channel"), FQ_FILTER_CHANNEL},
    {FQ_STR("created_at"), FQ_FILTER_CREATED_AT},
};

static fq_status
read_envelope(fq_filter_tree *tree, yyjson_val *name,
              fq_filter_operand *operand)
{
    for (size_t i = 0; i < sizeof(envelope) / sizeof(envelope[0]); i++) {
        if (yyjson_is_str(name)
            && fq_str_eq(fq_json_str(name), envelope[i].word)) {
            operand->source = envelope[i].source;
            return FQ_OK;
        }
    }
    return tree_refuse(tree, "unknown member of the envelope");
}

static const struct {
    fq_str word;
    fq_filter_source source;
} sources[] = {
    {FQ_STR("event"), FQ_FILTER_DATA},
    {FQ_STR("arg"), FQ_FILTER_ARG},
    {FQ_STR("ctx"), FQ_FILTER_CONTEXT},
};

static fq_status
read_operand(fq_filter_tree *tree, yyjson_val *ir, fq_filter_operand *operand)
{
    *operand = (fq_filter_operand){.source = FQ_FILTER_CONSTANT};
    if (!yyjson_is_obj(ir) || yyjson_obj_size(ir) != 1)
        return tree_refuse(tree, "an operand is an object of one member");
    yyjson_obj_iter iter = yyjson_obj_iter_with(ir);
    yyjson_val *key = yyjson_obj_iter_next(&iter);
    yyjson_val *value = yyjson_obj_iter_get_val(key);
    fq_str word = fq_json_str(key);
    if (fq_str_eq(word, FQ_STR_LIT("const"))) {
        operand->constant = value;
        return FQ_OK;
    }
    if (fq_str_eq(word, FQ_STR_LIT("envelope")))
        return read_envelope(tree, value, operand);
    for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
        if (fq_str_eq(word, sources[i].word)) {
            operand->source = sources[i].source;
            return read_steps(tree, value, operand);
        }
    }
    return tree_refuse(tree, "unknown operand");
}

static fq_status
read_comparison(fq_filter_tree *tree, fq_str op, yyjson_val *ir,
                fq_filter_node **pnode)
{
    fq_status status = fq_filter_tree_compare(tree, op, pnode);
    if (status != FQ_OK)
        return status;
    fq_filter_node *node = *pnode;
    size_t n_operands = node->op == FQ_FILTER_EXISTS ? 1 : 2;
    if (yyjson_arr_size(ir) != 1 + n_operands)
        return tree_refuse(tree, "wrong number of operands");
    status = read_operand(tree, yyjson_arr_get(ir, 1), &node->a);
    if (status == FQ_OK && n_operands == 2)
        status = read_operand(tree, yyjson_arr_get(ir, 2), &node->b);
    return status;
}

/* a between b and c: a >= b and a <= c. */
static fq_status
read_between(fq_filter_tree *tree, yyjson_val *ir, fq_filter_node **pnode)
{
    static const fq_str ops[] = {FQ_STR(">="), FQ_STR("<=")};
    if (yyjson_arr_size(ir) != 4)
        return tree_refuse(tree, "wrong number of operands");
    fq_filter_node *both = fq_filter_tree_node(tree, FQ_FILTER_NODE_AND);
    if (both == NULL)
        return tree_no_memory(tree);
    *pnode = both;
    fq_status status = FQ_OK;
    for (size_t i = 0; i < 2 && status == FQ_OK; i++) {
        fq_filter_node *node;
        status = fq_filter_tree_compare(tree, ops[i], &node);
        if (status == FQ_OK)
            status = read_operand(tree, yyjson_arr_get(ir, 1), &node->a);
        if (status == FQ_OK)
            status = read_operand(tree, yyjson_arr_get(ir, 2 + i), &node->b);
        if (status == FQ_OK)
            fq_filter_node_add(both, node);
    }
    return status;
}

/* -- and, or, not --------------------------------------------------------- */

static fq_status
read_node(fq_filter_tree *tree, yyjson_val *ir, size_t depth,
          fq_filter_node **pnode);

static fq_status
read_children(fq_filter_tree *tree, fq_filter_node_kind kind, yyjson_val *ir,
              size_t depth, fq_filter_node **pnode)
{
    fq_filter_node *parent = fq_filter_tree_node(tree, kind);
    if (parent == NULL)
        return tree_no_memory(tree);
    *pnode = parent;
    yyjson_arr_iter iter = yyjson_arr_iter_with(ir);
    yyjson_arr_iter_next(&iter); /* the operator */
    yyjson_val *item;
    while ((item = yyjson_arr_iter_next(&iter)) != NULL) {
        fq_filter_node *child;
        fq_status status = read_node(tree, item, depth + 1, &child);
        if (status != FQ_OK)
            return status;
        fq_filter_node_add(parent, child);
    }
    return FQ_OK;
}

static fq_status
read_not(fq_filter_tree *tree, yyjson_val *ir, size_t depth,
         fq_filter_node **pnode)
{
    if (yyjson_arr_size(ir) != 2)
        return tree_refuse(tree, "wrong number of operands");
    fq_status status = read_node(tree, yyjson_arr_get(ir, 1), depth + 1,
                                 pnode);
    if (status == FQ_OK)
        (*pnode)->is_negated = !(*pnode)->is_negated;
    return status;
}

static fq_status
read_value(fq_filter_tree *tree, yyjson_val *ir, fq_filter_node **pnode)
{
    *pnode = fq_filter_tree_node(tree, FQ_FILTER_NODE_VALUE);
    if (*pnode == NULL)
        return tree_no_memory(tree);
    (*pnode)->value = yyjson_get_bool(ir);
    return FQ_OK;
}

static fq_status
read_node(fq_filter_tree *tree, yyjson_val *ir, size_t depth,
          fq_filter_node **pnode)
{
    *pnode = NULL;
    fq_status status = fq_filter_tree_check_depth(tree, depth);
    if (status != FQ_OK)
        return status;
    if (yyjson_is_bool(ir))
        return read_value(tree, ir, pnode);
    yyjson_val *word = yyjson_arr_get_first(ir);
    if (!yyjson_is_str(word))
        return tree_refuse(tree, "a filter is a list with an operator");
    fq_str op = fq_json_str(word);
    if (fq_str_eq(op, FQ_STR_LIT("and")))
        return read_children(tree, FQ_FILTER_NODE_AND, ir, depth, pnode);
    if (fq_str_eq(op, FQ_STR_LIT("or")))
        return read_children(tree, FQ_FILTER_NODE_OR, ir, depth, pnode);
    if (fq_str_eq(op, FQ_STR_LIT("not")))
        return read_not(tree, ir, depth, pnode);
    if (fq_str_eq(op, FQ_STR_LIT("between")))
        return read_between(tree, ir, pnode);
    return read_comparison(tree, op, ir, pnode);
}

fq_status
fq_filter_tree_read(fq_filter_tree *tree, yyjson_val *ir,
                    fq_filter_node **pnode)
{
    return read_node(tree, ir, 1, pnode);
}
