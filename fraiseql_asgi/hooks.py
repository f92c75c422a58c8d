# SPDX-License-Identifier: MIT
"""What an application is told of its connections and their operations."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, TypeAlias, TypeVar

from fraiseql_asgi import _core
from fraiseql_asgi.authentication import takes
from fraiseql_asgi.errors import ConfigError, RateLimited, SecurityError

__all__ = ["Connection", "Hook", "HookT", "Hooks", "Operation"]

_logger = logging.getLogger("fraiseql_asgi")

#: `(connection)` or `(connection, operation)`, sync or async.
Hook: TypeAlias = Callable[..., Any]
HookT = TypeVar("HookT", bound=Callable[..., Any])

#: Parameters of each hook.
_N_PARAMS = {"on_connect": 1, "on_disconnect": 1, "on_subscribe": 2, "on_complete": 2}


class Connection:
    """A client that was let in, the same object for all its hooks."""

    __slots__ = ("_operations", "connection_id", "connection_params", "scope", "security")

    def __init__(
        self,
        connection_id: str,
        security: _core.SecurityContext,
        connection_params: Mapping[str, Any] | None,
        scope: MutableMapping[str, Any] | None,
    ) -> None:
        #: What tells it from others.
        self.connection_id = connection_id
        #: Who it is, as of now: a `ping` may bring a new authorization.
        self.security = security
        #: The payload of `connection_init`, or None.
        self.connection_params = connection_params
        #: The ASGI scope, or None.
        self.scope = scope
        self._operations: dict[int, Operation] = {}

    def __repr__(self) -> str:
        return f"<Connection {self.connection_id} of {self.security.user_id!r}>"


class Operation:
    """What a client asked for in one `subscribe`."""

    __slots__ = ("extensions", "operation_name", "query", "subscription_id", "variables")

    def __init__(
        self,
        subscription_id: str,
        query: str,
        operation_name: str | None,
        variables: dict[str, Any] | None,
        extensions: dict[str, Any] | None,
    ) -> None:
        #: The id the client chose.
        self.subscription_id = subscription_id
        self.query = query
        self.operation_name = operation_name
        #: As they came.
        self.variables = variables
        self.extensions = extensions

    def __repr__(self) -> str:
        return f"<Operation {self.subscription_id!r}>"


class Hooks:
    """The hooks of a manager. Called by the engine in the connection's loop,
    in a copy of its context variables; no method but `subscribe` raises.
    """

    def __init__(self) -> None:
        self._hooks: dict[str, Hook] = {}
        self._tasks: set[asyncio.Future[Any]] = set()
        self.gate = _core.Resolver(self.subscribe, "on_subscribe", 2, is_handler=True)

    def set(self, name: str, hook: object) -> None:
        """Take a hook.

        Raises:
            ConfigError: it cannot be called as it will be, or there is one.
            TypeError: it cannot be called at all.
        """
        if not callable(hook):
            raise TypeError(f"{name} must be callable, not {type(hook).__name__}")
        if name in self._hooks:
            raise ConfigError(f"there is an {name} already", setting=name)
        if not takes(hook, _N_PARAMS[name]):
            parameters = ("connection", "connection, operation")[_N_PARAMS[name] - 1]
            raise ConfigError(f"{name} is called with ({parameters})", setting=name)
        self._hooks[name] = hook

    @property
    def is_used(self) -> bool:
        return bool(self._hooks)

    @property
    def has_gate(self) -> bool:
        """Whether operations are asked about."""
        return "on_subscribe" in self._hooks or "on_complete" in self._hooks

    # -- called by the engine -------------------------------------------------

    def connected(
        self,
        connection_id: str,
        security: _core.SecurityContext | None,
        params: Mapping[str, Any] | None,
        scope: MutableMapping[str, Any] | None,
    ) -> Connection:
        connection = Connection(
            connection_id, security or _core.SecurityContext("anonymous"), params, scope
        )
        self._run("on_connect", connection)
        return connection

    def renewed(self, connection: Connection, security: _core.SecurityContext) -> None:
        connection.security = security

    def subscribe(self, payload: dict[str, Any], connection: Connection) -> Any:
        """None lets the operation in; a list of errors does not."""
        key = payload["key"]
        operation = Operation(
            payload["id"],
            payload["query"],
            payload["operationName"],
            payload["variables"],
            payload["extensions"],
        )
        hook = self._hooks.get("on_subscribe")
        ask: Callable[[], Any] = _allow
        if hook is not None:
            ask = functools.partial(hook, connection, operation)
        # Called in its task: one that is cancelled before it runs has not been asked.
        if inspect.iscoroutinefunction(hook):
            return self._subscribe_later(ask, connection, key, operation)
        try:
            result = ask()
        except (SecurityError, RateLimited) as error:
            return _refusal(error)
        if inspect.isawaitable(result):
            return self._subscribe_later(lambda: result, connection, key, operation)
        connection._operations[key] = operation
        return None

    async def _subscribe_later(
        self,
        ask: Callable[[], Awaitable[Any]],
        connection: Connection,
        key: int,
        operation: Operation,
    ) -> Any:
        try:
            await ask()
        except (SecurityError, RateLimited) as error:
            return _refusal(error)
        connection._operations[key] = operation
        return None

    def completed(self, connection: Connection, key: int) -> None:
        operation = connection._operations.pop(key, None)
        if operation is not None:
            self._run("on_complete", connection, operation)

    def disconnected(self, connection: Connection) -> None:
        operations, connection._operations = connection._operations, {}
        for operation in operations.values():
            self._run("on_complete", connection, operation)
        self._run("on_disconnect", connection)

    def running(self) -> list[asyncio.Future[Any]]:
        """Those that run in this loop."""
        loop = asyncio.get_running_loop()
        return [task for task in self._tasks if task.get_loop() is loop]

    # -- running ---------------------------------------------------------------

    def _run(self, name: str, *args: Any) -> None:
        hook = self._hooks.get(name)
        if hook is None:
            return
        try:
            result = hook(*args)
            if inspect.isawaitable(result):
                task = asyncio.ensure_future(_log_failure(name, result))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        except Exception:
            _logger.exception("the hook %s raised", name)


def _allow() -> None:
    """What stands for a hook that there is not."""


async def _log_failure(name: str, awaitable: Awaitable[Any]) -> None:
    try:
        await awaitable
    except Exception:
        _logger.exception("the hook %s raised", name)


def _refusal(error: SecurityError | RateLimited) -> list[dict[str, Any]]:
    code = "FORBIDDEN" if isinstance(error, SecurityError) else "RATE_LIMITED"
    return [{"message": str(error), "extensions": {"code": code}}]
