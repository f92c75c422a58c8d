/* SPDX-License-Identifier: MIT */
/* What is worked out once about a whole tree: which names are equal and
 * which fragment a spread means. One thread at a time.
 *
 * Names come from clients, so both tables hash with fq_hash_bytes; they are
 * sized for what the parser counted, so they never grow. */
#include "graphql/ast.h"

#include "base/alloc.h"
#include "base/map.h"

typedef struct fq_name_slot {
    const char *ptr; /* NULL: the slot is free */
    size_t len;
    union {
        uint32_t id;
        fq_ast_fragment *fragment;
    } value;
} fq_name_slot;

/* Open addressing, at most half full. */
typedef struct fq_name_table {
    fq_name_slot *slots;
    size_t mask;
    uint32_t n_items;
} fq_name_table;

static fq_status
table_init(fq_name_table *table, size_t n_items_max)
{
    size_t cap = 8;
    while (cap < n_items_max * 2)
        cap *= 2;
    table->mask = cap - 1;
    table->n_items = 0;
    table->slots = fq_alloc_zero(cap * sizeof(*table->slots));
    return table->slots != NULL ? FQ_OK : FQ_ERR_NOMEM;
}

static void
table_fini(fq_name_table *table)
{
    fq_free(table->slots);
}

/* The slot of |name|: taken by it, or free. */
static fq_name_slot *
table_slot(const fq_name_table *table, fq_str name)
{
    size_t i = (size_t)fq_hash_bytes(name.ptr, name.len) & table->mask;
    while (table->slots[i].ptr != NULL
           && !(table->slots[i].len == name.len
                && memcmp(table->slots[i].ptr, name.ptr, name.len) == 0))
        i = (i + 1) & table->mask;
    return &table->slots[i];
}

/* The number of |name|, a new one the first time. */
static uint32_t
table_number(fq_name_table *table, fq_str name)
{
    fq_name_slot *slot = table_slot(table, name);
    if (slot->ptr == NULL) {
        slot->ptr = name.ptr;
        slot->len = name.len;
        slot->value.id = table->n_items++;
    }
    return slot->value.id;
}

static fq_status
number_names(fq_document *document)
{
    fq_name_table table;
    size_t n_max = 2 * (size_t)document->n_fields + document->n_fragments
                   + document->n_inline_fragments;
    fq_status status = table_init(&table, n_max);
    if (status != FQ_OK)
        return status;
    for (fq_ast_field *field = document->fields; field != NULL;
         field = field->next_field) {
        field->name_id = table_number(&table, field->name);
        field->key_id = field->alias.ptr != NULL
                            ? table_number(&table, field->alias)
                            : field->name_id;
    }
    for (fq_ast_fragment *fragment = document->fragments; fragment != NULL;
         fragment = fragment->next_def)
        fragment->type_condition->name_id = table_number(
            &table, fragment->type_condition->name);
    for (fq_ast_inline_fragment *fragment = document->inline_fragments;
         fragment != NULL; fragment = fragment->next_inline)
        if (fragment->type_condition != NULL)
            fragment->type_condition->name_id = table_number(
                &table, fragment->type_condition->name);
    document->n_names = table.n_items;
    table_fini(&table);
    return FQ_OK;
}

static fq_status
number_variables(fq_document *document)
{
    fq_name_table table;
    fq_status status = table_init(&table, (size_t)document->n_variables
                                              + document->n_definitions);
    if (status != FQ_OK)
        return status;
    FQ_AST_FOREACH(node, &document->definitions)
    {
        if (node->kind != FQ_AST_OPERATION)
            continue;
        const fq_ast_operation *operation = (const fq_ast_operation *)node;
        FQ_AST_FOREACH(item, &operation->variable_definitions)
        {
            fq_ast_value *variable
                = ((fq_ast_variable_definition *)item)->variable;
            variable->variable_id = table_number(&table, variable->text);
        }
    }
    for (fq_ast_value *variable = document->variables; variable != NULL;
         variable = variable->next_variable)
        variable->variable_id = table_number(&table, variable->text);
    document->n_variable_names = table.n_items;
    table_fini(&table);
    return FQ_OK;
}

static fq_status
number_spreads(fq_document *document)
{
    fq_name_table table;
    fq_status status = table_init(&table, document->n_spreads);
    if (status != FQ_OK)
        return status;
    for (fq_ast_spread *spread = document->spreads; spread != NULL;
         spread = spread->next_spread)
        spread->name_id = table_number(&table, spread->name);
    document->n_spread_names = table.n_items;
    table_fini(&table);
    return FQ_OK;
}

static fq_status
link_spreads(fq_document *document)
{
    fq_name_table table;
    fq_status status = table_init(&table, document->n_fragments);
    if (status != FQ_OK)
        return status;
    for (fq_ast_fragment *fragment = document->fragments; fragment != NULL;
         fragment = fragment->next_def) {
        fq_name_slot *slot = table_slot(&table, fragment->name);
        slot->ptr = fragment->name.ptr;
        slot->len = fragment->name.len;
        slot->value.fragment = fragment;
    }
    for (fq_ast_fragment *fragment = document->fragments; fragment != NULL;
         fragment = fragment->next_def)
        fragment->effective
            = table_slot(&table, fragment->name)->value.fragment;
    for (fq_ast_spread *spread = document->spreads; spread != NULL;
         spread = spread->next_spread)
        spread->fragment = table_slot(&table, spread->name)->value.fragment;
    table_fini(&table);
    return FQ_OK;
}

fq_status
fq_document_link(fq_document *document)
{
    fq_status status = number_names(document);
    if (status == FQ_OK && document->n_variables + document->n_definitions > 0)
        status = number_variables(document);
    if (status == FQ_OK && document->n_spreads > 0)
        status = number_spreads(document);
    if (status == FQ_OK && document->n_spreads + document->n_fragments > 0)
        status = link_spreads(document);
    return status;
}

void
fq_document_fini(fq_document *document)
{
    fq_arena_fini(&document->arena);
    *document = (fq_document){.node = {.kind = FQ_AST_DOCUMENT}};
}
