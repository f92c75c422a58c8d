# SPDX-License-Identifier: MIT
"""SubscriptionManager: fields, publishing, its life and its ASGI face."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import Any

import pytest
from asgi_driver import Connection, on_both_loops, until

from fraiseql_asgi import (
    ClosedError,
    ConfigError,
    DuplicateSubscription,
    Event,
    EventBusConfig,
    Limits,
    PublishTimeout,
    QueueFull,
    SubscriptionManager,
    UnknownSubscription,
)
from fraiseql_asgi.types import Metrics


async def http(
    app: Any, method: str = "GET", path: str = "/", root_path: str = ""
) -> tuple[int, dict[str, str], str]:
    """Status, headers and text of one answer."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "root_path": root_path, "headers": []}
    await app(scope, receive, send)
    start, body = sent
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    return start["status"], headers, body["body"].decode()


class Lifespan:
    """The server's side of the lifespan protocol."""

    def __init__(self, app: Any) -> None:
        self.incoming: asyncio.Queue[Any] = asyncio.Queue()
        self.outgoing: asyncio.Queue[Any] = asyncio.Queue()
        coroutine = app({"type": "lifespan"}, self.incoming.get, self.outgoing.put)
        self.task = asyncio.ensure_future(coroutine)

    async def startup(self) -> Any:
        await self.incoming.put({"type": "lifespan.startup"})
        return await asyncio.wait_for(self.outgoing.get(), 10)

    async def shutdown(self) -> Any:
        await self.incoming.put({"type": "lifespan.shutdown"})
        message = await asyncio.wait_for(self.outgoing.get(), 10)
        await self.task
        return message


async def subscribe(client: Connection, query: str, operation_id: str = "1") -> None:
    """Subscribe, and wait until it is live."""
    client.write({"type": "subscribe", "id": operation_id, "payload": {"query": query}})
    client.write({"type": "ping"})
    assert await client.read() == {"type": "pong"}


# -- publishing -------------------------------------------------------------


@on_both_loops
async def test_published_events_reach_a_client() -> None:
    async with SubscriptionManager() as manager:
        client = await Connection(manager).subscribed()
        assert manager.publish("tick", {"n": 1}) == "1"
        assert await manager.publish_event("ticked", "tick", {"n": 2}) == "2"
        assert (
            await manager.publish_event(event_type="ticked", channel="tick", data={"n": 3}) == "3"
        )
        manager.publish(Event("ticked", "tick", {"n": 4}))
        await manager.publish_event(Event("ticked", "tick", {"n": 5}))
        assert await client.read_ticks(5) == [1, 2, 3, 4, 5]
        await client.left()


@on_both_loops
async def test_any_thread_may_publish_in_order() -> None:
    async with SubscriptionManager() as manager:
        client = await Connection(manager).subscribed()
        thread = threading.Thread(
            target=lambda: [manager.publish("tick", {"n": n}) for n in range(1000)]
        )
        thread.start()
        assert await client.read_ticks(1000) == list(range(1000))
        thread.join()
        await client.left()


async def test_a_publisher_in_a_tight_loop_starves_no_subscriber() -> None:
    """More events than a queue holds, from the subscriber's own event loop."""
    # Twice what waits at the door, which all may come at once where the reactor
    # had no turn for a while.
    limits = Limits(queue_max_items=2 * 16384, queue_max_bytes=2**26)
    async with SubscriptionManager(limits=limits) as manager:
        client = await Connection(manager).subscribed()
        reader = asyncio.ensure_future(client.read_ticks(40_000))
        for n in range(40_000):
            await manager.publish_event("ticked", "tick", {"n": n})
        assert await asyncio.wait_for(reader, 30) == list(range(40_000))
        assert manager.get_metrics()["slow_clients_closed"] == 0
        await client.left()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("tick", None), TypeError),
        (("tick", []), TypeError),
        (("tick", {"a": object()}), TypeError),
        (("tick", {"a": float("nan")}), ValueError),
        (("", {}), ValueError),
        ((1, {}), TypeError),
        ((Event("t", "tick", {}), {}), TypeError),
    ],
)
async def test_nothing_is_published_that_cannot_be(
    arguments: tuple[Any, Any], error: type[Exception]
) -> None:
    async with SubscriptionManager() as manager:
        with pytest.raises(error):
            manager.publish(*arguments)
        if not isinstance(arguments[0], Event):
            arguments = ("t", *arguments)  # type: ignore[assignment]
        with pytest.raises(error):
            await manager.publish_event(*arguments)
        assert manager.publish("tick", {}) == "1"


