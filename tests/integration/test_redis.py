# SPDX-License-Identifier: MIT
"""The Redis bus against real servers that fail in every way a server can."""

from __future__ import annotations

import asyncio
import json
import pathlib
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from asgi_driver import Connection
from bus_listener import DEADLINE, ITEMS, SLACK, Listener, listening, metric
from certificates import make_certificates
from chaos.link import Link
from forking import FORK
from redis_backend import VERSION, RedisServer, free_port, server
from sizes import promised, size

from fraiseql_asgi import (
    BusError,
    Event,
    EventBusConfig,
    SubscriptionExecutor,
    SubscriptionManager,
)


@pytest.fixture
def redis(tmp_path: pathlib.Path) -> Iterator[RedisServer]:
    with server(tmp_path / "redis") as it:
        yield it


# -- the way in -----------------------------------------------------------------


def test_an_executor_raises_the_words_of_the_server(tmp_path: pathlib.Path) -> None:
    with server(tmp_path, requirepass="secret") as redis:
        with pytest.raises(BusError, match="NOAUTH Authentication required"):
            SubscriptionExecutor(redis.url())
        url = f"redis://:wrong@127.0.0.1:{redis.port}"
        with pytest.raises(BusError, match="WRONGPASS") as caught:
            SubscriptionExecutor(url)
        assert "wrong" not in str(caught.value)
        with SubscriptionExecutor(f"redis://:secret@127.0.0.1:{redis.port}") as executor:
            assert executor.get_metrics()["bus_up"] == 1
    with pytest.raises(BusError, match="Connection refused"):
        SubscriptionExecutor(redis.url())
    with pytest.raises(BusError, match="cannot find the address of host"):
        SubscriptionExecutor("redis://no-such-host.invalid", connect_timeout=DEADLINE)


def test_a_server_that_says_nothing_is_given_up(redis: RedisServer) -> None:
    redis.pause()
    start = time.monotonic()
    with pytest.raises(BusError, match="cannot connect to the bus in time"):
        SubscriptionExecutor(redis.url(), connect_timeout=0.3)
    assert 0.3 <= time.monotonic() - start < 0.3 + 0.2 * SLACK
    redis.go_on()


def test_a_user_a_database_and_a_unix_socket(tmp_path: pathlib.Path) -> None:
    socket = tmp_path / "redis.sock"
    with server(tmp_path / "redis", unixsocket=str(socket)) as redis:
        # What the guide says that a user needs, and no more.
        needed = [
            "+xadd",
            "+xread",
            "+xrange",
            "+xrevrange",
            "+get",
            "+set",
            "+ping",
            "+select",
            "+info",
        ]
        redis.command("ACL", "SETUSER", "app", "on", ">s3/cret", "~team:*", *needed)
        config = EventBusConfig.redis(f"redis://app:s3%2Fcret@127.0.0.1:{redis.port}/3", "team")
        with SubscriptionExecutor(config) as executor:
            executor.publish_event("item", "items", {"n": 1})
            with redis.connect() as client:
                client.command("SELECT", 3)
                assert client.command("XLEN", "team:events") == 2
        config = EventBusConfig.redis(f"redis://{socket}?db=3", "team")
        with SubscriptionExecutor(config) as executor:
            executor.publish_event("item", "items", {"n": 2})
        other = EventBusConfig.redis(f"redis://app:s3%2Fcret@127.0.0.1:{redis.port}", "other")
        with pytest.raises(BusError, match="NOPERM"):
            SubscriptionExecutor(other)


@pytest.mark.skipif(VERSION == "6.2", reason="it cannot move the port of a cluster")
def test_a_cluster_and_a_replica_are_refused(tmp_path: pathlib.Path) -> None:
    cluster = {"cluster-enabled": "yes", "cluster-port": str(free_port())}
    with server(tmp_path / "cluster", **cluster) as redis:
        with pytest.raises(BusError, match="Redis Cluster, which is not supported"):
            SubscriptionExecutor(redis.url())
    with server(tmp_path / "replica") as redis:
        redis.command("REPLICAOF", "127.0.0.1", "1")
        with pytest.raises(BusError, match="is a replica"):
            SubscriptionExecutor(redis.url(), connect_timeout=0.3)


