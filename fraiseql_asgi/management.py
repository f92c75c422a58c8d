# SPDX-License-Identifier: MIT
"""Looking at a running manager's subscriptions, and ending them."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import functools
import operator
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from fraiseql_asgi.authentication import check_code
from fraiseql_asgi.config import check_seconds
from fraiseql_asgi.errors import ConfigError
from fraiseql_asgi.filters import Filter, check_filter, ctx

if TYPE_CHECKING:
    from fraiseql_asgi._core import Service
    from fraiseql_asgi._runtime import Runtime

__all__ = ["LiveSubscription", "LiveSubscriptions", "Managing"]

#: Whom a method is about: this manager, or all on its bus.
Instances: TypeAlias = Literal["here", "all"]

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
    #: `manager.instance_id` of the one that serves it.
    instance_id: str


class LiveSubscriptions(list[LiveSubscription]):
    """What `subscriptions()` returns: a list, and who did not add to it."""

    def __init__(
        self, subscriptions: Iterable[LiveSubscription] = (), missing: Iterable[str] = ()
    ) -> None:
        super().__init__(subscriptions)
        #: Instances that did not answer in time, or not with all they have.
        self.missing: tuple[str, ...] = tuple(missing)


class Managing:
    """What a manager lets its application do to live connections.

    Each method may be called from any thread and waits for the engine, which
    looks at everything in slices and goes on delivering in between. In an
    event loop prefer the methods that begin with `a`, which wait in a thread.

    An *instance* is a running manager on a bus; those on one Redis deployment
    or in one PostgreSQL database know of each other. On `memory://` there is
    only this one, and `instances` makes no difference.
    """

    _runtime: Runtime

    def _service(self) -> Service:
        raise NotImplementedError

    @property
    def instance_id(self) -> str:
        """What this manager is called among all on its bus; another one
        whenever it starts."""
        return self._service().instance_id()

    def subscriptions(
        self,
        *,
        instances: Instances = "here",
        timeout: float = 1.0,
        user_id: str | None = None,
        tenant_id: str | None = None,
        connection_id: str | None = None,
        channel: str | None = None,
        limit: int = _LIMIT,
    ) -> LiveSubscriptions:
        """The live subscriptions, at most `limit`.

        Args:
            instances: of this manager, or of all on its bus.
            timeout: seconds that others have to answer. It returns as soon as
                all that are known have; `missing` names those that have not.
            user_id, tenant_id, connection_id: whose; None: anybody's.
            channel: where they listen; None: anywhere.
            limit: how many at most.

        Raises:
            TypeError: an argument has the wrong type.
            ValueError: `limit` is negative.
            BusError: the bus did not take the question within `timeout`.
            ClosedError: the manager was stopped.
        """
        limit = operator.index(limit)
        if limit < 0:
            raise ValueError(f"limit must not be negative, but is {limit}")
        check_seconds("timeout", timeout)
        everywhere = self._is_everywhere(instances)
        if not self._runtime.is_running and not everywhere:
            return LiveSubscriptions()
        service = self._service()
        whose = (user_id, tenant_id, connection_id, channel)
        found = LiveSubscriptions(_records(service.live(*whose, limit), service.instance_id()))
        asked = service.ask(*whose, limit, timeout) if everywhere else None
        if asked is not None:
            cut = [one["instance_id"] for one in asked["answers"] if not one["is_whole"]]
            found.missing = (*asked["missing"], *cut)
            for one in asked["answers"]:
                found += _records(one["rows"], one["instance_id"])
            del found[limit:]
        return found

    async def asubscriptions(self, **kwargs: Any) -> LiveSubscriptions:
        """`subscriptions`, without blocking the event loop."""
        return await asyncio.to_thread(functools.partial(self.subscriptions, **kwargs))

    def _is_everywhere(self, instances: Instances) -> bool:
        if instances not in ("here", "all"):
            raise ConfigError(
                f'instances must be "here" or "all", not {instances!r}', setting="instances"
            )
        return instances == "all" and self._runtime.connects

    def disconnect(
        self,
        *,
        instances: Instances = "all",
        user_id: str | None = None,
        tenant_id: str | None = None,
        connection_id: str | None = None,
        code: int = 4403,
        reason: str = "Forbidden",
    ) -> int:
        """Close connections, on all instances; returns the number closed here.

        What is queued for them is dropped. Subscriptions that the application
        made itself count as connections and end, too. Other instances do the
        same within a second, behind what was published before; one that is cut
        off does it when it is back.

        Args:
            instances: "here" tells no others.
            user_id, tenant_id, connection_id: whose, at least one; all that
                are given must be so.
            code: the close code: 1000 or 3000 to 4999. Clients come back after
                4403, but not after 4401 and a few more of the protocol's.
            reason: at most 123 bytes of UTF-8; what is longer is cut.

        Raises:
            TypeError: none is given, or an argument has the wrong type.
            ConfigError: `code` cannot be sent.
            BusError: the bus did not take the order within `publish_timeout`;
                what is here was closed all the same. Where an event loop runs
                that is not waited for, but logged.
            ClosedError: the manager was stopped.
        """
        if user_id is None and tenant_id is None and connection_id is None:
            raise TypeError("disconnect needs user_id, tenant_id or connection_id")
        check_code("code", code)
        everywhere = self._is_everywhere(instances)
        if not self._runtime.is_running and not everywhere:
            return 0
        return self._service().disconnect(
            user_id, tenant_id, connection_id, None, code, reason, everywhere
        )

    async def adisconnect(self, **kwargs: Any) -> int:
        """`disconnect`, without blocking the event loop."""
        return await asyncio.to_thread(functools.partial(self.disconnect, **kwargs))

    def invalidate(self, where: Filter | Mapping[str, Any], *, instances: Instances = "all") -> int:
        """End subscriptions, on all instances; returns the number ended here.

        Each gets an `error` with the code FORBIDDEN, what is queued of it is
        dropped, and its connection stays. Other instances do the same, as with
        `disconnect`.

        Args:
            where: which: a filter over `ctx`, and `arg` of their root field,
                or a mapping of names of `ctx` to values:
                `{"tenant_id": "acme"}`.
            instances: "here" tells no others.

        Raises:
            ConfigError: it looks at events, or is too large.
            TypeError: it is no filter and no mapping.
            BusError: the bus did not take the order, as with `disconnect`.
            ClosedError: the manager was stopped.
        """
        where = _as_filter(where)
        everywhere = self._is_everywhere(instances)
        if not self._runtime.is_running and not everywhere:
            return 0
        return self._service().invalidate(where.ir, everywhere)

    async def ainvalidate(self, where: Filter | Mapping[str, Any], **kwargs: Any) -> int:
        """`invalidate`, without blocking the event loop."""
        return await asyncio.to_thread(functools.partial(self.invalidate, where, **kwargs))

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


def _records(rows: Iterable[dict[str, Any]], instance_id: str) -> list[LiveSubscription]:
    return [_record(row, instance_id) for row in rows]


def _record(row: dict[str, Any], instance_id: str) -> LiveSubscription:
    last_event_at = row["last_event_at"]
    return LiveSubscription(
        subscription_id=row["subscription_id"],
        connection_id=row["connection_id"],
        query=row["query"],
        operation_name=row["operation_name"],
        variables=row["variables"],
        user_id=row["user_id"],
        tenant_id=row["tenant_id"],
        channels=tuple(row["channels"]),
        created_at=_time(row["created_at"]),
        last_event_at=None if last_event_at is None else _time(last_event_at),
        instance_id=instance_id,
    )


def _time(ns: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(ns / 1e9, dt.timezone.utc)
