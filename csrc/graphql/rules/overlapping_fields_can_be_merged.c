/* SPDX-License-Identifier: MIT */
/* OverlappingFieldsCanBeMerged (Sep 2025 5.3.2) without types: fields of one
 * response key must be the same field with the same arguments, and so must
 * what they select. No two type conditions are known to exclude each other.
 *
 * The comparisons are the reference's, in its order, because errors come in
 * the order in which they are found:
 *
 *   A  within the fields of a selection set, inline fragments flattened;
 *   B  between these and each fragment spread there, and (E) through it;
 *   C  between each two of these fragments, and (G) through them;
 *   H  between what two fields of one key select, (I) with the fragments
 *      spread on either side, (J) and between those.
 *
 * Pairs of (fields, fragment) and (fragment, fragment) are compared once. As
 * that does not bound the work, every comparison is metered
 * (FQ_OVERLAP_WORK_MAX), and what is kept of conflicts is bounded too: a
 * conflict inside another only adds to the text and places of the outer one,
 * which are cut, and of a whole set no more are kept than can be told. */
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/map.h"
#include "graphql/rules/rules.h"

/* As in the reference: longer texts are cut, and more places left out. */
#define CONFLICT_TEXT_MAX 1000
#define CONFLICT_NODES_MAX 20

/* Groups of fewer fields are searched one by one. */
#define GROUPS_LINEAR_MAX 8

typedef struct fq_overlap_field {
    const fq_ast_field *field;
    struct fq_overlap_field *next; /* of the same response key */
} fq_overlap_field;

typedef struct fq_overlap_group {
    uint32_t key_id;
    fq_overlap_field *first;
    fq_overlap_field **tail;
} fq_overlap_group;

typedef struct fq_overlap_spread {
    const fq_ast_fragment *fragment; /* NULL: unknown */
    struct fq_overlap_spread *next;
} fq_overlap_spread;

/* The fields of a selection set by response key, in order of appearance, and
 * the fragments spread there. Made once per selection set. */
typedef struct fq_overlap_fields {
    uint32_t id; /* from 1 */
    fq_overlap_group *groups;
    uint32_t n_groups;
    uint32_t *table; /* groups by key_id: index plus one; NULL: few */
    uint32_t table_mask;
    fq_overlap_spread *spreads; /* each fragment once */
    uint32_t n_spread_nodes;
    bool spreads_are_charged;
} fq_overlap_fields;

/* A set of pairs of numbers, by open addressing. 0 is a free slot. */
typedef struct fq_pair_set {
    uint64_t *slots;
    size_t cap; /* a power of two, or 0 */
    size_t n_items;
} fq_pair_set;

typedef struct fq_overlap {
    fq_validation *validation;
    size_t n_work_left;
    size_t depth; /* of recursion */
    uint32_t n_ids;
    fq_pair_set fields_and_fragment;
    fq_pair_set fragments;
    /* For collecting: by key_id, the group in the set being collected. */
    uint32_t *group_of;
    uint32_t *group_marks;
    uint32_t *spread_marks; /* by index of a fragment, and one for unknown */
    uint32_t generation;
} fq_overlap;

/* What is known of a conflict. Text and nodes live in the sink it is for. */
typedef struct fq_conflict {
    const fq_ast_field *nodes1[CONFLICT_NODES_MAX];
    const fq_ast_field *nodes2[CONFLICT_NODES_MAX];
    uint32_t n_nodes1;
    uint32_t n_nodes2;
    fq_buf reason;
} fq_conflict;

/* Where conflicts go: those inside a pair of fields are joined into one,
 * those of a selection set are kept until all of it has been compared. */
typedef struct fq_conflict_sink {
    bool has_any;
    bool is_silent;      /* nothing but has_any is wanted */
    fq_conflict *joined; /* or NULL: these are to be told */
    struct fq_kept_conflict *kept;
    struct fq_kept_conflict **kept_tail;
    size_t n_kept;
} fq_conflict_sink;

