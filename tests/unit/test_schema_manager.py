# SPDX-License-Identifier: MIT
"""`schema=`: what it may be, how it and the declared fields must fit, and what
clients then get."""

from __future__ import annotations

import pathlib
import sys
from typing import Any

import pytest
from asgi_driver import Connection, on_both_loops

from fraiseql_asgi import ConfigError, SubscriptionManager
from fraiseql_asgi._schema import read_schema
from fraiseql_asgi.default_app import DefaultApp, read_settings

SDL = """
type Query { now: Int }
type Subscription {
  orderUpdated(id: ID!, min: Float! = 1): Order
  strict: Order!
}
type Order { id: ID! total: Float state: State customer: Customer }
type Customer { name: String! }
enum State { OPEN PAID }
"""

ORDER = "subscription { orderUpdated(id: 1) { id total state customer { name } } }"


def declared(**settings: Any) -> SubscriptionManager:
    """A manager on the schema with both fields declared."""
    manager = SubscriptionManager(schema=SDL, **settings)
    manager.subscription("orderUpdated", channel="orders")
    manager.subscription("strict", channel="orders")
    return manager


def subscribe(client: Connection, query: str, id_: str = "1", **payload: Any) -> None:
    client.write({"type": "subscribe", "id": id_, "payload": {"query": query, **payload}})


# -- what schema= may be ------------------------------------------------------


