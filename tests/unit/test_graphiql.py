# SPDX-License-Identifier: MIT
"""GraphiQL: when it is served, where its files are, what the page may do."""

from __future__ import annotations

import re
from typing import Any

import pytest

from fraiseql_asgi import ConfigError, SubscriptionManager, _graphiql
from fraiseql_asgi._graphiql import check_graphiql
from fraiseql_asgi.default_app import read_settings


async def get(
    manager: Any, path: str, *, root_path: str = "", method: str = "GET", accept: str = "text/html"
) -> tuple[int, dict[bytes, bytes], str]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "root_path": root_path,
        "headers": [(b"accept", accept.encode())],
        "query_string": b"",
    }
    await manager(scope, None, send)
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"].decode()


@pytest.mark.parametrize(
    ("path", "root_path", "root"),
    [
        ("/", "", ""),
        ("/graphql", "", "/graphql"),
        ("/graphql/", "", "/graphql"),
        ("/api/graphql", "/api", "/api/graphql"),
        ("/graphql", "/api", "/api/graphql"),
        # Neither another host nor markup.
        ("//evil.example/", "", "/evil.example"),
        ('/a"><script>', "", "/a%22%3E%3Cscript%3E"),
        ("/\\evil", "", "/%5Cevil"),
        ("/é", "", "/%C3%A9"),
    ],
)
async def test_the_page_names_its_files_by_whole_paths(
    path: str, root_path: str, root: str
) -> None:
    manager = SubscriptionManager(graphiql=True)
    status, headers, page = await get(manager, path, root_path=root_path)
    assert status == 200
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert [name for name in sources if name != "data:,"] == [
        f"{root}/graphiql.css",
        f"{root}/graphiql-page.css",
        f"{root}/graphiql-react.js",
        f"{root}/graphiql-react-dom.js",
        f"{root}/graphiql.js",
        f"{root}/graphiql-ws.js",
        f"{root}/graphiql-page.js",
    ]
    policy = headers[b"content-security-policy"]
    assert b"default-src 'none'; script-src 'self'; " in policy
    assert b"frame-ancestors 'none'" in policy
    # No script but files.
    assert "<script>" not in page
    assert len(page.encode()) == int(headers[b"content-length"])


async def test_its_files_are_served_below_the_root() -> None:
    manager = SubscriptionManager(graphiql=True, path="/graphql")
    for name in ("", "-react", "-react-dom", "-ws", "-page"):
        status, headers, text = await get(manager, f"/graphql/graphiql{name}.js", accept="*/*")
        assert (status, headers[b"content-type"]) == (200, b"text/javascript; charset=utf-8")
        assert headers[b"x-content-type-options"] == b"nosniff"
        assert len(text.encode()) == int(headers[b"content-length"]) > 1000
    status, headers, text = await get(manager, "/graphql/graphiql.css", method="HEAD")
    assert (status, text) == (200, "")
    assert (await get(manager, "/graphql/graphiql.html"))[0] == 404
    assert (await get(manager, "/graphiql.js"))[0] == 404
    assert (await get(manager, "/graphql/graphiql.js", method="POST"))[0] == 405


async def test_programs_get_no_page() -> None:
    manager = SubscriptionManager(graphiql=True)
    assert (await get(manager, "/", accept="application/json"))[0] == 426


async def test_it_is_on_where_it_is_wanted_or_debugged() -> None:
    for settings, is_on in (
        ({}, False),
        ({"debug": True}, True),
        ({"graphiql": True}, True),
        ({"graphiql": False, "debug": True}, False),
    ):
        manager = SubscriptionManager(**settings)  # type: ignore[arg-type]
        assert (await get(manager, "/"))[0] == (200 if is_on else 426)
        assert (await get(manager, "/graphiql.js"))[0] == (200 if is_on else 404)
    assert read_settings({"FRAISEQL_ASGI_GRAPHIQL": "1"}).graphiql
    assert not read_settings({}).graphiql


def test_without_its_files_it_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setattr(_graphiql, "_ASSETS", {"/graphiql.js": (tmp_path / "none", b"")})
    with pytest.raises(ConfigError, match="`make graphiql`"):
        check_graphiql(True, debug=False)
    assert not check_graphiql(None, debug=True)
