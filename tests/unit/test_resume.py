# SPDX-License-Identifier: MIT
"""Resuming: positions, what was missed, and being told when it is lost."""

from __future__ import annotations

import asyncio
import random
import re
from typing import Any

import pytest
from asgi_driver import Connection, Request, on_both_loops, until
from buses import BusKind
from sizes import promised, size

from fraiseql_asgi import (
    SKIP,
    ConfigError,
    EventBusConfig,
    Limits,
    PositionLost,
    Security,
    SecurityContext,
    SecurityError,
    SubscriptionManager,
    arg,
    event,
)
from fraiseql_asgi.default_app import read_settings

QUERY = "subscription { tick { n } }"
#: What a position may consist of: nothing that JSON, URLs or headers escape.
POSITION = re.compile(r"[A-Za-z0-9._~-]{1,1024}")


def subscribe(client: Connection, after: object = None, query: str = QUERY, **payload: Any) -> None:
    """Ask for positions; with `after` for what came behind that one, too."""
    resume = {} if after is None else {"after": after}
    payload |= {"query": query, "extensions": {"resume": resume}}
    client.write({"type": "subscribe", "id": "1", "payload": payload})


async def subscribed(client: Connection, after: object = None, **payload: Any) -> Connection:
    subscribe(client, after, **payload)
    if after is None:
        client.write({"type": "ping"})
        assert await client.read() == {"type": "pong"}
    return client


async def ticks(client: Connection, n: int) -> tuple[list[int], str]:
    """Numbers of the next `n` messages, and the last position."""
    numbers, position = [], ""
    for _ in range(n):
        message = await client.read()
        assert message["type"] == "next", message
        payload = message["payload"]
        assert list(payload["extensions"]) == ["position"]
        position = payload["extensions"]["position"]
        assert POSITION.fullmatch(position)
        numbers.append(payload["data"]["tick"]["n"])
    return numbers, position


async def lost(client: Connection) -> str:
    """The message of an `error` that says POSITION_LOST, and nothing before it."""
    message = await client.read()
    assert message["type"] == "error", message
    (error,) = message["payload"]
    assert error["extensions"] == {"code": "POSITION_LOST"}
    return str(error["message"])


async def publish(manager: SubscriptionManager, *numbers: int, channel: str = "tick") -> None:
    for n in numbers:
        await manager.publish_event(channel, channel, {"n": n})


@on_both_loops
async def test_only_who_asks_gets_positions() -> None:
    async with SubscriptionManager() as manager:
        asks = await subscribed(await Connection(manager).ready())
        others = await Connection(manager).subscribed()
        await publish(manager, 1, 2)
        numbers, last = await ticks(asks, 2)
        assert numbers == [1, 2]
        for n in (1, 2):
            assert (await others.read())["payload"] == {"data": {"tick": {"n": n}}}
        bus = manager.event_bus_config.create_bus()
        assert bus.position() != last
        bus.close()
        await asks.left()
        await others.left()


@on_both_loops
async def test_what_was_missed_comes_first_and_nothing_twice(bus: EventBusConfig) -> None:
    async with SubscriptionManager(bus) as manager:
        client = await subscribed(await Connection(manager).ready())
        await publish(manager, 1)
        _, position = await ticks(client, 1)
        await client.left()
        await publish(manager, 2, 3)
        await publish(manager, 0, channel="other")
        client = await Connection(manager).ready()
        subscribe(client, position)
        await publish(manager, 4, 5)
        assert (await ticks(client, 4))[0] == [2, 3, 4, 5]
        await client.left()
        # Each position is one to go on from, those of replayed events too.
        client = await subscribed(await Connection(manager).ready(), position)
        numbers, position = await ticks(client, 2)
        assert numbers == [2, 3]
        await client.left()
        client = await subscribed(await Connection(manager).ready(), position)
        assert (await ticks(client, 2))[0] == [4, 5]
        await client.left()
        assert manager.get_metrics()["subscriptions_resumed"] == 3
        await until(lambda: manager.get_metrics()["subscriptions_replaying"] == 0)


