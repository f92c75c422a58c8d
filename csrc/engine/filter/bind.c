/* SPDX-License-Identifier: MIT */
/* Binding: looking up arguments and context, working out the comparisons that
 * are decided by them, and keeping the rest in one block. Thread: any. */
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "engine/filter/program.h"
#include "json/reader.h"

/* -- constants ------------------------------------------------------------ */

static size_t
text_len(yyjson_val *value)
{
    return yyjson_is_str(value) || yyjson_is_raw(value)
               ? unsafe_yyjson_get_len(value)
               : 0;
}

void
fq_filter_measure(yyjson_val *value, size_t *pn_values, size_t *pn_bytes)
{
    *pn_values += 1;
    *pn_bytes += text_len(value);
    yyjson_arr_iter iter = yyjson_arr_iter_with(value);
    yyjson_val *item;
    while ((item = yyjson_arr_iter_next(&iter)) != NULL) {
        *pn_values += 1;
        *pn_bytes += text_len(item);
    }
}

/* An empty list, and what stands for whatever equals nothing. */
static yyjson_val
empty_list(void)
{
    yyjson_val list;
    unsafe_yyjson_set_tag(&list, YYJSON_TYPE_ARR, YYJSON_SUBTYPE_NONE, 0);
    list.uni.ofs = sizeof(yyjson_val);
    return list;
}

static yyjson_val *
pack_one(fq_filter_packer *packer, yyjson_val *value)
{
    yyjson_val *copy = packer->values++;
    *copy = yyjson_is_ctn(value) ? empty_list() : *value;
    size_t len = text_len(value);
    if (yyjson_is_str(value) || yyjson_is_raw(value)) {
        if (len > 0)
            memcpy(packer->text, value->uni.str, len);
        copy->uni.str = packer->text;
        packer->text += len;
    }
    return copy;
}

yyjson_val *
fq_filter_pack(fq_filter_packer *packer, yyjson_val *value)
{
    yyjson_val *copy = pack_one(packer, value);
    yyjson_arr_iter iter = yyjson_arr_iter_with(value);
    yyjson_val *item;
    while ((item = yyjson_arr_iter_next(&iter)) != NULL)
        pack_one(packer, item);
    if (yyjson_is_arr(value)) {
        unsafe_yyjson_set_len(copy, unsafe_yyjson_get_len(value));
        copy->uni.ofs = (size_t)(packer->values - copy) * sizeof(*copy);
    }
    return copy;
}

/* -- arguments and context ------------------------------------------------ */

/* The values of a filter's inputs, as far as no event is needed. */
typedef struct binder {
    const fq_filter *filter;
    yyjson_val *args;                   /* NULL: none */
    const fq_security_context *context; /* NULL: nobody */
    yyjson_val user_id;
    yyjson_val tenant_id;
    yyjson_val *roles; /* lists made at first need; or NULL */
    yyjson_val *boundaries;
    yyjson_val **values; /* by input; NULL: missing, or the event's */
} binder;

/* *pvalue is |text|, or NULL where there is none. */
static yyjson_val *
value_of_text(fq_str text, yyjson_val *room)
{
    if (text.ptr == NULL)
        return NULL;
    unsafe_yyjson_set_strn(room, text.ptr, text.len);
    return room;
}

/* A list of texts that are not copied. Errors: FQ_ERR_NOMEM. */
static fq_status
list_of_names(const fq_name_set *set, yyjson_val **plist)
{
    if (*plist != NULL)
        return FQ_OK;
    yyjson_val *list = fq_alloc((1 + set->n_names) * sizeof(*list));
    if (list == NULL)
        return FQ_ERR_NOMEM;
    list[0] = empty_list();
    unsafe_yyjson_set_len(&list[0], set->n_names);
    list[0].uni.ofs = (1 + set->n_names) * sizeof(*list);
    for (size_t i = 0; i < set->n_names; i++)
        value_of_text(set->names[i], &list[1 + i]);
    *plist = list;
    return FQ_OK;
}

