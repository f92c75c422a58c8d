# SPDX-License-Identifier: MIT
"""What every bus does: the same, whoever carries the events."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from bus_listener import DEADLINE, Listener
from buses import BusKind
from sizes import promised, size

from fraiseql_asgi import (
    BusError,
    ClosedError,
    EventBusConfig,
    Limits,
    PositionLost,
    PublishTimeout,
    QueueFull,
    SecurityContext,
    SubscriptionExecutor,
    SubscriptionManager,
)

QUERY = "subscription { items }"


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for what nothing announces."""
    end = time.monotonic() + DEADLINE
    while not is_so():
        assert time.monotonic() < end
        await asyncio.sleep(0.005)


class Reader(Listener):
    """A subscription of all of `items`."""

    def __init__(self, manager: SubscriptionManager, query: str = QUERY) -> None:
        super().__init__(manager, query)

    @property
    def data(self) -> list[Any]:
        return [result["data"]["items"] for result in self.results if result["data"]]

    async def first(self, n: int) -> list[Any]:
        """The data of all events, once there are `n`."""
        await self.until(lambda _: len(self.data) >= n)
        return self.data


@contextlib.asynccontextmanager
async def reading(manager: SubscriptionManager) -> AsyncIterator[Reader]:
    """A subscription that lives when the body begins."""
    reader = Reader(manager)
    try:
        await until(lambda: manager.subscriber_count("items") == 1)
        yield reader
    finally:
        await reader.close()


def read(executor: SubscriptionExecutor, subscription_id: str = "s") -> bytes:
    """The next message of a subscription, which comes."""
    end = time.monotonic() + DEADLINE
    while (message := executor.next_event(subscription_id)) is None:
        assert time.monotonic() < end
        time.sleep(0.001)
    return message


def register(executor: SubscriptionExecutor, subscription_id: str = "s", **options: Any) -> None:
    executor.register_subscription("c", subscription_id, QUERY, None, {}, "u", None, **options)


# -- order, and how much -------------------------------------------------------


async def test_what_is_published_at_once_arrives_in_order(bus: EventBusConfig) -> None:
    async with SubscriptionManager(bus) as manager, reading(manager) as reader:
        ids = await asyncio.gather(
            *(manager.publish_event("item", "items", {"n": n}) for n in range(2000))
        )
        assert len(set(ids)) == 2000
        assert await reader.first(2000) == [{"n": n} for n in range(2000)]
        manager.publish("items", {"n": 2000})
        assert (await reader.first(2001))[-1] == {"n": 2000}


async def test_a_publisher_that_does_not_wait_is_told_when_it_is_full(bus_kind: BusKind) -> None:
    """Every event that was taken arrives, once and in order; none is taken in secret."""
    limits = Limits(queue_max_items=100_000, queue_max_bytes=2**30)
    # A reader may be as far behind as the stream of Redis is long.
    bus = bus_kind.new(history_events=100_000)
    async with SubscriptionManager(bus, limits=limits, publish_timeout=DEADLINE) as manager:
        async with reading(manager) as reader:
            taken = []
            for n in range(18_000):
                try:
                    manager.publish("items", {"n": n})
                    taken.append({"n": n})
                except QueueFull:
                    await asyncio.sleep(0.05)
            assert len(taken) >= 16_384
            assert await reader.first(len(taken)) == taken
            await manager.publish_event("item", "items", {"n": -1})
            assert (await reader.first(len(taken) + 1))[-1] == {"n": -1}
            assert reader.data == [*taken, {"n": -1}]


async def test_channels_are_apart(bus: EventBusConfig) -> None:
    with SubscriptionExecutor(bus) as executor:
        names = [f"room {n} é" for n in range(300)]
        for name in names:
            register(executor, name, channels=[name])
        for name in names:
            await asyncio.to_thread(executor.publish_event, "said", name, {"name": name})
        for name in names:
            assert f'"name":"{name}"'.encode() in await asyncio.to_thread(read, executor, name)
        assert all(executor.next_event(name) is None for name in names)


