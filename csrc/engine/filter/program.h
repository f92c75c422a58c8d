/* SPDX-License-Identifier: MIT */
/* What a compiled and a bound filter are made of, for the files of this
 * folder: filter.c (compiling), bind.c (binding), eval.c (evaluating, keys). */
#ifndef FQ_ENGINE_FILTER_PROGRAM_H
#define FQ_ENGINE_FILTER_PROGRAM_H

#include <stdatomic.h>
#include <stdint.h>

#include "engine/filter/filter.h"

/* Where a comparison leads when it is the last one: behind all others. */
#define FQ_FILTER_REJECT FQ_FILTER_COMPARISONS_MAX
#define FQ_FILTER_ACCEPT (FQ_FILTER_COMPARISONS_MAX + 1)

/* In a reference to an operand: it is a value of the binding, by its place in
 * there, not an operand of the filter. */
#define FQ_FILTER_OWN 0x8000u

typedef struct fq_filter_step {
    uint8_t op; /* fq_filter_op */
    bool is_negated;
    uint16_t a; /* operands; |b| is |a| where there is none */
    uint16_t b;
    uint16_t on_true; /* a later step, ACCEPT or REJECT */
    uint16_t on_false;
} fq_filter_step;

/* An operand of a compiled filter. */
typedef struct fq_filter_input {
    yyjson_val *constant; /* of a constant; else NULL */
    fq_filter_path path;  /* also of arguments and context */
} fq_filter_input;

struct fq_filter_bound {
    _Atomic uint32_t n_refs; /* release on unref pairs with acquire at 0;
                              * unused in a filter's own */
    fq_filter *filter;       /* one reference, unless it is that filter's own
                              * binding */
    uint32_t n_bytes;        /* of the block */
    uint16_t entry;          /* the first step, ACCEPT or REJECT */
    uint16_t n_steps;
    yyjson_val *values; /* behind the struct; then the steps; then texts */
    const fq_filter_step *steps;
};

struct fq_filter {
    _Atomic uint32_t n_refs; /* release on unref pairs with acquire at 0 */
    uint16_t entry;
    uint16_t n_steps;
    uint16_t n_inputs;
    fq_filter_bound *own; /* NULL: arguments or context are asked for */
    const fq_filter_step *steps;
    const fq_filter_input *inputs;
};

/* Copying constants into a block of known size: a list becomes itself and its
 * items, of which those that equal nothing are empty lists. */
typedef struct fq_filter_packer {
    yyjson_val *values; /* next free one */
    char *text;         /* likewise */
} fq_filter_packer;

/* Adds what |value| needs to the two counts. */
void
fq_filter_measure(yyjson_val *value, size_t *pn_values, size_t *pn_bytes);
/* Returns the copy. */
yyjson_val *
fq_filter_pack(fq_filter_packer *packer, yyjson_val *value);

/* The outcome of |op|. */
fq_filter_truth
fq_filter_compare(fq_filter_op op, yyjson_val *a, yyjson_val *b);

/* The member of |object| that |steps| lead to, or NULL. */
yyjson_val *
fq_filter_walk(yyjson_val *object, const fq_str *steps, size_t n_steps);

#endif
