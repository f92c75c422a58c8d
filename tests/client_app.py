# SPDX-License-Identifier: MIT
"""The application that real clients are tried on: a schema with a field of
each kind, answers for queries and mutations, and an http side for the test
that publishes.

    uvicorn client_app:app

`GET /publish?channel=orders:1&data={"id":1}` publishes; `&times=1000` that
often, with `n` counting up, while the loop and so every client waits. `GET
/count?channel=tick` is the number of subscriptions on a channel.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
import urllib.parse
from collections.abc import AsyncIterator
from typing import Any

import graphql

from fraiseql_asgi import SecurityContext, SubscriptionManager, execute

SDL = """
type Query { me: String! fails: String }
type Mutation { place(id: ID!): Order! }
type Subscription {
  tick: Tick!
  order(id: ID!): Order
  shared: Shared!
  price: Price!
  countdown(from: Int!): Int!
}
type Tick { n: Int! half: Int }
type Order { id: ID! label: String! }
type Shared { n: Int! calls: Int! }
type Price { symbol: String! n: Int! }
"""


def authenticate(payload: dict[str, Any]) -> Any:
    """Everybody, but who says it is nobody."""
    name = payload.get("user", "ann")
    return None if name == "nobody" else (SecurityContext(name), {"hello": name})


schema = graphql.build_schema(SDL)
assert schema.query_type is not None
assert schema.mutation_type is not None
schema.query_type.fields["me"].resolve = lambda _, info: info.context.security.user_id
schema.query_type.fields["fails"].resolve = lambda _, info: 1 / 0


def place(_: object, info: object, id: str) -> dict[str, Any]:  # noqa: A002
    manager.publish(f"orders:{id}", {"id": id})
    return {"id": id, "label": "placed"}


schema.mutation_type.fields["place"].resolve = place

manager = SubscriptionManager(
    schema=SDL,
    auth_handler=authenticate,
    execute_handler=execute.graphql_core(schema, context_value=lambda context: context),
)
manager.subscription("price", channel="prices", overflow="conflate", conflate_key="symbol")
_calls = itertools.count(1)


@manager.subscription
def tick(event: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
    """`half` is of even numbers only."""
    n = event["n"]
    return {"n": n, "half": n // 2 if n % 2 == 0 else "none"}


def load_order(variables: dict[str, Any], context: Any) -> dict[str, Any]:
    return {"id": context.args["id"], "label": "loaded"}


@manager.subscription(channel="orders:{id}", initial=load_order)
def order(event: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
    return {**event, "label": f"order {event['id']}"}


@manager.subscription(shared=True)
def shared(event: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
    return {**event, "calls": next(_calls)}


@manager.subscription
async def countdown(variables: dict[str, Any], context: Any) -> AsyncIterator[int]:
    for n in range(context.args["from"], 0, -1):
        yield n
        await asyncio.sleep(0)


def _publish(channel: str, data: dict[str, Any], times: int) -> None:
    if times == 1:
        manager.publish(channel, data)
        return
    before = manager.get_metrics()["events_received"]
    for n in range(times):
        manager.publish(channel, {**data, "n": n})
    while manager.get_metrics()["events_received"] < before + times:
        time.sleep(0.001)


async def app(scope: Any, receive: Any, send: Any) -> None:
    path = scope["path"] if scope["type"] == "http" else ""
    asked = {key: values[0] for key, values in urllib.parse.parse_qs(_query(scope)).items()}
    if path == "/publish":
        _publish(asked["channel"], json.loads(asked["data"]), int(asked.get("times", "1")))
    elif path != "/count":
        await manager(scope, receive, send)
        return
    count = str(manager.subscriber_count(asked["channel"])).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": count})


def _query(scope: Any) -> str:
    query: bytes = scope.get("query_string", b"")
    return query.decode()