@promised(seconds=600)
async def test_the_largest_event_arrives(bus: EventBusConfig) -> None:
    limits = Limits(event_max_bytes=size(2**21, 2**24))
    text = "x" * (limits.event_max_bytes - len('{"text":""}'))
    async with SubscriptionManager(bus, limits=limits) as manager, reading(manager) as reader:
        with pytest.raises(ValueError, match="is larger than"):
            await manager.publish_event("item", "items", {"text": text + "x"})
        await manager.publish_event("item", "items", {"text": text})
        (data,) = await reader.first(1)
        assert data == {"text": text}


# -- what an event carries -----------------------------------------------------

VALUES: list[Any] = [
    {"text": 'é "\\/ \u2028 \x00 \x7f \U0001f600'},
    {"big": [2**63, 2**64, 10**30, -(10**30)], "small": [-(2**63), 0, -1]},
    {"float": [1.5, 0.1, -0.0, 1e308, 5e-324, 1e22, 123456789.125]},
    {"z": 1, "a": {"y": None, "b": [True, False, [], {}]}, "": ""},
    {"deep": [[[[[[[[[[[[[[[[[[[[{}]]]]]]]]]]]]]]]]]]]]},
    {},
]


async def test_values_arrive_to_the_byte_as_on_the_embedded_bus(bus: EventBusConfig) -> None:
    """Numbers, order of keys, characters: PostgreSQL's jsonb would change them."""
    with SubscriptionExecutor(bus) as executor, SubscriptionExecutor() as embedded:
        for each in (executor, embedded):
            register(each, channels=["items"])
        for value in VALUES:
            messages = []
            for each in (executor, embedded):
                await asyncio.to_thread(each.publish_event, "item", "items", value)
                messages.append(await asyncio.to_thread(read, each))
            assert messages[0] == messages[1]
        with pytest.raises(ValueError, match="lone surrogate"):
            executor.publish_event("item", "items", {"text": "\ud800"})
        with pytest.raises(ValueError, match="NaN is not valid JSON"):
            executor.publish_event("item", "items", {"n": float("nan")})


async def test_what_an_event_carries_arrives_as_it_was(bus: EventBusConfig) -> None:
    manager = SubscriptionManager(bus)
    events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    @manager.subscription
    async def items(event: Any, variables: Any, context: Any) -> Any:
        await events.put(context.event.to_dict())
        return event

    async with manager:
        who = SecurityContext("u", "t", boundaries=("b",))
        task = asyncio.ensure_future(anext(manager.subscribe(QUERY, security=who)))
        await until(lambda: manager.subscriber_count("items") == 1)
        before = time.time()
        meta = {"traceparent": "00", "more": [1.5, None]}
        event_id = await manager.publish_event(
            "kind é", "items", {"n": 1}, tenant_id="t", boundary="b", meta=meta
        )
        got = await asyncio.wait_for(events.get(), DEADLINE)
        await task
    created_at = dt.datetime.fromisoformat(got.pop("created_at").replace("Z", "+00:00"))
    assert abs(created_at.timestamp() - before) < 60
    assert got == {
        "id": event_id,
        "event_type": "kind é",
        "channel": "items",
        "data": {"n": 1},
        "tenant_id": "t",
        "boundary": "b",
        "meta": meta,
    }


def test_metrics_have_the_same_names(bus: EventBusConfig) -> None:
    with SubscriptionExecutor(bus) as executor, SubscriptionExecutor() as embedded:
        assert list(executor.get_metrics()) == list(embedded.get_metrics())
        assert executor.get_metrics()["bus_up"] == 1


# -- sharing -------------------------------------------------------------------


