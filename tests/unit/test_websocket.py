# SPDX-License-Identifier: MIT
"""WebSocket: one ASGI connection from the handshake to the end."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import sys
import types
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
from asgi_driver import (
    SUBPROTOCOL,
    Connection,
    Message,
    n_descriptors,
    new_loop,
    new_service,
    on_both_loops,
    ours,
    publish,
    run_in,
    until,
    until_unused,
)
from middleware import SEND_WRAPPERS

from fraiseql_asgi import _core

Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]


@contextlib.asynccontextmanager
async def serving(**limits: Any) -> AsyncIterator[tuple[_core.Service, _core.ASGIApp]]:
    """A service and its application; in the end no connection may be left."""
    service = new_service(**limits)
    try:
        yield service, _core.ASGIApp(service=service)
        await until_unused(service)
    finally:
        service.close(1012, "Service restart")


# -- handshake --------------------------------------------------------------


@pytest.mark.parametrize(
    "offered", [[SUBPROTOCOL], ["graphql-ws", SUBPROTOCOL, "x"], (SUBPROTOCOL,)]
)
@on_both_loops
async def test_our_subprotocol_is_accepted(offered: list[str]) -> None:
    async with serving() as (_, app):
        connection = Connection(app, subprotocols=offered)
        assert await connection.next() == {
            "type": "websocket.accept",
            "subprotocol": SUBPROTOCOL,
        }
        await connection.left()


@pytest.mark.parametrize(
    "offered", [[], ["graphql"], ["GraphQL-Transport-WS"], ["Graphql-WS"], None]
)
@on_both_loops
async def test_another_subprotocol_is_closed_4406(offered: list[str] | None) -> None:
    async with serving() as (service, app):
        connection = Connection(app)
        connection.scope["subprotocols"] = offered
        assert await connection.next() == {"type": "websocket.accept", "subprotocol": None}
        assert await connection.next() == {
            "type": "websocket.close",
            "code": 4406,
            "reason": "Subprotocol not acceptable",
        }
        assert await connection.ended() is None
        assert service.metrics()["connections_total"] == 0


@on_both_loops
async def test_a_scope_without_subprotocols_is_closed_4406() -> None:
    async with serving() as (_, app):
        connection = Connection(app)
        del connection.scope["subprotocols"]
        await connection.next()
        assert (await connection.next())["code"] == 4406
        await connection.ended()


@on_both_loops
async def test_a_client_that_leaves_before_the_handshake_is_no_error() -> None:
    async with serving() as (_, app):
        connection = Connection(app)
        connection.incoming.get_nowait()
        await connection.left()
        assert connection.outgoing.empty()


@on_both_loops
async def test_a_connection_begins_with_connect() -> None:
    async with serving() as (_, app):
        connection = Connection(app)
        connection.incoming.get_nowait()
        connection.write("{}")
        with pytest.raises(RuntimeError, match=r"must begin with websocket\.connect"):
            await connection.ended()


@on_both_loops
async def test_a_closed_service_refuses_the_handshake() -> None:
    service = new_service()
    app = _core.ASGIApp(service=service)
    service.close(1012, "Service restart")
    connection = Connection(app)
    assert await connection.next() == {"type": "websocket.close", "code": 1012, "reason": ""}
    assert await connection.ended() is None


@on_both_loops
async def test_the_service_may_be_started_by_the_first_connection() -> None:
    service = new_service()
    started = 0

    async def start() -> _core.Service:
        nonlocal started
        await asyncio.sleep(0.01)
        started += 1
        return service

    connection = await Connection(_core.ASGIApp(start=start)).ready()
    assert started == 1
    await connection.left()
    await until_unused(service)
    service.close(1012, "")


@on_both_loops
async def test_a_start_that_fails_is_the_servers_to_report() -> None:
    async def start() -> _core.Service:
        raise ConnectionError("no bus")

    connection = Connection(_core.ASGIApp(start=start))
    with pytest.raises(ConnectionError, match="no bus"):
        await connection.ended()
    assert connection.outgoing.empty()


@on_both_loops
async def test_a_start_must_give_a_service() -> None:
    async def start() -> Any:
        return "service"

    with pytest.raises(TypeError, match=r"start\(\) gave str, not a Service"):
        await Connection(_core.ASGIApp(start=start)).ended()


# -- traffic ----------------------------------------------------------------


@on_both_loops
async def test_events_arrive_in_order() -> None:
    async with serving() as (service, app):
        connection = await Connection(app).subscribed()
        for n in range(5000):
            publish(service, {"n": n})
        assert await connection.read_ticks(5000) == list(range(5000))
        await connection.left()


@on_both_loops
async def test_every_delivery_is_a_dict_of_its_own() -> None:
    async with serving() as (service, app):
        connection = await Connection(app).subscribed()
        publish(service, {"n": "Zoë"})
        publish(service, {"n": "Zoë"})
        first, second = await connection.next(), await connection.next()
        assert first == second
        assert first is not second
        assert first == {
            "type": "websocket.send",
            "text": '{"id":"1","type":"next","payload":{"data":{"tick":{"n":"Zoë"}}}}',
        }
        await connection.left()


@on_both_loops
async def test_binary_messages_are_read_as_text() -> None:
    async with serving() as (_, app):
        connection = await Connection(app).ready()
        connection.write(b'{"type":"ping","payload":{"a":1}}')
        assert await connection.read() == {"type": "pong", "payload": {"a": 1}}
        connection.incoming.put_nowait(
            {"type": "websocket.receive", "text": None, "bytes": bytearray(b'{"type":"ping"}')}
        )
        assert await connection.read() == {"type": "pong"}
        await connection.left()


@pytest.mark.parametrize("message", ['{"type":"\ud800"}', b'{"type":"\xff"}', b"", "", "[]"])
@on_both_loops
async def test_what_is_no_message_closes_4400(message: str | bytes) -> None:
    async with serving() as (_, app):
        connection = await Connection(app).ready()
        connection.write(message)
        assert await connection.next() == {
            "type": "websocket.close",
            "code": 4400,
            "reason": "Invalid message received",
        }
        assert await connection.ended() is None


@on_both_loops
async def test_unknown_asgi_messages_are_errors_of_the_server() -> None:
    async with serving() as (_, app):
        connection = await Connection(app).ready()
        connection.incoming.put_nowait({"type": "http.request"})
        with pytest.raises(RuntimeError, match=r"unknown message 'http\.request'"):
            await connection.ended()


@on_both_loops
async def test_many_messages_of_a_client_are_answered_in_order() -> None:
    async with serving(messages_per_second=0) as (_, app):
        connection = await Connection(app).ready()
        for n in range(5000):
            connection.write({"type": "ping", "payload": {"n": n}})
        for n in range(5000):
            assert await connection.read() == {"type": "pong", "payload": {"n": n}}
        await connection.left()


@on_both_loops
async def test_a_client_that_does_not_read_holds_nobody_else() -> None:
    async with serving() as (service, app):
        slow = await Connection(app).subscribed()
        fast = await Connection(app).subscribed()
        slow.writable.clear()
        for n in range(1000):
            publish(service, {"n": n})
        assert await fast.read_ticks(1000) == list(range(1000))
        assert slow.n_sending == 1
        assert slow.outgoing.empty()
        slow.writable.set()
        assert await slow.read_ticks(1000) == list(range(1000))
        await slow.left()
        await fast.left()


@on_both_loops
async def test_messages_are_read_while_a_send_waits() -> None:
    async with serving() as (service, app):
        connection = await Connection(app).subscribed()
        connection.writable.clear()
        publish(service, {"n": 0})
        await until(lambda: connection.n_sending == 1)
        connection.write({"type": "complete", "id": "1"})
        await until(lambda: service.metrics()["subscriptions_active"] == 0)
        connection.writable.set()
        assert await connection.read_ticks(1) == [0]
        await connection.left()


@on_both_loops
async def test_a_queue_that_overflows_closes_1013() -> None:
    async with serving(queue_max_items=16) as (service, app):
        connection = await Connection(app).subscribed()
        connection.writable.clear()
        for n in range(64):
            publish(service, {"n": n})
        await until(lambda: service.metrics()["slow_clients_closed"] == 1)
        connection.writable.set()
        message = await connection.next()
        while message["type"] == "websocket.send":
            message = await connection.next()
        assert message["type"] == "websocket.close"
        assert message["code"] == 1013
        assert await connection.ended() is None


@on_both_loops
async def test_a_close_arrives_while_receiving_is_paused() -> None:
    """The text is more than the reactor lets wait, and more than it takes."""
    async with serving() as (_, app):
        for _ in range(50):
            connection = await Connection(app).ready()
            connection.write("x" * (3 << 20))
            message = await connection.next()
            assert (message["type"], message["code"]) == ("websocket.close", 1009)
            assert await connection.ended() is None


@on_both_loops
async def test_a_server_that_never_waits_leaves_time_to_others() -> None:
    """As daphne does: whatever is sent is taken at once."""
    async with serving() as (service, app):
        turns = 0
        running = True

        async def other() -> None:
            nonlocal turns
            while running:
                turns += 1
                await asyncio.sleep(0)

        connection = await Connection(app).subscribed()
        connection.writable.clear()
        for n in range(6401):
            publish(service, {"n": n})
        await until(lambda: service.metrics()["deliveries"] == 6401)
        connection.writable.set()
        task = asyncio.ensure_future(other())
        assert await connection.read_ticks(6401) == list(range(6401))
        running = False
        await task
        assert turns >= 6400 // 64
        await connection.left()


# -- kinds of awaitables ----------------------------------------------------


class Custom:
    """An awaitable that is no coroutine."""

    def __init__(self, coroutine: Awaitable[Any]) -> None:
        self.coroutine = coroutine

    def __await__(self) -> Iterator[Any]:
        return self.coroutine.__await__()


@types.coroutine
def by_generator(coroutine: Awaitable[Any]) -> Any:
    return (yield from coroutine.__await__())


async def with_bare_yields(coroutine: Awaitable[Any]) -> Any:
    """As Starlette's TestClient does."""
    await asyncio.sleep(0)
    result = await coroutine
    await asyncio.sleep(0)
    return result


