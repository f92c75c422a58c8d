/* SPDX-License-Identifier: MIT */
/* The end of a process whose invariant broke. Any thread. */
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

void
fq_check_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "%s:%d: broken invariant: %s\n", file, line, condition);
    fflush(stderr);
    abort();
}
