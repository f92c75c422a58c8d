# SPDX-License-Identifier: MIT
"""GraphQL over HTTP: one result, an event stream, or Apollo's parts."""

from __future__ import annotations

import asyncio
import collections
import gc
import json
import random
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import pytest
from asgi_driver import Request, on_both_loops, until
from leaks import measure
from sizes import promised, size

from fraiseql_asgi import (
    CloseConnection,
    EventBusConfig,
    Limits,
    SecurityContext,
    SubscriptionManager,
    _core,
)

EVENTS = "text/event-stream"
PARTS = 'multipart/mixed;boundary="graphql";subscriptionSpec="1.0"'
JSON = "application/json"
RESPONSE = "application/graphql-response+json"
TICK = {"query": "subscription { tick { n } }"}

SCHEMA = """
type Query { hello(name: String): String fail: Int! }
type Mutation { rename(name: String!): String }
type Subscription { tick: Tick }
type Tick { n: Int }
"""


async def execute(payload: dict[str, Any], context: Any) -> dict[str, Any]:
    if "fail" in payload["query"]:
        return {"data": None, "errors": [{"message": "failed"}]}
    if "invalid" in payload["query"]:
        return {"errors": [{"message": "invalid"}]}
    if "raise" in payload["query"]:
        raise RuntimeError("oops")
    return {"data": {"said": payload, "by": context.security.user_id}}


def manager_of(**settings: Any) -> SubscriptionManager:
    settings.setdefault("execute_handler", execute)
    return SubscriptionManager(**settings)


async def live(manager: SubscriptionManager, n: int = 1) -> None:
    """Wait until there are `n` subscriptions."""
    await until(lambda: manager.subscriber_count() == n)


# -- one result -------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "kind"),
    [(None, JSON), ("*/*", JSON), (JSON, JSON), (RESPONSE, RESPONSE), (f"{EVENTS}, {JSON}", JSON)],
)
@on_both_loops
async def test_a_query_is_answered_with_its_result(accept: str | None, kind: str) -> None:
    async with manager_of() as manager:
        body = {"query": "query Q { a }", "operationName": "Q", "variables": {"v": [1, "é"]}}
        request = Request(manager, body, accept=accept)
        status, result = await request.answer()
        assert status == 200
        assert request.headers["content-type"] == f"{kind}; charset=utf-8"
        assert request.headers["vary"] == "accept"
        assert result == {"data": {"said": body | {"extensions": None}, "by": "anonymous"}}
        assert manager.get_metrics()["connections_total"] == 1
        await until(lambda: manager.get_metrics()["connections_active"] == 0)


@on_both_loops
async def test_a_get_is_answered_as_well() -> None:
    async with manager_of() as manager:
        query = urlencode({"query": 'query Q { a(x: "+&") }', "variables": '{"v": 1}'})
        status, result = await Request(manager, method="GET", query=query).answer()
        assert status == 200
        assert result["data"]["said"] == {
            "query": 'query Q { a(x: "+&") }',
            "operationName": None,
            "variables": {"v": 1},
            "extensions": None,
        }


async def test_a_mutation_comes_by_post() -> None:
    async with manager_of() as manager:
        query = urlencode({"query": "mutation { a }"})
        request = Request(manager, method="GET", query=query, accept=f"{JSON}, {EVENTS}")
        status, result = await request.answer()
        assert (status, request.headers["allow"]) == (405, "POST")
        assert result == {"errors": [{"message": "A mutation must be sent by POST."}]}
        status, result = await Request(manager, {"query": "mutation { a }"}).answer()
        assert (status, "data" in result) == (200, True)
        assert manager.get_metrics()["execute_calls"] == 1


@pytest.mark.parametrize(
    ("query", "accept", "status"),
    [
        ("{ a", JSON, 200),
        ("{ a", RESPONSE, 400),
        ("{ invalid }", JSON, 200),
        ("{ invalid }", RESPONSE, 400),
        ("{ fail }", JSON, 200),
        ("{ fail }", RESPONSE, 200),
        ("{ raise }", JSON, 200),
        ("{ raise }", RESPONSE, 400),
        ("subscription { a b }", RESPONSE, 400),
        ("query A { a } query B { b }", RESPONSE, 400),
    ],
)
async def test_a_result_without_data_has_the_status_of_its_media_type(
    query: str, accept: str, status: int
) -> None:
    async with manager_of() as manager:
        answer, result = await Request(manager, {"query": query}, accept=accept).answer()
        assert (answer, "errors" in result) == (status, True)


