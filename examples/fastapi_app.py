# SPDX-License-Identifier: MIT
"""Subscriptions inside a FastAPI application.

    uvicorn --app-dir examples fastapi_app:app

Watch orders in a second terminal, and change one in a third:

    python examples/watch.py ws://127.0.0.1:8000/graphql \\
        'subscription { orderUpdated { id label } }'
    curl -X POST -H 'content-type: application/json' -d '{"id": "42", "total": 9.5}' \\
        http://127.0.0.1:8000/orders
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from fraiseql_asgi import SubscriptionManager

app = FastAPI()
manager = SubscriptionManager("memory://")


class Order(BaseModel):
    id: str
    total: float


@manager.subscription
async def order_updated(event: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
    """What a subscriber of `orderUpdated` gets for one event."""
    return {**event, "label": f"order {event['id']}: {event['total']:.2f}"}


# No resolver: the event's data is the value, and no Python runs per event.
manager.subscription("priceChanged", channel="prices")


@app.post("/orders")
async def update_order(order: Order) -> dict[str, str]:
    event_id = await manager.publish_event(
        event_type="orderUpdated", channel="orderUpdated", data=order.model_dump()
    )
    return {"event": event_id}


manager.attach(app, "/graphql")
