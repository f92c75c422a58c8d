# SPDX-License-Identifier: MIT
"""Wrong input to a real server: each fault has its exact answer, and other
clients notice nothing."""

from __future__ import annotations

import contextlib
import json
import pathlib
import socket
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from serving import DEADLINE, Client, Server, client, serving, until
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

APP = """
import asyncio, threading, time
from fraiseql_asgi import Limits, SubscriptionManager

manager = SubscriptionManager(
    path="/graphql", limits=Limits(init_timeout=1.0, message_max_bytes=10_000)
)
manager.subscription("tick")

@manager.subscription(channel="tick")
def raises(event, variables):
    raise LookupError("a secret")

@manager.subscription(channel="tick")
async def raises_later(event, variables):
    await asyncio.sleep(0)
    raise LookupError("a secret")

@manager.subscription
async def broken():
    yield {"n": 1}
    raise LookupError("a secret")

def publish():
    n = 0
    while True:
        n += 1
        try:
            manager.publish("tick", {"n": n})
        except RuntimeError:
            return
        time.sleep(0.01)

threading.Thread(target=publish, daemon=True).start()
app = manager
"""

MASKED = "Internal server error"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("app")
    (folder / "main.py").write_text(APP)
    # The size of messages is for the manager to check, not for uvicorn.
    with serving("main:app", folder, "--ws-max-size", "100000000") as made:
        made.address()
        yield made
        made.stop()


@pytest.fixture(scope="module")
def url(server: Server) -> str:
    return f"ws://{server.address()}/graphql"


@pytest.fixture(scope="module")
def witness(url: str) -> Iterator[Client]:
    """Another client, for whom nothing may change."""
    with client(url, "subscription { tick { n } }", timeout=300) as other:
        assert other.event()["type"] == "connected"
        yield other
        other.command("dispose")
        events = other.events()
    assert [event["type"] for event in events[-2:]] == ["complete", "closed"]
    assert events[-1]["code"] == 1000


@pytest.fixture(autouse=True)
def unmoved(witness: Client) -> Iterator[None]:
    """It gets every event, in order, before and after."""
    last = witness.next()["data"]["tick"]["n"]
    yield
    for _ in range(2):
        number = witness.next()["data"]["tick"]["n"]
        assert number == last + 1
        last = number


@contextlib.contextmanager
def raw(url: str, protocol: str | None = "graphql-transport-ws") -> Iterator[ClientConnection]:
    protocols: Any = None if protocol is None else [protocol]
    with connect(url, subprotocols=protocols, open_timeout=DEADLINE) as made:
        yield made


def write(connection: ClientConnection, *messages: Any) -> None:
    """Texts and bytes as they are, everything else as JSON."""
    for message in messages:
        is_raw = isinstance(message, (str, bytes))
        connection.send(message if is_raw else json.dumps(message))


def read(connection: ClientConnection) -> Any:
    return json.loads(connection.recv(DEADLINE))


def closed(connection: ClientConnection) -> tuple[int, str]:
    """Code and reason of the close that comes next, whatever comes before."""
    with contextlib.suppress(ConnectionClosed):
        for _ in connection:
            pass
    assert connection.close_code is not None
    return connection.close_code, connection.close_reason or ""


INIT = {"type": "connection_init"}


def subscribe(query: str, operation_id: str = "1", **payload: Any) -> dict[str, Any]:
    return {"id": operation_id, "type": "subscribe", "payload": {"query": query, **payload}}


TICK = subscribe("subscription { tick { n } }")


@pytest.mark.parametrize(
    "message",
    [
        "",
        "no json",
        "{",
        "[]",
        "null",
        "1",
        '"connection_init"',
        {},
        {"type": None},
        {"type": "nothing"},
        {"type": "start", "id": "1", "payload": {}},
        {"type": "subscribe", "payload": {"query": "{ a }"}},
        {"type": "subscribe", "id": 1, "payload": {"query": "{ a }"}},
        {"type": "subscribe", "id": "", "payload": {"query": "{ a }"}},
        {"type": "subscribe", "id": "1"},
        {"type": "subscribe", "id": "1", "payload": []},
        {"type": "subscribe", "id": "1", "payload": {}},
        {"type": "subscribe", "id": "1", "payload": {"query": 1}},
        {"type": "subscribe", "id": "1", "payload": {"query": "{ a }", "variables": []}},
        {"type": "subscribe", "id": "1", "payload": {"query": "{ a }", "operationName": 1}},
        {"type": "complete"},
        {"type": "complete", "id": 1},
        {"type": "next", "id": "1"},
        {"type": "ping", "payload": 1},
        b"\xff\xfe",
        '{"type":"ping","payload":{"a":' + "[" * 2000 + "]" * 2000 + "}}",
    ],
)
def test_what_is_no_message_closes_4400(url: str, message: Any) -> None:
    with raw(url) as connection:
        write(connection, INIT)
        assert read(connection) == {"type": "connection_ack"}
        write(connection, message)
        code, reason = closed(connection)
    assert code == 4400
    assert reason != ""


def test_faults_of_the_handshake(url: str) -> None:
    for protocol in (None, "graphql", "GRAPHQL-TRANSPORT-WS", "Graphql-WS"):
        with raw(url, protocol) as connection:
            assert closed(connection) == (4406, "Subprotocol not acceptable")
    with raw(url) as connection:
        write(connection, TICK)
        assert closed(connection) == (4401, "Unauthorized")
    with raw(url) as connection:
        write(connection, INIT, INIT)
        assert closed(connection) == (4429, "Too many initialisation requests")
    with raw(url) as connection:
        assert closed(connection) == (4408, "Connection initialisation timeout")


