# SPDX-License-Identifier: MIT
"""Channels of declared fields: names with gaps that arguments fill in."""

from __future__ import annotations

from typing import Any

import pytest
from asgi_driver import Connection, on_both_loops

from fraiseql_asgi import ConfigError, SubscriptionManager
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
