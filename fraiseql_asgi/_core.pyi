# SPDX-License-Identifier: MIT
# The extension module, private: what users may rely on is exported by the
# package. Each part of csrc/python has a section of its own here.

import asyncio
import contextvars
import datetime as dt
from collections.abc import (
    Awaitable,
    Callable,
    Generator,
    Iterable,
    Mapping,
    MutableMapping,
)
from typing import Any, ClassVar, Final, NoReturn, final

from typing_extensions import Self

from fraiseql_asgi.types import ASGIApplication, Metrics, Receive, Scope, Send

# -- module -----------------------------------------------------------------

def n_live_blocks() -> int: ...
def fail_after(n: int, /) -> None: ...

# -- errors -----------------------------------------------------------------

def error_table() -> list[tuple[str, type[Exception], type[Exception]]]: ...
def raise_request(
    status: int, errors_json: str | None, context: dict[str, Any] = ..., /
) -> NoReturn: ...

# -- convert ----------------------------------------------------------------

def to_json(value: object, root: str = "data", max_bytes: int = 0) -> bytes: ...
def from_json(json: bytes, /) -> Any: ...

# -- graphql ----------------------------------------------------------------

def graphql_parse(document: str, /) -> list[dict[str, Any]]: ...
def graphql_validate(
    schema_sdl: str, document: str, rules: list[str] | None = None, /
) -> list[dict[str, Any]]: ...
def graphql_execute(
    schema_sdl: str | None,
    document: str,
    data: object,
    variables: dict[str, Any] | None = None,
    operation_name: str | None = None,
    /,
) -> bytes: ...

# -- graphql_probe ----------------------------------------------------------

def graphql_tokens(
    document: str, /
) -> tuple[list[tuple[str, int, int, str | None]], list[dict[str, Any]]]: ...
def graphql_syntax_errors(document: str, /) -> list[dict[str, Any]]: ...
def graphql_schema_errors(schema_sdl: str, /) -> list[dict[str, Any]]: ...
def graphql_prepare(
    schema_sdl: str | None,
    document: str,
    variables: dict[str, Any] | None = None,
    operation_name: str | None = None,
    /,
) -> object: ...
def graphql_project(plan: object, data: object, /) -> bytes: ...

# -- filter_object ----------------------------------------------------------

def filter_check(ir: Any, /) -> None: ...
def filter_decide(
    ir: Any,
    args: list[dict[str, Any]],
    contexts: list[dict[str, Any]],
    events: list[tuple[dict[str, Any], str, str, int]],
    /,
) -> str: ...

# -- graphql_message --------------------------------------------------------

@final
class GraphQLMessage:
    __hash__: ClassVar[None]  # type: ignore[assignment]
    def __new__(
        cls,
        type_: str,
        id: str | None = None,
        payload: dict[str, Any] | list[dict[str, Any]] | None = None,
    ) -> Self: ...
    @property
    def type_(self) -> str: ...
    @property
    def id(self) -> str | None: ...
    @property
    def payload(self) -> dict[str, Any] | list[dict[str, Any]] | None: ...
    @classmethod
    def from_dict(cls, message: dict[str, Any], /) -> Self: ...
    def to_dict(self) -> dict[str, Any]: ...

# -- subscription_payload ---------------------------------------------------

@final
class SubscriptionPayload:
    __hash__: ClassVar[None]  # type: ignore[assignment]
    query: str
    operation_name: str | None
    variables: dict[str, Any] | None
    extensions: dict[str, Any] | None
    def __new__(
        cls,
        query: str,
        operation_name: str | None = None,
        variables: dict[str, Any] | None = None,
        extensions: dict[str, Any] | None = None,
    ) -> Self: ...
    def to_dict(self) -> dict[str, Any]: ...

# -- event_object -----------------------------------------------------------