typedef struct fq_kept_conflict {
    struct fq_kept_conflict *next;
    fq_str message;
    const fq_ast_field **nodes;
    size_t n_nodes;
} fq_kept_conflict;

static void
compare_fields(fq_overlap *overlap, fq_conflict_sink *sink,
               const fq_overlap_fields *fields1,
               const fq_overlap_fields *fields2);

/* Spends |n| units; false when validation was given up. */
static bool
spend(fq_overlap *overlap, size_t n)
{
    if (n > overlap->n_work_left) {
        overlap->n_work_left = 0;
        fq_validation_abort(overlap->validation);
        return false;
    }
    overlap->n_work_left -= n;
    return !overlap->validation->is_aborted;
}

/* Guards against recursion through fragments in cycles. */
static bool
enter(fq_overlap *overlap)
{
    if (++overlap->depth > FQ_RULE_DEPTH_MAX)
        fq_validation_abort(overlap->validation);
    return !overlap->validation->is_aborted;
}

static void
leave(fq_overlap *overlap)
{
    overlap->depth--;
}

static size_t
pair_slot(const fq_pair_set *set, uint64_t pair)
{
    size_t i = (size_t)((pair * UINT64_C(0x9E3779B97F4A7C15)) >> 32)
               & (set->cap - 1);
    while (set->slots[i] != 0 && set->slots[i] != pair)
        i = (i + 1) & (set->cap - 1);
    return i;
}

/* Adds (|a|, |b|), both above 0; false when it was there. Out of memory the
 * validation fails. */
static bool
pair_add(fq_overlap *overlap, fq_pair_set *set, uint32_t a, uint32_t b)
{
    uint64_t pair = (uint64_t)a << 32 | b;
    if (set->n_items * 2 >= set->cap) {
        fq_pair_set grown = {.cap = set->cap > 0 ? set->cap * 2 : 64};
        grown.slots = fq_alloc_zero(grown.cap * sizeof(grown.slots[0]));
        if (grown.slots == NULL) {
            fq_validation_fail(overlap->validation);
            return false;
        }
        for (size_t i = 0; i < set->cap; i++)
            if (set->slots[i] != 0)
                grown.slots[pair_slot(&grown, set->slots[i])] = set->slots[i];
        grown.n_items = set->n_items;
        fq_free(set->slots);
        *set = grown;
    }
    size_t i = pair_slot(set, pair);
    if (set->slots[i] == pair)
        return false;
    set->slots[i] = pair;
    set->n_items++;
    return true;
}

/* Counts what |set| holds, inline fragments flattened. */
static void
count_selections(const fq_ast_selection_set *set, uint32_t *pn_fields)
{
    FQ_AST_FOREACH(node, &set->selections)
    {
        if (node->kind == FQ_AST_FIELD)
            ++*pn_fields;
        else if (node->kind == FQ_AST_INLINE_FRAGMENT)
            count_selections(
                ((const fq_ast_inline_fragment *)node)->selection_set,
                pn_fields);
    }
}

static void
collect_field(fq_overlap *overlap, fq_overlap_fields *fields,
              const fq_ast_field *field)
{
    uint32_t key = field->key_id;
    if (overlap->group_marks[key] != overlap->generation) {
        overlap->group_marks[key] = overlap->generation;
        overlap->group_of[key] = fields->n_groups;
        fq_overlap_group *group = &fields->groups[fields->n_groups++];
        group->key_id = key;
        group->tail = &group->first;
    }
    fq_overlap_group *group = &fields->groups[overlap->group_of[key]];
    fq_overlap_field *item = fq_validation_alloc(overlap->validation,
                                                 sizeof(*item));
    if (item == NULL)
        return;
    item->field = field;
    *group->tail = item;
    group->tail = &item->next;
}

