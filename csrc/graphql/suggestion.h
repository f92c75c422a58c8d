/* SPDX-License-Identifier: MIT */
/* ` Did you mean 'name'?`: of the names that exist, the few nearest to one
 * that does not, chosen and ordered as the reference does. Cold: only errors
 * come here. One thread at a time. */
#ifndef FQ_GRAPHQL_SUGGESTION_H
#define FQ_GRAPHQL_SUGGESTION_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"
#include "base/str.h"

/* A message names no more, as in the reference. */
#define FQ_SUGGESTIONS_MAX 5

typedef struct fq_suggestion {
    fq_str input;   /* the unknown name, borrowed; any text, UTF-8 */
    size_t n_input; /* its length in code points */
    size_t n_edits_max;
    uint32_t *work;   /* the input in lower case, then three rows; lazy */
    fq_status status; /* FQ_ERR_NOMEM when an option could not be measured */
    struct {
        fq_str name;    /* borrowed */
        size_t n_edits; /* its distance from the input */
    } best[FQ_SUGGESTIONS_MAX];
    size_t n_best; /* nearest first, then in natural order */
} fq_suggestion;

/* |input| must stay until fq_suggestion_fini. */
void
fq_suggestion_init(fq_suggestion *suggestion, fq_str input);
void
fq_suggestion_fini(fq_suggestion *suggestion);

/* Considers |option|, which must stay until the suggestion was written; the
 * order of calls does not matter and a name may come twice. A failure is kept
 * in |status|. Cost: O(1) for names of very different length, else O(product
 * of both lengths). */
void
fq_suggestion_offer(fq_suggestion *suggestion, fq_str option);

/* Appends the sentence, or nothing when no option was near; |what| (NULL:
 * none) stands before the names, as in ` Did you mean the enum value 'RED'?`.
 * Gives a failure on to |buf|. */
void
fq_suggestion_write(const fq_suggestion *suggestion, const char *what,
                    fq_buf *buf);

/* Appends the same sentence for the first FQ_SUGGESTIONS_MAX of |names|. */
void
fq_suggestion_write_names(fq_buf *buf, const char *what, const fq_str *names,
                          size_t n_names);

/* Orders names as people do: digits in them count as numbers. */
int
fq_suggestion_natural_cmp(fq_str a, fq_str b);

#endif
