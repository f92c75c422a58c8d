/* SPDX-License-Identifier: MIT */
/* SingleFieldSubscriptions (Sep 2025 5.2.4.1): one response key at the root,
 * no introspection field, no @skip or @include. Without a schema every
 * fragment at the root applies; with one that has no subscriptions there is
 * nothing to say. Cost: O(selections reached). */
#include "graphql/rules/rules.h"

/* A field at the root, among those of its response key. */
typedef struct fq_root_field {
    const fq_ast_field *field;
    struct fq_root_field *next_same; /* of the same key */
    struct fq_root_field *last_same; /* of the key's first field only */
    struct fq_root_field *next_key;  /* likewise: the next key's first */
} fq_root_field;

/* A directive that must not be there. */
typedef struct fq_root_directive {
    const fq_ast_directive *directive;
    struct fq_root_directive *next;
} fq_root_directive;

/* The rule's state; what a mark stands for holds while the mark equals the
 * generation, one for each subscription. */
typedef struct fq_root_marks {
    uint32_t generation;
    fq_root_field **by_key;   /* by key_id: the first field of the key */
    uint32_t *key_marks;      /* by key_id */
    uint32_t *fragment_marks; /* by index of a fragment: visited */
} fq_root_marks;

typedef struct fq_root_fields {
    fq_root_marks *marks;
    fq_root_field *first_key;
    fq_root_field **keys_tail;
    size_t n_keys;
    fq_root_directive *forbidden;
    fq_root_directive **forbidden_tail;
} fq_root_fields;

/* True when a @skip or @include among |directives| was noted. */
static bool
note_forbidden(fq_validation *validation, fq_root_fields *root,
               const fq_ast_list *directives)
{
    const fq_ast_directive *directive = fq_ast_directive_find(
        directives, FQ_STR_LIT("skip"));
    if (directive == NULL)
        directive = fq_ast_directive_find(directives, FQ_STR_LIT("include"));
    if (directive == NULL)
        return false;
    fq_root_directive *noted = fq_validation_alloc(validation, sizeof(*noted));
    if (noted == NULL)
        return true;
    noted->directive = directive;
    *root->forbidden_tail = noted;
    root->forbidden_tail = &noted->next;
    return true;
}

static void
note_field(fq_validation *validation, fq_root_fields *root,
           const fq_ast_field *field)
{
    fq_root_field *noted = fq_validation_alloc(validation, sizeof(*noted));
    if (noted == NULL)
        return;
    noted->field = field;
    noted->last_same = noted;
    fq_root_marks *marks = root->marks;
    uint32_t key = field->key_id;
    if (marks->key_marks[key] == marks->generation) {
        fq_root_field *first = marks->by_key[key];
        first->last_same->next_same = noted;
        first->last_same = noted;
        return;
    }
    marks->key_marks[key] = marks->generation;
    marks->by_key[key] = noted;
    *root->keys_tail = noted;
    root->keys_tail = &noted->next_key;
    root->n_keys++;
}

static const fq_ast_list *
directives_of(const fq_ast_node *node)
{
    if (node->kind == FQ_AST_FIELD)
        return &((const fq_ast_field *)node)->directives;
    if (node->kind == FQ_AST_INLINE_FRAGMENT)
        return &((const fq_ast_inline_fragment *)node)->directives;
    return &((const fq_ast_spread *)node)->directives;
}

/* True when a fragment on |condition| (NULL: any type) applies to the root. */
static bool
is_on_root(const fq_validation *validation, const fq_ast_type *condition)
{
    const fq_type *root = validation->schema->roots[FQ_OPERATION_SUBSCRIPTION];
    if (root == NULL || condition == NULL || condition->type == root)
        return true;
    return condition->type != NULL && fq_type_is_abstract(condition->type)
           && fq_type_has_subtype(condition->type, root);
}

/* Recursion is bounded: nesting through fragments was checked before, and a
 * fragment is visited once. The work is metered, as each subscription of a
 * document walks its fragments afresh. */
