/* SPDX-License-Identifier: MIT */
/* The parts of fq_str that are not inline. Any thread. */
#include "base/str.h"

int
fq_str_cmp(fq_str a, fq_str b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len == 0 ? 0 : memcmp(a.ptr, b.ptr, len);
    if (order != 0)
        return order;
    return (a.len > b.len) - (a.len < b.len);
}
