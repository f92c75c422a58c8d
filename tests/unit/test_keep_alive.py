# SPDX-License-Identifier: MIT
"""Clients that say nothing: asked whether they are there, and given up. Real
sockets are in tests/integration/test_dead_peers.py."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from asgi_driver import DEADLINE, Connection, Request, on_both_loops, until

from fraiseql_asgi import ConfigError, GraphQLTransportWSHandler, Limits, SubscriptionManager

PING = {"type": "ping"}
PONG = {"type": "pong"}
DEAD = {"type": "websocket.close", "code": 4408, "reason": "Keep-alive timeout"}


def ticking(keep_alive: float, timeout: float = 60.0, **limits: Any) -> SubscriptionManager:
    limits = {"keep_alive": keep_alive, "keep_alive_timeout": timeout, **limits}
    manager = SubscriptionManager(limits=Limits(**limits), shutdown_timeout=1)
    manager.subscription("tick")
    return manager


def test_the_defaults_are_those_of_the_docs() -> None:
    assert (Limits().keep_alive, Limits().keep_alive_timeout) == (12.0, 20.0)
    with pytest.raises(ConfigError, match="keep_alive must be from 0"):
        Limits(keep_alive=-1)
    with pytest.raises(ConfigError, match=r"keep_alive_timeout must be from 0\.001"):
        Limits(keep_alive_timeout=0)


@on_both_loops
async def test_a_silent_client_is_asked_and_stays_with_its_answer() -> None:
    async with ticking(0.05) as manager:
        began = time.monotonic()
        client = await Connection(manager).subscribed()
        for n in range(1, 4):
            assert await client.read() == PING
            assert time.monotonic() - began >= 0.05 * n
            client.write(PONG)
        assert manager.get_metrics()["pings_sent"] == 3
        assert manager.get_metrics()["dead_peers"] == 0
        manager.publish("tick", {"n": 1})
        assert await client.read_ticks(1) == [1]
        await client.left()


@pytest.mark.parametrize("message", [PONG, PING, {"type": "complete", "id": "x"}])
async def test_whoever_says_anything_is_not_asked(message: Any) -> None:
    async with ticking(0.5) as manager:
        client = await Connection(manager).subscribed()
        until_time = time.monotonic() + 0.8
        while time.monotonic() < until_time:
            client.write(message)
            await asyncio.sleep(0.02)
        assert manager.get_metrics()["pings_sent"] == 0
        await client.left()


@on_both_loops
async def test_one_that_does_not_answer_is_lost() -> None:
    async with ticking(0.3, 0.1) as manager:
        gone = asyncio.Event()
        client = await Connection(manager).subscribed()
        # What it is sent is no sign of life.
        publishing = asyncio.ensure_future(_publish_on_and_on(manager))
        kinds = set()
        while (message := await client.next())["type"] == "websocket.send":
            kinds.add(message["text"][-8:])
        assert message == DEAD
        publishing.cancel()
        await client.ended()
        await until(lambda: manager.get_metrics()["connections_active"] == 0)
        metrics = manager.get_metrics()
        names = ("pings_sent", "dead_peers", "closed_by_client", "ended_disconnect")
        assert [metrics[name] for name in names] == [1, 1, 1, 1]  # type: ignore[literal-required]
        assert metrics["subscriptions_active"] == metrics["connections_given_up"] == 0
        assert metrics["queued_messages"] == 0
        del gone


async def _publish_on_and_on(manager: SubscriptionManager) -> None:
    while True:
        manager.publish("tick", {"n": 1})
        await asyncio.sleep(0.01)


@on_both_loops
async def test_a_send_that_hangs_does_not_hold_what_is_lost() -> None:
    async with ticking(0.3, 0.3) as manager:
        client = await Connection(manager).subscribed()
        client.writable.clear()
        manager.publish("tick", {"n": 1})
        await until(lambda: client.n_sending == 1)
        assert await client.ended() is None
        assert client.n_sending == 0
        assert client.outgoing.empty()
        metrics = manager.get_metrics()
        assert (metrics["dead_peers"], metrics["connections_given_up"]) == (1, 1)
        await until(lambda: manager.get_metrics()["connections_active"] == 0)


@on_both_loops
async def test_a_slow_client_that_never_reads_its_close_is_given_up() -> None:
    async with ticking(60, 0.5, queue_max_items=2) as manager:
        client = await Connection(manager).subscribed()
        client.writable.clear()
        for n in range(10):
            manager.publish("tick", {"n": n})
        await until(lambda: manager.get_metrics()["slow_clients_closed"] == 1)
        assert not client.task.done()
        assert await client.ended() is None
        assert manager.get_metrics()["connections_given_up"] == 1
        assert manager.get_metrics()["dead_peers"] == 0


@pytest.mark.parametrize("accept", ["text/event-stream", "multipart/mixed;subscriptionSpec=1.0"])
async def test_a_stream_that_is_never_read_is_given_up(accept: str) -> None:
    async with ticking(60, 0.1, queue_max_items=2) as manager:
        request = Request(manager, {"query": "subscription { tick { n } }"}, accept=accept)
        await request.started()
        await until(lambda: manager.subscriber_count() == 1)
        request.writable.clear()
        for n in range(10):
            manager.publish("tick", {"n": n})
        await until(lambda: manager.get_metrics()["slow_clients_closed"] == 1)
        assert await request.ended() is None
        assert manager.get_metrics()["connections_given_up"] == 1
        await until(lambda: manager.get_metrics()["connections_active"] == 0)


async def test_a_close_that_hangs_is_given_up() -> None:
    """Not what came before it, but the close itself."""

    def refusing(send: Any) -> Any:
        async def wrapped(message: Any) -> None:
            if message["type"] == "websocket.close":
                await asyncio.sleep(3600)
            await send(message)

        return wrapped

    async with ticking(60, 0.1) as manager:
        client = await Connection(manager, send=refusing).subscribed()
        client.write("no message")
        assert await client.ended() is None
        assert manager.get_metrics()["connections_given_up"] == 1


async def test_nobody_is_asked_when_it_is_off() -> None:
    async with ticking(0, 0.01, queue_max_items=2) as manager:
        client = await Connection(manager).subscribed()
        slow = await Connection(manager).subscribed()
        slow.writable.clear()
        for n in range(10):
            manager.publish("tick", {"n": n})
            await client.read()
        await until(lambda: manager.get_metrics()["slow_clients_closed"] == 1)
        await asyncio.sleep(0.1)
        metrics = manager.get_metrics()
        assert metrics["pings_sent"] == metrics["connections_given_up"] == 0
        assert not slow.task.done()
        slow.writable.set()
        await slow.ended()
        await client.left()


async def test_an_older_client_cannot_be_asked() -> None:
    async with ticking(0.03, 0.03) as manager:
        client = Connection(manager, subprotocols=["graphql-ws"])
        assert (await client.next())["type"] == "websocket.accept"
        client.write({"type": "connection_init"})
        assert (await client.read())["type"] == "connection_ack"
        await asyncio.sleep(0.2)
        assert manager.get_metrics()["pings_sent"] == 0
        assert not client.task.done()
        await client.left()


async def test_before_it_is_let_in_it_has_another_deadline() -> None:
    async with ticking(0.02, 0.02, init_timeout=0.3) as manager:
        client = await Connection(manager).accepted()
        message = await client.next()
        assert (message["code"], message["reason"]) == (4408, "Connection initialisation timeout")
        assert manager.get_metrics()["pings_sent"] == 0


async def test_a_handler_without_asgi_tells_when() -> None:
    async with ticking(0.2, 0.1) as manager:
        handler = GraphQLTransportWSHandler(manager)
        handler.receive_text('{"type":"connection_init"}')
        assert handler.outgoing() == ['{"type":"connection_ack"}']
        timeout = handler.next_timeout()
        assert timeout is not None
        assert timeout <= 0.2
        deadline = time.monotonic() + DEADLINE
        texts: list[str] = []
        while handler.close_code is None and time.monotonic() < deadline:
            await asyncio.sleep(handler.next_timeout() or 0.001)
            handler.tick()
            texts += handler.outgoing()
        assert texts == ['{"type":"ping"}']
        assert (handler.close_code, handler.close_reason) == (4408, "Keep-alive timeout")
        assert handler.next_timeout() is None
        handler.closed()
