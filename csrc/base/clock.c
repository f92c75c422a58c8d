/* SPDX-License-Identifier: MIT */
/* The two clocks of POSIX in nanoseconds. Any thread. */
#include "base/clock.h"

#include <time.h>

static uint64_t
clock_read_ns(clockid_t id)
{
    struct timespec ts = {0, 0};
    /* Cannot fail: both clocks exist everywhere and |ts| is ours. */
    (void)clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * FQ_NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t
fq_clock_now_ns(void)
{
    return clock_read_ns(CLOCK_MONOTONIC);
}

uint64_t
fq_clock_wall_ns(void)
{
    return clock_read_ns(CLOCK_REALTIME);
}
