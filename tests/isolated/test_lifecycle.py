# SPDX-License-Identifier: MIT
"""Starting, stopping, forking and ending in fresh interpreters: exit codes, no
hang, no thread and no descriptor left."""

from __future__ import annotations

import pathlib
import signal
import subprocess
import sys
import textwrap

import pytest

TESTS = pathlib.Path(__file__).parents[1]
DEADLINE = 60

#: For every script: connections without a server, and what is left to count.
PRELUDE = f"""
import asyncio, gc, json, logging, os, signal, sys, threading, time
sys.path.insert(0, {str(TESTS)!r})
from asgi_driver import Connection, n_descriptors, until
import fraiseql_asgi
from fraiseql_asgi import ClosedError, EventBusConfig, SubscriptionExecutor, SubscriptionManager

# In development mode asyncio tells of slow steps, which is about the machine.
logging.getLogger("asyncio").addFilter(lambda record: "took %.3f seconds" not in str(record.msg))

def n_threads():
    return len(os.listdir("/proc/self/task"))

def assert_threads(n):
    # One that was joined may take a moment to leave the system's table.
    end = time.monotonic() + 5
    while n_threads() != n and time.monotonic() < end:
        time.sleep(0.001)
    assert n_threads() == n, n_threads()

def register(executor, name="s", resolver=None):
    executor.register_subscription(
        "c", name, "subscription {{ tick }}", None, None, None, None, resolver)
"""

linux_only = pytest.mark.skipif(
    not pathlib.Path("/proc/self/task").exists(), reason="counts threads in /proc"
)
pytestmark = linux_only


def run(script: str, returncode: int = 0, stderr: str | None = "") -> str:
    """Run a script in a fresh interpreter, in development mode; its output.

    `stderr` None: it may say anything there.
    """
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", PRELUDE + textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == returncode, done
    assert stderr is None or done.stderr == stderr, done
    return done.stdout


# -- cycles -----------------------------------------------------------------


def test_a_hundred_managers_leave_nothing() -> None:
    run(
        """
        async def cycle():
            async with SubscriptionManager() as manager:
                @manager.subscription
                async def tick(event, variables):
                    return event
                client = await Connection(manager).subscribed()
                await manager.publish_event("t", "tick", {"n": 1})
                assert await client.read_ticks(1) == [1]
                await client.left()

        asyncio.run(cycle())
        before = n_descriptors()
        for _ in range(100):
            asyncio.run(cycle())
        gc.collect()
        assert n_descriptors() == before
        assert_threads(1)
        """
    )


def test_a_hundred_starts_of_one_manager_leave_nothing() -> None:
    run(
        """
        manager = SubscriptionManager()

        async def main():
            counts = set()
            for _ in range(100):
                async with manager:
                    client = await Connection(manager).subscribed()
                    manager.publish("tick", {"n": 1})
                    assert await client.read_ticks(1) == [1]
                    client.disconnect()
                    await client.ended()
                counts.add(n_descriptors())
                assert_threads(1)
            assert len(counts) == 1, counts

        asyncio.run(main())
        """
    )


def test_a_hundred_executors_leave_nothing() -> None:
    run(
        """
        def cycle():
            with SubscriptionExecutor() as executor:
                async def resolve(event, variables):
                    return event
                register(executor, resolver=resolve)
                executor.publish_event("t", "tick", {"n": 1})
                assert executor.next_event("s")

        cycle()
        before = n_descriptors()
        for _ in range(100):
            cycle()
        assert n_descriptors() == before
        assert_threads(1)
        """
    )


def test_all_share_one_thread() -> None:
    run(
        """
        executors = []
        threads = [
            threading.Thread(target=lambda: executors.append(SubscriptionExecutor()))
            for _ in range(10)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert_threads(2)
        for executor in executors[1:]:
            executor.close()
        assert_threads(2)
        executors[0].close()
        assert_threads(1)
        """
    )


def test_what_is_forgotten_is_freed() -> None:
    run(
        """
        before = n_descriptors()
        for _ in range(20):
            executor = SubscriptionExecutor()
            register(executor)
            bus = EventBusConfig.memory().create_bus()
            bus.publish(fraiseql_asgi.Event("t", "tick", {}))
            del executor, bus
            gc.collect()
            assert_threads(1)
        assert n_descriptors() == before
        """
    )


