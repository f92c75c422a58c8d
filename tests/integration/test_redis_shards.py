# SPDX-License-Identifier: MIT
"""The Redis bus over several streams: order within a channel, gaps of each,
and positions that say where a client is in all of them."""

from __future__ import annotations

import asyncio
import json
import pathlib
import random
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from asgi_driver import Connection
from bus_listener import SLACK, listening
from redis_backend import RedisServer, server
from sizes import promised, size

from fraiseql_asgi import BusError, EventBusConfig, SubscriptionExecutor, SubscriptionManager

N_SHARDS = 4
CHANNELS = [f"c{number}" for number in range(12)]


def stream_of(channel: str, group: str = "fraiseql") -> str:
    """What the guide says that other programs compute."""
    return f"{group}:events:{zlib.crc32(channel.encode()) % N_SHARDS}"


@pytest.fixture
def redis(tmp_path: pathlib.Path) -> Iterator[RedisServer]:
    with server(tmp_path / "redis") as it:
        yield it


def sharded(redis: RedisServer, **settings: Any) -> EventBusConfig:
    return EventBusConfig.redis(redis.url(), shards=N_SHARDS, **settings)


def manager_of_all(config: EventBusConfig) -> SubscriptionManager:
    """One whose field `all` listens on all channels."""
    manager = SubscriptionManager(config)
    manager.subscription("all", channel=CHANNELS)
    return manager


def check_order(events: list[dict[str, Any]]) -> None:
    """Whether each channel's numbers are 0, 1, 2, …"""
    for channel in CHANNELS:
        numbers = [event["n"] for event in events if event["c"] == channel]
        assert numbers == list(range(len(numbers))), (channel, numbers)


