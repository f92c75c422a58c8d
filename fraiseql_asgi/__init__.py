# SPDX-License-Identifier: MIT
"""GraphQL subscriptions for any ASGI server, served by an engine in C.

    uvicorn fraiseql_asgi:app            the default app
    SubscriptionManager().attach(app)    inside FastAPI or Starlette

Importing the package reads no environment and starts nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fraiseql_asgi._core import (
    SKIP,
    Event,
    EventBus,
    GraphQLMessage,
    GraphQLTransportWSHandler,
    ResolverContext,
    SecurityContext,
    SubscriptionPayload,
)
from fraiseql_asgi.config import EventBusConfig, Limits
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
from fraiseql_asgi.executor import SubscriptionExecutor
from fraiseql_asgi.filters import Filter, arg, ctx, event
from fraiseql_asgi.hooks import Connection, Operation
from fraiseql_asgi.jwt_authenticator import JWTAuthenticator
from fraiseql_asgi.management import LiveSubscription, LiveSubscriptions
from fraiseql_asgi.manager import SubscriptionManager
from fraiseql_asgi.security import Security
from fraiseql_asgi.subscription import subscription

if TYPE_CHECKING:
    app: SubscriptionManager

__version__ = "0.1.0"

__all__ = [
    "SKIP",
    "BusError",
    "CloseConnection",
    "ClosedError",
    "ConfigError",
    "Connection",
    "DuplicateSubscription",
    "Event",
    "EventBus",
    "EventBusConfig",
    "Filter",
    "FraiseQLError",
    "GraphQLMessage",
    "GraphQLSyntaxError",
    "GraphQLTransportWSHandler",
    "GraphQLValidationError",
    "JWTAuthenticator",
    "Limits",
    "LiveSubscription",
    "LiveSubscriptions",
    "Operation",
    "PositionLost",
    "PublishTimeout",
    "QueueFull",
    "RateLimited",
    "ResolverContext",
    "ResolverError",
    "Security",
    "SecurityContext",
    "SecurityError",
    "SubscriptionEnded",
    "SubscriptionError",
    "SubscriptionExecutor",
    "SubscriptionManager",
    "SubscriptionPayload",
    "UnknownSubscription",
    "app",
    "arg",
    "ctx",
    "event",
    "subscription",
]


def __getattr__(name: str) -> Any:
    """The default app, made when it is first asked for."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from fraiseql_asgi.default_app import DefaultApp

    made = globals()["app"] = DefaultApp()
    return made