def test_an_id_in_use_closes_4409(url: str) -> None:
    with raw(url) as connection:
        write(connection, INIT, TICK, TICK)
        assert closed(connection) == (4409, "Subscriber for 1 already exists")


def test_a_message_that_is_too_large_closes_1009(url: str) -> None:
    with raw(url) as connection:
        write(connection, INIT, {"type": "ping", "payload": {"a": "x" * 10_000}})
        assert closed(connection) == (1009, "Message too big")


@pytest.mark.parametrize(
    ("query", "payload", "message", "code"),
    [
        ("subscription {", {}, "Syntax Error: Expected Name, found <EOF>.", "PARSE_ERROR"),
        ("subscription { unknown }", {}, "unknown", "VALIDATION_ERROR"),
        ("subscription { tick raises }", {}, "one top level field", "VALIDATION_ERROR"),
        ("query { tick }", {}, "query", "VALIDATION_ERROR"),
        ("subscription A { tick }", {"operationName": "B"}, "B", "VALIDATION_ERROR"),
        ("subscription { tick { n ...F } }", {}, "F", "VALIDATION_ERROR"),
        (
            "subscription " + "{ tick" + " { a" * 20 + " }" * 21,
            {},
            "15",
            "LIMIT_REACHED",
        ),
    ],
)
def test_a_document_that_cannot_be_served_is_an_error(
    url: str, query: str, payload: Any, message: str, code: str
) -> None:
    with raw(url) as connection:
        write(connection, INIT, subscribe(query, **payload))
        assert read(connection) == {"type": "connection_ack"}
        refused = read(connection)
        assert (refused["id"], refused["type"]) == ("1", "error")
        assert message in refused["payload"][0]["message"]
        assert refused["payload"][0]["extensions"] == {"code": code}
        # The connection lives on, and the id is free.
        write(connection, TICK)
        assert list(read(connection)["payload"]["data"]) == ["tick"]


def test_variables_that_do_not_fit_are_a_result_without_data(url: str) -> None:
    query = "subscription ($n: Int!) { tick(n: $n) { n } }"
    with raw(url) as connection:
        write(connection, INIT, subscribe(query, variables={"n": "x"}))
        assert read(connection) == {"type": "connection_ack"}
        refused = read(connection)
        assert refused["type"] == "next"
        assert "data" not in refused["payload"]
        assert "'x'" in refused["payload"]["errors"][0]["message"]
        assert read(connection) == {"id": "1", "type": "complete"}


def failure(field: str) -> dict[str, Any]:
    return {
        "data": {field: None},
        "errors": [
            {
                "message": MASKED,
                "locations": [{"line": 1, "column": 16}],
                "path": [field],
                "extensions": {"code": "RESOLVER_ERROR"},
            }
        ],
    }


@pytest.mark.parametrize("field", ["raises", "raisesLater"])
def test_a_resolver_that_raises_costs_its_event_only(server: Server, url: str, field: str) -> None:
    with raw(url) as connection:
        write(connection, INIT, subscribe(f"subscription {{ {field} {{ n }} }}"))
        assert read(connection) == {"type": "connection_ack"}
        for _ in range(3):
            message = {"id": "1", "type": "next", "payload": failure(field)}
            assert read(connection) == message
    # The place of the fault is in the log, for the one who can mend it.
    until(lambda: "LookupError: a secret" in server.log, "the log")
    server.lines[:] = [line for line in server.lines if "Traceback" not in line]


def test_a_source_that_raises_ends_with_the_error(server: Server, url: str) -> None:
    with raw(url) as connection:
        write(connection, INIT, subscribe("subscription { broken { n } }"))
        assert read(connection) == {"type": "connection_ack"}
        assert read(connection)["payload"] == {"data": {"broken": {"n": 1}}}
        assert read(connection)["payload"] == failure("broken")
        assert read(connection) == {"id": "1", "type": "complete"}
    server.lines[:] = [line for line in server.lines if "Traceback" not in line]


@pytest.mark.parametrize("how", ["reset", "silence"])
def test_a_client_that_vanishes_in_the_middle(server: Server, url: str, how: str) -> None:
    for _ in range(20):
        with contextlib.suppress(ConnectionClosed, OSError), raw(url) as connection:
            write(connection, INIT, TICK)
            assert read(connection) == {"type": "connection_ack"}
            assert read(connection)["type"] == "next"
            if how == "reset":
                # RST instead of FIN: send() fails at once.
                linger = struct.pack("ii", 1, 0)
                connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            connection.socket.close()
    assert "Traceback" not in server.log


def test_another_path_is_refused(server: Server) -> None:
    from websockets.exceptions import InvalidStatus

    with (
        pytest.raises(InvalidStatus) as caught,
        connect(f"ws://{server.address()}/other", open_timeout=DEADLINE),
    ):
        pass
    assert caught.value.response.status_code == 403


def test_a_bad_setting_in_the_code_is_told_before_serving(tmp_path: pathlib.Path) -> None:
    code = "from fraiseql_asgi import SubscriptionManager\napp = SubscriptionManager({})\n"
    for arguments, told in (
        ("'kafka://broker'", "cannot use the event bus 'kafka://broker': no such bus"),
        ("schema='none.graphql'", "the schema file 'none.graphql' does not exist"),
    ):
        (tmp_path / "wrong.py").write_text(code.format(arguments))
        with serving("wrong:app", tmp_path) as wrong:
            assert wrong.wait() == 1
            assert f"fraiseql_asgi.errors.ConfigError: {told}" in wrong.log
