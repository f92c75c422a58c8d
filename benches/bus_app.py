# SPDX-License-Identifier: MIT
"""A server under test of bench_bus.py: BENCH_BUS is its bus.

`POST /broadcast?n=5000` publishes at BENCH_RATE events/s from a thread of this process, for the
embedded bus, which nobody else can reach.
"""

from __future__ import annotations

import asyncio
import os
import threading
from typing import Any

from bus_events import bus_of, channel, data, paced
from fanout_common import Receive, Scope, Send, control

from fraiseql_asgi import Limits, SubscriptionManager

#: Large enough for a burst of all events: what is measured is how long they take.
LIMITS = Limits(queue_max_items=1_000_000, queue_max_bytes=1 << 30)
manager = SubscriptionManager(
    bus_of(os.environ["BENCH_BUS"]), limits=LIMITS if "BENCH_BURST" in os.environ else None
)
manager.subscription("direct", channel="orders:{id}")


@manager.subscription(channel="orders:{id}")
async def resolved(event: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
    await asyncio.sleep(0.001)
    return event


def publish(n: int) -> None:
    for i in paced(n, float(os.environ["BENCH_RATE"])):
        manager.publish(channel(i), data(i), event_type="orderUpdated")


def broadcast(n: int) -> None:
    threading.Thread(target=publish, args=(n,), daemon=True).start()


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http" and scope["path"] == "/broadcast":
        await control(scope, send, broadcast)
    else:
        await manager(scope, receive, send)