def test_two_share_one_bus_in_one_process(bus: EventBusConfig) -> None:
    """And it goes on for one when the other closes."""
    shared = bus.create_bus()
    with SubscriptionExecutor(shared) as one:
        with SubscriptionExecutor(shared) as other:
            for each in (one, other):
                register(each, channels=["items"])
            for n, each in enumerate((one, other, one)):
                each.publish_event("item", "items", {"n": n})
            for each in (one, other):
                for n in range(3):
                    assert b'"n":%d' % n in read(each)
        one.publish_event("item", "items", {"n": 3})
        assert b'"n":3' in read(one)
    shared.close()


async def test_managers_with_one_configuration_are_one_server(shared_kind: BusKind) -> None:
    """Each publisher's order holds for every subscriber, and all see the same."""
    config = shared_kind.new()
    async with SubscriptionManager(config) as one, SubscriptionManager(config) as two:
        async with reading(one) as first, reading(two) as second:
            ids = await asyncio.gather(
                *(
                    manager.publish_event("item", "items", {"from": name, "n": n})
                    for n in range(300)
                    for name, manager in (("one", one), ("two", two))
                )
            )
            assert len(set(ids)) == 600
            for reader in (first, second):
                data = await reader.first(600)
                for name in ("one", "two"):
                    assert [it["n"] for it in data if it["from"] == name] == list(range(300))


# -- beginning and ending --------------------------------------------------------


async def test_who_subscribes_first_waits_for_the_bus(bus: EventBusConfig) -> None:
    """Nothing was started, and nobody has asked for the bus before."""
    manager = SubscriptionManager(bus)
    try:
        stream = manager.subscribe(QUERY)
        await asyncio.wait_for(manager.publish_event("item", "items", {"n": 1}), DEADLINE)
        result = await asyncio.wait_for(anext(stream), DEADLINE)
        assert result["data"] == {"items": {"n": 1}}
    finally:
        await manager.aclose()


async def test_what_is_published_last_is_published_before_it_closes(bus_kind: BusKind) -> None:
    config = bus_kind.new()
    bus = config if bus_kind.is_shared else config.create_bus()
    async with SubscriptionManager(bus) as other, reading(other) as reader:
        async with SubscriptionManager(bus) as manager:
            for n in range(100):
                manager.publish("items", {"n": n})
        assert await reader.first(100) == [{"n": n} for n in range(100)]
    if not isinstance(bus, EventBusConfig):
        bus.close()


