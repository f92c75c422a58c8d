# SPDX-License-Identifier: MIT
"""graphql-sse with a single connection: one event stream for many operations,
which requests of their own start and stop.

A token, made by PUT, names the stream and is all the credential that these
requests need. It is known to this process alone. What happens per event is C.
Source: PROTOCOL.md of graphql-sse, "Single connection mode". Thread: loop.
"""

from __future__ import annotations

import dataclasses
import json
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeAlias
from urllib.parse import parse_qs

from fraiseql_asgi._core import HttpStream, Service
from fraiseql_asgi._http import get_header
from fraiseql_asgi.config import Limits
from fraiseql_asgi.types import Receive, Scope, Send

__all__ = ["SharedStreams"]

_HEADER = b"x-graphql-event-stream-token"
_NO_STREAM = "There is no such stream."
#: Reservations that nobody has used yet; beyond it the oldest is forgotten.
_RESERVED_MAX = 10_000

Headers: TypeAlias = "Iterable[tuple[bytes, bytes]]"


@dataclasses.dataclass(frozen=True)
class _Reservation:
    """A token without a stream so far."""

    #: The header of the PUT, for a GET without one: EventSource sends none.
    authorization: bytes | None
    #: When it is forgotten if no stream has come, `time.monotonic()`.
    until: float


class SharedStreams:
    """The streams of one manager that operations share, by their token."""

    def __init__(
        self,
        limits: Callable[[], Limits],
        start: Callable[[], Awaitable[Service]],
        cors: Callable[[Scope], Headers],
    ) -> None:
        self._limits = limits
        self._start = start
        self._cors = cors
        #: Oldest first.
        self._reserved: dict[str, _Reservation] = {}
        self._streams: dict[str, HttpStream] = {}

    @staticmethod
    def token_of(scope: Scope) -> str | None:
        """The token that a request brings, in a header or its query string."""
        header = get_header(scope, _HEADER)
        if header is not None:
            return header.decode("latin-1")
        return _parameter(scope, "token")

    def is_meant(self, scope: Scope) -> bool:
        """Whether a request is for a stream of ours: the parameter `token` may
        be an application's own."""
        if get_header(scope, _HEADER) is not None:
            return True
        token = _parameter(scope, "token")
        return token is not None and (token in self._streams or token in self._reserved)

    # -- PUT ------------------------------------------------------------------

    async def reserve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Make a token. Who asks is found out when the stream comes."""
        now = time.monotonic()
        while self._reserved:
            oldest = next(iter(self._reserved))
            if len(self._reserved) < _RESERVED_MAX and self._reserved[oldest].until > now:
                break
            del self._reserved[oldest]
        token = secrets.token_urlsafe(24)
        self._reserved[token] = _Reservation(
            authorization=get_header(scope, b"authorization"),
            until=now + self._limits().init_timeout,
        )
        await self._answer(
            scope,
            send,
            201,
            token.encode(),
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"cache-control", b"no-store"),
        )

    # -- GET ------------------------------------------------------------------

    async def stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The stream of a token; it has one at a time, and ends with it."""
        token = self.token_of(scope) or ""
        if token in self._streams:
            await self._refuse(scope, send, 409, "The stream is open already.")
            return
        reservation = self._reserved.pop(token, None)
        if reservation is None or reservation.until <= time.monotonic():
            await self._refuse(scope, send, 404, _NO_STREAM)
            return
        stream = self._streams[token] = HttpStream(
            None,
            scope,
            receive,
            send,
            start=self._start,
            is_shared=True,
            authorization=reservation.authorization,
        )
        try:
            await stream
        finally:
            del self._streams[token]

    # -- POST, DELETE ---------------------------------------------------------

    async def operate(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Start an operation on a stream: its results come there."""
        stream = self._open_stream(scope)
        if stream is None:
            await self._refuse(scope, send, 404, _NO_STREAM)
            return
        kind = get_header(scope, b"content-type") or b""
        if kind.partition(b";")[0].strip().lower() != b"application/json":
            text = 'The body must be sent as "Content-Type: application/json".'
            await self._refuse(scope, send, 415, text)
            return
        body = await _read_body(receive, self._limits().message_max_bytes)
        if body is None:
            await self._refuse(scope, send, 413, "The body is too big.")
            return
        fault = HttpStream.check_operation(body)
        if fault is not None:
            await self._refuse(scope, send, 400, fault)
        elif stream.start_operation(body):
            await self._answer(scope, send, 202, b"")
        else:
            await self._refuse(scope, send, 404, _NO_STREAM)

    async def stop(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stop an operation; one that has ended is no error."""
        stream = self._open_stream(scope)
        operation_id = _parameter(scope, "operationId")
        if stream is None:
            await self._refuse(scope, send, 404, _NO_STREAM)
        elif not operation_id:
            await self._refuse(scope, send, 400, 'The parameter "operationId" is missing.')
        elif stream.stop_operation(operation_id.encode("utf-8", "replace")):
            await self._answer(scope, send, 200, b"")
        else:
            await self._refuse(scope, send, 404, _NO_STREAM)

    def _open_stream(self, scope: Scope) -> HttpStream | None:
        return self._streams.get(self.token_of(scope) or "")

    # -- answers --------------------------------------------------------------

    async def _answer(
        self, scope: Scope, send: Send, status: int, body: bytes, *headers: tuple[bytes, bytes]
    ) -> None:
        length = (b"content-length", b"%d" % len(body))
        is_page = get_header(scope, b"origin") is not None
        headers = (*headers, length, *(self._cors(scope) if is_page else ()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _refuse(self, scope: Scope, send: Send, status: int, text: str) -> None:
        body = json.dumps({"errors": [{"message": text}]}).encode()
        kind = (b"content-type", b"application/json; charset=utf-8")
        await self._answer(scope, send, status, body, kind)


def _parameter(scope: Scope, name: str) -> str | None:
    query: bytes = scope.get("query_string", b"")
    if name.encode() not in query:
        return None
    values = parse_qs(query.decode("latin-1"), keep_blank_values=True).get(name)
    return values[0] if values else None


async def _read_body(receive: Receive, max_bytes: int) -> bytes | None:
    """The body; None: it is longer."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body") or b""
        if len(body) > max_bytes:
            return None
        if not message.get("more_body"):
            return bytes(body)
