# SPDX-License-Identifier: MIT
"""A hand-written ASGI server for one connection, and loops to run it in."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import inspect
import json
import os
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from fraiseql_asgi import _core

Message = dict[str, Any]

#: Longest wait for anything that is expected to happen.
DEADLINE = 10.0

SUBPROTOCOL = "graphql-transport-ws"

#: What a connection leaves behind when it leaves something behind.
OURS = (_core.WebSocket, _core.HttpStream, _core.LoopMailbox, _core.Waker)


def new_service(**limits: Any) -> _core.Service:
    """A service on a bus of its own with a short history, so that what is left
    behind can be counted; `limits` replace the defaults."""
    return _core.Service(
        bus=_core.EventBus("memory", {"history_events": 8}),
        limits={**_core.Service.default_limits(), **limits},
        resolver_timeout=30.0,
        publish_timeout=5.0,
        debug=False,
        has_init_hook=False,
    )


def publish(service: _core.Service, data: dict[str, Any], channel: str = "tick") -> None:
    service.publish(channel, data, channel, False)


class Connection:
    """One WebSocket as an ASGI server serves it: a task, a queue each way.

    `send` and `receive` wrap what the application is given, as middleware
    does.
    """

    def __init__(
        self,
        app: Callable[..., Awaitable[Any]],
        *,
        path: str = "/",
        root_path: str = "",
        subprotocols: list[str] | None = None,
        send: Callable[[Any], Any] | None = None,
        receive: Callable[[Any], Any] | None = None,
    ) -> None:
        self.incoming: asyncio.Queue[Message] = asyncio.Queue()
        self.outgoing: asyncio.Queue[Message] = asyncio.Queue()
        #: Cleared: send() waits, as for a client that does not read.
        self.writable = asyncio.Event()
        self.writable.set()
        self.n_sending = 0
        #: Of the CancelledError that the application ended with.
        self.cancelled_args: tuple[Any, ...] | None = None
        self.scope: dict[str, Any] = {
            "type": "websocket",
            "path": path,
            "root_path": root_path,
            "headers": [],
            "subprotocols": [SUBPROTOCOL] if subprotocols is None else subprotocols,
        }
        self.incoming.put_nowait({"type": "websocket.connect"})
        app_send = send(self._send) if send else self._send
        app_receive = receive(self._receive) if receive else self._receive
        self.task: asyncio.Task[Any] = asyncio.ensure_future(
            self._serve(app, app_receive, app_send)
        )

    async def _serve(self, app: Any, receive: Any, send: Any) -> Any:
        try:
            return await app(self.scope, receive, send)
        except asyncio.CancelledError as error:
            # Until 3.11 a task tells its waiters another one.
            self.cancelled_args = error.args
            raise

    async def _receive(self) -> Message:
        return await self.incoming.get()

    async def _send(self, message: Message) -> None:
        self.n_sending += 1
        try:
            await self.writable.wait()
            self.outgoing.put_nowait(message)
        finally:
            self.n_sending -= 1

    def write(self, message: Any) -> None:
        """The client sends `message`: a str or bytes as it is, all else as JSON."""
        kind = "bytes" if isinstance(message, bytes) else "text"
        if not isinstance(message, (str, bytes)):
            message = json.dumps(message)
        self.incoming.put_nowait({"type": "websocket.receive", kind: message})

    async def next(self) -> Message:
        """The next ASGI message the application sends."""
        return await asyncio.wait_for(self.outgoing.get(), DEADLINE)

    async def read(self) -> Any:
        """The next text the application sends, as the object it is."""
        message = await self.next()
        assert message["type"] == "websocket.send", message
        return json.loads(message["text"])

    async def accepted(self) -> Connection:
        message = await self.next()
        assert message == {"type": "websocket.accept", "subprotocol": SUBPROTOCOL}
        return self

    async def ready(self) -> Connection:
        """After the handshake and connection_ack."""
        await self.accepted()
        self.write({"type": "connection_init"})
        assert await self.read() == {"type": "connection_ack"}
        return self

    async def subscribed(self, query: str = "subscription { tick { n } }") -> Connection:
        """After a subscription with the id "1" has begun."""
        await self.ready()
        self.write({"type": "subscribe", "id": "1", "payload": {"query": query}})
        self.write({"type": "ping"})
        assert await self.read() == {"type": "pong"}
        return self

    async def read_ticks(self, n: int) -> list[int]:
        return [(await self.read())["payload"]["data"]["tick"]["n"] for _ in range(n)]

    def disconnect(self, code: int = 1000) -> None:
        """The client leaves."""
        self.incoming.put_nowait({"type": "websocket.disconnect", "code": code})

    async def ended(self) -> Any:
        """What the application returned."""
        return await asyncio.wait_for(asyncio.shield(self.task), DEADLINE)

    async def left(self) -> None:
        """Leave, and wait for the end."""
        self.disconnect()
        assert await self.ended() is None


class Request:
    """One http request as an ASGI server serves it.

    `body` is sent in one piece, if it is a str, bytes or JSON; None leaves it
    to `write`.
    """

    def __init__(
        self,
        app: Callable[..., Awaitable[Any]],
        body: Any = None,
        *,
        method: str = "POST",
        path: str = "/",
        query: str = "",
        accept: str | None = None,
        headers: dict[str, str] | None = None,
        send: Callable[[Any], Any] | None = None,
        receive: Callable[[Any], Any] | None = None,
    ) -> None:
        self.incoming: asyncio.Queue[Message] = asyncio.Queue()
        self.outgoing: asyncio.Queue[Message] = asyncio.Queue()
        #: Cleared: send() waits, as for a client that does not read.
        self.writable = asyncio.Event()
        self.writable.set()
        given = {"content-type": "application/json"} if method == "POST" else {}
        if accept is not None:
            given["accept"] = accept
        given |= headers or {}
        self.scope: dict[str, Any] = {
            "type": "http",
            "method": method,
            "path": path,
            "root_path": "",
            "query_string": query.encode(),
            "headers": [
                (name.encode(), value.encode("latin-1"))
                for name, value in given.items()
                if value != ""
            ],
        }
        #: Of the response: its status, its headers, and what is not read yet.
        self.status = 0
        self.headers: dict[str, str] = {}
        self._text = ""
        self.is_whole = False
        #: Of the events read, what EventSource would send when it reconnects.
        self.last_event_id: str | None = None
        if body is not None or method != "POST":
            self.write(b"" if body is None else body)
        self.task: asyncio.Task[Any] = asyncio.ensure_future(
            app(
                self.scope,
                receive(self._receive) if receive else self._receive,
                send(self._send) if send else self._send,
            )
        )

    async def _receive(self) -> Message:
        return await self.incoming.get()

    async def _send(self, message: Message) -> None:
        await self.writable.wait()
        self.outgoing.put_nowait(message)

    def write(self, body: Any, more: bool = False) -> None:
        """The client sends `body`, or a piece of it."""
        if isinstance(body, str):
            body = body.encode()
        elif not isinstance(body, bytes):
            body = json.dumps(body).encode()
        self.incoming.put_nowait({"type": "http.request", "body": body, "more_body": more})

    def disconnect(self) -> None:
        self.incoming.put_nowait({"type": "http.disconnect"})

    async def next(self) -> Message:
        """The next ASGI message the application sends."""
        return await asyncio.wait_for(self.outgoing.get(), DEADLINE)

    async def started(self) -> Request:
        """After the head of the response."""
        message = await self.next()
        assert message["type"] == "http.response.start", message
        self.status = message["status"]
        self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        return self

    async def chunk(self) -> str:
        """The next piece of content."""
        message = await self.next()
        assert message["type"] == "http.response.body", message
        assert not self.is_whole
        self.is_whole = not message.get("more_body", False)
        content: bytes = message.get("body", b"")
        return content.decode()

    async def read_until(self, end: str) -> str:
        """Content up to and with `end`."""
        while end not in self._text:
            assert not self.is_whole, f"the end has come: {self._text!r}"
            self._text += await self.chunk()
        found, _, self._text = self._text.partition(end)
        return found + end

    async def rest(self) -> str:
        """Content to its end, and the end of the application."""
        while not self.is_whole:
            self._text += await self.chunk()
        await self.ended()
        text, self._text = self._text, ""
        return text

    async def answer(self) -> tuple[int, Any]:
        """Status and JSON of an answer in one piece."""
        await self.started()
        text = await self.rest()
        assert int(self.headers["content-length"]) == len(text.encode())
        return self.status, json.loads(text)

    async def event(self) -> tuple[str, Any]:
        """The next event of a stream, its name and what its data is."""
        lines = (await self.read_until("\n\n")).split("\n")
        if lines[0].startswith(":"):
            return await self.event()
        for line in [line for line in lines if line.startswith("id:")]:
            self.last_event_id = line[3:].strip()
            lines.remove(line)
        name, data = lines[0], lines[1]
        assert (name[:7], data[:6]) == ("event: ", "data: ")
        return name[7:], json.loads(data[6:]) if len(data) > 6 else None

    async def ended(self) -> Any:
        """What the application returned."""
        return await asyncio.wait_for(asyncio.shield(self.task), DEADLINE)

    async def left(self) -> None:
        """Leave, and wait for the end."""
        self.disconnect()
        assert await self.ended() is None


async def until(condition: Callable[[], bool]) -> None:
    """Wait for `condition`, which nothing announces."""
    deadline = asyncio.get_running_loop().time() + DEADLINE
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "the deadline has passed"
        await asyncio.sleep(0.001)


async def until_unused(service: _core.Service) -> None:
    """Wait until the engine has forgotten all connections."""
    await until(lambda: service.metrics()["connections_active"] == 0)
    assert service.metrics()["subscriptions_active"] == 0


@functools.cache
def warm_up() -> None:
    """libuv opens a pipe for signals once, and keeps it; so does uvloop's own,
    which also keeps a spare descriptor."""
    new_service().close(1012, "")
    with contextlib.suppress(ImportError):
        import uvloop

        uvloop.new_event_loop().close()
    gc.collect()


def n_descriptors() -> int:
    warm_up()
    return len(os.listdir("/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"))


def ours() -> list[object]:
    """Objects of a connection that are alive."""
    return [each for each in gc.get_objects() if isinstance(each, OURS)]


def new_loop(kind: str) -> asyncio.AbstractEventLoop:
    if kind == "uvloop":
        return pytest.importorskip("uvloop").new_event_loop()
    return asyncio.SelectorEventLoop()


def run_in(loop: asyncio.AbstractEventLoop, main: Coroutine[Any, Any, Any]) -> Any:
    """What `asyncio.run` does, with a loop given; the loop is closed."""
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(main)
    finally:
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        if tasks:
            _, pending = loop.run_until_complete(asyncio.wait(tasks, timeout=DEADLINE))
            assert not pending, f"these cannot be cancelled: {pending}"
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        asyncio.set_event_loop(None)
        loop.close()


def on_both_loops(test: Callable[..., Coroutine[Any, Any, None]]) -> Any:
    """Run an async test on asyncio and on uvloop; nothing of it may be left.

    Parameters of the test come from `pytest.mark.parametrize`.
    """

    @functools.wraps(test)
    def run(loop_kind: str, **kwargs: Any) -> None:
        before = n_descriptors()
        loop = new_loop(loop_kind)
        run_in(loop, test(**kwargs))
        del loop
        gc.collect()
        assert ours() == []
        assert n_descriptors() <= before

    del run.__wrapped__  # type: ignore[attr-defined]
    parameters = [
        inspect.Parameter("loop_kind", inspect.Parameter.KEYWORD_ONLY),
        *(
            parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for parameter in inspect.signature(test).parameters.values()
        ),
    ]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return pytest.mark.parametrize("loop_kind", ["asyncio", "uvloop"])(run)
