# SPDX-License-Identifier: MIT
"""`POST …/publish`: who may, what is taken, what is said of the rest."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from fraiseql_asgi import ConfigError, Limits, SubscriptionManager
from fraiseql_asgi.default_app import read_settings

TOKEN = "a-token"
LINES = "application/x-ndjson"
EVENT = {"channel": "tick", "data": {"n": 1}}


def manager_of(**settings: Any) -> SubscriptionManager:
    return SubscriptionManager(**{"publish_token": TOKEN} | settings)


async def post(
    manager: SubscriptionManager,
    *chunks: Any,
    type_: str = "application/json",
    authorization: str | None = f"Bearer {TOKEN}",
    path: str = "/publish",
    method: str = "POST",
    leaves: bool = False,
) -> tuple[int, Any, dict[bytes, bytes]]:
    """The status, the answer and the headers of one request."""
    bodies = [c if isinstance(c, bytes) else json.dumps(c).encode() for c in chunks] or [b""]
    incoming = [
        {"type": "http.request", "body": body, "more_body": leaves or n < len(bodies)}
        for n, body in enumerate(bodies, 1)
    ]
    incoming.append({"type": "http.disconnect"})
    sent: list[Any] = []

    async def receive() -> Any:
        await asyncio.sleep(0)
        return incoming.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"content-type", type_.encode())]
    if authorization is not None:
        headers.append((b"authorization", authorization.encode()))
    scope = {"type": "http", "method": method, "path": path, "headers": headers}
    await manager(scope, receive, send)
    if leaves:
        assert sent == []
        return 0, None, {}
    body = sent[1]["body"]
    given = dict(sent[0]["headers"])
    is_json = given[b"content-type"] == b"application/json"
    return sent[0]["status"], json.loads(body) if is_json else body.decode(), given


def lines(*events: Any) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


async def test_reserved_channels_are_refused() -> None:
    order = {"channel": "$fraiseql:control", "event_type": "disconnect", "data": {"user_id": "ann"}}
    async with manager_of() as manager:
        for body, type_ in ((order, "application/json"), (lines(EVENT, order), LINES)):
            status, answer, _ = await post(manager, body, type_=type_)
            assert status == 400
            assert "channels that begin with $fraiseql: are reserved" in answer["error"]


async def test_one_event_is_published() -> None:
    async with manager_of() as manager:
        stream = manager.subscribe("subscription { tick { n } }")
        for n, type_ in enumerate(("application/json", "Application/JSON; charset=utf-8"), 1):
            event = {"channel": "tick", "data": {"n": n}}
            status, answer, headers = await post(manager, event, type_=type_)
            assert (status, answer) == (202, {"ids": [str(n)]})
            assert headers[b"content-type"] == b"application/json"
            assert await stream.__anext__() == {"data": {"tick": {"n": n}}}
        # In pieces, and with all that an event may have.
        whole = json.dumps(
            EVENT
            | {
                "event_type": "ticked",
                "tenant_id": "t",
                "boundary": "b",
                "meta": {"traceparent": "0"},
            }
        ).encode()
        pieces = [whole[i : i + 7] for i in range(0, len(whole), 7)]
        assert (await post(manager, *pieces))[:2] == (202, {"ids": ["3"]})
        await stream.aclose()


async def test_lines_are_published_as_they_come() -> None:
    async with manager_of() as manager:
        stream = manager.subscribe("subscription { tick { n } }")
        body = lines(*({"channel": "tick", "data": {"n": n}} for n in range(5)))
        for chunks in (
            [body],
            [body[:-1]],
            [body.replace(b"\n", b"\r\n\n")],
            [bytes([b]) for b in body],
        ):
            status, answer, _ = await post(manager, *chunks, type_=LINES)
            assert status == 202
            assert len(answer["ids"]) == 5
            got = [(await stream.__anext__())["data"]["tick"]["n"] for _ in range(5)]
            assert got == list(range(5))
        assert (await post(manager, b"\n\n", type_=LINES))[:2] == (202, {"ids": []})
        await stream.aclose()


async def test_the_first_bad_line_ends_it_and_is_named() -> None:
    async with manager_of() as manager:
        body = lines(EVENT, EVENT) + b"\n{\n" + lines(EVENT)
        status, answer, _ = await post(manager, body, type_=LINES)
        assert status == 400
        assert answer["ids"] == ["1", "2"]
        assert answer["error"].startswith("line 4: it is not JSON")
        assert manager.get_metrics()["events_published"] == 2


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "it is not JSON"),
        (b"\xff", "it is not UTF-8"),
        (b"[" * 100_000, "nest"),
        (b"[]", "an event is a JSON object"),
        ({"channel": "a"}, "the event has no data"),
        ({"data": {}}, "the event has no channel"),
        (EVENT | {"channel": ""}, "channel must be a string that is not empty"),
        (EVENT | {"channel": 1}, "channel must be a string"),
        (EVENT | {"data": [1]}, "data must be a dict"),
        (EVENT | {"kind": 1}, "no member 'kind', but channel, data, event_type"),
        (EVENT | {"tenant_id": 7}, "tenant_id must be a str"),
        (EVENT | {"meta": [1]}, "meta"),
        (b'{"channel": "c", "data": {"n": NaN}}', "NaN is not valid JSON"),
        (b'{"channel": "c", "data": {"n": "\\ud800"}}', "lone surrogate"),
    ],
)
async def test_what_is_no_event_is_named(body: Any, told: str) -> None:
    async with manager_of() as manager:
        status, answer, _ = await post(manager, body)
        assert (status, answer["ids"]) == (400, [])
        assert told in answer["error"]
        assert manager.get_metrics()["events_published"] == 0


async def test_only_who_has_the_token_publishes() -> None:
    async with manager_of() as manager:
        status, answer, headers = await post(manager, EVENT, authorization=None)
        assert (status, headers[b"www-authenticate"]) == (401, b'Bearer realm="publish"')
        for wrong in (
            "Bearer no",
            "Bearer",
            "",
            f"Basic {TOKEN}",
            TOKEN,
            "Bearer é",
            f"Bearer {TOKEN}x",
        ):
            status, answer, headers = await post(manager, EVENT, authorization=wrong)
            assert (status, answer["ids"]) == (401, [])
            assert b"invalid_token" in headers[b"www-authenticate"]
        assert manager.get_metrics()["events_published"] == 0
        assert (await post(manager, EVENT, authorization=f"bearer  {TOKEN}"))[0] == 202


async def test_without_a_token_there_is_nothing() -> None:
    async with manager_of(publish_token=None) as manager:
        status, answer, _ = await post(manager, EVENT)
        assert status == 404
        assert "publish_token=" in answer
    async with manager_of(path="/graphql") as manager:
        assert (await post(manager, EVENT))[0] == 404
        assert (await post(manager, EVENT, path="/graphql/publish"))[0] == 202
        assert (await post(manager, EVENT, path="/graphql/publish", method="GET"))[0] == 405


async def test_other_types_are_refused() -> None:
    async with manager_of() as manager:
        for type_ in ("", "text/plain", "application/x-www-form-urlencoded", "application/jsonx"):
            status, _, headers = await post(manager, EVENT, type_=type_)
            assert (status, headers[b"accept"]) == (415, b"application/json, application/x-ndjson")


async def test_sizes_are_bounded() -> None:
    async with manager_of(limits=Limits(event_max_bytes=1000)) as manager:
        exact = {"channel": "c", "data": {"x": "x" * (1000 - len('{"x":""}'))}}
        assert (await post(manager, exact))[0] == 202
        exact["data"]["x"] += "x"  # type: ignore[index]
        assert (await post(manager, exact))[0] == 413
        status, answer, _ = await post(manager, lines(EVENT, exact), type_=LINES)
        assert (status, len(answer["ids"])) == (413, 1)
        assert answer["error"].startswith("line 2: ")
        # What is longer than any event may be is not even read.
        for type_ in ("application/json", LINES):
            status, answer, _ = await post(manager, *[b"x" * 10_000] * 1000, type_=type_)
            assert status == 413
            assert str(1000 + 64 * 1024) in answer["error"]
        many = lines(EVENT) * 10_001
        status, answer, _ = await post(manager, many, type_=LINES)
        assert (status, len(answer["ids"])) == (413, 10_000)
        assert answer["error"].startswith("line 10001: ")


async def test_who_leaves_has_published_what_came() -> None:
    async with manager_of() as manager:
        await post(manager, lines(EVENT, EVENT) + b'{"channel"', type_=LINES, leaves=True)
        assert manager.get_metrics()["events_published"] == 2


async def test_a_full_door_is_429_and_lines_wait() -> None:
    async with manager_of() as manager:
        # The engine needs a while for each, and five of them fill the door.
        for n in range(8):
            manager.executor.register_subscription(
                "c", str(n), f"subscription {{ alias{n}: tick }}", None, None, None, None
            )
        big = {"channel": "tick", "data": {"pad": ["x" * 1000] * 14_000}}
        body = json.dumps(big).encode()
        n_taken = 0
        while (answer := await post(manager, body))[0] == 202 and n_taken < 100:
            n_taken += 1
        status, told, headers = answer
        assert (status, headers[b"retry-after"]) == (429, b"1")
        assert told == {"error": "too many events wait for the bus", "ids": []}
        status, told, _ = await post(manager, body + b"\n" + body, type_=LINES)
        assert (status, len(told["ids"])) == (202, 2)


async def test_a_bus_that_is_closed_is_503() -> None:
    manager = manager_of()
    async with manager:
        assert (await post(manager, EVENT))[0] == 202
    status, told, headers = await post(manager, EVENT)
    assert (status, headers[b"retry-after"]) == (503, b"1")
    assert told["ids"] == []


@pytest.mark.parametrize("token", ["", " ", "a b", "é", "a\n"])
def test_a_token_is_what_a_header_can_carry(token: str) -> None:
    with pytest.raises(ConfigError, match="openssl rand"):
        manager_of(publish_token=token)


def test_a_token_is_a_str() -> None:
    with pytest.raises(TypeError, match="publish_token must be a str"):
        manager_of(publish_token=b"x")


def test_the_environment_has_it_too() -> None:
    assert read_settings({"FRAISEQL_ASGI_PUBLISH_TOKEN": "x"}).publish_token == "x"
    assert read_settings({"FRAISEQL_ASGI_PUBLISH_TOKEN": ""}).publish_token is None
