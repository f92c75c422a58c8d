# SPDX-License-Identifier: MIT
"""The shapes of what goes in and out, for annotations."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from typing import Any, Literal, TypeAlias, TypedDict

__all__ = [
    "ASGIApplication",
    "Metrics",
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


class Metrics(TypedDict):
    """What `get_metrics()` returns: counts since the start, except `…_active`,
    `…_cached` and `events_waiting`, which say how many there are now."""

    #: Client connections open now, and ever opened.
    connections_active: int
    connections_total: int
    #: Subscriptions live now, ever started, ended for whatever reason, and
    #: subscribe requests answered by an error.
    subscriptions_active: int
    subscriptions_total: int
    subscriptions_completed: int
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
    #: the connection or its user has as many as it may, or a maximum that
    #: cannot be set is exceeded,
    refused_subscriptions: int
    refused_user_subscriptions: int
    refused_other_limits: int
    #: it names a persisted operation that is unknown, or none where it must,
    refused_persisted: int
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
    #: Queries and mutations given to `execute_handler`, and those that ended in
    #: an `error` message.
    execute_calls: int
    execute_errors: int
    #: Channels somebody listens on.
    channels_active: int
    #: Events this process gave to the bus (with an `EventBus` that is shared,
    #: all of its users did), and those that came from the bus.
    events_published: int
    events_received: int
    #: Pairs of event and subscription that matched.
    events_matched: int
    #: Of these, lost because the subscription, or the subscriptions of its
    #: user together, have had as many in a second as they may.
    events_limited_by_subscription: int
    events_limited_by_user: int
    #: Payloads serialised: one serves all who asked for the same.
    projections: int
    #: `next` messages queued, and those lost to a full queue.
    deliveries: int
    deliveries_dropped: int
    #: Calls of resolvers and sources, and those that ended in an error.
    resolver_calls: int
    resolver_errors: int
    #: Connections closed with 1013.
    slow_clients_closed: int
    #: Compiled documents kept.
    plans_cached: int
    #: Events that wait for the bus.
    events_waiting: int