@on_both_loops
async def test_a_lost_position_is_told_and_nothing_is_partial(bus_kind: BusKind) -> None:
    """However it was lost, or if it never was one."""
    config = bus_kind.new(history_events=2)
    strangers = [EventBusConfig.memory(), bus_kind.new()]
    async with SubscriptionManager(config) as manager:
        positions = []
        for stranger in strangers:
            async with SubscriptionManager(stranger) as other:
                stream = other.subscribe(QUERY)
                await publish(other, 1)
                await anext(stream)
                positions.append(stream.position)
                await stream.aclose()
        client = await subscribed(await Connection(manager).ready())
        await publish(manager, *range(4))
        _, first = await ticks(client, 1)
        await ticks(client, 3)
        await publish(manager, 4)
        _, position = await ticks(client, 1)
        client.write({"type": "complete", "id": "1"})
        await asyncio.to_thread(bus_kind.forget, config, "tick")
        head, offset = position.rsplit(".", 1)
        for after in (
            first,
            *positions,
            *(f"{head}.{2**64}", f"{head}.00{offset}", f"{head}.-1", f"{head}.", head),
            *("", "\x00", "ü" * 5000, "garbage", "m1", "m1.", "r1..", "p1.0.0.0.0"),
        ):
            subscribe(client, after)
            await lost(client)
        # The socket is open and the id free.
        subscribe(client, position)
        await publish(manager, 5)
        assert (await ticks(client, 1))[0] == [5]
        await client.left()


@on_both_loops
async def test_a_position_ahead_of_its_history_is_lost(bus_kind: BusKind) -> None:
    """As one would be that a backup was restored behind."""
    async with SubscriptionManager(bus_kind.new()) as manager:
        client = await subscribed(await Connection(manager).ready())
        await publish(manager, 1, 2)
        _, position = await ticks(client, 2)
        client.write({"type": "complete", "id": "1"})
        head, _, last = position.rpartition(".")
        if bus_kind.name == "memory":
            head += f".{int(last) + 1}"
        elif bus_kind.name == "redis":
            head += f".{int(last.partition('-')[0]) + 60_000}-0"
        else:
            head = position.rsplit(".", 3)[0] + ".7fffffffffffffff"
        subscribe(client, head)
        await lost(client)
        await client.left()


@promised(seconds=1200)
@on_both_loops
async def test_positions_that_were_tampered_with_do_no_harm(bus: EventBusConfig) -> None:
    """What comes then is what was behind some event, whole, or POSITION_LOST."""
    chance = random.Random(7)
    async with SubscriptionManager(bus) as manager:
        client = await subscribed(await Connection(manager).ready())
        await publish(manager, *range(8))
        _, position = await ticks(client, 4)
        _, last = await ticks(client, 4)
        client.write({"type": "complete", "id": "1"})
        characters = "0123456789abcdef.-mrp"
        tampered = []
        for _ in range(size(40, 2000)):
            text = list(position)
            for _ in range(chance.randint(1, 3)):
                # Rather behind the epoch, where it is read at all.
                at = len(text) - 1 - int(chance.random() ** 2 * len(text))
                text[at : at + chance.randint(0, 1)] = chance.choices(characters, k=1)
            tampered.append("".join(text))

        async def outcome(after: str) -> list[int]:
            """The events that were behind it; none if it is lost."""
            numbers: list[int] = []
            try:
                async with manager.subscribe(QUERY, after=after) as stream:
                    while not numbers or numbers[-1] != 8:
                        numbers.append((await anext(stream))["data"]["tick"]["n"])
            except PositionLost:
                assert numbers == []
            return numbers

        outcomes = [asyncio.ensure_future(outcome(after)) for after in tampered]
        await asyncio.sleep(0)
        await publish(manager, 8)
        for after, numbers in zip(tampered, await asyncio.gather(*outcomes), strict=True):
            assert numbers == [*range(9)][9 - len(numbers) :], after
        subscribe(client, last)
        assert (await ticks(client, 1))[0] == [8]
        await client.left()