async def test_variables_that_do_not_fit_are_a_bad_request() -> None:
    manager = SubscriptionManager(schema=SCHEMA, serve_undeclared=True)
    async with manager:
        body = {"query": "subscription ($v: Int!) { tick @include(if: true) { n @skip(if: $v) } }"}
        status, _ = await Request(manager, body, accept=f"{RESPONSE}, {EVENTS}").answer()
        assert status == 400
        body = {"query": "subscription ($v: Boolean!) { tick { n @skip(if: $v) } }"}
        request = await Request(manager, body, accept=EVENTS).started()
        name, data = await request.event()
        assert (request.status, name) == (200, "next")
        assert "$v" in data["errors"][0]["message"]
        assert await request.event() == ("complete", None)


# -- what is refused --------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("", "no JSON"),
        ("{", "no JSON"),
        ("\ufeff{}", "no JSON"),
        (b"\xff", "no JSON"),
        ("[" * 600, "no JSON"),
        ("1", "must be a JSON object"),
        ("[]", "not in an array"),
        ("{}", 'no "query"'),
        ({"query": 1}, '"query" must be'),
        ({"query": "{a}", "operationName": {}}, '"operationName" must be'),
        ({"query": "{a}", "variables": "x"}, '"variables" must be'),
        ({"query": "{a}", "extensions": 0}, '"extensions" must be'),
    ],
)
@pytest.mark.parametrize("accept", [JSON, RESPONSE, EVENTS])
async def test_what_is_no_request_is_a_bad_one(body: Any, said: str, accept: str) -> None:
    async with manager_of() as manager:
        status, result = await Request(manager, body, accept=accept).answer()
        assert status == 400
        assert said in result["errors"][0]["message"]


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("", 415),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("application/json; charset=utf-16", 415),
        ("application/json; charset=UTF-8", 200),
    ],
)
async def test_the_body_must_be_json(kind: str, status: int) -> None:
    async with manager_of() as manager:
        request = Request(manager, {"query": "{a}"}, headers={"content-type": kind})
        assert (await request.answer())[0] == status


async def test_an_answer_nobody_can_give_is_not_acceptable() -> None:
    async with manager_of() as manager:
        status, result = await Request(manager, {"query": "{a}"}, accept="text/html").answer()
        assert status == 406
        assert EVENTS in result["errors"][0]["message"]
        status, result = await Request(manager, TICK, accept=JSON).answer()
        assert status == 406
        assert EVENTS in result["errors"][0]["message"]
        assert manager.subscriber_count() == 0


async def test_a_body_is_as_long_as_a_message_may_be() -> None:
    body = json.dumps({"query": "{ a }"}).encode()
    async with manager_of(limits=Limits(message_max_bytes=len(body))) as manager:
        assert (await Request(manager, body).answer())[0] == 200
        assert (await Request(manager, body + b" ").answer())[0] == 413
        length = {"content-length": str(len(body) + 1)}
        assert (await Request(manager, headers=length).answer())[0] == 413
        pieces = Request(manager)
        pieces.write(body[:5], more=True)
        pieces.write(body[5:], more=True)
        pieces.write(b" ", more=True)
        assert (await pieces.answer())[0] == 413
        query = urlencode({"query": "{ a }"})
        exact = query + "&" * (len(body) - len(query))
        assert (await Request(manager, method="GET", query=exact).answer())[0] == 200
        assert (await Request(manager, method="GET", query=exact + "&").answer())[0] == 414


async def test_a_body_comes_in_pieces() -> None:
    async with manager_of() as manager:
        request = Request(manager)
        for piece in (b'{"que', b"", b'ry": "{ a }', b'"}'):
            request.write(piece, more=True)
        request.write(b"")
        assert (await request.answer())[0] == 200


async def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    async with manager_of(limits=Limits(init_timeout=0.05)) as manager:
        request = Request(manager)
        request.write(b"{", more=True)
        assert (await request.answer())[0] == 408


async def test_a_get_without_a_query_is_told_what_this_is() -> None:
    async with manager_of() as manager:
        request = await Request(manager, method="GET").started()
        assert (request.status, request.headers["upgrade"]) == (426, "websocket")


