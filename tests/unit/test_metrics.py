# SPDX-License-Identifier: MIT
"""get_metrics(): what is counted, where it is documented, and that it is true."""

from __future__ import annotations

import asyncio
import itertools
import math
import pathlib
import re
import time
from collections.abc import AsyncGenerator
from typing import Any, get_type_hints

import pytest
from asgi_driver import Connection, until

from fraiseql_asgi import EventBus, Limits, SubscriptionExecutor, SubscriptionManager
from fraiseql_asgi.types import Histogram, Metrics

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
HISTOGRAMS = [name for name, hint in get_type_hints(Metrics).items() if hint is Histogram]


def counts(metrics: Metrics) -> dict[str, int]:
    return {name: value for name, value in metrics.items() if isinstance(value, int)}


def ended(metrics: Metrics) -> dict[str, int]:
    """Reasons that occurred; together they are all that ended."""
    reasons = {name: value for name, value in counts(metrics).items() if name.startswith("ended_")}
    assert sum(reasons.values()) == metrics["subscriptions_completed"]
    return {name.removeprefix("ended_"): value for name, value in reasons.items() if value}


def closed(metrics: Metrics) -> dict[str, int]:
    return {
        name.removeprefix("closed_"): value
        for name, value in counts(metrics).items()
        if name.startswith("closed_") and value
    }


# -- the one list -----------------------------------------------------------


def test_everything_is_typed_and_documented() -> None:
    with SubscriptionExecutor() as executor, executor_of_a_manager() as other:
        names = list(executor.get_metrics())
        assert list(other.get_metrics()) == names
    assert set(names) == set(Metrics.__annotations__)
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
    documented = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    assert len(documented) == len(set(documented))
    expected = {*names, *Histogram.__annotations__}
    assert set(documented) - expected == set(), "docs/reference/metrics.md has too many"
    assert expected - set(documented) == set(), "docs/reference/metrics.md lacks these"


def executor_of_a_manager() -> SubscriptionExecutor:
    return SubscriptionManager().executor


def test_a_service_that_did_nothing_counts_nothing() -> None:
    with SubscriptionExecutor() as executor:
        metrics = executor.get_metrics()
        numbers = counts(metrics)
        assert numbers.pop("bus_up") == 1
        assert not any(numbers.values())
        assert HISTOGRAMS
        for name in HISTOGRAMS:
            histogram: Histogram = metrics[name]  # type: ignore[literal-required]
            assert histogram["count"] == 0
            assert histogram["sum"] == histogram["p50"] == histogram["p99"] == 0.0
            assert not any(histogram["buckets"].values())


# -- histograms -------------------------------------------------------------


def check(histogram: Histogram, count: int) -> None:
    """A histogram of `count` values that agrees with itself."""
    assert histogram["count"] == count
    bounds = list(histogram["buckets"])
    assert bounds == sorted(bounds)
    assert bounds[0] == 250e-9
    assert bounds[-1] == math.inf
    assert all(b == 2 * a for a, b in itertools.pairwise(bounds[:-1]))
    cumulative = list(histogram["buckets"].values())
    assert cumulative == sorted(cumulative)
    assert cumulative[-1] == count
    assert 0 < histogram["p50"] <= histogram["p90"] <= histogram["p99"]
    # Every value lies between half its bucket's bound and the bound.
    highest = next(b for b, n in histogram["buckets"].items() if n == count)
    assert histogram["sum"] <= count * highest
    assert histogram["p99"] <= highest


def test_events_are_timed() -> None:
    with SubscriptionExecutor() as executor:
        arguments = ("subscription { tick { n } }", None, None, None, None)
        executor.register_subscription("c", "direct", *arguments)

        def slow(event: Any, variables: Any) -> Any:
            time.sleep(0.01)
            return event

        executor.register_subscription("c", "resolved", *arguments, slow)
        for n in range(10):
            executor.publish_event("ticked", "tick", {"n": n})
        metrics = executor.get_metrics()
        check(metrics["dispatch_seconds"], 10)
        check(metrics["publish_seconds"], 10)
        check(metrics["resolver_seconds"], 10)
        assert metrics["resolver_seconds"]["sum"] >= 0.1
        assert metrics["resolver_seconds"]["p50"] > 0.005
        # Resolvers answer after the dispatch.
        assert metrics["dispatch_seconds"]["p50"] < 0.005


