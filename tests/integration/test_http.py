# SPDX-License-Identifier: MIT
"""GraphQL over HTTP on every ASGI server, with raw clients and with the real ones."""

from __future__ import annotations

import contextlib
import http.client
import json
import pathlib
import subprocess
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from hosts import DAPHNE, Host, name_of
from serving import DEADLINE, ROOT, until

pytestmark = pytest.mark.timeout(120)

APP = '''
import asyncio, gc, json
import graphql
from fraiseql_asgi import Limits, SubscriptionManager, execute

SDL = """
type Query { hello(name: String): String }
type Mutation { rename(name: String): String }
type Subscription { tick: Tick count(to: Int!): Int }
type Tick { n: Int text: String }
"""

def auth(payload):
    return None if payload.get("authorization") == "Bearer nobody" else {"user_id": "ann"}

manager = SubscriptionManager(
    schema=SDL,
    auth_handler=auth,
    execute_handler=execute.graphql_core(graphql.build_schema(SDL), {"hello": "world"}),
    path="/graphql",
    limits=Limits(message_max_bytes=65536),
)
manager.subscription("tick")

@manager.subscription
async def count(variables, context):
    for n in range(context.args["to"]):
        yield n

def state():
    gc.collect()
    names = [type(each).__name__ for each in gc.get_objects()]
    return {
        "tasks": len(asyncio.all_tasks()),
        "streams": names.count("HttpStream"),
        "connections": manager.get_metrics()["connections_active"],
        "subscriptions": manager.subscriber_count(),
    }

async def app(scope, receive, send):
    if scope["type"] == "http" and scope["path"] in ("/state", "/publish", "/kick"):
        if scope["path"] == "/publish":
            for n in range(int(scope["query_string"])):
                manager.publish("tick", {"n": n, "text": "x" * 1000})
        if scope["path"] == "/kick":
            manager.disconnect(user_id="ann", reason="Bye")
        body = json.dumps(state()).encode()
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
    else:
        await manager(scope, receive, send)
'''

SERVERS = [
    ("uvicorn", "--port", "{port}", "--http", "h11", "--loop", "asyncio", "app:app"),
    ("uvicorn", "--port", "{port}", "--http", "httptools", "--loop", "uvloop", "app:app"),
    ("hypercorn", "--bind", "127.0.0.1:{port}", "--worker-class", "asyncio", "app:app"),
    ("granian", "--interface", "asgi", "--port", "{port}", "--loop", "asyncio", "app:app"),
    *DAPHNE,
]
TICK = {"query": "subscription { tick { n } }"}
EVENTS = "text/event-stream"
PARTS = 'multipart/mixed;boundary="graphql";subscriptionSpec="1.0"'


@pytest.fixture(scope="module", params=SERVERS, ids=name_of)
def server(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Host]:
    folder: pathlib.Path = tmp_path_factory.mktemp(name_of(request.param))
    (folder / "app.py").write_text(APP)
    host = Host(folder, *request.param)
    try:
        host.address()
        yield host
        assert "Traceback" not in host.log, host.log
    finally:
        host.kill()


class Stream:
    """One request, and its response as it comes."""

    def __init__(self, server: Host, body: Any, accept: str, **headers: str) -> None:
        self.connection = http.client.HTTPConnection(server.host, timeout=DEADLINE)
        if isinstance(body, str):
            self.connection.request("GET", f"/graphql?{body}", headers={"accept": accept})
        else:
            given = {"content-type": "application/json", "accept": accept} | headers
            text = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.connection.request("POST", "/graphql", text, given)
        self.response = self.connection.getresponse()
        self.status = self.response.status
        self.text = ""

    def read_until(self, end: str, times: int = 1) -> str:
        while self.text.count(end) < times:
            chunk = self.response.read1(65536)
            assert chunk, f"the end has come: {self.text!r}"
            self.text += chunk.decode()
        return self.text

    def rest(self) -> str:
        """All there is, to a proper end of the response."""
        self.text += self.response.read().decode()
        return self.text

    def json(self) -> Any:
        return json.loads(self.response.read())

    def close(self) -> None:
        self.connection.close()
        self.response.close()


@contextlib.contextmanager
def streaming(server: Host, body: Any, accept: str = EVENTS, **headers: str) -> Iterator[Stream]:
    stream = Stream(server, body, accept, **headers)
    try:
        yield stream
    finally:
        stream.close()


def live(server: Host, n: int = 1) -> None:
    until(lambda: server.state()["subscriptions"] == n, f"{n} subscriptions")


