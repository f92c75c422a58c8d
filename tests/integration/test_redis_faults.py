# SPDX-License-Identifier: MIT
"""A Redis that refuses, stands still or cannot be reached, and what becomes of
those who publish and listen meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pathlib
import time
from collections.abc import AsyncIterator, Iterator

import pytest
from bus_listener import DEADLINE, SLACK, listening, metric
from proxy import proxy
from redis_backend import RedisServer, server
from sizes import promised, size

from fraiseql_asgi import (
    BusError,
    EventBusConfig,
    PublishTimeout,
    SubscriptionExecutor,
    SubscriptionManager,
)


@pytest.fixture
def redis(tmp_path: pathlib.Path) -> Iterator[RedisServer]:
    with server(tmp_path / "redis") as it:
        yield it


# -- refusals -------------------------------------------------------------------


async def test_a_server_that_loads_its_data_is_waited_for(tmp_path: pathlib.Path) -> None:
    with server(tmp_path) as redis:
        async with listening(redis.url(), publish_timeout=DEADLINE) as (manager, listener):
            await manager.publish_event("item", "items", {"n": 1})
            await listener.until(lambda it: it.numbers == [1])
            with redis.connect() as client:
                for number in range(6):
                    client.command("SET", f"key-{number}", os.urandom(5 << 19))
            redis.command("SAVE")
            redis.kill()
            # 0.3 s for each key; it hears clients every 2 MiB.
            redis.options["key-load-delay"] = "300000"
            redis.start(wait=False)
            redis.wait_for_port()
            with pytest.raises(
                BusError, match=r"LOADING (Redis|Valkey) is loading the dataset in memory"
            ):
                async with listening(redis.url(), connect_timeout=1.0):
                    pass
            assert not manager.get_metrics()["bus_up"]
            await manager.publish_event("item", "items", {"n": 2})
            await listener.until(lambda it: it.numbers == [1, 2])
            assert listener.n_gaps == 0


async def test_a_server_that_cannot_save_refuses_events(tmp_path: pathlib.Path) -> None:
    # With points to save at, which it must have to refuse.
    with server(tmp_path, save="3600 1000000") as redis:
        async with listening(redis.url()) as (manager, listener):
            # A file cannot replace a folder that is not empty.
            (tmp_path / "dump.rdb" / "x").mkdir(parents=True)
            redis.command("BGSAVE")
            await until_saved(redis, "err")
            with pytest.raises(BusError, match=r"MISCONF (Redis|Valkey) is configured to save"):
                await manager.publish_event("item", "items", {"n": 1})
            # One that comes now finds the keys and need not write.
            async with SubscriptionManager(redis.url()) as other:
                with pytest.raises(BusError, match="MISCONF"):
                    await other.publish_event("item", "items", {"n": 1})
            (tmp_path / "dump.rdb" / "x").rmdir()
            (tmp_path / "dump.rdb").rmdir()
            redis.command("BGSAVE")
            await until_saved(redis, "ok")
            await manager.publish_event("item", "items", {"n": 2})
            await listener.until(lambda it: it.numbers == [2])
            assert manager.get_metrics()["bus_reconnects"] == 0
            assert listener.n_gaps == 0


async def until_saved(redis: RedisServer, status: str) -> None:
    deadline = time.monotonic() + DEADLINE
    while True:
        about = str(redis.command("INFO", "persistence"))
        if "rdb_bgsave_in_progress:0" in about and f"rdb_last_bgsave_status:{status}" in about:
            return
        assert time.monotonic() < deadline, about
        await asyncio.sleep(0.02)


async def test_a_server_that_has_another_password_is_tried_again(redis: RedisServer) -> None:
    async with listening(redis.url(), publish_timeout=0.5) as (manager, listener):
        redis.command("CONFIG", "SET", "requirepass", "word")
        with redis.connect() as client:
            client.command("AUTH", "word")
            client.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            await metric(manager, "bus_up", 0)
            with pytest.raises(PublishTimeout, match=r"did not take .*NOAUTH") as caught:
                await manager.publish_event("item", "items", {"n": 1})
            assert "not known" not in str(caught.value)
            # As another instance would, that knows the word.
            client.command(
                *("XADD", "fraiseql:events", "*", "channel", "items", "data", '{"n": 2}')
            )
            client.command("CONFIG", "SET", "requirepass", "")
        await listener.until(lambda it: it.numbers == [2])
        await metric(manager, "bus_up", 1)
        await manager.publish_event("item", "items", {"n": 3})
        await listener.until(lambda it: it.numbers == [2, 3])
        assert listener.n_gaps == 0


# -- silence --------------------------------------------------------------------


def seconds_without_processor() -> float:
    """How long this thread has waited for others to make room, ever."""
    try:
        return int(pathlib.Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
    except FileNotFoundError:
        return 0.0


class Lag:
    """How late this loop was at worst, in seconds."""

    #: By the clock.
    whole = 0.0
    #: While there was a processor for it.
    own = 0.0


@contextlib.asynccontextmanager
async def measured_lag() -> AsyncIterator[Lag]:
    lag = Lag()

    async def measure() -> None:
        while True:
            waited, before = seconds_without_processor(), time.monotonic()
            await asyncio.sleep(0.005)
            late = time.monotonic() - before - 0.005
            lag.whole = max(lag.whole, late)
            lag.own = max(lag.own, late - (seconds_without_processor() - waited))

    measuring = asyncio.create_task(measure())
    try:
        yield lag
    finally:
        measuring.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await measuring


@promised(seconds=300)
async def test_a_paused_server_times_out_and_holds_up_nobody(redis: RedisServer) -> None:
    """The connection is given up within the pause, and what came before it is not lost."""
    pause, timeout, keep_alive = size(3, 30), size(1, 10) / 2, size(1, 5)
    config = EventBusConfig.redis(redis.url(), keep_alive=keep_alive)
    async with listening(config, publish_timeout=timeout) as (manager, listener):
        await manager.publish_event("item", "items", {"n": 0})
        await listener.until(lambda it: it.numbers == [0])
        waits: list[float] = []
        sent: list[int] = []
        messages: list[str] = []

        async def publish(number: int) -> None:
            start = time.monotonic()
            try:
                await manager.publish_event("item", "items", {"n": number})
            except PublishTimeout as error:
                waits.append(time.monotonic() - start)
                messages.append(str(error))
                if "is not known" in str(error):
                    sent.append(number)
            except BusError as error:
                # Given up while this one was under way.
                messages.append(str(error))
                sent.append(number)

        async with measured_lag() as lag:
            redis.pause()
            start = time.monotonic()
            publishing = [asyncio.create_task(publish(1))]
            given_up = None
            while time.monotonic() - start < pause:
                await asyncio.sleep(0.25)
                publishing.append(asyncio.create_task(publish(len(publishing) + 1)))
                if given_up is None and not manager.get_metrics()["bus_up"]:
                    given_up = time.monotonic() - start
            # A thread waits as long.
            with pytest.raises(PublishTimeout):
                await asyncio.to_thread(manager.publish, "items", {"n": -1})
            await asyncio.gather(*publishing)
            redis.go_on()
            await metric(manager, "bus_up", 1)
            await manager.publish_event("item", "items", {"n": 10**6})
            await listener.until(lambda it: it.numbers[-1] == 10**6)
        assert given_up is not None
        print(
            f"\npaused {pause} s: publish waited {min(waits):.3f} to {max(waits):.3f} s, "
            f"given up after {given_up:.2f} s, loop at most {lag.own * 1e3:.1f} ms late, "
            f"{lag.whole * 1e3:.1f} ms with what the machine was busy with"
        )
        assert timeout - 0.001 <= min(waits)
        assert max(waits) < timeout + 0.2 * SLACK
        assert given_up < 2 * keep_alive + 0.5 * SLACK
        assert lag.own < 0.02 * SLACK
        told = ("event in time", "has taken the event is not known")
        assert all(any(it in message for it in told) for message in messages), messages
        # What was sent may have arrived, once and in order; nothing else has.
        got = listener.numbers[1:-1]
        assert got == sorted(set(got))
        assert set(got) <= set(sent)
        assert 1 in got
        assert listener.n_gaps == 0


@promised(seconds=120)
async def test_a_partition_is_noticed_and_loses_nothing(redis: RedisServer) -> None:
    keep_alive = size(1, 5)
    with proxy(redis.port) as way, SubscriptionExecutor(redis.url()) as other:
        config = EventBusConfig.redis(f"redis://127.0.0.1:{way.port}", keep_alive=keep_alive)
        async with listening(config, publish_timeout=0.5) as (manager, listener):
            for _ in range(size(1, 3)):
                n_before = len(listener.numbers)
                n_reconnects = manager.get_metrics()["bus_reconnects"]
                way.cut()
                start = time.monotonic()
                with pytest.raises(PublishTimeout, match="whether it has taken the event"):
                    await manager.publish_event("item", "items", {"n": 0})
                await metric(manager, "bus_up", 0)
                assert time.monotonic() - start < 2 * keep_alive * SLACK
                with pytest.raises(PublishTimeout, match="did not take the event in time"):
                    await manager.publish_event("item", "items", {"n": 0})
                numbers = range(n_before + 1, n_before + 101)
                for number in numbers:
                    other.publish_event("item", "items", {"n": number})
                way.heal()
                await listener.until(lambda it, n=n_before: len(it.numbers) == n + 100)
                assert listener.numbers[n_before:] == list(numbers)
                await metric(manager, "bus_up", 1)
                assert manager.get_metrics()["bus_reconnects"] == n_reconnects + 1
            assert listener.n_gaps == 0
