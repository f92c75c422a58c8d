# SPDX-License-Identifier: MIT
"""One manager, several threads that publish, several event loops that serve."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from asgi_driver import Connection, new_loop, run_in

from fraiseql_asgi import Limits, SubscriptionManager

N_LOOPS = 4
N_CLIENTS = 20
N_PUBLISHERS = 4
N_EVENTS = 200


@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", ["none", "sync", "async"])
def test_nothing_is_lost_between_threads_and_loops(kind: str) -> None:
    # The clients say nothing for as long as it takes, and expect no ping.
    manager = SubscriptionManager(limits=Limits(keep_alive=0))
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

    n_waiting = threading.Barrier(N_LOOPS + N_PUBLISHERS, timeout=60)
    faults: list[BaseException] = []
    got: list[list[Any]] = []

    async def serve() -> None:
        clients = [
            await Connection(manager).subscribed("subscription { tick { by n } }")
            for _ in range(N_CLIENTS)
        ]
        await asyncio.to_thread(n_waiting.wait)
        for client in clients:
            messages = [await client.read() for _ in range(N_PUBLISHERS * N_EVENTS)]
            got.append([message["payload"]["data"]["tick"] for message in messages])
            await client.left()

    def run_loop(number: int) -> None:
        try:
            run_in(new_loop("uvloop" if number % 2 else "asyncio"), serve())
        except BaseException as fault:
            faults.append(fault)

    def publish(number: int) -> None:
        try:
            n_waiting.wait()
            for n in range(N_EVENTS):
                manager.publish("tick", {"by": number, "n": n})
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=run_loop, args=(n,)) for n in range(N_LOOPS)]
    threads += [threading.Thread(target=publish, args=(n,)) for n in range(N_PUBLISHERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    # Everybody has the one order of the bus, which keeps that of each thread.
    assert len(got) == N_LOOPS * N_CLIENTS
    assert all(each == got[0] for each in got)
    for number in range(N_PUBLISHERS):
        mine = [tick["n"] for tick in got[0] if tick["by"] == number]
        assert mine == list(range(N_EVENTS))
    asyncio.run(manager.aclose())
