# SPDX-License-Identifier: MIT
"""What the processes of bench_bus.py share: the events, their channels, their bus, the pace."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from fraiseql_asgi import EventBusConfig

#: One client listens to each. An async resolver has one call at a time per subscription, so that
#: 1 ms of waiting allows a subscription well below 1,000 events/s.
N_CHANNELS = 10
FIELDS = "seq at id status customer total note"
#: How many events a Redis keeps: more than a bench publishes, as a reader that is behind by more
#: than the default of 10,000 has lost some, which is not what is measured.
HISTORY = 2_000_000


def bus_of(url: str) -> EventBusConfig:
    if url.startswith("redis"):
        return EventBusConfig.redis(url, "bench", history_events=HISTORY)
    return EventBusConfig.from_url(url)


def channel(i: int) -> str:
    return f"orders:{i % N_CHANNELS}"


def data(i: int) -> dict[str, Any]:
    """Event number `i`, the `seq`-th of its channel, of about 230 bytes; `at` is now."""
    return {
        "seq": i // N_CHANNELS,
        "at": time.monotonic_ns(),
        "id": f"order-{100_000 + i}",
        "status": "SHIPPED",
        "customer": "Ada Lovelace, 12 St James's Square, London",
        "total": 129.5,
        "note": "left with the neighbour at number 14",
    }


def paced(n: int, rate: float) -> Iterator[int]:
    """Yield 0 .. n - 1, `rate` a second; what is late is not waited for."""
    start = time.monotonic()
    for i in range(n):
        left = start + i / rate - time.monotonic()
        if left > 0:
            time.sleep(left)
        yield i
