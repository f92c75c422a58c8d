# SPDX-License-Identifier: MIT
"""A context replaced while something waits: the next gets nothing of it that
it may not have."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from asgi_driver import Connection, until

from fraiseql_asgi import SKIP, ConfigError, Security, SubscriptionManager, ctx, event

SDL = """
type Query { none: Int }
type Subscription { order: Order }
type Order { margin: Int owner: String }
"""
QUERY = "subscription { order { margin owner } }"
PEOPLE: dict[str, dict[str, Any]] = {
    "boss": {"user_id": "ann", "tenant_id": "t", "roles": ["finance"]},
    "clerk": {"user_id": "ann", "tenant_id": "t"},
    "eve": {"user_id": "eve", "tenant_id": "t", "roles": ["finance"]},
}

#: Messages that `clerk` gets, and losses it is told: what was called for in
#: the name of `boss`.
N_LEFT = {"resolver": 3, "both": 4}
N_LOST = {
    ("resolver", "clerk"): 1,
    ("resolver", "eve"): 0,
    ("shared", "clerk"): 3,
    ("shared", "eve"): 0,
    ("both", "clerk"): 0,
    ("both", "eve"): 0,
}


def new_manager() -> SubscriptionManager:
    return SubscriptionManager(
        schema=SDL,
        auth_handler=lambda payload: PEOPLE[payload["authorization"]],
        security=Security(
            field_roles={"Order.margin": {"roles": ["finance"], "mode": "mask"}},
            rows={"order": event.owner == ctx.user_id},
        ),
    )


async def connected(manager: SubscriptionManager, name: str) -> Connection:
    client = Connection(manager)
    await client.accepted()
    client.write({"type": "connection_init", "payload": {"authorization": name}})
    assert (await client.read())["type"] == "connection_ack"
    client.write({"type": "subscribe", "id": "1", "payload": {"query": QUERY}})
    await until(lambda: manager.subscriber_count() > 0)
    return client


@pytest.mark.parametrize("kind", ["resolver", "shared", "initial", "both"])
@pytest.mark.parametrize("name", ["clerk", "eve"])
async def test_what_waits_is_judged_by_the_new_context(kind: str, name: str) -> None:
    """`clerk` lacks a role, `eve` owns nothing."""
    manager = new_manager()
    gate = asyncio.Event()

    async def load(variables: Any, context: Any) -> Any:
        await gate.wait()
        return SKIP

    async def order(event: Any, variables: Any) -> Any:
        await gate.wait()
        return event

    if kind == "initial":
        manager.subscription("order", initial=load)
    elif kind == "both":
        manager.subscription(initial=load)(order)
    else:
        manager.subscription(shared=kind == "shared")(order)
    async with manager:
        client = await connected(manager, "boss")
        for margin in (1, 2, 3):
            await manager.publish_event("o", "order", {"margin": margin, "owner": "ann"})
        await until(lambda: manager.get_metrics()["events_matched"] == 3)
        client.write({"type": "ping", "payload": {"authorization": name}})
        assert (await client.read())["type"] == "pong"
        await until(lambda: manager.get_metrics()["reauthentications"] == 1)
        gate.set()
        owner = PEOPLE[name]["user_id"]
        await manager.publish_event("o", "order", {"margin": 4, "owner": owner})
        last = 4 if name == "eve" else None
        # However many came, that one is the last.
        n_lost = 0
        for _ in range(1 if name == "eve" or kind in ("shared", "initial") else N_LEFT[kind]):
            payload = (await client.read())["payload"]
            assert payload["data"]["order"] == {"margin": last, "owner": owner}
            n_lost += payload.get("extensions", {}).get("dropped", 0)
        # Of what it may not have it is not even told that it was lost.
        if kind != "initial":
            assert n_lost == N_LOST[kind, name]
        client.write({"type": "ping"})
        assert await client.read() == {"type": "pong"}
        await client.left()


@pytest.mark.parametrize("with_renewal", [False, True])
async def test_the_policy_holds_over_a_replaced_schema(with_renewal: bool) -> None:
    manager = new_manager()
    manager.subscription("order")
    async with manager:
        client = await connected(manager, "clerk")
        manager.replace_schema(SDL.replace("owner: String", "owner: String more: Int"))
        client.write({"type": "subscribe", "id": "2", "payload": {"query": QUERY}})
        await until(lambda: manager.subscriber_count() == 2)
        ids = {"1", "2"}
        if with_renewal:
            # The plan of the first is of a schema that the policy knows no more.
            client.write({"type": "ping", "payload": {"authorization": "clerk"}})
            assert (await client.read())["type"] == "pong"
            message = await client.read()
            assert (message["type"], message["id"]) == ("error", "1")
            assert message["payload"][0]["extensions"] == {"code": "FORBIDDEN"}
            ids.remove("1")
        for unfit in (SDL.replace("margin: Int", "margin: Int!"), SDL.replace("margin: Int", "")):
            with pytest.raises(ConfigError):
                manager.replace_schema(unfit)
        await manager.publish_event("o", "order", {"margin": 5, "owner": "ann"})
        await manager.publish_event("o", "order", {"margin": 5, "owner": "eve"})
        for _ in range(len(ids)):
            message = await client.read()
            ids.remove(message["id"])
            assert message["payload"] == {"data": {"order": {"margin": None, "owner": "ann"}}}
        client.write({"type": "ping"})
        assert await client.read() == {"type": "pong"}
        await client.left()
