# SPDX-License-Identifier: MIT
"""GraphQLTransportWSHandler: the protocol without a server."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from asgi_driver import on_both_loops, until

from fraiseql_asgi import (
    ClosedError,
    GraphQLTransportWSHandler,
    Limits,
    SecurityContext,
    SubscriptionManager,
)

INIT = '{"type":"connection_init"}'
ACK = '{"type":"connection_ack"}'


def subscribe(id_: str, query: str) -> str:
    return json.dumps({"type": "subscribe", "id": id_, "payload": {"query": query}})


def read(handler: GraphQLTransportWSHandler) -> list[Any]:
    return [json.loads(text) for text in handler.outgoing()]


@on_both_loops
async def test_answers_are_there_at_once() -> None:
    async with SubscriptionManager() as manager:
        handler = GraphQLTransportWSHandler(manager)
        assert handler.outgoing() == []
        handler.receive_text('{"type":"ping","payload":{"a":"\\ud800"}}')
        assert handler.outgoing() == ['{"type":"pong","payload":{"a":"\\ud800"}}']
        handler.receive_text(INIT)
        assert handler.outgoing() == [ACK]
        handler.receive_text(subscribe("1", "subscription { tick }"))
        assert (handler.outgoing(), manager.subscriber_count("tick")) == ([], 1)
        for n in range(3):
            manager.publish("tick", {"n": n})
        handler.tick()
        assert [m["payload"]["data"]["tick"]["n"] for m in read(handler)] == [0, 1, 2]
        handler.receive_text('{"type":"complete","id":"1"}')
        assert manager.subscriber_count("tick") == 0
        assert (handler.close_code, handler.close_reason) == (None, None)
        handler.closed()
        await until(lambda: manager.get_metrics()["connections_active"] == 0)


@on_both_loops
@pytest.mark.parametrize("kind", ["value", "coroutine", "error"])
async def test_a_resolver_may_close_its_own_connection(kind: str) -> None:
    """The last one of the loop, so that nothing of ours is left there."""
    called = asyncio.Event()

    async def later() -> None:
        await asyncio.sleep(3600)

    async with SubscriptionManager() as manager:
        handler = GraphQLTransportWSHandler(manager)

        @manager.subscription
        def tick(event: Any, variables: Any) -> Any:
            handler.closed()
            called.set()
            if kind == "error":
                raise ValueError("on the way out")
            return later() if kind == "coroutine" else event

        handler.receive_text(INIT)
        await until(lambda: handler.outgoing() == [ACK])
        handler.receive_text(subscribe("1", "subscription { tick }"))
        await until(lambda: manager.subscriber_count("tick") == 1)
        manager.publish("tick", {})
        await asyncio.wait_for(called.wait(), 5)
        await until(lambda: manager.get_metrics()["connections_active"] == 0)
        assert len(asyncio.all_tasks()) == 1


@on_both_loops
async def test_a_close_comes_behind_what_is_queued() -> None:
    async with SubscriptionManager() as manager:
        handler = GraphQLTransportWSHandler(manager)
        handler.receive_text('{"type":"ping"}')
        handler.receive_text("{")
        assert handler.close_code is None
        assert handler.outgoing() == ['{"type":"pong"}']
        assert (handler.close_code, handler.close_reason) == (4400, "Invalid message received")
        handler.receive_text(INIT)
        assert handler.outgoing() == []
        handler.closed()
        handler.closed()
        assert handler.close_code is None
        with pytest.raises(ClosedError):
            handler.receive_text(INIT)


@on_both_loops
async def test_time_goes_by() -> None:
    async with SubscriptionManager(limits=Limits(init_timeout=0.05, keep_alive=0)) as manager:
        handler = GraphQLTransportWSHandler(manager)
        timeout = handler.next_timeout()
        assert timeout is not None
        assert 0 <= timeout <= 0.05
        await asyncio.sleep(timeout + 0.02)
        handler.tick()
        await until(lambda: handler.close_code == 4408)
        handler.closed()
        other = GraphQLTransportWSHandler(manager)
        other.receive_text(INIT)
        assert other.next_timeout() is None
        other.closed()
        assert other.next_timeout() is None


@on_both_loops
async def test_news_are_told() -> None:
    async def authenticate(payload: dict[str, Any], scope: Any) -> SecurityContext:
        await asyncio.sleep(0)
        return SecurityContext(scope["user"])

    manager = SubscriptionManager(auth_handler=authenticate)

    @manager.subscription
    async def tick(event: Any, variables: Any, context: Any) -> Any:
        await asyncio.sleep(0)
        return {"n": event["n"], "user": context.scope["user"]}

    async with manager:
        handler = GraphQLTransportWSHandler(manager, scope={"user": "ann"})
        news = asyncio.Event()
        handler.on_ready(news.set)
        handler.receive_text(INIT)
        await asyncio.wait_for(news.wait(), 10)
        assert handler.outgoing() == [ACK]
        news.clear()
        handler.receive_text(subscribe("1", "subscription { tick }"))
        manager.publish("tick", {"n": 1})
        await asyncio.wait_for(news.wait(), 10)
        assert read(handler)[0]["payload"] == {"data": {"tick": {"n": 1, "user": "ann"}}}
        handler.on_ready(None)
        with pytest.raises(TypeError):
            handler.on_ready(5)  # type: ignore[arg-type]
        handler.closed()


@on_both_loops
async def test_a_callback_that_raises_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    async with SubscriptionManager() as manager:
        handler = GraphQLTransportWSHandler(manager)
        reported: list[Any] = []
        import sys

        before, sys.unraisablehook = sys.unraisablehook, reported.append
        try:
            handler.on_ready(lambda: 1 / 0)
            handler.receive_text('{"type":"ping"}')
            await until(lambda: len(reported) == 1)
        finally:
            sys.unraisablehook = before
        assert handler.outgoing() == ['{"type":"pong"}']
        handler.closed()


def test_it_needs_no_loop() -> None:
    """Handlers and resolvers run in the manager's own then."""
    threads: list[threading.Thread] = []

    async def authenticate(payload: dict[str, Any]) -> SecurityContext:
        await asyncio.sleep(0)
        threads.append(threading.current_thread())
        return SecurityContext("ann")

    manager = SubscriptionManager(auth_handler=authenticate)

    @manager.subscription
    async def tick(event: Any, variables: Any) -> Any:
        await asyncio.sleep(0)
        return event

    handler = GraphQLTransportWSHandler(manager)
    ready = threading.Event()
    handler.on_ready(ready.set)
    handler.receive_text(INIT)
    assert ready.wait(10)
    assert handler.outgoing() == [ACK]
    ready.clear()
    handler.receive_text(subscribe("1", "subscription { tick { n } }"))
    manager.publish("tick", {"n": 1})
    assert ready.wait(10)
    assert read(handler)[0]["payload"] == {"data": {"tick": {"n": 1}}}
    assert threads != [threading.main_thread()]
    handler.closed()
    asyncio.run(manager.aclose())