@on_both_loops
async def test_a_bus_that_was_replaced_is_told(shared_kind: BusKind) -> None:
    """To who is there, and to who comes back."""
    config = shared_kind.new()
    async with SubscriptionManager(config) as manager:
        client = await subscribed(await Connection(manager).ready())
        away = await subscribed(await Connection(manager).ready())
        await asyncio.to_thread(shared_kind.add, config, "tick", '{"n": 1}')
        _, position = await ticks(client, 1)
        await ticks(away, 1)
        await away.left()
        await asyncio.to_thread(shared_kind.renew, config)
        await lost(client)
        # All connections were cut, of which one was enough to tell.
        await until(lambda: manager.get_metrics()["bus_up"] == 1)
        subscribe(client)
        await until(lambda: manager.subscriber_count("tick") == 1)
        await asyncio.to_thread(shared_kind.add, config, "tick", '{"n": 2}')
        assert (await ticks(client, 1))[0] == [2]
        client.write({"type": "complete", "id": "1"})
        subscribe(client, position)
        await lost(client)
        await client.left()


@on_both_loops
async def test_malformed_requests_are_named() -> None:
    async with SubscriptionManager() as manager:
        client = await Connection(manager).ready()
        for resume, said in (
            ({"after": 5}, "extensions.resume.after must be a string"),
            ({"after": {}}, "extensions.resume.after must be a string"),
            (True, "extensions.resume must be an object"),
            ("m1", "extensions.resume must be an object"),
            ([], "extensions.resume must be an object"),
        ):
            payload = {"query": QUERY, "extensions": {"resume": resume}}
            client.write({"type": "subscribe", "id": "1", "payload": payload})
            message = await client.read()
            assert message["type"] == "error"
            assert message["payload"][0]["message"].startswith(said)
            assert message["payload"][0]["extensions"]["code"] == "VALIDATION_ERROR"
        # Null is as good as nothing.
        for resume in (None, {"after": None}):
            payload = {"query": QUERY, "extensions": {"resume": resume}}
            client.write({"type": "subscribe", "id": "1", "payload": payload})
            client.write({"type": "ping"})
            assert await client.read() == {"type": "pong"}
            await publish(manager, 1)
            assert (await client.read())["type"] == "next"
            client.write({"type": "complete", "id": "1"})
        await client.left()


@on_both_loops
async def test_sources_have_no_positions() -> None:
    manager = SubscriptionManager()

    @manager.subscription
    async def tick(variables: Any, context: Any) -> Any:
        yield {"n": 1}

    async with manager:
        client = await Connection(manager).ready()
        subscribe(client)
        assert (await client.read())["payload"] == {"data": {"tick": {"n": 1}}}
        assert (await client.read())["type"] == "complete"
        bus = manager._runtime._own_bus
        assert bus is not None
        subscribe(client, bus.position())
        assert "no positions" in await lost(client)
        await client.left()


@on_both_loops
async def test_filters_and_security_of_now_apply(bus: EventBusConfig) -> None:
    roles = ["reader"]

    def authenticate(payload: Any) -> SecurityContext:
        return SecurityContext("ada", roles=roles, tenant_id=payload.get("tenant"))

    manager = SubscriptionManager(
        bus,
        auth_handler=authenticate,
        security=Security(
            tenant_path="tenant", field_roles={"Tick.secret": {"roles": ["reader"], "mode": "mask"}}
        ),
        schema="type Query { a: Int } type Tick { n: Int secret: Int } "
        "type Subscription { tick(n: Int): Tick }",
    )
    manager.subscription("tick", where=event.n >= arg.n)
    query = "subscription { tick(n: 2) { n secret } }"

    async def connect(tenant: str) -> Connection:
        client = await Connection(manager).accepted()
        client.write({"type": "connection_init", "payload": {"tenant": tenant}})
        assert (await client.read())["type"] == "connection_ack"
        return client

    async with manager:
        bus = manager._runtime._own_bus
        assert bus is not None
        start = bus.position()
        for n in range(5):
            data = {"n": n, "secret": 7, "tenant": "a" if n < 4 else "b"}
            await manager.publish_event("tick", "tick", data)
        roles.clear()
        client = await connect("a")
        subscribe(client, start, query)
        for n in (2, 3):
            payload = (await client.read())["payload"]
            assert payload["data"] == {"tick": {"n": n, "secret": None}}
        await manager.publish_event("tick", "tick", {"n": 9, "secret": 1, "tenant": "a"})
        assert (await client.read())["payload"]["data"]["tick"]["n"] == 9
        await client.left()