@pytest.mark.skipif(VERSION == "6.2", reason="this one was built without TLS")
def test_tls_verifies_the_authority_and_the_name(tmp_path: pathlib.Path) -> None:
    files = tmp_path / "files"
    make_certificates(files, "redis.test", "client")
    redis = RedisServer(tmp_path / "redis")
    tls_port = redis.port
    redis.options = {
        "port": "0",
        "tls-port": str(tls_port),
        "tls-ca-cert-file": str(files / "ca.pem"),
        "tls-cert-file": str(files / "redis.test.pem"),
        "tls-key-file": str(files / "redis.test.key"),
    }
    client = f"ssl_certfile={files}/client.pem&ssl_keyfile={files}/client.key"
    trusted = f"ssl_ca_certs={files}/ca.pem"
    base = f"rediss://127.0.0.1:{tls_port}/?{client}"
    try:
        redis.start(wait=False)
        redis.wait_for_port()
        with SubscriptionExecutor(f"{base}&{trusted}&ssl_server_name=redis.test") as executor:
            assert executor.publish_event("item", "items", {"n": 1})
        with pytest.raises(BusError, match=r"certificate is not accepted: .*IP address mismatch"):
            SubscriptionExecutor(f"{base}&{trusted}")
        with pytest.raises(BusError, match=r"certificate is not accepted: .*ostname mismatch"):
            SubscriptionExecutor(f"{base}&{trusted}&ssl_server_name=other.test")
        with pytest.raises(BusError, match="certificate is not accepted"):
            SubscriptionExecutor(f"{base}&ssl_server_name=redis.test")
        with pytest.raises(BusError):
            SubscriptionExecutor(
                f"rediss://127.0.0.1:{tls_port}/?{trusted}&ssl_server_name=redis.test"
            )
        with pytest.raises(BusError):
            SubscriptionExecutor(redis.url(), connect_timeout=1.0)
    finally:
        redis.stop()


# -- publishing -----------------------------------------------------------------


async def test_another_program_publishes_with_one_xadd(redis: RedisServer) -> None:
    async with listening(redis.url()) as (manager, listener):
        add = ("XADD", "fraiseql:events", "*")
        redis.command(*add, "channel", "items", "data", '{"n": 1}')
        redis.command(*add, "channel", "items", "data", "[]")
        redis.command(*add, "channel", "items")
        redis.command(*add, "anything", "else")
        redis.command(*add, "channel", "items", "data", '{"n": 2}', "created_at_ns", "soon")
        redis.command(*add, "channel", "", "data", "{}")
        redis.command(
            *(*add, "channel", "items", "event_type", "item", "data", '{"n": 3}'),
            *("boundary", "", "meta", "{}", "created_at_ns", "1700000000000000000"),
        )
        await listener.until(lambda it: it.numbers == [1, 3])
        assert manager.get_metrics()["bus_unreadable"] == 4
        # Those on its channel were told.
        assert listener.n_gaps == 3


async def test_many_are_published_at_a_time(redis: RedisServer) -> None:
    async with listening(redis.url(), publish_timeout=DEADLINE) as (manager, listener):
        events = [Event("item", "items", {"n": n}) for n in range(3000)]
        ids = await manager.publish_events(events)
        assert len(set(ids)) == 3000
        await listener.until(lambda it: len(it.numbers) == 3000)
        assert listener.numbers == list(range(3000))
        redis.command("CONFIG", "SET", "maxmemory", 1)
        with pytest.raises(BusError, match="OOM command not allowed") as caught:
            await manager.publish_events(events)
        redis.command("CONFIG", "SET", "maxmemory", 0)
        assert caught.value.ids == [None] * 3000
        await metric(manager, "events_waiting", 0)


async def test_lines_over_http_that_redis_refuses(redis: RedisServer) -> None:
    event = json.dumps({"channel": "items", "data": {"n": 1}}).encode() + b"\n"

    async def post(manager: SubscriptionManager) -> tuple[int, Any]:
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": b"\n" + event * 5}

        async def send(message: Any) -> None:
            sent.append(message)

        headers = [(b"authorization", b"Bearer t"), (b"content-type", b"application/x-ndjson")]
        scope = {"type": "http", "method": "POST", "path": "/publish", "headers": headers}
        await manager(scope, receive, send)
        return sent[0]["status"], json.loads(sent[1]["body"])

    async with SubscriptionManager(redis.url(), publish_token="t") as manager:
        status, answer = await post(manager)
        assert (status, len(set(answer["ids"]))) == (202, 5)
        redis.command("CONFIG", "SET", "maxmemory", 1)
        status, answer = await post(manager)
        assert (status, answer["ids"]) == (503, [])
        assert answer["error"].startswith("line 2: OOM command not allowed")


