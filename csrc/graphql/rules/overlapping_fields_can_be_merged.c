/* SPDX-License-Identifier: MIT */
/* OverlappingFieldsCanBeMerged (Sep 2025 5.3.2): fields of one response key
 * must be the same field with the same arguments, unless they are on objects
 * of different types, and of types that a response can merge, and so must
 * what they select. Without a schema no two types are known to differ.
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
 * Pairs of (fields, fragment) and (fragment, fragment) are compared once, or
 * twice when the first time they excluded each other by the types around. As
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
    const fq_type *parent;         /* what it is selected on; NULL: unknown */
    struct fq_overlap_field *next; /* of the same response key */
} fq_overlap_field;

typedef struct fq_overlap_group {
    uint32_t key_id;
    fq_overlap_field *first; /* while collecting: the last, which then links to
                              * the first */
} fq_overlap_group;

typedef struct fq_overlap_spread {
    const fq_ast_fragment *fragment; /* NULL: unknown */
    struct fq_overlap_spread *next;
} fq_overlap_spread;

/* The fields of a selection set by response key, in order of appearance, and
 * the fragments spread there. Made once per selection set and type that it is
 * on, which is one but for documents in error. */
typedef struct fq_overlap_fields {
    uint32_t id; /* from 1 */
    const fq_type *parent;
    struct fq_overlap_fields *next; /* of the same set on another type */
    fq_overlap_group *groups;
    uint32_t n_groups;
    uint32_t *table; /* groups by key_id: index plus one; NULL: few */
    uint32_t table_mask;
    fq_overlap_spread *spreads; /* each fragment once */
    uint32_t n_spread_nodes;
    bool spreads_are_charged;
} fq_overlap_fields;

/* A set of pairs of numbers from 1. Of each pair it is known whether it was
 * compared, and if so whether only as one that excludes each other by the
 * types around. Two bits of a row for the first number, the row being made
 * when it is needed; in documents for which that would be much, and for first
 * numbers beyond what was foreseen, a slot of 64 bits by open addressing. */
typedef struct fq_pair_set {
    uint8_t **rows; /* NULL: none of them */
    uint32_t n_rows;
    uint32_t row_len; /* in bytes */
    uint64_t *slots;  /* 0: free */
    size_t cap;       /* a power of two, or 0 */
    size_t n_items;   /* in slots */
} fq_pair_set;

/* Of a slot or of the two bits in a row: compared, but as exclusive. */
#define PAIR_SLOT_EXCLUSIVE (UINT64_C(1) << 63)
#define PAIR_COMPARED 1u
#define PAIR_EXCLUSIVE 2u

/* The rows of a set may come to this part of the memory that is left. */
#define PAIR_ROWS_PART 4

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
compare_fields(fq_overlap *overlap, fq_conflict_sink *sink, bool is_exclusive,
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
    while (set->slots[i] != 0
           && (set->slots[i] & ~PAIR_SLOT_EXCLUSIVE) != pair)
        i = (i + 1) & (set->cap - 1);
    return i;
}

static bool
pair_grow(fq_overlap *overlap, fq_pair_set *set)
{
    fq_pair_set grown = *set;
    grown.cap = set->cap > 0 ? set->cap * 2 : 64;
    size_t n_bytes = (set->cap + grown.cap) * sizeof(grown.slots[0]);
    if (n_bytes > fq_arena_room(&overlap->validation->arena)) {
        fq_validation_abort(overlap->validation);
        return false;
    }
    grown.slots = fq_alloc_zero(grown.cap * sizeof(grown.slots[0]));
    if (grown.slots == NULL) {
        fq_validation_fail(overlap->validation);
        return false;
    }
    for (size_t i = 0; i < set->cap; i++) {
        uint64_t slot = set->slots[i];
        if (slot != 0)
            grown.slots[pair_slot(&grown, slot & ~PAIR_SLOT_EXCLUSIVE)] = slot;
    }
    fq_free(set->slots);
    *set = grown;
    return true;
}