@on_both_loops
async def test_limits_of_now_apply(bus: EventBusConfig) -> None:
    limits = Limits(events_per_second_per_subscription=2)
    async with SubscriptionManager(bus, limits=limits) as manager:
        bus = manager._runtime._own_bus
        assert bus is not None
        start = bus.position()
        await publish(manager, *range(5))
        client = await subscribed(await Connection(manager).ready(), start)
        assert (await ticks(client, 2))[0] == [0, 1]
        await asyncio.sleep(0.6)
        await publish(manager, 5)
        payload = (await client.read())["payload"]
        assert payload["data"] == {"tick": {"n": 5}}
        # What was lost and where it is are told together.
        assert sorted(payload["extensions"]) == ["dropped", "position"]
        assert payload["extensions"]["dropped"] == 3
        await client.left()


@on_both_loops
@pytest.mark.parametrize("is_shared", [False, True])
async def test_resolvers_are_called_for_what_was_missed(
    is_shared: bool, bus: EventBusConfig
) -> None:
    manager = SubscriptionManager(bus)

    @manager.subscription(channel="tick", shared=is_shared)
    async def tick(event: Any, variables: Any) -> Any:
        await asyncio.sleep(0)
        return SKIP if event["n"] % 3 == 0 else event

    async with manager:
        client = await subscribed(await Connection(manager).ready())
        await publish(manager, 1)
        _, position = await ticks(client, 1)
        await client.left()
        await publish(manager, *range(2, 200))
        client = await Connection(manager).ready()
        subscribe(client, position)
        await publish(manager, *range(200, 300))
        expected = [n for n in range(2, 300) if n % 3 != 0]
        numbers, last = await ticks(client, len(expected))
        assert numbers == expected
        assert last != position
        await client.left()


@on_both_loops
async def test_an_initial_value_has_the_position_before_the_call(bus: EventBusConfig) -> None:
    calls = []
    manager = SubscriptionManager(bus)

    async def load(variables: Any) -> Any:
        calls.append(1)
        await publish(manager, 8)
        return {"n": -1}

    manager.subscription("tick", initial=load)
    async with manager:
        await publish(manager, 7)
        # The bus has it; that it has also been here is another matter.
        await until(lambda: manager.get_metrics()["events_received"] == 1)
        client = await subscribed(await Connection(manager).ready())
        numbers, position = await ticks(client, 1)
        assert numbers == [-1]
        await client.left()
        # What came while it was called for comes again rather than never.
        client = await subscribed(await Connection(manager).ready(), position)
        assert (await ticks(client, 1))[0] == [8]
        await client.left()
    assert len(calls) == 1


@on_both_loops
async def test_a_hook_that_is_asked_first_keeps_the_position(bus: EventBusConfig) -> None:
    async def on_subscribe(connection: Any, operation: Any) -> None:
        if operation.extensions["resume"].get("after") == "no":
            raise SecurityError("no")

    manager = SubscriptionManager(bus, on_subscribe=on_subscribe)
    async with manager:
        client = await Connection(manager).ready()
        subscribe(client)
        await until(lambda: manager.subscriber_count("tick") == 1)
        await publish(manager, 1)
        _, position = await ticks(client, 1)
        client.write({"type": "complete", "id": "1"})
        await until(lambda: manager.subscriber_count("tick") == 0)
        await publish(manager, 2)
        subscribe(client, position)
        assert (await ticks(client, 1))[0] == [2]
        await client.left()