@pytest.mark.parametrize("kind", [Custom, by_generator, asyncio.ensure_future, with_bare_yields])
@on_both_loops
async def test_any_awaitable_is_driven(kind: Callable[[Any], Any]) -> None:
    async with serving() as (service, app):
        connection = await Connection(
            app,
            send=lambda send: lambda message: kind(send(message)),
            receive=lambda receive: lambda: kind(receive()),
        ).subscribed()
        for n in range(100):
            publish(service, {"n": n})
        assert await connection.read_ticks(100) == list(range(100))
        await connection.left()


@types.coroutine
def yields(value: object) -> Iterator[object]:
    yield value


@on_both_loops
async def test_foreign_yields_are_errors_where_they_are_awaited() -> None:
    async with serving() as (_, app):
        caught = []

        def wrap(send: Send) -> Send:
            async def wrapped(message: Message) -> None:
                for value in ("trio", asyncio.get_running_loop().create_future()):
                    try:
                        await yields(value)
                    except RuntimeError as error:
                        caught.append(str(error))
                await send(message)

            return wrapped

        connection = await Connection(app, send=wrap).accepted()
        assert "'trio' was yielded, which is nothing asyncio can wait for" in caught[0]
        assert "yield was used instead of yield from" in caught[1]
        await connection.left()