def mutated(random: random.Random, text: str) -> str:
    """`text` with a few pieces dropped, doubled or replaced; Latin-1."""
    for _ in range(random.randrange(5)):
        at, end = sorted(random.randrange(len(text) + 1) for _ in range(2))
        piece = random.choice(
            ("", text[at:end], text[at:end] * 2, '"', ";", ",", "%", "%ff", "=", "&", "\xff", "{")
        )
        text = text[:at] + piece + text[end:]
    return text


@promised(seconds=600)
async def test_every_request_is_answered() -> None:
    """Whatever a server lets through: mutated headers, query strings, bodies."""
    dice = random.Random(20261121)
    statuses: collections.Counter[int] = collections.Counter()
    async with manager_of(limits=Limits(message_max_bytes=400)) as manager:
        for _ in range(size(1500, 100_000)):
            is_get = dice.random() < 0.5
            body = json.dumps({"query": "{ a }", "variables": {"v": [1]}, "extensions": None})
            query = urlencode({"query": "{ a }", "variables": '{"v": 1}', "operationName": ""})
            request = await Request(
                manager,
                None if is_get else mutated(dice, body).encode("latin-1"),
                method="GET" if is_get else "POST",
                query="query=" + mutated(dice, query),
                accept=mutated(dice, f"{RESPONSE}, {JSON};q=0.9, {EVENTS};q=0.5, {PARTS}"),
                headers={
                    "content-type": mutated(dice, "application/json; charset=utf-8"),
                    "content-length": mutated(dice, "12"),
                    "authorization": mutated(dice, "Bearer \xe9"),
                    "last-event-id": mutated(dice, "m1.0.0"),
                },
            ).started()
            statuses[request.status] += 1
            await request.rest()
        await until(lambda: manager.get_metrics()["connections_active"] == 0)
    assert set(statuses) <= {200, 400, 406, 413, 414, 415}
    assert set(statuses) >= {200, 400, 406, 415}


# -- who is asking ----------------------------------------------------------


def authenticate(payload: dict[str, Any], scope: Any) -> Any:
    assert scope["type"] == "http"
    token = payload.get("authorization")
    if token == "Bearer raise":
        raise ValueError("oops")
    if token == "Bearer teapot":
        raise CloseConnection(4418, "I am a teapot")
    if token == "Bearer odd":
        raise CloseConnection(3333, "")
    return {"user_id": token} if token in ("Bearer ann", "é") else None


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"authorization": "Bearer ann"}, 200),
        ({"authorization": "é"}, 200),
        ({"authorization": "Bearer bob"}, 403),
        ({"authorization": "Bearer raise"}, 403),
        ({"authorization": "Bearer teapot"}, 418),
        ({"authorization": "Bearer odd"}, 403),
        ({"cookie": "session=1"}, 403),
        ({}, 401),
    ],
)
async def test_the_auth_handler_is_asked(headers: dict[str, str], status: int) -> None:
    async with manager_of(auth_handler=authenticate) as manager:
        request = Request(manager, {"query": "{a}"}, headers=headers)
        answer, result = await request.answer()
        assert answer == status
        assert ("www-authenticate" in request.headers) == (status == 401)
        if status == 200:
            assert result["data"]["by"] == headers["authorization"]
        else:
            assert "data" not in result
        if status == 418:
            assert result["errors"][0]["message"] == "I am a teapot"


async def test_a_body_never_says_who_asks() -> None:
    async with manager_of(auth_handler=authenticate) as manager:
        body = {"query": "{a}", "payload": {"authorization": "Bearer ann"}, "isGet": False}
        assert (await Request(manager, body).answer())[0] == 401


async def test_a_wrong_request_of_a_stranger_stays_unread() -> None:
    async with manager_of(auth_handler=authenticate) as manager:
        assert (await Request(manager, "nonsense").answer())[0] == 401


async def test_an_async_handler_is_waited_for() -> None:
    async def handler(payload: dict[str, Any]) -> SecurityContext:
        await asyncio.sleep(0.01)
        return SecurityContext("ann")

    async with manager_of(auth_handler=handler) as manager:
        status, result = await Request(manager, {"query": "{a}"}).answer()
        assert (status, result["data"]["by"]) == (200, "ann")


async def test_connections_are_limited() -> None:
    async with manager_of(limits=Limits(max_connections=1)) as manager:
        stream = await Request(manager, TICK, accept=EVENTS).started()
        request = Request(manager, {"query": "{a}"})
        assert (await request.answer())[0] == 503
        assert request.headers["retry-after"] == "1"
        await stream.left()
        await until(lambda: manager.get_metrics()["connections_active"] == 0)
        assert (await Request(manager, {"query": "{a}"}).answer())[0] == 200


