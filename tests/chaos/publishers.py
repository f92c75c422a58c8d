# SPDX-License-Identifier: MIT
"""Publishers that note what they were told: through instances, and past them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import Callable
from typing import Any

from fraiseql_asgi._core import PostgresClient
from fraiseql_asgi.errors import BusError

from .plan import CHANNELS, TOKEN, Plan
from .record import Place, Publish, Record

__all__ = ["Press", "SqlPublisher", "publish_by_http", "publish_by_redis", "publish_by_sql"]

#: A publisher waits so long for an answer, longer than an instance does.
PATIENCE = 4.0


class Press:
    """Numbers the events of a run, and notes them."""

    def __init__(self, plan: Plan, record: Record, now: Callable[[], float]) -> None:
        self.plan = plan
        self.record = record
        self.now = now
        #: Whether what is published now is to show that all is well again.
        self.is_last = False

    def make(self, channel: str, via: str) -> tuple[Publish, dict[str, Any]]:
        n = len(self.record.publishes) + 1
        event = Publish(n, channel, via, self.now())
        self.record.publishes[n] = event
        if self.is_last:
            self.record.last.add(n)
        size = self.plan.pad
        data = {"n": n, "channel": channel, "key": n % 7, "size": size, "pad": "x" * size}
        return event, data

    def acknowledged(self, event: Publish, place: Place | None = None) -> None:
        event.ended = self.now()
        event.outcome = "acknowledged"
        event.place = place

    def failed(self, event: Publish, told: str, *, is_sure: bool = False) -> None:
        """`is_sure`: it is not in the bus and will not be."""
        event.ended = self.now()
        event.outcome = "refused" if is_sure else "unknown"
        event.told = told


def read_place(text: str) -> Place | None:
    """An id of a stream of Redis; others have no order that all share."""
    ms, dash, number = text.partition("@")[0].partition("-")
    return (int(ms), int(number)) if dash else None


# -- through an instance --------------------------------------------------------


async def publish_by_http(press: Press, address: str, chance: random.Random, n_lines: int) -> None:
    """One event as JSON, or several as lines."""
    via = f"http {address}"
    made = [press.make(chance.choice(CHANNELS), via) for _ in range(n_lines)]
    lines = [json.dumps({"channel": event.channel, "data": data}) for event, data in made]
    media = "application/json" if n_lines == 1 else "application/x-ndjson"
    body = "\n".join(lines).encode()
    head = (
        f"POST /publish HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {TOKEN}\r\n"
        f"Content-Type: {media}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    is_sent = False

    async def ask() -> bytes:
        nonlocal is_sent
        host, _, port = address.partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            is_sent = True
            writer.write(head.encode() + body)
            return await reader.read()
        finally:
            writer.transport.abort()

    try:
        answer = await asyncio.wait_for(ask(), PATIENCE)
    except (OSError, asyncio.TimeoutError) as error:
        for event, _ in made:
            press.failed(event, f"{type(error).__name__}: {error}", is_sure=not is_sent)
        return
    _take_answer(press, [event for event, _ in made], answer)


def _take_answer(press: Press, events: list[Publish], answer: bytes) -> None:
    head, _, body = answer.partition(b"\r\n\r\n")
    try:
        status = int(head.split(b" ")[1])
        told = json.loads(body)
        ids = told["ids"]
    except (IndexError, ValueError, KeyError, TypeError):
        status, told, ids = 0, {}, []
    text = f"{status} {told.get('error', body[:200])}"
    if status not in (0, 202, 429, 503):
        press.record.remains.append(f"a publisher was told {text}")
    for event, event_id in zip(events, ids, strict=False):
        press.acknowledged(event, read_place(event_id))
    for i, event in enumerate(events[len(ids) :]):
        # Of the lines behind the one that failed some may have been published.
        press.failed(event, text, is_sure=i == 0 and status != 0 and _is_sure(status, text))


def _is_sure(status: int, text: str) -> bool:
    """Whether what an instance says means that the event was not taken."""
    if status == 503:
        return "did not take the event in time" in text or "OOM " in text
    return True


# -- past them: Redis -----------------------------------------------------------


async def publish_by_redis(press: Press, path: str, chance: random.Random, n_events: int) -> None:
    """As a program in another language does: XADD, in a pipeline."""
    made = [press.make(chance.choice(CHANNELS), "XADD") for _ in range(n_events)]
    is_sent = False
    waiting = [event for event, _ in made]

    async def ask() -> None:
        nonlocal is_sent
        reader, writer = await asyncio.open_unix_connection(path)
        try:
            is_sent = True
            for event, data in made:
                words = [
                    "XADD",
                    press.plan.stream(event.channel),
                    "MAXLEN",
                    "~",
                    str(press.plan.history_events),
                ]
                words += ["*", "channel", event.channel, "data", json.dumps(data)]
                writer.write(f"*{len(words)}\r\n".encode())
                writer.write(
                    b"".join(b"$%d\r\n%s\r\n" % (len(word), word.encode()) for word in words)
                )
            while waiting:
                line = (await reader.readuntil(b"\r\n"))[:-2].decode()
                if line.startswith("-"):
                    press.failed(waiting.pop(0), line, is_sure=True)
                    continue
                entry = await reader.readexactly(int(line[1:]) + 2)
                press.acknowledged(waiting.pop(0), read_place(entry[:-2].decode()))
        finally:
            writer.transport.abort()

    try:
        await asyncio.wait_for(ask(), PATIENCE / 2)
    except (OSError, EOFError, asyncio.TimeoutError) as error:
        for event in waiting:
            press.failed(event, f"{type(error).__name__}: {error}", is_sure=not is_sent)


# -- past them: PostgreSQL ------------------------------------------------------


class SqlPublisher:
    """A connection of its own, used from a thread."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._client: PostgresClient | None = None

    def run(self, statements: list[tuple[str, tuple[str, ...]]]) -> None:
        """Raises whatever goes wrong, and begins anew after that."""
        try:
            if self._client is None:
                self._client = PostgresClient(self._dsn, timeout=PATIENCE / 2)
            for sql, parameters in statements:
                self._client.execute(sql, parameters)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if self._client is not None:
            with contextlib.suppress(BusError):
                self._client.close()
        self._client = None


_PUBLISH = "SELECT fraiseql.publish($1, 'sql', $2::jsonb)"


async def publish_by_sql(
    press: Press, publisher: SqlPublisher, chance: random.Random, n_events: int
) -> None:
    """One statement, or a transaction that takes its time, or one that is undone."""
    made = [press.make(chance.choice(CHANNELS), "SQL") for _ in range(n_events)]
    publishing = [(_PUBLISH, (event.channel, json.dumps(data))) for event, data in made]
    is_undone = n_events > 1 and chance.random() < 0.2
    try:
        if n_events > 1:
            await asyncio.to_thread(publisher.run, [("BEGIN", ()), *publishing])
            if chance.random() < 0.3:
                await asyncio.sleep(chance.uniform(0.0, 1.0))
        else:
            await asyncio.to_thread(publisher.run, publishing)
    except BusError as error:
        for event, _ in made:
            press.failed(event, str(error), is_sure=n_events > 1)
        return
    if n_events == 1:
        press.acknowledged(made[0][0])
        return
    end = "ROLLBACK" if is_undone else "COMMIT"
    try:
        await asyncio.to_thread(publisher.run, [(end, ())])
    except BusError as error:
        for event, _ in made:
            press.failed(event, str(error), is_sure=is_undone)
        return
    for event, _ in made:
        if is_undone:
            press.failed(event, "rolled back", is_sure=True)
        else:
            press.acknowledged(event)