@on_both_loops
async def test_a_future_of_another_loop_is_an_error() -> None:
    async with serving() as (_, app):
        other = asyncio.SelectorEventLoop()
        future = other.create_future()

        def wrap(_send: Send) -> Send:
            async def wrapped(_message: Message) -> None:
                await future

            return wrapped

        connection = Connection(app, send=wrap)
        with pytest.raises(RuntimeError, match="belongs to another event loop"):
            await connection.ended()
        other.close()


@on_both_loops
async def test_what_cannot_be_awaited_is_an_error() -> None:
    async with serving() as (_, app):
        connection = Connection(app, send=lambda _: lambda message: None)
        with pytest.raises(TypeError, match="'NoneType' object can't be awaited"):
            await connection.ended()


@on_both_loops
async def test_sends_and_receives_run_in_the_connections_task() -> None:
    variable = contextvars.ContextVar("variable", default="unset")
    async with serving() as (service, app):
        seen = set()

        def look() -> None:
            seen.add((asyncio.current_task(), variable.get()))

        def wrap_send(send: Send) -> Send:
            async def wrapped(message: Message) -> None:
                look()
                await asyncio.sleep(0)
                look()
                await send(message)

            return wrapped

        def wrap_receive(receive: Receive) -> Receive:
            async def wrapped() -> Message:
                look()
                message = await receive()
                look()
                return message

            return wrapped

        variable.set("set")
        connection = await Connection(app, send=wrap_send, receive=wrap_receive).subscribed()
        variable.set("later")
        for n in range(10):
            publish(service, {"n": n})
            assert await connection.read_ticks(1) == [n]
        await connection.left()
        assert seen == {(connection.task, "set")}


# -- the end ----------------------------------------------------------------


@on_both_loops
async def test_a_client_that_leaves_while_a_send_waits_ends_the_connection() -> None:
    async with serving() as (service, app):
        connection = await Connection(app).subscribed()
        connection.writable.clear()
        for n in range(10):
            publish(service, {"n": n})
        await until(lambda: connection.n_sending == 1)
        await connection.left()
        assert connection.n_sending == 0
        assert connection.outgoing.empty()


@on_both_loops
async def test_a_service_that_closes_closes_behind_what_is_queued() -> None:
    service = new_service()
    connection = await Connection(_core.ASGIApp(service=service)).subscribed()
    publish(service, {"n": 1})
    await asyncio.to_thread(service.close, 1012, "Service restart")
    assert await connection.read_ticks(1) == [1]
    assert await connection.next() == {
        "type": "websocket.close",
        "code": 1012,
        "reason": "Service restart",
    }
    assert await connection.ended() is None


