# SPDX-License-Identifier: MIT
"""Subscriptions that come and go, and connections that are lost, for long: run
in an interpreter of its own by test_soak.py, which reads the JSON it prints.

    PYTHONPATH=tests python tests/concurrency/soak.py cycles 1000000
    PYTHONPATH=tests python tests/concurrency/soak.py losses 100000
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import pathlib
import sys
import time
from typing import Any

from wire import Wire

from fraiseql_asgi import EventBusConfig, Limits, SubscriptionExecutor, SubscriptionManager, _core

#: What is kept for clients that come back is no growth to look for.
NO_HISTORY = EventBusConfig.memory(history_events=0)
#: Subscriptions started together on one connection.
BATCH = 100
#: The part that runs before the first measurement: free lists, caches and the
#: allocator's own tables reach the size that they keep.
WARM_UP = 0.1


class Counts:
    """Async generators that began, and whose `finally` has run."""

    n_begun = 0
    n_ended = 0


def new_manager() -> SubscriptionManager:
    # A client that asks as fast as it can is what is wanted here.
    manager = SubscriptionManager(NO_HISTORY, limits=Limits(messages_per_second=0))
    manager.subscription("tick")

    @manager.subscription
    async def resolved(event: Any, variables: Any) -> Any:
        await asyncio.sleep(0)
        return event

    @manager.subscription
    async def hanging(event: Any, variables: Any) -> Any:
        await asyncio.Event().wait()

    @manager.subscription
    async def source(variables: Any) -> Any:
        Counts.n_begun += 1
        try:
            yield {"n": 1}
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            Counts.n_ended += 1

    return manager


#: What a client asks for in turn; half have nothing of Python in them.
QUERIES = [
    "subscription { tick { n } }",
    "subscription { resolved { n } }",
    "subscription { tick { n m } }",
    "subscription { source { n } }",
    "subscription { tick { other: n } }",
    "subscription { hanging { n } }",
]


def read_rss() -> int:
    pages = pathlib.Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


class Meter:
    """What there is, when nothing is under way."""

    def __init__(self, manager: SubscriptionManager) -> None:
        self.manager = manager

    async def read(self) -> dict[str, int]:
        deadline = time.monotonic() + 30
        while Counts.n_begun != Counts.n_ended or any(self.tables().values()):
            assert time.monotonic() < deadline, (vars(Counts), self.tables())
            await asyncio.sleep(0.01)
        gc.collect()
        return {
            "rss": read_rss(),
            "blocks": _core.n_live_blocks(),
            "objects": len(gc.get_objects()),
            "tasks": len(asyncio.all_tasks()),
            "descriptors": len(os.listdir("/proc/self/fd")),
            "plans": self.manager.get_metrics()["plans_cached"],
        }

    def tables(self) -> dict[str, int]:
        """What must be empty."""
        metrics = self.manager.get_metrics()
        return {
            "connections": metrics["connections_active"],
            "subscriptions": metrics["subscriptions_active"],
            "pending": metrics["subscriptions_pending"],
            "channels": metrics["channels_active"],
            "bytes": metrics["subscriptions_bytes"],
            "messages": metrics["queued_messages"],
            "message_bytes": metrics["queued_bytes"],
            "events": metrics["events_waiting"],
        }


async def cycle_wire(wire: Wire, n: int) -> None:
    """`n` subscriptions of one client, started and completed."""
    for first in range(0, n, BATCH):
        ids = [str(k) for k in range(first, min(first + BATCH, n))]
        for k in ids:
            wire.subscribe(k, QUERIES[int(k) % len(QUERIES)])
        await wire.done()
        if first % (10 * BATCH) == 0:
            for channel in ("tick", "resolved", "hanging"):
                wire.manager.publish(channel, {"n": first})
        for k in ids:
            wire.complete(k)
        await wire.done()
        wire.texts.clear()


def cycle_executor(executor: SubscriptionExecutor, n: int) -> None:
    """The same without a client."""
    for k in range(n):
        executor.register_subscription("c", "s", QUERIES[0], None, None, None, None)
        if k % 10 == 0:
            executor.publish_event("t", "tick", {"n": k})
            assert executor.next_event("s")
        executor.complete_subscription("s")


async def cycles(manager: SubscriptionManager, n: int) -> None:
    """Nine of ten by clients, the others by the application."""
    wires = [Wire(manager) for _ in range(4)]
    await asyncio.gather(*(cycle_wire(wire, n * 9 // 10 // len(wires)) for wire in wires))
    for wire in wires:
        await wire.left()
    await asyncio.to_thread(cycle_executor, manager.executor, n // 10)


async def lose(manager: SubscriptionManager, n: int) -> None:
    """Connections lost: before they begin, while they begin, with operations."""
    for k in range(n):
        wire = Wire(manager)
        for name in range(k % 4):
            wire.subscribe(str(name), QUERIES[(k + name) % len(QUERIES)])
        if k % 5:
            await wire.done()
        if k % 7 == 0:
            for channel in ("tick", "resolved", "hanging"):
                manager.publish(channel, {"n": k})
            await asyncio.sleep(0)
        await wire.left()


async def losses(manager: SubscriptionManager, n: int) -> None:
    await asyncio.gather(*(lose(manager, n // 10) for _ in range(10)))


async def main(kind: str, n: int) -> None:
    work = {"cycles": cycles, "losses": losses}[kind]
    async with new_manager() as manager:
        meter = Meter(manager)
        await work(manager, max(int(n * WARM_UP), min(n, 2000)))
        before = await meter.read()
        started = time.monotonic()
        await work(manager, n)
        seconds = time.monotonic() - started
        after = await meter.read()
        metrics = manager.get_metrics()
    print(
        json.dumps(
            {
                "kind": kind,
                "n": n,
                "seconds": seconds,
                "before": before,
                "after": after,
                "begun": Counts.n_begun,
                "ended": Counts.n_ended,
                "subscriptions": metrics["subscriptions_total"],
                "connections": metrics["connections_total"],
            }
        )
    )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
