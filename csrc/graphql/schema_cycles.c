/* SPDX-License-Identifier: MIT */
/* Two ways in which input objects may lead back to themselves (GraphQL Sep
 * 2025 3.10): a required field of its own type, for which no finite value can
 * be written, and a default value that fills in itself. One thread at a
 * time. */
#include "graphql/input_literal.h"
#include "graphql/schema_internal.h"

static void
check_fail(fq_schema_check *check)
{
    check->status = FQ_ERR_NOMEM;
    check->is_done = true;
}

/* -- finite values ---------------------------------------------------------
 *
 * A type has a finite value when none of its required fields needs a type
 * that has none; a OneOf type when one of its fields can do without. Types
 * known to have one make others known, along the fields in reverse; what is
 * left lies on or leads to a cycle, which a walk in depth then finds. */

#define NOT_ON_PATH UINT32_MAX

/* By index of a type; meaningful for input objects. */
typedef struct fq_finite {
    bool is_finite;
    bool is_visited;      /* by the walk that reports */
    uint32_t n_open;      /* targets not known to be finite */
    uint32_t at;          /* where the path entered it, or NOT_ON_PATH */
    uint32_t *dependents; /* indexes of types that need it */
    uint32_t n_dependents;
} fq_finite;

/* A type the walk is in, and the next field to follow. */
typedef struct fq_finite_frame {
    const fq_type *type;
    uint32_t i;
} fq_finite_frame;

typedef struct fq_finite_walk {
    fq_schema_check *check;
    fq_finite *states;
    fq_finite_frame *frames; /* the fields of frames before the last lead
                              * from each to the next: the path */
    uint32_t n_frames;
} fq_finite_walk;

/* The input object |field| of |type| needs a value of, or NULL. */
static const fq_type *
finite_target(const fq_type *type, const fq_input_def *field)
{
    const fq_type *target = field->type;
    if (!type->is_one_of) {
        if (target->kind != FQ_TYPE_NON_NULL)
            return NULL;
        target = target->of;
    }
    return target->kind == FQ_TYPE_INPUT_OBJECT ? target : NULL;
}

/* Counts who needs each type and, the second time, lists them. */
static void
finite_list_dependents(fq_finite_walk *walk, bool is_counting)
{
    const fq_schema *schema = walk->check->schema;
    for (uint32_t i = 0; i < schema->n_types; i++) {
        const fq_type *type = schema->types[i];
        if (type->kind != FQ_TYPE_INPUT_OBJECT)
            continue;
        for (uint32_t j = 0; j < type->n_members; j++) {
            const fq_type *target = finite_target(type,
                                                  &type->input_fields[j]);
            if (target == NULL)
                continue;
            fq_finite *state = &walk->states[target->index];
            if (!is_counting)
                state->dependents[state->n_dependents] = i;
            else
                walk->states[i].n_open++;
            state->n_dependents++;
        }
    }
}

/* Works out which types have a finite value. |queue| has room for all. */
static void
finite_spread(fq_finite_walk *walk, uint32_t *queue)
{
    const fq_schema *schema = walk->check->schema;
    uint32_t n_queue = 0;
    for (uint32_t i = 0; i < schema->n_types; i++) {
        const fq_type *type = schema->types[i];
        fq_finite *state = &walk->states[i];
        if (type->kind != FQ_TYPE_INPUT_OBJECT)
            continue;
        state->is_finite = type->is_one_of
                               ? type->n_members == 0
                                     || state->n_open < type->n_members
                               : state->n_open == 0;
        if (state->is_finite)
            queue[n_queue++] = i;
    }
    while (n_queue > 0) {
        const fq_finite *state = &walk->states[queue[--n_queue]];
        for (uint32_t i = 0; i < state->n_dependents; i++) {
            uint32_t index = state->dependents[i];
            fq_finite *dependent = &walk->states[index];
            if (dependent->is_finite
                || (!schema->types[index]->is_one_of
                    && --dependent->n_open > 0))
                continue;
            dependent->is_finite = true;
            queue[n_queue++] = index;
        }
    }
}

/* The field that was followed last in |frame|. */
static const fq_input_def *
followed(const fq_finite_frame *frame)
{
    return &frame->type->input_fields[frame->i - 1];
}