@on_both_loops
@pytest.mark.parametrize(
    "limits",
    [Limits(queue_max_items=10), Limits(queue_max_bytes=20_000), Limits(max_pending=1), Limits()],
    ids=["items", "bytes", "pending", "default"],
)
@pytest.mark.parametrize("kind", ["event", "resolver", "shared"])
async def test_a_replay_longer_than_the_queue_closes_nobody(
    limits: Limits, kind: str, bus: EventBusConfig
) -> None:
    manager = SubscriptionManager(bus, limits=limits)
    if kind != "event":
        manager.subscription(channel="tick", shared=kind == "shared")(tick)
    async with manager:
        client = await subscribed(await Connection(manager).ready())
        await publish(manager, 0)
        _, position = await ticks(client, 1)
        await client.left()
        for n in range(1, 300):
            text = "x" * (9000 if n % 50 == 0 else 300)
            await manager.publish_event("tick", "tick", {"n": n, "text": text})
        client = await Connection(manager).ready()
        client.writable.clear()
        subscribe(client, position, "subscription { tick { n text } }")
        await until(lambda: manager.get_metrics()["subscriptions_replaying"] == 1)
        await until(lambda: manager.get_metrics()["queued_messages"] > 0)
        client.writable.set()
        assert (await ticks(client, 299))[0] == list(range(1, 300))
        await publish(manager, 300)
        assert (await ticks(client, 1))[0] == [300]
        await client.left()
        assert manager.get_metrics()["slow_clients_closed"] == 0


async def tick(event: Any, variables: Any) -> Any:
    return event


@on_both_loops
async def test_many_come_back_at_a_time(bus: EventBusConfig) -> None:
    async with SubscriptionManager(bus) as manager:
        stream = manager.subscribe(QUERY)
        await publish(manager, *range(40))
        positions = []
        for _ in range(40):
            await anext(stream)
            positions.append(stream.position)
        await stream.aclose()
        streams = [manager.subscribe(QUERY, after=each) for each in positions]
        for n, each in enumerate(streams):
            for missed in range(n + 1, 40):
                assert (await anext(each))["data"]["tick"]["n"] == missed
        metrics = manager.get_metrics()
        # Where positions have no order each is read from; in PostgreSQL to the
        # end of the look it is in, and then on.
        n_reads = 80 if bus.bus_type == "postgresql" else 40
        assert 1 <= metrics["history_reads"] <= n_reads
        assert metrics["events_replayed"] == 39 * 40 // 2
        for each in streams:
            await each.aclose()


@on_both_loops
async def test_the_application_resumes_too() -> None:
    config = EventBusConfig.memory(history_events=4)
    async with SubscriptionManager(config) as manager:
        stream = manager.subscribe(QUERY)
        assert stream.position is None
        await publish(manager, 1, 2)
        assert await anext(stream) == {"data": {"tick": {"n": 1}}}
        position = stream.position
        await stream.aclose()
        async with manager.subscribe(QUERY, after=position) as stream:
            assert (await anext(stream))["data"]["tick"]["n"] == 2
            await publish(manager, 3)
            assert (await anext(stream))["data"]["tick"]["n"] == 3
        # One that has read nothing yet begins where it was made.
        stream = manager.subscribe(QUERY)
        await publish(manager, 4)
        await until(lambda: stream.position is not None)
        async with manager.subscribe(QUERY, after=stream.position) as late:
            assert (await anext(late))["data"]["tick"]["n"] == 4
        await stream.aclose()
        await publish(manager, *range(5, 10))
        for after in (position, "garbage"):
            with pytest.raises(PositionLost) as caught:
                await anext(manager.subscribe(QUERY, after=after))
            assert caught.value.position == after
            assert caught.value.code == "POSITION_LOST"
        with pytest.raises(TypeError, match="after must be a str"):
            manager.subscribe(QUERY, after=7)  # type: ignore[arg-type]


@on_both_loops
async def test_a_bus_says_where_it_is() -> None:
    bus = EventBusConfig.memory().create_bus()
    async with SubscriptionManager(bus) as manager:
        stream = manager.subscribe(QUERY)
        await publish(manager, 1)
        before = bus.position()
        await publish(manager, 2)
        async with manager.subscribe(QUERY, after=before) as late:
            assert (await anext(late))["data"]["tick"]["n"] == 2
        await stream.aclose()
    bus.close()
    with pytest.raises(Exception, match="closed"):
        bus.position()


