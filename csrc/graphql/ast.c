/* SPDX-License-Identifier: MIT */
/* What is worked out once about a whole tree: which names are equal and
 * which fragment a spread means. One thread at a time.
 *
 * Names come from clients, so the tables hash with fq_hash_bytes; they grow
 * with the names that differ, as most documents repeat a few. */
#include "graphql/ast.h"

#include "base/alloc.h"
#include "base/map.h"

/* Slots of a new table: enough for most subscriptions. */
#define TABLE_FIRST 64

typedef struct fq_name_slot {
    uint32_t start; /* of the name in the source, plus one; 0: free */
    uint32_t len;
    uint32_t value;
} fq_name_slot;

/* Open addressing, at most three quarters full. */
typedef struct fq_name_table {
    fq_document *document;
    fq_name_slot *slots;
    size_t cap; /* a power of two */
    uint32_t n_items;
    fq_status status; /* not FQ_OK: it could not grow */
} fq_name_table;

/* A table of |cap| slots; NULL: no memory, or none left for the document. */
static fq_name_slot *
slots_new(fq_document *document, size_t cap)
{
    if (cap * sizeof(fq_name_slot) > fq_arena_room(&document->arena)) {
        document->arena.is_over = true;
        return NULL;
    }
    return fq_alloc_zero(cap * sizeof(fq_name_slot));
}

static fq_status
table_init(fq_name_table *table, fq_document *document)
{
    *table = (fq_name_table){.document = document, .cap = TABLE_FIRST};
    table->slots = slots_new(document, table->cap);
    table->status = table->slots != NULL ? FQ_OK : FQ_ERR_NOMEM;
    return table->status;
}

static fq_status
table_fini(fq_name_table *table)
{
    fq_free(table->slots);
    return table->status;
}

static fq_str
slot_name(const fq_name_table *table, const fq_name_slot *slot)
{
    return fq_str_make(table->document->source.ptr + slot->start - 1,
                       slot->len);
}

/* The slot of |name|: taken by it, or free. */
static fq_name_slot *
table_slot(const fq_name_table *table, fq_str name)
{
    size_t mask = table->cap - 1;
    size_t i = (size_t)fq_hash_bytes(name.ptr, name.len) & mask;
    while (table->slots[i].start != 0
           && !fq_str_eq(slot_name(table, &table->slots[i]), name))
        i = (i + 1) & mask;
    return &table->slots[i];
}

static bool
table_grow(fq_name_table *table)
{
    fq_name_table grown = *table;
    grown.cap *= 2;
    grown.slots = slots_new(table->document, grown.cap);
    if (grown.slots == NULL) {
        table->status = FQ_ERR_NOMEM;
        return false;
    }
    for (size_t i = 0; i < table->cap; i++)
        if (table->slots[i].start != 0)
            *table_slot(&grown,
                        slot_name(table, &table->slots[i])) = table->slots[i];
    fq_free(table->slots);
    *table = grown;
    return true;
}

/* The value under |name|, a slice of the source. The first time it is set to
 * how many names there were before. NULL: no memory. */
static uint32_t *
table_value(fq_name_table *table, fq_str name)
{
    fq_name_slot *slot = table_slot(table, name);
    if (slot->start != 0)
        return &slot->value;
    if (table->n_items >= table->cap / 4 * 3) {
        if (!table_grow(table))
            return NULL;
        slot = table_slot(table, name);
    }
    slot->start = (uint32_t)fq_document_offset(table->document, name) + 1;
    slot->len = (uint32_t)name.len;
    slot->value = table->n_items++;
    return &slot->value;
}

/* The number of |name|, a new one the first time. */
static uint32_t
table_number(fq_name_table *table, fq_str name)
{
    const uint32_t *value = table_value(table, name);
    return value != NULL ? *value : 0;
}

static fq_status
number_names(fq_document *document)
{
    fq_name_table table;
    fq_status status = table_init(&table, document);
    if (status != FQ_OK)
        return status;
    for (fq_ast_field *field = document->fields; field != NULL;
         field = field->next_field) {
        field->name_id = table_number(&table, field->name);
        field->key_id = field->alias_len > 0
                            ? table_number(&table, fq_ast_field_key(field))
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
    return table_fini(&table);
}

static fq_status
number_variables(fq_document *document)
{
    fq_name_table table;
    fq_status status = table_init(&table, document);
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
    return table_fini(&table);
}

static fq_status
number_spreads(fq_document *document)
{
    fq_name_table table;
    fq_status status = table_init(&table, document);
    if (status != FQ_OK)
        return status;
    for (fq_ast_spread *spread = document->spreads; spread != NULL;
         spread = spread->next_spread)
        spread->name_id = table_number(&table, spread->name);
    document->n_spread_names = table.n_items;
    return table_fini(&table);
}

/* Makes the fragment of each name known by the place of its definition, the
 * last one's. */
static fq_status
link_spreads(fq_document *document)
{
    fq_name_table table;
    fq_ast_fragment **last = NULL; /* by number of a name */
    fq_status status = table_init(&table, document);
    if (status != FQ_OK)
        return status;
    for (fq_ast_fragment *fragment = document->fragments; fragment != NULL;
         fragment = fragment->next_def)
        table_number(&table, fragment->name);
    if (table.status == FQ_OK) {
        last = fq_alloc_zero(table.n_items * sizeof(fq_ast_fragment *));
        if (last == NULL)
            table.status = FQ_ERR_NOMEM;
    }
    for (fq_ast_fragment *fragment = document->fragments;
         last != NULL && fragment != NULL; fragment = fragment->next_def)
        last[table_number(&table, fragment->name)] = fragment;
    for (fq_ast_fragment *fragment = document->fragments;
         last != NULL && fragment != NULL; fragment = fragment->next_def)
        fragment->effective = last[table_number(&table, fragment->name)];
    for (fq_ast_spread *spread = document->spreads;
         last != NULL && spread != NULL; spread = spread->next_spread) {
        const fq_name_slot *slot = table_slot(&table, spread->name);
        spread->fragment = slot->start != 0 ? last[slot->value] : NULL;
    }
    fq_free(last);
    return table_fini(&table);
}

fq_status
fq_document_check(const fq_document *document, fq_status status,
                  fq_gql_errors *errors)
{
    if (status != FQ_ERR_NOMEM || !document->arena.is_over)
        return status;
    size_t max = document->arena.max_bytes - document->source.len;
    fq_gql_errors_add(errors, "LIMIT_REACHED",
                      "Document takes more than %zu bytes of memory.", max);
    return errors->status == FQ_OK ? FQ_ERR_LIMIT : FQ_ERR_NOMEM;
}

fq_status
fq_document_link(fq_document *document, fq_gql_errors *errors)
{
    fq_status status = number_names(document);
    if (status == FQ_OK && document->n_variables + document->n_definitions > 0)
        status = number_variables(document);
    if (status == FQ_OK && document->n_spreads > 0)
        status = number_spreads(document);
    if (status == FQ_OK && document->n_spreads + document->n_fragments > 0)
        status = link_spreads(document);
    return fq_document_check(document, status, errors);
}

const fq_ast_directive *
fq_ast_directive_find(const fq_ast_list *directives, fq_str name)
{
    FQ_AST_FOREACH(node, directives)
    {
        const fq_ast_directive *directive = (const fq_ast_directive *)node;
        if (fq_str_eq(directive->name, name))
            return directive;
    }
    return NULL;
}

void
fq_document_fini(fq_document *document)
{
    fq_arena_fini(&document->arena);
    *document = (fq_document){.node = {.kind = FQ_AST_DOCUMENT}};
}
