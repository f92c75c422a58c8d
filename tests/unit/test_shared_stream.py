# SPDX-License-Identifier: MIT
"""graphql-sse with a single connection: operations that share an event stream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from asgi_driver import Request, on_both_loops, until

from fraiseql_asgi import Limits, SecurityContext, SubscriptionManager, _shared_stream

EVENTS = "text/event-stream"
TOKEN = "x-graphql-event-stream-token"


def manager_of(**settings: Any) -> SubscriptionManager:
    async def execute(payload: dict[str, Any], context: Any) -> dict[str, Any]:
        return {"data": {"by": context.security.user_id}}

    manager = SubscriptionManager(execute_handler=execute, **settings)
    manager.subscription("tick")

    @manager.subscription
    async def count(variables: Any, context: Any) -> AsyncIterator[Any]:
        for n in range(2):
            yield n

    return manager


async def reserve(manager: Any, **headers: str) -> str:
    request = await Request(manager, method="PUT", headers=headers).started()
    assert (request.status, request.headers["cache-control"]) == (201, "no-store")
    return await request.rest()


class Shared:
    """A stream and its token."""

    def __init__(self, manager: Any, token: str, stream: Request) -> None:
        self.manager = manager
        self.token = token
        self.stream = stream

    async def start(self, query: str, id_: Any = "1", **extensions: Any) -> Any:
        body = {"query": query, "extensions": {"operationId": id_, **extensions}}
        return await self.post(body)

    async def post(self, body: Any, **headers: str) -> Any:
        return await finish(Request(self.manager, body, headers={TOKEN: self.token} | headers))

    async def stop(self, query: str = "operationId=1") -> Any:
        headers = {TOKEN: self.token}
        return await finish(Request(self.manager, method="DELETE", query=query, headers=headers))

    async def event(self) -> Any:
        return await self.stream.event()


async def finish(request: Request) -> Any:
    """The status; what is said with one that is an error."""
    await request.started()
    text = await request.rest()
    if request.status < 400:
        assert text == ""
        return request.status
    return request.status, json.loads(text)["errors"][0]["message"]


async def share(manager: Any, **headers: str) -> Shared:
    token = await reserve(manager, **headers)
    stream = Request(manager, method="GET", accept=EVENTS, query=f"token={token}")
    await stream.started()
    assert stream.status == 200
    assert stream.headers["content-type"] == "text/event-stream; charset=utf-8"
    return Shared(manager, token, stream)


@on_both_loops
async def test_operations_share_a_stream() -> None:
    async with manager_of() as manager:
        shared = await share(manager)
        assert await shared.stream.chunk() == ":\n\n"
        assert await shared.start("subscription { tick }", "a") == 202
        assert await shared.start("subscription { tick }", "b") == 202
        await until(lambda: manager.subscriber_count() == 2)
        manager.publish("tick", {"n": 1})
        got = [await shared.event() for _ in range(2)]
        assert got == [("next", {"id": i, "payload": {"data": {"tick": {"n": 1}}}}) for i in "ab"]
        assert await shared.stop("operationId=a") == 200
        await until(lambda: manager.subscriber_count() == 1)
        assert await shared.stop("operationId=a") == 200
        manager.publish("tick", {"n": 2})
        assert (await shared.event())[1]["id"] == "b"
        assert await shared.start("subscription { count }", "c") == 202
        for n in range(2):
            assert await shared.event() == ("next", {"id": "c", "payload": {"data": {"count": n}}})
        assert await shared.event() == ("complete", {"id": "c"})
        assert await shared.start("{ by }", "d") == 202
        by = {"id": "d", "payload": {"data": {"by": "anonymous"}}}
        assert await shared.event() == ("next", by)
        assert await shared.event() == ("complete", {"id": "d"})
        await shared.stream.left()
        await until(lambda: manager.get_metrics()["connections_active"] == 0)
        assert await shared.start("{ by }") == (404, "There is no such stream.")
        assert await shared.stop() == (404, "There is no such stream.")
        assert manager._shared_streams._streams == {}


async def test_one_that_is_wrong_ends_alone() -> None:
    async with manager_of(limits=Limits(max_subscriptions_per_connection=1)) as manager:
        shared = await share(manager)
        for query, code in (
            ("subscription {", "PARSE_ERROR"),
            ("subscription { tick }", "LIMIT_REACHED"),
        ):
            if code == "LIMIT_REACHED":
                assert await shared.start(query, "a") == 202
            assert await shared.start(query, "b") == 202
            name, data = await shared.event()
            assert (name, data["id"]) == ("next", "b")
            assert data["payload"]["errors"][0]["extensions"]["code"] == code
            assert await shared.event() == ("complete", {"id": "b"})
        assert manager.subscriber_count() == 1
        await shared.stream.left()


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        ("{", {}, 400),
        ("[]", {}, 400),
        ({"query": "{a}"}, {}, 400),
        ({"query": "{a}", "extensions": {"operationId": 1}}, {}, 400),
        ({"extensions": {"operationId": "1"}}, {}, 400),
        ({"query": "{a}"}, {"content-type": "text/plain"}, 415),
        ({"query": "{a}" + " " * 200}, {}, 413),
        ({"query": "{a}"}, {TOKEN: "unknown"}, 404),
    ],
)
async def test_who_sends_what_is_none_is_told(
    body: Any, headers: dict[str, str], status: int
) -> None:
    async with manager_of(limits=Limits(message_max_bytes=200)) as manager:
        shared = await share(manager)
        assert (await shared.post(body, **headers))[0] == status
        assert (await shared.stop("x=y"))[0] == 400
        await shared.stream.left()


async def test_an_id_in_use_ends_the_stream() -> None:
    async with manager_of() as manager:
        shared = await share(manager)
        assert await shared.start("subscription { tick }") == 202
        assert await shared.start("subscription { tick }") == 202
        text = await shared.stream.rest()
        assert text.endswith(": 4409 Subscriber for 1 already exists\n\n")


def authenticate(payload: dict[str, Any]) -> SecurityContext | None:
    token = payload.get("authorization")
    return None if token is None else SecurityContext(token)


async def test_who_reserves_is_who_asks() -> None:
    async with manager_of(auth_handler=authenticate) as manager:
        shared = await share(manager, authorization="ann")
        assert await shared.start("{ by }") == 202
        assert (await shared.event())[1]["payload"] == {"data": {"by": "ann"}}
        await shared.stream.left()
        token = await reserve(manager)
        stream = Request(manager, method="GET", accept=EVENTS, headers={TOKEN: token})
        assert (await stream.answer())[0] == 401
        token = await reserve(manager, authorization="ann")
        both = {TOKEN: token, "authorization": "bob"}
        stream = await Request(manager, method="GET", accept=EVENTS, headers=both).started()
        body = {"query": "{ by }", "extensions": {"operationId": "1"}}
        assert await finish(Request(manager, body, headers={TOKEN: token})) == 202
        assert (await stream.event())[1]["payload"] == {"data": {"by": "bob"}}
        await stream.left()


async def test_a_token_is_for_one_stream() -> None:
    async with manager_of() as manager:
        shared = await share(manager)
        again = {"method": "GET", "accept": EVENTS, "headers": {TOKEN: shared.token}}
        assert (await Request(manager, **again).answer())[0] == 409
        await shared.stream.left()
        assert (await Request(manager, **again).answer())[0] == 404
        again["headers"] = {TOKEN: await reserve(manager)}
        again["accept"] = "application/json"
        assert (await Request(manager, **again).answer())[0] == 406


async def test_a_parameter_of_the_same_name_may_be_the_applications() -> None:
    async with manager_of() as manager:
        own = {"query": "token=mine"}
        status, result = await Request(manager, {"query": "{ by }"}, **own).answer()
        assert (status, result) == (200, {"data": {"by": "anonymous"}})
        get = await Request(manager, method="GET", query="token=mine&query={by}").answer()
        assert get == (200, {"data": {"by": "anonymous"}})
        for method in ("GET", "HEAD"):
            request = await Request(manager, method=method, **own).started()
            assert request.status == 426
        token = await reserve(manager)
        request = await Request(manager, method="HEAD", headers={TOKEN: token}).started()
        assert request.status == 426


async def test_reservations_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_shared_stream, "_RESERVED_MAX", 3)
    async with manager_of(limits=Limits(init_timeout=0.5)) as manager:
        tokens = [await reserve(manager) for _ in range(5)]
        assert list(manager._shared_streams._reserved) == tokens[2:]
        await asyncio.sleep(0.6)
        late = {"method": "GET", "accept": EVENTS, "headers": {TOKEN: tokens[4]}}
        assert (await Request(manager, **late).answer())[0] == 404
        last = await reserve(manager)
        assert list(manager._shared_streams._reserved) == [last]


@on_both_loops
async def test_a_stopping_server_says_nothing() -> None:
    async with manager_of() as manager:
        shared = await share(manager)
        assert await shared.start("subscription { tick }") == 202
        await until(lambda: manager.subscriber_count() == 1)
    assert "complete" not in await shared.stream.rest()
    assert await shared.start("{ by }") == (404, "There is no such stream.")
