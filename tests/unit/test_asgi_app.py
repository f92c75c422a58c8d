# SPDX-License-Identifier: MIT
"""ASGIApp: which scope is served by what, and under which path."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import pytest
from asgi_driver import SUBPROTOCOL, Connection, new_service, on_both_loops, publish, until_unused

from fraiseql_asgi import _core, errors


@pytest.fixture
def service() -> Any:
    service = new_service()
    yield service
    service.close(1012, "")


async def nothing(*_args: Any) -> None:
    raise AssertionError


# -- scopes -----------------------------------------------------------------


def test_http_and_lifespan_are_the_managers() -> None:
    calls = []

    def handler(name: str) -> Any:
        def handle(scope: Any, receive: Any, send: Any) -> str:
            calls.append((name, scope, receive, send))
            return f"awaitable of {name}"

        return handle

    app = _core.ASGIApp(http=handler("http"), lifespan=handler("lifespan"))
    for name in ("http", "lifespan"):
        scope = {"type": name}
        assert app(scope, 1, 2) == f"awaitable of {name}"
        assert app(scope=scope, receive=1, send=2) == f"awaitable of {name}"
        assert calls == [(name, scope, 1, 2)] * 2
        calls.clear()


@pytest.mark.parametrize("type_", ["http", "lifespan"])
def test_a_scope_that_nobody_serves_is_an_error(type_: str) -> None:
    with pytest.raises(ValueError, match=f"nothing serves ASGI scope type '{type_}'"):
        _core.ASGIApp()({"type": type_}, nothing, nothing)


def test_an_unknown_scope_is_an_error() -> None:
    with pytest.raises(ValueError, match="unknown ASGI scope type 'webtransport'"):
        _core.ASGIApp()({"type": "webtransport"}, nothing, nothing)
    with pytest.raises(TypeError, match="ASGI scope without a type"):
        _core.ASGIApp()({}, nothing, nothing)
    with pytest.raises(TypeError, match="ASGI scope without a type"):
        _core.ASGIApp()({"type": 3}, nothing, nothing)


def test_asgi_2_is_refused() -> None:
    with pytest.raises(TypeError, match="ASGI 3 application"):
        _core.ASGIApp()({"type": "websocket"})


def test_a_service_is_checked() -> None:
    app = _core.ASGIApp(service="service")
    websocket = {"type": "websocket", "path": "/"}
    with pytest.raises(TypeError, match="service is str, not a Service"):
        app(websocket, nothing, nothing)
    with pytest.raises(TypeError, match="service is str, not a Service"):
        _core.WebSocket("service", websocket, nothing, nothing)


@on_both_loops
async def test_a_subclass_may_be_a_coroutine_function() -> None:
    """What servers ask for: uvicorn, hypercorn, daphne."""

    service = new_service()
    app = App(service=service)
    assert asyncio.iscoroutinefunction(app.__call__)
    connection = await Connection(app).subscribed()
    publish(service, {"n": 1})
    assert await connection.read_ticks(1) == [1]
    await connection.left()
    await until_unused(service)
    service.close(1012, "")


@on_both_loops
async def test_the_service_may_come_later() -> None:
    app = _core.ASGIApp()
    refused = Connection(app)
    assert (await refused.next())["type"] == "websocket.close"
    await refused.ended()
    app.service = service = new_service()
    connection = await Connection(app).ready()
    await connection.left()
    await until_unused(service)
    service.close(1012, "")


def test_it_can_be_collected() -> None:
    class App(_core.ASGIApp):
        def __init__(self) -> None:
            super().__init__(http=self.handle, lifespan=self.handle, start=self.handle)

        def handle(self) -> None: ...

    app = weakref.ref(App())
    gc.collect()
    assert app() is None


# -- paths ------------------------------------------------------------------

PATHS = [
    # path=, root_path, path, what is below
    # None: wherever it is asked, it is its place.
    (None, "", "", ""),
    (None, "", "/x/y", ""),
    (None, "/graphql", "/graphql/publish", ""),
    ("", "", "", ""),
    ("", "", "/", "/"),
    ("", "", "/publish", "/publish"),
    # Starlette since 0.33, and the ASGI specification: path repeats root_path.
    ("", "/graphql", "/graphql", ""),
    ("", "/graphql", "/graphql/", "/"),
    ("", "/graphql", "/graphql/publish", "/publish"),
    ("", "/graphql/", "/graphql/publish", "/publish"),
    ("", "/a/b", "/a/b/c", "/c"),
    # Others do not.
    ("", "/graphql", "/", "/"),
    ("", "/graphql", "", ""),
    ("", "/graphql", "/publish", "/publish"),
    # A name is not a boundary.
    ("", "/graphql", "/graphqlx", "/graphqlx"),
    ("", "/é", "/é/x", "/x"),
    ("/graphql", "", "/graphql", ""),
    ("/graphql", "", "/graphql/", "/"),
    ("/graphql/", "", "/graphql/x", "/x"),
    ("/graphql", "", "/", None),
    ("/graphql", "", "/graphqlx", None),
    ("/graphql", "", "/graph", None),
    ("/graphql", "/api", "/api/graphql", ""),
    ("/graphql", "/api", "/graphql", ""),
    ("/", "", "/", "/"),
    ("", "", "/x", "/x"),
    ("", None, "/x", "/x"),
]


@pytest.mark.parametrize(("path", "root_path", "full", "below"), PATHS)
def test_the_path_below(
    path: str | None, root_path: str | None, full: str, below: str | None
) -> None:
    app = _core.ASGIApp(path=path)
    assert app.subpath({"type": "http", "path": full, "root_path": root_path}) == below


def test_a_scope_without_a_root_path_is_at_the_root() -> None:
    app = _core.ASGIApp(path="")
    assert app.subpath({"path": "/x"}) == "/x"
    assert app.subpath({}) == ""
    with pytest.raises(TypeError, match="path of an ASGI scope is bytes, not str"):
        app.subpath({"path": b"/x"})


@pytest.mark.parametrize("path", ["graphql", "graphql/"])
def test_a_path_begins_with_a_slash(path: str) -> None:
    with pytest.raises(errors.ConfigError, match="must begin with a slash"):
        _core.ASGIApp(path=path)
    with pytest.raises(TypeError, match="path must be a str, not int"):
        _core.ASGIApp(path=3)


def test_the_path_can_be_read() -> None:
    assert _core.ASGIApp().path is None
    assert _core.ASGIApp(path="/").path == ""
    assert _core.ASGIApp(path="/graphql/").path == "/graphql"


@pytest.mark.parametrize(
    ("path", "root_path", "full", "is_served"),
    [
        (None, "", "/", True),
        (None, "", "/graphql", True),
        (None, "/graphql", "/graphql/x", True),
        ("", "", "/", True),
        ("", "", "", True),
        ("", "/graphql", "/graphql", True),
        ("", "/graphql", "/graphql/", True),
        ("", "", "/graphql", False),
        ("", "", "//", False),
        ("", "/graphql", "/graphql/x", False),
        ("/graphql", "", "/graphql", True),
        ("/graphql", "", "/graphql/", True),
        ("/graphql", "", "/", False),
        ("/graphql", "", "/graphql/x", False),
    ],
)
@on_both_loops
async def test_websockets_elsewhere_are_refused(
    path: str | None, root_path: str, full: str, is_served: bool
) -> None:
    service = new_service()
    app = _core.ASGIApp(service=service, path=path)
    connection = Connection(app, path=full, root_path=root_path)
    message = await connection.next()
    if is_served:
        assert message == {"type": "websocket.accept", "subprotocol": SUBPROTOCOL}
        await connection.left()
    else:
        # Before the accept: 403.
        assert message == {"type": "websocket.close", "code": 1000, "reason": ""}
        assert await connection.ended() is None
    await until_unused(service)
    service.close(1012, "")


# -- frameworks -------------------------------------------------------------


class App(_core.ASGIApp):
    """With a coroutine function, which TestClient and servers look for."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await super().__call__(scope, receive, send)


