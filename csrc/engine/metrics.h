/* SPDX-License-Identifier: MIT */
/* Counters and histograms of one engine. Written by any thread, by the reactor
 * as a rule, and read by any without stopping it: relaxed atomics, each number
 * true on its own. The engine counts subscriptions but the refused ones,
 * channels, matches, projections, calls, plans, the schema and what it cannot
 * deliver for want of memory; all else is counted by its owner: connections,
 * refusals, events, deliveries, times, what queues drop. */
#ifndef FQ_ENGINE_METRICS_H
#define FQ_ENGINE_METRICS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/histogram.h"

/* Why a subscription ended: how the engine's owner says it, and the name of
 * its counter, ended_…; together they make up subscriptions_completed. */
#define FQ_END_REASONS(X)                                                     \
    X(FQ_END_COMPLETE, ended_complete)                                        \
    X(FQ_END_SOURCE, ended_source)                                            \
    X(FQ_END_ERROR, ended_error)                                              \
    X(FQ_END_DISCONNECT, ended_disconnect)                                    \
    X(FQ_END_SLOW_CLIENT, ended_slow_client)                                  \
    X(FQ_END_CLOSED, ended_closed)                                            \
    X(FQ_END_EXPIRED, ended_expired)                                          \
    X(FQ_END_POSITION_LOST, ended_position_lost)                              \
    X(FQ_END_MANAGED, ended_managed)                                          \
    X(FQ_END_SHUTDOWN, ended_shutdown)

typedef enum fq_end_reason {
#define FQ_END_REASON_MEMBER(reason, name) reason,
    FQ_END_REASONS(FQ_END_REASON_MEMBER)
#undef FQ_END_REASON_MEMBER
} fq_end_reason;

/* The codes a connection is closed with from here; any other one counts as
 * `closed_other`, and a client that leaves as `closed_by_client`. */
#define FQ_CLOSE_CODES(X)                                                     \
    X(1000)                                                                   \
    X(1008)                                                                   \
    X(1009)                                                                   \
    X(1011)                                                                   \
    X(1012)                                                                   \
    X(1013)                                                                   \
    X(4400)                                                                   \
    X(4401)                                                                   \
    X(4403)                                                                   \
    X(4408)                                                                   \
    X(4409)                                                                   \
    X(4429)                                                                   \
    X(4500)

/* name, meaning. The table is the one list of what is counted: the struct,
 * the names and get_metrics() come from it, and docs/reference/metrics.md is
 * checked against it. */
