# SPDX-License-Identifier: MIT
"""`POST …/publish`: events from programs that speak http. Thread: loop."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

from fraiseql_asgi._core import Event
from fraiseql_asgi._http import get_header, send_text
from fraiseql_asgi.errors import BusError, ConfigError, QueueFull
from fraiseql_asgi.types import Receive, Scope, Send

if TYPE_CHECKING:
    from fraiseql_asgi.manager import SubscriptionManager

__all__ = ["PublishEndpoint", "check_publish_token"]

#: Events of one request: its answer names them all.
_EVENTS_MAX = 10_000
#: What an event may have beside its data: names, tenant, meta.
_ENVELOPE_MAX = 64 * 2**10
#: Events after which others get their turn.
_TURN = 64
_MEMBERS = ("channel", "data", "event_type", "tenant_id", "boundary", "meta")
_JSON = b"application/json"
_LINES = (b"application/x-ndjson", b"application/ndjson", b"application/jsonl")


def check_publish_token(token: object) -> str | None:
    """A token as one may send it in a header; None for None.

    Raises:
        ConfigError: it is empty, or has what a header cannot carry.
        TypeError: no str.
    """
    if token is None:
        return None
    if not isinstance(token, str):
        raise TypeError(f"publish_token must be a str, not {type(token).__name__}")
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError(
            "publish_token must be visible ASCII without spaces: make one with "
            "`openssl rand -hex 32`",
            setting="publish_token",
        )
    return token


class _Answer(Exception):
    """Ends a request: a status, and what to say."""

    def __init__(self, status: int, text: str, *headers: tuple[bytes, bytes]) -> None:
        super().__init__(text)
        self.status = status
        self.headers = headers


class _Gone(Exception):
    """The client has left."""


class PublishEndpoint:
    """Publishes what requests with the right token bring.

    One event as JSON is published or not. Lines of JSON are published as they
    come, those that come together at a time; the first that cannot be ends the
    request, and the answer says its number and the ids of those before it.
    """

    def __init__(self, manager: SubscriptionManager, token: Callable[[], str | None]) -> None:
        self._manager = manager
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        token = self._token()
        if token is None:
            text = "Publishing over http is off: publish_token= turns it on."
            await send_text(scope, send, 404, text)
            return
        ids: list[str] = []
        try:
            _check_credentials(scope, token)
            await self._publish(scope, receive, ids)
        except _Answer as answer:
            await self._send(scope, send, answer.status, ids, str(answer), answer.headers)
        except _Gone:
            return
        else:
            await self._send(scope, send, 202, ids)

    async def _publish(self, scope: Scope, receive: Receive, ids: list[str]) -> None:
        media = (get_header(scope, b"content-type") or b"").partition(b";")[0].strip().lower()
        most = self._manager._runtime.limits.event_max_bytes + _ENVELOPE_MAX
        if media == _JSON:
            body = b"".join([chunk async for chunk in _read(receive, most)])
            ids.append(await self._publish_event(_read_event(body), "", waits=False))
        elif media in _LINES:
            number = 0
            async for lines in _read_lines(receive, most):
                await self._publish_lines(lines, number, ids)
                number += len(lines)
        else:
            raise _Answer(
                415,
                "send one event as application/json, or one in each line as application/x-ndjson",
                (b"accept", b"application/json, application/x-ndjson"),
            )

    async def _publish_lines(self, lines: list[bytes], n_before: int, ids: list[str]) -> None:
        """Publish what came together, together.

        Raises:
            _Answer: a line cannot be published; those before it were.
        """
        events: dict[int, Event] = {}
        wrong: _Answer | None = None
        for number, line in enumerate(lines, n_before + 1):
            if not line.strip():
                continue
            try:
                if len(ids) + len(events) == _EVENTS_MAX:
                    raise _Answer(413, f"a request may have {_EVENTS_MAX} events, send others")
                events[number] = _read_event(line)
            except _Answer as answer:
                wrong = _Answer(answer.status, f"line {number}: {answer}")
                break
            if number % _TURN == 0:
                await asyncio.sleep(0)
        numbers = list(events)
        try:
            if events:
                ids += await self._manager.publish_events(events.values())
        except BusError as error:
            n_taken = error.ids.index(None) if None in error.ids else 0
            ids += [event_id for event_id in error.ids[:n_taken] if event_id is not None]
            cause = error.__cause__
            told = cause if isinstance(cause, ValueError) else error
            raise _refuse(told, f"line {numbers[n_taken]}: ") from None
        except ValueError:
            # One is too long, so that none was published.
            for number, event in events.items():
                ids.append(await self._publish_event(event, f"line {number}: ", waits=True))
        if wrong is not None:
            raise wrong

    async def _publish_event(self, event: Event, where: str, *, waits: bool) -> str:
        """Publish one event; with `waits` the door may be full for a while.

        Raises:
            _Answer: it cannot be.
        """
        try:
            if waits:
                return await self._manager.publish_event(event)
            return await self._manager._publish_at_once(event)
        except (BusError, ValueError) as error:
            raise _refuse(error, where) from None

    async def _send(
        self,
        scope: Scope,
        send: Send,
        status: int,
        ids: list[str],
        error: str | None = None,
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        answer: dict[str, Any] = {"ids": ids} if error is None else {"error": error, "ids": ids}
        body = json.dumps(answer).encode() + b"\n"
        service = self._manager._runtime
        cors = service.service().cors(scope) if service.is_running else []
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [
                    (b"content-type", _JSON),
                    (b"content-length", b"%d" % len(body)),
                    *headers,
                    *cors,
                ],
            }
        )
        await send({"type": "http.response.body", "body": body})


def _check_credentials(scope: Scope, token: str) -> None:
    given = get_header(scope, b"authorization")
    if given is None:
        challenge = (b"www-authenticate", b'Bearer realm="publish"')
        raise _Answer(
            401, "publishing takes `Authorization: Bearer <the publish token>`", challenge
        )
    scheme, _, value = given.partition(b" ")
    is_bearer = scheme.lower() == b"bearer"
    # In the same time whatever is wrong with it.
    if not hmac.compare_digest(value.strip(), token.encode()) or not is_bearer:
        challenge = (b"www-authenticate", b'Bearer realm="publish", error="invalid_token"')
        raise _Answer(401, "this is not the publish token", challenge)


async def _read(receive: Receive, most: int) -> AsyncIterator[bytes]:
    """The body, chunk by chunk; `_Answer` beyond `most` bytes."""
    n = 0
    async for chunk in _chunks(receive):
        n += len(chunk)
        if n > most:
            raise _Answer(413, f"the event is longer than {most} bytes")
        yield chunk


async def _chunks(receive: Receive) -> AsyncIterator[bytes]:
    has_more = True
    while has_more:
        message = await receive()
        if message["type"] != "http.request":
            raise _Gone
        has_more = message.get("more_body", False)
        yield message.get("body", b"")


async def _read_lines(receive: Receive, most: int) -> AsyncIterator[list[bytes]]:
    """The lines of the body, those that came together at a time; one that is
    not whole waits."""
    rest = bytearray()
    number = 0
    async for chunk in _chunks(receive):
        *ends, last = chunk.split(b"\n")
        lines: list[bytes] = []
        is_long = False
        for end in ends:
            rest += end
            is_long = len(rest) > most
            if is_long:
                break
            lines.append(bytes(rest))
            rest.clear()
        if lines:
            yield lines
        number += len(lines)
        if not is_long:
            rest += last
        if len(rest) > most:
            raise _Answer(413, f"line {number + 1}: it is longer than {most} bytes")
    if rest:
        yield [bytes(rest)]


def _refuse(error: BusError | ValueError, where: str) -> _Answer:
    """What is said of an event that was not published."""
    if isinstance(error, QueueFull):
        return _Answer(429, f"{where}{error}", (b"retry-after", b"1"))
    if isinstance(error, BusError):
        told = str(error) or "the bus is not available"
        return _Answer(503, f"{where}{told}", (b"retry-after", b"1"))
    return _Answer(413 if "bytes" in str(error) else 400, f"{where}{error}")


def _read_event(text: bytes) -> Event:
    """The event that `text` is.

    Raises:
        _Answer: it is none.
    """
    try:
        return _make_event(text)
    except (ValueError, TypeError) as error:
        raise _Answer(400, str(error)) from None


def _make_event(text: bytes) -> Event:
    """The event that `text` is.

    Raises:
        ValueError, TypeError: it is none.
    """
    try:
        value = json.loads(text.decode())
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    except ValueError as error:
        raise ValueError(f"it is not JSON: {error}") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError('an event is a JSON object: {"channel": "orders", "data": {"id": 1}}')
    for name in value:
        if name not in _MEMBERS:
            raise ValueError(f"an event has no member {name!r:.100}, but {', '.join(_MEMBERS)}")
    for name in ("channel", "data"):
        if value.get(name) is None:
            raise ValueError(f"the event has no {name}")
    channel, data = value.pop("channel"), value.pop("data")
    if not isinstance(channel, str) or not channel:
        raise ValueError(f"channel must be a string that is not empty, not {channel!r:.100}")
    event_type = value.pop("event_type", None)
    return Event(channel if event_type is None else event_type, channel, data, **value)
