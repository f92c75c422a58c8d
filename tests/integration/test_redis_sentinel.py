# SPDX-License-Identifier: MIT
"""The Redis bus where Sentinel says which server is the primary."""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
import time
from collections.abc import Iterator

import pytest
from bus_listener import DEADLINE, SLACK, listening, metric
from redis_backend import RedisSentinel, RedisServer, free_port, server
from sizes import promised, size

from fraiseql_asgi import BusError, PublishTimeout, SubscriptionExecutor, SubscriptionManager

#: Seconds for a failover; a sentinel that was not scheduled for 2 s waits 30.
FAILOVER = 90.0


class Replicated:
    """A primary, a replica of it, and sentinels."""

    def __init__(self, folder: pathlib.Path, n_sentinels: int) -> None:
        self.primary = RedisServer(folder / "one", **{"repl-diskless-sync-delay": "0"})
        self.replica = RedisServer(folder / "two")
        self._folder = folder
        self._n_sentinels = n_sentinels
        self.sentinels: list[RedisSentinel] = []

    @property
    def url(self) -> str:
        """The first of its sentinels does not exist."""
        ports = [free_port(), *(sentinel.port for sentinel in self.sentinels)]
        return f"redis+sentinel://{','.join(f'127.0.0.1:{port}' for port in ports)}/mymaster/0"

    def start(self) -> None:
        self.primary.start()
        self.replica.options["replicaof"] = f"127.0.0.1 {self.primary.port}"
        self.replica.start()
        # A sentinel looks for replicas when it begins, and then every 10 s.
        wait_until(lambda: "state=online" in str(self.primary.command("INFO", "replication")))
        for number in range(self._n_sentinels):
            quorum = self._n_sentinels // 2 + 1
            self.sentinels.append(
                RedisSentinel(self._folder / f"sentinel-{number}", self.primary, quorum)
            )
            self.sentinels[-1].start()
        for sentinel in self.sentinels:
            wait_until(lambda it=sentinel: self._is_known_to(it))

    def _is_known_to(self, sentinel: RedisSentinel) -> bool:
        found = sentinel.command("SENTINEL", "master", "mymaster")
        assert isinstance(found, list)
        about = dict(zip(found[::2], found[1::2], strict=True))
        others = int(about["num-other-sentinels"])
        return about["num-slaves"] == "1" and others == self._n_sentinels - 1

    def wait_for_replica(self) -> None:
        """Return when it has all that the primary has."""

        def length(it: RedisServer) -> object:
            return it.command("XLEN", "fraiseql:events")

        wait_until(lambda: length(self.replica) == length(self.primary))

    def stop(self) -> None:
        for it in (*self.sentinels, self.replica, self.primary):
            it.stop()


def wait_until(condition: object) -> None:
    deadline = time.monotonic() + FAILOVER
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextlib.contextmanager
def replicated(folder: pathlib.Path, n_sentinels: int) -> Iterator[Replicated]:
    it = Replicated(folder, n_sentinels)
    try:
        it.start()
        yield it
    finally:
        it.stop()


@promised(seconds=300)
async def test_a_failover_goes_on_at_the_replica(tmp_path: pathlib.Path) -> None:
    with replicated(tmp_path, size(1, 3)) as redis:
        async with listening(redis.url, publish_timeout=FAILOVER) as (manager, listener):
            acknowledged: list[int] = []
            failures: list[str] = []
            stop = asyncio.Event()

            async def publish(first: int) -> None:
                number = first
                while not stop.is_set():
                    try:
                        await manager.publish_event("item", "items", {"n": number})
                        acknowledged.append(number)
                    except BusError as error:
                        failures.append(str(error))
                    number += 8

            publishing = [asyncio.create_task(publish(first)) for first in range(8)]
            await listener.until(lambda it: len(it.numbers) > 200)
            redis.primary.kill()
            await metric(manager, "bus_up", 0)
            n_seen = len(listener.numbers)
            await listener.until(lambda it: len(it.numbers) > n_seen + 200, FAILOVER)
            stop.set()
            await asyncio.gather(*publishing)
            last = await manager.publish_event("item", "items", {"n": 10**9})
            assert last
            await listener.until(lambda it: it.numbers[-1] == 10**9)
            assert all("connection to Redis was lost" in text for text in failures)
            # What was acknowledged and not replicated is told, not passed over.
            assert listener.n_gaps == 1 or set(acknowledged) <= set(listener.numbers)
            assert listener.n_gaps <= 1
            assert len(listener.numbers) == len(set(listener.numbers))
            assert manager.get_metrics()["bus_reconnects"] >= 1
            assert redis.sentinels[0].primary_port == redis.replica.port


