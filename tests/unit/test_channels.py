# SPDX-License-Identifier: MIT
"""Channels of declared fields: names with gaps that arguments fill in."""

from __future__ import annotations

from typing import Any

import pytest
from asgi_driver import Connection, on_both_loops

from fraiseql_asgi import ConfigError, SubscriptionManager, arg, event
from fraiseql_asgi.executor import SubscriptionExecutor
from fraiseql_asgi.subscription import check_channels, check_names

SDL = """
type Query { now: Int }
type Subscription {
  order(id: ID!, kind: Kind = BOOK, n: Int, ok: Boolean, text: String, any: Any,
        price: Float, ids: [ID!], where: Where): Order
}
type Order { id: ID }
enum Kind { BOOK PEN }
scalar Any
input Where { id: ID }
"""


@pytest.mark.parametrize(
    ("channel", "told"),
    [
        ("orders:{id", r"'orders:\{id': a \"\{\" is never closed"),
        ("orders}", "closes nothing"),
        (["a", "{ id }"], "names neither an argument nor ctx.NAME"),
        ("{ctx.roles}", r"is none of \{ctx.user_id\}, \{ctx.tenant_id\}"),
        ("{a}{b}", "tell them apart"),
    ],
)
def test_what_is_no_template_is_refused(channel: Any, told: str) -> None:
    with pytest.raises(ConfigError, match=f"field 'order': channel.*{told}") as caught:
        check_channels("order", channel)
    assert caught.value.setting == "channel"
    with pytest.raises(ConfigError, match="field 'order'"):
        SubscriptionManager().subscription("order", channel=channel)


def test_a_template_stays_as_it_was_written() -> None:
    channels = ["orders:{id}", "tenant:{ctx.tenant_id}:{ctx.claims.team.id}", "{{x}}"]
    assert check_channels("order", channels) == tuple(channels)
    assert check_channels("order", None) == ("order",)


@pytest.mark.parametrize("name", ["orders:{id}", "{{", "a}"])
def test_where_names_are_asked_for_templates_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="in which nothing is filled in"):
        check_names([name])
    with SubscriptionExecutor() as executor, pytest.raises(ConfigError):
        executor.register_subscription(
            "c", "s", "subscription { a }", None, None, None, None, channels=[name]
        )


@pytest.mark.parametrize("name", ["id", "kind", "n", "ok", "text", "any"])
@on_both_loops
async def test_arguments_that_can_be_in_a_name(name: str) -> None:
    manager = SubscriptionManager(schema=SDL)
    manager.subscription("order", channel=f"orders:{{{name}}}")
    async with manager:
        pass


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("no", "asks for argument 'no', but the field has 'id', 'kind', 'n'"),
        ("price", "argument 'price', which is of type Float: only a string, ID"),
        ("ids", r"argument 'ids', which is of type \[ID!\]"),
        ("where", "argument 'where', which is of type Where"),
    ],
)
@on_both_loops
async def test_arguments_that_cannot_keep_it_from_starting(name: str, told: str) -> None:
    manager = SubscriptionManager(schema=SDL)
    manager.subscription("order", channel=["orders", f"orders:{{{name}}}"])
    with pytest.raises(ConfigError, match=f"field 'order': channel.*{told}"):
        async with manager:
            pass
    manager = SubscriptionManager(schema=SDL, serve_undeclared=True)
    async with manager:
        with pytest.raises(ConfigError, match=told):
            manager.subscription("order", channel=f"orders:{{{name}}}")
        assert "order" not in manager._runtime.fields


@pytest.mark.parametrize("schema", [SDL, None])
@on_both_loops
async def test_an_event_reaches_those_who_named_its_channel(schema: str | None) -> None:
    manager = SubscriptionManager(schema=schema)
    manager.subscription("order", channel=["orders:{id}", "all:{{orders}}"])
    async with manager:
        client = await Connection(manager).ready()
        for id_ in ("1", "2"):
            query = "subscription($id: ID!) { order(id: $id) { id } }"
            payload = {"query": query, "variables": {"id": id_}}
            client.write({"type": "subscribe", "id": id_, "payload": payload})
        client.write({"type": "ping"})
        assert await client.read() == {"type": "pong"}
        assert manager.subscriber_count("orders:1") == 1
        assert manager.subscriber_count("orders:{id}") == 0
        assert manager.subscriber_count("all:{orders}") == 2
        for channel in ("orders:2", "orders:3", "orders:1", "all:{orders}"):
            await manager.publish_event("t", channel, {"id": channel})
        got = [await client.read() for _ in range(4)]
        assert [(m["id"], m["payload"]["data"]["order"]["id"]) for m in got] == [
            ("2", "orders:2"),
            ("1", "orders:1"),
            ("1", "all:{orders}"),
            ("2", "all:{orders}"),
        ]
        client.write({"type": "complete", "id": "1"})
        client.write({"type": "ping"})
        assert await client.read() == {"type": "pong"}
        assert manager.subscriber_count("orders:1") == 0
        assert manager.get_metrics()["channels_active"] == 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("", 'Argument "id" of field "order" selects a channel: it must not be null.'),
        ("(id: null)", "it must not be null."),
        ("(id: 1.5)", "it must be a string, ID, Int, Boolean or enum."),
        ('(id: ["1"])', "it must be a string, ID, Int, Boolean or enum."),
        ('(id: "a:b")', 'it must not contain ":".'),
        (f'(id: "{"x" * 257}")', "it must not be longer than 256 bytes."),
    ],
)
@on_both_loops
async def test_an_argument_that_cannot_be_in_a_name_is_refused(arguments: str, told: str) -> None:
    manager = SubscriptionManager()
    manager.subscription("order", channel="orders:{id}:new")
    async with manager:
        client = await Connection(manager).ready()
        query = f"subscription {{\n  order{arguments} {{ id }} }}"
        client.write({"type": "subscribe", "id": "1", "payload": {"query": query}})
        message = await client.read()
        assert (message["type"], message["id"]) == ("error", "1")
        [error] = message["payload"]
        assert error["message"].endswith(told)
        assert error["locations"] == [{"line": 2, "column": 3}]
        assert error["extensions"] == {"code": "VALIDATION_ERROR"}
        metrics = manager.get_metrics()
        assert metrics["channels_active"] == 0
        assert metrics["subscriptions_refused"] == metrics["refused_validation"] == 1