def test_how_much_is_kept_can_be_set() -> None:
    config = EventBusConfig.memory(history_events=0, history_bytes=1, history_seconds=0.5)
    assert (config.history_events, config.history_bytes, config.history_seconds) == (0, 1, 0.5)
    for name in ("history_events", "history_bytes", "history_seconds"):
        with pytest.raises(ConfigError, match=f"{name} must be from 0 to"):
            EventBusConfig.memory(**{name: -1})
        with pytest.raises(TypeError, match=f"{name} must be"):
            EventBusConfig.memory(**{name: "7"})  # type: ignore[arg-type]
    settings = read_settings(
        {"FRAISEQL_ASGI_HISTORY_EVENTS": "7", "FRAISEQL_ASGI_HISTORY_SECONDS": "1.5"}
    )
    assert (settings.bus.history_events, settings.bus.history_seconds) == (7, 1.5)


@on_both_loops
async def test_old_events_are_let_go() -> None:
    config = EventBusConfig.memory(history_seconds=0.4)
    async with SubscriptionManager(config) as manager:
        bus = manager._runtime._own_bus
        assert bus is not None
        start = bus.position()
        await publish(manager, 1)
        end = bus.position()
        await asyncio.sleep(0.5)
        with pytest.raises(PositionLost):
            await anext(manager.subscribe(QUERY, after=start))
        async with manager.subscribe(QUERY, after=end) as stream:
            await publish(manager, 2)
            assert (await anext(stream))["data"]["tick"]["n"] == 2


# -- event streams ------------------------------------------------------------


async def stream_events(request: Request, n: int) -> list[dict[str, str]]:
    """The next `n` events, as EventSource reads them."""
    events: list[dict[str, str]] = []
    while len(events) < n:
        for block in (await request.chunk()).split("\n\n"):
            lines = [line.partition(": ") for line in block.split("\n") if line.strip(":")]
            if lines:
                events.append({name: value for name, _, value in lines})
    return events


@on_both_loops
async def test_events_of_a_stream_have_ids() -> None:
    async with SubscriptionManager() as manager:
        accept = "text/event-stream"
        request = await Request(manager, {"query": QUERY}, accept=accept).started()
        await until(lambda: manager.subscriber_count("tick") == 1)
        await publish(manager, 1, 2)
        first, last = await stream_events(request, 2)
        # Who did not ask in the extensions reads the id alone.
        assert first["data"] == '{"data":{"tick":{"n":1}}}'
        assert POSITION.fullmatch(first["id"])
        assert first["id"] != last["id"]
        await request.left()
        await publish(manager, 3)
        headers = {"last-event-id": first["id"]}
        request = await Request(manager, {"query": QUERY}, accept=accept, headers=headers).started()
        events = await stream_events(request, 2)
        assert ['"n":2' in events[0]["data"], '"n":3' in events[1]["data"]] == [True, True]
        assert events[0]["id"] == last["id"]
        await request.left()
        headers = {"last-event-id": "no-position"}
        request = await Request(manager, {"query": QUERY}, accept=accept, headers=headers).started()
        events = await stream_events(request, 2)
        assert '"code":"POSITION_LOST"' in events[0]["data"]
        assert events[1]["event"] == "complete"
        await request.left()


@on_both_loops
async def test_parts_have_positions_in_their_extensions() -> None:
    async with SubscriptionManager() as manager:
        body = {"query": QUERY, "extensions": {"resume": {}}}
        accept = 'multipart/mixed;boundary="graphql";subscriptionSpec="1.0"'
        request = await Request(manager, body, accept=accept).started()
        await until(lambda: manager.subscriber_count("tick") == 1)
        await publish(manager, 1)
        text = ""
        while '"n":1' not in text:
            text += await request.chunk()
        assert '"extensions":{"position":"m1.' in text
        assert "id: " not in text
        await request.left()