@pytest.mark.parametrize("error", [OSError, ConnectionResetError])
@on_both_loops
async def test_a_send_on_a_closed_connection_ends_cleanly(error: type[Exception]) -> None:
    """ASGI 2.4: send() raises an OSError then, receive() may say it later."""
    async with serving() as (service, app):
        connection = await Connection(app).subscribed()

        async def gone() -> None:
            raise error

        connection.writable.wait = gone  # type: ignore[assignment]
        publish(service, {"n": 0})
        assert await connection.ended() is None


@on_both_loops
async def test_a_send_that_fails_after_the_disconnect_ends_cleanly() -> None:
    """Servers before ASGI 2.4 raise what they like."""
    async with serving() as (service, app):
        connection = await Connection(app).subscribed()

        async def gone() -> None:
            connection.disconnect()
            raise RuntimeError("after websocket.close")

        connection.writable.wait = gone  # type: ignore[assignment]
        publish(service, {"n": 0})
        assert await connection.ended() is None


@on_both_loops
async def test_a_send_that_fails_otherwise_is_the_servers_to_report() -> None:
    async with serving() as (service, app):
        connection = await Connection(app).subscribed()

        async def broken() -> None:
            raise RuntimeError("broken")

        connection.writable.wait = broken  # type: ignore[assignment]
        publish(service, {"n": 0})
        with pytest.raises(RuntimeError, match="broken"):
            await connection.ended()


@on_both_loops
async def test_a_receive_that_fails_is_the_servers_to_report() -> None:
    async with serving() as (_, app):
        connection = await Connection(app).ready()
        connection.incoming.put_nowait({"type": 7})
        with pytest.raises(RuntimeError, match="unknown message 7"):
            await connection.ended()


# -- cancellation -----------------------------------------------------------


async def cancelled_with(connection: Connection, *args: Any) -> tuple[Any, ...] | None:
    """Cancel the connection; the args of the CancelledError it ends with."""
    connection.task.cancel(*args)
    await asyncio.wait([connection.task], timeout=10)
    assert connection.task.cancelled()
    with contextlib.suppress(asyncio.CancelledError):
        await connection.task  # which lets go of its exception
    return connection.cancelled_args


@on_both_loops
async def test_a_cancelled_connection_keeps_the_message() -> None:
    async with serving() as (_, app):
        connection = await Connection(app).subscribed()
        assert await cancelled_with(connection, "the server stops") == ("the server stops",)
        connection = await Connection(app).subscribed()
        assert await cancelled_with(connection) == ()


@on_both_loops
async def test_a_connection_can_be_cancelled_before_it_begins() -> None:
    async with serving() as (_, app):
        await cancelled_with(Connection(app), "m")


@on_both_loops
async def test_a_connection_can_be_cancelled_in_the_handshake() -> None:
    async with serving() as (_, app):
        connecting = Connection(app)
        connecting.incoming.get_nowait()
        await asyncio.sleep(0)
        assert await cancelled_with(connecting, "m") == ("m",)

        accepting = Connection(app)
        accepting.writable.clear()
        await until(lambda: accepting.n_sending == 1)
        assert await cancelled_with(accepting, "m") == ("m",)
        assert accepting.n_sending == 0


@on_both_loops
async def test_a_connection_can_be_cancelled_while_it_starts() -> None:
    async def start() -> _core.Service:
        await asyncio.sleep(60)
        raise AssertionError

    connection = Connection(_core.ASGIApp(start=start))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert await cancelled_with(connection, "m") == ("m",)


@on_both_loops
async def test_a_connection_can_be_cancelled_while_a_send_waits() -> None:
    async with serving() as (service, app):
        connection = await Connection(app).subscribed()
        connection.writable.clear()
        publish(service, {"n": 0})
        await until(lambda: connection.n_sending == 1)
        assert await cancelled_with(connection, "m") == ("m",)
        assert connection.n_sending == 0
        assert connection.outgoing.empty()


@on_both_loops
async def test_a_cancelled_send_may_clean_up() -> None:
    async with serving() as (service, app):
        cleaned = []

        def wrap(send: Send) -> Send:
            async def wrapped(message: Message) -> None:
                try:
                    await send(message)
                except asyncio.CancelledError:
                    await asyncio.sleep(0.01)
                    cleaned.append(True)
                    raise

            return wrapped

        connection = await Connection(app, send=wrap).subscribed()
        connection.writable.clear()
        publish(service, {"n": 0})
        await until(lambda: connection.n_sending == 1)
        assert await cancelled_with(connection, "m") == ("m",)
        assert cleaned == [True]