/* What |path| of the context is; what it does not know is missing. */
static fq_status
look_up_context(binder *self, const fq_filter_path *path, yyjson_val **pvalue)
{
    *pvalue = NULL;
    const fq_security_context *context = self->context;
    if (context == NULL)
        return FQ_OK;
    fq_str name = path->steps[0];
    if (fq_str_eq(name, FQ_STR_LIT("claims"))) {
        yyjson_val *claims = yyjson_doc_get_root(context->claims);
        *pvalue = fq_filter_walk(claims, path->steps + 1, path->n_steps - 1);
        return FQ_OK;
    }
    if (path->n_steps > 1)
        return FQ_OK;
    fq_status status = FQ_OK;
    if (fq_str_eq(name, FQ_STR_LIT("user_id"))) {
        *pvalue = value_of_text(context->user_id, &self->user_id);
    } else if (fq_str_eq(name, FQ_STR_LIT("tenant_id"))) {
        *pvalue = value_of_text(context->tenant_id, &self->tenant_id);
    } else if (fq_str_eq(name, FQ_STR_LIT("roles"))) {
        status = list_of_names(&context->roles, &self->roles);
        *pvalue = self->roles;
    } else if (fq_str_eq(name, FQ_STR_LIT("boundaries"))) {
        status = list_of_names(&context->boundaries, &self->boundaries);
        *pvalue = self->boundaries;
    }
    return status;
}

static fq_status
look_up(binder *self)
{
    const fq_filter *filter = self->filter;
    for (size_t i = 0; i < filter->n_inputs; i++) {
        const fq_filter_input *input = &filter->inputs[i];
        self->values[i] = input->constant;
        if (input->path.source == FQ_FILTER_ARG) {
            self->values[i] = fq_filter_walk(self->args, input->path.steps,
                                             input->path.n_steps);
        } else if (input->path.source == FQ_FILTER_CONTEXT) {
            fq_status status = look_up_context(self, &input->path,
                                               &self->values[i]);
            if (status != FQ_OK)
                return status;
        }
    }
    return FQ_OK;
}

/* -- working out ---------------------------------------------------------- */

static bool
is_known(const binder *self, uint16_t input)
{
    return self->filter->inputs[input].path.source < FQ_FILTER_DATA;
}

/* Whether a comparison with known |value| on one side (|is_right|) is unknown
 * whatever is on the other. */
static bool
is_hopeless(fq_filter_op op, yyjson_val *value, bool is_right)
{
    fq_filter_kind kind = fq_filter_value_kind(value);
    if (kind == FQ_FILTER_MISSING)
        return true;
    switch (op) {
    case FQ_FILTER_LT:
    case FQ_FILTER_LE:
        return kind != FQ_FILTER_NUMBER && kind != FQ_FILTER_STRING;
    case FQ_FILTER_IN:
        return is_right && kind != FQ_FILTER_LIST;
    case FQ_FILTER_CONTAINS:
        return !is_right && kind != FQ_FILTER_LIST && kind != FQ_FILTER_STRING;
    case FQ_FILTER_STARTS_WITH:
        return kind != FQ_FILTER_STRING;
    default:
        return false;
    }
}

/* True if |step| comes out the same for every event; *pholds gets how. */
static bool
is_decided(const binder *self, const fq_filter_step *step, bool *pholds)
{
    bool a_known = is_known(self, step->a), b_known = is_known(self, step->b);
    yyjson_val *a = self->values[step->a], *b = self->values[step->b];
    *pholds = false;
    if (a_known && b_known) {
        fq_filter_truth truth = fq_filter_compare(step->op, a, b);
        *pholds = truth
                  == (step->is_negated ? FQ_FILTER_FALSE : FQ_FILTER_TRUE);
        return true;
    }
    return (a_known && is_hopeless(step->op, a, false))
           || (b_known && is_hopeless(step->op, b, true));
}