static void
collect_spread(fq_overlap *overlap, fq_overlap_fields *fields,
               fq_overlap_spread ***ptail, const fq_ast_spread *spread)
{
    const fq_ast_fragment *fragment = spread->fragment;
    uint32_t mark = fragment != NULL
                        ? fragment->index
                        : overlap->validation->document->n_fragments;
    fields->n_spread_nodes++;
    if (overlap->spread_marks[mark] == overlap->generation)
        return;
    overlap->spread_marks[mark] = overlap->generation;
    fq_overlap_spread *item = fq_validation_alloc(overlap->validation,
                                                  sizeof(*item));
    if (item == NULL)
        return;
    item->fragment = fragment;
    **ptail = item;
    *ptail = &item->next;
}

static void
collect_set(fq_overlap *overlap, fq_overlap_fields *fields,
            fq_overlap_spread ***ptail, const fq_ast_selection_set *set)
{
    FQ_AST_FOREACH(node, &set->selections)
    {
        if (node->kind == FQ_AST_FIELD)
            collect_field(overlap, fields, (const fq_ast_field *)node);
        else if (node->kind == FQ_AST_FRAGMENT_SPREAD)
            collect_spread(overlap, fields, ptail,
                           (const fq_ast_spread *)node);
        else
            collect_set(overlap, fields, ptail,
                        ((const fq_ast_inline_fragment *)node)->selection_set);
        if (overlap->validation->is_aborted)
            return;
    }
}

static void
make_group_table(fq_overlap *overlap, fq_overlap_fields *fields)
{
    uint32_t cap = 1;
    while (cap < fields->n_groups * 2)
        cap *= 2;
    fields->table = fq_validation_alloc(overlap->validation,
                                        cap * sizeof(uint32_t));
    if (fields->table == NULL)
        return;
    fields->table_mask = cap - 1;
    for (uint32_t g = 0; g < fields->n_groups; g++) {
        /* Numbers of names are dense, so they spread by themselves. */
        uint32_t i = fields->groups[g].key_id & fields->table_mask;
        while (fields->table[i] != 0)
            i = (i + 1) & fields->table_mask;
        fields->table[i] = g + 1;
    }
}

/* The collected fields of |set|; NULL when validation was given up. */
static const fq_overlap_fields *
collect(fq_overlap *overlap, fq_ast_selection_set *set)
{
    fq_validation *validation = overlap->validation;
    if (set->overlap != NULL || validation->is_aborted)
        return set->overlap;
    uint32_t n_fields = 0;
    count_selections(set, &n_fields);
    fq_overlap_fields *fields = fq_validation_alloc(validation,
                                                    sizeof(*fields));
    if (fields == NULL)
        return NULL;
    fields->id = ++overlap->n_ids;
    fields->groups = fq_validation_alloc(validation,
                                         n_fields * sizeof(fields->groups[0]));
    if (fields->groups == NULL)
        return NULL;
    overlap->generation++;
    fq_overlap_spread **tail = &fields->spreads;
    collect_set(overlap, fields, &tail, set);
    if (fields->n_groups > GROUPS_LINEAR_MAX)
        make_group_table(overlap, fields);
    if (validation->is_aborted)
        return NULL;
    set->overlap = fields;
    return fields;
}

static const fq_overlap_group *
find_group(const fq_overlap_fields *fields, uint32_t key_id)
{
    if (fields->table == NULL) {
        for (uint32_t g = 0; g < fields->n_groups; g++)
            if (fields->groups[g].key_id == key_id)
                return &fields->groups[g];
        return NULL;
    }
    uint32_t i = key_id & fields->table_mask;
    while (fields->table[i] != 0
           && fields->groups[fields->table[i] - 1].key_id != key_id)
        i = (i + 1) & fields->table_mask;
    return fields->table[i] != 0 ? &fields->groups[fields->table[i] - 1]
                                 : NULL;
}

/* The spreads of |fields|, paid for when first asked for. */
static const fq_overlap_spread *
spreads_of(fq_overlap *overlap, const fq_overlap_fields *fields)
{
    if (!fields->spreads_are_charged) {
        ((fq_overlap_fields *)fields)->spreads_are_charged = true;
        spend(overlap, fields->n_spread_nodes);
    }
    return fields->spreads;
}

