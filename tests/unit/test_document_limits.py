# SPDX-License-Identifier: MIT
"""Limits on documents: exact at their boundary, each counted by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from asgi_driver import Connection

from fraiseql_asgi import Limits, SubscriptionManager

DIRECTIVES = ("@include(if: true)", "@skip(if: false)")

#: limit -> (a document that has exactly n of it, n, the message).
#: Two kinds of document each where there are two ways to spend it.
Maker = Callable[[int], str]
CASES: list[tuple[str, Maker, int, str]] = [
    (
        "bytes",
        lambda n: "subscription{a}" + " " * (n - 15),
        40,
        "Document is larger than 40 bytes.",
    ),
    (
        "bytes",
        lambda n: "subscription{a}#" + "é" * ((n - 16) // 2) + "x" * (n % 2),
        60,
        "Document is larger than 60 bytes.",
    ),
    (
        "tokens",
        lambda n: "subscription { a { " + "b " * (n - 6) + "}}",
        9,
        "Document contains more than 9 tokens.",
    ),
    (
        "tokens",
        lambda n: "subscription { a" + "(" + "b: [" + "1 " * (n - 10) + "])" + "}",
        20,
        "Document contains more than 20 tokens.",
    ),
    (
        "depth",
        lambda n: "subscription { a " + "{ b " * (n - 1) + "}" * n,
        3,
        "Operation nests fields deeper than 3.",
    ),
    (
        "depth",
        lambda n: (
            "subscription { a { ...F } } fragment F on T { b " + "{ c " * (n - 2) + "}" * (n - 1)
        ),
        4,
        "Operation nests fields deeper than 4.",
    ),
    (
        "fields",
        lambda n: "subscription { a {" + "b " * (n - 1) + "} }",
        5,
        "Operation selects more than 5 fields.",
    ),
    (
        "fields",
        lambda n: "subscription { a {" + "...F " * (n - 1) + "} } fragment F on T { b }",
        5,
        "Operation selects more than 5 fields.",
    ),
    (
        "aliases",
        lambda n: "subscription { a {" + " ".join(f"b{i}: b" for i in range(n)) + " } }",
        3,
        "Document contains more than 3 aliases.",
    ),
    (
        "directives",
        # Without a schema there are but two that may stand on a field.
        lambda n: "subscription { a { b " + " ".join(DIRECTIVES[:n]) + "} }",
        1,
        "A node has more than 1 directives.",
    ),
]
IDS = [f"{limit}-{i}" for i, (limit, *_) in enumerate(CASES)]


async def answer(document: str, **limits: int) -> tuple[Any, dict[str, Any]]:
    """The one error that a client gets, or None, and the metrics."""
    async with SubscriptionManager(limits=Limits(**limits)) as manager:
        client = await Connection(manager).ready()
        client.write({"type": "subscribe", "id": "1", "payload": {"query": document}})
        client.write({"type": "ping"})
        error = None
        message = await client.read()
        if message["type"] == "error":
            (error,) = message["payload"]
            message = await client.read()
        assert message == {"type": "pong"}
        metrics: Any = manager.get_metrics()
        await client.left()
    return error, metrics


@pytest.mark.parametrize(("limit", "make", "n", "message"), CASES, ids=IDS)
async def test_a_limit_is_exact(limit: str, make: Maker, n: int, message: str) -> None:
    setting = {f"document_max_{limit}": n}
    error, metrics = await answer(make(n), **setting)
    assert error is None
    assert metrics["subscriptions_active"] == 1

    error, metrics = await answer(make(n + 1), **setting)
    assert error["message"] == message
    assert error["extensions"] == {"code": "LIMIT_REACHED"}
    counted = {name: value for name, value in metrics.items() if "refused" in name and value}
    assert counted == {"subscriptions_refused": 1, f"refused_document_{limit}": 1}


@pytest.mark.parametrize(("limit", "make", "n", "message"), CASES, ids=IDS)
async def test_0_is_no_limit(limit: str, make: Maker, n: int, message: str) -> None:
    error, _ = await answer(make(n + 1), **{f"document_max_{limit}": 0})
    assert error is None


@pytest.mark.parametrize(("limit", "make", "n", "message"), CASES, ids=IDS)
async def test_defaults_leave_room(limit: str, make: Maker, n: int, message: str) -> None:
    error, _ = await answer(make(n))
    assert error is None


def test_every_limit_of_the_engine_has_a_case() -> None:
    names = {name for name in Limits().as_dict() if name.startswith("document_max_")}
    assert names == {f"document_max_{limit}" for limit, *_ in CASES}


async def test_other_refusals_are_counted_by_reason() -> None:
    cases = [
        ("subscription {", "syntax"),
        ("subscription { a b }", "validation"),
        ("subscription ($n: Int!) { a(n: $n) }", "variables"),
        ("query { a }", "unhandled"),
    ]
    for document, reason in cases:
        _, metrics = await answer_any(document)
        counted = {name: value for name, value in metrics.items() if "refused" in name and value}
        assert counted == {"subscriptions_refused": 1, f"refused_{reason}": 1}


async def answer_any(document: str) -> tuple[list[Any], dict[str, Any]]:
    async with SubscriptionManager() as manager:
        client = await Connection(manager).ready()
        client.write({"type": "subscribe", "id": "1", "payload": {"query": document}})
        client.write({"type": "ping"})
        got = []
        while (message := await client.read()) != {"type": "pong"}:
            got.append(message)
        metrics: Any = manager.get_metrics()
        await client.left()
    return got, metrics
