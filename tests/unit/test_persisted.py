# SPDX-License-Identifier: MIT
"""Persisted operations: what is read at the start, what clients get."""

from __future__ import annotations

import hashlib
import json
import pathlib
from typing import Any

import pytest
from asgi_driver import Connection

from fraiseql_asgi import ConfigError, SubscriptionManager

TICK = "subscription { tick { n } }"
QUERY = "query A($n: Int) { a(n: $n) }"


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


MANIFEST = {sha256(text): text for text in (TICK, QUERY)}


def named(hash_: str, **more: Any) -> dict[str, Any]:
    return {"persistedQuery": {"version": 1, "sha256Hash": hash_}, **more}


def send(client: Connection, query: str, extensions: Any = None, **payload: Any) -> None:
    if extensions is not None:
        payload["extensions"] = extensions
    client.write({"type": "subscribe", "id": "1", "payload": {"query": query, **payload}})


async def refusal(client: Connection) -> tuple[str, str]:
    message = await client.read()
    assert message["type"] == "error", message
    (error,) = message["payload"]
    return error["extensions"]["code"], error["message"]


NOT_FOUND = ("PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound")


@pytest.mark.parametrize("form", ["mapping", "file", "path", "apollo"])
async def test_a_hash_stands_for_its_document(form: str, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "operations.json"
    content: Any = MANIFEST
    if form == "apollo":
        content = {
            "format": "apollo-persisted-query-manifest",
            "version": 1,
            "operations": [
                {"id": id_, "name": "x", "type": "query", "body": body}
                for id_, body in MANIFEST.items()
            ],
        }
    path.write_text(json.dumps(content))
    setting: Any = {"mapping": MANIFEST, "file": str(path)}.get(form, path)
    async with SubscriptionManager(persisted=setting, only_persisted=True) as manager:
        client = await Connection(manager).ready()
        send(client, "", named(sha256(TICK)))
        client.write({"type": "ping"})
        assert await client.read() == {"type": "pong"}
        manager.publish("tick", {"n": 1})
        assert await client.read_ticks(1) == [1]
        await client.left()


async def test_the_handler_gets_the_document() -> None:
    seen: list[Any] = []

    def handler(payload: Any) -> Any:
        seen.append(payload)
        return {"data": None}

    async with SubscriptionManager(execute_handler=handler, persisted=MANIFEST) as manager:
        client = await Connection(manager).ready()
        extensions = named(sha256(QUERY).upper(), other=1)
        send(client, "", extensions, variables={"n": 1})
        assert (await client.read())["payload"] == {"data": None}
        await client.left()
    assert seen == [
        {"query": QUERY, "operationName": None, "variables": {"n": 1}, "extensions": extensions}
    ]


async def test_what_is_unknown_or_does_not_match_is_refused() -> None:
    async with SubscriptionManager(persisted=MANIFEST) as manager:
        client = await Connection(manager).ready()
        send(client, "", named(sha256("{ other }")))
        assert await refusal(client) == NOT_FOUND
        send(client, "subscription { other }", named(sha256(TICK)))
        assert await refusal(client) == ("VALIDATION_ERROR", "provided sha does not match query")
        send(client, "", {"persistedQuery": {"version": 9, "sha256Hash": sha256(TICK)}})
        assert await refusal(client) == ("VALIDATION_ERROR", "Unsupported persisted query version")
        assert manager.get_metrics()["refused_persisted"] == 3
        # Offering the text of an unknown hash is served, as any text is.
        send(client, "subscription { other }", named(sha256("subscription { other }")))
        client.write({"type": "ping"})
        assert await client.read() == {"type": "pong"}
        await client.left()


async def test_only_persisted_refuses_every_text() -> None:
    async with SubscriptionManager(persisted=MANIFEST, only_persisted=True) as manager:
        client = await Connection(manager).ready()
        send(client, TICK)
        assert await refusal(client) == ("FORBIDDEN", "Only persisted operations are served here.")
        other = "subscription { other }"
        for query in ("", other):
            send(client, query, named(sha256(other)))
            assert await refusal(client) == NOT_FOUND
        await client.left()


async def test_subscriptions_of_the_application_are_its_own() -> None:
    async with SubscriptionManager(persisted={}, only_persisted=True) as manager:
        await manager.create_subscription("1", "c", TICK, None, None, None, None, None)
        await manager.publish_event("t", "tick", {"n": 1})
        assert await manager.get_next_event("1") is not None


async def test_without_a_list_a_lone_hash_is_not_supported() -> None:
    async with SubscriptionManager() as manager:
        client = await Connection(manager).ready()
        send(client, "", named(sha256(TICK)))
        assert await refusal(client) == (
            "PERSISTED_QUERY_NOT_SUPPORTED",
            "PersistedQueryNotSupported",
        )
        send(client, TICK, named(sha256(TICK)))
        client.write({"type": "ping"})
        assert await client.read() == {"type": "pong"}
        await client.left()


# -- settings -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("entries", "text"),
    [
        ({sha256(TICK): QUERY}, f"'{sha256(TICK)}' has the SHA-256 {sha256(QUERY)}"),
        ({"abc": TICK}, "'abc' is not named by a SHA-256"),
        ({sha256("{"): "{"}, f"'{sha256('{')}' is not GraphQL: Syntax Error"),
        ({sha256(TICK): None}, "maps str to NoneType"),
        ({7: TICK}, "operation 7 maps int to str"),
        ({sha256(TICK): "\ud800"}, "that can be encoded"),
    ],
)
def test_a_wrong_entry_is_named(entries: Any, text: str) -> None:
    with pytest.raises(ConfigError, match="persisted operation") as info:
        SubscriptionManager(persisted=entries)
    assert text in str(info.value)
    assert info.value.setting == "persisted"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "cannot read the persisted operations"),
        ("{", "are not JSON"),
        ("[]", "must hold"),
        ('{"format": "apollo-persisted-query-manifest"}', "must hold"),
        ('{"a": "{ a }"}', "'a' is not named by a SHA-256"),
    ],
)
def test_a_wrong_file_is_refused(content: str | None, text: str, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "operations.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=text):
        SubscriptionManager(persisted=path)


def test_settings_that_cannot_be_meant_are_refused() -> None:
    with pytest.raises(ConfigError, match="only_persisted needs persisted="):
        SubscriptionManager(only_persisted=True)
    with pytest.raises(TypeError, match="persisted must be a mapping or the path of a file"):
        SubscriptionManager(persisted=3)  # type: ignore[arg-type]