async def busy_manager() -> SubscriptionManager:
    """One whose engine needs a while for an event: many ask, each for another
    text."""
    manager = await SubscriptionManager().__aenter__()
    for n in range(8):
        manager.executor.register_subscription(
            "c", str(n), f"subscription {{ alias{n}: tick }}", None, None, None, None
        )
    return manager


#: Five of them fill the door.
BIG = {"pad": ["x" * 1000] * 14_000}


def fill(manager: SubscriptionManager) -> None:
    for _ in range(100):
        manager.publish("tick", BIG)


async def test_a_full_door_is_told_at_once_where_a_loop_runs() -> None:
    manager = await busy_manager()
    with pytest.raises(QueueFull, match="await publish_event"):
        fill(manager)
    assert manager.get_metrics()["events_waiting"] > 1
    # The waiting form gets through, and blocks nobody meanwhile.
    waiting = asyncio.ensure_future(manager.publish_event("t", "other", BIG))
    n_turns = 0
    while not waiting.done():
        await asyncio.sleep(0.001)
        n_turns += 1
    assert int(await waiting) > 1
    assert n_turns > 5
    await manager.aclose()


async def test_a_full_door_is_waited_for_elsewhere() -> None:
    manager = await busy_manager()
    ids = await asyncio.to_thread(lambda: [manager.publish("tick", BIG) for _ in range(15)])
    assert ids == [str(n) for n in range(1, 16)]
    await manager.aclose()


async def test_publishing_gives_up_after_publish_timeout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with SubscriptionManager(publish_timeout=0.05) as manager:

        class Full:
            id = None
            done = None

            def send(self) -> Any:
                return asyncio.get_running_loop().create_future()

        with pytest.raises(PublishTimeout) as caught:
            await manager._complete(Full())  # type: ignore[arg-type]
        assert caught.value.timeout == 0.05


# -- subscriptions of the application ----------------------------------------


@on_both_loops
async def test_the_application_reads_its_own_subscriptions() -> None:
    async def resolver(event: Any, variables: Any) -> Any:
        await asyncio.sleep(0.01)
        return {"id": event["id"], "name": event["name"].upper()}

    async with SubscriptionManager() as manager:
        await manager.create_subscription(
            "sub1",
            "conn1",
            "subscription { userUpdated { name } }",
            "OnUserUpdated",
            {},
            resolver,
            "user1",
            "tenant1",
        )
        assert manager.subscriber_count("userUpdated") == 1
        await manager.publish_event("userUpdated", "userUpdated", {"id": "1", "name": "Al"})
        message = await manager.get_next_event("sub1")
        assert message is not None
        assert json.loads(message) == {
            "type": "next",
            "id": "sub1",
            "payload": {"data": {"userUpdated": {"name": "AL"}}},
        }
        assert await manager.get_next_event("sub1") is None
        with pytest.raises(DuplicateSubscription):
            await manager.create_subscription(
                "sub1", "c", "subscription { a }", None, None, None, None, None
            )
        await manager.complete_subscription("sub1")
        with pytest.raises(UnknownSubscription):
            await manager.complete_subscription("sub1")
        assert manager.subscriber_count() == 0


async def test_publishing_inside_a_resolver_waits_for_nobody() -> None:
    async with SubscriptionManager() as manager:

        async def chain(event: Any, variables: Any) -> Any:
            if event["n"] < 3:
                await manager.publish_event("t", "tick", {"n": event["n"] + 1})
            return event

        await manager.create_subscription(
            "s", "c", "subscription { tick { n } }", None, None, chain, None, None
        )
        started = time.monotonic()
        await manager.publish_event("t", "tick", {"n": 0})
        got: list[Any] = []
        while len(got) < 4:
            message = await manager.get_next_event("s")
            if message is None:
                await asyncio.sleep(0.001)
            else:
                got.append(json.loads(message)["payload"]["data"]["tick"]["n"])
        assert got == [0, 1, 2, 3]
        assert time.monotonic() - started < 2


async def test_the_executor_is_the_same_engine() -> None:
    async with SubscriptionManager() as manager:
        manager.executor.register_subscription(
            "c", "s", "subscription { tick }", None, None, None, None
        )
        assert manager.subscriber_count("tick") == 1
        await manager.publish_event("t", "tick", {"n": 1})
        assert await manager.get_next_event("s") is not None


# -- fields -----------------------------------------------------------------


async def test_with_a_field_declared_only_those_are_served() -> None:
    manager = SubscriptionManager()
    manager.subscription("known", channel="tick")
    async with manager:
        client = await Connection(manager).ready()
        await subscribe(client, "subscription { known { n } }")
        query = {"query": "subscription { unknown }"}
        client.write({"type": "subscribe", "id": "2", "payload": query})
        refused = await client.read()
        assert refused["type"] == "error"
        assert refused["payload"][0]["extensions"] == {"code": "VALIDATION_ERROR"}
        manager.publish("tick", {"n": 1})
        assert (await client.read())["payload"] == {"data": {"known": {"n": 1}}}
        # Declared later, it holds for all who subscribe later.
        manager.subscription("unknown")
        await subscribe(client, "subscription { unknown }", "3")
        await client.left()


