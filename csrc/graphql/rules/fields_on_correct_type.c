/* SPDX-License-Identifier: MIT */
/* FieldsOnCorrectType (Sep 2025 5.3.1). Cost: a field that is unknown on an
 * abstract type is looked up in all objects of that type and their
 * interfaces. */
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "graphql/rules/rules.h"
#include "graphql/suggestion.h"

/* Types that do have the field, each with how many objects have it that way.
 */
typedef struct fq_type_usages {
    const fq_type **types; /* in order of discovery, then of suggestion */
    uint32_t n_types;
    uint32_t *counts; /* by index of a type */
} fq_type_usages;

static void
usages_add(fq_type_usages *usages, const fq_type *type)
{
    if (usages->counts[type->index]++ == 0)
        usages->types[usages->n_types++] = type;
}

/* Below 0 when |a| is to be suggested before |b|: the more common one, then
 * the supertype, then by name. Not an order: chains of subtypes and of names
 * may contradict each other. */
static int
compare_types(const fq_type_usages *usages, const fq_type *a, const fq_type *b)
{
    uint32_t count_a = usages->counts[a->index];
    uint32_t count_b = usages->counts[b->index];
    if (count_a != count_b)
        return count_a > count_b ? -1 : 1;
    if (a->kind == FQ_TYPE_INTERFACE && fq_type_has_subtype(a, b))
        return -1;
    if (b->kind == FQ_TYPE_INTERFACE && fq_type_has_subtype(b, a))
        return 1;
    return fq_suggestion_natural_cmp(a->name, b->name);
}

/* How many of the types are in order from the start on; a falling run is
 * turned round. */
static uint32_t
order_first_run(const fq_type_usages *usages)
{
    const fq_type **types = usages->types;
    uint32_t n = usages->n_types < 2 ? usages->n_types : 2;
    if (n < 2)
        return n;
    bool is_falling = compare_types(usages, types[1], types[0]) < 0;
    while (n < usages->n_types
           && (compare_types(usages, types[n], types[n - 1]) < 0)
                  == is_falling)
        n++;
    for (uint32_t i = 0, j = n - 1; is_falling && i < j; i++, j--) {
        const fq_type *type = types[i];
        types[i] = types[j];
        types[j] = type;
    }
    return n;
}

/* As what compares the types is no order, the result depends on the way of
 * sorting; this is how the reference's language sorts few items. */
static void
sort_types(fq_type_usages *usages)
{
    const fq_type **types = usages->types;
    for (uint32_t n = order_first_run(usages); n < usages->n_types; n++) {
        const fq_type *type = types[n];
        uint32_t low = 0, high = n;
        while (low < high) {
            uint32_t middle = low + (high - low) / 2;
            if (compare_types(usages, type, types[middle]) < 0)
                high = middle;
            else
                low = middle + 1;
        }
        memmove(types + low + 1, types + low, (n - low) * sizeof(*types));
        types[low] = type;
    }
}

/* Writes which possible types of |parent| or interfaces of those have a field
 * |name|. */
static void
suggest_types(const fq_schema *schema, const fq_type *parent, fq_str name,
              fq_buf *buf)
{
    fq_type_usages usages = {
        .types = fq_alloc_zero(schema->n_types * sizeof(*usages.types)),
        .counts = fq_alloc_zero(schema->n_types * sizeof(*usages.counts)),
    };
    if (usages.types == NULL || usages.counts == NULL) {
        buf->status = FQ_ERR_NOMEM;
        goto out;
    }
    for (uint32_t i = 0; i < parent->n_possible_types; i++) {
        const fq_type *type = parent->possible_types[i];
        if (fq_type_field(type, name) == NULL)
            continue;
        usages_add(&usages, type);
        for (uint32_t j = 0; j < type->n_interfaces; j++)
            if (fq_type_field(type->interfaces[j], name) != NULL)
                usages_add(&usages, type->interfaces[j]);
    }
    sort_types(&usages);
    fq_str names[FQ_SUGGESTIONS_MAX];
    uint32_t n_names = 0;
    while (n_names < usages.n_types && n_names < FQ_SUGGESTIONS_MAX) {
        names[n_names] = usages.types[n_names]->name;
        n_names++;
    }
    fq_suggestion_write_names(buf, "to use an inline fragment on", names,
                              n_names);
out:
    fq_free(usages.counts);
    fq_free(usages.types);
}

/* Writes which fields of |parent| have a name like |name|. */
static void
suggest_fields(const fq_type *parent, fq_str name, fq_buf *buf)
{
    fq_suggestion suggestion;
    if (parent->kind == FQ_TYPE_UNION)
        return;
    fq_suggestion_init(&suggestion, name);
    for (uint32_t i = 0; i < parent->n_members; i++)
        fq_suggestion_offer(&suggestion, parent->fields[i].name);
    fq_suggestion_write(&suggestion, NULL, buf);
    fq_suggestion_fini(&suggestion);
}

static void
enter_field(fq_validation *validation, void *state, const fq_ast_node *node,
            const fq_ast_node *parent)
{
    (void)state, (void)parent;
    const fq_ast_field *field = (const fq_ast_field *)node;
    const fq_type *type = validation->parent_type;
    if (type == NULL || field->def != NULL)
        return;
    fq_buf message;
    fq_buf_init(&message);
    fq_buf_append_str(&message, FQ_STR_LIT("Cannot query field '"));
    fq_buf_append_str(&message, field->name);
    fq_buf_append_str(&message, FQ_STR_LIT("' on type '"));
    fq_buf_append_str(&message, type->name);
    fq_buf_append_str(&message, FQ_STR_LIT("'."));
    size_t len = message.len;
    if (fq_type_is_abstract(type))
        suggest_types(validation->schema, type, field->name, &message);
    if (message.len == len)
        suggest_fields(type, field->name, &message);
    fq_gql_error *error = fq_validation_report_buf(validation, &message);
    fq_validation_locate(validation, error, node);
}

const fq_rule fq_rule_fields_on_correct_type = {
    .name = "FieldsOnCorrectType",
    .needs_schema = true,
    .handlers = {
        {FQ_AST_FIELD, .enter = enter_field},
    },
};