/* A key under which equal values are equal. The order of an object's fields
 * does not count, so theirs are added. Keys of different values are equal
 * with a chance of 2^-64 that nobody can influence, as the hash is keyed. */
static uint64_t
value_key(const fq_ast_value *value)
{
    uint64_t parts[4] = {
        value->node.kind,
        fq_hash_bytes(value->text.ptr, value->text.len),
        0,
        0,
    };
    if (value->node.kind == FQ_AST_STRING)
        parts[2] = value->is_block;
    if (value->node.kind != FQ_AST_LIST && value->node.kind != FQ_AST_OBJECT)
        return fq_hash_bytes(parts, sizeof(parts));
    parts[1] = 0;
    FQ_AST_FOREACH(node, &value->items)
    {
        uint64_t item[2] = {0, 0};
        if (value->node.kind == FQ_AST_LIST) {
            item[0] = parts[2];
            item[1] = value_key((const fq_ast_value *)node);
            parts[2] = fq_hash_bytes(item, sizeof(item));
        } else {
            const fq_ast_argument *field = (const fq_ast_argument *)node;
            item[0] = fq_hash_bytes(field->name.ptr, field->name.len);
            item[1] = value_key(field->value);
            parts[2] += fq_hash_bytes(item, sizeof(item));
        }
        parts[3]++;
    }
    return fq_hash_bytes(parts, sizeof(parts));
}

static uint64_t
argument_key(fq_ast_argument *argument)
{
    if (argument->value_key == 0)
        argument->value_key = value_key(argument->value) | 1;
    return argument->value_key;
}

/* The last argument of |list| named |name|, or NULL; |guess| is tried
 * first. */
static fq_ast_argument *
find_argument(fq_overlap *overlap, const fq_ast_list *list, fq_str name,
              fq_ast_node *guess)
{
    fq_ast_argument *found = NULL;
    if (guess != NULL && fq_str_eq(((fq_ast_argument *)guess)->name, name))
        return (fq_ast_argument *)guess;
    spend(overlap, list->n_items / 4);
    FQ_AST_FOREACH(node, list)
    {
        fq_ast_argument *argument = (fq_ast_argument *)node;
        if (fq_str_eq(argument->name, name))
            found = argument;
    }
    return found;
}

/* As the reference compares them: each of the first list with the last of its
 * name in the second. */
static bool
compare_arguments(fq_overlap *overlap, const fq_ast_list *list1,
                  const fq_ast_list *list2)
{
    fq_ast_node *guess = list2->first;
    FQ_AST_FOREACH(node, list1)
    {
        fq_ast_argument *argument1 = (fq_ast_argument *)node;
        if (!spend(overlap, 1))
            return true;
        fq_ast_argument *argument2 = find_argument(overlap, list2,
                                                   argument1->name, guess);
        if (argument2 == NULL
            || argument_key(argument1) != argument_key(argument2))
            return false;
        guess = argument2->node.next;
    }
    return true;
}

/* A key under which lists of equal arguments are equal, in whatever order;
 * KEY_REPEATED when a name is there twice, for which no key will do. */
#define KEY_REPEATED 1
static uint64_t
arguments_key(fq_overlap *overlap, fq_ast_field *field)
{
    if (field->arguments_key != 0)
        return field->arguments_key;
    uint64_t sum = 0;
    bool has_repeated = false;
    fq_validation_link_same(overlap->validation, &field->arguments);
    FQ_AST_FOREACH(node, &field->arguments)
    {
        fq_ast_argument *argument = (fq_ast_argument *)node;
        uint64_t parts[2] = {
            fq_hash_bytes(argument->name.ptr, argument->name.len),
            argument_key(argument),
        };
        sum += fq_hash_bytes(parts, sizeof(parts));
        has_repeated = has_repeated || argument->first_same != argument;
    }
    field->arguments_key = has_repeated ? KEY_REPEATED : sum | 2;
    return field->arguments_key;
}