async def test_connections_of_one_user_are_limited() -> None:
    limits = Limits(max_connections_per_user=1)
    headers = {"authorization": "Bearer ann"}
    async with manager_of(limits=limits, auth_handler=authenticate) as manager:
        stream = await Request(manager, TICK, accept=EVENTS, headers=headers).started()
        status, result = await Request(manager, {"query": "{a}"}, headers=headers).answer()
        assert (status, result["errors"][0]["message"]) == (429, "Too many connections")
        await stream.left()


# -- streams ----------------------------------------------------------------


@on_both_loops
async def test_events_come_as_an_event_stream() -> None:
    async with manager_of() as manager:
        request = await Request(manager, TICK, accept=EVENTS).started()
        assert request.status == 200
        assert request.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert request.headers["cache-control"] == "no-cache"
        assert "content-length" not in request.headers
        assert await request.chunk() == ":\n\n"
        await live(manager)
        manager.publish("tick", {"n": 1, "unseen": "x"})
        chunk = await request.chunk()
        assert chunk.startswith('event: next\ndata: {"data":{"tick":{"n":1}}}\nid: m1.')
        assert chunk.endswith("\n\n")
        assert not request.is_whole
        await request.left()
        await live(manager, 0)


@on_both_loops
async def test_events_come_as_parts() -> None:
    async with manager_of() as manager:
        request = await Request(manager, TICK, accept=PARTS).started()
        assert request.status == 200
        assert request.headers["content-type"] == PARTS
        assert await request.chunk() == "--graphql"
        await live(manager)
        manager.publish("tick", {"n": 1})
        assert await request.chunk() == (
            "\r\nContent-Type: application/json\r\n\r\n"
            '{"payload":{"data":{"tick":{"n":1}}}}\r\n--graphql'
        )
        await request.left()
        await live(manager, 0)


@pytest.mark.parametrize(
    ("accept", "end"),
    [(EVENTS, "event: complete\ndata: \n\n"), (PARTS, "\r\n--graphql--\r\n")],
)
@on_both_loops
async def test_a_source_ends_the_stream(accept: str, end: str) -> None:
    manager = manager_of()

    @manager.subscription
    async def count(variables: Any, context: Any) -> AsyncIterator[Any]:
        for n in range(3):
            yield n

    async with manager:
        request = await Request(
            manager, {"query": "subscription { count }"}, accept=accept
        ).started()
        text = await request.rest()
        assert [text.count(f'"count":{n}') for n in range(4)] == [1, 1, 1, 0]
        assert text.endswith(end)


@on_both_loops
async def test_a_get_subscribes_as_well() -> None:
    async with manager_of() as manager:
        request = Request(manager, method="GET", query=urlencode(TICK), accept=EVENTS)
        await request.started()
        await live(manager)
        manager.publish("tick", {"n": 1})
        assert await request.event() == ("next", {"data": {"tick": {"n": 1}}})
        await request.left()


@pytest.mark.parametrize(
    ("accept", "text"),
    [
        (EVENTS, ':\n\nevent: next\ndata: {"data":1}\n\nevent: complete\ndata: \n\n'),
        (
            PARTS,
            "--graphql\r\nContent-Type: application/json\r\n\r\n"
            '{"payload":{"data":1}}\r\n--graphql--\r\n',
        ),
    ],
)
async def test_a_query_may_come_as_a_stream(accept: str, text: str) -> None:
    async with manager_of(execute_handler=lambda payload: {"data": 1}) as manager:
        request = await Request(manager, {"query": "{a}"}, accept=accept).started()
        assert request.status == 200
        assert await request.rest() == text


@pytest.mark.parametrize("accept", [EVENTS, PARTS])
@pytest.mark.parametrize("query", ["subscription {", "subscription { a b }", "{ invalid }"])
async def test_errors_of_the_operation_come_in_the_stream(query: str, accept: str) -> None:
    async with manager_of() as manager:
        request = await Request(manager, {"query": query}, accept=accept).started()
        assert request.status == 200
        text = await request.rest()
        assert '"errors":[{"message":' in text
        if accept == EVENTS:
            text = text.replace("id:\n", "", 1)
        assert text.startswith(":\n\nevent: next\n" if accept == EVENTS else "--graphql\r\n")
        assert text.endswith("complete\ndata: \n\n" if accept == EVENTS else "\r\n--graphql--\r\n")