@final
class Event:
    def __new__(
        cls,
        event_type: str,
        channel: str,
        data: object,
        *,
        tenant_id: str | None = None,
        boundary: str | None = None,
        meta: dict[str, Any] | None = None,
    ) -> Self: ...
    @property
    def id(self) -> str | None: ...
    @property
    def created_at(self) -> dt.datetime: ...
    @property
    def event_type(self) -> str: ...
    @property
    def channel(self) -> str: ...
    @property
    def data(self) -> dict[str, Any]: ...
    @property
    def tenant_id(self) -> str | None: ...
    @property
    def boundary(self) -> str | None: ...
    @property
    def meta(self) -> dict[str, Any] | None: ...
    def to_dict(self) -> dict[str, Any]: ...

# -- security_context --------------------------------------------------------

@final
class SecurityContext:
    def __new__(
        cls,
        user_id: str | None,
        tenant_id: str | None = None,
        roles: Iterable[str] = (),
        claims: Mapping[str, Any] | None = ...,
        boundaries: Iterable[str] = (),
        expires_at: dt.datetime | float | None = None,
    ) -> Self: ...
    @classmethod
    def with_rbac(
        cls, user_id: str | None, tenant_id: str | None, requested_fields: Iterable[str]
    ) -> Self: ...
    @property
    def user_id(self) -> str | None: ...
    @property
    def tenant_id(self) -> str | None: ...
    @property
    def roles(self) -> tuple[str, ...]: ...
    @property
    def claims(self) -> dict[str, Any]: ...
    @property
    def boundaries(self) -> tuple[str, ...]: ...
    @property
    def fields(self) -> tuple[str, ...] | None: ...
    @property
    def expires_at(self) -> dt.datetime | None: ...

# -- asgi_app ---------------------------------------------------------------

class ASGIApp:
    service: Service | None
    def __init__(
        self,
        *,
        service: Service | None = None,
        start: Callable[[], Awaitable[Service]] | None = None,
        http: ASGIApplication | None = None,
        lifespan: ASGIApplication | None = None,
        path: str | None = None,
    ) -> None: ...
    @property
    def path(self) -> str | None: ...
    def subpath(self, scope: Scope, /) -> str | None: ...
    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]: ...

# -- loop_mailbox, port_object, waker, serving, websocket, http_stream --------

@final
class LoopMailbox: ...

class PortObject: ...

@final
class Waker:
    _asyncio_future_blocking: bool
    def get_loop(self) -> asyncio.AbstractEventLoop: ...
    def add_done_callback(
        self, fn: Callable[[Self], object], /, *, context: contextvars.Context | None = None
    ) -> None: ...
    def remove_done_callback(self, fn: Callable[[Self], object], /) -> int: ...
    def cancel(self, msg: object = None) -> bool: ...
    def cancelled(self) -> bool: ...
    def done(self) -> bool: ...
    def result(self) -> None: ...
    def exception(self) -> None: ...

class Serving(PortObject):
    def __await__(self) -> Generator[Any]: ...
    def send(self, value: None, /) -> Any: ...
    def throw(self, *args: Any) -> Any: ...
    def close(self) -> None: ...

@final
class WebSocket(Serving):
    def __new__(
        cls,
        service: Service | None,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        start: Callable[[], Awaitable[Service]] | None = None,
    ) -> Self: ...

@final
class HttpStream(Serving):
    def __new__(
        cls,
        service: Service | None,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        start: Callable[[], Awaitable[Service]] | None = None,
        is_shared: bool = False,
        authorization: bytes | None = None,
    ) -> Self: ...
    def start_operation(self, body: bytes, /) -> bool: ...
    def stop_operation(self, id: bytes, /) -> bool: ...
    @staticmethod
    def check_operation(body: bytes, /) -> str | None: ...

# -- transport_ws_handler -----------------------------------------------------

@final
class GraphQLTransportWSHandler(PortObject):
    def __new__(cls, manager: object, *, scope: MutableMapping[str, Any] | None = None) -> Self: ...
    def receive_text(self, text: str, /) -> None: ...
    def outgoing(self) -> list[str]: ...
    @property
    def close_code(self) -> int | None: ...
    @property
    def close_reason(self) -> str | None: ...
    def next_timeout(self) -> float | None: ...
    def tick(self) -> None: ...
    def on_ready(self, callback: Callable[[], object] | None, /) -> None: ...
    def closed(self) -> None: ...

