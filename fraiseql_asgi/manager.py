# SPDX-License-Identifier: MIT
"""SubscriptionManager: fields, publishing and an ASGI application in one."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from fraiseql_asgi import _sigterm, _workers
from fraiseql_asgi._core import (
    ASGIApp,
    Event,
    EventBus,
    HttpStream,
    Publication,
    SecurityContext,
    Service,
)
from fraiseql_asgi._entrance import make_entrance
from fraiseql_asgi._graphiql import GraphiQL, check_graphiql
from fraiseql_asgi._http import Routes, send_text, upgrade_required, wants_answer
from fraiseql_asgi._publish import PublishEndpoint, check_publish_token
from fraiseql_asgi._publish_events import publish_events
from fraiseql_asgi._runtime import CLOSE_RESTART, Runtime
from fraiseql_asgi._schema import read_schema
from fraiseql_asgi._shared_stream import SharedStreams
from fraiseql_asgi.authentication import make_authentication
from fraiseql_asgi.config import (
    EventBusConfig,
    Limits,
    as_bus_config,
    check_seconds,
)
from fraiseql_asgi.errors import (
    BusError,
    ClosedError,
    ConfigError,
    FraiseQLError,
    PublishTimeout,
    QueueFull,
)
from fraiseql_asgi.execute import make_handler
from fraiseql_asgi.executor import SubscriptionExecutor, has_envelope, make_event
from fraiseql_asgi.hooks import Hook, HookT
from fraiseql_asgi.management import Managing
from fraiseql_asgi.persisted import PersistedSetting, load_persisted
from fraiseql_asgi.security import Security
from fraiseql_asgi.stream import PayloadStream
from fraiseql_asgi.subscription import Declaring, Field
from fraiseql_asgi.types import Metrics, Receive, Returns, Scope, Send

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["SubscriptionManager"]

_logger = logging.getLogger("fraiseql_asgi")

#: Turns of the loop that one publish_event gives away while the loop has mail
#: to hand on: enough for any burst, and an end where others publish for ever.
_TURNS_MAX = 100
#: `context.subscription_id` of what `subscribe` makes.
_stream_ids = itertools.count(1)
#: Seconds that the `finally` blocks of resolvers and sources, and hooks, have
#: in any case when it stops.
_STOP_TIMEOUT_MIN = 1.0


class SubscriptionManager(Declaring, Managing):
    """Serves GraphQL subscriptions to the clients of an ASGI server.

    It is an ASGI application itself, can be attached to FastAPI and Starlette
    or mounted anywhere, and publishes from any thread. The engine starts with
    the server (lifespan) or at first need.

    Args:
        event_bus_config: the bus: `memory://`, an `EventBusConfig`, or an
            `EventBus` shared with others.
        schema: what clients may ask for: SDL text, the path of a file with it,
            or a schema of graphql-core, Strawberry or Ariadne. None:
            subscriptions are served without a schema.
        serve_undeclared: serve also the subscription fields of the schema that
            nobody declared, with the defaults. Otherwise such fields keep the
            manager from starting.
        auth_handler: who clients are: `(payload)` or `(payload, scope)`, sync or
            async, of the `connection_init` message and the ASGI scope, returns
            a `SecurityContext` or a dict of its arguments, with the payload of
            the acknowledgement as a second item if it likes; None, False or an
            exception refuse the client. None: everybody is
            `SecurityContext("anonymous")`.
        auth_timeout: seconds it may take.
        expiry_grace: seconds from the end of a context (`expires_at`) to the
            close of its connection, for a `ping` with a new authorization.
        expiry_code: the code of that close.
        on_connect: called with a `Connection` when a client was let in.
        on_disconnect: called with it when it is gone.
        on_subscribe: called with it and an `Operation` before a subscription
            starts; refuses it by raising `SecurityError` or `RateLimited`.
        on_complete: called with both when one that was let in has ended, in
            whatever way. All four are sync or async; one that raises otherwise
            is logged.
        execute_handler: executes queries and mutations: `(payload, context)`,
            sync or async, returns the response, a dict. `fraiseql_asgi.execute`
            has ready-made ones. None: clients are refused them.
        persisted: documents that clients may name by hash: a mapping from
            SHA-256 to text, or the path of a JSON file.
        only_persisted: refuse everything else.
        introspection: answer queries that ask for the schema, and nothing else,
            from `schema` (which takes the extra `introspection`). False: refuse
            all that ask for it.
        legacy_protocol: serve also clients of the older subprotocol `graphql-ws`,
            that of `subscriptions-transport-ws`.
        security: who may see what, for all transports and the executor.
        limits: what clients, events and documents may use.
        allowed_origins: the pages that browsers may connect from, such as
            `["https://app.example.com"]`; `"self"` is this host, `"*"` any.
            None: this host only. What sends no Origin is no browser, and let in.
        trusted_proxies: addresses and networks whose `X-Forwarded-For`, `-Proto`
            and `-Host` are believed, such as `["10.0.0.0/8"]`; `"unix"` is who
            comes over a Unix-domain socket, `"*"` everybody.
        graphiql: serve GraphiQL, a page to try things on, to browsers that open the
            path. None: where `debug` is, and its files are installed.
        publish_token: serve `POST …/publish` to those who send it as a bearer
            token. None: nobody publishes over http.
        path: answer here only, `"/graphql"`; None: wherever it is asked.
        debug: tell clients the text of exceptions.
        resolver_timeout: seconds an async resolver may take for one event, and
            an async `execute_handler` for one operation.
        publish_timeout: seconds a publisher waits for the bus to have its event.
        connect_timeout: seconds to connect to the bus when the server starts,
            or at first use.
        bus_required: fail to start when that does not succeed. False: start
            all the same; until the bus is there subscribers get an error with
            code `BUS_UNAVAILABLE`.
        shutdown_timeout: seconds in which connections are closed when it stops,
            one after the other, so that clients do not come back all at once.
            0: all at once, and signals are left alone.

    Raises:
        ConfigError: a setting that cannot work.
        TypeError: an argument has the wrong type.

    Example:
        manager = SubscriptionManager()

        @manager.subscription(channel="orders")
        async def order_updated(event, variables):
            return {**event, "label": f"order {event['id']}"}

        await manager.publish_event(
            event_type="orderUpdated", channel="orders", data={"id": 1})
    """

    def __init__(
        self,
        event_bus_config: str | EventBusConfig | EventBus = "memory://",
        *,
        schema: object = None,
        serve_undeclared: bool = False,
        auth_handler: Callable[..., Any] | None = None,
        auth_timeout: float = 10.0,
        expiry_grace: float = 0.0,
        expiry_code: int = 4403,
        on_connect: Hook | None = None,
        on_disconnect: Hook | None = None,
        on_subscribe: Hook | None = None,
        on_complete: Hook | None = None,
        execute_handler: Callable[..., Any] | None = None,
        persisted: PersistedSetting | None = None,
        only_persisted: bool = False,
        introspection: bool = True,
        legacy_protocol: bool = True,
        security: Security | None = None,
        limits: Limits | None = None,
        allowed_origins: Iterable[str] | str | None = None,
        trusted_proxies: Iterable[str] | str = (),
        graphiql: bool | None = None,
        publish_token: str | None = None,
        path: str | None = None,
        debug: bool = False,
        resolver_timeout: float = 30.0,
        publish_timeout: float = 5.0,
        connect_timeout: float = 5.0,
        bus_required: bool = True,
        shutdown_timeout: float = 5.0,
    ) -> None:
        if limits is not None and not isinstance(limits, Limits):
            raise TypeError(f"limits must be a Limits, not {type(limits).__name__}")
        if only_persisted and persisted is None:
            raise ConfigError(
                "only_persisted needs persisted=, the documents", setting="only_persisted"
            )
        self._runtime = Runtime(
            as_bus_config(event_bus_config),
            limits=limits or Limits(),
            debug=bool(debug),
            resolver_timeout=check_seconds("resolver_timeout", resolver_timeout),
            publish_timeout=check_seconds("publish_timeout", publish_timeout),
            connect_timeout=check_seconds("connect_timeout", connect_timeout),
            handler=None if execute_handler is None else make_handler(execute_handler),
            authentication=make_authentication(
                auth_handler, auth_timeout, expiry_grace, expiry_code
            ),
            persisted=None if persisted is None else load_persisted(persisted),
            only_persisted=bool(only_persisted),
            introspection=bool(introspection),
            legacy_protocol=bool(legacy_protocol),
            schema=read_schema(schema),
            serve_undeclared=bool(serve_undeclared),
            security=security,
            entrance=make_entrance(allowed_origins, trusted_proxies),
        )
        for name, hook in (
            ("on_connect", on_connect),
            ("on_disconnect", on_disconnect),
            ("on_subscribe", on_subscribe),
            ("on_complete", on_complete),
        ):
            if hook is not None:
                self._runtime.set_hook(name, hook)
        self._executor = SubscriptionExecutor._of(self._runtime)
        self._graphiql = GraphiQL()
        self._graphiql.is_on = check_graphiql(graphiql, debug=bool(debug))
        self._publish_token = check_publish_token(publish_token)
        self._bus_required = bool(bus_required)
        self._has_connected = False
        self._shutdown_timeout = check_seconds(
            "shutdown_timeout", shutdown_timeout, is_zero_allowed=True
        )
        self._apps: list[ASGIApp] = []
        self._shared_streams = SharedStreams(
            lambda: self._runtime.limits,
            self._start_for_connection,
            lambda scope: self._service().cors(scope),
        )
        self._n_entered = 0
        self._runtime.on_fork.append(self._after_fork)
        self._app = self._make_app(path)

    # -- fields -------------------------------------------------------------

    def declare(self, field: Field) -> None:
        """Take a field, as `subscription` makes it."""
        self._runtime.declare(field)

    def on_connect(self, hook: HookT) -> HookT:
        """Decorator: the hook of that name; before the manager starts."""
        self._runtime.set_hook("on_connect", hook)
        return hook

    def on_disconnect(self, hook: HookT) -> HookT:
        """Decorator: the hook of that name; before the manager starts."""
        self._runtime.set_hook("on_disconnect", hook)
        return hook

    def on_subscribe(self, hook: HookT) -> HookT:
        """Decorator: the hook of that name; before the manager starts."""
        self._runtime.set_hook("on_subscribe", hook)
        return hook

    def on_complete(self, hook: HookT) -> HookT:
        """Decorator: the hook of that name; before the manager starts."""
        self._runtime.set_hook("on_complete", hook)
        return hook

    # -- publishing ---------------------------------------------------------

    def publish(
        self,
        channel: str | Event,
        data: object = None,
        *,
        event_type: str | None = None,
        tenant_id: str | None = None,
        boundary: str | None = None,
        meta: dict[str, Any] | None = None,
    ) -> str | None:
        """Publish from any thread; returns the id the bus gave the event.

        Where an event loop runs it returns at once: the id on `memory://`,
        else None, and a later failure is logged and counted. Elsewhere it
        waits until the bus has the event, at most `publish_timeout`.

        Args:
            channel: where; or an `Event`, alone.
            data: a dict of JSON values, converted before this returns.
            event_type: what happened; None: the channel's name.
            tenant_id: the tenant it belongs to: nobody else gets it.
            boundary: the subgraph it belongs to: likewise.
            meta: what travels along, such as `{"traceparent": ...}`.

        Raises:
            QueueFull: no room, where an event loop runs.
            PublishTimeout: not taken in time, elsewhere.
            BusError: the bus refused it, elsewhere.
            TypeError, ValueError: the data is not JSON; nothing was published.
            ClosedError: the manager was stopped.
        """
        service = self._service()
        if has_envelope(tenant_id, boundary, meta):
            event = make_event(event_type, channel, data, tenant_id, boundary, meta)
            return service.publish(event, None, None, False)
        return service.publish(channel, data, event_type, False)

    async def publish_event(
        self,
        event_type: str | Event,
        channel: str | None = None,
        data: object = None,
        *,
        tenant_id: str | None = None,
        boundary: str | None = None,
        meta: dict[str, Any] | None = None,
    ) -> str:
        """Publish, and return the id the bus gave the event.

        Waits until the bus has the event, at most `publish_timeout`, and lets
        the subscribers of this event loop catch up. On `memory://`, while
        there are subscriptions made by `create_subscription`, it returns when
        the resolvers it caused have answered, at most `publish_timeout` later.

        Args:
            event_type: what happened, `"orderUpdated"`; or an `Event`, alone.
            channel: where.
            data: a dict of JSON values, converted before anything is awaited.
            tenant_id: the tenant it belongs to: nobody else gets it.
            boundary: the subgraph it belongs to: likewise.
            meta: what travels along, such as `{"traceparent": ...}`.

        Raises:
            PublishTimeout: not taken in time.
            BusError: the bus refused it.
            TypeError, ValueError: the data is not JSON; nothing was published.
            ClosedError: the manager was stopped.
        """
        service = self._service()
        waits = service.n_feeds > 0 and not Service.is_inside()
        if has_envelope(tenant_id, boundary, meta):
            event_type = make_event(event_type, channel, data, tenant_id, boundary, meta)
            channel = data = None
        if isinstance(event_type, Event):
            if channel is not None or data is not None:
                raise TypeError("an Event is published alone")
            outcome = service.offer(event_type, None, None, waits)
        else:
            if channel is None or data is None:
                raise TypeError("publish_event needs event_type, channel and data, or an Event")
            outcome = service.offer(channel, data, event_type, waits)
        event_id = outcome if isinstance(outcome, str) else await self._complete(outcome)
        await self._catch_up()
        return event_id

    async def publish_events(self, events: Iterable[Event]) -> list[str]:
        """Publish many events, in their order, and return their ids.

        The way to publish fast: they travel together, and one answer wakes this
        task, where `publish_event` costs a wake-up for each. The bus is given
        them as it has room, and each may take it `publish_timeout`. Unlike
        `publish_event` it waits for no resolvers.

        Raises:
            TypeError, ValueError: one is no `Event`, or too long; nothing was
                published.
            PublishTimeout: one was not taken in time.
            BusError: the bus refused one.
            ClosedError: the manager was stopped.
                All three tell by `ids` which events the bus has. Those that were
                under way with the one that failed may be among them, or may come
                to be, as the message says; further ones were not given to it.

        Example:
            ids = await manager.publish_events(
                [Event("orderUpdated", "orders", {"id": n}) for n in range(1000)])
        """
        timeout = self._runtime.publish_timeout
        try:
            ids = await publish_events(
                self._service(), tuple(events), lambda room: self._await_room(room, timeout)
            )
        except PublishTimeout as error:
            error.timeout = timeout
            raise
        await self._catch_up()
        return ids

    async def _catch_up(self) -> None:
        """Let the subscribers of this loop have what they were sent."""
        for _ in range(_TURNS_MAX):
            if not Service.is_behind():
                break
            await asyncio.sleep(0)

    async def _publish_at_once(self, event: Event) -> str:
        """Publish as `publish_event`, without waiting for room.

        Raises:
            QueueFull: there is none.
        """
        outcome = self._service().offer(event, None, None, False)
        if isinstance(outcome, str):
            return outcome
        if outcome.send() is not None:
            raise QueueFull("too many events wait for the bus")
        return await self._complete(outcome)

    async def _await_room(self, room: asyncio.Future[Any], left: float) -> None:
        """Wait until the door has room, `left` seconds at most."""
        await asyncio.wait([room], timeout=left)
        if not room.done():
            raise PublishTimeout(
                "the bus did not take the event in time", timeout=self._runtime.publish_timeout
            )
        room.result()

    async def _complete(self, publication: Publication) -> str:
        """Wait for room and for what the event causes."""
        timeout = self._runtime.publish_timeout
        deadline = time.monotonic() + timeout
        while (room := publication.send()) is not None:
            await self._await_room(room, deadline - time.monotonic())
        if publication.id is not None:
            if publication.done is not None:
                await asyncio.wait([publication.done], timeout=timeout)
            return publication.id
        assert publication.done is not None
        try:
            event_id = await publication.done
        except PublishTimeout as error:
            error.timeout = timeout
            raise
        assert event_id is not None
        return event_id

    # -- subscriptions of the application -----------------------------------

    def subscribe(
        self,
        query: str,
        *,
        variables: dict[str, Any] | None = None,
        security: SecurityContext | dict[str, Any] | None = None,
        operation_name: str | None = None,
        after: str | None = None,
    ) -> PayloadStream:
        """Subscribe as a client does, in this event loop.

        Returns an async iterator of results, dicts such as `{"data": {...}}`,
        live from now on, or from when the bus is connected for the first
        time. Resolvers run in this loop.

            async for result in manager.subscribe("subscription { tick { n } }"):
                print(result["data"])

        Args:
            query: the document.
            variables: of the operation.
            security: who it is for; None: a client that nobody authenticated.
            operation_name: which of the document's operations.
            after: a position (`PayloadStream.position`, `EventBus.position()`):
                what came behind it is given first. The iterator raises
                `PositionLost` where the history does not reach back.

        Raises:
            TypeError, ValueError: an argument cannot be one. What else is
                wrong with the request is raised by the iterator.
            ConfigError: no event loop runs here.
            ClosedError: the manager was stopped.
        """
        stream = self._service().stream(
            str(next(_stream_ids)), query, operation_name, variables, security, after
        )
        return PayloadStream(stream, after)

    async def create_subscription(
        self,
        subscription_id: str,
        connection_id: str,
        query: str,
        operation_name: str | None,
        variables: dict[str, Any] | None,
        resolver_fn: Callable[..., Any] | None,
        user_id: str | None,
        tenant_id: str | None,
        *,
        channels: Iterable[str] | None = None,
        security: SecurityContext | None = None,
        returns: Returns = "field",
    ) -> None:
        """Start a subscription that this application reads itself, with
        `get_next_event`; its resolver runs in this event loop.

        Arguments and exceptions are those of
        `SubscriptionExecutor.register_subscription`.

        Args:
            security: who it is for; None: one with `user_id` and `tenant_id`,
                which otherwise must be None or the same.
        """
        self._service()
        self._executor._register(
            _call,
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

    async def get_next_event(self, subscription_id: str) -> bytes | None:
        """The oldest message waiting, serialised whole; None: there is none.

        Raises:
            UnknownSubscription: no such subscription.
            ClosedError: the manager was stopped.
        """
        return self._executor.next_event(subscription_id)

    async def complete_subscription(self, subscription_id: str) -> None:
        """End a subscription made by `create_subscription`.

        Raises:
            UnknownSubscription: no such subscription.
            ClosedError: the manager was stopped.
        """
        self._executor.complete_subscription(subscription_id)

    @property
    def executor(self) -> SubscriptionExecutor:
        """The same engine, for callers without an event loop."""
        return self._executor

    # -- numbers ------------------------------------------------------------

    @property
    def event_bus_config(self) -> EventBusConfig | EventBus:
        """The bus, as it was given."""
        return self._runtime.bus

    def get_metrics(self) -> Metrics:
        """What was counted; a snapshot that stops nobody."""
        return self._service().metrics()

    def subscriber_count(self, channel: str | None = None) -> int:
        """Subscriptions that listen on `channel`; None: all there are."""
        if not self._runtime.is_running:
            return 0
        service = self._service()
        if channel is None:
            return service.metrics()["subscriptions_active"]
        return service.count(channel)

    # -- life ---------------------------------------------------------------

    def _prepare(self) -> None:
        """Before each start; for the default app."""

    def _service(self) -> Service:
        if self._runtime.is_running:
            return self._runtime.service()
        self._prepare()
        service = self._runtime.service()
        self._forget_service()
        return service

    def _forget_service(self) -> None:
        """The next connection asks for the service anew."""
        for app in self._apps:
            app.service = None

    def _after_fork(self) -> None:
        self._n_entered = 0
        self._has_connected = False
        self._forget_service()

    async def __aenter__(self) -> Self:
        if self._n_entered == 0:
            self._prepare()
            self._runtime.start()
            if self._runtime.connects:
                await self._connect()
            else:
                _workers.warn_of_several()
            self._forget_service()
            self._watch_sigterm()
        self._n_entered += 1
        return self

    async def _connect(self) -> None:
        """Wait for the bus; without it there is no start if it is required."""
        try:
            await self._runtime.connecting()
            self._has_connected = True
        except BusError as error:
            if not self._bus_required:
                _logger.warning("%s; starting without it", error)
                return
            await self.aclose()
            raise
        except BaseException:
            await self.aclose()
            raise

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._n_entered > 0:
            self._n_entered -= 1
            if self._n_entered == 0:
                await self.aclose()

    async def aclose(self) -> None:
        """Stop: connections close with 1012, which clients take as a reason to
        come back, within `shutdown_timeout`; then resolvers are cancelled,
        sources closed, and hooks waited for.

        Harmless twice. `async with` and the server's lifespan start it again.
        """
        self._n_entered = 0
        self._has_connected = False
        ends = time.monotonic() + self._shutdown_timeout
        tasks: list[asyncio.Future[Any]] = []
        try:
            await self._drain()
        finally:
            _sigterm.unwatch(self)
            if self._runtime.is_running:
                tasks = self._runtime.service().cancel_tasks()
            self._runtime.stop()
        hooks = self._runtime.hooks.running()
        waited = {*tasks, *hooks} - {asyncio.current_task()}
        if not waited:
            return
        timeout = max(_STOP_TIMEOUT_MIN, ends - time.monotonic())
        _, late = await asyncio.wait(waited, timeout=timeout)
        for task in late.intersection(hooks):
            _logger.warning("a hook had not ended %g s after the stop: %r", timeout, task)
            task.cancel()

    async def _drain(self) -> bool:
        """Let nobody in any more, and close connections; the rest goes on.
        False: there were none."""
        if self._shutdown_timeout == 0 or not self._runtime.is_running:
            return False
        try:
            service = self._runtime.service()
            is_used = service.metrics()["connections_active"] > 0
            drain = service.drain(*CLOSE_RESTART, self._shutdown_timeout)
        except (ClosedError, ConfigError):  # meanwhile; a loop that cannot be told
            return False
        n_left = await drain
        if n_left:
            _logger.warning(
                "%d connections had not gone %g s after they were asked to",
                n_left,
                self._shutdown_timeout,
            )
        return is_used

    def _watch_sigterm(self) -> None:
        if self._shutdown_timeout > 0:
            _sigterm.watch(self)

    @contextlib.asynccontextmanager
    async def lifespan(self, app: object = None) -> AsyncIterator[None]:
        """For a parent that mounts it: `Starlette(lifespan=manager.lifespan)`."""
        async with self:
            yield

    # -- ASGI ---------------------------------------------------------------

    def _make_app(self, path: str | None) -> ASGIApp:
        def serve_http(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
            try:
                self._prepare()
                return routes(scope, receive, send)
            except FraiseQLError as error:
                _logger.error("%s", _one_line(error))
                text = "The service is not available; try again later."
                return send_text(scope, send, 503, text, [(b"retry-after", b"1")])

        app = ASGIApp(
            start=self._start_for_connection,
            http=serve_http,
            lifespan=self._serve_lifespan,
            path=path,
        )
        routes = self._make_routes(app)
        self._apps.append(app)
        return app

    def _make_routes(self, app: ASGIApp) -> Routes:
        """What is served over http, at and below the place of `app`."""
        routes = Routes(app.subpath, is_anywhere=app.path is None, service=self._service)

        shared = self._shared_streams

        def answer(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
            return HttpStream(app.service, scope, receive, send, start=self._start_for_connection)

        def get(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
            if scope["method"] == "GET" and shared.is_meant(scope):
                return shared.stream(scope, receive, send)
            if not wants_answer(scope):
                return upgrade_required(scope, receive, send)
            return answer(scope, receive, send)

        def post(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
            if shared.is_meant(scope):
                return shared.operate(scope, receive, send)
            return answer(scope, receive, send)

        routes.add("", "GET", get)
        routes.add("", "POST", post)
        routes.add("", "PUT", shared.reserve)
        routes.add("", "DELETE", shared.stop)
        self._graphiql.add_to(routes)
        routes.add("/publish", "POST", PublishEndpoint(self, lambda: self._publish_token))
        return routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    def _make_in_own_loop(self, factory: Callable[..., Any], scope: object) -> Any:
        """What `factory(self)` makes in the loop of our own thread."""
        self._service()
        return self._executor._open_in_own_loop(lambda: factory(self, scope=scope))

    async def _start_for_connection(self) -> Service:
        """For the first connections. Not before them: granian's loop runs again
        between the lifespan's startup and its connections."""
        try:
            if self._runtime.connects and not self._has_connected and self._n_entered == 0:
                await self._connect_at_first_use()
            service = self._service()
        except ClosedError:
            raise
        except FraiseQLError as error:
            _logger.error("%s", _one_line(error))
            raise
        if not self._runtime.connects:
            _workers.warn_of_several()
        self._watch_sigterm()
        for app in self._apps:
            app.service = service
        return service

    async def _connect_at_first_use(self) -> None:
        """Give the bus a moment to connect; who subscribes is told if it has not."""
        self._prepare()
        self._runtime.service()
        try:
            await self._runtime.connecting()
            self._has_connected = True
        except BusError as error:
            _logger.error("%s; subscriptions are refused until it is back", error)

    async def _serve_lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self.__aenter__()
        except Exception as error:
            await send({"type": "lifespan.startup.failed", "message": _one_line(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        try:
            await receive()
        finally:
            await self.aclose()
        await send({"type": "lifespan.shutdown.complete"})

    def attach(self, app: Any, path: str = "/graphql") -> None:
        """Serve at `path` of a FastAPI or Starlette application.

        Adds one route for `path` and all below, http and WebSocket, and chains
        the lifespan: the manager starts before the application's own and
        stops after it.

        Raises:
            TypeError: another kind of application; mount the manager there.
            ConfigError: the path cannot be one.
        """
        if not isinstance(path, str) or not path.startswith("/") or path.rstrip("/") == "":
            raise ConfigError(
                f'path must be like "/graphql", not {path!r}; at "/" the manager is the '
                "application itself",
                setting="path",
            )
        if not hasattr(getattr(app, "router", None), "lifespan_context"):
            raise TypeError(
                "attach takes a FastAPI or Starlette application, "
                f"not {type(app).__name__}; a manager is an ASGI application: mount it"
            )
        from fraiseql_asgi import _starlette

        _starlette.attach(app, self, self._make_app(path))


def _call(open_feed: Callable[[], Any]) -> Any:
    return open_feed()


def _one_line(error: Exception) -> str:
    """What a server prints when the start fails."""
    text = " ".join(str(error).split())
    if not isinstance(error, FraiseQLError):
        text = f"{type(error).__name__}: {text}"
    return f"fraiseql_asgi cannot start: {text}"