static bool
pair_add_slot(fq_overlap *overlap, fq_pair_set *set, uint32_t a, uint32_t b,
              bool is_exclusive)
{
    uint64_t pair = (uint64_t)a << 32 | b;
    if (set->n_items * 2 >= set->cap && !pair_grow(overlap, set))
        return false;
    size_t i = pair_slot(set, pair);
    bool is_new = set->slots[i] == 0;
    if (!is_new && (is_exclusive || set->slots[i] == pair))
        return false;
    set->slots[i] = is_exclusive ? pair | PAIR_SLOT_EXCLUSIVE : pair;
    set->n_items += is_new;
    return true;
}

/* Adds (|a|, |b|); false when it was there and nothing new is to be found. Out
 * of memory the validation fails. */
static bool
pair_add(fq_overlap *overlap, fq_pair_set *set, uint32_t a, uint32_t b,
         bool is_exclusive)
{
    if (a > set->n_rows)
        return pair_add_slot(overlap, set, a, b, is_exclusive);
    uint8_t **row = &set->rows[a - 1];
    if (*row == NULL)
        *row = fq_validation_alloc(overlap->validation, set->row_len);
    if (*row == NULL)
        return false;
    uint8_t *bits = &(*row)[b / 4];
    unsigned shift = b % 4 * 2;
    unsigned known = (unsigned)*bits >> shift & 3u;
    if (known == PAIR_COMPARED || (known != 0 && is_exclusive))
        return false;
    *bits = (uint8_t)((*bits & ~(3u << shift))
                      | (is_exclusive ? PAIR_EXCLUSIVE : PAIR_COMPARED)
                            << shift);
    return true;
}

/* Prepares |set| for pairs up to (|n_a|, |n_b|); false without memory. */
static bool
pair_set_init(fq_overlap *overlap, fq_pair_set *set, size_t n_a, size_t n_b)
{
    size_t row_len = n_b / 4 + 1;
    size_t room = fq_arena_room(&overlap->validation->arena) / PAIR_ROWS_PART;
    if (row_len + sizeof(set->rows[0]) > room / (n_a + 1))
        return true;
    set->rows = fq_validation_alloc(overlap->validation,
                                    n_a * sizeof(set->rows[0]));
    set->n_rows = (uint32_t)n_a;
    set->row_len = (uint32_t)row_len;
    return set->rows != NULL;
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
              const fq_ast_field *field, const fq_type *parent)
{
    uint32_t key = field->key_id;
    if (overlap->group_marks[key] != overlap->generation) {
        overlap->group_marks[key] = overlap->generation;
        overlap->group_of[key] = fields->n_groups;
        fq_overlap_group *group = &fields->groups[fields->n_groups++];
        group->key_id = key;
    }
    fq_overlap_group *group = &fields->groups[overlap->group_of[key]];
    fq_overlap_field *item = fq_validation_alloc(overlap->validation,
                                                 sizeof(*item));
    if (item == NULL)
        return;
    item->field = field;
    item->parent = parent;
    fq_overlap_field *last = group->first;
    item->next = last != NULL ? last->next : item;
    if (last != NULL)
        last->next = item;
    group->first = item;
}