def unused(server: Host) -> None:
    """Nothing of any connection is left."""
    until(
        lambda: all(server.state()[name] == 0 for name in ("streams", "connections")),
        "all streams are gone",
    )


def test_events_arrive_one_by_one_and_the_end_of_a_client_is_seen(server: Host) -> None:
    with streaming(server, TICK) as stream:
        assert stream.status == 200
        assert stream.response.headers["content-type"] == "text/event-stream; charset=utf-8"
        # The head and the first bytes come before there is any event.
        stream.read_until("\n\n")
        live(server)
        for n in range(3):
            server.get("/publish?1")
            stream.read_until("event: next\n", n + 1)
    live(server, 0)
    unused(server)


def test_a_burst_arrives_whole_and_in_order(server: Host) -> None:
    with streaming(server, TICK) as stream:
        live(server)
        server.get("/publish?2000")
        lines = stream.read_until('{"n":1999}').splitlines()
        numbers = [
            json.loads(line[6:])["data"]["tick"]["n"]
            for line in lines
            if line.startswith("data: {")
        ]
        assert numbers == list(range(2000))
    unused(server)


def test_a_source_streams_to_its_end(server: Host) -> None:
    count = {"query": "subscription { count(to: 100) }"}
    with streaming(server, count) as stream:
        assert stream.rest().endswith('{"data":{"count":99}}\n\nevent: complete\ndata: \n\n')
    with streaming(server, urlencode(count)) as stream:
        assert stream.rest().endswith('{"data":{"count":99}}\n\nevent: complete\ndata: \n\n')
    with streaming(server, count, PARTS) as stream:
        assert stream.response.headers["content-type"] == PARTS
        assert stream.rest().endswith('{"payload":{"data":{"count":99}}}\r\n--graphql--\r\n')
    unused(server)


def test_a_managed_end_is_the_end_of_the_response(server: Host) -> None:
    with streaming(server, TICK) as events, streaming(server, TICK, PARTS) as parts:
        live(server, 2)
        server.get("/kick")
        assert events.rest().endswith(": 4403 Bye\n\n")
        assert '{"payload":null,"errors":[{"message":"Bye"}]}' in parts.rest()
    unused(server)


def test_results_and_refusals_have_their_status(server: Host) -> None:
    json_type = "application/json"
    query = {"query": "{ hello }"}
    wrong = {"query": "{ hell }"}
    big = {"query": "{ hello }" + " " * 65536}
    for body, headers, status in (
        (query, {}, 200),
        (urlencode(query), {}, 200),
        (b"{", {}, 400),
        (wrong, {}, 200),
        (query, {"authorization": "Bearer nobody"}, 403),
        (urlencode({"query": "mutation { rename }"}), {}, 405),
        (TICK, {}, 406),
        (big, {}, 413),
        (query, {"content-type": "text/plain"}, 415),
    ):
        with streaming(server, body, json_type, **headers) as stream:
            assert stream.status == status, stream.response.read()
            assert ("data" in stream.json()) == (status == 200 and body != wrong)
    with streaming(server, wrong, "application/graphql-response+json") as stream:
        assert stream.status == 400
    unused(server)


def test_one_connection_serves_request_after_request(server: Host) -> None:
    connection = http.client.HTTPConnection(server.host, timeout=DEADLINE)
    for _ in range(20):
        connection.request(
            "POST", "/graphql", b'{"query": "{ hello }"}', {"content-type": "application/json"}
        )
        answer = connection.getresponse()
        assert json.loads(answer.read()) == {"data": {"hello": "world"}}
    connection.close()
    unused(server)


def test_many_streams_at_once(server: Host) -> None:
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(streaming(server, TICK)) for _ in range(50)]
        live(server, 50)
        server.get("/publish?20")
        for stream in streams:
            stream.read_until("event: next\n", 20)
    unused(server)


# -- the real clients ---------------------------------------------------------


def run(server: Host, client: str, query: str, **options: Any) -> list[dict[str, Any]]:
    """What a client tells; see tests/clients/stream.mjs."""
    with started(server, client, query, **options) as process:
        out, err = process.communicate(timeout=DEADLINE)
        assert (process.returncode, err) == (0, "")
        return [json.loads(line) for line in out.splitlines()]


