# SPDX-License-Identifier: MIT
"""Many threads publish, many loops serve, subscriptions come and go."""

from __future__ import annotations

import asyncio
import pathlib
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from asgi_driver import new_loop, run_in, until
from sizes import promised, size
from wire import Wire, body_of, id_of

from fraiseql_asgi import Limits, SubscriptionManager

N_LOOPS = 4
N_PUBLISHERS = 8
#: Of each loop, in connections of ten.
N_SUBSCRIPTIONS = size(50, 250)
#: Of each publisher.
N_EVENTS = size(60, 250)
#: Of each loop: subscriptions that come and go, one after the other.
N_RESTLESS = size(2, 5)

QUERY = "subscription { tick { by n } }"


def in_threads(functions: list[Callable[[], None]]) -> None:
    """Run each in a thread of its own; the first exception is raised."""
    faults: list[BaseException] = []

    def run(function: Callable[[], None]) -> None:
        try:
            function()
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=run, args=(each,)) for each in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for fault in faults:
        raise fault


class Traffic:
    """One manager under load; what everybody got is kept."""

    def __init__(self, manager: SubscriptionManager) -> None:
        self.manager = manager
        self.start = threading.Barrier(N_LOOPS + N_PUBLISHERS, timeout=120)
        self.n_publishing = N_PUBLISHERS
        self.lock = threading.Lock()
        #: Per subscription that stayed.
        self.steady: list[list[str]] = []
        #: Per subscription that came and went.
        self.restless: list[list[str]] = []

    def publish(self, by: int) -> None:
        self.start.wait()
        for n in range(N_EVENTS):
            self.manager.publish("tick", {"by": by, "n": n})
            if n % 5 == by % 5:
                time.sleep(0.002)  # so that there is time to come and go
        with self.lock:
            self.n_publishing -= 1

    async def stay(self) -> None:
        wires = [Wire(self.manager) for _ in range(N_SUBSCRIPTIONS // 10)]
        for wire in wires:
            for n in range(10):
                wire.subscribe(str(n), QUERY)
            await wire.done()
        restless = [asyncio.ensure_future(self.come_and_go(n)) for n in range(N_RESTLESS)]
        await asyncio.to_thread(self.start.wait)
        for wire in wires:
            await wire.until(lambda wire=wire: len(wire.texts) > 10 * N_PUBLISHERS * N_EVENTS)
            texts: dict[str, list[str]] = {}
            for text in wire.texts[1:]:
                texts.setdefault(id_of(text), []).append(body_of(text))
            self.steady += texts.values()
        for task in restless:
            await task
        for wire in wires:
            await wire.left()

    async def come_and_go(self, seed: int) -> None:
        """Subscribe, get some, complete, and each third time vanish."""
        wire = Wire(self.manager)
        n = seed
        while self.n_publishing > 0:
            n += 1
            wire.subscribe(str(n), QUERY)
            await asyncio.sleep(0.002 * (n % 5))
            if n % 4 == 0:
                await self.have_one(wire)
            wire.complete(str(n))
            await wire.done()
            # Not even one more after the answer to what came later.
            mine = [
                body_of(text) for text in wire.texts if '"next"' in text and id_of(text) == str(n)
            ]
            self.restless.append(mine)
            assert not any(id_of(text) != str(n) for text in wire.texts if '"next"' in text)
            wire.texts.clear()
            if n % 3 == 0:
                wire.subscribe("left", QUERY)
                await asyncio.sleep(0.001)
                await wire.left()
                wire = Wire(self.manager)
        await wire.left()

    async def have_one(self, wire: Wire) -> None:
        """Wait for an event; on a loop that is busy it may take seconds, and
        after the last one none comes."""
        for _ in range(200):
            if any('"next"' in text for text in wire.texts):
                break
            await asyncio.sleep(0.02)

    def check(self) -> None:
        """Nothing lost, doubled or out of order, and one order for all."""
        assert len(self.steady) == N_LOOPS * N_SUBSCRIPTIONS
        order = self.steady[0]
        assert len(set(order)) == len(order) == N_PUBLISHERS * N_EVENTS
        assert all(each == order for each in self.steady)
        for by in range(N_PUBLISHERS):
            mark = f'"by":{by},"n":'
            mine = [body for body in order if mark in body]
            assert mine == [f'{{"data":{{"tick":{{{mark}{n}}}}}}}}}' for n in range(N_EVENTS)]
        place = {body: n for n, body in enumerate(order)}
        for each in self.restless:
            first = place[each[0]] if each else 0
            assert each == order[first : first + len(each)]
        assert any(self.restless)


@promised()
@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", ["none", "sync", "async"])
def test_threads_loops_and_subscriptions_that_come_and_go(kind: str) -> None:
    limits = Limits(
        queue_max_items=2**20, queue_max_bytes=2**30, max_pending=2**20, messages_per_second=0
    )
    manager = SubscriptionManager(limits=limits)
    if kind == "none":
        manager.subscription("tick")
    elif kind == "sync":

        @manager.subscription
        def tick(event: Any, variables: Any) -> Any:
            return event

    else:

        @manager.subscription(channel="tick")
        async def tick(event: Any, variables: Any) -> Any:
            await asyncio.sleep(0)
            return event

    traffic = Traffic(manager)
    functions: list[Callable[[], None]] = [
        lambda n=n: run_in(new_loop("uvloop" if n % 2 else "asyncio"), traffic.stay())  # type: ignore[misc]
        for n in range(N_LOOPS)
    ]
    functions += [lambda n=n: traffic.publish(n) for n in range(N_PUBLISHERS)]  # type: ignore[misc]
    in_threads(functions)
    traffic.check()
    asyncio.run(manager.aclose())


# -- the GIL ----------------------------------------------------------------


@pytest.fixture
def greedy_threads() -> Any:
    """From here on a thread that computes gives the GIL away never."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    yield
    sys.setswitchinterval(before)


async def test_deliveries_reach_the_mailbox_without_the_gil(greedy_threads: None) -> None:
    """While this thread holds the GIL throughout, the reactor counts on."""
    n_events, n_wires = 300, 20
    async with SubscriptionManager(limits=Limits(messages_per_second=0)) as manager:
        wires = [Wire(manager) for _ in range(n_wires)]
        for wire in wires:
            wire.subscribe("1", QUERY)
            await wire.done()
        executor = manager.executor
        executor.register_subscription("c", "s", QUERY, None, None, None, None)
        ran_meanwhile: list[int] = []
        stop = False

        def other() -> None:
            n = 0
            while not stop:
                n += 1
                ran_meanwhile.append(n)
                time.sleep(0)  # gives the GIL away, and wants it back

        thread = threading.Thread(target=other)
        thread.start()
        await until(lambda: bool(ran_meanwhile))
        # A loop runs here, so publish() gives the GIL away no more than the
        # arithmetic below does.
        before = len(ran_meanwhile)
        for n in range(n_events):
            manager.publish("tick", {"by": 0, "n": n})
        deadline = time.monotonic() + 20
        while (
            manager.get_metrics()["deliveries"] < n_events * (n_wires + 1)
            and time.monotonic() < deadline
        ):
            pass
        n_delivered = manager.get_metrics()["deliveries"]
        n_read = sum(len(wire.texts) for wire in wires)
        assert len(ran_meanwhile) == before, "another thread had the GIL"
        assert n_delivered == n_events * (n_wires + 1)
        assert n_read == n_wires, "nothing but connection_ack has been read"
        stop = True
        for wire in wires:
            await wire.until(lambda wire=wire: len(wire.texts) == n_events + 1)
            await wire.left()
        thread.join()


# -- several managers -------------------------------------------------------


def n_reactors() -> int:
    names = [path.read_text() for path in pathlib.Path("/proc/self/task").glob("*/comm")]
    return names.count("fraiseql\n")


@pytest.mark.skipif(not pathlib.Path("/proc/self/task").exists(), reason="reads /proc")
def test_ten_managers_from_several_threads_share_one_reactor() -> None:
    n_managers, n_events = 10, size(200, 5000)
    start = threading.Barrier(n_managers, timeout=60)
    at_work = threading.Barrier(n_managers, timeout=60)
    found: list[int] = []

    async def serve(number: int) -> None:
        start.wait()
        async with SubscriptionManager(limits=Limits(messages_per_second=0)) as manager:
            wire = Wire(manager)
            wire.subscribe("1", QUERY)
            await wire.done()
            await asyncio.to_thread(at_work.wait)
            found.append(n_reactors())
            for n in range(n_events):
                await manager.publish_event("t", "tick", {"by": number, "n": n})
            await wire.until(lambda: len(wire.texts) > n_events)
            assert [body_of(text) for text in wire.texts[1:]] == [
                f'{{"data":{{"tick":{{"by":{number},"n":{n}}}}}}}}}' for n in range(n_events)
            ]
            assert manager.get_metrics()["deliveries"] == n_events
            await asyncio.to_thread(at_work.wait)
            await wire.left()

    in_threads([lambda n=n: asyncio.run(serve(n)) for n in range(n_managers)])  # type: ignore[misc]
    assert found == [1] * n_managers


# -- resolvers beside each other --------------------------------------------


@promised()
async def test_a_hundred_resolvers_that_sleep_sleep_together() -> None:
    """50 ms each, and all have the event in 70; five times that on a machine
    that is busy with other tests."""
    n, limit = 100, 0.07 * size(5, 1)
    async with SubscriptionManager(limits=Limits(messages_per_second=0)) as manager:

        @manager.subscription
        async def tick(event: Any, variables: Any) -> Any:
            await asyncio.sleep(0.05)
            return event

        wires = [Wire(manager) for _ in range(10)]
        for wire in wires:
            for k in range(n // 10):
                wire.subscribe(str(k), QUERY)
            await wire.done()
        taken: list[float] = []
        for attempt in range(5):
            expected = 1 + (attempt + 1) * n // len(wires)
            started = time.monotonic()
            await manager.publish_event("t", "tick", {"by": 0, "n": attempt})
            for wire in wires:
                await wire.until(lambda w=wire, n=expected: len(w.texts) == n)
            taken.append(time.monotonic() - started)
        assert 0.05 <= min(taken) < limit, taken
        for wire in wires:
            await wire.left()


async def test_a_resolver_that_hangs_delays_no_other() -> None:
    async with SubscriptionManager(limits=Limits(messages_per_second=0)) as manager:
        released = asyncio.Event()

        @manager.subscription
        async def tick(event: Any, variables: Any) -> Any:
            if variables.get("hang"):
                await released.wait()
            return event

        query = "subscription ($hang: Boolean) { tick(hang: $hang) { n } }"
        for name, hang in (("hanging", True), ("other", False)):
            await manager.create_subscription(
                name, "c", query, None, {"hang": hang}, tick, None, None
            )
        for n in range(20):
            manager.publish("tick", {"n": n})
        got: list[bytes] = []
        started = time.monotonic()
        while len(got) < 20:
            assert time.monotonic() - started < 10
            message = await manager.get_next_event("other")
            if message is None:
                await asyncio.sleep(0.001)
            else:
                got.append(message)
        assert await manager.get_next_event("hanging") is None
        released.set()
        await until(lambda: manager.get_metrics()["deliveries"] == 40)