@on_both_loops
async def test_what_waits_is_one_chunk() -> None:
    async with manager_of() as manager:
        request = await Request(manager, TICK, accept=EVENTS).started()
        assert await request.chunk() == ":\n\n"
        await live(manager)
        request.writable.clear()
        for n in range(100):
            manager.publish("tick", {"n": n})
        await until(lambda: manager.get_metrics()["deliveries"] == 100)
        request.writable.set()
        chunks: list[str] = []
        while sum(chunk.count("event: next") for chunk in chunks) < 100:
            chunks.append(await request.chunk())
        # The first was on its way; the rest comes 64 at a time.
        assert len(chunks) <= 4
        numbers = [
            json.loads(line[6:])["data"]["tick"]["n"]
            for line in "".join(chunks).splitlines()
            if line.startswith("data: ")
        ]
        assert numbers == list(range(100))
        await request.left()


@pytest.mark.parametrize(("accept", "sign"), [(EVENTS, ":\n\n"), (PARTS, "{}\r\n--graphql")])
async def test_a_silent_stream_says_that_it_is_alive(accept: str, sign: str) -> None:
    async with manager_of(limits=Limits(keep_alive=0.01)) as manager:
        request = await Request(manager, TICK, accept=accept).started()
        await request.chunk()
        for _ in range(3):
            assert (await request.chunk()).endswith(sign)
        await request.left()
        # One result is waited for in silence.
        answer = Request(manager, {"query": "{a}"}, accept=JSON)
        assert (await answer.answer())[0] == 200


async def test_signs_of_life_can_be_switched_off() -> None:
    async with manager_of(limits=Limits(keep_alive=0)) as manager:
        request = await Request(manager, TICK, accept=EVENTS).started()
        await live(manager)
        manager.publish("tick", {"n": 1})
        assert ((await request.chunk()) + (await request.chunk())).startswith(
            ':\n\nevent: next\ndata: {"data":{"tick":{"n":1}}}\nid: '
        )
        await request.left()


async def test_texts_of_any_language_arrive() -> None:
    async with manager_of() as manager:
        query = {"query": "subscription { tick }"}
        request = await Request(manager, query, accept=EVENTS).started()
        await live(manager)
        data = {"text": "é € 😀 \u2028 line\nbreak\r\n: x"}
        manager.publish("tick", data)
        assert await request.event() == ("next", {"data": {"tick": data}})
        await request.left()


@pytest.mark.parametrize("accept", [EVENTS, f"{JSON}, {EVENTS}"])
@on_both_loops
async def test_an_event_source_goes_on_behind_the_last_event(accept: str) -> None:
    async with manager_of() as manager:
        get: dict[str, Any] = {"method": "GET", "query": urlencode(TICK), "accept": accept}
        first = await Request(manager, **get).started()
        await live(manager)
        manager.publish("tick", {"n": 1})
        assert (await first.event())[1] == {"data": {"tick": {"n": 1}}}
        await first.left()
        manager.publish("tick", {"n": 2})
        manager.publish("other", {"n": 0})
        manager.publish("tick", {"n": 3})
        assert first.last_event_id is not None
        header = {"last-event-id": first.last_event_id}
        again = await Request(manager, **get, headers=header).started()
        for n in (2, 3):
            assert (await again.event())[1]["data"] == {"tick": {"n": n}}
        await live(manager)
        manager.publish("tick", {"n": 4})
        assert (await again.event())[1]["data"] == {"tick": {"n": 4}}
        assert len({first.last_event_id, again.last_event_id}) == 2
        await again.left()
        lost = await Request(manager, **get, headers={"last-event-id": "m1.0.1"}).started()
        name, data = await lost.event()
        assert (name, data["errors"][0]["extensions"]["code"]) == ("next", "POSITION_LOST")
        # Forgotten: it would be lost again.
        assert lost.last_event_id == ""
        assert await lost.event() == ("complete", None)


async def test_parts_tell_positions_to_who_asks() -> None:
    async with manager_of() as manager:
        for asked in ({}, {"extensions": {"resume": {}}}):
            request = await Request(manager, TICK | asked, accept=PARTS).started()
            await live(manager)
            manager.publish("tick", {"n": 2})
            assert await request.chunk() == "--graphql"
            assert ('"position":"' in await request.chunk()) == bool(asked)
            await request.left()
            await live(manager, 0)


