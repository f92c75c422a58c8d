# SPDX-License-Identifier: MIT
"""Publishing from where nobody may wait, while the door is full: no deadlock."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from wire import Wire

from fraiseql_asgi import Limits, QueueFull, SubscriptionManager

#: How often each place publishes until it is told that the door is full.
N_TRIES = 4
#: More events than a full door lets in.
N_EVENTS = 20_000
QUERY = "subscription { tick { n } }"

pytestmark = pytest.mark.timeout(120)


def new_manager(**settings: Any) -> SubscriptionManager:
    return SubscriptionManager(limits=Limits(queue_max_items=16), publish_timeout=60.0, **settings)


@contextlib.contextmanager
def full_door(manager: SubscriptionManager) -> Iterator[None]:
    """Until it is left, a thread publishes as fast as there is room, and each
    event takes the engine longer than it takes to publish one."""
    executor = manager.executor
    for n in range(60):
        executor.register_subscription(
            "c", f"p{n}", f"subscription {{ a{n}: noise {{ n }} }}", None, None, None, None
        )
    is_over = False

    def publish() -> None:
        while not is_over:
            manager.publish("noise", {"n": 1})

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        deadline = time.monotonic() + 60
        while manager.get_metrics()["events_waiting"] < 16_000:
            assert time.monotonic() < deadline, "the door does not fill"
            time.sleep(0.001)
        yield
    finally:
        is_over = True
        thread.join()


class Tries:
    """What became of publishing."""

    def __init__(self, manager: SubscriptionManager, *, in_loop: bool = True) -> None:
        self.manager = manager
        self.in_loop = in_loop
        self.n_waited = 0
        self.n_full = 0

    def publish(self) -> None:
        """Publish until there is no room; where no loop runs each waits for
        room, and a few are enough."""
        for _ in range(N_EVENTS if self.in_loop else 100):
            try:
                self.manager.publish("noise", {"n": 2})
            except QueueFull:
                self.n_full += 1
                return
        self.n_waited += 1

    @property
    def n(self) -> int:
        return self.n_waited + self.n_full


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_from_a_resolver(kind: str) -> None:
    manager = new_manager()
    tries = Tries(manager)
    if kind == "sync":

        @manager.subscription
        def tick(event: Any, variables: Any) -> Any:
            tries.publish()
            return event

    else:

        @manager.subscription(channel="tick")
        async def tick(event: Any, variables: Any) -> Any:
            tries.publish()
            await manager.publish_event("t", "other", {"n": 1})
            return event

    manager.subscription("noise")
    async with manager:
        wire = Wire(manager)
        wire.subscribe("1", QUERY)
        await wire.done()
        with full_door(manager):
            await asyncio.gather(
                *(manager.publish_event("t", "tick", {"n": n}) for n in range(N_TRIES))
            )
            await wire.until(lambda: len(wire.texts) == 1 + N_TRIES)
        await wire.left()
    assert tries.n == N_TRIES
    assert tries.n_full > 0


async def test_from_a_source() -> None:
    manager = new_manager()
    tries = Tries(manager)

    @manager.subscription
    async def tick(variables: Any) -> Any:
        for n in range(N_TRIES):
            tries.publish()
            yield {"n": n}

    manager.subscription("noise")
    async with manager:
        wire = Wire(manager)
        await wire.done()
        with full_door(manager):
            wire.subscribe("1", QUERY)
            await wire.until(lambda: '{"id":"1","type":"complete"}' in wire.texts)
        await wire.left()
    assert tries.n == N_TRIES
    assert tries.n_full > 0


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_from_an_auth_handler(kind: str) -> None:
    tries: Tries

    def authenticate(payload: Any) -> Any:
        tries.publish()
        return {"user_id": "ann"}

    async def authenticate_later(payload: Any) -> Any:
        tries.publish()
        await manager.publish_event("t", "other", {"n": 1})
        return {"user_id": "ann"}

    manager = new_manager(auth_handler=authenticate if kind == "sync" else authenticate_later)
    tries = Tries(manager)
    manager.subscription("noise")
    async with manager:
        with full_door(manager):
            for _ in range(N_TRIES):
                wire = Wire(manager)
                await wire.done()
                await wire.left()
    assert tries.n == N_TRIES
    assert tries.n_full > 0


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_from_an_initial_value(kind: str) -> None:
    manager = new_manager()
    tries = Tries(manager)

    def load(variables: Any, context: Any) -> Any:
        tries.publish()
        return {"n": 1}

    async def load_later(variables: Any, context: Any) -> Any:
        tries.publish()
        await manager.publish_event("t", "other", {"n": 1})
        return {"n": 1}

    manager.subscription("tick", initial=load if kind == "sync" else load_later)
    manager.subscription("noise")
    async with manager:
        wire = Wire(manager)
        await wire.done()
        with full_door(manager):
            for n in range(N_TRIES):
                wire.subscribe(str(n), QUERY)
            await wire.until(lambda: len(wire.texts) == 1 + N_TRIES)
        await wire.left()
    assert tries.n == N_TRIES
    assert tries.n_full > 0


@pytest.mark.parametrize("with_loop", [True, False])
def test_from_a_signal_handler(with_loop: bool) -> None:
    """In the main thread, in whatever it is doing: also in publishing."""
    manager = new_manager()
    tries = Tries(manager, in_loop=with_loop)

    depth = 0

    def handle(*ignored: object) -> None:
        """Interrupted by itself, but not without end."""
        nonlocal depth
        depth += 1
        if depth < 3:
            signal.setitimer(signal.ITIMER_REAL, 0.002)
        tries.publish()
        depth -= 1
        if depth == 0 and tries.n < N_TRIES:
            signal.setitimer(signal.ITIMER_REAL, 0.002)

    async def in_loop() -> None:
        while tries.n < N_TRIES:
            with contextlib.suppress(QueueFull):
                manager.publish("noise", {"n": 3})
            await asyncio.sleep(0)

    before = signal.signal(signal.SIGALRM, handle)
    try:
        with full_door(manager):
            signal.setitimer(signal.ITIMER_REAL, 0.002)
            if with_loop:
                asyncio.run(in_loop())
                assert tries.n_full > 0
            else:
                # Nested: each waits for room in the middle of another wait.
                while tries.n < N_TRIES:
                    manager.publish("noise", {"n": 3})
            signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert tries.n >= N_TRIES
    asyncio.run(manager.aclose())


class Dying:
    def __init__(self, tries: Tries) -> None:
        self.tries = tries
        self.cycle = self

    def __del__(self) -> None:
        self.tries.publish()


@pytest.mark.parametrize("with_loop", [True, False])
def test_from_a_finalizer(with_loop: bool) -> None:
    """When the last reference goes, and in a collection."""
    manager = new_manager()
    tries = Tries(manager, in_loop=with_loop)

    async def in_loop() -> None:
        for _ in range(N_TRIES):
            Dying(tries)
            gc.collect(0)
            await asyncio.sleep(0)

    with full_door(manager):
        if with_loop:
            asyncio.run(in_loop())
        else:
            for _ in range(N_TRIES):
                Dying(tries)
                gc.collect(0)
    gc.collect()
    assert tries.n == N_TRIES
    assert not with_loop or tries.n_full > 0
    asyncio.run(manager.aclose())