@on_both_loops
async def test_a_task_that_a_send_waits_for_ends_before_the_connection() -> None:
    async with serving() as (service, app):
        tasks: list[asyncio.Task[None]] = []

        def wrap(send: Send) -> Send:
            async def slowly(message: Message) -> None:
                try:
                    await send(message)
                except asyncio.CancelledError:
                    await asyncio.sleep(0.01)
                    raise

            async def wrapped(message: Message) -> None:
                tasks.append(asyncio.ensure_future(slowly(message)))
                await tasks[-1]

            return wrapped

        connection = await Connection(app, send=wrap).subscribed()
        connection.writable.clear()
        publish(service, {"n": 0})
        await until(lambda: connection.n_sending == 1)
        was_cancelled = []
        connection.task.add_done_callback(lambda _: was_cancelled.append(tasks[-1].cancelled()))
        args = await cancelled_with(connection, "m")
        # Until 3.11 a task tells its waiters no message.
        assert args == (("m",) if sys.version_info >= (3, 11) else ())
        assert was_cancelled == [True]


@on_both_loops
async def test_a_send_that_swallows_a_cancellation_goes_on() -> None:
    async with serving() as (service, app):

        def wrap(send: Send) -> Send:
            async def wrapped(message: Message) -> None:
                try:
                    await send(message)
                except asyncio.CancelledError:
                    connection.outgoing.put_nowait({"swallowed": True})

            return wrapped

        connection = await Connection(app, send=wrap).subscribed()
        connection.writable.clear()
        publish(service, {"n": 0})
        await until(lambda: connection.n_sending == 1)
        connection.task.cancel()
        assert await connection.next() == {"swallowed": True}
        connection.writable.set()
        publish(service, {"n": 1})
        assert await connection.read_ticks(1) == [1]
        connection.write({"type": "ping"})
        assert await connection.read() == {"type": "pong"}
        await connection.left()


@on_both_loops
async def test_messages_are_read_while_a_send_lingers_on_its_cancellation() -> None:
    async with serving() as (service, app):

        def wrap(send: Send) -> Send:
            async def wrapped(message: Message) -> None:
                while True:
                    try:
                        return await send(message)
                    except asyncio.CancelledError:
                        pass

            return wrapped

        connection = await Connection(app, send=wrap).subscribed()
        connection.writable.clear()
        publish(service, {"n": 0})
        await until(lambda: connection.n_sending == 1)
        connection.task.cancel()
        connection.write({"type": "complete", "id": "1"})
        await until(lambda: service.metrics()["subscriptions_active"] == 0)
        connection.writable.set()
        assert await connection.read_ticks(1) == [0]
        await connection.left()


@on_both_loops
async def test_a_receive_that_swallows_a_cancellation_goes_on() -> None:
    async with serving() as (service, app):
        swallowed = []

        def wrap(receive: Receive) -> Receive:
            async def wrapped() -> Message:
                while True:
                    try:
                        return await receive()
                    except asyncio.CancelledError:
                        if swallowed:
                            raise
                        swallowed.append(True)

            return wrapped

        connection = await Connection(app, receive=wrap).subscribed()
        connection.writable.clear()
        publish(service, {"n": 0})
        await until(lambda: connection.n_sending == 1)
        connection.task.cancel()
        await until(lambda: bool(swallowed))
        # Nothing was lost: the send was left alone.
        connection.writable.set()
        assert await connection.read_ticks(1) == [0]
        assert await cancelled_with(connection, "m") == ("m",)


@on_both_loops
async def test_a_cancellation_at_the_end_is_seen() -> None:
    """The client has left, and a send still cleans up."""
    async with serving() as (service, app):
        started = asyncio.Event()

        def wrap(send: Send) -> Send:
            async def wrapped(message: Message) -> None:
                try:
                    await send(message)
                except asyncio.CancelledError:
                    started.set()
                    await asyncio.sleep(60)

            return wrapped

        connection = await Connection(app, send=wrap).subscribed()
        connection.writable.clear()
        publish(service, {"n": 0})
        await until(lambda: connection.n_sending == 1)
        connection.disconnect()
        await started.wait()
        await until_unused(service)  # the engine has not waited
        assert not connection.task.done()
        assert await cancelled_with(connection, "m") == ("m",)


@on_both_loops
async def test_no_receive_is_pending_when_the_close_is_sent() -> None:
    """Else granian 2.8 sends no close frame."""
    async with serving() as (_, app):
        pending = 0

        def wrap_receive(receive: Receive) -> Receive:
            async def wrapped() -> Message:
                nonlocal pending
                pending += 1
                try:
                    return await receive()
                finally:
                    pending -= 1

            return wrapped

        def wrap_send(send: Send) -> Send:
            async def wrapped(message: Message) -> None:
                if message["type"] == "websocket.close":
                    message["pending"] = pending
                await send(message)

            return wrapped

        connection = await Connection(app, send=wrap_send, receive=wrap_receive).ready()
        connection.write("no message")
        message = await connection.next()
        assert (message["type"], message["pending"]) == ("websocket.close", 0)
        await connection.ended()