# -- the end ----------------------------------------------------------------


@pytest.mark.parametrize("accept", [EVENTS, PARTS])
@on_both_loops
async def test_a_stopping_server_says_nothing(accept: str) -> None:
    """No `complete`: clients take the end for a lost connection, and come back."""
    async with manager_of() as manager:
        request = await Request(manager, TICK, accept=accept).started()
        await live(manager)
        manager.publish("tick", {"n": 1})
        await until(lambda: manager.get_metrics()["deliveries"] == 1)
    text = await request.rest()
    assert '"n":1' in text
    assert "complete" not in text
    assert "--graphql--" not in text


async def test_a_stopped_manager_is_unavailable() -> None:
    async with manager_of() as manager:
        pass
    request = Request(manager, {"query": "{a}"})
    assert (await request.answer())[0] == 503
    assert request.headers["retry-after"] == "1"


@pytest.mark.parametrize(
    ("accept", "said"),
    [(EVENTS, ": 4403 Bye\n\n"), (PARTS, '{"payload":null,"errors":[{"message":"Bye"}]}')],
)
async def test_a_managed_end_is_told(accept: str, said: str) -> None:
    async with manager_of() as manager:
        request = await Request(manager, TICK, accept=accept).started()
        await live(manager)
        assert manager.disconnect(user_id="anonymous", reason="Bye") == 1
        text = await request.rest()
        assert said in text
        assert "complete" not in text


async def test_an_expired_context_ends_the_stream() -> None:
    import time

    def handler(payload: dict[str, Any]) -> SecurityContext:
        return SecurityContext("ann", expires_at=time.time() + 0.1)

    async with manager_of(auth_handler=handler) as manager:
        request = await Request(manager, TICK, accept=EVENTS).started()
        assert (await request.rest()).endswith(": 4403 Token expired\n\n")


async def test_a_slow_client_is_closed() -> None:
    async with manager_of(limits=Limits(queue_max_items=4)) as manager:
        request = await Request(manager, TICK, accept=EVENTS).started()
        assert await request.chunk() == ":\n\n"
        await live(manager)
        request.writable.clear()
        for n in range(20):
            manager.publish("tick", {"n": n})
        await live(manager, 0)
        request.writable.set()
        assert (await request.rest()).endswith(": 1013 Slow client\n\n")
        assert manager.get_metrics()["slow_clients_closed"] == 1


@on_both_loops
async def test_a_client_that_leaves_cancels_what_runs() -> None:
    cancelled: list[bool] = []
    started = asyncio.Event()

    async def forever(payload: dict[str, Any]) -> Any:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.append(True)

    async with manager_of(execute_handler=forever) as manager:
        request = Request(manager, {"query": "{a}"})
        await started.wait()
        await request.left()
        await until(lambda: cancelled == [True])


@pytest.mark.parametrize("when", ["reading", "asking", "streaming"])
@on_both_loops
async def test_a_client_may_leave_at_any_time(when: str) -> None:
    async def handler(payload: dict[str, Any]) -> SecurityContext:
        await asyncio.sleep(0 if when == "streaming" else 30)
        return SecurityContext("ann")

    async with manager_of(auth_handler=handler) as manager:
        request = Request(manager, None if when == "reading" else TICK, accept=EVENTS)
        if when == "streaming":
            await request.started()
        else:
            await until(lambda: manager.get_metrics()["connections_active"] == 1)
        await request.left()
        await until(lambda: manager.get_metrics()["connections_active"] == 0)


@on_both_loops
async def test_a_send_that_fails_is_the_end() -> None:
    def broken(send: Any) -> Any:
        async def wrapped(message: Any) -> None:
            if message["type"] == "http.response.body":
                raise OSError("gone")
            await send(message)

        return wrapped

    async with manager_of() as manager:
        request = Request(manager, TICK, accept=EVENTS, send=broken)
        assert await request.ended() is None
        await until(lambda: manager.get_metrics()["connections_active"] == 0)


@on_both_loops
async def test_a_cancelled_task_leaves_nothing() -> None:
    async with manager_of() as manager:
        request = await Request(manager, TICK, accept=EVENTS).started()
        await live(manager)
        request.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request.task
        await live(manager, 0)