@contextlib.contextmanager
def started(
    server: Host, client: str, query: str, **options: Any
) -> Iterator[subprocess.Popen[str]]:
    options = {"client": client, "url": f"http://{server.host}/graphql", "query": query} | options
    process = subprocess.Popen(
        ["node", str(ROOT / "tests" / "clients" / "stream.mjs"), json.dumps(options)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def uvicorn(tmp_path_factory: Any) -> Iterator[Host]:
    folder: pathlib.Path = tmp_path_factory.mktemp("clients")
    (folder / "app.py").write_text(APP)
    host = Host(folder, *SERVERS[1])
    try:
        host.address()
        yield host
    finally:
        host.kill()


def payloads(events: list[dict[str, Any]]) -> list[Any]:
    return [event["payload"] for event in events if event["type"] == "next"]


@pytest.mark.parametrize("client", ["sse", "apollo"])
def test_a_real_client_reads_to_the_end(uvicorn: Host, client: str) -> None:
    events = run(uvicorn, client, "subscription { count(to: 3) }")
    assert payloads(events) == [{"data": {"count": n}} for n in range(3)]
    assert events[-1] == {"type": "complete"}
    unused(uvicorn)


@pytest.mark.parametrize("client", ["sse", "apollo"])
def test_a_real_client_stops_when_it_likes(uvicorn: Host, client: str) -> None:
    with started(uvicorn, client, "subscription { tick { n } }") as process:
        live(uvicorn)
        uvicorn.get("/publish?2")
        assert process.stdout is not None
        assert process.stdin is not None
        told: list[Any] = []
        while sum(each["type"] == "next" for each in told) < 2:
            told.append(json.loads(process.stdout.readline()))
        process.stdin.write("dispose\n")
        process.stdin.flush()
        unused(uvicorn)
        assert process.wait(DEADLINE) == 0


@pytest.mark.parametrize("client", ["sse", "apollo"])
def test_a_real_client_reads_errors(uvicorn: Host, client: str) -> None:
    query = "subscription { tick { x } }"
    (payload,) = payloads(run(uvicorn, client, query))
    assert "'x'" in payload["errors"][0]["message"]
    headers = {"authorization": "Bearer nobody"}
    events = run(uvicorn, client, query, headers=headers)
    if client == "sse":
        assert (events[-1]["type"], events[-1]["status"]) == ("error", 403)
    else:
        # It accepts, and therefore reads, application/graphql-response+json.
        assert payloads(events) == [{"errors": [{"message": "Forbidden"}]}]


def test_apollo_reads_a_query_and_a_fatal_error(uvicorn: Host) -> None:
    events = run(uvicorn, "apollo", "{ hello }")
    assert payloads(events) == [{"data": {"hello": "world"}}]
    with started(uvicorn, "apollo", "subscription { tick { n } }") as process:
        live(uvicorn)
        uvicorn.get("/kick")
        out, _ = process.communicate(timeout=DEADLINE)
        (event,) = map(json.loads, out.splitlines())
        assert (event["type"], event["protocol"]) == ("error", ["Bye"])


def test_graphql_sse_shares_a_connection(uvicorn: Host) -> None:
    events = run(uvicorn, "sse", "subscription { count(to: 3) }", single=True)
    assert payloads(events) == [{"data": {"count": n}} for n in range(3)]
    assert events[-1] == {"type": "complete"}
    events = run(uvicorn, "sse", "subscription { tick { x } }", single=True)
    assert "'x'" in payloads(events)[0]["errors"][0]["message"]
    with started(uvicorn, "sse", "subscription { tick { n } }", single=True) as process:
        live(uvicorn)
        assert process.stdin is not None
        process.stdin.write("dispose\n")
        process.stdin.flush()
        live(uvicorn, 0)
        assert process.wait(DEADLINE) == 0
    unused(uvicorn)


def test_graphql_sse_comes_back_after_an_end_without_complete(uvicorn: Host) -> None:
    query = "subscription { tick { n } }"
    with started(uvicorn, "sse", query, retryAttempts=5, count=1) as process:
        live(uvicorn)
        uvicorn.get("/kick")
        live(uvicorn)
        uvicorn.get("/publish?1")
        out, _ = process.communicate(timeout=DEADLINE)
        events = [json.loads(line) for line in out.splitlines()]
        assert [event.get("retry") for event in events] == [False, True, None]
        assert payloads(events) == [{"data": {"tick": {"n": 0}}}]


def test_the_audit_of_the_specification_finds_nothing(uvicorn: Host) -> None:
    """Every MUST, SHOULD and MAY that graphql-http knows to ask."""
    audit = ROOT / "tests" / "clients" / "audit_http.mjs"
    out = subprocess.check_output(
        ["node", str(audit), f"http://{uvicorn.host}/graphql"], text=True, timeout=DEADLINE
    )
    results = [json.loads(line) for line in out.splitlines()]
    assert len(results) >= 60
    assert [each for each in results if each["status"] != "ok"] == []
    unused(uvicorn)
