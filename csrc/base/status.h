/* SPDX-License-Identifier: MIT */
/* The one result code of every fallible function in the core. Plain data:
 * any thread. Details, where a caller can use them, go to an fq_error. */
#ifndef FQ_BASE_STATUS_H
#define FQ_BASE_STATUS_H

typedef enum fq_status {
    FQ_OK = 0,
    FQ_ERR_AGAIN = -1,     /* nothing is wrong: come back later */
    FQ_ERR_SYNTAX = -2,    /* JSON or GraphQL text cannot be read */
    FQ_ERR_INVALID = -3,   /* readable, but not allowed here */
    FQ_ERR_NOT_FOUND = -4, /* no such id, field, key */
    FQ_ERR_EXISTS = -5,    /* the id is taken */
    FQ_ERR_LIMIT = -6,     /* a named maximum was reached */
    FQ_ERR_FULL = -7,      /* a bounded queue has no room now */
    FQ_ERR_TIMEOUT = -8,   /* the deadline passed */
    FQ_ERR_CLOSED = -9,    /* the object was closed, or its process forked */
    FQ_ERR_SYSTEM = -10,   /* the operating system refused; errno in message */
    FQ_ERR_FORBIDDEN = -11, /* a security policy says no */
    FQ_ERR_LOST = -12,      /* what is asked for has been let go */
    /* At or below this an object accepts only its free function. */
    FQ_ERR_FATAL = -100,
    FQ_ERR_NOMEM = -101,
} fq_status;

/* A fixed, lower-case English phrase for |status|; never NULL. */
const char *
fq_status_str(fq_status status);

#endif