/* The path from where it entered |target| on leads to |target| again. */
static void
finite_report(fq_finite_walk *walk, const fq_type *target)
{
    fq_schema_check *check = walk->check;
    const fq_finite_frame *first
        = &walk->frames[walk->states[target->index].at];
    const fq_finite_frame *end = walk->frames + walk->n_frames;
    fq_buf fields;
    fq_buf_init(&fields);
    for (const fq_finite_frame *frame = first; frame < end; frame++)
        fq_buf_append_format(
            &fields, "%s%.*s.%.*s", frame == first ? "" : ", ",
            FQ_STR_FMT(frame->type->name), FQ_STR_FMT(followed(frame)->name));
    if (fq_buf_status(&fields) != FQ_OK)
        check_fail(check);
    fq_gql_error *error = fq_schema_report(
        check,
        "Input Object %.*s cannot be provided a finite value because it "
        "references itself through fields: %.*s.",
        FQ_STR_FMT(target->name), FQ_STR_FMT(fq_buf_str(&fields)));
    fq_buf_fini(&fields);
    for (const fq_finite_frame *frame = first; frame < end; frame++)
        fq_schema_locate(check, error, followed(frame)->node);
}

static void
finite_enter(fq_finite_walk *walk, const fq_type *type)
{
    fq_finite *state = &walk->states[type->index];
    if (state->is_visited)
        return;
    state->is_visited = true;
    state->at = walk->n_frames;
    walk->frames[walk->n_frames++] = (fq_finite_frame){type, 0};
}

/* Reports every cycle that can be reached from |root|. */
static void
finite_walk_from(fq_finite_walk *walk, const fq_type *root)
{
    finite_enter(walk, root);
    while (walk->n_frames > 0 && !walk->check->is_done) {
        fq_finite_frame *top = &walk->frames[walk->n_frames - 1];
        if (top->i == top->type->n_members) {
            walk->states[top->type->index].at = NOT_ON_PATH;
            walk->n_frames--;
            continue;
        }
        const fq_type *target = finite_target(
            top->type, &top->type->input_fields[top->i++]);
        if (target == NULL || walk->states[target->index].is_finite)
            continue;
        if (walk->states[target->index].at != NOT_ON_PATH)
            finite_report(walk, target);
        else
            finite_enter(walk, target);
    }
}

void
fq_schema_check_finite_values(fq_schema_check *check)
{
    const fq_schema *schema = check->schema;
    fq_finite_walk walk = {.check = check};
    walk.states = FQ_ARENA_NEW_N(&check->arena, fq_finite, schema->n_types);
    walk.frames = FQ_ARENA_NEW_N(&check->arena, fq_finite_frame,
                                 schema->n_types);
    uint32_t *queue = FQ_ARENA_NEW_N(&check->arena, uint32_t, schema->n_types);
    if (walk.states == NULL || walk.frames == NULL || queue == NULL) {
        check_fail(check);
        return;
    }
    finite_list_dependents(&walk, true);
    for (uint32_t i = 0; i < schema->n_types; i++) {
        fq_finite *state = &walk.states[i];
        state->at = NOT_ON_PATH;
        state->dependents = FQ_ARENA_NEW_N(&check->arena, uint32_t,
                                           state->n_dependents);
        if (state->dependents == NULL) {
            check_fail(check);
            return;
        }
        state->n_dependents = 0;
    }
    finite_list_dependents(&walk, false);
    finite_spread(&walk, queue);
    for (uint32_t i = 0; i < schema->n_types && !check->is_done; i++)
        if (schema->types[i]->kind == FQ_TYPE_INPUT_OBJECT
            && !walk.states[i].is_finite)
            finite_walk_from(&walk, schema->types[i]);
}

/* -- default values --------------------------------------------------------
 *
 * Where an object does not give a field, the field's default stands in, and
 * so on. A walk in depth, into each default once. */

/* A field with a default the walk knows. */
typedef struct fq_default_visit {
    bool is_visited;
    uint32_t at; /* its place on the path, from 1; 0: not on it */
} fq_default_visit;

typedef struct fq_default_step {
    const fq_type *type;
    const fq_input_def *field;
} fq_default_step;

static void
walk_literal(fq_schema_check *check, fq_default_cycles *state,
             const fq_type *type, const fq_ast_value *literal);