@on_both_loops
async def test_what_a_server_has_queued_is_taken_after_the_close() -> None:
    """Else hypercorn 0.18, whose queue has room for ten, keeps task and socket."""
    async with serving() as (_, app):
        room: asyncio.Queue[Message] = asyncio.Queue(10)

        def wrap(_: Receive) -> Receive:
            return room.get

        connection = Connection(app, receive=wrap)
        await room.put({"type": "websocket.connect"})
        await connection.accepted()

        async def flood() -> None:
            for _ in range(1000):
                await room.put({"type": "websocket.receive", "text": "no message"})
            await room.put({"type": "websocket.disconnect", "code": 1006})

        flooding = asyncio.ensure_future(flood())
        assert (await connection.next())["code"] == 4400
        assert await connection.ended() is None
        await asyncio.wait_for(flooding, 10)
        assert room.empty()


@pytest.mark.parametrize("error", [RuntimeError, asyncio.CancelledError])
@on_both_loops
async def test_a_receive_that_fails_after_the_close_is_of_no_interest(
    error: type[BaseException],
) -> None:
    async with serving() as (_, app):
        has_closed = False

        def wrap_receive(receive: Receive) -> Receive:
            async def wrapped() -> Message:
                if has_closed:
                    raise error("after websocket.close")
                return await receive()

            return wrapped

        def wrap_send(send: Send) -> Send:
            async def wrapped(message: Message) -> None:
                nonlocal has_closed
                has_closed = message["type"] == "websocket.close"
                await send(message)

            return wrapped

        connection = await Connection(app, send=wrap_send, receive=wrap_receive).ready()
        connection.write("no message")
        assert (await connection.next())["code"] == 4400
        assert await connection.ended() is None


@on_both_loops
async def test_a_receive_that_cannot_be_cancelled_holds_no_close() -> None:
    async with serving() as (_, app):
        swallowed = []

        def wrap(receive: Receive) -> Receive:
            async def wrapped() -> Message:
                while True:
                    try:
                        return await receive()
                    except asyncio.CancelledError:
                        swallowed.append(connection.outgoing.qsize())

            return wrapped

        connection = await Connection(app, receive=wrap).ready()
        connection.write("no message")
        await until(lambda: len(swallowed) == 2)
        assert swallowed == [0, 1]  # before the close and after it
        assert (await connection.next())["code"] == 4400
        connection.disconnect()
        assert await connection.ended() is None


@on_both_loops
async def test_a_connection_can_be_cancelled_while_it_leaves() -> None:
    async with serving() as (_, app):
        leaving = asyncio.Event()

        def wrap(receive: Receive) -> Receive:
            async def wrapped() -> Message:
                try:
                    return await receive()
                except asyncio.CancelledError:
                    leaving.set()
                    await asyncio.sleep(0.01)
                    raise

            return wrapped

        connection = await Connection(app, receive=wrap).ready()
        connection.writable.clear()
        connection.write("no message")
        await leaving.wait()
        assert await cancelled_with(connection, "m") == ("m",)

        connection = await Connection(app).ready()
        connection.writable.clear()
        connection.write("no message")
        await until(lambda: connection.n_sending == 1)
        assert await cancelled_with(connection, "m") == ("m",)


@on_both_loops
async def test_many_cancellations_end_once() -> None:
    async with serving() as (service, app):
        connection = await Connection(app).subscribed()
        connection.writable.clear()
        publish(service, {"n": 0})
        await until(lambda: connection.n_sending == 1)
        while not connection.task.done():
            connection.task.cancel("m")
            await asyncio.sleep(0)
        assert connection.task.cancelled()


# -- middleware -------------------------------------------------------------
# Each wraps send() in its own way, and must neither notice nor be noticed; the
# same on real servers is in tests/integration/test_middleware.py.

MIDDLEWARE = [pytest.param(wrap, id=wrap.__name__) for wrap in SEND_WRAPPERS]


@pytest.mark.parametrize("middleware", MIDDLEWARE)
@on_both_loops
async def test_middleware_delivers_in_order(middleware: Callable[[Send], Send]) -> None:
    async with serving() as (service, app):
        connection = await Connection(app, send=middleware).subscribed()
        for n in range(50):
            publish(service, {"n": n})
        assert await connection.read_ticks(50) == list(range(50))
        for n in range(50):
            publish(service, {"n": n})
            assert await connection.read_ticks(1) == [n]
        await connection.left()


