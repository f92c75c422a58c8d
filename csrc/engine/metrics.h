/* SPDX-License-Identifier: MIT */
/* Counters of one engine. Written on the reactor, read by any thread without
 * stopping it: relaxed atomics, each number true on its own. The engine counts
 * subscriptions but the refused ones, channels, matches, projections, calls,
 * plans and what it cannot deliver for want of memory; all else is counted by
 * its owner: connections, refusals, events, deliveries, what queues drop. */
#ifndef FQ_ENGINE_METRICS_H
#define FQ_ENGINE_METRICS_H

#include <stdatomic.h>
#include <stdint.h>

/* name, meaning. The table is the one list of what is counted: the struct,
 * the names and get_metrics() come from it. */
#define FQ_METRICS(X)                                                         \
    X(connections_active, "client connections open now")                      \
    X(connections_total, "client connections ever opened")                    \
    X(subscriptions_active, "subscriptions live now")                         \
    X(subscriptions_total, "subscriptions ever started")                      \
    X(subscriptions_completed, "subscriptions ended, for whatever reason")    \
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
    X(refused_subscriptions, "above max_subscriptions_per_connection")        \
    X(refused_user_subscriptions, "above max_subscriptions_per_user")         \
    X(refused_other_limits, "above a maximum that cannot be set")             \
    X(refused_persisted, "persisted operations unknown, or none given")       \
    X(refused_introspection, "queries for the schema, where it is not told")  \
    X(refused_unhandled, "queries and mutations that nothing executes")       \
    X(refused_forbidden, "subscriptions the policy refuses, see security_")   \
    X(security_row_denied, "events a row filter keeps from a subscription")   \
    X(security_tenant_denied_foreign, "events of another tenant")             \
    X(security_tenant_denied_unnamed, "events that name no tenant")           \
    X(security_tenant_denied_unclear, "events whose tenant is unclear")       \
    X(security_federation_denied, "events of a subgraph out of reach")        \
    X(security_expired_denied, "events after the end of a context")           \
    X(execute_calls, "queries and mutations handed to Python")                \
    X(execute_errors, "of these, ended by an `error` message")                \
    X(channels_active, "channels somebody listens on")                        \
    X(events_received, "events that came from the bus")                       \
    X(events_matched, "pairs of event and subscription that matched")         \
    X(events_limited_by_subscription, "of these, above its events_per_s")     \
    X(events_limited_by_user, "of these, above the user's events per s")      \
    X(projections, "payloads serialised")                                     \
    X(deliveries, "next messages queued")                                     \
    X(deliveries_dropped, "next messages lost: queue full, memory out")       \
    X(resolver_calls, "resolver and source calls made")                       \
    X(resolver_errors, "of these, ended by an error")                         \
    X(slow_clients_closed, "connections closed 1013")                         \
    X(plans_cached, "plans in the cache now")

typedef struct fq_metrics {
#define FQ_METRIC_MEMBER(name, help) _Atomic uint64_t name;
    FQ_METRICS(FQ_METRIC_MEMBER)
#undef FQ_METRIC_MEMBER
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

#endif