def test_text_and_paths_are_read(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "my schema.graphql"
    path.write_text(SDL, encoding="utf-8")
    for schema in (SDL, path, str(path)):
        assert read_schema(schema) == SDL
    path.write_text("\ufeff" + SDL, encoding="utf-8")
    assert read_schema(path) == SDL
    assert read_schema(None) is None


@pytest.mark.parametrize("text", ["none.graphql", "/no/schema", pathlib.Path("none.graphql")])
def test_a_missing_file_is_told(text: Any) -> None:
    with pytest.raises(ConfigError, match=f"the schema file '{text}' does not exist") as caught:
        SubscriptionManager(schema=text)
    assert caught.value.setting == "schema"


def test_an_unreadable_file_is_told(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the schema file"):
        read_schema(tmp_path)
    (tmp_path / "x.gql").write_bytes(b"type Query { a: Int } # \xff")
    with pytest.raises(ConfigError, match="cannot read the schema file"):
        read_schema(tmp_path / "x.gql")


def test_all_faults_of_a_schema_are_told_with_their_places(tmp_path: pathlib.Path) -> None:
    sdl = "type Query { a: Xyzzy }\ntype Subscription {\n  b(c: Query): Int\n}"
    with pytest.raises(ConfigError) as caught:
        SubscriptionManager(schema=sdl)
    assert str(caught.value) == (
        "the schema is not valid:\n  Unknown type 'Xyzzy'. (line 1, column 17)"
    )
    sdl = sdl.replace("Xyzzy", "Int").replace("b(", "__b(")
    (tmp_path / "x.graphql").write_text(sdl)
    with pytest.raises(ConfigError) as caught:
        SubscriptionManager(schema=tmp_path / "x.graphql")
    first, *lines = str(caught.value).splitlines()
    assert first == f"the schema in '{tmp_path / 'x.graphql'}' is not valid:"
    assert [line.partition(" (")[2] for line in lines] == [
        "line 3, column 3)",
        "line 3, column 10)",
    ]
    with pytest.raises(ConfigError, match=r"Syntax Error: .* \(line 1, column 6\)"):
        SubscriptionManager(schema="type {")


def test_anything_else_is_a_type_error() -> None:
    for schema in (5, object(), b"type Query { a: Int }", {"a": 1}):
        with pytest.raises(TypeError, match="schema must be SDL text, a path, or a schema of"):
            SubscriptionManager(schema=schema)


def test_a_schema_of_graphql_core() -> None:
    graphql = pytest.importorskip("graphql")
    manager = SubscriptionManager(schema=graphql.build_schema(SDL), serve_undeclared=True)
    assert "orderUpdated(id: ID!, min: Float! = 1): Order" in str(manager._runtime.schema)


def test_a_schema_of_strawberry() -> None:
    pytest.importorskip("strawberry")
    sys.path.insert(0, str(pathlib.Path(__file__).parent))
    from strawberry_schema import schema

    assert read_schema(schema) == schema.as_str()


def test_a_schema_of_ariadne() -> None:
    ariadne = pytest.importorskip("ariadne")
    assert "enum State" in str(read_schema(ariadne.make_executable_schema(SDL)))


# -- schema and declarations --------------------------------------------------


@on_both_loops
async def test_undeclared_fields_keep_it_from_starting() -> None:
    manager = SubscriptionManager(schema=SDL)
    told = "that nobody declared: 'orderUpdated', 'strict'; declare each with subscription"
    with pytest.raises(ConfigError, match=told):
        async with manager:
            pass
    manager.subscription("strict", channel="orders")
    with pytest.raises(ConfigError, match="that nobody declared: 'orderUpdated';"):
        async with manager:
            pass
    manager.subscription("orderUpdated", channel="orders")
    async with manager:
        with pytest.raises(ConfigError, match="no subscription field of the schema: 'more'"):
            manager.subscription("more")


@on_both_loops
async def test_declared_fields_must_be_there() -> None:
    manager = SubscriptionManager(schema=SDL, serve_undeclared=True)
    manager.subscription("orderUpdate")
    told = "no subscription field of the schema: 'orderUpdate'; it has 'orderUpdated', 'strict'"
    with pytest.raises(ConfigError, match=told):
        async with manager:
            pass


@on_both_loops
async def test_a_schema_without_subscriptions_is_told() -> None:
    with pytest.raises(ConfigError, match="the schema has no subscription fields"):
        async with SubscriptionManager(schema="type Query { a: Int }"):
            pass


@on_both_loops
async def test_startup_fails_with_the_text() -> None:
    manager = SubscriptionManager(schema=SDL)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None:
        sent.append(message)

    await manager({"type": "lifespan"}, receive, send)
    assert sent[0]["type"] == "lifespan.startup.failed"
    assert "'orderUpdated', 'strict'" in sent[0]["message"]


# -- what clients get ---------------------------------------------------------


@on_both_loops
async def test_events_are_completed_as_the_schema_asks() -> None:
    async with declared() as manager:
        client = await Connection(manager).subscribed(ORDER)
        data = {"id": 7, "total": "2.5", "state": "PAID", "customer": {"name": 5}, "x": 1}
        await manager.publish_event("t", "orders", data)
        assert (await client.read())["payload"] == {
            "data": {
                "orderUpdated": {
                    "id": "7",
                    "total": 2.5,
                    "state": "PAID",
                    "customer": {"name": "5"},
                }
            }
        }
        await manager.publish_event("t", "orders", {"id": 8, "state": "X", "customer": {}})
        assert (await client.read())["payload"] == {
            "data": {"orderUpdated": {"id": "8", "total": None, "state": None, "customer": None}},
            "errors": [
                {
                    "message": "Enum 'State' cannot represent value: 'X'",
                    "locations": [{"line": 1, "column": 47}],
                    "path": ["orderUpdated", "state"],
                },
                {
                    "message": "Cannot return null for non-nullable field Customer.name.",
                    "locations": [{"line": 1, "column": 64}],
                    "path": ["orderUpdated", "customer", "name"],
                },
            ],
        }
        subscribe(client, "subscription { strict { id } }", "2")
        client.write({"type": "ping"})
        assert await client.read() == {"type": "pong"}
        await manager.publish_event("t", "orders", {})
        payloads = {}
        for _ in range(2):
            message = await client.read()
            payloads[message["id"]] = message["payload"]
        assert payloads["2"]["data"] is None
        assert payloads["1"]["data"] == {"orderUpdated": None}


@on_both_loops
async def test_documents_are_validated() -> None:
    async with declared() as manager:
        client = await Connection(manager).ready()
        subscribe(client, "subscription { orderUpdated(id: 1) { totl } }")
        message = await client.read()
        assert message["type"] == "error"
        assert message["payload"] == [
            {
                "message": "Cannot query field 'totl' on type 'Order'. Did you mean 'total'?",
                "locations": [{"line": 1, "column": 38}],
                "extensions": {"code": "VALIDATION_ERROR"},
            }
        ]


@on_both_loops
async def test_bad_variables_and_arguments_end_the_subscription() -> None:
    async with declared() as manager:
        client = await Connection(manager).ready()
        query = "subscription ($i: ID!, $m: Float = 2) { orderUpdated(id: $i, min: $m) { id } }"
        for variables, told in (
            ({"i": None}, "Variable '$i' has invalid value: Expected value of non-null type 'ID!'"),
            ({"i": 1, "m": None}, "Argument 'min' has invalid value: Expected variable '$m'"),
        ):
            subscribe(client, query, variables=variables)
            message = await client.read()
            assert message["type"] == "next"
            assert set(message["payload"]) == {"errors"}
            assert message["payload"]["errors"][0]["message"].startswith(told)
            assert (await client.read())["type"] == "complete"


@on_both_loops
async def test_resolvers_see_coerced_variables_and_fail_as_the_schema_asks() -> None:
    manager = SubscriptionManager(schema=SDL, debug=True)
    seen: list[Any] = []

    @manager.subscription(channel="orders")
    def order_updated(event: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        seen.append(variables)
        return {"id": "1", "total": 3}

    @manager.subscription(channel="orders")
    def strict(event: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        raise ValueError("no")

    async with manager:
        client = await Connection(manager).ready()
        query = "subscription ($i: ID!, $m: Float! = 2) { orderUpdated(id: $i, min: $m) { id } }"
        subscribe(client, query, variables={"i": 7})
        subscribe(client, "subscription { strict { id } }", "2")
        client.write({"type": "ping"})
        assert await client.read() == {"type": "pong"}
        await manager.publish_event("t", "orders", {})
        payloads = {}
        for _ in range(2):
            message = await client.read()
            payloads[message["id"]] = message["payload"]
        assert seen == [{"i": "7", "m": 2.0}]
        assert payloads["1"] == {"data": {"orderUpdated": {"id": "1"}}}
        assert payloads["2"]["data"] is None
        assert payloads["2"]["errors"][0]["path"] == ["strict"]


@on_both_loops
async def test_undeclared_fields_are_served_when_asked_for() -> None:
    async with SubscriptionManager(schema=SDL, serve_undeclared=True) as manager:
        client = await Connection(manager).subscribed("subscription { strict { id } }")
        await manager.publish_event("t", "strict", {"id": 1})
        assert (await client.read())["payload"] == {"data": {"strict": {"id": "1"}}}


@on_both_loops
async def test_it_starts_again_with_its_schema() -> None:
    manager = declared()
    for _ in range(2):
        async with manager:
            client = await Connection(manager).subscribed(ORDER)
            await manager.publish_event("t", "orders", {"id": 1})
            assert (await client.read())["payload"]["data"]["orderUpdated"]["id"] == "1"


# -- the default app ----------------------------------------------------------


def test_the_environment_names_a_schema(tmp_path: pathlib.Path) -> None:
    (tmp_path / "x.graphql").write_text(SDL)
    settings = read_settings({"FRAISEQL_ASGI_SCHEMA": str(tmp_path / "x.graphql")})
    assert settings.schema == SDL
    assert read_settings({}).schema is None
    with pytest.raises(ConfigError, match="is not valid:\n  Unknown type 'Xyzzy'") as caught:
        read_settings({"FRAISEQL_ASGI_SCHEMA": "type Query { a: Xyzzy }"})
    assert caught.value.setting == "FRAISEQL_ASGI_SCHEMA"


@on_both_loops
async def test_the_default_app_serves_all_of_its_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRAISEQL_ASGI_SCHEMA", SDL)
    app = DefaultApp()
    async with app:
        client = await Connection(app).subscribed("subscription { strict { id total } }")
        await app.publish_event("t", "strict", {"id": 1})
        assert (await client.read())["payload"] == {"data": {"strict": {"id": "1", "total": None}}}