@pytest.mark.parametrize("middleware", MIDDLEWARE)
@on_both_loops
async def test_middleware_is_cancelled_with_the_connection(
    middleware: Callable[[Send], Send],
) -> None:
    async with serving() as (service, app):
        connection = await Connection(app, send=middleware).subscribed()
        connection.writable.clear()
        publish(service, {"n": 0})
        await until(lambda: connection.n_sending == 1)
        connection.task.cancel("m")
        await asyncio.wait([connection.task], timeout=10)
        assert connection.task.cancelled()
        # What a shield protects goes on by itself.
        connection.writable.set()
        await until(lambda: connection.n_sending == 0)


@pytest.mark.parametrize("middleware", MIDDLEWARE)
@on_both_loops
async def test_middleware_ends_with_its_client(middleware: Callable[[Send], Send]) -> None:
    async with serving() as (service, app):
        connection = await Connection(app, send=middleware).subscribed()
        connection.writable.clear()
        publish(service, {"n": 0})
        await until(lambda: connection.n_sending == 1)
        await connection.left()
        connection.writable.set()
        await until(lambda: connection.n_sending == 0)


def swallowing(kind: str, send: Send) -> Send:
    """A timeout around send() that gives the message up, and goes on."""
    import anyio

    async def wrapped(message: Message) -> None:
        if kind == "anyio":
            with anyio.move_on_after(0.01):
                await send(message)
        elif kind == "wait_for":
            try:
                await asyncio.wait_for(send(message), 0.01)
            except asyncio.TimeoutError:
                pass
        else:
            try:
                async with asyncio.timeout(0.01):
                    await send(message)
            except TimeoutError:
                pass

    return wrapped


@pytest.mark.parametrize(
    "kind",
    [
        "anyio",
        "wait_for",
        pytest.param(
            "timeout", marks=pytest.mark.skipif(sys.version_info < (3, 11), reason="3.11")
        ),
    ],
)
@on_both_loops
async def test_a_timeout_around_send_is_the_middlewares_own(kind: str) -> None:
    async with serving() as (service, app):
        connection = await Connection(app, send=lambda send: swallowing(kind, send)).subscribed()
        for n in range(3):
            connection.writable.clear()
            publish(service, {"n": n})
            await until(lambda: connection.n_sending == 1)
            await until(lambda: connection.n_sending == 0)
            connection.writable.set()
            connection.write({"type": "ping"})
            assert await connection.read() == {"type": "pong"}
        assert connection.task.cancelling() == 0 if sys.version_info >= (3, 11) else True
        await connection.left()


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio.timeout came with 3.11")
@on_both_loops
async def test_a_timeout_around_receive_leaves_a_waiting_send_alone() -> None:
    async with serving() as (service, app):
        timeouts = []

        def wrap(receive: Receive) -> Receive:
            async def wrapped() -> Message:
                while True:
                    try:
                        async with asyncio.timeout(0.01):
                            return await receive()
                    except TimeoutError:
                        timeouts.append(True)

            return wrapped

        connection = await Connection(app, receive=wrap).subscribed()
        connection.writable.clear()
        publish(service, {"n": 0})
        await until(lambda: connection.n_sending == 1)
        timeouts.clear()
        await until(lambda: len(timeouts) >= 3)
        connection.writable.set()
        assert await connection.read_ticks(1) == [0]
        await connection.left()


# -- what is left -----------------------------------------------------------


@pytest.mark.parametrize("end", ["client", "server", "cancel", "reject", "error"])
@pytest.mark.parametrize("is_waiting", [False, True])
@on_both_loops
async def test_an_ended_connection_leaves_no_cycle(end: str, is_waiting: bool) -> None:
    """Everything goes with the last reference, without the garbage collector."""
    service = new_service()
    app = _core.ASGIApp(service=service)
    descriptors = n_descriptors()
    gc.collect()
    gc.disable()
    try:
        if end == "reject":
            connection = Connection(app, subprotocols=[])
            await connection.ended()
        else:
            connection = await Connection(app).subscribed()
            if is_waiting:
                connection.writable.clear()
                publish(service, {"n": 0})
                await until(lambda: connection.n_sending == 1)
        if end == "client":
            await connection.left()
        elif end == "server":
            await asyncio.to_thread(service.close, 1012, "")
            connection.writable.set()
            await connection.ended()
        elif end == "cancel":
            await cancelled_with(connection)
        elif end == "error":
            connection.incoming.put_nowait({"type": "unknown"})
            await asyncio.wait([connection.task], timeout=10)
            assert connection.task.exception() is not None
        connection.writable.set()
        task = weakref.ref(connection.task)
        scope = connection.scope
        scope_refs = sys.getrefcount(scope)
        connection = None  # type: ignore[assignment]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        # A traceback refers to frames; until 3.11 a cancelled task keeps one.
        is_kept = end == "error" or (end == "cancel" and sys.version_info < (3, 11))
        if not is_kept:
            assert ours() == []
            assert task() is None
            assert sys.getrefcount(scope) < scope_refs
        assert n_descriptors() <= descriptors
    finally:
        gc.enable()
        service.close(1012, "")


