# SPDX-License-Identifier: MIT
"""The engine as Python sees it: calls with 10,000 live subscriptions, memory of
a subscription, events that select, security, resolvers beside a bare call, the event loop
under load.

    python benches/bench_service.py [calls] [memory] [selective] [security]
        [resolvers] [lag]
"""

from __future__ import annotations

import argparse
import asyncio
import concurrent.futures
import gc
import multiprocessing
import os
import pathlib
import platform
import statistics
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

from plot import Plot, Series

from fraiseql_asgi import Limits, SubscriptionExecutor, SubscriptionManager, arg, ctx, event
from fraiseql_asgi.filters import Filter
from fraiseql_asgi.security import Security

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

from wire import Wire  # noqa: E402  (an ASGI connection without a server)

QUERY = (
    "subscription OnOrder($id: ID, $region: String) { orderUpdated(id: $id, region: $region) "
    "{ id status total currency customer { id name } } }"
)
DATA = {
    "id": "ord_8f14e45fceea167a",
    "status": "shipped",
    "total": 1299.5,
    "currency": "EUR",
    "customer": {"id": "cus_91", "name": "Anna Schmidt", "region": "eu-west"},
}


def quantiles(samples: list[float], scale: float = 1e6) -> tuple[float, float, float]:
    """p50, p99 and the greatest, in microseconds."""
    samples = sorted(samples)
    return (
        samples[len(samples) // 2] * scale,
        samples[len(samples) * 99 // 100] * scale,
        samples[-1] * scale,
    )


# -- calls ------------------------------------------------------------------


def register(executor: SubscriptionExecutor, number: int) -> None:
    executor.register_subscription(
        f"c{number % 100}",
        f"s{number}",
        QUERY,
        None,
        {"id": str(number), "region": "eu-west"},
        f"u{number}",
        "acme",
        channels=[f"order:{number % 1000}"],
    )


def bench_calls(n_live: int = 10_000, n_samples: int = 10_000) -> None:
    """Each call alone, from a thread without an event loop; an event has ten
    subscribers."""
    samples: dict[str, list[float]] = {}

    def timed(name: str, call: Callable[[], object]) -> None:
        started = time.perf_counter()
        call()
        samples.setdefault(name, []).append(time.perf_counter() - started)

    with SubscriptionExecutor() as executor:
        for number in range(n_live):
            register(executor, number)
        gc.collect()
        for n in range(n_samples):
            number = n_live + n
            timed("register_subscription", lambda number=number: register(executor, number))  # type: ignore[misc]
            channel = f"order:{n % 1000}"
            timed("publish_event", lambda c=channel: executor.publish_event("updated", c, DATA))  # type: ignore[misc]
            timed("next_event", lambda n=n: executor.next_event(f"s{n % 1000}"))  # type: ignore[misc]
            timed("get_metrics", executor.get_metrics)
            timed(
                "complete_subscription",
                lambda number=number: executor.complete_subscription(f"s{number}"),  # type: ignore[misc]
            )
        metrics = executor.get_metrics()
        assert metrics["subscriptions_active"] == n_live
    print(f"\n{n_live:,} live subscriptions, an event has {n_live // 1000} subscribers or one more")
    print(f"{'call':<24} {'p50 us':>9} {'p99 us':>9} {'max us':>10}   goal: p99 < 1,000 us")
    for name, values in samples.items():
        p50, p99, most = quantiles(values)
        print(f"{name:<24} {p50:>9.1f} {p99:>9.1f} {most:>10.1f}   {len(values):,} samples")


# -- memory -----------------------------------------------------------------


def rss() -> int:
    gc.collect()
    pages = pathlib.Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


async def further_subscription(where: Filter | None, n_wires: int, n_each: int) -> list[float]:
    """Bytes of RSS and of `subscriptions_bytes` for each of `n_each` further
    subscriptions of a connection."""
    limits = Limits(
        messages_per_second=0,
        max_subscriptions_per_connection=10**6,
        events_per_second_per_subscription=100,
    )
    async with SubscriptionManager(limits=limits) as manager:
        manager.subscription("orderUpdated", where=where)
        wires = [Wire(manager) for _ in range(n_wires)]

        async def subscribe(first: int, n: int) -> None:
            for wire in wires:
                for number in range(first, first + n):
                    wire.write(
                        f'{{"id":"{number}","type":"subscribe","payload":{{"query":"{QUERY}",'
                        f'"variables":{{"id":"ord_{number}","region":"eu-west"}}}}}}'
                    )
                await wire.done()
                wire.texts.clear()

        # The first ones bring what is made once per connection.
        await subscribe(0, 20)
        before = rss(), manager.get_metrics()["subscriptions_bytes"]
        await subscribe(20, n_each)
        after = rss(), manager.get_metrics()["subscriptions_bytes"]
        assert manager.get_metrics()["subscriptions_active"] == n_wires * (20 + n_each)
        for wire in wires:
            await wire.left()
        return [(b - a) / (n_wires * n_each) for a, b in zip(before, after, strict=True)]


FILTERS: dict[str, Filter | None] = {
    "none": None,
    "event.id == arg.id": event.id == arg.id,
    "and event.customer.region == arg.region": (event.id == arg.id)
    & (event.customer.region == arg.region),
    "and event.total > 100": (event.id == arg.id)
    & (event.customer.region == arg.region)
    & (event.total > 100),
}
SPAWN = multiprocessing.get_context("spawn")


def memory_in_child(name: str, n_wires: int, n_each: int) -> list[float]:
    return asyncio.run(further_subscription(FILTERS[name], n_wires, n_each))


def bench_memory(n_wires: int = 100, n_each: int = 500) -> None:
    """What a further subscription of a connection adds to the process."""
    print("\nmemory of a further subscription of a connection: two variables, a rate limit")
    print(f"{'where':<48} {'RSS bytes':>10} {'counted':>8}   goal: 1,024")
    for name in FILTERS:
        # In a process of its own, as memory that another one freed is used again.
        with concurrent.futures.ProcessPoolExecutor(1, mp_context=SPAWN) as pool:
            used, counted = pool.submit(memory_in_child, name, n_wires, n_each).result()
        print(f"{name:<48} {used:>10,.0f} {counted:>8,.0f}   {n_wires * n_each:,} measured")


# -- selective events -------------------------------------------------------


async def selective(n: int, n_events: int) -> float:
    """Mean time in the engine of an event that one of `n` subscriptions of a
    channel wants, in seconds; by `dispatch_seconds`, which a bucket does not
    round."""
    limits = Limits(messages_per_second=0, max_subscriptions_per_connection=10**6)
    async with SubscriptionManager(limits=limits) as manager:
        manager.subscription("order", where=event.id == arg.id)
        n_wires = min(n, 100)
        wires = [Wire(manager) for _ in range(n_wires)]
        for first in range(0, n, n_wires * 100):
            for number in range(first, min(first + n_wires * 100, n)):
                wires[number % n_wires].write(
                    f'{{"id":"{number}","type":"subscribe","payload":{{"query":"subscription '
                    f'($id: ID) {{ order(id: $id) {{ id }} }}","variables":{{"id":"{number}"}}}}}}'
                )
            for wire in wires:
                await wire.done()
        assert manager.get_metrics()["subscriptions_active"] == n
        total, count = 0.0, 0
        # The first ones warm up.
        for k in range(2 * n_events):
            if k == n_events:
                before = manager.get_metrics()["dispatch_seconds"]
                total, count = before["sum"], before["count"]
            await manager.publish_event("t", "order", {"id": str(k * 7919 % n), "total": k})
        found = manager.get_metrics()
        while found["dispatch_seconds"]["count"] < 2 * n_events:
            await asyncio.sleep(0.01)
            found = manager.get_metrics()
        assert found["events_matched"] == 2 * n_events
        for wire in wires:
            await wire.left()
        return (found["dispatch_seconds"]["sum"] - total) / (
            found["dispatch_seconds"]["count"] - count
        )


async def bench_selective(counts: list[int], path: pathlib.Path | None) -> None:
    print("\nan event of one channel that one subscription wants, by event.id == arg.id")
    print(f"{'subscriptions':>14} {'mean us':>9}   goal: flat")
    points = []
    for n in counts:
        mean = await selective(n, 3000)
        points.append((float(n), mean * 1e6))
        print(f"{n:>14,} {mean * 1e6:>9.2f}")
        gc.collect()
    if path is not None:
        plot = Plot(
            title="One event that one of n subscriptions selects",
            x_label="subscriptions of the channel",
            y_label="microseconds in the engine, mean",
        )
        plot.add(Series("dispatch", points))
        plot.write(path)


# -- security ---------------------------------------------------------------


def dispatch_mean(security: Security | None, n: int, n_events: int) -> float:
    """Mean time in the engine of an event for `n` subscribers, in seconds."""
    manager = SubscriptionManager(security=security, limits=Limits(queue_max_items=16))
    manager.subscription("order")
    with manager.executor as executor:
        for number in range(n):
            executor.register_subscription(
                "c", f"s{number}", "subscription { order { id total } }", None, None, "ada", "acme"
            )
        total, count = 0.0, 0
        for k in range(2 * n_events):
            if k == n_events:
                before = executor.get_metrics()["dispatch_seconds"]
                total, count = before["sum"], before["count"]
            # Queues stay short, so that what is measured is not their overflow.
            if k % 16 == 0:
                for number in range(n):
                    while executor.next_event(f"s{number}") is not None:
                        pass
            manager.publish("order", {"id": k, "total": 5, "owner": "ada"}, tenant_id="acme")
            while executor.get_metrics()["dispatch_seconds"]["count"] <= k:
                time.sleep(0.0001)
        found = executor.get_metrics()
        assert found["events_matched"] >= n * n_events
        assert found["deliveries"] == 2 * n * n_events
        after = found["dispatch_seconds"]
        return (after["sum"] - total) / (after["count"] - count)


def bench_security(n: int = 1000, n_events: int = 100, rounds: int = 5) -> None:
    kinds = {
        "none": None,
        "tenant": Security(multi_tenant=True),
        "tenant and row": Security(multi_tenant=True, rows={"order": event.owner == ctx.user_id}),
    }
    found: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(rounds):
        for name, security in kinds.items():
            found[name].append(dispatch_mean(security, n, n_events) / n * 1e9)
    print(f"\nsecurity: an event for {n:,} subscribers, all of whom may see it; least of {rounds}")
    print(f"{'policy':<16} {'ns per subscriber':>18} {'beyond none':>12}   goal: 200")
    for name, values in found.items():
        each = min(values)
        print(f"{name:<16} {each:>18.1f} {each - min(found['none']):>12.1f}")


# -- resolvers --------------------------------------------------------------


def sync_resolver(event: Any, variables: Any) -> Any:
    return event


async def async_resolver(event: Any, variables: Any) -> Any:
    return event


async def async_sleeping(event: Any, variables: Any) -> Any:
    await asyncio.sleep(0)
    return event


for each in (sync_resolver, async_resolver, async_sleeping):
    each.__name__ = "tick"  # the field


async def deliver(
    resolver: Callable[..., Any] | None, n_subscriptions: int, n_events: int
) -> tuple[float, float]:
    """Wall and CPU time of the process per delivery, in seconds."""
    limits = Limits(messages_per_second=0, queue_max_items=10**6, queue_max_bytes=10**9)
    async with SubscriptionManager(limits=limits) as manager:
        if resolver is None:
            manager.subscription("tick")
        else:
            manager.subscription(resolver)
        wires = [Wire(manager) for _ in range(max(1, n_subscriptions // 100))]
        for wire in wires:
            for number in range(n_subscriptions // len(wires)):
                wire.subscribe(str(number), "subscription { tick { id status total } }")
            await wire.done()
            wire.texts.clear()
        n = n_subscriptions * n_events
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(n_events):
            manager.publish("tick", DATA)
        for wire in wires:
            await wire.until(lambda w=wire: len(w.texts) == n // len(wires))
        result = (time.perf_counter() - wall) / n, (time.process_time() - cpu) / n
        for wire in wires:
            await wire.left()
        return result


async def bare_calls(resolver: Callable[..., Any], n: int) -> float:
    """A call in Python with a dict made anew, as a resolver gets it."""
    started = time.perf_counter()
    for _ in range(n):
        value = resolver(dict(DATA), {})
        if asyncio.iscoroutine(value):
            await value
    return (time.perf_counter() - started) / n


async def bench_resolvers(rounds: int) -> None:
    print(
        "\nresolvers: microseconds per event and subscription, wall (CPU), median of "
        f"{rounds} rounds, and beyond a delivery without one and a bare call"
    )
    print(f"{'subscriptions':>14} {'kind':<16} {'per delivery':>18} {'beyond':>8}   goal")
    kinds: list[tuple[str, Any, str]] = [
        ("none", None, ""),
        ("sync", sync_resolver, "10"),
        ("async", async_resolver, "30"),
        ("async, sleep(0)", async_sleeping, "30"),
    ]
    for n_subscriptions, n_events in ((1, 3000), (100, 100), (1000, 10)):
        base = 0.0
        for name, resolver, goal in kinds:
            found = [await deliver(resolver, n_subscriptions, n_events) for _ in range(rounds)]
            wall = statistics.median(wall for wall, _ in found) * 1e6
            cpu = statistics.median(cpu for _, cpu in found) * 1e6
            bare = 0.0 if resolver is None else await bare_calls(resolver, 3000) * 1e6
            if resolver is None:
                base = wall
            beyond = wall - base - bare
            print(
                f"{n_subscriptions:>14} {name:<16} {wall:>8.2f} ({cpu:>6.2f}) "
                f"{beyond if resolver else 0:>8.2f}   {goal}"
            )


# -- the loop ---------------------------------------------------------------


class Lag:
    """How late a timer of the loop is."""

    def __init__(self) -> None:
        self.samples: list[float] = []

    async def watch(self, seconds: float, period: float = 0.005) -> None:
        end = time.perf_counter() + seconds
        while (now := time.perf_counter()) < end:
            await asyncio.sleep(period)
            self.samples.append(time.perf_counter() - now - period)


async def under_load(n_resolvers: int, seconds: float, n_busy: int) -> tuple[Lag, float, int]:
    """Lag, CPU time of the loop's thread and deliveries; an event each 20 ms.
    What a thread computes in Python it computes with the GIL."""
    stop = False

    def compute() -> None:
        n = 0
        while not stop:
            n += 1

    async with SubscriptionManager(limits=Limits(messages_per_second=0)) as manager:
        manager.subscription(sync_resolver)
        wires = [Wire(manager) for _ in range((n_resolvers + 99) // 100)]
        for wire in wires:
            for number in range(min(n_resolvers, 100)):
                wire.subscribe(str(number), "subscription { tick { id status total } }")
            await wire.done()
        threads = [threading.Thread(target=compute) for _ in range(n_busy)]
        for thread in threads:
            thread.start()
        lag = Lag()
        watching = asyncio.ensure_future(lag.watch(seconds))
        before, cpu = manager.get_metrics()["deliveries"], time.thread_time()
        while n_resolvers and not watching.done():
            manager.publish("tick", DATA)
            await asyncio.sleep(0.02)
        await watching
        cpu = time.thread_time() - cpu
        n = manager.get_metrics()["deliveries"] - before
        stop = True
        for thread in threads:
            thread.join()
        for wire in wires:
            await wire.left()
        return lag, cpu, n


async def bench_lag(seconds: float) -> None:
    print("\nthe loop beside two threads that compute, an event each 20 ms, sync resolvers")
    print(
        f"{'resolvers':>10} {'lag p50 ms':>11} {'p99 ms':>8} {'deliveries/s':>13} "
        f"{'GIL per delivery us':>20}"
    )
    idle = 0.0
    for n in (0, 1, 10, 100, 1000):
        lag, cpu, n_deliveries = await under_load(n, seconds, n_busy=2)
        p50, p99, _ = quantiles(lag.samples, 1e3)
        idle = cpu if n == 0 else idle
        each = (cpu - idle) / n_deliveries * 1e6 if n_deliveries else 0.0
        print(f"{n:>10} {p50:>11.2f} {p99:>8.2f} {n_deliveries / seconds:>13,.0f} {each:>20.1f}")


# -- all --------------------------------------------------------------------


def main() -> int:
    """Return 0."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    names = ("calls", "memory", "selective", "security", "resolvers", "lag")
    parser.add_argument("what", nargs="*", help=f"of {', '.join(names)}; all without")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each line of `lag`")
    parser.add_argument("--million", action="store_true", help="of `selective`, 1 GB of memory")
    parser.add_argument("--plot", type=pathlib.Path, help="write an SVG file of `selective`")
    options = parser.parse_args()
    if unknown := set(options.what) - set(names):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    what = options.what or names
    print(
        f"CPython {platform.python_version()}, {os.cpu_count()} cores, load before: "
        f"{os.getloadavg()[0]:.1f}"
    )
    if "calls" in what:
        bench_calls()
    if "memory" in what:
        bench_memory()
    if "security" in what:
        bench_security()
    jobs: dict[str, Callable[[], Awaitable[None]]] = {
        "selective": lambda: bench_selective(
            [10**k for k in range(2, 7 if options.million else 6)], options.plot
        ),
        "resolvers": lambda: bench_resolvers(options.rounds),
        "lag": lambda: bench_lag(options.seconds),
    }
    for name, job in jobs.items():
        if name in what:
            asyncio.run(job())  # type: ignore[arg-type]
    return 0


if __name__ == "__main__":
    sys.exit(main())
