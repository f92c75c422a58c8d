/* SPDX-License-Identifier: MIT */
/* The server's side of graphql-transport-ws. Source: PROTOCOL.md of
 * graphql-ws, close codes and reasons as its reference implementation gives
 * them. One thread at a time. */
#ifndef FQ_PROTOCOL_GRAPHQL_TRANSPORT_WS_H
#define FQ_PROTOCOL_GRAPHQL_TRANSPORT_WS_H

#include "protocol/protocol.h"

extern const fq_protocol_kind fq_graphql_transport_ws;

#endif
