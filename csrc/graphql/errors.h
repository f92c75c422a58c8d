/* SPDX-License-Identifier: MIT */
/* The list of GraphQL errors one request can earn, kept as data until it is
 * written as the `errors` array of a response or of an `error` message.
 * One thread at a time. */
#ifndef FQ_GRAPHQL_ERRORS_H
#define FQ_GRAPHQL_ERRORS_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/status.h"
#include "base/str.h"
#include "graphql/limits.h"

/* The reference collects 100 errors and one more that says it stopped. */
#define FQ_GQL_ERRORS_MAX 101

typedef struct fq_gql_location {
    uint32_t line;   /* from 1; \n, \r\n and \r end a line */
    uint32_t column; /* from 1, in code points */
} fq_gql_location;

typedef struct fq_gql_error {
    struct fq_gql_error *next;
    fq_str message;
    fq_gql_location *locations;
    size_t n_locations;
    fq_str path;      /* as JSON, in the arena; ptr NULL: none */
    const char *code; /* `extensions.code`, a literal; NULL: no extensions */
} fq_gql_error;

typedef struct fq_gql_errors {
    fq_arena arena; /* holds everything below */
    fq_gql_error *head;
    fq_gql_error **tail;
    size_t n_items;
    fq_status status;        /* FQ_ERR_NOMEM when an error could not be kept */
    fq_document_limit limit; /* that one of them is about, to be counted */
    /* Line and column of every 64th byte of the source located in last, so
     * that a place costs no walk over the whole text; NULL: none yet. */
    fq_gql_location *marks;
    fq_str marked; /* that source */
} fq_gql_errors;

void
fq_gql_errors_init(fq_gql_errors *errors);
void
fq_gql_errors_fini(fq_gql_errors *errors);

/* Adds one error without a location; the text is copied. Beyond the maximum
 * or without memory nothing is added. Returns it, or NULL. */
fq_gql_error *
fq_gql_errors_add(fq_gql_errors *errors, const char *code, const char *format,
                  ...) __attribute__((format(printf, 3, 4)));

/* The same with a text that may hold any byte. */
fq_gql_error *
fq_gql_errors_add_str(fq_gql_errors *errors, const char *code, fq_str message);

/* Adds the line and column of byte |offset| of |source| to |error| (NULL is
 * allowed and ignored). The first call for a source walks all of it. */
void
fq_gql_error_locate(fq_gql_errors *errors, fq_gql_error *error, fq_str source,
                    size_t offset);

/* The line and column of byte |offset| of |source|. Cost: O(offset). */
fq_gql_location
fq_gql_locate(fq_str source, size_t offset);

/* Writes `[{"message":…,"locations":[…],"path":[…],"extensions":{"code":…}},
 * …]`; members without content are left out. */
void
fq_gql_errors_write(const fq_gql_errors *errors, fq_buf *buf);

#endif
