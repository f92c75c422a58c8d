# SPDX-License-Identifier: MIT
"""SIGTERM waits for the connections, and then goes where it went before."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from asgi_driver import DEADLINE, Connection, on_both_loops, until

from fraiseql_asgi import SubscriptionManager, _sigterm

RESTART = {"type": "websocket.close", "code": 1012, "reason": "Service restart"}

pytestmark = pytest.mark.skipif(
    threading.current_thread() is not threading.main_thread(), reason="signals"
)


@pytest.fixture(autouse=True)
def _everything_is_put_back() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    assert signal.getsignal(signal.SIGTERM) is before
    assert not list(_sigterm._sigterm._watched)


def ticking(**settings: Any) -> SubscriptionManager:
    manager = SubscriptionManager(**settings)
    manager.subscription("tick")
    return manager


class Handler:
    """What a server has installed: how often it was called."""

    def __init__(self) -> None:
        self.n = 0

    def __call__(self, number: int, frame: object) -> None:
        assert number == signal.SIGTERM
        self.n += 1


@contextlib.contextmanager
def handling(handler: Any) -> Iterator[None]:
    before = signal.signal(signal.SIGTERM, handler)
    try:
        yield
        assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGTERM, before)


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@on_both_loops
async def test_the_handler_hears_of_it_when_all_have_gone() -> None:
    handler = Handler()
    with handling(handler):
        managers = [ticking(), ticking()]
        clients = [await Connection(manager).subscribed() for manager in managers]
        assert signal.getsignal(signal.SIGTERM) is not handler
        for manager in managers:
            manager.publish("tick", {"n": 1})
        terminate()
        assert handler.n == 0
        for client in clients:
            assert await client.read_ticks(1) == [1]
            assert await client.next() == RESTART
            await client.ended()
        await until(lambda: handler.n == 1)
        assert signal.getsignal(signal.SIGTERM) is handler
        # The rest of the end is the server's.
        for manager in managers:
            assert manager.publish("tick", {"n": 2}) == "2"
            await manager.aclose()
        assert handler.n == 1


@on_both_loops
async def test_without_connections_nobody_waits() -> None:
    handler = Handler()
    with handling(handler):
        async with ticking():
            assert signal.getsignal(signal.SIGTERM) is not handler
            terminate()
            began = asyncio.get_running_loop().time()
            await until(lambda: handler.n == 1)
            assert asyncio.get_running_loop().time() - began < 0.5


@on_both_loops
async def test_a_second_signal_goes_straight_through() -> None:
    handler = Handler()
    with handling(handler):
        manager = ticking()
        client = await Connection(manager).subscribed()
        client.writable.clear()
        manager.publish("tick", {"n": 1})
        await until(lambda: client.n_sending == 1)
        terminate()
        await asyncio.sleep(0)
        assert handler.n == 0
        terminate()
        await until(lambda: handler.n == 1)
        client.writable.set()
        await client.read_ticks(1)
        assert await client.next() == RESTART
        await client.ended()
        await manager.aclose()
        assert handler.n == 1


async def test_the_window_is_kept() -> None:
    handler = Handler()
    with handling(handler):
        manager = ticking(shutdown_timeout=0.1)
        client = await Connection(manager).subscribed()
        client.writable.clear()
        manager.publish("tick", {"n": 1})
        await until(lambda: client.n_sending == 1)
        terminate()
        began = asyncio.get_running_loop().time()
        await until(lambda: handler.n == 1)
        assert asyncio.get_running_loop().time() - began < 1
        # What is left of the window is nothing: the stop does not wait again.
        began = asyncio.get_running_loop().time()
        await manager.aclose()
        assert asyncio.get_running_loop().time() - began < 0.1 * 5
        client.writable.set()
        await client.ended()


@on_both_loops
async def test_a_handler_of_the_loop_hears_of_it_when_all_have_gone() -> None:
    """As granian has it."""
    loop = asyncio.get_running_loop()
    told: list[int] = []
    for number in (signal.SIGTERM, signal.SIGUSR1):
        loop.add_signal_handler(number, told.append, number)
    try:
        manager = ticking()
        client = await Connection(manager).subscribed()
        # Others are not held back.
        os.kill(os.getpid(), signal.SIGUSR1)
        await until(lambda: told == [signal.SIGUSR1])
        terminate()
        assert await client.next() == RESTART
        assert told == [signal.SIGUSR1]
        await until(lambda: told == [signal.SIGUSR1, signal.SIGTERM])
        await manager.aclose()
        terminate()
        await until(lambda: told == [signal.SIGUSR1, signal.SIGTERM, signal.SIGTERM])
    finally:
        for number in (signal.SIGTERM, signal.SIGUSR1):
            loop.remove_signal_handler(number)


@on_both_loops
async def test_a_second_signal_reaches_the_loops_handler() -> None:
    loop = asyncio.get_running_loop()
    told: list[int] = []
    loop.add_signal_handler(signal.SIGTERM, told.append, 1)
    try:
        manager = ticking()
        client = await Connection(manager).subscribed()
        client.writable.clear()
        manager.publish("tick", {"n": 1})
        await until(lambda: client.n_sending == 1)
        terminate()
        await asyncio.sleep(0.01)
        assert told == []
        terminate()
        await until(lambda: told == [1])
        client.writable.set()
        await client.ended()
        await manager.aclose()
        assert told == [1]
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


async def test_everything_is_put_back_after_the_last() -> None:
    handler = Handler()
    with handling(handler):
        async with ticking():
            async with ticking():
                pass
            assert signal.getsignal(signal.SIGTERM) is not handler


async def test_a_handler_that_came_later_stays() -> None:
    handler, later = Handler(), Handler()
    with handling(later):
        signal.signal(signal.SIGTERM, handler)
        async with ticking():
            ours = signal.signal(signal.SIGTERM, later)
        assert signal.getsignal(signal.SIGTERM) is later
        # It may call us still, and we whoever was there before.
        ours(signal.SIGTERM, None)  # type: ignore[operator]
        assert handler.n == 1


async def test_one_that_wraps_ours_and_a_connection_after_it() -> None:
    """As a tracer that is started between the server and its first client."""
    server, tracer = Handler(), Handler()
    with handling(server):
        async with ticking() as manager:
            inner = signal.getsignal(signal.SIGTERM)

            def wrapping(number: int, frame: object) -> None:
                tracer(number, frame)
                inner(number, frame)  # type: ignore[operator,arg-type]

            signal.signal(signal.SIGTERM, wrapping)
            client = await Connection(manager).subscribed()
            assert signal.getsignal(signal.SIGTERM) is not wrapping
            terminate()
            assert await client.next() == RESTART
            await until(lambda: server.n == 1)
            assert tracer.n == 1
            assert signal.getsignal(signal.SIGTERM) is wrapping
            signal.signal(signal.SIGTERM, server)


async def test_an_ignored_signal_stays_ignored() -> None:
    with handling(signal.SIG_IGN):
        async with ticking():
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN


async def test_signals_can_be_left_alone() -> None:
    handler = Handler()
    with handling(handler):
        manager = ticking(shutdown_timeout=0)
        async with manager:
            client = await Connection(manager).subscribed()
            assert signal.getsignal(signal.SIGTERM) is handler
        await client.ended()


async def test_elsewhere_than_in_the_main_thread_nothing_is_done() -> None:
    handler = Handler()

    async def start() -> None:
        async with ticking():
            assert signal.getsignal(signal.SIGTERM) is handler

    with handling(handler):
        await asyncio.to_thread(asyncio.run, start())


@on_both_loops
async def test_a_stop_from_another_thread_lets_the_signal_through() -> None:
    """Which cannot put anything back."""
    loop = asyncio.get_running_loop()
    told: list[int] = []
    loop.add_signal_handler(signal.SIGTERM, told.append, 1)
    theirs = signal.getsignal(signal.SIGTERM)
    try:
        manager = ticking()
        await (await Connection(manager).subscribed()).left()
        await asyncio.to_thread(asyncio.run, manager.aclose())
        assert signal.getsignal(signal.SIGTERM) != theirs
        terminate()
        await until(lambda: told == [1])
        assert signal.getsignal(signal.SIGTERM) == theirs
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


@on_both_loops
async def test_a_child_has_the_handlers_from_before() -> None:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, lambda: None)
    theirs = signal.getsignal(signal.SIGTERM)
    try:
        async with ticking() as manager:
            client = await Connection(manager).subscribed()
            pid = os.fork()
            if pid == 0:
                os._exit(0 if signal.getsignal(signal.SIGTERM) == theirs else 1)
            assert os.waitpid(pid, 0)[1] == 0  # noqa: ASYNC222
            # Its signals are not the parent's.
            child = os.fork()
            if child == 0:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                os.kill(os.getpid(), signal.SIGTERM)
                os._exit(1)
            assert os.waitpid(child, 0)[1] == signal.SIGTERM  # noqa: ASYNC222
            client.write({"type": "ping"})
            assert await client.read() == {"type": "pong"}
            await client.left()
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


DEFAULT = """
import asyncio, json, sys
sys.path[:0] = {path!r}
from asgi_driver import Connection
from fraiseql_asgi import SubscriptionManager