async def test_the_server_refuses_an_event(redis: RedisServer) -> None:
    async with listening(redis.url()) as (manager, listener):
        redis.command("CONFIG", "SET", "maxmemory", 1)
        with pytest.raises(BusError, match="OOM command not allowed"):
            await manager.publish_event("item", "items", {"n": 1})
        redis.command("CONFIG", "SET", "maxmemory", 0)
        await manager.publish_event("item", "items", {"n": 2})
        await listener.until(lambda it: it.numbers == [2])
        assert manager.get_metrics()["bus_reconnects"] == 0


async def test_a_primary_that_becomes_a_replica_takes_events_later(redis: RedisServer) -> None:
    async with listening(redis.url(), publish_timeout=DEADLINE) as (manager, listener):
        redis.command("REPLICAOF", "127.0.0.1", "1")
        publishing = [
            asyncio.create_task(manager.publish_event("item", "items", {"n": n})) for n in range(50)
        ]
        await metric(manager, "bus_up", 0)
        assert not any(task.done() for task in publishing)
        redis.command("REPLICAOF", "NO", "ONE")
        await asyncio.gather(*publishing)
        await listener.until(lambda it: len(it.numbers) == 50)
        assert listener.numbers == list(range(50))
        assert listener.n_gaps == 0


@pytest.mark.skipif(not pathlib.Path("/proc/self/fd").exists(), reason="reads /proc")
def test_a_forked_child_connects_anew(redis: RedisServer) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK, redis.url()],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert done.returncode == 0, done.stderr


# -- failures -------------------------------------------------------------------


@promised(seconds=120)
async def test_a_killed_server_loses_no_acknowledged_event(tmp_path: pathlib.Path) -> None:
    with server(tmp_path, appendonly="yes", appendfsync="always") as redis:
        async with listening(redis.url(), publish_timeout=DEADLINE) as (manager, listener):
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
            for _ in range(3):
                before = len(acknowledged)
                await listener.until(lambda it, n=before: len(it.numbers) > n + 200)
                redis.kill()
                await metric(manager, "bus_up", 0)
                redis.start()
                up_at, n_seen = time.monotonic(), len(listener.numbers)
                await listener.until(lambda it, n=n_seen: len(it.numbers) > n)
                assert time.monotonic() - up_at < 2 * SLACK
            stop.set()
            await asyncio.gather(*publishing)
            assert all("connection to Redis was lost" in text for text in failures)
            wanted = set(acknowledged)
            await listener.until(lambda it: wanted <= set(it.numbers))
            assert len(listener.numbers) == len(set(listener.numbers))
            assert listener.n_gaps == 0
            assert manager.get_metrics()["bus_reconnects"] == 3


@promised(seconds=120)
async def test_a_server_that_comes_back_empty_is_a_gap(redis: RedisServer) -> None:
    async with listening(redis.url()) as (manager, listener):
        await manager.publish_event("item", "items", {"n": 1})
        await listener.until(lambda it: it.numbers == [1])
        redis.kill()
        # However long it was away.
        await asyncio.sleep(size(0, 10))
        redis.start()
        assert await listener.until(lambda it: it.n_gaps == 1) < 1 * SLACK
        await manager.publish_event("item", "items", {"n": 2})
        await listener.until(lambda it: it.numbers == [1, 2])
        assert [bool(result["data"]) for result in listener.results] == [True, False, True]
        assert manager.get_metrics()["bus_gaps"] == 1


@promised(seconds=120)
async def test_a_flushed_stream_is_a_gap(redis: RedisServer) -> None:
    async with listening(redis.url()) as (manager, listener):
        async with listening(redis.url()) as (_other, second):
            redis.command("FLUSHALL")
            assert await listener.until(lambda it: it.n_gaps == 1) < 1 * SLACK
            assert await second.until(lambda it: it.n_gaps == 1) < 1 * SLACK
            await manager.publish_event("item", "items", {"n": 2})
            for it in (listener, second):
                await it.until(lambda it: it.numbers == [2])
        assert manager.get_metrics()["bus_gaps"] == 1


@promised(seconds=120)
async def test_a_stream_trimmed_while_nobody_looks_is_a_gap(redis: RedisServer) -> None:
    config = EventBusConfig.redis(redis.url(), history_events=100)
    async with listening(config) as (manager, listener):
        with redis.connect() as client:
            client.command("MULTI")
            for n in range(1000):
                add = ("XADD", "fraiseql:events", "MAXLEN", 10, "*", "channel", "items")
                client.command(*add, "data", json.dumps({"n": n}))
            client.command("EXEC")
        assert await listener.until(lambda it: it.n_gaps == 1) < 1 * SLACK
        # What is left of it comes behind the gap.
        await listener.until(lambda it: it.numbers and it.numbers[-1] == 999)
        assert listener.numbers == list(range(990, 1000))
        assert listener.results[0]["data"] is None
        await manager.publish_event("item", "items", {"n": 1000})
        await listener.until(lambda it: it.numbers[-1] == 1000)
        assert listener.n_gaps == 1