@pytest.mark.parametrize("loop_kind", ["asyncio", "uvloop"])
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_loop_that_closes_under_a_connection_ends_it(
    loop_kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    service = new_service()

    async def main() -> Connection:
        return await Connection(_core.ASGIApp(service=service)).subscribed()

    before = n_descriptors()
    loop = new_loop(loop_kind)
    connection = loop.run_until_complete(main())
    assert service.metrics()["connections_active"] == 1
    connection.writable.clear()
    loop.close()
    publish(service, {"n": 0})
    del connection, loop
    gc.collect()
    gc.collect()
    assert ours() == []
    assert n_descriptors() < before + 1
    run_in(new_loop(loop_kind), until_unused(service))
    service.close(1012, "")
    assert "Task was destroyed but it is pending" in caplog.text


@on_both_loops
async def test_ten_thousand_connections_leave_nothing() -> None:
    async with serving() as (service, app):
        blocks = 0
        for turn in range(20):
            connections = [await Connection(app).subscribed() for _ in range(100)]
            publish(service, {"n": turn})
            for connection in connections:
                assert await connection.read_ticks(1) == [turn]
            for index, connection in enumerate(connections):
                if index % 2:
                    connection.disconnect()
                else:
                    connection.task.cancel()
            await asyncio.wait([each.task for each in connections], timeout=30)
            del connections, connection
            await until_unused(service)
            gc.collect()
            if turn == 3:
                blocks = _core.n_live_blocks()
        assert _core.n_live_blocks() <= blocks + 50


# -- the awaitable by hand --------------------------------------------------


async def forever() -> Any:
    await asyncio.get_running_loop().create_future()


async def nothing(_message: Message) -> None:
    return None


@on_both_loops
async def test_it_can_be_awaited_once() -> None:
    async with serving() as (_, app):
        scope = {"type": "websocket", "path": "/"}
        websocket = app(scope, forever, nothing)
        websocket.close()
        websocket.close()
        with pytest.raises(RuntimeError, match="served already"):
            await websocket


@on_both_loops
async def test_it_can_be_closed_by_hand() -> None:
    async with serving() as (_, app):
        closed = []

        async def receive() -> Any:
            try:
                await forever()
            finally:
                closed.append(True)

        websocket = app({"type": "websocket", "path": "/"}, receive, nothing)
        websocket.send(None)
        websocket.close()
        assert closed == [True]


@on_both_loops
async def test_exceptions_can_be_thrown_in() -> None:
    async with serving() as (_, app):
        scope = {"type": "websocket", "path": "/"}
        with pytest.raises(KeyError, match="before"):
            app(scope, forever, nothing).throw(KeyError("before"))

        websocket = app(scope, forever, nothing)
        websocket.send(None)
        with pytest.raises(KeyError, match="during"):
            websocket.throw(KeyError, "during", None)

        websocket = app(scope, forever, nothing)
        websocket.send(None)
        with pytest.raises(TypeError, match="classes or instances"):
            websocket.throw(1)
        websocket.close()


@on_both_loops
async def test_a_step_cannot_be_taken_inside_another() -> None:
    async with serving() as (_, app):
        errors = []

        async def receive() -> Any:
            for step in (lambda: websocket.send(None), websocket.close):
                try:
                    step()
                except ValueError as error:
                    errors.append(str(error))
            return {"type": "websocket.disconnect"}

        websocket = app({"type": "websocket", "path": "/"}, receive, nothing)
        await websocket
        assert errors == ["the connection is being served"] * 2


@pytest.mark.parametrize("loop_kind", ["asyncio", "uvloop"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_in_a_send_reaches_the_loop(
    loop_kind: str, error: type[BaseException]
) -> None:
    service = new_service()
    app = _core.ASGIApp(service=service)

    async def main() -> None:
        connection = await Connection(app).subscribed()
        other = await Connection(app).subscribed()

        async def interrupted() -> None:
            raise error

        connection.writable.wait = interrupted  # type: ignore[assignment]
        publish(service, {"n": 0})
        assert await other.read_ticks(1) == [0]
        await other.ended()

    loop = new_loop(loop_kind)
    with pytest.raises(error):
        run_in(loop, main())
    service.close(1012, "")
    gc.collect()
    assert ours() == []
