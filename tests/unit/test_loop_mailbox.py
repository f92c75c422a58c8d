# SPDX-License-Identifier: MIT
"""LoopMailbox: how a loop hears from the reactor."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import textwrap
import threading
import time
from typing import Any

import pytest
from asgi_driver import (
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

from fraiseql_asgi import _core, errors


@on_both_loops
async def test_descriptors_are_held_only_while_there_are_users() -> None:
    service = new_service()
    app = _core.ASGIApp(service=service)
    before = n_descriptors()
    for _ in range(3):
        connections = [await Connection(app).ready() for _ in range(5)]
        assert n_descriptors() == before + 2
        assert len([each for each in ours() if isinstance(each, _core.LoopMailbox)]) == 1
        for connection in connections:
            await connection.left()
        assert n_descriptors() == before
    await until_unused(service)
    service.close(1012, "")


@pytest.mark.parametrize("loop_kind", ["asyncio", "uvloop"])
def test_each_thread_has_a_loop_and_a_mailbox(loop_kind: str) -> None:
    """One service, several loops: each delivers to its own connections."""
    before = n_descriptors()
    serve_in_threads(loop_kind)
    gc.collect()
    assert ours() == []
    assert n_descriptors() <= before


def serve_in_threads(loop_kind: str) -> None:
    service = new_service()
    app = _core.ASGIApp(service=service)
    n_threads, n_connections, n_events = 4, 20, 100
    ready = threading.Barrier(n_threads + 1)
    failures: list[BaseException] = []

    async def main() -> None:
        connections = [await Connection(app).subscribed() for _ in range(n_connections)]
        await asyncio.to_thread(ready.wait)
        for connection in connections:
            assert await connection.read_ticks(n_events) == list(range(n_events))
        for connection in connections:
            await connection.left()

    def run() -> None:
        try:
            run_in(new_loop(loop_kind), main())
        except BaseException as error:
            failures.append(error)
            ready.abort()

    threads = [threading.Thread(target=run) for _ in range(n_threads)]
    for thread in threads:
        thread.start()
    ready.wait()
    for n in range(n_events):
        publish(service, {"n": n})
    for thread in threads:
        thread.join()
    assert failures == []
    run_in(new_loop(loop_kind), until_unused(service))
    service.close(1012, "")


def test_loops_one_after_the_other_share_nothing() -> None:
    service = new_service()
    app = _core.ASGIApp(service=service)

    async def main() -> None:
        connection = await Connection(app).subscribed()
        publish(service, {"n": 1})
        assert await connection.read_ticks(1) == [1]
        await connection.left()
        await until_unused(service)

    for turn in range(20):
        run_in(new_loop(("asyncio", "uvloop")[turn % 2]), main())
    service.close(1012, "")
    assert ours() == []


class NoReaders(asyncio.SelectorEventLoop):
    """As the proactor of Windows."""

    def add_reader(self, *_args: Any) -> None:
        raise NotImplementedError


def test_a_loop_that_cannot_watch_sockets_is_refused() -> None:
    service = new_service()
    before = n_descriptors()

    async def main() -> None:
        connection = Connection(_core.ASGIApp(service=service))
        with pytest.raises(errors.ConfigError, match=r"no add_reader.*SelectorEventLoop or uvloop"):
            await connection.ended()

    run_in(NoReaders(), main())
    gc.collect()
    assert ours() == []
    assert n_descriptors() <= before
    service.close(1012, "")


def test_without_a_loop_the_way_out_is_named() -> None:
    service = new_service()
    websocket = _core.ASGIApp(service=service)({"type": "websocket", "path": "/"}, print, print)
    with pytest.raises(errors.ConfigError, match=r"hypercorn.*--worker-class asyncio"):
        websocket.send(None)
    service.close(1012, "")


@on_both_loops
async def test_a_pass_over_busy_connections_lets_others_run() -> None:
    """A hundred connections, each busy for a millisecond: passes of 5 ms."""
    service = new_service()
    app = _core.ASGIApp(service=service)

    def wrap(send: Any) -> Any:
        async def wrapped(message: Message) -> None:
            if "next" in message.get("text", ""):
                end = time.perf_counter() + 0.001
                while time.perf_counter() < end:
                    pass
            await send(message)

        return wrapped

    connections = [await Connection(app, send=wrap).subscribed() for _ in range(100)]
    gaps = []

    async def other() -> None:
        before = time.perf_counter()
        while len(gaps) < 1000:
            await asyncio.sleep(0)
            gaps.append(time.perf_counter() - before)
            before += gaps[-1]

    task = asyncio.ensure_future(other())
    # The reactor has posted all mail before the loop looks.
    publish(service, {"n": 0})
    await asyncio.to_thread(time.sleep, 0.01)
    for connection in connections:
        assert await connection.read_ticks(1) == [0]
    task.cancel()
    assert len([gap for gap in gaps if gap > 0.004]) >= 10
    for connection in connections:
        await connection.left()
    await until_unused(service)
    service.close(1012, "")


@on_both_loops
async def test_mail_of_one_pass_keeps_its_order() -> None:
    service = new_service()
    app = _core.ASGIApp(service=service)
    order: list[int] = []

    def wrap(index: int) -> Any:
        def wrapper(send: Any) -> Any:
            async def wrapped(message: Message) -> None:
                if "next" in message.get("text", ""):
                    order.append(index)
                    time.sleep(0.001)  # noqa: ASYNC251
                await send(message)

            return wrapped

        return wrapper

    connections = [await Connection(app, send=wrap(i)).subscribed() for i in range(50)]
    publish(service, {"n": 0})
    time.sleep(0.05)  # noqa: ASYNC251 - the mail is there before the loop looks
    publish(service, {"n": 1})
    for connection in connections:
        assert await connection.read_ticks(2) == [0, 1]
    # Each in turn, though passes end in between.
    firsts = [i for n, i in enumerate(order) if i not in order[:n]]
    assert firsts == list(range(50))
    for connection in connections:
        await connection.left()
    await until_unused(service)
    service.close(1012, "")


@pytest.mark.parametrize("loop_kind", ["asyncio", "uvloop"])
def test_a_connection_may_be_freed_by_another_thread(loop_kind: str) -> None:
    service = new_service()
    app = _core.ASGIApp(service=service)
    before = n_descriptors()
    held: list[Any] = []
    is_waiting = threading.Event()
    is_freed = threading.Event()

    async def receive() -> Any:
        await asyncio.get_running_loop().create_future()

    async def main() -> None:
        websocket = app({"type": "websocket", "path": "/"}, receive, receive)
        websocket.send(None)
        held.append(websocket)
        del websocket
        inside = n_descriptors()
        is_waiting.set()
        await asyncio.to_thread(is_freed.wait)
        await until(lambda: n_descriptors() == inside - 2)

    thread = threading.Thread(target=lambda: run_in(new_loop(loop_kind), main()))
    thread.start()
    is_waiting.wait()
    held.clear()
    gc.collect()
    is_freed.set()
    thread.join()
    assert ours() == []
    assert n_descriptors() <= before
    service.close(1012, "")


@pytest.mark.parametrize("loop_kind", ["asyncio", "uvloop"])
def test_a_forked_child_leaves_the_parents_connections_alone(loop_kind: str) -> None:
    """The child lets go of everything; its loop's epoll is the parent's too."""
    script = """
    import asyncio, gc, os, sys, warnings
    from asgi_driver import Connection, n_descriptors, new_loop, new_service, publish, run_in
    from fraiseql_asgi import _core
    warnings.simplefilter("ignore", DeprecationWarning)  # fork with threads

    async def main():
        global service
        service = new_service()
        app = _core.ASGIApp(service=service)
        connection = await Connection(app).subscribed()
        for n in range(30):
            # The reactor is at work, with locks held, when the process forks.
            publish(service, {"n": n})
            pid = os.fork()
            if pid == 0:
                before = n_descriptors()
                connection.task.get_coro().close()
                os._exit(0 if n_descriptors() == before - 2 else 1)
            _, status = os.waitpid(pid, 0)
            assert status == 0, status
            assert await connection.read_ticks(1) == [n]
        await connection.left()

    run_in(new_loop(sys.argv[1]), main())
    service.close(1012, "")
    print("done")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), loop_kind],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (done.stdout, done.returncode) == ("done\n", 0), done.stderr


def test_a_parents_loop_object_serves_in_a_child_too() -> None:
    """A preloading server makes what it can before it forks."""
    script = """
    import asyncio, gc, os, sys, warnings
    from asgi_driver import Connection, new_loop, new_service, publish, run_in
    from fraiseql_asgi import _core
    warnings.simplefilter("ignore", DeprecationWarning)

    async def main():
        service = new_service()
        app = _core.ASGIApp(service=service)
        connection = await Connection(app).subscribed()
        publish(service, {"n": 0})
        assert await connection.read_ticks(1) == [0]
        await connection.left()
        service.close(1012, "")

    run_in(new_loop("asyncio"), main())
    pid = os.fork()
    if pid == 0:
        try:
            run_in(new_loop("asyncio"), main())
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    print(os.waitstatus_to_exitcode(status))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.stdout == "0\n", done.stderr