async def test_closing_while_many_publish_answers_all(bus_kind: BusKind) -> None:
    """What was acknowledged arrives, what was not at most once."""
    config = bus_kind.new()
    bus = config if bus_kind.is_shared else config.create_bus()
    async with SubscriptionManager(bus) as other, reading(other) as reader:
        manager = SubscriptionManager(bus)
        await manager.__aenter__()
        publishing = [
            asyncio.ensure_future(manager.publish_event("item", "items", {"n": n}))
            for n in range(1000)
        ]
        await asyncio.wait(publishing, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait_for(manager.aclose(), DEADLINE)
        results = await asyncio.wait_for(
            asyncio.gather(*publishing, return_exceptions=True), DEADLINE
        )
        acknowledged = [n for n, result in enumerate(results) if isinstance(result, str)]
        refused = [result for result in results if not isinstance(result, str)]
        assert acknowledged
        assert all(isinstance(error, (ClosedError, BusError)) for error in refused), refused
        await other.publish_event("item", "items", {"n": -1})
        await reader.first(len(acknowledged) + 1)
        await until(lambda: reader.data[-1] == {"n": -1})
        numbers = [it["n"] for it in reader.data[:-1]]
        assert len(numbers) == len(set(numbers))
        assert set(acknowledged) <= set(numbers)
        with pytest.raises(ClosedError):
            await manager.publish_event("item", "items", {"n": 0})
    if not isinstance(bus, EventBusConfig):
        bus.close()


@pytest.mark.parametrize(
    "url", ["redis://127.0.0.1:1", "postgresql://127.0.0.1:1/app"], ids=["redis", "postgresql"]
)
async def test_a_bus_that_is_not_there_is_told_in_its_words(url: str) -> None:
    for start in (
        lambda: asyncio.to_thread(SubscriptionExecutor, url),
        SubscriptionManager(url).__aenter__,
    ):
        with pytest.raises(BusError, match=r"(?i)connection.*(refused|failed)"):
            await start()
    # Who can do without it starts, and says so to those who ask for it.
    async with SubscriptionManager(url, bus_required=False, publish_timeout=0.2) as manager:
        with pytest.raises(BusError, match="event bus cannot be reached") as caught:
            await anext(manager.subscribe(QUERY))
        assert caught.value.code == "BUS_UNAVAILABLE"
        start_at = time.monotonic()
        with pytest.raises(PublishTimeout, match="the bus did not take the event in time"):
            await manager.publish_event("item", "items", {})
        assert time.monotonic() - start_at >= 0.2
        assert manager.get_metrics()["bus_up"] == 0


async def test_a_server_that_begins_anew_is_a_gap(shared_kind: BusKind) -> None:
    """For who did not ask for positions: told once, then it goes on."""
    config = shared_kind.new()
    async with SubscriptionManager(config) as manager, reading(manager) as reader:
        await asyncio.to_thread(shared_kind.add, config, "items", '{"n": 1}')
        await reader.first(1)
        await asyncio.to_thread(shared_kind.renew, config)
        await until(lambda: len(reader.results) == 2)
        (error,) = reader.results[1]["errors"]
        assert error["extensions"] == {"code": "EVENTS_LOST"}
        await asyncio.to_thread(shared_kind.add, config, "items", '{"n": 2}')
        assert await reader.first(2) == [{"n": 1}, {"n": 2}]
        assert len(reader.results) == 3


async def test_what_nobody_can_read_is_told_to_its_channel(shared_kind: BusKind) -> None:
    """In its place, and to nobody else; it is no gap of the bus."""
    config = shared_kind.new()
    async with SubscriptionManager(config) as manager, reading(manager) as reader:
        other = Reader(manager, "subscription { items: others }")
        await until(lambda: manager.subscriber_count("others") == 1)
        await asyncio.to_thread(shared_kind.add_wrong, config, "items")
        # Nobody can listen there.
        await asyncio.to_thread(shared_kind.add_wrong, config, "")
        for channel in ("items", "others"):
            await asyncio.to_thread(shared_kind.add, config, channel, '{"n": 1}')
        assert await reader.first(1) == [{"n": 1}]
        (error,) = reader.results[0]["errors"]
        assert error["extensions"] == {"code": "EVENTS_LOST"}
        assert await other.first(1) == [{"n": 1}]
        assert len(other.results) == 1
        metrics = manager.get_metrics()
        assert metrics["bus_unreadable"] == 2
        assert metrics["bus_gaps"] == 0
        assert metrics["subscriptions_with_gaps"] == 1
        await other.close()


async def test_who_resumes_over_what_nobody_can_read_has_lost_its_position(
    shared_kind: BusKind,
) -> None:
    config = shared_kind.new()
    async with SubscriptionManager(config) as manager, reading(manager) as reader:
        stream = manager.subscribe(QUERY)
        await asyncio.to_thread(shared_kind.add, config, "items", '{"n": 1}')
        await anext(stream)
        before = stream.position
        await stream.aclose()
        await asyncio.to_thread(shared_kind.add_wrong, config, "items")
        for n, channel in ((2, "items"), (3, "others")):
            await asyncio.to_thread(shared_kind.add, config, channel, f'{{"n": {n}}}')
        await reader.first(2)
        with pytest.raises(PositionLost):
            await anext(manager.subscribe(QUERY, after=before))
        # Who follows another channel has missed nothing.
        async with manager.subscribe("subscription { others }", after=before) as stream:
            assert (await anext(stream))["data"]["others"] == {"n": 3}