/* The chain that is left: where each step of the filter went. */
typedef struct chain {
    fq_filter_step steps[FQ_FILTER_COMPARISONS_MAX]; /* by old place */
    uint16_t goes[FQ_FILTER_COMPARISONS_MAX]; /* to a step that is left, ACCEPT
                                               * or REJECT; itself if left */
    uint16_t place[FQ_FILTER_COMPARISONS_MAX]; /* among those left */
    bool is_reached[FQ_FILTER_COMPARISONS_MAX];
    uint16_t entry; /* an old place */
    uint16_t n_left;
} chain;

static uint16_t
chain_goes(const chain *self, uint16_t label)
{
    return label < FQ_FILTER_REJECT ? self->goes[label] : label;
}

static uint16_t
chain_place(const chain *self, uint16_t label)
{
    return label < FQ_FILTER_REJECT ? self->place[label] : label;
}

static void
chain_reach(chain *self, uint16_t label)
{
    if (label < FQ_FILTER_REJECT)
        self->is_reached[label] = true;
}

/* Takes out what is decided, then what nothing leads to. Everything leads
 * forward, so one pass from the end and one from the start will do. */
static void
chain_simplify(chain *self, const binder *values)
{
    const fq_filter *filter = values->filter;
    for (size_t i = filter->n_steps; i-- > 0;) {
        fq_filter_step *step = &self->steps[i];
        *step = filter->steps[i];
        step->on_true = chain_goes(self, step->on_true);
        step->on_false = chain_goes(self, step->on_false);
        self->is_reached[i] = false;
        bool holds;
        if (is_decided(values, step, &holds))
            self->goes[i] = holds ? step->on_true : step->on_false;
        else if (step->on_true == step->on_false)
            self->goes[i] = step->on_true;
        else
            self->goes[i] = (uint16_t)i;
    }
    self->entry = chain_goes(self, filter->entry);
    chain_reach(self, self->entry);
    self->n_left = 0;
    for (size_t i = 0; i < filter->n_steps; i++) {
        if (!self->is_reached[i])
            continue;
        self->place[i] = self->n_left++;
        chain_reach(self, self->steps[i].on_true);
        chain_reach(self, self->steps[i].on_false);
    }
}

/* -- the block ------------------------------------------------------------ */

/* Whether the value of |input| is to be kept in the binding. */
static bool
is_own(const binder *self, uint16_t input)
{
    fq_filter_source source = self->filter->inputs[input].path.source;
    return source == FQ_FILTER_ARG || source == FQ_FILTER_CONTEXT;
}

static void
measure_step(const binder *self, const fq_filter_step *step, size_t *pn_values,
             size_t *pn_bytes)
{
    if (is_own(self, step->a))
        fq_filter_measure(self->values[step->a], pn_values, pn_bytes);
    if (step->b != step->a && is_own(self, step->b))
        fq_filter_measure(self->values[step->b], pn_values, pn_bytes);
}

/* The reference by which the bound step knows |input|. */
static uint16_t
pack_input(const binder *self, fq_filter_packer *packer,
           const yyjson_val *first, uint16_t input)
{
    if (!is_own(self, input))
        return input;
    const yyjson_val *copy = fq_filter_pack(packer, self->values[input]);
    return (uint16_t)(FQ_FILTER_OWN | (uint16_t)(copy - first));
}

