# SPDX-License-Identifier: MIT
"""The shapes of what goes in and out, for annotations."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from typing import Any, Literal, TypeAlias, TypedDict

__all__ = [
    "ASGIApplication",
    "Histogram",
    "Metrics",
    "Overflow",
    "Receive",
    "Resolver",
    "Returns",
    "Scope",
    "Send",
    "Source",
]

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApplication: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

#: `(event, variables)` or `(event, variables, context)`, sync or async.
Resolver: TypeAlias = Callable[..., Any]
#: `(variables, context)`, or fewer of them.
Source: TypeAlias = Callable[..., AsyncGenerator[Any, None]]

#: What a resolver's result is: the root field's value, or an object holding it
#: under the field's name.
Returns: TypeAlias = Literal["field", "data"]

#: What becomes of a field's messages that a client does not read in time.
Overflow: TypeAlias = Literal["disconnect", "drop_oldest", "drop_newest", "conflate"]


class Histogram(TypedDict):
    """How durations are distributed, in seconds."""

    #: How many there were, and their sum.
    count: int
    sum: float
    #: What half, nine tenths and 99 hundredths of them do not exceed,
    #: estimated from the buckets: at most a factor of two off.
    p50: float
    p90: float
    p99: float
    #: Upper bound -> how many were not above it. Bounds double, from 250 ns to
    #: six days; the last is infinite. They are the same for every histogram.
    buckets: dict[float, int]


class Metrics(TypedDict):
    """What `get_metrics()` returns: counts since the start, except
    `…_pending`, `…_active`, `…_cached`, `…_waiting`, `queued_…` and `…_bytes`,
    which say how many there are now, and `…_seconds`, which are histograms."""

    #: Client connections open now, and ever opened.
    connections_active: int
    connections_total: int
    connections_legacy: int
    #: Pings to clients that had said nothing for `Limits.keep_alive`; those
    #: that did not answer; connections given up, as their close was not read.
    pings_sent: int
    dead_peers: int
    connections_given_up: int
    #: Those that had not gone when a drain was over.
    drain_left: int
    #: Connections closed when their context expired; those refused by the
    #: `auth_handler`, and because it took too long; contexts replaced by a ping.
    connections_expired: int
    refused_authentications: int
    refused_auth_timeouts: int
    reauthentications: int
    #: How those that ended did: closed or lost by the client,
    closed_by_client: int
    #: or closed from here, by code: normally, for a message that is too big,
    #: for want of memory, as the service stops, for a client that is too slow,
    closed_1000: int
    closed_1008: int
    closed_1009: int
    closed_1011: int
    closed_1012: int
    closed_1013: int
    #: for a message that is not of the protocol, a subscribe that came too
    #: early, a client that is not let in, a connection_init that did not come,
    #: an operation's id used twice, a second connection_init, a failure of the
    #: server, and with any other code, which the application chose.
    closed_4400: int
    closed_4401: int
    closed_4403: int
    closed_4408: int
    closed_4409: int
    closed_4429: int
    closed_4500: int
    closed_other: int
    #: Subscriptions asked for and not decided, live now, ever started, and
    #: ended for whatever reason.
    subscriptions_pending: int
    subscriptions_active: int
    subscriptions_total: int
    subscriptions_completed: int
    #: Why subscriptions ended; together these are `subscriptions_completed`.
    #: Completed by the client or by the application that made it,
    ended_complete: int
    #: because its source was exhausted, or raised,
    ended_source: int
    ended_error: int
    #: with a connection that the client closed or lost, that was too slow, or
    #: that was closed from here for another reason,
    ended_disconnect: int
    ended_slow_client: int
    ended_closed: int
    #: as the client's token expired, as the history no longer had what it
    #: missed, by the application, with the service.
    ended_expired: int
    ended_position_lost: int
    ended_managed: int
    ended_shutdown: int
    #: Subscriptions from a position on, and those of them that catch up now.
    subscriptions_resumed: int
    subscriptions_replaying: int
    #: Subscribe requests answered by an error.
    subscriptions_refused: int
    #: Why operations were refused: the document is no GraphQL, it may not be
    #: executed, its variables do not fit,
    refused_syntax: int
    refused_validation: int
    refused_variables: int
    #: it exceeds the one of `Limits.document_…` that is named,
    refused_document_bytes: int
    refused_document_tokens: int
    refused_document_depth: int
    refused_document_fields: int
    refused_document_aliases: int
    refused_document_directives: int
    #: the client's context has expired,
    refused_expired: int
    #: the connection or its user has as many as it may, or a maximum that
    #: cannot be set is exceeded,
    refused_subscriptions: int
    refused_user_subscriptions: int
    #: the process is above `Limits.memory_limit`,
    refused_memory: int
    #: (of connections, refused before they are accepted, or when it is known
    #: whose they are; closed for messages; and how often nothing was read from
    #: one for a while because of its `messages_per_second`)
    refused_connections: int
    refused_stopping: int
    refused_address_connections: int
    refused_user_connections: int
    refused_handshakes: int
    refused_address_handshakes: int
    refused_origins: int
    refused_messages: int
    reading_paused: int
    refused_other_limits: int
    #: it names a persisted operation that is unknown, or none where it must,
    refused_bus_unavailable: int
    refused_persisted: int
    #: it names a position that is none, or of another epoch,
    refused_positions: int
    #: it asks for the schema, which is not told,
    refused_introspection: int
    #: it is a query or mutation, and nothing executes them,
    refused_unhandled: int
    #: the security policy forbids it.
    refused_forbidden: int
    #: What security kept from one subscription each: events a row filter does
    #: not let through, events of another tenant, of none, of one that is
    #: unclear, of a subgraph out of reach, and values after `expires_at`.
    security_row_denied: int
    security_tenant_denied_foreign: int
    security_tenant_denied_unnamed: int
    security_tenant_denied_unclear: int
    security_federation_denied: int
    security_expired_denied: int
    #: Subscriptions it refused: the context has expired, lacks the role for a
    #: field, or does not name it; a type belongs to a subgraph out of reach; a
    #: scoped value is not the context's own, or missing. And those it let in
    #: with fields masked.
    security_expired_refused: int
    security_rbac_refused_role: int
    security_rbac_refused_field: int
    security_rbac_masked: int
    security_federation_refused: int
    security_scope_refused_foreign: int
    security_scope_refused_missing: int
    #: Queries and mutations given to `execute_handler`, and those that ended in
    #: an `error` message.
    execute_calls: int
    execute_errors: int
    #: Times a subscription was told that events were lost.
    subscriptions_with_gaps: int
    #: Messages to other instances, given to the bus, and of other instances;
    #: those of them that made no sense and were ignored.
    control_sent: int
    control_received: int
    control_refused: int
    #: Other instances on the bus that are known now.
    control_instances: int
    #: Times all connections were closed for their clients to authenticate
    #: again, as orders to end some of them may have been lost.
    control_lockdowns: int
    #: Channels somebody listens on.
    channels_active: int
    #: Events this process gave to the bus (with an `EventBus` that is shared,
    #: all of its users did), and those that came from the bus.
    events_published: int
    events_received: int
    #: Pairs of event and subscription that matched.
    events_matched: int
    #: Of these, from the history; and the looks into it, each for all who wait.
    events_replayed: int
    history_reads: int
    #: Of these, lost because the subscription, or the subscriptions of its
    #: user together, have had as many in a second as they may.
    events_limited_by_subscription: int
    events_limited_by_user: int
    #: Payloads serialised: one serves all who asked for the same.
    projections: int
    #: `next` messages queued, and those lost to a full queue.
    deliveries: int
    deliveries_dropped: int
    #: Of these, by the policy of the field: the oldest or the newest of a full
    #: queue, or of the events that wait for a resolver, and those a newer one
    #: of the same key has replaced.
    dropped_oldest: int
    dropped_newest: int
    conflated: int
    #: Calls of resolvers and sources, and those that ended in an error.
    resolver_calls: int
    resolver_errors: int
    #: Connections closed with 1013.
    slow_clients_closed: int
    #: Compiled documents kept.
    plans_cached: int
    #: Memory: of these, of the schema, and of live subscriptions with all that
    #: is kept for each but what waits for them. About as allocated.
    plans_bytes: int
    schema_bytes: int
    subscriptions_bytes: int
    #: Events that wait for the bus.
    events_waiting: int
    events_publish_failed: int
    bus_up: int
    bus_reconnects: int
    bus_gaps: int
    bus_unreadable: int
    bus_lag_ms: int
    #: Messages that wait for clients or for `next_event`, and the bytes of their texts; a
    #: text that several wait for is counted for each.
    queued_messages: int
    queued_bytes: int
    #: Events the bus keeps in this process for clients that come back, and
    #: their bytes (with an `EventBus` that is shared, for all of its users).
    history_events: int
    history_bytes: int
    #: How long connections lasted that have ended.
    connection_seconds: Histogram
    #: From an event's coming until all who listen have met it; resolvers
    #: answer later.
    dispatch_seconds: Histogram
    #: From a resolver's call to its answer, the way to its event loop and back
    #: included.
    resolver_seconds: Histogram
    #: From `publish` until the bus has the event (with an `EventBus` that is
    #: shared, of all its users).
    publish_seconds: Histogram