# -- the end of the interpreter ----------------------------------------------

OPEN = """
executor = SubscriptionExecutor()
async def hang(event, variables):
    try:
        print("started", flush=True)
        await asyncio.sleep(3600)
    finally:
        print("finally", flush=True)
register(executor, resolver=hang)
threading.Thread(
    target=executor.publish_event, args=("t", "tick", {}), daemon=True).start()
while executor.get_metrics()["resolver_calls"] == 0:
    time.sleep(0.001)
bus = EventBusConfig.memory().create_bus()
bus.publish(fraiseql_asgi.Event("t", "tick", {}))
"""


@pytest.mark.parametrize(
    ("end", "returncode"),
    [("", 0), ("sys.exit(7)", 7), ("os._exit(8)", 8)],
)
def test_the_interpreter_ends_with_everything_open(end: str, returncode: int) -> None:
    """A publisher hangs, a resolver hangs, nothing was closed."""
    out = run(textwrap.dedent(OPEN) + "time.sleep(0.1)\n" + end, returncode)
    assert out == ("started\n" if returncode == 8 else "started\nfinally\n")


def test_the_interpreter_ends_with_an_exception() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(OPEN) + "time.sleep(0.1); 1 / 0"],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "ZeroDivisionError: division by zero"


def test_the_interpreter_ends_with_clients_connected() -> None:
    run(
        """
        manager = SubscriptionManager()

        async def main():
            global clients
            clients = [await Connection(manager).subscribed() for _ in range(10)]
            manager.publish("tick", {"n": 1})
            for client in clients:
                assert await client.read_ticks(1) == [1]

        asyncio.run(main())
        """
    )


def test_a_loop_that_is_dropped_with_clients_connected() -> None:
    """Neither cancelled nor closed: its clients end with it, others do not.
    asyncio itself complains in several ways."""
    run(
        """
        manager = SubscriptionManager()
        manager.subscription("tick")

        async def connect():
            return await Connection(manager).subscribed()

        lost = asyncio.new_event_loop()
        client = lost.run_until_complete(connect())
        lost.close()
        del lost

        async def main():
            other = await Connection(manager).subscribed()
            for n in range(100):
                manager.publish("tick", {"n": n})
            assert await other.read_ticks(100) == list(range(100))
            await other.left()

        asyncio.run(main())
        del client
        gc.collect()
        """,
        stderr=None,
    )


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_blocked_publisher_serves_signals(signum: signal.Signals) -> None:
    """The main thread waits for a resolver that hangs; Ctrl-C gets through."""
    script = f"""
    executor = SubscriptionExecutor()
    async def hang(event, variables):
        threading.Timer(0.1, os.kill, (os.getpid(), {int(signum)})).start()
        await asyncio.sleep(3600)
    register(executor, resolver=hang)
    def on_signal(*ignored):
        raise InterruptedError
    signal.signal({int(signum)}, on_signal)
    started = time.monotonic()
    try:
        executor.publish_event("t", "tick", {{}})
    except InterruptedError:
        assert time.monotonic() - started < 3
        print("interrupted")
    executor.close()
    """
    assert run(script) == "interrupted\n"


def test_publishing_from_a_signal_handler_and_a_finalizer() -> None:
    run(
        """
        executor = SubscriptionExecutor()
        register(executor)
        def on_signal(*ignored):
            executor.publish_event("t", "tick", {"n": "signal"})
        signal.signal(signal.SIGALRM, on_signal)
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)

        class Dying:
            def __del__(self):
                executor.publish_event("t", "tick", {"n": "del"})

        end = time.monotonic() + 1
        while time.monotonic() < end:
            executor.publish_event("t", "tick", {"n": "main"})
            Dying()
        signal.setitimer(signal.ITIMER_REAL, 0)
        seen = set()
        while (text := executor.next_event("s")) is not None:
            seen.add(json.loads(text)["payload"]["data"]["tick"]["n"])
        assert seen == {"signal", "del", "main"}, seen
        executor.close()
        """
    )


# -- fork -------------------------------------------------------------------

IN_CHILD = """
def in_child(function):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            function()
            code = 0
        except BaseException:
            import traceback
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
"""