#define FQ_METRICS(X)                                                         \
    X(connections_active, "client connections open now")                      \
    X(connections_total, "client connections ever opened")                    \
    X(connections_legacy, "of these, over the older graphql-ws")              \
    X(connections_expired, "closed when what the client may had ended")       \
    X(pings_sent, "to clients that had said nothing for a while")             \
    X(dead_peers, "of these, lost because they said nothing then")            \
    X(connections_given_up, "their close could not be sent")                  \
    X(drain_left, "connections that had not gone when a drain was over")      \
    X(refused_authentications, "of clients, by the auth handler")             \
    X(refused_auth_timeouts, "of clients, the auth handler took too long")    \
    X(reauthentications, "contexts replaced through a ping")                  \
    X(closed_by_client, "connections that their clients closed or lost")      \
    X(closed_1000, "connections closed from here, by code")                   \
    X(closed_1008, "too many messages")                                       \
    X(closed_1009, "a message was too big")                                   \
    X(closed_1011, "memory was out")                                          \
    X(closed_1012, "the service stopped, or clients had to come again")       \
    X(closed_1013, "the client was too slow, or there were too many")         \
    X(closed_4400, "a message was not of the protocol")                       \
    X(closed_4401, "subscribe before connection_init")                        \
    X(closed_4403, "connection_init was refused, or a token has expired")     \
    X(closed_4408, "connection_init did not come in time")                    \
    X(closed_4409, "an operation's id was in use")                            \
    X(closed_4429, "connection_init came twice")                              \
    X(closed_4500, "the server failed")                                       \
    X(closed_other, "any other code, which the application chose")            \
    X(subscriptions_pending, "subscribe requests not decided yet")            \
    X(subscriptions_active, "subscriptions live now")                         \
    X(subscriptions_total, "subscriptions ever started")                      \
    X(subscriptions_completed, "subscriptions ended, for whatever reason")    \
    X(ended_complete, "by its client, or the application that made it")       \
    X(ended_source, "its source was exhausted")                               \
    X(ended_error, "its source raised")                                       \
    X(ended_disconnect, "its client closed the connection or was lost")       \
    X(ended_slow_client, "its client did not read fast enough")               \
    X(ended_closed, "its connection was closed from here, see closed_…")      \
    X(ended_expired, "its client's token expired")                            \
    X(ended_managed, "the application ended it or its connection")            \
    X(ended_position_lost, "the history no longer had what it missed")        \
    X(ended_shutdown, "the service stopped")                                  \
    X(subscriptions_resumed, "subscriptions from a position on")              \
    X(subscriptions_replaying, "of these, catching up now")                   \
    X(subscriptions_refused, "subscribe requests answered by an error")       \
    X(refused_syntax, "documents that are not GraphQL")                       \
    X(refused_validation, "documents that may not be executed")               \
    X(refused_variables, "variables that do not fit")                         \
    X(refused_document_bytes, "documents above Limits.document_max_bytes")    \
    X(refused_document_tokens, "above document_max_tokens")                   \
    X(refused_document_depth, "above document_max_depth")                     \
    X(refused_document_fields, "above document_max_fields")                   \
    X(refused_document_aliases, "above document_max_aliases")                 \
    X(refused_document_directives, "above document_max_directives")           \
    X(refused_expired, "operations of clients whose context has expired")     \
    X(refused_subscriptions, "above max_subscriptions_per_connection")        \
    X(refused_user_subscriptions, "above max_subscriptions_per_user")         \
    X(refused_memory, "subscriptions above memory_limit")                     \
    X(refused_connections, "connections above max_connections")               \
    X(refused_stopping, "connections that came while the service stopped")    \
    X(refused_address_connections, "above max_connections_per_address")       \
    X(refused_user_connections, "above max_connections_per_user")             \
    X(refused_handshakes, "above handshakes_per_second")                      \
    X(refused_address_handshakes, "above handshakes_per_second_per_address")  \
    X(refused_origins, "requests of pages that may not connect")              \
    X(refused_messages, "connections closed for too many messages")           \
    X(reading_paused, "times reading paused, above messages_per_second")      \
    X(refused_other_limits, "above a maximum that cannot be set")             \
    X(refused_bus_unavailable, "subscriptions while the bus was away")        \
    X(refused_persisted, "persisted operations unknown, or none given")       \
    X(refused_positions, "positions that are none, or of another epoch")      \
    X(refused_introspection, "queries for the schema, where it is not told")  \
    X(refused_unhandled, "queries and mutations that nothing executes")       \
    X(refused_forbidden, "subscriptions the policy refuses, see security_")   \
    X(security_row_denied, "events a row filter keeps from a subscription")   \
    X(security_tenant_denied_foreign, "events of another tenant")             \
    X(security_tenant_denied_unnamed, "events that name no tenant")           \
    X(security_tenant_denied_unclear, "events whose tenant is unclear")       \
    X(security_federation_denied, "events of a subgraph out of reach")        \
    X(security_expired_denied, "events after the end of a context")           \
    X(security_expired_refused, "subscriptions of a context that has ended")  \
    X(security_rbac_refused_role, "of one that lacks a role for a field")     \
    X(security_rbac_refused_field, "to fields that a context does not name")  \
    X(security_rbac_masked, "that see a field as null for want of a role")    \
    X(security_federation_refused, "to types of a subgraph out of reach")     \
    X(security_scope_refused_foreign, "with a value not the context's own")   \
    X(security_scope_refused_missing, "without a value that must be there")   \
    X(execute_calls, "queries and mutations handed to Python")                \
    X(execute_errors, "of these, ended by an `error` message")                \
    X(subscriptions_with_gaps, "times one was told that events were lost")    \
    X(control_sent, "messages to other instances given to the bus")           \
    X(control_received, "messages of other instances")                        \
    X(control_refused, "of these, ignored as they made no sense")             \
    X(control_instances, "other instances known now")                         \
    X(control_lockdowns, "times all clients had to authenticate again")       \
    X(channels_active, "channels somebody listens on")                        \
    X(events_received, "events that came from the bus")                       \
    X(events_matched, "pairs of event and subscription that matched")         \
    X(events_replayed, "of these, from the history")                          \
    X(history_reads, "looks into the history for those who resume")           \
    X(events_limited_by_subscription, "of these, above its events_per_s")     \
    X(events_limited_by_user, "of these, above the user's events per s")      \
    X(projections, "payloads serialised")                                     \
    X(deliveries, "next messages queued")                                     \
    X(deliveries_dropped, "next messages lost: queue full, memory out")       \
    X(dropped_oldest, "of these, the oldest of a full queue")                 \
    X(dropped_newest, "the new one, as the policy of its field is")           \
    X(conflated, "replaced by a newer one of the same key")                   \
    X(resolver_calls, "resolver and source calls made")                       \
    X(resolver_errors, "of these, ended by an error")                         \
    X(slow_clients_closed, "connections closed 1013")                         \
    X(plans_cached, "plans in the cache now")                                 \
    X(plans_bytes, "bytes of these")                                          \
    X(schema_bytes, "bytes of the schema that is served")                     \
    X(subscriptions_bytes, "bytes of live subscriptions, sockets apart")