class Reader:
    """A WebSocket client of `all` that asks for positions."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.position = ""
        self._client: Connection | None = None

    async def connect(self, manager: SubscriptionManager) -> None:
        self._client = await Connection(manager).ready()
        resume = {"after": self.position} if self.position else {}
        payload = {"query": "subscription { all { c n } }", "extensions": {"resume": resume}}
        self._client.write({"type": "subscribe", "id": "1", "payload": payload})
        self._client.write({"type": "ping"})
        if not self.position:
            assert await self._client.read() == {"type": "pong"}

    async def read(self) -> None:
        assert self._client is not None
        while (message := await self._client.read()) == {"type": "pong"}:
            pass
        assert message["type"] == "next", message
        self.events.append(message["payload"]["data"]["all"])
        self.position = message["payload"]["extensions"]["position"]

    async def leave(self) -> None:
        assert self._client is not None
        await self._client.left()


async def publish_all(manager: SubscriptionManager, n_rounds: int) -> list[str]:
    ids = []
    for number in range(n_rounds):
        ids += await asyncio.gather(
            *(manager.publish_event("item", c, {"c": c, "n": number}) for c in CHANNELS)
        )
    return ids


async def test_each_channel_keeps_its_order_at_every_instance(redis: RedisServer) -> None:
    assert len({stream_of(channel) for channel in CHANNELS}) == N_SHARDS
    async with manager_of_all(sharded(redis)) as one, manager_of_all(sharded(redis)) as two:
        readers = [Reader(), Reader()]
        for reader, manager in zip(readers, (one, two), strict=True):
            await reader.connect(manager)
        ids = await publish_all(one, 100)
        assert len(set(ids)) == len(ids)
        for reader in readers:
            while len(reader.events) < 100 * len(CHANNELS):
                await reader.read()
            check_order(reader.events)
            await reader.leave()
    for shard in range(N_SHARDS):
        stream = f"fraiseql:events:{shard}"
        entries = redis.command("XRANGE", stream, "-", "+")
        assert isinstance(entries, list)
        there = [fields[1] for _, fields in entries]
        for channel in CHANNELS:
            assert there.count(channel) == (100 if stream_of(channel) == stream else 0)


async def test_another_program_finds_the_stream_of_a_channel(redis: RedisServer) -> None:
    async with manager_of_all(sharded(redis)) as manager:
        reader = Reader()
        await reader.connect(manager)
        for channel in CHANNELS:
            data = json.dumps({"c": channel, "n": 0})
            redis.command("XADD", stream_of(channel), "*", "channel", channel, "data", data)
        for _ in CHANNELS:
            await reader.read()
        assert {event["c"] for event in reader.events} == set(CHANNELS)
        await reader.leave()


def test_instances_with_other_numbers_are_refused(redis: RedisServer) -> None:
    with SubscriptionExecutor(sharded(redis)):
        for n_shards in (1, 2):
            config = EventBusConfig.redis(f"{redis.url()}?shards={n_shards}")
            with pytest.raises(BusError, match=f"in 4 shards, not in {n_shards}: all instances"):
                SubscriptionExecutor(config)
        with SubscriptionExecutor(EventBusConfig.redis(redis.url(), "other")):
            pass
        with pytest.raises(BusError, match="in 1 shards, not in 4"):
            SubscriptionExecutor(sharded(redis, consumer_group="other"))
    redis.command("DEL", "fraiseql:epoch")
    with SubscriptionExecutor(EventBusConfig.redis(redis.url(), shards=2)) as executor:
        assert executor.get_metrics()["bus_up"] == 1


@promised(seconds=120)
async def test_a_gap_in_one_stream_is_told(redis: RedisServer) -> None:
    async with listening(sharded(redis, history_events=100)) as (manager, listener):
        stream = stream_of("items")
        other = next(stream_of(c) for c in CHANNELS if stream_of(c) != stream)
        # Trimmed past us, deleted, or flushed with all the others.
        commands = [("XTRIM", other, "MAXLEN", 0), ("DEL", stream), ("FLUSHALL",)]
        for n_gaps, command in enumerate(commands, 1):
            redis.command(*command)
            assert await listener.until(lambda it, n=n_gaps: it.n_gaps == n) < 1 * SLACK
            await manager.publish_event("item", "items", {"n": n_gaps})
            await listener.until(lambda it, n=n_gaps: it.numbers == list(range(1, n + 1)))
        assert manager.get_metrics()["bus_gaps"] == 3


@promised(seconds=300)
async def test_a_client_goes_on_at_another_instance(redis: RedisServer) -> None:
    n_rounds = size(150, 1500)
    n_all = n_rounds * len(CHANNELS)
    config = sharded(redis, history_events=100_000)
    choose = random.Random(7)
    async with manager_of_all(config) as one, manager_of_all(config) as two:
        reader = Reader()
        await reader.connect(one)
        publishing = asyncio.create_task(publish_all(two, n_rounds))
        n_turns = 0
        while len(reader.events) < n_all:
            for _ in range(min(choose.randint(1, 100), n_all - len(reader.events))):
                await reader.read()
            await reader.leave()
            n_turns += 1
            await reader.connect((one, two)[n_turns % 2])
        await publishing
        check_order(reader.events)
        assert n_turns >= n_all // 100
        await reader.leave()


async def test_a_position_is_of_the_shards_it_was_made_for(redis: RedisServer) -> None:
    async with manager_of_all(sharded(redis, history_events=20)) as manager:
        reader = Reader()
        await reader.connect(manager)
        await publish_all(manager, 1)
        await reader.read()
        await reader.leave()
        assert reader.position.count(".") == 1 + N_SHARDS
        # Lost in one stream: what the client misses of the others is of no use.
        for _ in range(500):
            manager.publish(CHANNELS[0], {"c": CHANNELS[0], "n": 0})
        await manager.publish_event("item", CHANNELS[0], {"c": CHANNELS[0], "n": 0})
        for position in (reader.position, reader.position.rpartition(".")[0]):
            client = await Connection(manager).ready()
            payload = {
                "query": "subscription { all { c n } }",
                "extensions": {"resume": {"after": position}},
            }
            client.write({"type": "subscribe", "id": "1", "payload": payload})
            message = await client.read()
            assert message["type"] == "error", message
            assert message["payload"][0]["extensions"]["code"] == "POSITION_LOST"
            await client.left()