# -- event_bus --------------------------------------------------------------

@final
class EventBus:
    def __new__(cls, bus_type: str, settings: dict[str, Any] = ...) -> Self: ...
    @property
    def bus_type(self) -> str: ...
    def publish(self, event: Event, /) -> str | None: ...
    def wait_up(self, timeout: float, /) -> None: ...
    def when_up(self, timeout: float, /) -> asyncio.Future[None]: ...
    @property
    def _settings(self) -> dict[str, Any]: ...
    def position(self) -> str: ...
    def notices(self) -> Notices | None: ...
    def close(self) -> None: ...

# -- notices_object ---------------------------------------------------------

@final
class Notices:
    def next(self) -> str | None: ...

# -- postgres_client --------------------------------------------------------

@final
class PostgresClient:
    def __new__(cls, dsn: str, timeout: float = 10.0) -> Self: ...
    @property
    def notices(self) -> list[str]: ...
    @property
    def server_version(self) -> int: ...
    def execute(
        self, sql: str, parameters: tuple[str | None, ...] = ..., /
    ) -> list[tuple[str | None, ...]]: ...
    def close(self) -> None: ...

# -- publish ----------------------------------------------------------------

@final
class Publication:
    @property
    def id(self) -> str | None: ...
    @property
    def done(self) -> asyncio.Future[str | None] | None: ...
    def send(self) -> asyncio.Future[None] | None: ...

# -- resolver, resolver_context, source --------------------------------------

@final
class SkipType: ...

#: Returned or yielded by a resolver or a source: nothing for this event.
SKIP: Final[SkipType]

@final
class Resolver:
    def __new__(
        cls,
        function: Callable[..., Any],
        name: str,
        n_params: int,
        is_source: bool = False,
        is_handler: bool = False,
        is_initial: bool = False,
        timeout: float = 0.0,
    ) -> Self: ...
    @property
    def function(self) -> Callable[..., Any]: ...
    @property
    def name(self) -> str: ...
    @property
    def n_params(self) -> int: ...
    @property
    def is_source(self) -> bool: ...
    @property
    def is_handler(self) -> bool: ...
    @property
    def is_initial(self) -> bool: ...
    @property
    def timeout(self) -> float | None: ...

@final
class ResolverContext:
    @property
    def event(self) -> Event | None: ...
    @property
    def args(self) -> dict[str, Any]: ...
    @property
    def security(self) -> SecurityContext: ...
    @property
    def state(self) -> dict[Any, Any]: ...
    @property
    def connection_params(self) -> dict[str, Any] | None: ...
    @property
    def scope(self) -> MutableMapping[str, Any] | None: ...
    @property
    def connection_id(self) -> str: ...
    @property
    def subscription_id(self) -> str: ...
    @property
    def operation_name(self) -> str | None: ...

@final
class Source:
    def give(self, value: object, /) -> None: ...
    def asked(self) -> asyncio.Future[None]: ...
    def cancel(self) -> None: ...

# -- service_schema ---------------------------------------------------------

def schema_fields(sdl: str, /) -> list[str]: ...
def schema_describe(sdl: str, /) -> tuple[str | None, dict[str, tuple[str, dict[str, Any]]]]: ...

# -- channel_functions --------------------------------------------------------

def channel_arguments(template: str, /) -> list[str]: ...
def schema_arguments(sdl: str, field: str, /) -> dict[str, tuple[str, bool]]: ...

# -- service_security ---------------------------------------------------------

def check_policy(policy: dict[str, Any], sdl: str | None, /) -> None: ...

# -- service_object, feed ----------------------------------------------------

@final
class Feed:
    def next(self) -> bytes | None: ...
    def close(self) -> None: ...

@final
class Stream(PortObject):
    @property
    def opened(self) -> asyncio.Future[str | None]: ...
    @property
    def position(self) -> str | None: ...
    def take(self) -> dict[str, Any] | tuple[int, str] | None: ...
    def wait(self) -> asyncio.Future[None]: ...
    def close(self) -> None: ...

