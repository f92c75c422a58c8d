# SPDX-License-Identifier: MIT
"""Waker: what the task of a connection waits for, as asyncio sees it."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from asgi_driver import Message, new_service, on_both_loops, until_unused

from fraiseql_asgi import _core


@asynccontextmanager
async def waiting() -> AsyncIterator[tuple[Any, Any, asyncio.Queue[Message]]]:
    """A connection that waits, its waker, and the queue it waits for."""
    service = new_service()
    incoming: asyncio.Queue[Message] = asyncio.Queue()

    async def send(_message: Message) -> None:
        pass

    scope = {"type": "websocket", "path": "/"}
    websocket = _core.ASGIApp(service=service)(scope, incoming.get, send)
    yield websocket, websocket.send(None), incoming
    websocket.close()
    await until_unused(service)
    service.close(1012, "")


@on_both_loops
async def test_asyncio_takes_it_for_a_future() -> None:
    async with waiting() as (_, waker, _incoming):
        assert isinstance(waker, _core.Waker)
        assert asyncio.isfuture(waker)
        assert waker._asyncio_future_blocking is True
        assert waker.get_loop() is asyncio.get_running_loop()
        assert not waker.done()
        assert not waker.cancelled()
        with pytest.raises(RuntimeError, match="still waiting"):
            waker.result()


@on_both_loops
async def test_a_connection_is_no_future() -> None:
    """Else asyncio.wait_for(app(...)) would take it for one."""
    async with waiting() as (websocket, _, _incoming):
        assert not asyncio.isfuture(websocket)
        assert asyncio.iscoroutine(websocket)


@on_both_loops
async def test_it_calls_back_in_the_context_given() -> None:
    variable = contextvars.ContextVar("variable", default="outside")
    context = contextvars.copy_context()
    context.run(variable.set, "inside")
    async with waiting() as (_, waker, incoming):
        called = asyncio.Event()
        seen = []

        def woken(future: Any) -> None:
            seen.append((future, variable.get()))
            called.set()

        waker.add_done_callback(woken, context=context)
        incoming.put_nowait({"type": "websocket.disconnect"})
        await asyncio.wait_for(called.wait(), 5)
        assert seen == [(waker, "inside")]
        assert waker.done()
        assert waker.result() is None
        assert waker.exception() is None


@on_both_loops
async def test_a_callback_added_too_late_is_called_soon() -> None:
    async with waiting() as (_, waker, incoming):
        incoming.put_nowait({"type": "websocket.disconnect"})
        first = asyncio.Event()
        waker.add_done_callback(lambda _: first.set())
        await asyncio.wait_for(first.wait(), 5)
        second = asyncio.Event()
        waker.add_done_callback(lambda _: second.set())
        assert not second.is_set()
        await asyncio.wait_for(second.wait(), 5)


@on_both_loops
async def test_it_has_one_waiter() -> None:
    async with waiting() as (_, waker, _incoming):

        def woken(_future: Any) -> None:
            raise AssertionError

        waker.add_done_callback(woken)
        with pytest.raises(RuntimeError, match="awaited by one task only"):
            waker.add_done_callback(print)
        with pytest.raises(TypeError, match="takes fn and context"):
            waker.add_done_callback()
        assert waker.remove_done_callback(print) == 0
        assert waker.remove_done_callback(woken) == 1
        assert waker.remove_done_callback(woken) == 0


@on_both_loops
async def test_a_cancellation_goes_to_what_is_waited_for() -> None:
    async with waiting() as (websocket, waker, _incoming):
        assert waker.cancel() is False  # nobody waits
        called = asyncio.Event()
        waker.add_done_callback(lambda _: called.set())
        assert waker.cancel("why") is True
        assert waker.cancel(msg="again") is False
        await asyncio.wait_for(called.wait(), 5)
        with pytest.raises(asyncio.CancelledError, match="why"):
            websocket.send(None)


@on_both_loops
async def test_it_lives_on_after_its_connection() -> None:
    async with waiting() as (websocket, waker, _incoming):
        called = []
        waker.add_done_callback(called.append)
        websocket.close()
        assert waker.cancel("why") is False
        await asyncio.sleep(0)
        assert called == []


def test_it_cannot_be_made() -> None:
    for each in (_core.Waker, _core.LoopMailbox, _core.PortObject):
        with pytest.raises(TypeError, match="cannot create"):
            each()