# -- values of the context ----------------------------------------------------


@on_both_loops
async def test_the_context_is_part_of_a_name() -> None:
    manager = SubscriptionManager(auth_handler=lambda payload: payload["who"])
    manager.subscription("mine", channel="t:{ctx.tenant_id}:{ctx.claims.team.id}:{ctx.user_id}")
    async with manager:
        clients = []
        for tenant, user in (("t1", "ann"), ("t2", "bob:x"), ("t:2", "bob"), (None, "eve")):
            client = await Connection(manager).accepted()
            who = {"user_id": user, "tenant_id": tenant, "claims": {"team": {"id": 7}}}
            client.write({"type": "connection_init", "payload": {"who": who}})
            assert (await client.read())["type"] == "connection_ack"
            payload = {"query": "subscription { mine }"}
            client.write({"type": "subscribe", "id": "1", "payload": payload})
            clients.append(client)
        # What could be read as another's name is refused, and so is what is not there.
        for client in clients[2:]:
            message = await client.read()
            assert message["type"] == "error"
            [error] = message["payload"]
            assert error["extensions"] == {"code": "FORBIDDEN"}
            assert "tenant" not in error["message"]
        for channel in ("t:t1:7:ann", "t:t2:7:bob:x"):
            assert manager.subscriber_count(channel) == 1
            await manager.publish_event("t", channel, {"at": channel})
        for client, channel in zip(clients, ("t:t1:7:ann", "t:t2:7:bob:x"), strict=False):
            payload = (await client.read())["payload"]
            assert payload == {"data": {"mine": {"at": channel}}}


# -- types of events ----------------------------------------------------------


@on_both_loops
async def test_event_types_select() -> None:
    manager = SubscriptionManager()
    manager.subscription("made", channel="orders", event_types="orderMade")
    manager.subscription("ended", channel="orders", event_types={"orderPaid", "orderLost"})
    manager.subscription(
        "large", channel="orders", event_types=["orderMade"], where=event.total >= arg.total
    )
    async with manager:
        client = await Connection(manager).ready()
        for query in ("made", "ended", "large(total: 5)"):
            payload = {"query": f"subscription {{ {query} }}"}
            client.write({"type": "subscribe", "id": query[:5], "payload": payload})
        client.write({"type": "ping"})
        assert await client.read() == {"type": "pong"}
        assert manager.subscriber_count("orders") == 3
        for event_type, total in (
            ("orderMade", 1),
            ("orderSeen", 9),
            ("orderPaid", 2),
            ("orderMade", 5),
            ("orderLost", 3),
        ):
            await manager.publish_event(event_type, "orders", {"total": total})
        got = set()
        for _ in range(5):
            message = await client.read()
            [value] = message["payload"]["data"].values()
            got.add((message["id"], value["total"]))
        assert got == {("made", 1), ("ended", 2), ("made", 5), ("large", 5), ("ended", 3)}
        client.write({"type": "ping"})
        assert await client.read() == {"type": "pong"}


@pytest.mark.parametrize(
    ("event_types", "kind", "told"),
    [
        ([], ConfigError, "about one type of events at least"),
        ("", ConfigError, "1 to 1024 bytes"),
        (["a", "x" * 1025], ConfigError, "1 to 1024 bytes"),
        (5, TypeError, "a str or a set of them"),
        ([b"a"], TypeError, "an event type must be a str"),
    ],
)
def test_event_types_that_are_none(event_types: Any, kind: type[Exception], told: str) -> None:
    with pytest.raises(kind, match=told):
        SubscriptionManager().subscription("order", event_types=event_types)


def test_a_source_has_no_event_types() -> None:
    async def tick(variables: Any) -> Any:
        yield 1

    with pytest.raises(ConfigError, match="event_types= has no meaning"):
        SubscriptionManager().subscription(event_types={"a"})(tick)
