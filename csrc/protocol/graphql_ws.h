/* SPDX-License-Identifier: MIT */
/* The server's side of the older subprotocol graphql-ws, as Apollo's
 * subscriptions-transport-ws speaks it (the package that is called graphql-ws
 * speaks graphql-transport-ws). Source: PROTOCOL.md, client.ts and server.ts
 * of subscriptions-transport-ws 0.11. One thread at a time. */
#ifndef FQ_PROTOCOL_GRAPHQL_WS_H
#define FQ_PROTOCOL_GRAPHQL_WS_H

#include "protocol/protocol.h"

/* What may wait for the ack, of one client: messages and their bytes. */
#define FQ_GRAPHQL_WS_HELD_MAX 1024
#define FQ_GRAPHQL_WS_HELD_BYTES_MAX (1u << 20)

extern const fq_protocol_kind fq_graphql_ws;

#endif