@final
class Entrance:
    def __new__(
        cls, allowed_origins: tuple[str, ...] | None, trusted_proxies: tuple[str, ...]
    ) -> Self: ...
    def allows(self, scope: Scope, /) -> bool: ...
    def client(self, scope: Scope, /) -> str | None: ...

class Service:
    def __new__(
        cls,
        bus: EventBus,
        limits: dict[str, float],
        resolver_timeout: float,
        publish_timeout: float,
        debug: bool,
        has_init_hook: bool,
        legacy_protocol: bool = True,
    ) -> Self: ...
    @property
    def bus(self) -> EventBus: ...
    @property
    def is_open(self) -> bool: ...
    @property
    def n_feeds(self) -> int: ...
    def field_add(
        self,
        name: str,
        channels: tuple[str, ...],
        resolver: Resolver | None,
        returns: str,
        settings: dict[str, Any],
        /,
    ) -> None: ...
    def serve_schema(self, sdl: str, serve_undeclared: bool, /) -> None: ...
    def protect(self, policy: dict[str, Any], sdl: str | None, /) -> None: ...
    def execute_with(self, handler: Resolver, /) -> None: ...
    def authenticate_with(
        self, handler: Resolver, timeout: float, grace: float, code: int, /
    ) -> None: ...
    def hook_with(self, hooks: object, gate: Resolver | None, /) -> None: ...
    def live(
        self,
        user_id: str | None,
        tenant_id: str | None,
        connection_id: str | None,
        channel: str | None,
        limit: int,
        /,
    ) -> list[dict[str, Any]]: ...
    def disconnect(
        self,
        user_id: str | None,
        tenant_id: str | None,
        connection_id: str | None,
        channel: str | None,
        code: int,
        reason: str,
        everywhere: bool,
        /,
    ) -> int: ...
    def invalidate(self, where: Any, everywhere: bool, /) -> int: ...
    def ask(
        self,
        user_id: str | None,
        tenant_id: str | None,
        connection_id: str | None,
        channel: str | None,
        limit: int,
        timeout: float,
        /,
    ) -> dict[str, Any] | None: ...
    def instance_id(self) -> str: ...
    def drain(self, code: int, reason: str, window: float, /) -> asyncio.Future[int]: ...
    def introspect_with(self, handler: Resolver | None, /) -> None: ...
    def persist(self, documents: dict[str, str], only: bool, /) -> None: ...
    def publish(
        self,
        channel: str | Event,
        data: object,
        event_type: str | None,
        waits_for_calls: bool,
        /,
    ) -> str | None: ...
    def offer(
        self,
        channel: str | Event,
        data: object,
        event_type: str | None,
        waits_for_calls: bool,
        /,
    ) -> str | Publication: ...
    def offer_all(
        self, events: tuple[Event, ...], at: int, /
    ) -> tuple[int, asyncio.Future[tuple[list[str | None], Exception | None] | None]]: ...
    def feed(
        self,
        subscription_id: str,
        connection_id: str,
        query: str,
        operation_name: str | None,
        variables: dict[str, Any] | None,
        resolver: Resolver | None,
        channels: tuple[str, ...] | None,
        returns: str,
        security: SecurityContext,
        /,
    ) -> Feed: ...
    def stream(
        self,
        subscription_id: str,
        query: str,
        operation_name: str | None,
        variables: dict[str, Any] | None,
        security: SecurityContext | dict[str, Any] | None,
        after: str | None,
        /,
    ) -> Stream: ...
    def metrics(self) -> Metrics: ...
    def admit_by(self, entrance: Entrance, /) -> None: ...
    def may_ask(self, scope: Scope, /) -> bool: ...
    def cors(self, scope: Scope, /) -> list[tuple[bytes, bytes]]: ...
    def count(self, channel: str, /) -> int: ...
    def cancel_tasks(self) -> list[asyncio.Future[Any]]: ...
    def close(self, code: int, reason: str, /) -> None: ...
    @classmethod
    def is_behind(cls) -> bool: ...
    @classmethod
    def is_inside(cls) -> bool: ...
    @classmethod
    def after_fork(cls) -> None: ...
    @staticmethod
    def default_limits() -> dict[str, float]: ...