async def test_one_that_is_never_awaited_is_nothing() -> None:
    async def nothing(*args: Any) -> Any:
        raise AssertionError

    async with manager_of() as manager:
        scope = {"type": "http", "method": "POST", "headers": []}
        stream = _core.HttpStream(manager._service(), scope, nothing, nothing)
        stream.close()
        del stream
        gc.collect()
        with pytest.raises(TypeError, match="not a Service"):
            _core.HttpStream(1, scope, nothing, nothing)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("scope", "said"),
    [
        ({}, "without a method"),
        ({"method": "POST", "headers": [1]}, "no pair"),
        ({"method": "POST", "headers": [(b"x",)]}, "no pair"),
        ({"method": "POST", "headers": [("x", "y")]}, "not bytes"),
        ({"method": "GET", "query_string": "x"}, "not bytes"),
    ],
)
async def test_a_scope_that_is_none_is_the_servers_fault(scope: Any, said: str) -> None:
    async def nothing(*args: Any) -> Any:
        raise AssertionError

    async with manager_of() as manager:
        with pytest.raises(TypeError, match=said):
            await _core.HttpStream(manager._service(), scope, nothing, nothing)


@on_both_loops
async def test_middleware_of_starlette_hands_streams_on() -> None:
    applications = pytest.importorskip("starlette.applications")
    from starlette.middleware import Middleware
    from starlette.middleware.base import BaseHTTPMiddleware
    from starlette.middleware.cors import CORSMiddleware
    from starlette.middleware.gzip import GZipMiddleware

    async def dispatch(request: Any, call_next: Any) -> Any:
        response = await call_next(request)
        response.headers["x-seen"] = "1"
        return response

    manager = manager_of()
    app = applications.Starlette(
        middleware=[
            Middleware(BaseHTTPMiddleware, dispatch=dispatch),
            Middleware(CORSMiddleware, allow_origins=["*"]),
            Middleware(GZipMiddleware, minimum_size=1),
        ]
    )
    manager.attach(app, "/graphql")
    async with app.router.lifespan_context(app):
        request = Request(app, TICK, path="/graphql", accept=EVENTS)
        await request.started()
        assert request.headers["x-seen"] == "1"
        await live(manager)
        for n in range(3):
            manager.publish("tick", {"n": n})
            assert await request.event() == ("next", {"data": {"tick": {"n": n}}})
        await request.left()
        await live(manager, 0)
        answer = await Request(app, {"query": "{a}"}, path="/graphql").started()
        assert answer.status == 200
        assert "data" in json.loads(await answer.rest())


@pytest.mark.timeout(120)
async def test_requests_leave_nothing_behind() -> None:
    # A history that is full before anything is counted.
    bus = EventBusConfig.memory(history_events=8)
    manager = manager_of(event_bus_config=bus, auth_handler=authenticate)
    ann = {"authorization": "Bearer ann"}

    async def lives() -> None:
        for _ in range(200):
            request = await Request(manager, TICK, accept=EVENTS, headers=ann).started()
            manager.publish("tick", {"n": 1})
            await request.left()
            await Request(manager, {"query": "{a}"}, headers=ann).answer()
            await Request(manager, {"query": "{raise"}, headers=ann, accept=RESPONSE).answer()
            await Request(manager, {"query": "{a}"}).answer()
            await Request(manager, "{", headers=ann).answer()
            await Request(manager, TICK, headers=ann).answer()
        await until(lambda: manager.get_metrics()["connections_active"] == 0)

    async with manager:
        await lives()
        grown: list[list[int]] = []
        for _ in range(3):
            before = measure()
            await lives()
            grown.append([b - a for a, b in zip(before, measure(), strict=True)])
            if max(grown[-1]) < 100:
                return
        pytest.fail(f"200 lives leave {grown}")


async def test_hooks_and_metrics_see_requests() -> None:
    seen: list[str] = []
    manager = manager_of(
        on_connect=lambda connection: seen.append("connect"),
        on_disconnect=lambda connection: seen.append("disconnect"),
        on_subscribe=lambda connection, operation: seen.append("subscribe"),
        on_complete=lambda connection, operation: seen.append("complete"),
    )
    async with manager:
        request = await Request(manager, TICK, accept=EVENTS).started()
        await live(manager)
        await request.left()
        await until(lambda: len(seen) == 4)
        assert seen[:2] == ["connect", "subscribe"]
        assert set(seen[2:]) == {"complete", "disconnect"}
        assert manager.get_metrics()["connections_total"] == 1