@promised(seconds=300)
async def test_what_the_replica_did_not_have_is_a_gap(tmp_path: pathlib.Path) -> None:
    with replicated(tmp_path, 1) as redis:
        async with listening(redis.url, publish_timeout=0.5) as (manager, listener):
            await manager.publish_event("item", "items", {"n": 1})
            await listener.until(lambda it: it.numbers == [1])
            redis.wait_for_replica()
            # It gets no more, for less time than Sentinel would let it.
            redis.replica.command("REPLICAOF", "127.0.0.1", "1")
            await manager.publish_event("item", "items", {"n": 2})
            await listener.until(lambda it: it.numbers == [1, 2])
            redis.primary.kill()
            await metric(manager, "bus_up", 0)
            with pytest.raises(PublishTimeout, match="did not take the event in time"):
                await manager.publish_event("item", "items", {"n": 3})
            await listener.until(lambda it: it.n_gaps == 1, FAILOVER)
            await metric(manager, "bus_up", 1)
            await manager.publish_event("item", "items", {"n": 4})
            await listener.until(lambda it: it.numbers[-1] == 4)
            assert listener.numbers == [1, 2, 4]
            assert listener.n_gaps == 1


@promised(seconds=300)
async def test_a_failover_away_from_a_primary_that_stands_still(tmp_path: pathlib.Path) -> None:
    with replicated(tmp_path, 1) as redis:
        async with listening(redis.url, publish_timeout=FAILOVER) as (manager, listener):
            redis.wait_for_replica()
            redis.primary.pause()
            wait_until(lambda: redis.sentinels[0].primary_port == redis.replica.port)
            start = time.monotonic()
            await metric(manager, "bus_up", 0)
            # By Sentinel's word; the connection itself would be given up after 8 s.
            assert time.monotonic() - start < 2 * SLACK
            await manager.publish_event("item", "items", {"n": 1})
            await listener.until(lambda it: it.numbers == [1])
            assert listener.n_gaps == 0
            # The old one comes back and believes to be the primary, for a moment.
            redis.primary.go_on()
            await manager.publish_event("item", "items", {"n": 2})
            await listener.until(lambda it: it.numbers == [1, 2])


def test_what_is_wrong_with_sentinels_is_said(tmp_path: pathlib.Path) -> None:
    with server(tmp_path / "one") as primary:
        sentinel = RedisSentinel(tmp_path / "sentinel", primary)
        at, nobody = f"127.0.0.1:{sentinel.port}", f"127.0.0.1:{free_port()}"
        try:
            with pytest.raises(BusError, match=r"no Sentinel says where .*Connection refused"):
                SubscriptionExecutor(f"redis+sentinel://{nobody},{at}/mymaster")
            sentinel.start()
            with pytest.raises(BusError, match='no Sentinel knows a primary named "other"'):
                SubscriptionExecutor(f"redis+sentinel://{nobody},{at}/other")
            with SubscriptionExecutor(f"redis+sentinel://{nobody},{at}/mymaster/3") as executor:
                executor.publish_event("item", "items", {"n": 1})
            with primary.connect() as client:
                client.command("SELECT", 3)
                assert client.command("XLEN", "fraiseql:events") == 2
            sentinel.pause()
            with pytest.raises(BusError, match="it has not answered for 1 second"):
                SubscriptionExecutor(f"redis+sentinel://{at}/mymaster", connect_timeout=DEADLINE)
            sentinel.kill()
            sentinel.protect("word")
            sentinel.start()
            with pytest.raises(BusError, match="NOAUTH"):
                SubscriptionExecutor(f"redis+sentinel://{at}/mymaster")
            url = f"redis+sentinel://{at}/mymaster?sentinel_password=word"
            with SubscriptionExecutor(url) as executor:
                assert executor.get_metrics()["bus_up"] == 1
        finally:
            sentinel.stop()


async def test_a_manager_waits_while_sentinel_names_a_replica(tmp_path: pathlib.Path) -> None:
    with server(tmp_path / "one") as primary:
        sentinel = RedisSentinel(tmp_path / "sentinel", primary)
        sentinel.start()
        try:
            primary.command("REPLICAOF", "127.0.0.1", "1")
            url = f"redis+sentinel://127.0.0.1:{sentinel.port}/mymaster"
            with pytest.raises(BusError, match="is a replica"):
                SubscriptionExecutor(url, connect_timeout=0.3)
            async with SubscriptionManager(url, bus_required=False, connect_timeout=0.1) as manager:
                primary.command("REPLICAOF", "NO", "ONE")
                await metric(manager, "bus_up", 1)
        finally:
            sentinel.stop()
