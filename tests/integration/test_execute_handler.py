# SPDX-License-Identifier: MIT
"""The npm client sends queries and mutations over the socket it subscribes on."""

from __future__ import annotations

import json
import pathlib

from serving import client, serving

APP = """
import graphql
from fraiseql_asgi import SubscriptionManager, execute

schema = graphql.build_schema(
    "type Query { order(id: ID!): String } type Mutation { place(total: Int!): Int }"
)
schema.query_type.fields["order"].resolve = lambda root, info, id: f"order {id}"

def place(root, info, total):
    manager.publish("orderPlaced", {"total": total})
    return total

schema.mutation_type.fields["place"].resolve = place

manager = SubscriptionManager(execute_handler=execute.graphql_core(schema))
manager.subscription("orderPlaced")
"""


def test_one_socket_for_queries_mutations_and_subscriptions(tmp_path: pathlib.Path) -> None:
    (tmp_path / "shop.py").write_text(APP)
    query = "query ($id: ID!) { order(id: $id) }"
    with (
        serving("shop:manager", tmp_path) as server,
        client(
            f"ws://{server.address()}/",
            operations=[
                {"key": "s", "query": "subscription { orderPlaced { total } }", "count": 1},
                {"key": "q", "query": query, "variables": {"id": "7"}},
            ],
            stay=True,
        ) as shop,
    ):
        events = [shop.event() for _ in range(3)]
        assert [event["type"] for event in events] == ["connected", "next", "complete"]
        assert events[1]["payload"] == {"data": {"order": "order 7"}}
        wrong = {"key": "w", "query": "{ order(id: }"}
        shop.command("subscribe " + json.dumps(wrong))
        (error,) = shop.event()["errors"]
        assert error["extensions"] == {"code": "PARSE_ERROR"}
        # The answer to the query says that the subscription before it is live.
        mutation = {"key": "m", "query": "mutation { place(total: 3) }"}
        shop.command("subscribe " + json.dumps(mutation))
        told = {(event["key"], event["type"]): event for event in (shop.event() for _ in range(4))}
        assert told["m", "next"]["payload"] == {"data": {"place": 3}}
        assert told["s", "next"]["payload"] == {"data": {"orderPlaced": {"total": 3}}}
        assert ("m", "complete") in told
        assert ("s", "complete") in told
        server.stop()
