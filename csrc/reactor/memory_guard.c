/* SPDX-License-Identifier: MIT */
/* Looking at the resident set. Thread: reactor. */
#include "reactor/memory_guard.h"

#include <uv.h>

void
fq_memory_guard_init(fq_memory_guard *guard, size_t limit)
{
    *guard = (fq_memory_guard){.limit = limit};
    if (limit != 0)
        return;
    uint64_t n_bytes = uv_get_total_memory();
    uint64_t n_constrained = uv_get_constrained_memory();
    if (n_constrained != 0 && n_constrained < n_bytes)
        n_bytes = n_constrained;
    guard->limit = (size_t)(n_bytes / 5 * 4);
}

bool
fq_memory_guard_allows(fq_memory_guard *guard, uint64_t now_ns)
{
    if (guard->asked_ns == 0 || now_ns < guard->asked_ns
        || now_ns - guard->asked_ns >= FQ_MEMORY_GUARD_NS) {
        guard->asked_ns = now_ns;
        if (uv_resident_set_memory(&guard->n_bytes) != 0)
            guard->n_bytes = 0;
    }
    return guard->limit == 0 || guard->n_bytes <= guard->limit;
}
