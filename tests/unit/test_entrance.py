# SPDX-License-Identifier: MIT
"""Who may come in: pages by their origin, clients by their address."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from asgi_driver import Connection, until

from fraiseql_asgi import ConfigError, GraphQLTransportWSHandler, Limits, SubscriptionManager
from fraiseql_asgi._entrance import make_entrance
from fraiseql_asgi.default_app import read_settings


def scope(type_: str = "websocket", client: Any = ("192.0.2.1", 5000), **headers: str) -> Any:
    pairs = [(name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()]
    made = {"type": type_, "headers": pairs, "client": client}
    return made | {"scheme": "ws" if type_ == "websocket" else "http"}


# -- what a scope says --------------------------------------------------------


@pytest.mark.parametrize(
    ("allowed", "origin", "expected"),
    [
        (None, "http://here:8000", True),
        (None, "http://there", False),
        (None, "null", False),
        ([], "http://here:8000", False),
        (["https://app"], "https://app", True),
        (["https://app"], "http://here:8000", False),
        (["https://app", "self"], "http://here:8000", True),
        (["null"], "null", True),
        ("*", "http://there", True),
        (["*"], "null", True),
    ],
)
def test_pages_are_known_by_their_origin(allowed: Any, origin: str, expected: bool) -> None:
    entrance = make_entrance(allowed, ())
    assert entrance.allows(scope(host="here:8000", origin=origin)) is expected
    # Programs send none.
    assert entrance.allows(scope(host="here:8000"))
    assert entrance.allows({"type": "websocket"})


def test_the_scheme_is_that_of_the_connection() -> None:
    entrance = make_entrance(None, ())
    asked = scope(host="here", origin="https://here")
    assert not entrance.allows(asked)
    for scheme in ("wss", "https"):
        assert entrance.allows(asked | {"scheme": scheme})


def test_two_origins_or_hosts_are_refused() -> None:
    entrance = make_entrance(["self", "https://app"], ())
    asked = scope(host="here", origin="http://here")
    for extra in ((b"origin", b"http://here"), (b"host", b"here")):
        assert not entrance.allows(asked | {"headers": [*asked["headers"], extra]})


def test_only_trusted_proxies_are_believed() -> None:
    said = {
        "host": "inner",
        "x_forwarded_for": "203.0.113.9, 10.0.0.2",
        "x_forwarded_proto": "https",
        "x_forwarded_host": "app.example.com",
        "origin": "https://app.example.com",
    }
    proxy, stranger = ("10.0.0.1", 1), ("192.0.2.1", 1)
    for proxies, client, believed in (
        ((), proxy, False),
        (["10.0.0.0/8"], proxy, True),
        (["10.0.0.0/8"], stranger, False),
        (["10.0.0.0/8"], None, False),
        (["10.0.0.0/8", "unix"], None, True),
        ("unix", stranger, False),
    ):
        entrance = make_entrance(None, proxies)
        asked = scope(client=client, **said)
        assert entrance.allows(asked) is believed
        itself = client and client[0]
        assert entrance.client(asked) == ("203.0.113.9" if believed else itself)
    everybody = make_entrance(None, "*")
    assert everybody.client(scope(**said)) == "203.0.113.9"
    split = scope(client=proxy, host="x")
    split["headers"] += [(b"x-forwarded-for", b"203.0.113.9"), (b"x-forwarded-for", b"10.0.0.2")]
    assert make_entrance(None, "10.0.0.0/8").client(split) == "203.0.113.9"


def test_a_client_may_have_no_address() -> None:
    entrance = make_entrance(None, ())
    for client in (None, ("", 0), ("/run/app.sock", None), ("testclient", 50000)):
        assert entrance.client(scope(client=client)) is None
    assert entrance.client({"type": "http"}) is None
    assert entrance.client(scope(client=["::ffff:192.0.2.1", 1])) == "192.0.2.1"


@pytest.mark.parametrize("headers", [[b"x"], [(b"a",)], [("origin", "x")], [(b"origin", "x")], 7])
def test_a_scope_that_is_none_lets_nobody_in(headers: Any) -> None:
    entrance = make_entrance("*", ())
    with pytest.raises(TypeError):
        entrance.allows({"headers": headers})


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"allowed_origins": ["example.com"]}, "'example.com' is no origin: write \"https://"),
        ({"allowed_origins": ["https://a/"]}, "'https://a/' is no origin"),
        ({"allowed_origins": "https://*.a"}, "is no origin"),
        ({"trusted_proxies": "proxy.local"}, "'proxy.local' is no address and no network"),
        ({"trusted_proxies": ["10.0.0.0/99"]}, "is no address"),
    ],
)
def test_settings_that_cannot_work(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        SubscriptionManager(**settings)
    assert told in str(caught.value)


@pytest.mark.parametrize("name", ["allowed_origins", "trusted_proxies"])
def test_settings_are_texts(name: str) -> None:
    with pytest.raises(TypeError, match=f"{name} must be texts, not bytes"):
        SubscriptionManager(**{name: [b"x"]})  # type: ignore[arg-type]


def test_the_environment_says_the_same() -> None:
    entrance = read_settings(
        {
            "FRAISEQL_ASGI_ALLOWED_ORIGINS": "https://a, https://b",
            "FRAISEQL_ASGI_TRUSTED_PROXIES": "10.0.0.1",
        }
    ).entrance
    assert entrance.allows(scope(origin="https://b", host="x"))
    assert not entrance.allows(scope(origin="http://x", host="x"))
    assert entrance.client(scope(client=("10.0.0.1", 1), x_forwarded_for="1.2.3.4")) == "1.2.3.4"
    assert read_settings({}).entrance.allows(scope(origin="http://x", host="x"))


# -- WebSockets ---------------------------------------------------------------


def connect(manager: SubscriptionManager, **settings: Any) -> Connection:
    connection = Connection(manager)
    connection.scope |= scope(**settings)
    return connection


async def refused(connection: Connection) -> tuple[int, str]:
    """The code and the reason of the close before the accept."""
    message = await connection.next()
    assert message["type"] == "websocket.close", message
    assert await connection.ended() is None
    return message["code"], message["reason"]


async def denied(connection: Connection) -> tuple[int, str, dict[bytes, bytes]]:
    """The http response instead of an accept."""
    connection.scope["extensions"] = {"websocket.http.response": {}}
    start, body = await connection.next(), await connection.next()
    assert start["type"] == "websocket.http.response.start", start
    assert await connection.ended() is None
    return start["status"], body["body"].decode(), dict(start["headers"])


async def test_a_page_from_elsewhere_gets_no_websocket(caplog: pytest.LogCaptureFixture) -> None:
    async with SubscriptionManager() as manager:
        told = "Pages of this origin may not connect"
        foreign = {"origin": "http://there", "host": "here"}
        assert await refused(connect(manager, **foreign)) == (1008, told)
        status, body, headers = await denied(connect(manager, **foreign))
        assert (status, body) == (403, f"{told}.\n")
        assert b"retry-after" not in headers
        # Also one that offers no subprotocol of ours.
        other = connect(manager, **foreign)
        other.scope["subprotocols"] = []
        assert await refused(other) == (1008, told)
        own = await connect(manager, origin="http://here", host="here").ready()
        await own.left()
        assert manager.get_metrics()["refused_origins"] == 3
        (record,) = (record for record in caplog.records if record.levelno == logging.WARNING)
        assert "http://there" in record.getMessage()
        assert "allowed_origins=" in record.getMessage()


async def test_connections_of_one_address_are_capped() -> None:
    limits = Limits(max_connections_per_address=2)
    async with SubscriptionManager(limits=limits, trusted_proxies="10.0.0.1") as manager:
        network = ["2001:db8:0:1::1", "2001:db8:0:1:ffff::2", "2001:db8:0:1::3"]
        open_ones = [await connect(manager, client=(ip, 1)).ready() for ip in network[:2]]
        told = "Too many connections from this address"
        assert await refused(connect(manager, client=(network[2], 1))) == (1013, told)
        status, body, headers = await denied(connect(manager, client=(network[2], 1)))
        assert (status, body, headers[b"retry-after"]) == (503, f"{told}.\n", b"1")
        for client in (("2001:db8:0:2::1", 1), None, None, None):
            open_ones.append(await connect(manager, client=client).ready())
        # Behind a proxy each has its own.
        for n in (1, 1, 2):
            proxied = connect(manager, client=("10.0.0.1", 1), x_forwarded_for=f"192.0.2.{n}")
            open_ones.append(await proxied.ready())
        proxied = connect(manager, client=("10.0.0.1", 1), x_forwarded_for="x, 192.0.2.1")
        assert await refused(proxied) == (1013, told)
        assert manager.get_metrics()["refused_address_connections"] == 3
        await open_ones.pop(0).left()
        await until(
            lambda: manager.get_metrics()["connections_active"] == len(open_ones),
        )
        open_ones.append(await connect(manager, client=(network[2], 1)).ready())
        for connection in open_ones:
            await connection.left()


async def test_handshakes_of_one_address_are_limited() -> None:
    limits = Limits(handshakes_per_second_per_address=3.0)
    async with SubscriptionManager(limits=limits) as manager:
        for _ in range(3):
            connection = await connect(manager).ready()
            await connection.left()
        # Also one that offers no subprotocol takes from the bucket, and is refused by it.
        other = connect(manager)
        other.scope["subprotocols"] = []
        told = "Too many handshakes from this address"
        status, body, headers = await denied(other)
        assert (status, body, headers[b"retry-after"]) == (429, f"{told}.\n", b"1")
        assert await refused(connect(manager)) == (1013, told)
        neighbour = await connect(manager, client=("192.0.2.2", 1)).ready()
        await neighbour.left()
        assert manager.get_metrics()["refused_address_handshakes"] == 2


async def test_handshakes_of_all_are_limited() -> None:
    limits = Limits(handshakes_per_second=2.0, handshakes_per_second_per_address=0.0)
    async with SubscriptionManager(limits=limits) as manager:
        for n in range(2):
            connection = await connect(manager, client=(f"192.0.2.{n}", 1)).ready()
            await connection.left()
        refused_one = connect(manager, client=("192.0.2.9", 1))
        assert await refused(refused_one) == (1013, "Too many handshakes")
        assert manager.get_metrics()["refused_handshakes"] == 1


async def test_a_server_without_asgi_has_the_limits_too() -> None:
    limits = Limits(max_connections_per_address=1)
    async with SubscriptionManager(limits=limits) as manager:
        first = GraphQLTransportWSHandler(manager, scope=scope(origin="http://there"))
        with pytest.raises(ValueError, match="limit reached"):
            GraphQLTransportWSHandler(manager, scope=scope())
        GraphQLTransportWSHandler(manager).closed()
        first.closed()


# -- http ---------------------------------------------------------------------


async def request(manager: SubscriptionManager, method: str, **headers: str) -> Any:
    """The status and the headers of the answer."""
    asked = scope("http", host="here", **headers) | {"method": method, "path": "/"}
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        sent.append(message)

    await manager(asked, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"])


async def test_http_has_the_same_origins() -> None:
    async with SubscriptionManager(allowed_origins=["https://app"]) as manager:
        status, headers = await request(manager, "GET", origin="https://there")
        assert status == 403
        assert b"access-control-allow-origin" not in headers
        status, headers = await request(
            manager,
            "OPTIONS",
            origin="https://app",
            access_control_request_method="POST",
            access_control_request_headers="authorization, content-type",
        )
        assert status == 204
        assert headers[b"access-control-allow-origin"] == b"https://app"
        assert headers[b"access-control-allow-credentials"] == b"true"
        assert headers[b"access-control-allow-headers"] == b"authorization, content-type"
        assert b"GET" in headers[b"access-control-allow-methods"]
        assert headers[b"vary"] == b"origin"
        status, _ = await request(manager, "OPTIONS", origin="https://there")
        assert status == 403
        status, _ = await request(manager, "OPTIONS")
        assert status == 405
        assert manager.get_metrics()["refused_origins"] == 2
    async with SubscriptionManager(allowed_origins="*") as manager:
        status, headers = await request(manager, "OPTIONS", origin="https://any")
        assert (status, headers[b"access-control-allow-origin"]) == (204, b"*")
        assert b"access-control-allow-credentials" not in headers


async def test_a_query_over_http_has_the_same_limits() -> None:
    """One request that waits for its result keeps the only place."""
    limits = Limits(max_connections_per_address=1)
    started, go_on = asyncio.Event(), asyncio.Event()

    async def execute(payload: Any, context: Any) -> dict[str, Any]:
        started.set()
        await go_on.wait()
        return {"data": {"x": 1}}

    async def post(manager: SubscriptionManager, **settings: Any) -> tuple[int, Any, bytes]:
        asked = scope("http", content_type="application/json", host="here", **settings)
        body = {"type": "http.request", "body": b'{"query": "{ x }"}'}
        incoming: asyncio.Queue[Any] = asyncio.Queue()
        incoming.put_nowait(body)
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        await manager(asked | {"method": "POST", "path": "/"}, incoming.get, send)
        return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]

    async with SubscriptionManager(
        limits=limits, execute_handler=execute, allowed_origins=["https://app"]
    ) as manager:
        first = asyncio.ensure_future(post(manager, origin="https://app"))
        await started.wait()
        status, headers, body = await post(manager)
        assert (status, headers[b"retry-after"]) == (503, b"1")
        assert b"Too many connections from this address" in body
        assert (await post(manager, origin="http://here"))[0] == 403
        go_on.set()
        status, headers, body = await first
        assert (status, body) == (200, b'{"data":{"x":1}}')
        assert headers[b"access-control-allow-origin"] == b"https://app"
        assert manager.get_metrics()["refused_origins"] == 1
        assert manager.get_metrics()["refused_address_connections"] == 1
