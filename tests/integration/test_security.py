# SPDX-License-Identifier: MIT
"""Security over real WebSockets: uvicorn, two tenants, roles, a refusal."""

from __future__ import annotations

import contextlib
import json
import pathlib
from typing import Any

from serving import DEADLINE, serving
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

CODE = '''
import asyncio
from fraiseql_asgi import Security, SecurityContext, SubscriptionManager, ctx, event

SDL = """
type Query { none: Int }
type Subscription { order(userId: ID): Order }
type Order { id: ID! margin: Float owner: String }
"""

PEOPLE = {
    "ann": SecurityContext("ann", "t1", roles=["finance"]),
    "bob": SecurityContext("bob", "t1"),
    "eve": SecurityContext("eve", "t2", roles=["finance"]),
}

async def authenticate(payload):
    return PEOPLE.get(payload.get("token"))

async def execute(payload, context):
    for tenant in ("t2", "t1"):
        for owner in ("ann", "bob", "eve"):
            data = {"id": f"{tenant}-{owner}", "margin": 2.5, "owner": owner, "tenant": tenant}
            await app.publish_event("orderUpdated", "order", data)
    return {"data": {"none": app.get_metrics()["security_tenant_denied_foreign"]}}

app = SubscriptionManager(
    schema=SDL,
    auth_handler=authenticate,
    execute_handler=execute,
    security=Security(
        tenant_path="tenant",
        field_roles={"Order.margin": {"roles": ["finance"], "mode": "mask"}},
        rows={"order": event.owner == ctx.user_id},
        variable_scope={"userId": {"value": "user_id", "optional": True}},
    ),
)
app.subscription("order")
'''


class Person:
    def __init__(self, stack: contextlib.ExitStack, url: str, token: str) -> None:
        self.socket: ClientConnection = stack.enter_context(
            connect(url, subprotocols=[Subprotocol("graphql-transport-ws")])
        )
        self.write({"type": "connection_init", "payload": {"token": token}})
        assert self.read() == {"type": "connection_ack"}

    def write(self, message: Any) -> None:
        self.socket.send(json.dumps(message))

    def read(self) -> Any:
        return json.loads(self.socket.recv(timeout=DEADLINE))

    def ask(self, number: str, query: str) -> None:
        self.write({"type": "subscribe", "id": number, "payload": {"query": query}})

    def live(self) -> None:
        """Returns when what was asked before has been looked at."""
        self.write({"type": "ping"})
        assert self.read() == {"type": "pong"}


def test_everybody_sees_their_own(tmp_path: pathlib.Path) -> None:
    (tmp_path / "main.py").write_text(CODE)
    with serving("main:app", tmp_path) as server, contextlib.ExitStack() as stack:
        url = f"ws://{server.address()}/graphql"
        people = {name: Person(stack, url, name) for name in ("ann", "bob", "eve")}
        for person in people.values():
            person.ask("1", "subscription { order { id margin } }")
            person.live()
        people["bob"].ask("2", 'subscription { order(userId: "ann") { id } }')
        refusal = people["bob"].read()
        assert (refusal["type"], refusal["id"]) == ("error", "2")
        assert refusal["payload"][0]["extensions"] == {"code": "FORBIDDEN"}

        publisher = Person(stack, url, "ann")
        publisher.ask("p", "{ none }")
        assert publisher.read()["type"] == "next"

        for name, order in (
            ("ann", {"id": "t1-ann", "margin": 2.5}),
            ("bob", {"id": "t1-bob", "margin": None}),
            ("eve", {"id": "t2-eve", "margin": 2.5}),
        ):
            message = {"type": "next", "id": "1", "payload": {"data": {"order": order}}}
            assert people[name].read() == message
            # There is no more: nothing lies between that and the pong.
            people[name].live()