def test_fork_before_first_use() -> None:
    run(
        IN_CHILD
        + textwrap.dedent(
            """
            manager = SubscriptionManager()
            manager.subscription("tick")

            def use():
                async def main():
                    async with manager:
                        client = await Connection(manager).subscribed()
                        manager.publish("tick", {"n": 1})
                        assert await client.read_ticks(1) == [1]
                        await client.left()
                asyncio.run(main())

            in_child(use)
            in_child(use)
            use()
            """
        )
    )


def test_fork_after_first_use() -> None:
    """The child begins anew with configuration and fields; the parent goes on."""
    run(
        IN_CHILD
        + textwrap.dedent(
            """
            manager = SubscriptionManager()
            @manager.subscription(channel="ticks")
            async def tick(event, variables):
                return {"n": event["n"] * 2}

            async def use(n):
                client = await Connection(manager).subscribed()
                assert manager.subscriber_count("ticks") == n
                manager.publish("ticks", {"n": 1})
                assert await client.read_ticks(1) == [2]
                assert manager.get_metrics()["subscriptions_total"] == n
                return client

            async def parent():
                asyncio.get_running_loop().slow_callback_duration = 10
                client = await use(1)
                bystander = threading.Thread(target=time.sleep, args=(0.1,))
                bystander.start()
                in_child(lambda: run_in_child())
                bystander.join()
                manager.publish("ticks", {"n": 3})
                assert await client.read_ticks(1) == [6]
                await client.left()
                await manager.aclose()

            def run_in_child():
                # The loop of the parent's thread is copied as running.
                asyncio._set_running_loop(None)
                async def main():
                    async with manager:
                        await (await use(1)).left()
                asyncio.run(main())
                assert_threads(1)

            asyncio.run(parent())
            """
        )
    )


def test_fork_of_an_executor() -> None:
    run(
        IN_CHILD
        + textwrap.dedent(
            """
            executor = SubscriptionExecutor()
            register(executor, resolver=lambda event, variables: event)
            executor.publish_event("t", "tick", {"n": 1})

            def child():
                for call in (executor.next_event, executor.complete_subscription):
                    try:
                        call("s")
                    except ClosedError as error:
                        assert "before the fork" in str(error)
                    else:
                        raise AssertionError("the parent's subscription is not ours")
                register(executor, "mine", lambda event, variables: event)
                assert executor.publish_event("t", "tick", {"n": 2}) == "1"
                assert b'{"n":2}' in executor.next_event("mine")
                assert executor.get_metrics()["subscriptions_active"] == 1
                executor.close()
                assert_threads(1)

            in_child(child)
            assert b'{"n":1}' in executor.next_event("s")
            executor.publish_event("t", "tick", {"n": 3})
            assert b'{"n":3}' in executor.next_event("s")
            executor.close()
            """
        )
    )


def test_a_child_that_uses_nothing_ends_cleanly() -> None:
    """By exit, with all of the interpreter's own tidying."""
    run(
        """
        executor = SubscriptionExecutor()
        register(executor, resolver=lambda event, variables: event)
        bus = EventBusConfig.memory().create_bus()
        bus.publish(fraiseql_asgi.Event("t", "tick", {}))
        pid = os.fork()
        if pid == 0:
            sys.exit(5)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 5
        executor.publish_event("t", "tick", {"n": 1})
        assert executor.next_event("s")
        executor.close()
        bus.close()
        """
    )


def test_generations_of_children() -> None:
    run(
        """
        executor = SubscriptionExecutor()
        for generation in range(5):
            register(executor, f"s{generation}")
            executor.publish_event("t", "tick", {"n": generation})
            assert executor.next_event(f"s{generation}")
            pid = os.fork()
            if pid != 0:
                code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                executor.close()
                os._exit(code)
        executor.close()
        """
    )


def test_fork_while_threads_publish() -> None:
    run(
        IN_CHILD
        + textwrap.dedent(
            """
            executor = SubscriptionExecutor()
            register(executor)
            stop = threading.Event()

            def publish():
                while not stop.is_set():
                    executor.publish_event("t", "tick", {"n": 1})

            threads = [threading.Thread(target=publish) for _ in range(3)]
            for thread in threads:
                thread.start()

            def child():
                register(executor, "mine")
                executor.publish_event("t", "tick", {"n": 2})
                assert b'{"n":2}' in executor.next_event("mine") or True
                executor.close()

            for _ in range(20):
                in_child(child)
            stop.set()
            for thread in threads:
                thread.join()
            executor.close()
            """
        )
    )
