# SPDX-License-Identifier: MIT
"""SubscriptionExecutor: subscriptions without a client connection, made and
read by the application itself."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from fraiseql_asgi._core import Event, EventBus, Feed, SecurityContext
from fraiseql_asgi._loop_thread import LoopThread
from fraiseql_asgi._runtime import Runtime
from fraiseql_asgi._schema import read_schema
from fraiseql_asgi.config import EventBusConfig, Limits, as_bus_config, check_seconds
from fraiseql_asgi.errors import ClosedError, DuplicateSubscription, UnknownSubscription
from fraiseql_asgi.security import Security
from fraiseql_asgi.subscription import check_names, check_returns, make_resolver
from fraiseql_asgi.types import Metrics, Returns

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["SubscriptionExecutor"]


class SubscriptionExecutor:
    """Subscriptions that are registered, published to and read by polling.

    Every method may be called from any thread; none needs an event loop.

    Args:
        config: the bus: a URL, an `EventBusConfig`, an `EventBus`; None is
            `memory://`. It is connected when this returns.
        schema: what documents are checked against, as a manager takes it;
            None: nothing.
        security: who may see what, as a manager takes it.
        connect_timeout: seconds to connect to the bus.

    Raises:
        ConfigError: no such bus; the schema or the policy cannot work.
        BusError: the bus cannot be reached, in the words of its server.

    Example:
        >>> executor = SubscriptionExecutor()
        >>> executor.register_subscription(
        ...     connection_id="conn1", subscription_id="sub1",
        ...     query="subscription { users { id } }", operation_name=None,
        ...     variables={}, user_id="user1", tenant_id="tenant1")
        >>> executor.publish_event("userCreated", "users", {"id": "123", "name": "Alice"})
        '1'
        >>> executor.next_event("sub1")
        b'{"type":"next","id":"sub1","payload":{"data":{"users":{"id":"123"}}}}'
        >>> executor.close()
    """

    def __init__(
        self,
        config: str | EventBusConfig | EventBus | None = None,
        *,
        schema: object = None,
        security: Security | None = None,
        connect_timeout: float = 5.0,
    ) -> None:
        runtime = Runtime(
            as_bus_config("memory://" if config is None else config),
            limits=Limits(),
            schema=read_schema(schema),
            serve_undeclared=True,
            security=security,
            connect_timeout=check_seconds("connect_timeout", connect_timeout),
        )
        self._set_up(runtime)
        self._connects = True
        runtime.start()
        try:
            runtime.connect()
        except BaseException:
            runtime.stop()
            raise

    @classmethod
    def _of(cls, runtime: Runtime) -> SubscriptionExecutor:
        """The executor of a manager, on the manager's engine."""
        self = cls.__new__(cls)
        self._set_up(runtime)
        return self

    def _set_up(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._lock = threading.Lock()
        self._feeds: dict[str, Feed] = {}
        self._connections: dict[str, set[str]] = {}
        self._owners: dict[str, str] = {}
        self._lost: frozenset[str] = frozenset()
        self._connects = False
        self._is_child = False
        self._loop: LoopThread | None = None
        runtime.on_stop.append(self._on_stop)
        runtime.on_fork.append(self._on_fork)

    # -- subscriptions ------------------------------------------------------

    def register_subscription(
        self,
        connection_id: str,
        subscription_id: str,
        query: str,
        operation_name: str | None,
        variables: dict[str, Any] | None,
        user_id: str | None,
        tenant_id: str | None,
        resolver_fn: Callable[..., Any] | None = None,
        channels: Iterable[str] | None = None,
        returns: Returns = "field",
        *,
        security: SecurityContext | None = None,
    ) -> None:
        """Start a subscription; what is published from now on reaches it.

        Args:
            connection_id: whose it is, for `disconnect`.
            subscription_id: its id, unique in this executor, and in its
                messages.
            query: the document.
            operation_name: which operation; beside a single anonymous one a
                label.
            variables: of the operation.
            user_id: who it is for.
            tenant_id: their tenant.
            resolver_fn: `(event, variables[, context])`, sync or async, makes
                the value of each event; it runs on a thread of its own. None:
                the event's data is the value.
            channels: where it listens; None: the root field's name.
            returns: "field": `resolver_fn` returns the root field's value.
                "data": the object that holds it under the field's name.
            security: who it is for, in full; None: just `user_id` and
                `tenant_id`, which otherwise must be None or the same.

        Raises:
            SecurityError: the policy refuses it.
            DuplicateSubscription: the id is in use.
            GraphQLSyntaxError: the document is not GraphQL.
            GraphQLValidationError: it may not be executed, or the variables
                do not fit; `errors` says what a client would be told.
            TypeError: an argument has the wrong type; it is named.
            ValueError: an argument is empty.
            ClosedError: the executor was closed.
        """
        self._register(
            self._open_in_own_loop,
            connection_id,
            subscription_id,
            query,
            operation_name,
            variables,
            user_id,
            tenant_id,
            resolver_fn,
            channels,
            returns,
            security,
        )

    def _register(
        self,
        opener: Callable[[Callable[[], Feed]], Feed],
        connection_id: str,
        subscription_id: str,
        query: str,
        operation_name: str | None,
        variables: dict[str, Any] | None,
        user_id: str | None,
        tenant_id: str | None,
        resolver_fn: Callable[..., Any] | None,
        channels: Iterable[str] | None,
        returns: Returns,
        security: SecurityContext | None,
    ) -> None:
        """As `register_subscription`; `opener` runs what opens a feed with a
        resolver in the loop that is to call it."""
        _check_id("connection_id", connection_id)
        _check_id("subscription_id", subscription_id)
        _check_str("query", query)
        _check_optional_str("operation_name", operation_name)
        _check_optional_str("user_id", user_id)
        _check_optional_str("tenant_id", tenant_id)
        context = _make_context(user_id, tenant_id, security)
        returns = check_returns(returns)
        names = None if channels is None else check_names(channels)
        resolver = None
        if resolver_fn is not None:
            if not callable(resolver_fn):
                raise TypeError(f"resolver_fn must be callable, not {type(resolver_fn).__name__}")
            resolver = make_resolver(subscription_id, resolver_fn)
        service = self._runtime.service()
        if self._is_child:
            self._is_child = False
            self._runtime.connect()
        with self._lock:
            if subscription_id in self._owners:
                raise DuplicateSubscription(
                    f"subscription {subscription_id!r} exists already",
                    subscription_id=subscription_id,
                    connection_id=connection_id,
                )
            self._owners[subscription_id] = connection_id
        open_feed = functools.partial(
            service.feed,
            subscription_id,
            connection_id,
            query,
            operation_name,
            variables,
            resolver,
            names,
            returns,
            context,
        )
        try:
            feed = open_feed() if resolver is None else opener(open_feed)
        except BaseException:
            with self._lock:
                self._owners.pop(subscription_id, None)
            raise
        with self._lock:
            self._feeds[subscription_id] = feed
            self._connections.setdefault(connection_id, set()).add(subscription_id)

    def next_event(self, subscription_id: str) -> bytes | None:
        """The oldest message waiting, serialised whole; None when there is none.

        Never blocks. A subscription that is read too slowly loses its oldest
        messages; the next one says how many, in `extensions.dropped`.

        Raises:
            UnknownSubscription: no such subscription.
            ClosedError: the executor was closed.
        """
        try:
            feed = self._feeds[subscription_id]
        except (KeyError, TypeError):
            raise self._unknown(subscription_id) from None
        return feed.next()

    def complete_subscription(self, subscription_id: str) -> None:
        """End a subscription; when this returns nothing of it is left.

        Raises:
            UnknownSubscription: no such subscription.
            ClosedError: the executor was closed.
        """
        if not isinstance(subscription_id, str):
            raise self._unknown(subscription_id)
        with self._lock:
            feed = self._take(subscription_id)
        if feed is None:
            raise self._unknown(subscription_id)
        feed.close()

    def disconnect(self, connection_id: str) -> None:
        """End all subscriptions of a connection. One without any is fine.

        Raises:
            ClosedError: the executor was closed.
        """
        _check_str("connection_id", connection_id)
        self._runtime.service()
        with self._lock:
            ids = list(self._connections.get(connection_id, ()))
            feeds = [self._take(subscription_id) for subscription_id in ids]
        for feed in feeds:
            if feed is not None:
                feed.close()

    def _take(self, subscription_id: str) -> Feed | None:
        """Takes a subscription out of all tables, which are locked."""
        feed = self._feeds.pop(subscription_id, None)
        if feed is None:
            return None
        connection_id = self._owners.pop(subscription_id)
        ids = self._connections[connection_id]
        ids.discard(subscription_id)
        if not ids:
            del self._connections[connection_id]
        return feed

    def _unknown(self, subscription_id: object) -> Exception:
        if not isinstance(subscription_id, str):
            return TypeError(f"subscription_id must be a str, not {type(subscription_id).__name__}")
        if subscription_id in self._lost:
            return ClosedError(
                f"subscription {subscription_id!r} belongs to the process before the fork"
            )
        try:
            self._runtime.service()
        except ClosedError as error:
            return error
        return UnknownSubscription(
            f"there is no subscription {subscription_id!r}", subscription_id=subscription_id
        )

    # -- publishing and numbers ---------------------------------------------

    def publish_event(
        self,
        event_type: str | Event,
        channel: str | None = None,
        data: object = None,
        *,
        tenant_id: str | None = None,
        boundary: str | None = None,
        meta: dict[str, Any] | None = None,
    ) -> str | None:
        """Publish, and return the id the bus gave the event.

        On `memory://`, when it returns the event has been dispatched and the
        resolvers it caused have answered (waiting at most 5 seconds for them),
        so that `next_event` sees what came of it. In a thread that runs an
        event loop, it returns after the dispatch.

        On other buses it returns when the server has the event, from where it
        comes back to be dispatched. In a thread that runs an event loop, it
        returns None at once; a failure is logged.

        Args:
            event_type: what happened, `"userCreated"`; or an `Event`, alone.
            channel: where.
            data: the details, a dict of JSON values.
            tenant_id: the tenant it belongs to: nobody else gets it.
            boundary: the subgraph it belongs to: likewise.
            meta: what travels along, such as `{"traceparent": ...}`.

        Raises:
            PublishTimeout: the bus did not take it for 5 seconds.
            BusError: the bus refused it.
            QueueFull: it had no room, in a thread that runs an event loop.
            TypeError, ValueError: the data is not JSON; nothing was published.
            ClosedError: the executor was closed.
        """
        service = self._runtime.service()
        if has_envelope(tenant_id, boundary, meta):
            event_type = make_event(event_type, channel, data, tenant_id, boundary, meta)
            channel = data = None
        if isinstance(event_type, Event):
            if channel is not None or data is not None:
                raise TypeError("an Event is published alone")
            return service.publish(event_type, None, None, True)
        _check_id("event_type", event_type)
        name = _check_id("channel", channel)
        if data is None:
            raise TypeError("data must be a dict, not NoneType")
        return service.publish(name, data, event_type, True)

    def get_metrics(self) -> Metrics:
        """What was counted; a snapshot that stops nobody."""
        return self._runtime.service().metrics()

    # -- life ---------------------------------------------------------------

    def close(self) -> None:
        """End everything; whatever is called afterwards raises ClosedError.
        Harmless twice."""
        self._runtime.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _open_in_own_loop(self, open_feed: Callable[[], Feed]) -> Feed:
        with self._lock:
            if self._loop is None:
                cancel_tasks = self._runtime.service().cancel_tasks
                self._loop = LoopThread("fraiseql-resolvers", cancel_tasks)
            loop = self._loop
        return loop.call(open_feed)

    def _on_stop(self) -> None:
        with self._lock:
            feeds = list(self._feeds.values())
            self._feeds = {}
            self._connections = {}
            self._owners = {}
            loop, self._loop = self._loop, None
        for feed in feeds:
            feed.close()
        if loop is not None:
            loop.stop()

    def _on_fork(self) -> None:
        self._lock = threading.Lock()
        self._lost |= frozenset(self._owners)
        self._is_child = self._connects
        self._feeds = {}
        self._connections = {}
        self._owners = {}
        self._loop = None


def has_envelope(tenant_id: str | None, boundary: str | None, meta: dict[str, Any] | None) -> bool:
    """Whether a publisher says more of an event than what, where and data."""
    return tenant_id is not None or boundary is not None or meta is not None


def make_event(
    event_type: str | Event | None,
    channel: str | Event | None,
    data: object,
    tenant_id: str | None,
    boundary: str | None,
    meta: dict[str, Any] | None,
) -> Event:
    """The event that a publisher names by these arguments.

    Raises:
        TypeError: an Event is among them, which has all of that itself; an
            argument is missing or has the wrong type.
        ValueError: a name is empty, the data is not JSON.
    """
    if isinstance(event_type, Event) or isinstance(channel, Event):
        raise TypeError(
            "an Event has its own tenant_id, boundary and meta: give them to it, or publish "
            "event_type, channel and data"
        )
    if channel is None or data is None:
        raise TypeError("channel and data are needed, or an Event")
    return Event(
        channel if event_type is None else event_type,
        channel,
        data,
        tenant_id=tenant_id,
        boundary=boundary,
        meta=meta,
    )


def _make_context(
    user_id: str | None, tenant_id: str | None, security: SecurityContext | None
) -> SecurityContext:
    """Who a subscription is for: `security`, which user and tenant do not
    contradict, or else just them."""
    if security is None:
        return SecurityContext(user_id, tenant_id)
    if not isinstance(security, SecurityContext):
        raise TypeError(
            f"security must be a SecurityContext or None, not {type(security).__name__}"
        )
    for name, value, own in (
        ("user_id", user_id, security.user_id),
        ("tenant_id", tenant_id, security.tenant_id),
    ):
        if value is not None and value != own:
            raise ValueError(f"{name} is {value!r}, but that of security is {own!r}")
    return security


def _check_str(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {type(value).__name__}")
    return value


def _check_id(name: str, value: object) -> str:
    if _check_str(name, value) == "":
        raise ValueError(f"{name} must not be empty")
    return str(value)


def _check_optional_str(name: str, value: object) -> None:
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{name} must be a str or None, not {type(value).__name__}")