async def test_several_channels_of_one_field() -> None:
    manager = SubscriptionManager()
    manager.subscription("tick", channel=["a", "b"])
    async with manager:
        client = await Connection(manager).subscribed()
        for n, channel in enumerate(("a", "tick", "b")):
            manager.publish(channel, {"n": n})
        assert await client.read_ticks(2) == [0, 2]
        await client.left()


# -- life -------------------------------------------------------------------


@on_both_loops
async def test_lifespan_starts_and_stops() -> None:
    manager = SubscriptionManager()
    lifespan = Lifespan(manager)
    assert await lifespan.startup() == {"type": "lifespan.startup.complete"}
    client = await Connection(manager).subscribed()
    manager.publish("tick", {"n": 1})
    shutdown = asyncio.ensure_future(lifespan.shutdown())
    # What is queued goes out before the close.
    assert await client.read_ticks(1) == [1]
    assert await client.next() == {
        "type": "websocket.close",
        "code": 1012,
        "reason": "Service restart",
    }
    assert await shutdown == {"type": "lifespan.shutdown.complete"}
    client.disconnect(1012)
    await client.ended()
    with pytest.raises(ClosedError):
        manager.publish("tick", {})


async def test_a_failing_start_is_one_line() -> None:
    class Failing(SubscriptionManager):
        def _prepare(self) -> None:
            raise ConfigError("this\ncannot work")

    lifespan = Lifespan(Failing())
    assert await lifespan.startup() == {
        "type": "lifespan.startup.failed",
        "message": "fraiseql_asgi cannot start: this cannot work",
    }
    await lifespan.task


async def test_a_first_connection_that_cannot_be_served_is_one_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Failing(SubscriptionManager):
        def _prepare(self) -> None:
            raise ConfigError("this\ncannot work")

    client = Connection(Failing())
    assert (await client.next())["type"] == "websocket.close"
    await client.left()
    (record,) = caplog.records
    assert record.getMessage() == "fraiseql_asgi cannot start: this cannot work"
    assert record.exc_info is None


async def test_a_manager_starts_again() -> None:
    manager = SubscriptionManager()
    for _ in range(3):
        async with manager:
            client = await Connection(manager).subscribed()
            assert manager.publish("tick", {"n": 1}) == "1"
            assert await client.read_ticks(1) == [1]
            await client.left()


async def test_entering_twice_stops_once() -> None:
    manager = SubscriptionManager()
    async with manager, manager.lifespan(None):
        async with manager:
            pass
        assert manager.publish("tick", {}) == "1"
    with pytest.raises(ClosedError):
        manager.publish("tick", {})


async def test_first_use_starts_it() -> None:
    manager = SubscriptionManager()
    assert manager.subscriber_count() == 0
    client = await Connection(manager).subscribed()
    manager.publish("tick", {"n": 1})
    assert await client.read_ticks(1) == [1]
    await client.left()
    await manager.aclose()
    await manager.aclose()


async def test_a_connection_after_the_end_is_sent_away() -> None:
    manager = SubscriptionManager()
    async with manager:
        pass
    client = Connection(manager)
    assert await client.next() == {"type": "websocket.close", "code": 1012, "reason": ""}
    await client.left()


async def test_managers_share_a_bus() -> None:
    bus = EventBusConfig.memory().create_bus()
    async with SubscriptionManager(bus) as one, SubscriptionManager(bus) as two:
        assert one.event_bus_config is bus
        client = await Connection(two).subscribed()
        one.publish("tick", {"n": 1})
        assert await client.read_ticks(1) == [1]
        await client.left()
    bus.publish(Event("t", "tick", {}))
    bus.close()


# -- http -------------------------------------------------------------------


async def test_http_is_answered_with_a_sentence() -> None:
    manager = SubscriptionManager()
    status, headers, text = await http(manager)
    assert (status, headers["upgrade"]) == (426, "websocket")
    assert "graphql-transport-ws" in text
    assert headers["content-type"] == "text/plain; charset=utf-8"
    assert headers["content-length"] == str(len(text))
    status, headers, text = await http(manager, "HEAD")
    assert (status, text) == (426, "")
    assert int(headers["content-length"]) > 0
    for method in ("PATCH", "OPTIONS"):
        status, headers, text = await http(manager, method)
        assert (status, headers["allow"]) == (405, "DELETE, GET, POST, PUT")
        assert method in text


