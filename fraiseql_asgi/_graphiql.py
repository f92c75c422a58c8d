# SPDX-License-Identifier: MIT
"""GraphiQL, a page to try queries and subscriptions on, without a network: its
files are in the package, put there by `make graphiql`. Thread: loop."""

from __future__ import annotations

import functools
import html
import pathlib
import urllib.parse
from collections.abc import Awaitable

from fraiseql_asgi._http import Endpoint, Routes, send_text
from fraiseql_asgi.errors import ConfigError
from fraiseql_asgi.types import Receive, Scope, Send

__all__ = ["GraphiQL", "check_graphiql"]

_FOLDER = pathlib.Path(__file__).parent / "graphiql"
_VENDOR = _FOLDER / "vendor"
_JS, _CSS = b"text/javascript; charset=utf-8", b"text/css; charset=utf-8"
#: Where below the root -> which file, and what it is.
_ASSETS = {
    "/graphiql.js": (_VENDOR / "graphiql.js", _JS),
    "/graphiql.css": (_VENDOR / "graphiql.css", _CSS),
    "/graphiql-react.js": (_VENDOR / "react.js", _JS),
    "/graphiql-react-dom.js": (_VENDOR / "react-dom.js", _JS),
    "/graphiql-ws.js": (_VENDOR / "graphql-ws.js", _JS),
    "/graphiql-page.js": (_FOLDER / "page.js", _JS),
    "/graphiql-page.css": (_FOLDER / "page.css", _CSS),
}
#: Nothing from elsewhere, no script in the page itself, no frame around it.
#: CodeMirror and Radix make <style> elements; the fonts are in the style sheet.
_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    b"connect-src 'self'; img-src 'self' data:; font-src 'self' data:; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = [
    (b"content-security-policy", _POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]


def check_graphiql(setting: bool | None, *, debug: bool) -> bool:
    """Whether the page is served: what is said, else where `debug` is and the
    files are.

    Raises:
        ConfigError: it is to be, and the files are not there.
    """
    is_there = all(path.exists() for path, _ in _ASSETS.values())
    if setting is None:
        return debug and is_there
    if setting and not is_there:
        raise ConfigError(
            "graphiql=True needs the files of GraphiQL, which this installation does not have: "
            "`make graphiql` in the sources fetches them",
            setting="graphiql",
        )
    return bool(setting)


class GraphiQL:
    """The page and its files, while `is_on`."""

    def __init__(self) -> None:
        self.is_on = False

    def add_to(self, routes: Routes) -> None:
        routes.page = self._send_page
        routes.wants_page = lambda: self.is_on
        for subpath in _ASSETS:
            routes.add(subpath, "GET", self._asset(subpath))

    def _send_page(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        text = (_FOLDER / "page.html").read_text(encoding="utf-8")
        root = html.escape(_root(scope), quote=True)
        body = text.replace("@ROOT@", root).encode()
        return _send(scope, send, body, b"text/html; charset=utf-8", b"no-store")

    def _asset(self, subpath: str) -> Endpoint:
        def serve(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
            if not self.is_on:
                return send_text(scope, send, 404, "GraphiQL is off: graphiql=True turns it on.")
            return _send(scope, send, *_read(subpath), b"no-cache")

        return serve


@functools.cache
def _read(subpath: str) -> tuple[bytes, bytes]:
    path, kind = _ASSETS[subpath]
    return path.read_bytes(), kind


def _root(scope: Scope) -> str:
    """The path of the page as the browser has it, without a slash at the end.

    Servers differ in whether `path` repeats `root_path`. What a URL needs is
    quoted, and it begins with one slash: with two it would name a host.
    """
    mounted, path = scope.get("root_path") or "", scope["path"]
    if not path.startswith(mounted):
        path = mounted + path
    path = path.strip("/")
    return "/" + urllib.parse.quote(path) if path else ""


async def _send(scope: Scope, send: Send, body: bytes, kind: bytes, caching: bytes) -> None:
    headers = [
        (b"content-type", kind),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", caching),
        *_HEADERS,
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    body = b"" if scope["method"] == "HEAD" else body
    await send({"type": "http.response.body", "body": body})
