# SPDX-License-Identifier: MIT
"""The table of what a manager serves over http."""

from __future__ import annotations

from typing import Any

import pytest

from fraiseql_asgi import _core
from fraiseql_asgi._http import Routes, get_header, send_text


def make_routes(path: str | None) -> Routes:
    app = _core.ASGIApp(path=path)
    routes = Routes(app.subpath, is_anywhere=path is None)

    def named(name: str) -> Any:
        async def endpoint(scope: Any, receive: Any, send: Any) -> None:
            await send_text(scope, send, 200, name)

        return endpoint

    routes.add("", "GET", named("root"))
    routes.add("", "POST", named("posted"))
    routes.add("/publish", "POST", named("publish"))
    routes.page = named("page")
    return routes


async def ask(
    routes: Routes, method: str, path: str, query: bytes = b"", **headers: str
) -> tuple[int, dict[str, str], str]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("nothing is read")

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "root_path": "",
        "query_string": query,
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    await routes(scope, receive, send)
    start, body = sent
    names = {name.decode(): value.decode() for name, value in start["headers"]}
    return start["status"], names, body["body"].decode()


@pytest.mark.parametrize(
    ("path", "method", "asked", "status", "text"),
    [
        ("/g", "GET", "/g", 200, "root"),
        ("/g", "GET", "/g/", 200, "root"),
        ("/g", "HEAD", "/g", 200, None),
        ("/g", "POST", "/g", 200, "posted"),
        ("/g", "POST", "/g/publish", 200, "publish"),
        ("/g", "GET", "/g/publish", 405, "POST"),
        ("/g", "HEAD", "/g/publish", 405, None),
        ("/g", "PUT", "/g", 405, "GET, POST"),
        ("/g", "POST", "/g/publish/", 404, "nothing here"),
        ("/g", "POST", "/publish", 404, "nothing here"),
        ("/publish", "POST", "/publish", 200, "posted"),
        ("/publish", "POST", "/publish/publish", 200, "publish"),
        (None, "POST", "/publish", 200, "publish"),
        (None, "POST", "/deep/down/publish", 200, "publish"),
        (None, "POST", "/deep/down", 200, "posted"),
        (None, "GET", "/", 200, "root"),
    ],
)
async def test_path_and_method_say_who_serves(
    path: str | None, method: str, asked: str, status: int, text: str | None
) -> None:
    answer, headers, body = await ask(make_routes(path), method, asked)
    assert answer == status
    if status == 405:
        assert headers["allow"] in ("POST", "GET, POST")
    assert body == "" if text is None else text in body


@pytest.mark.parametrize(
    ("method", "query", "accept", "text"),
    [
        ("GET", b"", "text/html,application/xhtml+xml,*/*;q=0.8", "page"),
        ("GET", b"", "*/*", "root"),
        ("GET", b"query=%7Ba%7D", "text/html", "root"),
        ("POST", b"", "text/html", "posted"),
    ],
)
async def test_a_browser_gets_the_page(method: str, query: bytes, accept: str, text: str) -> None:
    answer = await ask(make_routes("/g"), method, "/g", query, accept=accept)
    assert answer[2].strip() == text


def test_headers_of_one_name_are_joined() -> None:
    scope = {"headers": [(b"accept", b"a"), (b"x", b"y"), (b"accept", b"b")]}
    assert get_header(scope, b"accept") == b"a, b"
    assert get_header(scope, b"cookie") is None
    assert get_header({}, b"cookie") is None