/* The default of |field| leads back to itself. */
static void
report_default_cycle(fq_schema_check *check, const fq_default_cycles *state,
                     const fq_default_step *step, uint32_t at)
{
    fq_buf via;
    fq_buf_init(&via);
    for (size_t i = at; i < state->n_path; i++)
        fq_buf_append_format(&via, "%s%.*s.%.*s",
                             i == at ? " via the default values of: " : ", ",
                             FQ_STR_FMT(state->path[i].type->name),
                             FQ_STR_FMT(state->path[i].field->name));
    if (fq_buf_status(&via) != FQ_OK)
        check_fail(check);
    fq_gql_error *error = fq_schema_report(
        check,
        "Invalid circular reference. The default value of Input Object field "
        "%.*s.%.*s references itself%.*s.",
        FQ_STR_FMT(step->type->name), FQ_STR_FMT(step->field->name),
        FQ_STR_FMT(fq_buf_str(&via)));
    fq_buf_fini(&via);
    for (size_t i = at - 1; i < state->n_path; i++)
        fq_schema_locate(check, error,
                         &state->path[i].field->default_value->node);
}

static void
walk_default(fq_schema_check *check, fq_default_cycles *state,
             const fq_type *type, const fq_input_def *field)
{
    if (field->default_value == NULL)
        return;
    fq_default_visit *visit = &state->visits[state->bases[type->index]
                                             + (field - type->input_fields)];
    fq_default_step step = {type, field};
    if (visit->at > 0) {
        report_default_cycle(check, state, &step, visit->at);
        return;
    }
    if (visit->is_visited)
        return;
    visit->is_visited = true;
    state->path[state->n_path++] = step;
    visit->at = (uint32_t)state->n_path;
    walk_literal(check, state, field->type->named, field->default_value);
    state->n_path--;
    visit->at = 0;
}

/* What |object|, a literal or NULL for an empty one, makes of |type|. */
static void
walk_object(fq_schema_check *check, fq_default_cycles *state,
            const fq_type *type, const fq_ast_value *object)
{
    for (uint32_t i = 0; i < type->n_members && !check->is_done; i++) {
        const fq_input_def *field = &type->input_fields[i];
        if (field->type->named->kind != FQ_TYPE_INPUT_OBJECT)
            continue;
        const fq_ast_argument *given = object != NULL
                                           ? fq_input_literal_field(
                                                 object, field->name)
                                           : NULL;
        if (given != NULL)
            walk_literal(check, state, field->type->named, given->value);
        else
            walk_default(check, state, type, field);
    }
}

static void
walk_literal(fq_schema_check *check, fq_default_cycles *state,
             const fq_type *type, const fq_ast_value *literal)
{
    if (check->is_done)
        return;
    if (++state->depth > FQ_SCHEMA_DEPTH_MAX) {
        fq_gql_error *error = fq_gql_errors_add(
            check->errors, "LIMIT_REACHED",
            "Default values are nested too deeply.");
        fq_schema_locate(check, error, &literal->node);
        if (check->status == FQ_OK)
            check->status = error != NULL ? FQ_ERR_LIMIT : FQ_ERR_NOMEM;
        check->is_done = true;
        return;
    }
    if (literal->node.kind == FQ_AST_LIST) {
        FQ_AST_FOREACH(item, &literal->items)
        walk_literal(check, state, type, (const fq_ast_value *)item);
    } else if (literal->node.kind == FQ_AST_OBJECT) {
        walk_object(check, state, type, literal);
    }
    state->depth--;
}

/* Numbers the input fields. */
static void
cycles_init(fq_schema_check *check, fq_default_cycles *state)
{
    const fq_schema *schema = check->schema;
    size_t n_fields = 0;
    state->bases = FQ_ARENA_NEW_N(&check->arena, uint32_t, schema->n_types);
    for (uint32_t i = 0; i < schema->n_types && state->bases != NULL; i++) {
        state->bases[i] = (uint32_t)n_fields;
        if (schema->types[i]->input_fields != NULL)
            n_fields += schema->types[i]->n_members;
    }
    state->visits = FQ_ARENA_NEW_N(&check->arena, fq_default_visit, n_fields);
    state->path = FQ_ARENA_NEW_N(&check->arena, fq_default_step, n_fields);
    if (state->bases == NULL || state->visits == NULL || state->path == NULL)
        check_fail(check);
}

void
fq_schema_check_default_cycles(fq_schema_check *check,
                               fq_default_cycles *state, const fq_type *type)
{
    if (!check->is_done && state->visits == NULL)
        cycles_init(check, state);
    walk_object(check, state, type, NULL);
}