static fq_status
keep(const binder *self, const chain *left, fq_filter_bound **pbound)
{
    size_t n_values = 0, n_texts = 0;
    for (size_t i = 0; i < self->filter->n_steps; i++) {
        if (left->is_reached[i])
            measure_step(self, &left->steps[i], &n_values, &n_texts);
    }
    if (n_values > FQ_FILTER_BOUND_BYTES_MAX / sizeof(yyjson_val)
        || n_values * sizeof(yyjson_val) + n_texts > FQ_FILTER_BOUND_BYTES_MAX)
        return FQ_ERR_LIMIT;
    size_t n_bytes = sizeof(fq_filter_bound) + n_values * sizeof(yyjson_val)
                     + left->n_left * sizeof(fq_filter_step) + n_texts;
    fq_filter_bound *bound = fq_alloc(n_bytes);
    if (bound == NULL)
        return FQ_ERR_NOMEM;
    yyjson_val *values = (yyjson_val *)(bound + 1);
    fq_filter_step *steps = (fq_filter_step *)(values + n_values);
    fq_filter_packer packer = {
        .values = values,
        .text = (char *)(steps + left->n_left),
    };
    *bound = (fq_filter_bound){
        .n_bytes = (uint32_t)n_bytes,
        .entry = chain_place(left, left->entry),
        .n_steps = left->n_left,
        .values = values,
        .steps = steps,
    };
    atomic_init(&bound->n_refs, 1);
    for (size_t i = 0; i < self->filter->n_steps; i++) {
        if (!left->is_reached[i])
            continue;
        fq_filter_step *step = &steps[left->place[i]];
        *step = left->steps[i];
        uint16_t a = pack_input(self, &packer, values, step->a);
        step->b = step->b == step->a
                      ? a
                      : pack_input(self, &packer, values, step->b);
        step->a = a;
        step->on_true = chain_place(left, step->on_true);
        step->on_false = chain_place(left, step->on_false);
    }
    *pbound = bound;
    return FQ_OK;
}

/* What binding needs for a moment. */
typedef struct workspace {
    chain left;
    yyjson_val *values[2 * FQ_FILTER_COMPARISONS_MAX];
} workspace;

fq_status
fq_filter_bind(fq_filter *filter, yyjson_val *args,
               const fq_security_context *context, fq_filter_bound **pbound)
{
    *pbound = NULL;
    if (filter->own != NULL) {
        *pbound = fq_filter_bound_ref(filter->own);
        return FQ_OK;
    }
    workspace *space = fq_alloc(sizeof(*space));
    if (space == NULL)
        return FQ_ERR_NOMEM;
    binder self = {
        .filter = filter,
        .args = args,
        .context = context,
        .values = space->values,
    };
    fq_status status = look_up(&self);
    if (status == FQ_OK) {
        chain_simplify(&space->left, &self);
        status = keep(&self, &space->left, pbound);
    }
    if (status == FQ_OK)
        (*pbound)->filter = fq_filter_ref(filter);
    fq_free(self.roles);
    fq_free(self.boundaries);
    fq_free(space);
    return status;
}

/* -- life ----------------------------------------------------------------- */

fq_filter_bound *
fq_filter_bound_ref(fq_filter_bound *bound)
{
    if (bound == bound->filter->own)
        fq_filter_ref(bound->filter);
    else
        atomic_fetch_add_explicit(&bound->n_refs, 1, memory_order_relaxed);
    return bound;
}

void
fq_filter_bound_unref(fq_filter_bound *bound)
{
    if (bound == NULL)
        return;
    fq_filter *filter = bound->filter;
    if (bound != filter->own) {
        if (atomic_fetch_sub_explicit(&bound->n_refs, 1, memory_order_release)
            != 1)
            return;
        atomic_thread_fence(memory_order_acquire);
        fq_free(bound);
    }
    fq_filter_unref(filter);
}

bool
fq_filter_bound_is_always(const fq_filter_bound *bound)
{
    return bound->entry == FQ_FILTER_ACCEPT;
}

bool
fq_filter_bound_is_never(const fq_filter_bound *bound)
{
    return bound->entry == FQ_FILTER_REJECT;
}

size_t
fq_filter_bound_n_bytes(const fq_filter_bound *bound)
{
    return bound == bound->filter->own ? 0 : bound->n_bytes;
}