async def test_a_reader_keeps_up_with_a_stream_that_is_trimmed(redis: RedisServer) -> None:
    config = EventBusConfig.redis(redis.url(), history_events=500)
    async with listening(config) as (manager, listener):
        for start in range(0, 6000, 100):
            await asyncio.gather(
                *(manager.publish_event("item", "items", {"n": start + n}) for n in range(100))
            )
        await listener.until(lambda it: len(it.numbers) == 6000)
        assert listener.numbers == list(range(6000))
        length = redis.command("XLEN", "fraiseql:events")
        assert isinstance(length, int)
        assert 500 <= length < 1000


async def test_what_is_too_old_goes_and_who_is_there_is_told_nothing(redis: RedisServer) -> None:
    config = EventBusConfig.redis(redis.url(), history_seconds=1.5, shards=2)

    def length() -> int:
        found = [redis.command("XLEN", f"fraiseql:events:{shard}") for shard in (0, 1)]
        return sum(it for it in found if isinstance(it, int))

    async with listening(config) as (manager, listener):
        async with listening(config) as (_other, second):
            for n in range(300):
                manager.publish("items", {"n": n})
            await manager.publish_event("item", "items", {"n": 300})
            for it in (listener, second):
                await it.until(lambda it: len(it.numbers) == 301)
            assert length() >= 301
            # The last of each stream stays, however old it is.
            deadline = time.monotonic() + DEADLINE
            while length() > 2:
                assert time.monotonic() < deadline, length()
                await asyncio.sleep(0.05)
            await asyncio.sleep(1.2)
            assert length() == 2
            await manager.publish_event("item", "items", {"n": 301})
            for it in (listener, second):
                await it.until(lambda it: it.numbers == list(range(302)))
                assert it.n_gaps == 0


def test_who_may_not_trim_is_told_at_once(redis: RedisServer) -> None:
    redis.command("ACL", "SETUSER", "app", "on", ">word", "~*", "+@all", "-xtrim")
    url = f"redis://app:word@127.0.0.1:{redis.port}"
    with SubscriptionExecutor(url):
        pass
    with pytest.raises(BusError, match=r"NOPERM .*xtrim"):
        SubscriptionExecutor(f"{url}?history_seconds=60")


def test_an_executor_without_its_bus_says_so(redis: RedisServer) -> None:
    with SubscriptionExecutor(redis.url()) as executor:
        redis.kill()
        deadline = time.monotonic() + DEADLINE
        while executor.get_metrics()["bus_up"]:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        with pytest.raises(BusError, match="event bus cannot be reached") as caught:
            executor.register_subscription("c", "s", ITEMS, None, {}, "u", None)
        assert (caught.value.code, caught.value.subscription_id) == ("BUS_UNAVAILABLE", "s")


async def test_a_manager_starts_without_its_bus_if_it_may(tmp_path: pathlib.Path) -> None:
    redis = RedisServer(tmp_path)
    with pytest.raises(BusError, match="Connection refused"):
        async with SubscriptionManager(redis.url()):
            pass
    async with SubscriptionManager(redis.url(), bus_required=False) as manager:
        with pytest.raises(BusError, match="event bus cannot be reached") as caught:
            async for _ in manager.subscribe(ITEMS):
                pass
        assert caught.value.code == "BUS_UNAVAILABLE"
        redis.start()
        try:
            await metric(manager, "bus_up", 1)
            listener = Listener(manager)
            await manager.publish_event("item", "items", {"n": 1})
            await listener.close()
        finally:
            redis.stop()


# -- resuming -------------------------------------------------------------------


async def resume(manager: SubscriptionManager, after: str | None = None) -> Connection:
    """A WebSocket client that asks for positions, behind `after` if given."""
    client = await Connection(manager).ready()
    resume = {} if after is None else {"after": after}
    payload = {"query": ITEMS, "extensions": {"resume": resume}}
    client.write({"type": "subscribe", "id": "1", "payload": payload})
    client.write({"type": "ping"})
    if after is None:
        assert await client.read() == {"type": "pong"}
    return client