static bool
have_same_arguments(fq_overlap *overlap, const fq_ast_field *field1,
                    const fq_ast_field *field2)
{
    const fq_ast_list *list1 = &field1->arguments;
    const fq_ast_list *list2 = &field2->arguments;
    if (list1->n_items != list2->n_items)
        return false;
    if (list1->n_items == 0)
        return true;
    uint64_t key1 = arguments_key(overlap, (fq_ast_field *)field1);
    uint64_t key2 = arguments_key(overlap, (fq_ast_field *)field2);
    if (key1 == KEY_REPEATED || key2 == KEY_REPEATED)
        return compare_arguments(overlap, list1, list2);
    return key1 == key2;
}

static void
append_abbreviated(fq_buf *buf, fq_str text)
{
    bool is_long = text.len > CONFLICT_TEXT_MAX;
    fq_buf_append(buf, text.ptr, is_long ? CONFLICT_TEXT_MAX : text.len);
    if (is_long)
        fq_buf_append_str(buf, FQ_STR_LIT("..."));
}

/* Adds as many of the last |n| |nodes| as there is room for. */
static void
join_nodes(const fq_ast_field **to, uint32_t *pn_to,
           const fq_ast_field *const *nodes, uint32_t n)
{
    uint32_t n_room = CONFLICT_NODES_MAX - *pn_to;
    uint32_t n_taken = n < n_room ? n : n_room;
    for (uint32_t i = n - n_taken; i < n; i++)
        to[(*pn_to)++] = nodes[i];
}

/* Keeps |conflict| of response key |key| to be told. */
static void
keep_conflict(fq_overlap *overlap, fq_conflict_sink *sink, fq_str key,
              const fq_conflict *conflict)
{
    fq_validation *validation = overlap->validation;
    fq_buf message;
    fq_buf_init(&message);
    fq_buf_append_str(&message, FQ_STR_LIT("Fields '"));
    append_abbreviated(&message, key);
    fq_buf_append_str(&message, FQ_STR_LIT("' conflict because "));
    fq_buf_append_str(&message, fq_buf_str(&conflict->reason));
    fq_buf_append_str(&message,
                      FQ_STR_LIT(". Use different aliases on the fields to "
                                 "fetch both if this was intentional."));
    size_t n_nodes = (size_t)conflict->n_nodes1 + conflict->n_nodes2;
    fq_kept_conflict *kept = fq_validation_alloc(validation, sizeof(*kept));
    const fq_ast_field **nodes = fq_validation_alloc(validation,
                                                     n_nodes * sizeof(*nodes));
    if (kept != NULL && nodes != NULL) {
        memcpy(nodes, conflict->nodes1, conflict->n_nodes1 * sizeof(*nodes));
        memcpy(nodes + conflict->n_nodes1, conflict->nodes2,
               conflict->n_nodes2 * sizeof(*nodes));
        kept->nodes = nodes;
        kept->n_nodes = n_nodes;
        kept->message = fq_arena_copy(&validation->arena,
                                      fq_buf_str(&message));
        if (fq_buf_status(&message) != FQ_OK
            || fq_buf_status(&conflict->reason) != FQ_OK
            || kept->message.ptr == NULL)
            fq_validation_fail(validation);
        *sink->kept_tail = kept;
        sink->kept_tail = &kept->next;
        sink->n_kept++;
    }
    fq_buf_fini(&message);
}

/* False when |sink| needs to know no more than that there are conflicts. */
static bool
sink_has_room(const fq_conflict_sink *sink)
{
    const fq_conflict *joined = sink->joined;
    if (sink->is_silent)
        return false;
    if (joined == NULL)
        return sink->n_kept <= FQ_VALIDATION_ERRORS_MAX;
    return joined->reason.len <= CONFLICT_TEXT_MAX
           || joined->n_nodes1 < CONFLICT_NODES_MAX
           || joined->n_nodes2 < CONFLICT_NODES_MAX;
}

