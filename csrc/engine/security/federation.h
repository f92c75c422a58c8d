/* SPDX-License-Identifier: MIT */
/* Federation boundaries: what a subgraph owns is for contexts that may reach
 * that subgraph. Thread: reactor. */
#ifndef FQ_ENGINE_SECURITY_FEDERATION_H
#define FQ_ENGINE_SECURITY_FEDERATION_H

#include <stdbool.h>

#include "base/str.h"
#include "engine/security/context.h"

/* Whether |context| (NULL: nobody) may have what |boundary| (ptr NULL: no
 * subgraph) owns. */
static inline bool
fq_federation_reaches(fq_str boundary, const fq_security_context *context)
{
    return boundary.ptr == NULL
           || (context != NULL
               && fq_name_set_has(&context->boundaries, boundary));
}

#endif