async def test_an_event_for_more_than_a_slice_is_timed_once() -> None:
    with SubscriptionExecutor() as executor:
        for n in range(5000):
            executor.register_subscription(
                "c", str(n), "subscription { tick }", None, None, None, None
            )
        executor.publish_event("ticked", "tick", {"n": 1})
        await until(lambda: executor.get_metrics()["dispatch_seconds"]["count"] > 0)
        assert executor.get_metrics()["deliveries"] == 5000
        check(executor.get_metrics()["dispatch_seconds"], 1)


async def test_connections_are_timed() -> None:
    async with SubscriptionManager() as manager:
        clients = [await Connection(manager).subscribed() for _ in range(3)]
        await asyncio.sleep(0.05)
        assert manager.get_metrics()["connection_seconds"]["count"] == 0
        for client in clients:
            await client.left()
        await until(lambda: manager.get_metrics()["connections_active"] == 0)
        histogram = manager.get_metrics()["connection_seconds"]
        check(histogram, 3)
        assert 0.15 <= histogram["sum"] < 10


def test_publishing_is_timed_for_all_users_of_a_bus() -> None:
    bus = EventBus("memory")
    with SubscriptionExecutor(bus) as one, SubscriptionExecutor(bus) as other:
        one.publish_event("ticked", "tick", {})
        other.publish_event("ticked", "tick", {})
        for executor in (one, other):
            check(executor.get_metrics()["publish_seconds"], 2)
            check(executor.get_metrics()["dispatch_seconds"], 2)
    bus.close()


# -- what waits, what is held -----------------------------------------------


def test_queues_are_counted() -> None:
    with SubscriptionExecutor() as executor:
        for name in ("a", "b"):
            executor.register_subscription(
                "c", name, "subscription { tick { n } }", None, None, None, None
            )
        for n in range(10):
            executor.publish_event("ticked", "tick", {"n": n})
        text = executor.next_event("a")
        assert text is not None
        metrics = executor.get_metrics()
        assert metrics["queued_messages"] == 19
        assert metrics["queued_bytes"] == 19 * len(text)
        executor.complete_subscription("b")
        assert executor.get_metrics()["queued_messages"] == 9
        while executor.next_event("a"):
            pass
        metrics = executor.get_metrics()
        assert (metrics["queued_messages"], metrics["queued_bytes"]) == (0, 0)


def test_queues_that_overflow_are_counted() -> None:
    limit = Limits(queue_max_items=16)
    manager = SubscriptionManager(limits=limit)
    with manager.executor as executor:
        executor.register_subscription(
            "c", "s", "subscription { tick { n } }", None, None, None, None
        )
        for n in range(100):
            executor.publish_event("ticked", "tick", {"n": n})
        metrics = executor.get_metrics()
        assert metrics["queued_messages"] == 16
        assert metrics["deliveries_dropped"] == 84
        lengths = [len(executor.next_event("s") or b"") for _ in range(16)]
        assert sum(lengths) == metrics["queued_bytes"]
        metrics = executor.get_metrics()
        assert (metrics["queued_messages"], metrics["queued_bytes"]) == (0, 0)


async def test_a_connection_that_does_not_read_is_counted_and_leaves_nothing() -> None:
    async with SubscriptionManager() as manager:
        client = await Connection(manager).subscribed()
        client.writable.clear()
        for n in range(1000):
            manager.publish("tick", {"n": n})
        await until(lambda: manager.get_metrics()["deliveries"] == 1000)
        # Some are with the server.
        assert 0 < manager.get_metrics()["queued_messages"] <= 1000
        await client.left()
        await until(lambda: manager.get_metrics()["connections_active"] == 0)
        metrics = manager.get_metrics()
        assert (metrics["queued_messages"], metrics["queued_bytes"]) == (0, 0)