def ask(client: Any, path: str) -> None:
    with client.websocket_connect(path, subprotocols=[SUBPROTOCOL]) as websocket:
        assert websocket.accepted_subprotocol == SUBPROTOCOL
        websocket.send_json({"type": "connection_init"})
        assert websocket.receive_json() == {"type": "connection_ack"}
        websocket.send_json({"type": "ping", "payload": {"a": 1}})
        assert websocket.receive_json() == {"type": "pong", "payload": {"a": 1}}


@pytest.mark.filterwarnings("default")  # of the frameworks
@pytest.mark.parametrize("framework", ["starlette", "fastapi"])
def test_it_can_be_mounted(service: _core.Service, framework: str) -> None:
    if framework == "starlette":
        from starlette.applications import Starlette as Framework
    else:
        from fastapi import FastAPI as Framework  # type: ignore[assignment]
    from starlette.testclient import TestClient, WebSocketDisconnect

    parent = Framework()
    parent.mount("/graphql", _core.ASGIApp(service=service, path=""))
    client = TestClient(parent)
    ask(client, "/graphql/")
    with pytest.raises(WebSocketDisconnect):
        ask(client, "/graphql/elsewhere")
    with pytest.raises(WebSocketDisconnect) as caught:
        with client.websocket_connect("/graphql/") as websocket:
            websocket.receive_text()
    assert caught.value.code == 4406


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("backend", ["asyncio", "uvloop"])
def test_it_serves_starlettes_test_client(service: _core.Service, backend: str) -> None:
    from starlette.testclient import TestClient

    options = {"use_uvloop": backend == "uvloop"}
    client = TestClient(App(service=service), backend_options=options)
    ask(client, "/")


@pytest.mark.filterwarnings("default")
def test_trio_is_told_apart(service: _core.Service) -> None:
    pytest.importorskip("trio")
    from starlette.testclient import TestClient

    client = TestClient(App(service=service), backend="trio")
    with pytest.raises(errors.ConfigError, match="no asyncio event loop runs here"):
        ask(client, "/")
