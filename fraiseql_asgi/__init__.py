# SPDX-License-Identifier: MIT
"""GraphQL subscriptions for any ASGI server, served by an engine in C.

    uvicorn fraiseql_asgi:app            the default app
    SubscriptionManager().attach(app)    inside FastAPI or Starlette

Importing the package reads no environment and starts nothing.
"""

from __future__ import annotations

from fraiseql_asgi._core import Event, GraphQLMessage, SubscriptionPayload
from fraiseql_asgi.errors import (
    BusError,
    CloseConnection,
    ClosedError,
    ConfigError,
    DuplicateSubscription,
    FraiseQLError,
    GraphQLSyntaxError,
    GraphQLValidationError,
    PositionLost,
    PublishTimeout,
    QueueFull,
    RateLimited,
    ResolverError,
    SecurityError,
    SubscriptionEnded,
    SubscriptionError,
    UnknownSubscription,
)

__version__ = "0.1.0"

__all__ = [
    "BusError",
    "CloseConnection",
    "ClosedError",
    "ConfigError",
    "DuplicateSubscription",
    "Event",
    "FraiseQLError",
    "GraphQLMessage",
    "GraphQLSyntaxError",
    "GraphQLValidationError",
    "PositionLost",
    "PublishTimeout",
    "QueueFull",
    "RateLimited",
    "ResolverError",
    "SecurityError",
    "SubscriptionEnded",
    "SubscriptionError",
    "SubscriptionPayload",
    "UnknownSubscription",
]