/* Adds |conflict| of response key |key| to |sink|. */
static void
sink_add(fq_overlap *overlap, fq_conflict_sink *sink, fq_str key,
         const fq_conflict *conflict)
{
    fq_conflict *joined = sink->joined;
    if (joined == NULL) {
        keep_conflict(overlap, sink, key, conflict);
        return;
    }
    if (joined->reason.len <= CONFLICT_TEXT_MAX) {
        if (joined->reason.len > 0)
            fq_buf_append_str(&joined->reason, FQ_STR_LIT(" and "));
        fq_buf_append_str(&joined->reason, FQ_STR_LIT("subfields '"));
        append_abbreviated(&joined->reason, key);
        fq_buf_append_str(&joined->reason, FQ_STR_LIT("' conflict because "));
        fq_buf_append_str(&joined->reason, fq_buf_str(&conflict->reason));
        if (fq_buf_status(&conflict->reason) != FQ_OK)
            joined->reason.status = fq_buf_status(&conflict->reason);
    }
    join_nodes(joined->nodes1, &joined->n_nodes1, conflict->nodes1,
               conflict->n_nodes1);
    join_nodes(joined->nodes2, &joined->n_nodes2, conflict->nodes2,
               conflict->n_nodes2);
}

/* B, D, E: |fields| and what |fragment| selects. */
static void
compare_fields_and_fragment(fq_overlap *overlap, fq_conflict_sink *sink,
                            const fq_overlap_fields *fields,
                            const fq_ast_fragment *fragment)
{
    if (!spend(overlap, 1) || fields->n_groups == 0 || fragment == NULL
        || !pair_add(overlap, &overlap->fields_and_fragment, fields->id,
                     fragment->index + 1))
        return;
    const fq_overlap_fields *fields2 = collect(overlap,
                                               fragment->selection_set);
    if (fields2 == NULL)
        return;
    const fq_overlap_spread *spread = spreads_of(overlap, fields2);
    if (fields == fields2 || !enter(overlap))
        return;
    compare_fields(overlap, sink, fields, fields2);
    for (; spread != NULL; spread = spread->next)
        compare_fields_and_fragment(overlap, sink, fields, spread->fragment);
    leave(overlap);
}

/* C, F, G: what two fragments select. */
static void
compare_fragments(fq_overlap *overlap, fq_conflict_sink *sink,
                  const fq_ast_fragment *fragment1,
                  const fq_ast_fragment *fragment2)
{
    if (!spend(overlap, 2) || fragment1 == fragment2 || fragment1 == NULL
        || fragment2 == NULL)
        return;
    uint32_t a = fragment1->index + 1;
    uint32_t b = fragment2->index + 1;
    if (!pair_add(overlap, &overlap->fragments, a < b ? a : b, a < b ? b : a))
        return;
    const fq_overlap_fields *fields1 = collect(overlap,
                                               fragment1->selection_set);
    const fq_overlap_fields *fields2 = collect(overlap,
                                               fragment2->selection_set);
    if (fields1 == NULL || fields2 == NULL || !enter(overlap))
        return;
    const fq_overlap_spread *spread1 = spreads_of(overlap, fields1);
    const fq_overlap_spread *spread2 = spreads_of(overlap, fields2);
    compare_fields(overlap, sink, fields1, fields2);
    for (; spread2 != NULL; spread2 = spread2->next)
        compare_fragments(overlap, sink, fragment1, spread2->fragment);
    for (; spread1 != NULL; spread1 = spread1->next)
        compare_fragments(overlap, sink, spread1->fragment, fragment2);
    leave(overlap);
}

/* H, I, J: what two fields of one key select. */
static void
compare_sets(fq_overlap *overlap, fq_conflict_sink *sink,
             fq_ast_selection_set *set1, fq_ast_selection_set *set2)
{
    const fq_overlap_fields *fields1 = collect(overlap, set1);
    const fq_overlap_fields *fields2 = collect(overlap, set2);
    if (fields1 == NULL || fields2 == NULL || !enter(overlap))
        return;
    const fq_overlap_spread *spreads1 = spreads_of(overlap, fields1);
    const fq_overlap_spread *spreads2 = spreads_of(overlap, fields2);
    compare_fields(overlap, sink, fields1, fields2);
    for (const fq_overlap_spread *it = spreads2; it; it = it->next)
        compare_fields_and_fragment(overlap, sink, fields1, it->fragment);
    for (const fq_overlap_spread *it = spreads1; it; it = it->next)
        compare_fields_and_fragment(overlap, sink, fields2, it->fragment);
    for (const fq_overlap_spread *it = spreads1; it; it = it->next)
        for (const fq_overlap_spread *it2 = spreads2; it2; it2 = it2->next)
            compare_fragments(overlap, sink, it->fragment, it2->fragment);
    leave(overlap);
}

