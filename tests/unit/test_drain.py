# SPDX-License-Identifier: MIT
"""How a manager lets go of its connections; real servers are in
tests/integration/test_drain.py."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from typing import Any

import pytest
from asgi_driver import DEADLINE, Connection, Request, on_both_loops, run_in, until

from fraiseql_asgi import ClosedError, ConfigError, GraphQLTransportWSHandler, SubscriptionManager

RESTART = {"type": "websocket.close", "code": 1012, "reason": "Service restart"}


def ticking(**settings: Any) -> SubscriptionManager:
    manager = SubscriptionManager(**settings)
    manager.subscription("tick")
    return manager


@on_both_loops
async def test_stopping_closes_each_behind_what_is_queued() -> None:
    manager = ticking()
    clients = [await Connection(manager).subscribed() for _ in range(20)]
    manager.publish("tick", {"n": 1})
    await manager.aclose()
    for client in clients:
        assert await client.read_ticks(1) == [1]
        # No `complete`: clients would take it for the end.
        assert await client.next() == RESTART
        # All have gone before it returns.
        assert client.task.done()
        assert client.outgoing.empty()


@pytest.mark.parametrize("accept", ["text/event-stream", "multipart/mixed;subscriptionSpec=1.0"])
@on_both_loops
async def test_streams_end_without_complete(accept: str) -> None:
    manager = ticking()
    body = {"query": "subscription { tick { n } }"}
    request = Request(manager, body, accept=accept)
    await request.started()
    await until(lambda: manager.subscriber_count() == 1)
    manager.publish("tick", {"n": 1})
    stop = asyncio.ensure_future(manager.aclose())
    text = await request.rest()
    assert '{"data":{"tick":{"n":1}}}' in text
    assert "complete" not in text
    # The client that is told the end of all parts does not come back.
    assert not text.endswith("--\r\n")
    await stop
    refused = Request(manager, body, accept=accept)
    await refused.started()
    assert refused.status == 503
    assert refused.headers["retry-after"] == "1"


async def test_it_takes_a_millisecond_for_each() -> None:
    manager = ticking()
    clients = [await Connection(manager).subscribed() for _ in range(200)]
    began = time.monotonic()
    stop = asyncio.ensure_future(manager.aclose())
    seen = set()
    while not stop.done():
        seen.add(sum(client.task.done() for client in clients))
        await asyncio.sleep(0.002)
    assert 0.1 < time.monotonic() - began < 1
    assert len(seen) > 5


async def test_a_client_that_does_not_read_is_waited_for_no_longer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    manager = ticking(shutdown_timeout=0.2)
    client = await Connection(manager).subscribed()
    client.writable.clear()
    manager.publish("tick", {"n": 1})
    await until(lambda: client.n_sending == 1)
    began = time.monotonic()
    await manager.aclose()
    assert 0.2 <= time.monotonic() - began < 1
    assert not client.task.done()
    (record,) = caplog.records
    assert record.getMessage() == "1 connections had not gone 0.2 s after they were asked to"
    # It comes back to life, and finds the close.
    client.writable.set()
    assert await client.read_ticks(1) == [1]
    assert await client.next() == RESTART
    await client.ended()


async def test_without_a_time_all_close_at_once() -> None:
    manager = ticking(shutdown_timeout=0)
    client = await Connection(manager).subscribed()
    client.writable.clear()
    manager.publish("tick", {"n": 1})
    await until(lambda: client.n_sending == 1)
    await manager.aclose()
    client.writable.set()
    await client.read_ticks(1)
    assert await client.next() == RESTART
    await client.ended()


@pytest.mark.parametrize(
    ("value", "error"), [(-1, ConfigError), (86401, ConfigError), ("5", TypeError)]
)
def test_a_wrong_time_is_refused(value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="shutdown_timeout must be"):
        SubscriptionManager(shutdown_timeout=value)


async def test_who_comes_meanwhile_is_refused() -> None:
    manager = ticking()
    client = await Connection(manager).subscribed()
    client.writable.clear()
    manager.publish("tick", {"n": 1})
    await until(lambda: client.n_sending == 1)
    stop = asyncio.ensure_future(manager.aclose())
    await asyncio.sleep(0)
    told = Connection(manager)
    told.scope["extensions"] = {"websocket.http.response": {}}
    start, body = await told.next(), await told.next()
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 503)
    assert (b"retry-after", b"1") in start["headers"]
    assert body["body"] == b"The service is not available; try again later.\n"
    assert await told.ended() is None
    # A server that knows no more than to refuse.
    other = Connection(manager)
    assert await other.next() == {"type": "websocket.close", "code": 1012, "reason": ""}
    assert manager.get_metrics()["refused_stopping"] == 2
    client.writable.set()
    await stop
    assert client.task.done()


async def test_events_reach_those_that_are_left() -> None:
    manager = ticking()
    clients = [await Connection(manager).subscribed() for _ in range(300)]
    stop = asyncio.ensure_future(manager.aclose())
    n = 0
    while not stop.done():
        try:
            await manager.publish_event("tick", "tick", {"n": n})
        except ClosedError:
            break
        n += 1
        await asyncio.sleep(0.001)
    await stop
    lengths = set()
    for client in clients:
        messages = [client.outgoing.get_nowait() for _ in range(client.outgoing.qsize())]
        assert messages.pop() == RESTART
        ticks = [message["text"] for message in messages]
        assert ticks == [
            f'{{"id":"1","type":"next","payload":{{"data":{{"tick":{{"n":{k}}}}}}}}}'
            for k in range(len(ticks))
        ]
        lengths.add(len(ticks))
    assert len(lengths) > 5


async def test_two_stops_are_one() -> None:
    manager = ticking()
    clients = [await Connection(manager).subscribed() for _ in range(3)]
    await asyncio.gather(manager.aclose(), manager.aclose())
    await manager.aclose()
    for client in clients:
        assert await client.next() == RESTART
        assert client.outgoing.empty()


async def test_a_stop_that_is_cancelled_stops_at_once() -> None:
    manager = ticking()
    client = await Connection(manager).subscribed()
    client.writable.clear()
    manager.publish("tick", {"n": 1})
    await until(lambda: client.n_sending == 1)
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(manager.aclose(), 0.05)
    with pytest.raises(ClosedError):
        manager.publish("tick", {})
    client.writable.set()
    await client.ended()


async def test_it_serves_again_after_a_stop() -> None:
    manager = ticking()
    for _ in range(3):
        async with manager:
            client = await Connection(manager).subscribed()
        assert await client.next() == RESTART
    assert (await Connection(manager).next())["code"] == 1012


async def test_connections_of_several_loops() -> None:
    manager = ticking()
    here = await Connection(manager).subscribed()
    is_ready = threading.Event()
    got: list[Any] = []

    async def serve_elsewhere() -> None:
        there = await Connection(manager).subscribed()
        is_ready.set()
        got.append(await there.next())
        await there.ended()

    thread = threading.Thread(target=lambda: run_in(asyncio.SelectorEventLoop(), serve_elsewhere()))
    thread.start()
    await asyncio.to_thread(is_ready.wait, DEADLINE)
    assert manager.get_metrics()["connections_active"] == 2
    await manager.aclose()
    await asyncio.to_thread(thread.join, DEADLINE)
    assert got == [RESTART]
    assert await here.next() == RESTART


async def test_a_connection_without_asgi() -> None:
    manager = ticking()
    async with manager:
        handler = GraphQLTransportWSHandler(manager)
        told = asyncio.Event()
        handler.on_ready(told.set)
        stop = asyncio.ensure_future(manager.aclose())
        await asyncio.wait_for(told.wait(), DEADLINE)
        assert handler.outgoing() == []
        assert (handler.close_code, handler.close_reason) == (1012, "Service restart")
        assert not stop.done()
        handler.closed()
        await stop


async def test_iterators_of_the_application_end_at_the_end() -> None:
    manager = ticking()
    async with manager:
        stream = manager.subscribe("subscription { tick { n } }")
        manager.publish("tick", {"n": 1})
        assert await stream.__anext__() == {"data": {"tick": {"n": 1}}}
        began = time.monotonic()
    assert time.monotonic() - began < 1
    with pytest.raises((StopAsyncIteration, ClosedError)):
        await stream.__anext__()


# -- hooks ------------------------------------------------------------------


async def test_hooks_have_ended_with_it() -> None:
    manager = ticking()
    told: list[str] = []

    @manager.on_disconnect
    async def gone(connection: Any) -> None:
        await asyncio.sleep(0.05)
        told.append("disconnect")

    @manager.on_complete
    async def complete(connection: Any, operation: Any) -> None:
        await asyncio.sleep(0.05)
        told.append("complete")

    for _ in range(3):
        await Connection(manager).subscribed()
    await manager.aclose()
    assert sorted(told) == ["complete"] * 3 + ["disconnect"] * 3


async def test_a_hook_that_does_not_end_is_cancelled(caplog: pytest.LogCaptureFixture) -> None:
    manager = ticking(shutdown_timeout=0.1)
    cancelled = asyncio.Event()

    @manager.on_disconnect
    async def gone(connection: Any) -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    await Connection(manager).subscribed()
    with caplog.at_level(logging.WARNING):
        began = time.monotonic()
        await manager.aclose()
        assert time.monotonic() - began < 5
    await asyncio.wait_for(cancelled.wait(), DEADLINE)
    assert "a hook had not ended 1 s after the stop" in caplog.text


async def test_a_hook_may_stop_the_manager() -> None:
    manager = ticking()
    stopped = asyncio.Event()

    @manager.on_disconnect
    async def gone(connection: Any) -> None:
        if connection.scope is other.scope:
            return
        await manager.aclose()
        stopped.set()

    client = await Connection(manager).subscribed()
    other = await Connection(manager).subscribed()
    client.disconnect()
    await asyncio.wait_for(stopped.wait(), 1)
    assert await other.next() == RESTART


# -- fork -------------------------------------------------------------------


async def test_a_fork_after_the_end_serves_by_itself() -> None:
    manager = ticking()
    client = await Connection(manager).subscribed()
    await manager.aclose()
    assert await client.next() == RESTART
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            asyncio._set_running_loop(None)
            run_in(asyncio.SelectorEventLoop(), _serve_once(manager))
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0  # noqa: ASYNC222


async def _serve_once(manager: SubscriptionManager) -> None:
    async with manager:
        client = await Connection(manager).subscribed()
        manager.publish("tick", {"n": 1})
        assert await client.read_ticks(1) == [1]
    assert await client.next() == RESTART
