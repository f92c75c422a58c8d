/* SPDX-License-Identifier: MIT */
/* Compiling a tree into a chain of comparisons, in one block of memory, and
 * counting compiled filters. Thread: any. */
#include "engine/filter/filter.h"

#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "engine/filter/program.h"
#include "json/reader.h"

/* -- the chain ------------------------------------------------------------ */

/* Steps are written from the last to the first, so that both places a step
 * leads to are known when it is written. */
typedef struct emitter {
    fq_filter_step steps[FQ_FILTER_COMPARISONS_MAX];
    const fq_filter_operand *operands[2 * FQ_FILTER_COMPARISONS_MAX];
    size_t first; /* of those written */
    size_t n_operands;
} emitter;

static uint16_t
emit_operand(emitter *self, const fq_filter_operand *operand)
{
    self->operands[self->n_operands] = operand;
    return (uint16_t)self->n_operands++;
}

static uint16_t
emit_comparison(emitter *self, const fq_filter_node *node, bool is_negated,
                uint16_t on_true, uint16_t on_false)
{
    FQ_CHECK(self->first > 0);
    fq_filter_step *step = &self->steps[--self->first];
    step->op = (uint8_t)node->op;
    step->is_negated = is_negated;
    step->a = emit_operand(self, &node->a);
    step->b = step->a;
    if (node->op != FQ_FILTER_EXISTS)
        step->b = emit_operand(self, &node->b);
    step->on_true = on_true;
    step->on_false = on_false;
    return (uint16_t)self->first;
}

static uint16_t
emit(emitter *self, const fq_filter_node *node, bool is_negated,
     uint16_t on_true, uint16_t on_false);

/* The children of an and, of which each goes on to the next where it holds;
 * of an or, where it does not. */
static uint16_t
emit_children(emitter *self, const fq_filter_node *node, bool is_negated,
              bool is_and, uint16_t on_true, uint16_t on_false)
{
    uint16_t next = is_and ? on_true : on_false;
    for (const fq_filter_node *child = node->last; child != NULL;
         child = child->prev) {
        if (is_and)
            next = emit(self, child, is_negated, next, on_false);
        else
            next = emit(self, child, is_negated, on_true, next);
    }
    return next;
}

/* Writes |node| and returns where it begins. */
static uint16_t
emit(emitter *self, const fq_filter_node *node, bool is_negated,
     uint16_t on_true, uint16_t on_false)
{
    is_negated ^= node->is_negated;
    switch (node->kind) {
    case FQ_FILTER_NODE_VALUE:
        return node->value != is_negated ? on_true : on_false;
    case FQ_FILTER_NODE_COMPARISON:
        return emit_comparison(self, node, is_negated, on_true, on_false);
    default:
        /* A negated and is an or of the negations. */
        return emit_children(self, node, is_negated,
                             (node->kind == FQ_FILTER_NODE_AND) != is_negated,
                             on_true, on_false);
    }
}

/* -- the block ------------------------------------------------------------ */

/* What a filter takes behind its struct, in this order. */
typedef struct filter_size {
    size_t n_inputs;
    size_t n_keys;
    size_t n_values;
    size_t n_steps;
    size_t n_bytes;
} filter_size;

/* The id of a path: its source, then each key behind its length. */
static size_t
path_id_len(const fq_filter_operand *operand)
{
    size_t len = 1;
    for (size_t i = 0; i < operand->n_steps; i++)
        len += sizeof(uint16_t) + operand->steps[i].len;
    return len;
}

static filter_size
measure(const emitter *self)
{
    filter_size size = {
        .n_inputs = self->n_operands,
        .n_steps = FQ_FILTER_COMPARISONS_MAX - self->first,
    };
    for (size_t i = 0; i < self->n_operands; i++) {
        const fq_filter_operand *operand = self->operands[i];
        if (operand->source == FQ_FILTER_CONSTANT) {
            fq_filter_measure(operand->constant, &size.n_values,
                              &size.n_bytes);
        } else {
            size.n_keys += operand->n_steps;
            size.n_bytes += path_id_len(operand);
        }
    }
    return size;
}

/* The keys of a path lie in its id. */
static void
pack_path(const fq_filter_operand *operand, fq_str **pkeys, char **ptext,
          fq_filter_path *path)
{
    char *to = *ptext;
    path->n_steps = operand->n_steps;
    path->steps = *pkeys;
    path->id = fq_str_make(to, path_id_len(operand));
    *to++ = (char)operand->source;
    for (size_t i = 0; i < operand->n_steps; i++) {
        fq_str key = operand->steps[i];
        uint16_t len = (uint16_t)key.len;
        memcpy(to, &len, sizeof(len));
        to += sizeof(len);
        if (key.len > 0)
            memcpy(to, key.ptr, key.len);
        *(*pkeys)++ = fq_str_make(to, key.len);
        to += key.len;
    }
    *ptext = to;
}

/* Of the block. */
static size_t
packed_len(const emitter *self)
{
    filter_size size = measure(self);
    return sizeof(fq_filter) + size.n_inputs * sizeof(fq_filter_input)
           + size.n_keys * sizeof(fq_str) + size.n_values * sizeof(yyjson_val)
           + size.n_steps * sizeof(fq_filter_step) + size.n_bytes;
}