static void
collect(fq_validation *validation, fq_root_fields *root,
        const fq_ast_selection_set *set)
{
    size_t n_work = set->selections.n_items;
    FQ_AST_FOREACH(node, &set->selections)
    n_work += directives_of(node)->n_items;
    if (!fq_validation_spend(validation, n_work))
        return;
    FQ_AST_FOREACH(node, &set->selections)
    {
        if (validation->is_aborted)
            return;
        if (node->kind == FQ_AST_FIELD) {
            const fq_ast_field *field = (const fq_ast_field *)node;
            if (!note_forbidden(validation, root, &field->directives))
                note_field(validation, root, field);
        } else if (node->kind == FQ_AST_INLINE_FRAGMENT) {
            const fq_ast_inline_fragment *fragment
                = (const fq_ast_inline_fragment *)node;
            if (!note_forbidden(validation, root, &fragment->directives)
                && is_on_root(validation, fragment->type_condition))
                collect(validation, root, fragment->selection_set);
        } else {
            const fq_ast_spread *spread = (const fq_ast_spread *)node;
            const fq_ast_fragment *fragment = spread->fragment;
            if (note_forbidden(validation, root, &spread->directives)
                || fragment == NULL
                || !is_on_root(validation, fragment->type_condition)
                || root->marks->fragment_marks[fragment->index]
                       == root->marks->generation)
                continue;
            root->marks->fragment_marks[fragment->index]
                = root->marks->generation;
            collect(validation, root, fragment->selection_set);
        }
    }
}

/* `Anonymous Subscription` or `Subscription 'name'`, then |text|. */
static fq_gql_error *
report(fq_validation *validation, const fq_ast_operation *operation,
       const char *text)
{
    if (operation->name.ptr == NULL)
        return fq_validation_report(validation, "Anonymous Subscription %s",
                                    text);
    return fq_validation_report(validation, "Subscription '%.*s' %s",
                                FQ_STR_FMT(operation->name), text);
}

static void
locate_same(fq_validation *validation, fq_gql_error *error,
            const fq_root_field *field)
{
    for (; field != NULL; field = field->next_same)
        fq_validation_locate(validation, error, &field->field->node);
}

static void
check(fq_validation *validation, const fq_ast_operation *operation,
      const fq_root_fields *root)
{
    fq_gql_error *error;
    if (root->forbidden != NULL) {
        error = report(validation, operation,
                       "must not use `@skip` or `@include` directives in the "
                       "top level selection.");
        for (const fq_root_directive *it = root->forbidden; it; it = it->next)
            fq_validation_locate(validation, error, &it->directive->node);
        return;
    }
    if (root->n_keys == 0) {
        error = report(validation, operation,
                       "must select one top level field.");
        fq_validation_locate(validation, error,
                             &operation->selection_set->node);
    } else if (root->n_keys > 1) {
        error = report(validation, operation,
                       "must select only one top level field.");
        for (const fq_root_field *key = root->first_key->next_key; key;
             key = key->next_key)
            locate_same(validation, error, key);
    }
    for (const fq_root_field *key = root->first_key; key;
         key = key->next_key) {
        fq_str name = key->field->name;
        if (name.len < 2 || name.ptr[0] != '_' || name.ptr[1] != '_')
            continue;
        error = report(validation, operation,
                       "must not select an introspection top level field.");
        locate_same(validation, error, key);
    }
}

/* False when there is no memory for the marks. */
static bool
marks_init(fq_root_marks *marks, fq_validation *validation)
{
    const fq_document *document = validation->document;
    size_t n_names = document->n_names;
    if (marks->generation++ > 0)
        return true;
    marks->by_key = fq_validation_alloc(validation,
                                        n_names * sizeof(fq_root_field *));
    marks->key_marks = fq_validation_alloc(validation,
                                           n_names * sizeof(uint32_t));
    marks->fragment_marks = fq_validation_alloc(
        validation, document->n_fragments * sizeof(uint32_t));
    return marks->by_key != NULL && marks->key_marks != NULL
           && marks->fragment_marks != NULL;
}

static void
enter_operation(fq_validation *validation, void *state,
                const fq_ast_node *node, const fq_ast_node *parent)
{
    (void)parent;
    const fq_ast_operation *operation = (const fq_ast_operation *)node;
    if (operation->type != FQ_OPERATION_SUBSCRIPTION
        || (!validation->is_schemaless
            && validation->schema->roots[FQ_OPERATION_SUBSCRIPTION] == NULL)
        || !marks_init(state, validation))
        return;
    fq_root_fields root = {.marks = state};
    root.keys_tail = &root.first_key;
    root.forbidden_tail = &root.forbidden;
    collect(validation, &root, operation->selection_set);
    if (!validation->is_aborted)
        check(validation, operation, &root);
}

const fq_rule fq_rule_single_field_subscriptions = {
    .name = "SingleFieldSubscriptions",
    .state_size = sizeof(fq_root_marks),
    .handlers = {
        {FQ_AST_OPERATION, .enter = enter_operation},
    },
};