@on_both_loops
async def test_it_serves_a_websockets_server() -> None:
    """A server and a client that are not ours, joined in a few lines."""
    server = pytest.importorskip("websockets.asyncio.server")
    client = pytest.importorskip("websockets.asyncio.client")

    async with SubscriptionManager() as manager:

        async def serve(socket: Any) -> None:
            handler = GraphQLTransportWSHandler(manager)
            ready = asyncio.Event()
            handler.on_ready(ready.set)

            async def write() -> None:
                while handler.close_code is None:
                    await ready.wait()
                    ready.clear()
                    for text in handler.outgoing():
                        await socket.send(text)
                await socket.close(handler.close_code, handler.close_reason)

            writer = asyncio.ensure_future(write())
            try:
                async for text in socket:
                    handler.receive_text(text)
            finally:
                handler.closed()
                writer.cancel()

        async with server.serve(
            serve, "127.0.0.1", 0, subprotocols=["graphql-transport-ws"]
        ) as listening:
            port = listening.sockets[0].getsockname()[1]
            uri = f"ws://127.0.0.1:{port}/"
            async with client.connect(uri, subprotocols=["graphql-transport-ws"]) as socket:
                await socket.send(INIT)
                assert await socket.recv() == ACK
                await socket.send(subscribe("1", "subscription { tick }"))
                await until(lambda: manager.subscriber_count("tick") == 1)
                for n in range(100):
                    manager.publish("tick", {"n": n})
                got = [json.loads(await socket.recv()) for _ in range(100)]
                assert [m["payload"]["data"]["tick"]["n"] for m in got] == list(range(100))
                await socket.send(subscribe("1", "subscription { tick }"))
                with pytest.raises(Exception, match="4409"):
                    await asyncio.wait_for(socket.recv(), 10)
            await until(lambda: manager.get_metrics()["connections_active"] == 0)


@pytest.mark.parametrize("leave", [lambda handler: handler.closed(), lambda handler: None])
@on_both_loops
async def test_ten_thousand_leave_nothing(
    leave: Callable[[GraphQLTransportWSHandler], None],
) -> None:
    async with SubscriptionManager() as manager:
        for _ in range(10_000):
            handler = GraphQLTransportWSHandler(manager)
            handler.receive_text(INIT)
            leave(handler)
        del handler
        gc.collect()
        await until(lambda: manager.get_metrics()["connections_active"] == 0)
        assert not any(isinstance(o, GraphQLTransportWSHandler) for o in gc.get_objects())


async def test_wrong_arguments() -> None:
    with pytest.raises((TypeError, AttributeError)):
        GraphQLTransportWSHandler(None)
    async with SubscriptionManager() as manager:
        handler = GraphQLTransportWSHandler(manager)
        with pytest.raises(TypeError):
            handler.receive_text(b"{}")  # type: ignore[arg-type]
        handler.closed()
    with pytest.raises(ClosedError):
        GraphQLTransportWSHandler(manager)
