/* SPDX-License-Identifier: MIT */
/* TLS for connections to Redis: whom to trust, who we are, and that the
 * server's certificate is for the name we know it by. One thread at a time. */
#ifndef FQ_BUS_REDIS_TLS_H
#define FQ_BUS_REDIS_TLS_H

#include "base/error.h"
#include "base/status.h"
#include "bus/redis_settings.h"

struct ssl_ctx_st;
struct ssl_st;

/* Errors: FQ_ERR_SYSTEM: a file cannot be used, see |error|; FQ_ERR_NOMEM. */
fq_status
fq_redis_tls_new(const fq_redis_settings *settings, struct ssl_ctx_st **ptls,
                 fq_error *error);
/* NULL is allowed. */
void
fq_redis_tls_free(struct ssl_ctx_st *tls);

/* For one connection: the name is sent and verified; the caller's until
 * hiredis has it. NULL: no memory. */
struct ssl_st *
fq_redis_tls_begin(struct ssl_ctx_st *tls, const fq_redis_settings *settings);

/* Says in |error| why the server's certificate was not accepted, if so. */
void
fq_redis_tls_explain(const struct ssl_st *ssl, fq_error *error);

#endif
