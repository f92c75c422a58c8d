/* SPDX-License-Identifier: MIT */
/* Drives a hiredis connection by a libuv loop. hiredis brings an adapter of
 * its own, which compiles into whoever includes it and is of no use here: its
 * memory could not be counted. Thread: that of the loop. */
#ifndef FQ_BUS_HIREDIS_UV_H
#define FQ_BUS_HIREDIS_UV_H

#include <uv.h>

#include "base/status.h"

struct redisAsyncContext;

/* Attaches |context|, which has a socket and no adapter yet, until it is
 * freed. Errors: FQ_ERR_NOMEM, FQ_ERR_SYSTEM. */
fq_status
fq_hiredis_uv_attach(struct redisAsyncContext *context, uv_loop_t *loop);

#endif