static fq_filter *
pack(const emitter *self, uint16_t entry)
{
    filter_size size = measure(self);
    fq_filter *filter = fq_alloc(packed_len(self));
    if (filter == NULL)
        return NULL;
    fq_filter_input *inputs = (fq_filter_input *)(filter + 1);
    fq_str *keys = (fq_str *)(inputs + size.n_inputs);
    fq_filter_packer packer = {.values = (yyjson_val *)(keys + size.n_keys)};
    fq_filter_step *steps = (fq_filter_step *)(packer.values + size.n_values);
    packer.text = (char *)(steps + size.n_steps);
    if (size.n_steps > 0)
        memcpy(steps, self->steps + self->first,
               size.n_steps * sizeof(*steps));
    for (size_t i = 0; i < size.n_inputs; i++) {
        const fq_filter_operand *operand = self->operands[i];
        inputs[i] = (fq_filter_input){.path.source = operand->source};
        if (operand->source == FQ_FILTER_CONSTANT)
            inputs[i].constant = fq_filter_pack(&packer, operand->constant);
        else
            pack_path(operand, &keys, &packer.text, &inputs[i].path);
    }
    *filter = (fq_filter){
        .entry = entry,
        .n_steps = (uint16_t)size.n_steps,
        .n_inputs = (uint16_t)size.n_inputs,
        .steps = steps,
        .inputs = inputs,
    };
    atomic_init(&filter->n_refs, 1);
    return filter;
}

/* Steps count from the end of the emitter; in a filter from its first. */
static uint16_t
relocate(const emitter *self, uint16_t label)
{
    return label < FQ_FILTER_REJECT ? (uint16_t)(label - self->first) : label;
}

static bool
is_late(const fq_filter *filter)
{
    for (size_t i = 0; i < filter->n_inputs; i++) {
        fq_filter_source source = filter->inputs[i].path.source;
        if (source == FQ_FILTER_ARG || source == FQ_FILTER_CONTEXT)
            return true;
    }
    return false;
}

/* A filter with all its values gets its binding now. Errors: FQ_ERR_NOMEM. */
static fq_status
bind_own(fq_filter *filter)
{
    if (is_late(filter))
        return FQ_OK;
    fq_filter_bound *own;
    fq_status status = fq_filter_bind(filter, NULL, NULL, &own);
    if (status != FQ_OK)
        return status;
    filter->own = own;
    own->filter = filter;
    fq_filter_unref(filter); /* the reference that |own| had */
    return FQ_OK;
}

fq_status
fq_filter_compile_tree(const fq_filter_tree *tree, const fq_filter_node *root,
                       fq_filter **pfilter)
{
    *pfilter = NULL;
    emitter *self = fq_alloc(sizeof(*self));
    fq_filter *filter = NULL;
    if (self == NULL)
        goto nomem;
    self->first = FQ_FILTER_COMPARISONS_MAX;
    self->n_operands = 0;
    uint16_t entry = emit(self, root, false, FQ_FILTER_ACCEPT,
                          FQ_FILTER_REJECT);
    entry = relocate(self, entry);
    for (size_t i = self->first; i < FQ_FILTER_COMPARISONS_MAX; i++) {
        fq_filter_step *step = &self->steps[i];
        step->on_true = relocate(self, step->on_true);
        step->on_false = relocate(self, step->on_false);
    }
    if (packed_len(self) > tree->max_bytes) {
        fq_free(self);
        return fq_error_set(tree->error, FQ_ERR_LIMIT, FQ_ERROR_NO_POS,
                            "A filter takes at most %zu bytes.",
                            tree->max_bytes);
    }
    filter = pack(self, entry);
    if (filter == NULL)
        goto nomem;
    fq_status status = bind_own(filter);
    if (status != FQ_OK)
        goto nomem;
    fq_free(self);
    *pfilter = filter;
    return FQ_OK;

nomem:
    fq_free(self);
    fq_filter_unref(filter);
    return fq_error_set(tree->error, FQ_ERR_NOMEM, FQ_ERROR_NO_POS,
                        "out of memory");
}

fq_status
fq_filter_compile(yyjson_val *ir, fq_filter **pfilter, fq_error *error)
{
    *pfilter = NULL;
    fq_filter_tree tree;
    fq_filter_tree_init(&tree, error);
    fq_filter_node *root;
    fq_status status = fq_filter_tree_read(&tree, ir, &root);
    if (status == FQ_OK)
        status = fq_filter_compile_tree(&tree, root, pfilter);
    fq_filter_tree_fini(&tree);
    return status;
}

/* -- life ----------------------------------------------------------------- */

fq_filter *
fq_filter_ref(fq_filter *filter)
{
    atomic_fetch_add_explicit(&filter->n_refs, 1, memory_order_relaxed);
    return filter;
}

void
fq_filter_unref(fq_filter *filter)
{
    if (filter == NULL
        || atomic_fetch_sub_explicit(&filter->n_refs, 1, memory_order_release)
               != 1)
        return;
    atomic_thread_fence(memory_order_acquire);
    fq_free(filter->own);
    fq_free(filter);
}

bool
fq_filter_each_path(const fq_filter *filter,
                    bool (*cb)(const fq_filter_path *path, void *arg),
                    void *arg)
{
    for (size_t i = 0; i < filter->n_inputs; i++) {
        const fq_filter_path *path = &filter->inputs[i].path;
        if (path->source >= FQ_FILTER_DATA && !cb(path, arg))
            return false;
    }
    return true;
}
