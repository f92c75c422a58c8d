# SPDX-License-Identifier: MIT
"""Looking at a running manager's subscriptions, and ending them."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import functools
import operator
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fraiseql_asgi.authentication import check_code
from fraiseql_asgi.errors import ConfigError
from fraiseql_asgi.filters import Filter, check_filter, ctx

if TYPE_CHECKING:
    from fraiseql_asgi._core import Service
    from fraiseql_asgi._runtime import Runtime

__all__ = ["LiveSubscription", "Managing"]

#: Records that `subscriptions()` gives unless asked for more.
_LIMIT = 1000


@dataclasses.dataclass(frozen=True, slots=True)
class LiveSubscription:
    """A subscription as it was at one moment."""

    #: The id its client chose.
    subscription_id: str
    #: What tells the connection from others: `context.connection_id`.
    connection_id: str
    query: str
    operation_name: str | None
    #: Coerced, with defaults.
    variables: dict[str, Any]
    user_id: str | None
    tenant_id: str | None
    #: Where it listens; empty for an async generator.
    channels: tuple[str, ...]
    created_at: dt.datetime
    #: When an event last matched; None: never yet.
    last_event_at: dt.datetime | None


class Managing:
    """What a manager lets its application do to live connections.

    Each method may be called from any thread and waits for the engine, which
    looks at everything in slices and goes on delivering in between. In an
    event loop prefer the methods that begin with `a`, which wait in a thread.
    """

    _runtime: Runtime

    def _service(self) -> Service:
        raise NotImplementedError

    def subscriptions(
        self,
        *,
        user_id: str | None = None,
        tenant_id: str | None = None,
        connection_id: str | None = None,
        channel: str | None = None,
        limit: int = _LIMIT,
    ) -> list[LiveSubscription]:
        """The live subscriptions of this process, at most `limit`.

        Args:
            user_id, tenant_id, connection_id: whose; None: anybody's.
            channel: where they listen; None: anywhere.
            limit: how many at most.

        Raises:
            TypeError: an argument has the wrong type.
            ValueError: `limit` is negative.
            ClosedError: the manager was stopped.
        """
        limit = operator.index(limit)
        if limit < 0:
            raise ValueError(f"limit must not be negative, but is {limit}")
        if not self._runtime.is_running:
            return []
        rows = self._service().live(user_id, tenant_id, connection_id, channel, limit)
        return [_record(row) for row in rows]

    async def asubscriptions(self, **kwargs: Any) -> list[LiveSubscription]:
        """`subscriptions`, without blocking the event loop."""
        return await asyncio.to_thread(functools.partial(self.subscriptions, **kwargs))

    def disconnect(
        self,
        *,
        user_id: str | None = None,
        tenant_id: str | None = None,
        connection_id: str | None = None,
        code: int = 4403,
        reason: str = "Forbidden",
    ) -> int:
        """Close connections of this process; returns their number.

        What is queued for them is dropped. Subscriptions that the application
        made itself count as connections and end, too.

        Args:
            user_id, tenant_id, connection_id: whose, at least one; all that
                are given must be so.
            code: the close code: 1000 or 3000 to 4999. Clients come back after
                4403, but not after 4401 and a few more of the protocol's.
            reason: at most 123 bytes of UTF-8; what is longer is cut.

        Raises:
            TypeError: none is given, or an argument has the wrong type.
            ConfigError: `code` cannot be sent.
            ClosedError: the manager was stopped.
        """
        if user_id is None and tenant_id is None and connection_id is None:
            raise TypeError("disconnect needs user_id, tenant_id or connection_id")
        check_code("code", code)
        if not self._runtime.is_running:
            return 0
        return self._service().disconnect(user_id, tenant_id, connection_id, None, code, reason)

    async def adisconnect(self, **kwargs: Any) -> int:
        """`disconnect`, without blocking the event loop."""
        return await asyncio.to_thread(functools.partial(self.disconnect, **kwargs))

    def invalidate(self, where: Filter | Mapping[str, Any]) -> int:
        """End subscriptions of this process; returns their number.

        Each gets an `error` with the code FORBIDDEN, what is queued of it is
        dropped, and its connection stays.

        Args:
            where: which: a filter over `ctx`, and `arg` of their root field,
                or a mapping of names of `ctx` to values:
                `{"tenant_id": "acme"}`.

        Raises:
            ConfigError: it looks at events, or is too large.
            TypeError: it is no filter and no mapping.
            ClosedError: the manager was stopped.
        """
        where = _as_filter(where)
        if not self._runtime.is_running:
            return 0
        return self._service().invalidate(where.ir)

    async def ainvalidate(self, where: Filter | Mapping[str, Any]) -> int:
        """`invalidate`, without blocking the event loop."""
        return await asyncio.to_thread(self.invalidate, where)

    def replace_schema(self, schema: object) -> None:
        """Serve another schema from now on.

        Running subscriptions keep the one they were made with. Fields that are
        declared must be in the new schema, as at the start.

        Args:
            schema: as for the manager, which must have had one.

        Raises:
            ConfigError: it is no valid schema, or does not fit; nothing has
                changed.
            TypeError: it is none of what a schema may be.
        """
        self._runtime.replace_schema(schema)


def _as_filter(where: object) -> Filter:
    if isinstance(where, Mapping):
        if not where:
            raise ConfigError("where must name something", setting="where")
        parts = [getattr(ctx, name) == value for name, value in where.items()]
        where = functools.reduce(operator.and_, parts)
    return check_filter(where)


def _record(row: dict[str, Any]) -> LiveSubscription:
    row["channels"] = tuple(row["channels"])
    row["created_at"] = _time(row["created_at"])
    if row["last_event_at"] is not None:
        row["last_event_at"] = _time(row["last_event_at"])
    return LiveSubscription(**row)


def _time(ns: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(ns / 1e9, dt.timezone.utc)
