/* SPDX-License-Identifier: MIT */
/* The clocks, read by reactor, server and python only; everything below them
 * takes time as an argument. Any thread. */
#ifndef FQ_BASE_CLOCK_H
#define FQ_BASE_CLOCK_H

#include <stdint.h>

#define FQ_NS_PER_MS 1000000u
#define FQ_NS_PER_S 1000000000u

/* Monotonic time, for deadlines and durations. */
uint64_t
fq_clock_now_ns(void);

/* Nanoseconds since 1970-01-01 UTC, for an event's created_at. */
uint64_t
fq_clock_wall_ns(void);

#endif