@pytest.mark.parametrize(
    ("path", "asked", "root_path", "status"),
    [
        (None, "/", "", 426),
        (None, "/graphql", "", 426),
        (None, "/mounted/", "/mounted", 426),
        ("/graphql", "/graphql", "", 426),
        ("/graphql", "/graphql/", "", 426),
        ("/graphql/", "/graphql", "", 426),
        ("/graphql", "/mounted/graphql", "/mounted", 426),
        ("/graphql", "/graphql/x", "", 404),
        ("/graphql", "/", "", 404),
        ("/graphql", "/graphqls", "", 404),
        ("/", "/", "", 426),
        ("/", "/x", "", 404),
    ],
)
async def test_path_says_where_it_answers(
    path: str | None, asked: str, root_path: str, status: int
) -> None:
    manager = SubscriptionManager(path=path)
    assert (await http(manager, path=asked, root_path=root_path))[0] == status


async def test_a_websocket_elsewhere_is_refused() -> None:
    manager = SubscriptionManager(path="/graphql")
    client = Connection(manager, path="/other")
    assert (await client.next())["type"] == "websocket.close"
    client = await Connection(manager, path="/graphql").subscribed()
    await client.left()
    await manager.aclose()


def test_a_path_begins_with_a_slash() -> None:
    with pytest.raises(ConfigError, match="slash"):
        SubscriptionManager(path="graphql")


# -- attach -----------------------------------------------------------------


@pytest.mark.parametrize("path", ["", "/", "graphql", None])
def test_attach_needs_a_path(path: Any) -> None:
    starlette = pytest.importorskip("starlette.applications")
    with pytest.raises(ConfigError, match="path must be like"):
        SubscriptionManager().attach(starlette.Starlette(), path)


def test_attach_takes_no_other_application() -> None:
    with pytest.raises(TypeError, match="mount it"):
        SubscriptionManager().attach(object())


async def test_attach_chains_the_lifespan() -> None:
    applications = pytest.importorskip("starlette.applications")
    told: list[str] = []

    import contextlib

    @contextlib.asynccontextmanager
    async def lifespan(app: Any) -> Any:
        told.append(manager.publish("tick", {}))
        yield {"state": "kept"}
        told.append(manager.publish("tick", {}))

    manager = SubscriptionManager()
    app = applications.Starlette(lifespan=lifespan)
    manager.attach(app, "/graphql")
    async with app.router.lifespan_context(app) as state:
        assert state == {"state": "kept"}
        client = await Connection(app, path="/graphql").subscribed()
        manager.publish("tick", {"n": 1})
        assert await client.read_ticks(1) == [1]
        await client.left()
        assert (await http(app, path="/graphql/x"))[0] == 404
        assert (await http(app, path="/graphql"))[0] == 426
    assert told == ["1", "3"]
    with pytest.raises(ClosedError):
        manager.publish("tick", {})


# -- numbers ----------------------------------------------------------------


async def test_metrics_count() -> None:
    async with SubscriptionManager() as manager:
        assert set(manager.get_metrics()) == set(Metrics.__annotations__)
        client = await Connection(manager).subscribed()
        other = await Connection(manager).subscribed()
        manager.publish("tick", {"n": 1})
        await client.read_ticks(1)
        await other.read_ticks(1)
        # Counted once for all an event met, after it met them.
        await until(lambda: manager.get_metrics()["events_matched"] == 2)
        metrics = manager.get_metrics()
        assert metrics["connections_active"] == 2
        assert metrics["subscriptions_active"] == 2
        assert metrics["channels_active"] == 1
        assert metrics["events_published"] == 1
        assert metrics["events_received"] == 1
        assert metrics["projections"] == 1
        assert metrics["deliveries"] == 2
        assert manager.subscriber_count("tick") == 2
        assert manager.subscriber_count("other") == 0
        await client.left()
        await other.left()
        await until(lambda: manager.subscriber_count() == 0)


async def test_limits_are_in_force() -> None:
    async with SubscriptionManager(limits=Limits(max_subscriptions_per_connection=1)) as manager:
        client = await Connection(manager).subscribed()
        query = {"query": "subscription { a }"}
        client.write({"type": "subscribe", "id": "2", "payload": query})
        refused = await client.read()
        assert refused["payload"][0]["extensions"] == {"code": "LIMIT_REACHED"}
        await client.left()
    manager = SubscriptionManager(limits=Limits(event_max_bytes=10))
    with pytest.raises(ValueError, match="10"):
        manager.publish("tick", {"a": "x" * 10})
    await manager.aclose()
    with pytest.raises(TypeError, match="Limits"):
        SubscriptionManager(limits={})  # type: ignore[arg-type]
