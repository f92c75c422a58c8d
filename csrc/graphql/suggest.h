/* SPDX-License-Identifier: MIT */
/* `Did you mean`: which names are close to one that is unknown. Plain
 * functions: any thread. */
#ifndef FQ_GRAPHQL_SUGGEST_H
#define FQ_GRAPHQL_SUGGEST_H

#include <stdbool.h>

#include "base/str.h"

/* True when |option| is close enough to |input| for the reference to suggest
 * it: few insertions, deletions, replacements and swaps, measured against the
 * length of |input|; a change of case is one edit. */
bool
fq_suggest_is_close(fq_str input, fq_str option);

#endif
