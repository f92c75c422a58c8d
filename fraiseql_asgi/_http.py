# SPDX-License-Identifier: MIT
"""What a manager serves over http: a table of routes below its root.

Streams are C; here is which of them a request gets, and what is said where
there is none. Thread: loop.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeAlias

from fraiseql_asgi._core import Service
from fraiseql_asgi.errors import FraiseQLError
from fraiseql_asgi.types import Receive, Scope, Send

__all__ = [
    "Endpoint",
    "Routes",
    "get_header",
    "send_text",
    "upgrade_required",
    "wants_answer",
]

#: Serves one request; a coroutine function, or anything that gives an
#: awaitable.
Endpoint: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


_AGAIN = [(b"retry-after", b"1")]


class Routes:
    """Who serves which path, and by which method.

    `subpath` gives the path of a scope below the root, None where that is
    not ours. With `is_anywhere` every path is the root, but for those that end
    in one of the table.
    """

    def __init__(
        self,
        subpath: Callable[[Scope], str | None],
        *,
        is_anywhere: bool = False,
        service: Callable[[], Service] | None = None,
    ) -> None:
        self._subpath = subpath
        #: Says which pages may ask; None: all may.
        self._service = service
        self._is_anywhere = is_anywhere
        self._endpoints: dict[str, dict[str, Endpoint]] = {}
        #: What a browser gets that asks for a page at the root; None: what
        #: every client gets.
        self.page: Endpoint | None = None
        #: Whether it is served now.
        self.wants_page: Callable[[], bool] = lambda: True

    def add(self, subpath: str, method: str, endpoint: Endpoint) -> None:
        """Serve `method` at `subpath`, one segment such as `"/publish"`; `""` is
        the root, with a slash and without."""
        self._endpoints.setdefault(subpath, {})[method] = endpoint

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        subpath = self._subpath(scope)
        if subpath == "/":
            subpath = ""
        elif subpath == "" and self._is_anywhere:
            last = f"/{scope['path'].rpartition('/')[2]}"
            subpath = last if last in self._endpoints else ""
        endpoints = None if subpath is None else self._endpoints.get(subpath)
        if endpoints is None:
            text = "There is nothing here: GraphQL subscriptions have another path."
            return send_text(scope, send, 404, text)
        method = scope["method"]
        if self._service is not None and get_header(scope, b"origin") is not None:
            try:
                service = self._service()
            except FraiseQLError:
                text = "The service is not available; try again later."
                return send_text(scope, send, 503, text, _AGAIN)
            if not service.may_ask(scope):
                text = "Pages of this origin may not ask here."
                return send_text(scope, send, 403, text)
            if method == "OPTIONS":
                return _send_preflight(scope, send, service, endpoints)
        if subpath == "" and self.page is not None and _wants_page(scope) and self.wants_page():
            return self.page(scope, receive, send)
        endpoint = endpoints.get(method)
        if endpoint is None and method == "HEAD":
            endpoint = endpoints.get("GET")
        if endpoint is None:
            allow = ", ".join(sorted(endpoints))
            text = f"{method} is not served here, but {allow}."
            return send_text(scope, send, 405, text, [(b"allow", allow.encode())])
        return endpoint(scope, receive, send)


async def _send_preflight(
    scope: Scope, send: Send, service: Service, methods: Iterable[str]
) -> None:
    """Tell a browser what a page of another origin may send (Fetch 3.2.2)."""
    headers = [
        *service.cors(scope),
        (b"access-control-allow-methods", ", ".join(sorted(methods)).encode()),
        (b"access-control-max-age", b"600"),
    ]
    asked = get_header(scope, b"access-control-request-headers")
    if asked is not None:
        # Whoever may ask may send what it likes.
        headers.append((b"access-control-allow-headers", asked))
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def wants_answer(scope: Scope) -> bool:
    """Whether a GET has a request in it, and is no look at what is here."""
    query = scope.get("query_string", b"")
    return scope["method"] == "GET" and (b"query=" in query or b"extensions=" in query)


def _wants_page(scope: Scope) -> bool:
    """Whether a browser asks for something to look at, and no query."""
    return (
        scope["method"] in ("GET", "HEAD")
        and not wants_answer(scope)
        and b"text/html" in (get_header(scope, b"accept") or b"")
    )


async def upgrade_required(scope: Scope, receive: Receive, send: Send) -> None:
    """Say what this is a place for."""
    text = (
        "This is a GraphQL endpoint: send a request by POST as application/json, or connect "
        "with a WebSocket that offers the subprotocol graphql-transport-ws."
    )
    await send_text(scope, send, 426, text, [(b"upgrade", b"websocket")])


def get_header(scope: Scope, name: bytes) -> bytes | None:
    """The header `name`, in lower case; several are joined by commas (RFC 9110 5.3)."""
    values = [value for key, value in scope.get("headers", ()) if key == name]
    return b", ".join(values) if values else None


async def send_text(
    scope: Scope,
    send: Send,
    status: int,
    text: str,
    headers: Iterable[tuple[bytes, bytes]] = (),
) -> None:
    """Answer with a sentence; HEAD gets its headers alone."""
    body = f"{text}\n".encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(body)),
        *headers,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    body = b"" if scope["method"] == "HEAD" else body
    await send({"type": "http.response.body", "body": body})
