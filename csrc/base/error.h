/* SPDX-License-Identifier: MIT */
/* Optional details of a failure: what, and where in the input. The message is
 * inline so that reporting an error never allocates. Any thread. */
#ifndef FQ_BASE_ERROR_H
#define FQ_BASE_ERROR_H

#include <stddef.h>

#include "base/status.h"

/* Longest message, terminator included: a sentence with a quoted name. Longer
 * text is cut on a UTF-8 boundary. */
#define FQ_ERROR_MESSAGE_MAX 256
#define FQ_ERROR_NO_POS ((size_t)-1)

typedef struct fq_error {
    fq_status status;
    size_t pos; /* byte offset into the input, or FQ_ERROR_NO_POS */
    char message[FQ_ERROR_MESSAGE_MAX]; /* UTF-8, terminated */
} fq_error;

/* Fills |error| (which may be NULL) and returns |status|, so that a failing
 * function can end with `return fq_error_set(...)`. */
fq_status
fq_error_set(fq_error *error, fq_status status, size_t pos, const char *format,
             ...) __attribute__((format(printf, 4, 5)));

#endif
