/* SPDX-License-Identifier: MIT */
/* graphql-sse with a single connection: many operations whose events share one
 * stream, while each is started and stopped by a request of its own. Who knows
 * http (python/) brings their texts.
 *
 * In: first the opening, as of graphql_http.h; then one letter and what it is
 * about: FQ_GRAPHQL_SSE_START and the body of a request, whose
 * `extensions.operationId` is the operation's id, FQ_GRAPHQL_SSE_STOP and an
 * id. Out: a stream, as there. Source: PROTOCOL.md of graphql-sse. One thread
 * at a time. */
#ifndef FQ_PROTOCOL_GRAPHQL_SSE_H
#define FQ_PROTOCOL_GRAPHQL_SSE_H

#include "protocol/protocol.h"

#define FQ_GRAPHQL_SSE_START 'S'
#define FQ_GRAPHQL_SSE_STOP 'D'

extern const fq_protocol_kind fq_graphql_sse;

/* What is wrong with |body|, which is to start an operation, so that its sender
 * can be told; static, NULL: nothing. *pstatus is 0 then, else 400 or 500 (no
 * memory). */
const char *
fq_graphql_sse_check(fq_str body, int *pstatus);

#endif
