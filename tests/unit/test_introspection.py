# SPDX-License-Identifier: MIT
"""Queries that ask for the schema: who answers, and who may ask."""

from __future__ import annotations

import logging
import sys
from typing import Any

import pytest
from asgi_driver import Connection

from fraiseql_asgi import SubscriptionManager

SDL = """
schema { query: Root subscription: Live }
"The root."
type Root { name: String @deprecated(reason: "old")  type: String }
type Live { tick: Int }
"""

ONLY_SCHEMA = [
    "{ __typename }",
    "{ __schema { queryType { name } } }",
    '{ t: __type(name: "Root") { description } ...F } fragment F on Root { __typename }',
    "query ($n: String!) { ... { __type(name: $n) { kind } } }",
]
WITH_DATA = [
    "{ name __typename }",
    "{ __schema { queryType { name } } ...F } fragment F on Root { type }",
]


def handler(payload: dict[str, Any]) -> dict[str, Any]:
    return {"data": "handler"}


async def ask(manager: SubscriptionManager, query: str, **payload: Any) -> Any:
    """The `next` payload or the `error`'s list."""
    client = await Connection(manager).ready()
    client.write({"type": "subscribe", "id": "1", "payload": {"query": query, **payload}})
    message = await client.read()
    if message["type"] == "next":
        assert await client.read() == {"type": "complete", "id": "1"}
    await client.left()
    return message["payload"]


def served(**settings: Any) -> SubscriptionManager:
    settings = {"schema": SDL, **settings}
    manager = SubscriptionManager(**settings)
    if settings["schema"] is not None:
        manager.subscription("tick")
    return manager


@pytest.mark.parametrize("execute_handler", [None, handler])
async def test_the_schema_answers_for_itself(execute_handler: Any) -> None:
    graphql = pytest.importorskip("graphql")
    schema = graphql.build_schema(SDL)
    async with served(execute_handler=execute_handler) as manager:
        for query in [*ONLY_SCHEMA, graphql.get_introspection_query(), ONLY_SCHEMA[0]]:
            variables = {"n": "Live"} if "$n" in query else None
            expected = graphql.graphql_sync(schema, query, variable_values=variables).formatted
            assert "errors" not in expected
            payload = {} if variables is None else {"variables": variables}
            assert await ask(manager, query, **payload) == expected
        assert manager.get_metrics()["execute_errors"] == 0


@pytest.mark.parametrize("query", WITH_DATA)
async def test_queries_for_more_go_to_the_handler(query: str) -> None:
    async with served(execute_handler=handler) as manager:
        assert await ask(manager, query) == {"data": "handler"}
    async with served() as manager:
        (error,) = await ask(manager, query)
        assert error["message"].startswith("Only subscriptions are served here")


@pytest.mark.parametrize("schema", [SDL, None])
async def test_it_can_be_switched_off(schema: str | None) -> None:
    refusal = [
        {
            "message": "Introspection is not allowed here.",
            "extensions": {"code": "FORBIDDEN"},
        }
    ]
    async with served(schema=schema, execute_handler=handler, introspection=False) as manager:
        refused = [query for query in [*ONLY_SCHEMA, *WITH_DATA] if "__schema" in query]
        for query in refused:
            assert await ask(manager, query) == refusal
        assert await ask(manager, "{ __typename }") == {"data": "handler"}
        assert await ask(manager, "{ name }") == {"data": "handler"}
        metrics = manager.get_metrics()
        assert metrics["refused_introspection"] == len(refused)
        assert metrics["refused_unhandled"] == 0


async def test_without_a_schema_the_handler_is_asked() -> None:
    async with served(schema=None, execute_handler=handler) as manager:
        assert await ask(manager, ONLY_SCHEMA[1]) == {"data": "handler"}


async def test_without_graphql_core_it_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "graphql", None)
    async with served() as manager:
        assert await ask(manager, ONLY_SCHEMA[1]) == {
            "errors": [{"message": "Introspection is not available here."}]
        }
    (record,) = (r for r in caplog.records if r.name == "fraiseql_asgi")
    assert record.levelno == logging.WARNING
    assert "fraiseql-asgi[introspection]" in record.getMessage()


async def test_documents_are_checked_first() -> None:
    async with served() as manager:
        (error,) = await ask(manager, "{ __schema { nothing } }")
        assert error["extensions"] == {"code": "VALIDATION_ERROR"}
        assert manager.get_metrics()["execute_calls"] == 0
