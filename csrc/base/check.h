/* SPDX-License-Identifier: MIT */
/* Assertions on invariants and callers' duties. They have no side effects and
 * vanish with NDEBUG; input from a peer is never answered by one. */
#ifndef FQ_BASE_CHECK_H
#define FQ_BASE_CHECK_H

#ifdef NDEBUG
#define FQ_CHECK(condition) ((void)sizeof((condition) ? 1 : 0))
#else
#define FQ_CHECK(condition)                                                   \
    ((condition) ? (void)0 : fq_check_failed(#condition, __FILE__, __LINE__))
#endif

/* Prints the broken invariant to stderr and aborts. */
_Noreturn void
fq_check_failed(const char *condition, const char *file, int line);

#endif