/* Compares what |field1| and |field2|, of one key, select. */
static void
compare_subfields(fq_overlap *overlap, fq_conflict_sink *sink,
                  const fq_ast_field *field1, const fq_ast_field *field2)
{
    if (!sink_has_room(sink)) {
        fq_conflict_sink silent = {.is_silent = true};
        compare_sets(overlap, &silent, field1->selection_set,
                     field2->selection_set);
        sink->has_any = sink->has_any || silent.has_any;
        return;
    }
    fq_conflict conflict = {
        .nodes1 = {field1},
        .nodes2 = {field2},
        .n_nodes1 = 1,
        .n_nodes2 = 1,
        .reason = FQ_BUF_INIT,
    };
    fq_conflict_sink inner = {.joined = &conflict};
    compare_sets(overlap, &inner, field1->selection_set,
                 field2->selection_set);
    if (inner.has_any && !overlap->validation->is_aborted) {
        if (conflict.reason.len > CONFLICT_TEXT_MAX) {
            conflict.reason.len = CONFLICT_TEXT_MAX;
            fq_buf_append_str(&conflict.reason, FQ_STR_LIT("..."));
        }
        sink->has_any = true;
        sink_add(overlap, sink, fq_ast_field_key(field1), &conflict);
    }
    fq_buf_fini(&conflict.reason);
}

/* Two fields of one response key. */
static void
compare_pair(fq_overlap *overlap, fq_conflict_sink *sink,
             const fq_ast_field *field1, const fq_ast_field *field2)
{
    if (!spend(overlap, 2))
        return;
    bool is_same_name = field1->name_id == field2->name_id;
    bool is_same = is_same_name
                   && have_same_arguments(overlap, field1, field2);
    if (overlap->validation->is_aborted)
        return;
    if (is_same) {
        if (field1->selection_set != NULL && field2->selection_set != NULL)
            compare_subfields(overlap, sink, field1, field2);
        return;
    }
    sink->has_any = true;
    if (!sink_has_room(sink))
        return;
    fq_conflict conflict = {
        .nodes1 = {field1},
        .nodes2 = {field2},
        .n_nodes1 = 1,
        .n_nodes2 = 1,
        .reason = FQ_BUF_INIT,
    };
    if (is_same_name) {
        fq_buf_append_str(&conflict.reason,
                          FQ_STR_LIT("they have differing arguments"));
    } else {
        fq_buf_append_char(&conflict.reason, '\'');
        append_abbreviated(&conflict.reason, field1->name);
        fq_buf_append_str(&conflict.reason, FQ_STR_LIT("' and '"));
        append_abbreviated(&conflict.reason, field2->name);
        fq_buf_append_str(&conflict.reason,
                          FQ_STR_LIT("' are different fields"));
    }
    sink_add(overlap, sink, fq_ast_field_key(field1), &conflict);
    fq_buf_fini(&conflict.reason);
}

/* Each field of |fields1| with those of its key in |fields2|. */
static void
compare_fields(fq_overlap *overlap, fq_conflict_sink *sink,
               const fq_overlap_fields *fields1,
               const fq_overlap_fields *fields2)
{
    if (fields2->n_groups == 0)
        return;
    if (!spend(overlap, fields1->n_groups))
        return;
    for (uint32_t g = 0; g < fields1->n_groups; g++) {
        const fq_overlap_group *group1 = &fields1->groups[g];
        const fq_overlap_group *group2 = find_group(fields2, group1->key_id);
        if (group2 == NULL)
            continue;
        for (const fq_overlap_field *f1 = group1->first; f1; f1 = f1->next)
            for (const fq_overlap_field *f2 = group2->first; f2;
                 f2 = f2->next) {
                compare_pair(overlap, sink, f1->field, f2->field);
                if (overlap->validation->is_aborted)
                    return;
            }
    }
}