/* From rings, which are entered at their last field, to lists. */
static void
open_rings(fq_overlap_fields *fields)
{
    for (uint32_t g = 0; g < fields->n_groups; g++) {
        fq_overlap_field *last = fields->groups[g].first;
        if (last == NULL)
            continue;
        fields->groups[g].first = last->next;
        last->next = NULL;
    }
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
            fq_overlap_spread ***ptail, const fq_ast_selection_set *set,
            const fq_type *parent)
{
    FQ_AST_FOREACH(node, &set->selections)
    {
        if (node->kind == FQ_AST_FIELD) {
            collect_field(overlap, fields, (const fq_ast_field *)node, parent);
        } else if (node->kind == FQ_AST_FRAGMENT_SPREAD) {
            collect_spread(overlap, fields, ptail,
                           (const fq_ast_spread *)node);
        } else {
            const fq_ast_inline_fragment *fragment
                = (const fq_ast_inline_fragment *)node;
            const fq_ast_type *condition = fragment->type_condition;
            collect_set(overlap, fields, ptail, fragment->selection_set,
                        condition != NULL ? condition->type : parent);
        }
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

/* The collected fields of |set| on |parent| (NULL: unknown); NULL when
 * validation was given up. */
static const fq_overlap_fields *
collect(fq_overlap *overlap, fq_ast_selection_set *set, const fq_type *parent)
{
    fq_validation *validation = overlap->validation;
    for (const fq_overlap_fields *it = set->overlap; it; it = it->next)
        if (it->parent == parent)
            return it;
    if (validation->is_aborted)
        return NULL;
    uint32_t n_fields = 0;
    count_selections(set, &n_fields);
    fq_overlap_fields *fields = fq_validation_alloc(validation,
                                                    sizeof(*fields));
    if (fields == NULL)
        return NULL;
    fields->id = ++overlap->n_ids;
    fields->parent = parent;
    fields->next = set->overlap;
    fields->groups = fq_validation_alloc(validation,
                                         n_fields * sizeof(fields->groups[0]));
    if (fields->groups == NULL)
        return NULL;
    overlap->generation++;
    fq_overlap_spread **tail = &fields->spreads;
    collect_set(overlap, fields, &tail, set, parent);
    open_rings(fields);
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

static uint64_t
value_key(fq_overlap *overlap, const fq_ast_value *value);

static uint64_t
join_keys(uint64_t key1, uint64_t key2)
{
    uint64_t keys[2] = {key1, key2};
    return fq_hash_bytes(keys, sizeof(keys));
}

static uint64_t
leaf_key(const fq_ast_value *value)
{
    uint64_t key = fq_hash_bytes(value->text.ptr, value->text.len);
    if (value->node.kind == FQ_AST_STRING && value->is_block)
        key = ~key;
    return key;
}

static uint64_t
list_key(fq_overlap *overlap, const fq_ast_value *value)
{
    uint64_t key = 0;
    FQ_AST_FOREACH(node, &value->items)
    key = join_keys(key, value_key(overlap, (const fq_ast_value *)node));
    return key;
}

/* The order of fields does not count, so what they give is added; but that of
 * fields of one name does. */
static uint64_t
object_key(fq_overlap *overlap, const fq_ast_value *value)
{
    uint64_t key = 0;
    fq_validation_link_same(overlap->validation, &value->items);
    FQ_AST_FOREACH(node, &value->items)
    {
        fq_ast_argument *field = (fq_ast_argument *)node;
        field->value_key = fq_hash_bytes(field->name.ptr, field->name.len);
    }
    FQ_AST_FOREACH(node, &value->items)
    {
        fq_ast_argument *field = (fq_ast_argument *)node;
        fq_ast_argument *first = field->first_same;
        if (overlap->validation->is_aborted)
            return 0;
        first->value_key = join_keys(first->value_key,
                                     value_key(overlap, field->value));
        key += first->value_key;
    }
    return key;
}

/* A key under which equal values are equal. Keys of different values are equal
 * with a chance of 2^-64 that nobody can influence, as the hash is keyed. */
static uint64_t
value_key(fq_overlap *overlap, const fq_ast_value *value)
{
    uint64_t key;
    if (value->node.kind == FQ_AST_LIST)
        key = list_key(overlap, value);
    else if (value->node.kind == FQ_AST_OBJECT)
        key = object_key(overlap, value);
    else
        key = leaf_key(value);
    return join_keys((uint64_t)value->node.kind, key);
}

static uint64_t
argument_key(fq_overlap *overlap, fq_ast_argument *argument)
{
    if (argument->value_key == 0)
        argument->value_key = value_key(overlap, argument->value) | 1;
    return argument->value_key;
}

/* The last argument of |list| named |name|, or NULL. */
static fq_ast_argument *
find_argument(fq_overlap *overlap, const fq_ast_list *list, fq_str name)
{
    fq_ast_argument *found = NULL;
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
 * name in the second. Only lists that repeat a name come here, and those of
 * @stream. */
static bool
compare_arguments(fq_overlap *overlap, const fq_ast_list *list1,
                  const fq_ast_list *list2)
{
    FQ_AST_FOREACH(node, list1)
    {
        fq_ast_argument *argument1 = (fq_ast_argument *)node;
        if (!spend(overlap, 1))
            return true;
        fq_ast_argument *argument2 = find_argument(overlap, list2,
                                                   argument1->name);
        if (argument2 == NULL
            || argument_key(overlap, argument1)
                   != argument_key(overlap, argument2))
            return false;
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
            argument_key(overlap, argument),
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

/* What |fragment| selects; NULL when validation was given up. */
static const fq_overlap_fields *
collect_fragment(fq_overlap *overlap, const fq_ast_fragment *fragment)
{
    return collect(overlap, fragment->selection_set,
                   fragment->type_condition->type);
}

/* B, D, E: |fields| and what |fragment| selects. */
static void
compare_fields_and_fragment(fq_overlap *overlap, fq_conflict_sink *sink,
                            bool is_exclusive, const fq_overlap_fields *fields,
                            const fq_ast_fragment *fragment)
{
    if (!spend(overlap, 1) || fields->n_groups == 0 || fragment == NULL
        || !pair_add(overlap, &overlap->fields_and_fragment, fields->id,
                     fragment->index + 1, is_exclusive))
        return;
    const fq_overlap_fields *fields2 = collect_fragment(overlap, fragment);
    if (fields2 == NULL)
        return;
    const fq_overlap_spread *spread = spreads_of(overlap, fields2);
    if (fields == fields2 || !enter(overlap))
        return;
    compare_fields(overlap, sink, is_exclusive, fields, fields2);
    for (; spread != NULL; spread = spread->next)
        compare_fields_and_fragment(overlap, sink, is_exclusive, fields,
                                    spread->fragment);
    leave(overlap);
}

/* C, F, G: what two fragments select. */
static void
compare_fragments(fq_overlap *overlap, fq_conflict_sink *sink,
                  bool is_exclusive, const fq_ast_fragment *fragment1,
                  const fq_ast_fragment *fragment2)
{
    if (!spend(overlap, 2) || fragment1 == fragment2 || fragment1 == NULL
        || fragment2 == NULL)
        return;
    uint32_t a = fragment1->index + 1;
    uint32_t b = fragment2->index + 1;
    if (!pair_add(overlap, &overlap->fragments, a < b ? a : b, a < b ? b : a,
                  is_exclusive))
        return;
    const fq_overlap_fields *fields1 = collect_fragment(overlap, fragment1);
    const fq_overlap_fields *fields2 = collect_fragment(overlap, fragment2);
    if (fields1 == NULL || fields2 == NULL || !enter(overlap))
        return;
    const fq_overlap_spread *spread1 = spreads_of(overlap, fields1);
    const fq_overlap_spread *spread2 = spreads_of(overlap, fields2);
    compare_fields(overlap, sink, is_exclusive, fields1, fields2);
    for (; spread2 != NULL; spread2 = spread2->next)
        compare_fragments(overlap, sink, is_exclusive, fragment1,
                          spread2->fragment);
    for (; spread1 != NULL; spread1 = spread1->next)
        compare_fragments(overlap, sink, is_exclusive, spread1->fragment,
                          fragment2);
    leave(overlap);
}

/* The type of |item|, or NULL. As in the reference nothing is known of
 * __typename and its like. */
static const fq_type *
type_of(const fq_overlap *overlap, const fq_overlap_field *item)
{
    const fq_schema *schema = overlap->validation->schema;
    const fq_field_def *def = item->field->def;
    if (def == NULL || item->parent == NULL
        || !fq_type_is_composite(item->parent) || def == schema->meta_typename
        || def == schema->meta_schema || def == schema->meta_type)
        return NULL;
    return def->type;
}

/* What |item| selects; NULL when validation was given up. */
static const fq_overlap_fields *
collect_field_set(fq_overlap *overlap, const fq_overlap_field *item)
{
    const fq_type *type = type_of(overlap, item);
    return collect(overlap, item->field->selection_set,
                   type != NULL ? type->named : NULL);
}

/* H, I, J: what two fields of one key select. */
static void
compare_sets(fq_overlap *overlap, fq_conflict_sink *sink, bool is_exclusive,
             const fq_overlap_field *item1, const fq_overlap_field *item2)
{
    const fq_overlap_fields *fields1 = collect_field_set(overlap, item1);
    const fq_overlap_fields *fields2 = collect_field_set(overlap, item2);
    if (fields1 == NULL || fields2 == NULL || !enter(overlap))
        return;
    const fq_overlap_spread *spreads1 = spreads_of(overlap, fields1);
    const fq_overlap_spread *spreads2 = spreads_of(overlap, fields2);
    compare_fields(overlap, sink, is_exclusive, fields1, fields2);
    for (const fq_overlap_spread *it = spreads2; it; it = it->next)
        compare_fields_and_fragment(overlap, sink, is_exclusive, fields1,
                                    it->fragment);
    for (const fq_overlap_spread *it = spreads1; it; it = it->next)
        compare_fields_and_fragment(overlap, sink, is_exclusive, fields2,
                                    it->fragment);
    for (const fq_overlap_spread *it = spreads1; it; it = it->next)
        for (const fq_overlap_spread *it2 = spreads2;
             it2 != NULL && !overlap->validation->is_aborted; it2 = it2->next)
            compare_fragments(overlap, sink, is_exclusive, it->fragment,
                              it2->fragment);
    leave(overlap);
}

/* Compares what |item1| and |item2|, of one key, select. */
static void
compare_subfields(fq_overlap *overlap, fq_conflict_sink *sink,
                  bool is_exclusive, const fq_overlap_field *item1,
                  const fq_overlap_field *item2)
{
    if (!sink_has_room(sink)) {
        fq_conflict_sink silent = {.is_silent = true};
        compare_sets(overlap, &silent, is_exclusive, item1, item2);
        sink->has_any = sink->has_any || silent.has_any;
        return;
    }
    fq_conflict conflict = {
        .nodes1 = {item1->field},
        .nodes2 = {item2->field},
        .n_nodes1 = 1,
        .n_nodes2 = 1,
        .reason = FQ_BUF_INIT,
    };
    fq_conflict_sink inner = {.joined = &conflict};
    compare_sets(overlap, &inner, is_exclusive, item1, item2);
    if (inner.has_any && !overlap->validation->is_aborted) {
        if (conflict.reason.len > CONFLICT_TEXT_MAX) {
            conflict.reason.len = CONFLICT_TEXT_MAX;
            fq_buf_append_str(&conflict.reason, FQ_STR_LIT("..."));
        }
        sink->has_any = true;
        sink_add(overlap, sink, fq_ast_field_key(item1->field), &conflict);
    }
    fq_buf_fini(&conflict.reason);
}

/* True when no value is of both types: lists and non-nulls must be so in both,
 * scalars and enums the same; what is selected on other types is compared. */
static bool
types_conflict(fq_overlap *overlap, const fq_type *type1, const fq_type *type2)
{
    while (type1->kind >= FQ_TYPE_LIST || type2->kind >= FQ_TYPE_LIST) {
        if (!spend(overlap, 1) || type1->kind != type2->kind)
            return true;
        type1 = type1->of;
        type2 = type2->of;
    }
    if (type1 == type2)
        return false;
    spend(overlap, 1);
    return fq_type_is_leaf(type1) || fq_type_is_leaf(type2);
}

/* Experimental, and no rule here is about it; but wherever a directive of that
 * name is used, the reference refuses to merge. */
static const fq_ast_directive *
find_stream(const fq_ast_field *field)
{
    FQ_AST_FOREACH(node, &field->directives)
    {
        const fq_ast_directive *directive = (const fq_ast_directive *)node;
        if (fq_str_eq(directive->name, FQ_STR_LIT("stream")))
            return directive;
    }
    return NULL;
}

/* True when |field| is but a name. */
static bool
is_simple_leaf(const fq_ast_field *field)
{
    return field->arguments.n_items == 0 && field->selection_set == NULL
           && find_stream(field) == NULL;
}

/* True when both fields of one name have types that are one for the reference
 * too, where a wrapper is equal to no other; what is compared is paid for. */
static bool
has_same_type(const fq_overlap *overlap, const fq_overlap_field *item1,
              const fq_overlap_field *item2)
{
    const fq_type *type1 = type_of(overlap, item1);
    const fq_type *type2 = type_of(overlap, item2);
    return type1 == type2
           && (item1->field->def == item2->field->def || type1 == NULL
               || !fq_type_is_wrapper(type1));
}

/* What keeps two fields of one key from being merged whatever they select. */
typedef enum fq_clash {
    FQ_CLASH_NONE,
    FQ_CLASH_FIELDS,
    FQ_CLASH_ARGUMENTS,
    FQ_CLASH_STREAM,
    FQ_CLASH_SAME_STREAM,
    FQ_CLASH_TYPES,
} fq_clash;

static bool
have_same_stream(fq_overlap *overlap, const fq_ast_directive *stream1,
                 const fq_ast_directive *stream2)
{
    return stream1 != NULL && stream2 != NULL
           && stream1->arguments.n_items == stream2->arguments.n_items
           && compare_arguments(overlap, &stream1->arguments,
                                &stream2->arguments);
}

static fq_clash
find_clash(fq_overlap *overlap, bool is_exclusive,
           const fq_overlap_field *item1, const fq_overlap_field *item2)
{
    const fq_ast_field *field1 = item1->field, *field2 = item2->field;
    const fq_ast_directive *stream1 = find_stream(field1);
    const fq_ast_directive *stream2 = find_stream(field2);
    const fq_type *type1 = type_of(overlap, item1);
    const fq_type *type2 = type_of(overlap, item2);
    bool is_same_name = field1->name_id == field2->name_id;
    if (!is_exclusive && !is_same_name)
        return FQ_CLASH_FIELDS;
    if (!is_exclusive && !have_same_arguments(overlap, field1, field2))
        return FQ_CLASH_ARGUMENTS;
    if (stream1 != NULL || stream2 != NULL)
        return have_same_stream(overlap, stream1, stream2)
                   ? FQ_CLASH_SAME_STREAM
                   : FQ_CLASH_STREAM;
    if (type1 != NULL && type2 != NULL && field1->def != field2->def
        && types_conflict(overlap, type1, type2))
        return FQ_CLASH_TYPES;
    return FQ_CLASH_NONE;
}

static void
write_clash(fq_buf *buf, fq_clash clash, const fq_overlap_field *item1,
            const fq_overlap_field *item2)
{
    switch (clash) {
    case FQ_CLASH_NONE:
        break;
    case FQ_CLASH_FIELDS:
        fq_buf_append_char(buf, '\'');
        append_abbreviated(buf, item1->field->name);
        fq_buf_append_str(buf, FQ_STR_LIT("' and '"));
        append_abbreviated(buf, item2->field->name);
        fq_buf_append_str(buf, FQ_STR_LIT("' are different fields"));
        break;
    case FQ_CLASH_ARGUMENTS:
        fq_buf_append_str(buf, FQ_STR_LIT("they have differing arguments"));
        break;
    case FQ_CLASH_STREAM:
    case FQ_CLASH_SAME_STREAM:
        fq_buf_append_str(
            buf, FQ_STR_LIT("they have overlapping stream directives"));
        if (clash == FQ_CLASH_SAME_STREAM)
            fq_buf_append_str(buf,
                              FQ_STR_LIT(". See https://github.com/graphql/"
                                         "defer-stream-wg/discussions/100"));
        break;
    case FQ_CLASH_TYPES:
        fq_buf_append_str(buf, FQ_STR_LIT("they return conflicting types '"));
        fq_buf_append_str(buf, item1->field->def->type->name);
        fq_buf_append_str(buf, FQ_STR_LIT("' and '"));
        fq_buf_append_str(buf, item2->field->def->type->name);
        fq_buf_append_char(buf, '\'');
        break;
    }
}

/* Two fields of one response key. */
static void
compare_pair(fq_overlap *overlap, fq_conflict_sink *sink, bool is_exclusive,
             const fq_overlap_field *item1, const fq_overlap_field *item2)
{
    if (!spend(overlap, 2))
        return;
    const fq_ast_field *field1 = item1->field, *field2 = item2->field;
    if (field1->name_id == field2->name_id && is_simple_leaf(field1)
        && is_simple_leaf(field2) && has_same_type(overlap, item1, item2))
        return;
    is_exclusive = is_exclusive
                   || (item1->parent != item2->parent && item1->parent != NULL
                       && item2->parent != NULL
                       && item1->parent->kind == FQ_TYPE_OBJECT
                       && item2->parent->kind == FQ_TYPE_OBJECT);
    fq_clash clash = find_clash(overlap, is_exclusive, item1, item2);
    if (overlap->validation->is_aborted)
        return;
    if (clash == FQ_CLASH_NONE) {
        if (field1->selection_set != NULL && field2->selection_set != NULL)
            compare_subfields(overlap, sink, is_exclusive, item1, item2);
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
    write_clash(&conflict.reason, clash, item1, item2);
    sink_add(overlap, sink, fq_ast_field_key(field1), &conflict);
    fq_buf_fini(&conflict.reason);
}

/* Each field of |fields1| with those of its key in |fields2|. */
static void
compare_fields(fq_overlap *overlap, fq_conflict_sink *sink, bool is_exclusive,
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
                compare_pair(overlap, sink, is_exclusive, f1, f2);
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
                compare_pair(overlap, sink, false, f1, f2);
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
    size_t n_fragments = document->n_fragments;
    if (n_fragments == 0)
        return true;
    size_t n_sets = (size_t)document->n_fields + document->n_operations
                    + n_fragments;
    return pair_set_init(overlap, &overlap->fields_and_fragment, n_sets,
                         n_fragments)
           && pair_set_init(overlap, &overlap->fragments, n_fragments,
                            n_fragments);
}

/* Whether |set| holds nothing but fields of different keys, as most do: then
 * there is nothing to compare in it and nothing to collect. */
static bool
is_plain(fq_overlap *overlap, const fq_ast_selection_set *set)
{
    overlap->generation++;
    FQ_AST_FOREACH(node, &set->selections)
    {
        if (node->kind != FQ_AST_FIELD)
            return false;
        uint32_t key = ((const fq_ast_field *)node)->key_id;
        if (overlap->group_marks[key] == overlap->generation)
            return false;
        overlap->group_marks[key] = overlap->generation;
    }
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
    if (!overlap_init(overlap, validation) || is_plain(overlap, set))
        return;
    const fq_overlap_fields *fields = collect(overlap, set, set->parent_type);
    if (fields == NULL)
        return;
    fq_conflict_sink sink = {.joined = NULL};
    sink.kept_tail = &sink.kept;
    compare_within(overlap, &sink, fields);
    if (fields->spreads != NULL
        && (fields->n_groups > 0 || fields->n_spread_nodes > 1)) {
        const fq_overlap_spread *spread = spreads_of(overlap, fields);
        for (; spread != NULL && !validation->is_aborted;
             spread = spread->next) {
            compare_fields_and_fragment(overlap, &sink, false, fields,
                                        spread->fragment);
            for (const fq_overlap_spread *other = spread->next;
                 other != NULL && !validation->is_aborted; other = other->next)
                compare_fragments(overlap, &sink, false, spread->fragment,
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
    .name = "OverlappingFieldsCanBeMerged",
    .state_size = sizeof(fq_overlap),
    .handlers = {
        {FQ_AST_SELECTION_SET, .enter = enter_selection_set},
    },
    .fini = fini,
};