def test_bytes_are_counted() -> None:
    manager = SubscriptionManager(
        schema="type Query { a: Int } type Subscription { tick: Int }", serve_undeclared=True
    )
    with manager.executor as executor:
        assert executor.get_metrics()["subscriptions_bytes"] == 0
        for n in range(10):
            executor.register_subscription(
                "c", str(n), "subscription { tick }", None, None, None, None
            )
        metrics = executor.get_metrics()
        assert metrics["schema_bytes"] > 1000
        assert metrics["plans_cached"] == 1
        assert 100 < metrics["plans_bytes"] < 20_000
        assert 2000 < metrics["subscriptions_bytes"] < 20_000
        executor.disconnect("c")
        assert executor.get_metrics()["subscriptions_bytes"] == 0
        assert executor.get_metrics()["subscriptions_pending"] == 0


# -- how things end ---------------------------------------------------------


async def test_the_ends_of_subscriptions_have_reasons() -> None:
    manager = SubscriptionManager(limits=Limits(queue_max_items=20))
    manager.subscription("tick")

    @manager.subscription
    async def one(variables: Any) -> AsyncGenerator[Any, None]:
        yield 1

    @manager.subscription
    async def broken(variables: Any) -> AsyncGenerator[Any, None]:
        yield 1
        raise LookupError

    clients = []  # one that is forgotten may be collected, and is one that left

    async def client_of(query: str) -> Connection:
        client = await Connection(manager).ready()
        clients.append(client)
        client.write({"type": "subscribe", "id": "1", "payload": {"query": query}})
        return client

    async with manager:
        client = await client_of("subscription { one }")
        while (await client.read())["type"] != "complete":
            pass
        client.write(
            {"type": "subscribe", "id": "2", "payload": {"query": "subscription { broken }"}}
        )
        while (await client.read())["type"] != "complete":
            pass
        assert ended(manager.get_metrics()) == {"source": 1, "error": 1}

        client = await client_of("subscription { tick { n } }")
        client.write({"type": "complete", "id": "1"})
        await until(lambda: "complete" in ended(manager.get_metrics()))

        client = await client_of("subscription { tick { n } }")
        await until(lambda: manager.get_metrics()["subscriptions_active"] == 1)
        await client.left()
        await until(lambda: "disconnect" in ended(manager.get_metrics()))

        client = await client_of("subscription { tick { n } }")
        await until(lambda: manager.get_metrics()["subscriptions_active"] == 1)
        client.write("no JSON")
        await until(lambda: "closed" in ended(manager.get_metrics()))
        assert (await client.next())["code"] == 4400

        client = await client_of("subscription { tick { n } }")
        await until(lambda: manager.get_metrics()["subscriptions_active"] == 1)
        client.writable.clear()
        for n in range(100):
            manager.publish("tick", {"n": n})
        await until(lambda: "slow_client" in ended(manager.get_metrics()))
        client.writable.set()

        client = await client_of("subscription { tick { n } }")
        await until(lambda: manager.get_metrics()["subscriptions_active"] == 1)
        service = manager._service()
        metrics = manager.get_metrics()
    reasons = ("source", "error", "complete", "disconnect", "closed", "slow_client")
    assert ended(metrics) == dict.fromkeys(reasons, 1)
    assert closed(metrics) == {"by_client": 1, "1013": 1, "4400": 1}
    assert not service.is_open


def test_no_clock_is_stopped_by_a_snapshot() -> None:
    """The reactor goes on while snapshots are taken without a pause."""
    with SubscriptionExecutor() as executor:
        executor.register_subscription(
            "c", "s", "subscription { tick { n } }", None, None, None, None
        )
        for n in range(2000):
            executor.publish_event("ticked", "tick", {"n": n})
            metrics = executor.get_metrics()
            assert metrics["events_received"] == n + 1
            assert metrics["dispatch_seconds"]["count"] == n + 1


@pytest.mark.parametrize("name", HISTOGRAMS)
def test_each_name_says_the_unit(name: str) -> None:
    assert name.endswith("_seconds")