async def main():
    async with SubscriptionManager() as manager:
        client = await Connection(manager).subscribed()
        print("ready", flush=True)
        message = await client.next()
        print(message["code"], flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


def test_where_nobody_handled_it_the_process_ends_as_it_would() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", DEFAULT.format(path=[p for p in sys.path if p])],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=DEADLINE)
        assert (out, process.returncode) == ("1012\n", -signal.SIGTERM)
    finally:
        process.kill()
        process.communicate()


def test_a_loop_that_has_stopped_is_not_waited_for() -> None:
    handler = Handler()
    with handling(handler):
        loop = asyncio.SelectorEventLoop()
        manager = ticking()
        loop.run_until_complete(manager.__aenter__())
        terminate()
        assert handler.n == 1
        loop.run_until_complete(manager.aclose())
        loop.close()


async def test_a_drain_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(SubscriptionManager):
        async def _drain(self) -> bool:
            raise ValueError("no")

    handler = Handler()
    with handling(handler):
        manager = Failing()
        await manager.__aenter__()
        terminate()
        await until(lambda: handler.n == 1)
        assert "connections could not be drained" in caplog.text
        with pytest.raises(ValueError, match="no"):
            await manager.aclose()


def test_the_wakeup_descriptor_is_no_others() -> None:
    """Who has one of their own keeps it."""
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    before = signal.set_wakeup_fd(writer.fileno())
    try:

        async def main() -> None:
            handler = Handler()
            with handling(handler):
                async with ticking():
                    terminate()
                    await until(lambda: handler.n == 1)

        asyncio.run(main())
        assert signal.set_wakeup_fd(before) == writer.fileno()
        assert reader.recv(10) == bytes([signal.SIGTERM])
    finally:
        signal.set_wakeup_fd(before)
        reader.close()
        writer.close()
