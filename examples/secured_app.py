# SPDX-License-Identifier: MIT
"""Who may see what: two tenants, a role, a filter, and a channel per order.

    uvicorn --app-dir examples secured_app:manager

Ann of finance and Bob watch the same order, and somebody changes it:

    python examples/watch.py ws://127.0.0.1:8000/ \\
        'subscription { order(id: "42", minTotal: 10) { id total margin } }' '{"token": "ann"}'
    python examples/watch.py ws://127.0.0.1:8000/ \\
        'subscription { order(id: "42", minTotal: 10) { id total margin } }' '{"token": "bob"}'
    python examples/watch.py ws://127.0.0.1:8000/ 'subscription { changes }' '{"token": "ann"}'

Bob sees `margin` as null; Eve, of another tenant, sees nothing at all.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator
from typing import Any

from fraiseql_asgi import Security, SecurityContext, SubscriptionManager, arg, event

SCHEMA = """
type Query { version: String }
type Subscription {
  order(id: ID!, minTotal: Float = 0): Order
  "Changes an order each second, and says how often it has."
  changes: Int
}
type Order { id: ID! total: Float! margin: Float }
"""

PEOPLE = {
    "ann": SecurityContext("ann", "acme", roles=["finance"]),
    "bob": SecurityContext("bob", "acme"),
    "eve": SecurityContext("eve", "evil"),
}


async def authenticate(payload: dict[str, Any]) -> SecurityContext | None:
    """Who sent this connection_init; None closes the connection, 4403."""
    return PEOPLE.get(payload.get("token", ""))


manager = SubscriptionManager(
    schema=SCHEMA,
    auth_handler=authenticate,
    security=Security(
        tenant_path="tenant",
        field_roles={"Order.margin": {"roles": ["finance"], "mode": "mask"}},
    ),
)

manager.subscription("order", channel="orders:{id}", where=event.total >= arg.minTotal)


@manager.subscription
async def changes(variables: dict[str, Any], context: object) -> AsyncGenerator[int, None]:
    for n in itertools.count(1):
        await manager.publish_event(
            event_type="orderUpdated",
            channel="orders:42",
            data={"id": "42", "total": 9.5 + n, "margin": 0.2, "tenant": "acme"},
        )
        yield n
        await asyncio.sleep(1)
