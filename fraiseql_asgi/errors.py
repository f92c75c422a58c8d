# SPDX-License-Identifier: MIT
"""Everything that fraiseql_asgi raises.

Each exception carries its context as attributes; those that an operation's
client is told of carry the same `code` as the message on the wire
(`extensions.code`).  This module imports nothing of the package.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "BusError",
    "CloseConnection",
    "ClosedError",
    "ConfigError",
    "DuplicateSubscription",
    "FraiseQLError",
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
    "UnknownSubscription",
]


class FraiseQLError(Exception):
    """The base of all exceptions of this package, but `CloseConnection`.

    Keyword arguments become attributes; only those a class declares are
    accepted.
    """

    #: `extensions.code` of the error a client gets, or None.
    code: str | None = None
    #: What was refused or went wrong, in a few words, where there is more to
    #: say than the message.
    reason: str | None = None

    def __init__(self, message: str = "", **context: Any) -> None:
        super().__init__(message)
        for name, value in context.items():
            if not hasattr(type(self), name):
                raise TypeError(f"{type(self).__name__} has no attribute {name!r}")
            setattr(self, name, value)

    @property
    def message(self) -> str:
        """The text, without the context."""
        return str(self.args[0]) if self.args else ""


class ConfigError(FraiseQLError, ValueError):
    """A setting, a declaration or a schema that cannot work.

    Raised when it is given, or at start-up, never per event.
    """

    #: The name of the argument, environment variable or field, if one.
    setting: str | None = None


class GraphQLSyntaxError(FraiseQLError):
    """A document that is not GraphQL."""

    code: str | None = "PARSE_ERROR"
    #: What clients get: `[{"message": str, "locations": [{"line": int, "column": int}]}]`.
    errors: list[dict[str, Any]] = []  # noqa: RUF012  each instance sets its own
    subscription_id: str | None = None


class GraphQLValidationError(FraiseQLError):
    """A readable document, or its variables, that may not be executed."""

    code: str | None = "VALIDATION_ERROR"
    #: What clients get: `[{"message": str, "locations": [{"line": int, "column": int}]}]`.
    errors: list[dict[str, Any]] = []  # noqa: RUF012  each instance sets its own
    subscription_id: str | None = None


class SecurityError(FraiseQLError):
    """Something this security context may not have."""

    code: str | None = "FORBIDDEN"
    #: What clients get, where there is such a thing.
    errors: list[dict[str, Any]] = []  # noqa: RUF012  each instance sets its own
    subscription_id: str | None = None
    field: str | None = None


class RateLimited(FraiseQLError):
    """More of something than its rate limit lets through."""

    code: str | None = "RATE_LIMITED"
    subscription_id: str | None = None
    #: Seconds until it is worth trying again, where known.
    retry_after: float | None = None


class SubscriptionError(FraiseQLError):
    """Something is wrong with one subscription."""

    subscription_id: str | None = None
    connection_id: str | None = None
    #: What clients get, where there is such a thing.
    errors: list[dict[str, Any]] = []  # noqa: RUF012  each instance sets its own


class DuplicateSubscription(SubscriptionError):
    """The id of a live subscription was given again."""


class UnknownSubscription(SubscriptionError):
    """No live subscription has this id."""


class SubscriptionEnded(SubscriptionError):
    """The subscription is over; `reason` says why."""


class PositionLost(SubscriptionError):
    """The bus's history does not reach back to the position asked for."""

    code: str | None = "POSITION_LOST"
    position: str | None = None


class ResolverError(SubscriptionError):
    """A resolver raised, timed out or returned what is not JSON."""

    code: str | None = "RESOLVER_ERROR"
    field: str | None = None


class BusError(FraiseQLError, RuntimeError):
    """The event bus cannot do what was asked."""

    code: str | None = "BUS_UNAVAILABLE"
    channel: str | None = None
    #: Which subscription could not start, if one.
    subscription_id: str | None = None
    #: Of `publish_events`: the id of each event that the bus is known to have,
    #: None for each of the others.
    ids: list[str | None] = []  # noqa: RUF012  each instance sets its own


class PublishTimeout(BusError, TimeoutError):
    """The bus did not confirm an event within `publish_timeout`.

    The message tells whether it can have the event all the same.
    """

    code: str | None = None
    #: The time waited, in seconds.
    timeout: float | None = None


class QueueFull(BusError):
    """No room for another event, where waiting for it is not possible."""

    code: str | None = None


class ClosedError(BusError):
    """The manager, executor or bus was closed, or its process forked."""

    code: str | None = None


class CloseConnection(Exception):  # an instruction, no failure
    """Raised by an auth handler to close the connection in its own words.

    Attributes:
        code: a WebSocket close code from 1000 or 3000 to 4999.
        reason: at most 123 bytes of UTF-8; what is longer is cut.
    """

    def __init__(self, code: int = 4403, reason: str = "Forbidden") -> None:
        if isinstance(code, bool) or not isinstance(code, int):
            raise TypeError(f"code must be an int, not {type(code).__name__}")
        if code != 1000 and not 3000 <= code <= 4999:
            raise ValueError(f"code must be 1000 or 3000 to 4999, not {code}")
        if not isinstance(reason, str):
            raise TypeError(f"reason must be a str, not {type(reason).__name__}")
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.code} {self.reason}"