/* name, meaning: durations. The publisher's own is publish_seconds; the
 * others are in the struct. */
#define FQ_HISTOGRAMS(X)                                                      \
    X(connection_seconds, "how long connections lasted that have ended")      \
    X(dispatch_seconds, "from an event's coming to its last listener")        \
    X(resolver_seconds, "from a resolver's call to its answer")

typedef struct fq_metrics {
#define FQ_METRIC_MEMBER(name, help) _Atomic uint64_t name;
    FQ_METRICS(FQ_METRIC_MEMBER)
#undef FQ_METRIC_MEMBER
#define FQ_HISTOGRAM_MEMBER(name, help) fq_histogram name;
    FQ_HISTOGRAMS(FQ_HISTOGRAM_MEMBER)
#undef FQ_HISTOGRAM_MEMBER
} fq_metrics;

#define FQ_METRIC_ADD(metrics, name, n)                                       \
    atomic_fetch_add_explicit(&(metrics)->name, (uint64_t)(n),                \
                              memory_order_relaxed)
#define FQ_METRIC_SUB(metrics, name, n)                                       \
    atomic_fetch_sub_explicit(&(metrics)->name, (uint64_t)(n),                \
                              memory_order_relaxed)
#define FQ_METRIC_SET(metrics, name, n)                                       \
    atomic_store_explicit(&(metrics)->name, (uint64_t)(n),                    \
                          memory_order_relaxed)
#define FQ_METRIC_GET(metrics, name)                                          \
    atomic_load_explicit(&(metrics)->name, memory_order_relaxed)

/* Adds one to the counter at |offset| (offsetof), that of |reason|, that of a
 * close with |code|. Thread: any. */
void
fq_metrics_count_at(fq_metrics *metrics, size_t offset);
void
fq_metrics_count_end(fq_metrics *metrics, fq_end_reason reason);
void
fq_metrics_count_close(fq_metrics *metrics, uint16_t code);

#endif