/* A: each two fields of one key in |fields|. */
static void
compare_within(fq_overlap *overlap, fq_conflict_sink *sink,
               const fq_overlap_fields *fields)
{
    for (uint32_t g = 0; g < fields->n_groups; g++)
        for (const fq_overlap_field *f1 = fields->groups[g].first; f1;
             f1 = f1->next)
            for (const fq_overlap_field *f2 = f1->next; f2; f2 = f2->next) {
                compare_pair(overlap, sink, f1->field, f2->field);
                if (overlap->validation->is_aborted)
                    return;
            }
}

static void
report_kept(fq_validation *validation, const fq_conflict_sink *sink)
{
    for (const fq_kept_conflict *it = sink->kept; it; it = it->next) {
        fq_gql_error *error = fq_validation_report_str(validation,
                                                       it->message);
        for (size_t i = 0; i < it->n_nodes; i++)
            fq_validation_locate(validation, error, &it->nodes[i]->node);
    }
}

/* False when there is no memory for the rule's state. */
static bool
overlap_init(fq_overlap *overlap, fq_validation *validation)
{
    if (overlap->validation != NULL)
        return true;
    const fq_document *document = validation->document;
    overlap->n_work_left = FQ_OVERLAP_WORK_MAX;
    overlap->group_of = fq_validation_alloc(
        validation, document->n_names * sizeof(uint32_t));
    overlap->group_marks = fq_validation_alloc(
        validation, document->n_names * sizeof(uint32_t));
    overlap->spread_marks = fq_validation_alloc(
        validation, ((size_t)document->n_fragments + 1) * sizeof(uint32_t));
    if (overlap->group_of == NULL || overlap->group_marks == NULL
        || overlap->spread_marks == NULL)
        return false;
    overlap->validation = validation;
    return true;
}

static void
enter_selection_set(fq_validation *validation, void *state,
                    const fq_ast_node *node, const fq_ast_node *parent)
{
    fq_overlap *overlap = state;
    fq_ast_selection_set *set = (fq_ast_selection_set *)node;
    /* Inline fragments belong to the set around them. */
    if (parent->kind == FQ_AST_INLINE_FRAGMENT)
        return;
    if (set->selections.n_items < 2
        && set->selections.first->kind != FQ_AST_INLINE_FRAGMENT)
        return;
    if (!overlap_init(overlap, validation))
        return;
    const fq_overlap_fields *fields = collect(overlap, set);
    if (fields == NULL)
        return;
    fq_conflict_sink sink = {.joined = NULL};
    sink.kept_tail = &sink.kept;
    compare_within(overlap, &sink, fields);
    if (fields->spreads != NULL
        && (fields->n_groups > 0 || fields->n_spread_nodes > 1)) {
        const fq_overlap_spread *spread = spreads_of(overlap, fields);
        for (; spread != NULL; spread = spread->next) {
            compare_fields_and_fragment(overlap, &sink, fields,
                                        spread->fragment);
            for (const fq_overlap_spread *other = spread->next; other;
                 other = other->next)
                compare_fragments(overlap, &sink, spread->fragment,
                                  other->fragment);
        }
    }
    if (!validation->is_aborted)
        report_kept(validation, &sink);
}

static void
fini(void *state)
{
    fq_overlap *overlap = state;
    fq_free(overlap->fields_and_fragment.slots);
    fq_free(overlap->fragments.slots);
}

const fq_rule fq_rule_overlapping_fields_can_be_merged = {
    .state_size = sizeof(fq_overlap),
    .enter = {[FQ_AST_SELECTION_SET] = enter_selection_set},
    .fini = fini,
};