async def read_number(client: Connection) -> tuple[int, str]:
    while (message := await client.read()) == {"type": "pong"}:
        pass
    assert message["type"] == "next", message
    payload = message["payload"]
    return payload["data"]["items"]["n"], payload["extensions"]["position"]


async def expect_lost(client: Connection) -> None:
    while (message := await client.read()) == {"type": "pong"}:
        pass
    assert message["type"] == "error", message
    assert message["payload"][0]["extensions"]["code"] == "POSITION_LOST"


async def test_a_client_goes_on_when_its_redis_has_been_restarted(tmp_path: pathlib.Path) -> None:
    with server(tmp_path, appendonly="yes", appendfsync="always") as redis:
        async with SubscriptionManager(redis.url()) as manager:
            client = await resume(manager)
            await manager.publish_event("item", "items", {"n": 1})
            _, position = await read_number(client)
            await client.left()
            for n in range(2, 700):
                manager.publish("items", {"n": n})
            await manager.publish_event("item", "items", {"n": 700})
        redis.kill()
        redis.start()
        async with SubscriptionManager(redis.url()) as manager:
            client = await resume(manager, position)
            for n in range(2, 701):
                assert (await read_number(client))[0] == n
            await client.left()


async def test_a_position_is_lost_with_what_was_behind_it(redis: RedisServer) -> None:
    config = EventBusConfig.redis(redis.url(), history_events=50)
    async with SubscriptionManager(config) as manager:
        live, away = await resume(manager), await resume(manager)
        await manager.publish_event("item", "items", {"n": 1})
        for client in (live, away):
            _, position = await read_number(client)
        await away.left()
        for n in range(2, 1001):
            await manager.publish_event("item", "items", {"n": n})
            assert (await read_number(live))[0] == n
        away = await resume(manager, position)
        await expect_lost(away)
        await away.left()
        # Who is there and asked for positions is told, too, within a second.
        redis.command("FLUSHALL")
        start = time.monotonic()
        await expect_lost(live)
        assert time.monotonic() - start < 1 * SLACK
        await live.left()
        live = await resume(manager)
        await manager.publish_event("item", "items", {"n": 1})
        assert (await read_number(live))[0] == 1
        # A position of before the flush is one of another history.
        away = await resume(manager, position)
        await expect_lost(away)
        await away.left()
        await live.left()
        metrics = manager.get_metrics()
        assert metrics["ended_position_lost"] == 2
        assert metrics["refused_positions"] == 1


async def test_who_resumes_while_redis_is_away_waits_for_it(redis: RedisServer) -> None:
    async with SubscriptionManager(redis.url()) as manager:
        client = await resume(manager)
        for n in range(3):
            await manager.publish_event("item", "items", {"n": n})
        _, position = await read_number(client)
        await client.left()
        redis.pause()
        client = await resume(manager, position)
        await metric(manager, "subscriptions_replaying", 1)
        redis.go_on()
        assert [(await read_number(client))[0] for _ in range(2)] == [1, 2]
        await client.left()


async def test_who_comes_from_a_quicker_instance_gets_nothing_twice(redis: RedisServer) -> None:
    """Also where somebody else resumes at the same moment, for whom what has
    been delivered here is all there is."""
    link = Link(lambda: asyncio.open_connection("127.0.0.1", redis.port))
    await link.start()
    slow = SubscriptionManager(f"redis://127.0.0.1:{link.port}/0", connect_timeout=DEADLINE)
    async with SubscriptionManager(redis.url()) as quick, slow:
        n = 0
        for _ in range(5):
            client = await resume(quick)
            witness = await resume(slow)
            positions = []
            for _ in range(3):
                n += 1
                await quick.publish_event("item", "items", {"n": n})
                assert (await read_number(witness))[0] == n
                positions.append((await read_number(client))[1])
            await witness.left()
            link.hold("down")
            behind = await resume(slow, positions[0])
            await metric(slow, "subscriptions_replaying", 1)
            # Its look is at the server, and says what is there now.
            await asyncio.sleep(0.05)
            for _ in range(3):
                n += 1
                await quick.publish_event("item", "items", {"n": n})
                _, position = await read_number(client)
            await client.left()
            ahead = await resume(slow, position)
            await metric(slow, "subscriptions_replaying", 2)
            link.let_go("down")
            await metric(slow, "subscriptions_replaying", 0)
            n += 1
            await quick.publish_event("item", "items", {"n": n})
            assert [(await read_number(behind))[0] for _ in range(6)] == list(range(n - 5, n + 1))
            assert (await read_number(ahead))[0] == n
            await behind.left()
            await ahead.left()
    await link.close()
