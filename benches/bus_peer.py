# SPDX-License-Identifier: MIT
"""The other processes of bench_bus.py; each prints one line of JSON in the end.

bus_peer.py write URL N RATE     N events, one by one, by what another program would do: an
                                 XADD, or a statement that calls fraiseql.publish and commits
bus_peer.py publish URL N SIZE   N events by publish_events, SIZE in each call
bus_peer.py count URL            an instance with a subscription to each channel: READY, then,
                                 told a number on stdin, when it has had so many
"""

from __future__ import annotations

import asyncio
import json
import os
import pathlib
import sys
import time
import urllib.parse
from collections.abc import Callable

from bus_events import FIELDS, HISTORY, N_CHANNELS, bus_of, channel, data, paced

from fraiseql_asgi import Event, SubscriptionExecutor, SubscriptionManager
from fraiseql_asgi._core import PostgresClient

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests"))

from redis_backend import RedisClient

#: Events that wait for a first connection, and for the caches.
N_WARM_UP = 1000


def threads() -> dict[str, float]:
    """CPU seconds of the threads that run Python, and of the reactor."""
    seconds = {"python": 0.0, "reactor": 0.0}
    for task in pathlib.Path("/proc/self/task").iterdir():
        fields = (task / "stat").read_text().rpartition(") ")[2].split()
        name = (task / "comm").read_text().strip()
        kind = "reactor" if name == "fraiseql" else "python"
        seconds[kind] += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return seconds


def report(before: dict[str, float], **values: float) -> None:
    now = threads()
    print(json.dumps(values | {name: now[name] - before[name] for name in now}), flush=True)


def writer(url: str) -> Callable[[str, str], object]:
    """What publishes data to a channel, and returns when the server has it."""
    if url.startswith("postgresql"):
        client = PostgresClient(url)
        statement = "SELECT fraiseql.publish($1, 'orderUpdated', $2::jsonb)"
        return lambda name, text: client.execute(statement, (name, text))
    import socket

    address = urllib.parse.urlsplit(url)
    redis = RedisClient(socket.create_connection((address.hostname, address.port)))
    words = ("XADD", "bench:events", "MAXLEN", "~", HISTORY, "*")
    return lambda name, text: redis.command(
        *words, "channel", name, "event_type", "orderUpdated", "data", text
    )


def write(url: str, n: int, rate: float) -> None:
    publish = writer(url)
    before = threads()
    start = time.monotonic()
    for i in paced(n, rate):
        publish(channel(i), json.dumps(data(i)))
    report(before, seconds=time.monotonic() - start)


async def publish(url: str, n: int, size: int) -> None:
    async with SubscriptionManager(bus_of(url)) as manager:
        warm_up = [Event("warmUp", "warm-up", {"n": i}) for i in range(N_WARM_UP)]
        await manager.publish_events(warm_up)
        before = threads()
        start = time.monotonic()
        for first in range(0, n, size):
            numbers = range(first, min(first + size, n))
            ids = await manager.publish_events(
                [Event("orderUpdated", channel(i), data(i)) for i in numbers]
            )
            assert len(ids) == len(numbers)
        seconds = time.monotonic() - start
        report(before, seconds=seconds, start_ns=start * 1e9)


def count(url: str) -> None:
    with SubscriptionExecutor(bus_of(url)) as executor:
        for i in range(N_CHANNELS):
            query = f"subscription {{ order {{ {FIELDS} }} }}"
            executor.register_subscription(
                "c", str(i), query, None, {}, "u", None, channels=[channel(i)]
            )
        before = threads()
        print("READY", flush=True)
        n = int(sys.stdin.readline())
        while (metrics := executor.get_metrics())["deliveries"] < n and not metrics["bus_gaps"]:
            time.sleep(0.002)
        report(
            before, end_ns=time.monotonic_ns(), n=metrics["deliveries"], gaps=metrics["bus_gaps"]
        )


def main() -> None:
    what, url, *numbers = sys.argv[1:]
    if what == "write":
        write(url, int(numbers[0]), float(numbers[1]))
    elif what == "publish":
        asyncio.run(publish(url, int(numbers[0]), int(numbers[1])))
    else:
        count(url)


if __name__ == "__main__":
    main()
