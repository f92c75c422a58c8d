# SPDX-License-Identifier: MIT
"""Conversations as data: reads tests/data/conformance and holds them with a
server of the application there (conformance_app.py), or with the reference.

A case is a list of steps for one socket, or for several named ones (`as`). It
begins with an acknowledged connection unless `open` says otherwise: "socket" is
one without connection_init. `each` makes one case of every value, which stands
where the steps say "$each"; "$key" is a text that no other case has. In what is
expected, "$any" is anything, and `"$more": true` lets an object have more
members. Each step is a method of `Conversation` below.

`faults` names the servers that are known to fail, with why and a text of the
failure: where such a case passes, or fails in another way, that is a failure.
`skip` names those of whom it cannot be asked.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import pathlib
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Closed, Peer, frame

__all__ = ["Case", "Target", "hold", "load"]

DATA = pathlib.Path(__file__).parent / "data"

#: Longest wait for anything that is expected to happen.
DEADLINE = 20.0
#: Conversations at a time, those that only wait for a timeout included.
AT_ONCE = 24

#: What the table of messages has in its literals.
ESCAPES = {"\\\\": "\\", "\\t": "\t", "\\n": "\n"}

#: New in each run, as a server may see several.
_keys = (f"{os.urandom(4).hex()}.{n}" for n in itertools.count(1))

Json = Any


@dataclass(frozen=True)
class Case:
    name: str
    theme: str
    steps: list[Json]
    open: Json = None
    #: Part of the suite on every server, not on one alone.
    is_everywhere: bool = False
    faults: dict[str, Json] = field(default_factory=dict)
    skip: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Target:
    """A server that has the application at `path`."""

    name: str
    host: str
    path: str = ""
    #: Whether the reason of a close arrives.
    has_reasons: bool = True

    def note(self, notes: dict[str, Any]) -> Any:
        """The one of `notes` that is about this server, or None."""
        for name, note in notes.items():
            if self.name == name or self.name.startswith(name + "-"):
                return note
        return None


class Failure(Exception):
    """A conversation went otherwise than its case."""


# -- cases --------------------------------------------------------------------


def load() -> list[Case]:
    """All cases, in the order of their files."""
    cases = []
    for path in sorted((DATA / "conformance").glob("*.json")):
        theme = json.loads(path.read_text())
        for entry in theme["cases"]:
            cases.extend(_expand(entry, path.stem, theme.get("everywhere", False)))
    cases.extend(_messages(DATA / "graphql_transport_ws_messages.inc"))
    names = [(case.theme, case.name) for case in cases]
    assert len(names) == len(set(names)), "two cases of one name"
    return cases


def _expand(entry: Json, theme: str, is_everywhere: bool) -> Iterator[Case]:
    values = entry.get("each")
    for n, value in enumerate([None] if values is None else values):
        name = entry["name"] if values is None else f"{entry['name']} [{n}]"
        faults = {
            server: fault
            for server, fault in entry.get("faults", {}).items()
            if "of" not in fault or value in fault["of"]
        }
        steps, opened = (
            _replace(entry.get(key), {"$each": value} if values is not None else {})
            for key in ("steps", "open")
        )
        yield Case(name, theme, steps, opened, is_everywhere, faults, entry.get("skip", {}))


def _replace(value: Json, names: dict[str, Json]) -> Json:
    """`value` with `names` filled in: alone as they are, within texts as text;
    "$each.id" is a member."""
    if isinstance(value, list):
        return [_replace(item, names) for item in value]
    if isinstance(value, dict):
        return {key: _replace(item, names) for key, item in value.items()}
    if not isinstance(value, str):
        return value
    if value in names:
        return names[value]
    for name, filled in names.items():
        if value.startswith(name + ".") and isinstance(filled, dict):
            return filled[value[len(name) + 1 :]]
        if isinstance(filled, str):
            value = value.replace(name, filled)
    return value


def _messages(path: pathlib.Path) -> Iterator[Case]:
    """The table that the C tests use, each message before init and after."""
    for line in path.read_text().split("\n"):
        found = re.fullmatch(r'MESSAGE\((\w+), "(.*)"\)', line)
        if found is None:
            continue
        verdict, literal = found.groups()
        text = re.sub(r"\\.", lambda escape: ESCAPES[escape[0]], literal).replace("'", '"')
        for state in ("ready", "socket"):
            steps: list[Json] = [{"text": text}]
            if verdict == "ok":
                steps += _after(text, state)
            else:
                steps.append({"closed": [4400, "Invalid message received"]})
            yield Case(
                f"{state}: {literal}",
                "message table",
                steps,
                state,
                faults=_message_faults(verdict, state, text),
            )


def _message_faults(verdict: str, state: str, text: str) -> dict[str, Json]:
    query = json.loads(text).get("payload", {}) if '"query":"' in text and verdict == "ok" else None
    if verdict == "server":
        why = "it throws on what only a server sends, and closes with 4500"
    elif state == "ready" and query is not None and query["query"] in ("", "\udfff"):
        why = "a syntax error throws out of its message handler and closes with 4500"
    else:
        return {}
    return {"reference": {"why": why, "shows": "4500"}}


def _after(text: str, state: str) -> list[Json]:
    """What becomes of a connection after a message that is well formed."""
    kind = json.loads(text)["type"]
    if kind == "connection_init" and state == "ready":
        return [{"closed": [4429, "Too many initialisation requests"]}]
    if kind == "subscribe" and state == "socket":
        return [{"closed": [4401, "Unauthorized"]}]
    answers: dict[str, list[Json]] = {
        "connection_init": [{"expect": {"type": "connection_ack"}}],
        "subscribe": [{"error": ["1", "$any"]}],
        "ping": [{"expect": {"type": "pong", "$more": True}}],
    }
    return [*answers.get(kind, []), {"quiet": True}]


# -- comparing ----------------------------------------------------------------


def _difference(expected: Json, got: Json, place: str = "") -> str | None:
    """Where `got` is not as `expected`, or None."""
    if expected == "$any":
        return None
    if isinstance(expected, dict) and isinstance(got, dict):
        wanted = {key for key in expected if key != "$more"}
        if missing := wanted - set(got):
            return f"{place}: no {sorted(missing)} in {got!r}"
        if not expected.get("$more") and (more := set(got) - wanted):
            return f"{place}: {sorted(more)} as well in {got!r}"
        pairs: Iterable[Any] = ((key, expected[key], got[key]) for key in wanted)
    elif isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got):
        pairs = zip(itertools.count(), expected, got)
    elif type(expected) is type(got) and expected == got:
        return None
    else:
        return f"{place}: expected {expected!r}, got {got!r}"
    for key, wanted_value, value in pairs:
        found = _difference(wanted_value, value, f"{place}.{key}")
        if found is not None:
            return found
    return None


def _check(expected: Json, got: Json) -> None:
    found = _difference(expected, got)
    if found is not None:
        raise Failure(found)


def _data(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


# -- conversations ------------------------------------------------------------


class Conversation:
    """One run of one case."""

    def __init__(self, target: Target, case: Case) -> None:
        self.target = target
        self.case = case
        self.key = next(_keys)
        self.peers: dict[str, Peer] = {}
        self.opened_at: dict[str, float] = {}
        self.n_pings = 0
        self.n_controls = 0

    async def run(self) -> None:
        try:
            await self._open("")
            for number, step in enumerate(self.case.steps, 1):
                step = _replace(step, {"$key": self.key})
                try:
                    await asyncio.wait_for(self._do(step), DEADLINE)
                except asyncio.TimeoutError:
                    raise Failure(f"step {number}, {step!r}: nothing came") from None
                except Failure as failure:
                    raise Failure(f"step {number}, {step!r}: {failure}") from None
        finally:
            for peer in self.peers.values():
                peer.abort()

    async def _open(self, name: str) -> Peer:
        wanted = self.case.open if not name else "socket"
        options = wanted if isinstance(wanted, dict) else {}
        self.opened_at[name] = time.monotonic()
        peer = self.peers[name] = await Peer.connect(
            self.target.host,
            options.get("path", self.target.path) or "/",
            options.get("subprotocols", ["graphql-transport-ws"]),
            bytewise=options.get("bytewise", False),
            receive_buffer=options.get("receive_buffer"),
        )
        if peer.status != 101:
            raise Failure(f"the handshake was answered with {peer.status}")
        if wanted in (None, "ready") or options.get("init"):
            await self.do_init(peer, {})
        return peer

    async def _do(self, step: dict[str, Json]) -> None:
        name = step.get("as", "")
        peer = self.peers.get(name) or await self._open(name)
        verb = next(key for key in step if key != "as")
        options = {key: value for key, value in step.items() if key not in ("as", verb)}
        options = {key.replace("from", "from_"): value for key, value in options.items()}
        await getattr(self, f"do_{verb}")(peer, step[verb], **options)

    async def _message(self, peer: Peer) -> Json:
        got = await peer.read()
        if isinstance(got, Closed):
            raise Failure(f"closed {tuple(got)}")
        return json.loads(got)

    def _since_open(self, peer: Peer) -> float:
        name = next(name for name, each in self.peers.items() if each is peer)
        return time.monotonic() - self.opened_at[name]

    def _check_close(self, peer: Peer, expected: Json, got: Closed, after: Json) -> None:
        codes, reason = expected
        if not self.target.has_reasons and got.reason == "":
            reason = None
        if got.code not in (codes if isinstance(codes, list) else [codes]):
            raise Failure(f"closed {tuple(got)}")
        if reason is not None and got.reason != reason:
            raise Failure(f"closed {tuple(got)}")
        if after is not None and not after[0] <= (taken := self._since_open(peer)) <= after[1]:
            raise Failure(f"closed after {taken:.3f} s")

    # -- saying

    async def do_init(self, peer: Peer, payload: Json) -> None:
        """Connect; the acknowledgement has no payload."""
        await self.do_send(peer, {"type": "connection_init", **payload})
        await self.do_expect(peer, {"type": "connection_ack"})

    async def do_send(self, peer: Peer, messages: Json) -> None:
        """A message, or several, each in a segment."""
        for message in messages if isinstance(messages, list) else [messages]:
            await peer.text(json.dumps(message))

    async def do_together(self, peer: Peer, messages: Json) -> None:
        """Several messages in one segment."""
        await peer.write(b"".join(frame(TEXT, json.dumps(each).encode()) for each in messages))

    async def do_bytewise(self, peer: Peer, message: Json) -> None:
        await peer.write(frame(TEXT, json.dumps(message).encode()), bytewise=True)

    async def do_text(self, peer: Peer, text: str) -> None:
        await peer.write(frame(TEXT, _data(text)))

    async def do_binary(self, peer: Peer, text: str) -> None:
        await peer.write(frame(BINARY, _data(text)))

    async def do_text_hex(self, peer: Peer, text: str) -> None:
        await peer.write(frame(TEXT, bytes.fromhex(text)))

    async def do_binary_hex(self, peer: Peer, text: str) -> None:
        await peer.write(frame(BINARY, bytes.fromhex(text)))

    async def do_raw(self, peer: Peer, text: str) -> None:
        """Bytes on the socket."""
        await peer.write(bytes.fromhex(text))

    async def do_fragments(
        self,
        peer: Peer,
        parts: Json,
        opcode: str = "text",
        between: str | None = None,
        bytewise: bool = False,
    ) -> None:
        """One message in fragments; of a text, one of each byte."""
        pieces = (
            [bytes([byte]) for byte in _data(parts)]
            if isinstance(parts, str)
            else [_data(part) for part in parts]
        )
        control = {
            None: b"",
            "ping": frame(PING, b"between"),
            "pong": frame(PONG, b"nobody asked"),
            "close": frame(CLOSE, (1000).to_bytes(2, "big")),
        }[between]
        first = {"text": TEXT, "binary": BINARY}[opcode]
        frames = [
            frame(CONTINUATION if n else first, piece, fin=n == len(pieces) - 1)
            for n, piece in enumerate(pieces)
        ]
        await peer.write(control.join(frames), bytewise=bytewise)

    async def do_subscribe(self, peer: Peer, operation: Json) -> None:
        """[id, query, more of the payload]."""
        operation_id, query, more = (*operation, {})[:3]
        payload = {"query": query, **more}
        await self.do_send(peer, {"id": operation_id, "type": "subscribe", "payload": payload})

    async def do_complete(self, peer: Peer, operation_id: str) -> None:
        await self.do_send(peer, {"id": operation_id, "type": "complete"})

    async def do_deep(self, peer: Peer, depth: int) -> None:
        text = '{"type":"ping","payload":{"a":' + "[" * depth + "]" * depth + "}}"
        await self.do_text(peer, text)

    async def do_close_frame(self, peer: Peer, code: int) -> None:
        await peer.write(frame(CLOSE, code.to_bytes(2, "big")))

    async def do_leave(self, peer: Peer, how: str) -> None:
        """With a closing handshake, by a reset, or by the end of what it writes."""
        if how == "close":
            await self.do_close_frame(peer, 1000)
            await self.do_closed(peer, [1000, None])
            await peer.end()
        elif how == "abort":
            peer.abort()
        else:
            peer.shut()

    async def do_wait(self, peer: Peer, seconds: float) -> None:
        """Where it is the passing of time that must change nothing."""
        await asyncio.sleep(seconds)

    # -- hearing

    async def do_subprotocol(self, peer: Peer, expected: str | None) -> None:
        _check(expected, peer.subprotocol)

    async def do_expect(self, peer: Peer, expected: Json) -> None:
        """The next message."""
        _check(expected, await self._message(peer))

    async def do_next(self, peer: Peer, operation: Json) -> None:
        """[id, data]."""
        operation_id, data = operation
        await self.do_expect(peer, {"id": operation_id, "type": "next", "payload": {"data": data}})

    async def do_error(self, peer: Peer, operation: Json) -> None:
        """[id, errors], which are at least one."""
        operation_id, errors = operation
        message = await self._message(peer)
        _check({"id": operation_id, "type": "error", "payload": errors}, message)
        if not (isinstance(message["payload"], list) and message["payload"]):
            raise Failure(f"no errors in {message!r}")

    async def do_ends(self, peer: Peer, operation_id: str) -> None:
        await self.do_expect(peer, {"id": operation_id, "type": "complete"})

    async def do_expect_all(self, peer: Peer, expected: Json) -> None:
        """Messages that come in any order, but those of one id in theirs."""
        left = list(expected)
        while left:
            message = await self._message(peer)
            candidates = [each for each in left if each.get("id") == message.get("id")]
            if not candidates:
                raise Failure(f"unexpected {message!r}")
            _check(candidates[0], message)
            left.remove(candidates[0])

    async def do_expect_some(self, peer: Peer, expected: Json, maybe: Json) -> None:
        """Messages in this order, and those of `maybe` among them or not."""
        left = list(expected)
        while left:
            message = await self._message(peer)
            if not any(_difference(each, message) is None for each in maybe):
                _check(left.pop(0), message)

    async def do_quiet(self, peer: Peer, _: bool) -> None:
        """Nothing comes of what was said before: a ping is answered next."""
        self.n_pings += 1
        payload = {"quiet": f"{self.key}.{self.n_pings}"}
        await self.do_send(peer, {"type": "ping", "payload": payload})
        await self.do_expect(peer, {"type": "pong", "payload": payload})

    async def do_closed(self, peer: Peer, expected: Json, after: Json = None) -> None:
        """[code or codes, reason or null], next; `after` so many seconds."""
        got = await peer.read()
        if not isinstance(got, Closed):
            raise Failure(f"not closed: {got}")
        self._check_close(peer, expected, got, after)

    async def do_closed_after(self, peer: Peer, expected: Json) -> None:
        """The same, after whatever else comes."""
        while not isinstance(got := await peer.read(), Closed):
            pass
        self._check_close(peer, expected, got, None)

    async def do_ping_until_closed(self, peer: Peer, expected: Json, after: Json) -> None:
        async def ping() -> None:
            while True:
                await self.do_send(peer, {"type": "ping"})
                await asyncio.sleep(0.1)

        task = asyncio.ensure_future(ping())
        try:
            while not isinstance(got := await peer.read(), Closed):
                _check({"type": "pong"}, json.loads(got))
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self._check_close(peer, expected, got, after)

    async def do_ping_text(self, peer: Peer, payload: str) -> None:
        """A payload comes back as it is, to the letter."""
        await peer.text(f'{{"type":"ping","payload":{payload}}}')
        got = await peer.read()
        if not isinstance(got, str) or f'"payload":{payload}' not in got.replace(" ", ""):
            raise Failure(f"expected {payload}, got {got}")

    async def do_websocket_ping(self, peer: Peer, data: str) -> None:
        await peer.write(frame(PING, _data(data)))
        await self.do_quiet(peer, True)
        if peer.pongs != [_data(data)]:
            raise Failure(f"the pongs are {peer.pongs!r}")

    async def do_large(self, peer: Peer, n_bytes: int, closed: Json = None) -> None:
        """A ping of this size, which is answered, or closes."""
        text = '{"type":"ping","payload":{"a":"%s"}}'
        letters = "x" * (n_bytes - len(text % ""))
        await peer.text(text % letters)
        if closed is not None:
            await self.do_closed(peer, closed)
        else:
            await self.do_expect(peer, {"type": "pong", "payload": {"a": letters}})

    # -- the application

    async def _control(self, query: str, variables: Json = None) -> Json:
        """The data of an operation of another connection."""
        peer = self.peers.get("control")
        if peer is None:
            peer = self.peers["control"] = await Peer.connect(
                self.target.host, self.target.path or "/"
            )
            await self.do_init(peer, {})
        self.n_controls += 1
        name = str(self.n_controls)
        await self.do_subscribe(peer, [name, query, {"variables": variables}])
        message = await self._message(peer)
        _check({"id": name, "type": "next", "payload": {"data": "$any"}}, message)
        await self.do_ends(peer, name)
        return message["payload"]["data"]

    async def do_control(self, _: Peer, query: str, gives: Json) -> None:
        _check(gives, await self._control(query))

    async def do_balanced(self, _: Peer, key: str) -> None:
        """A source was not started at all, or it was released as well."""
        query = "query ($key: String!, $n: Int) { sources(key: $key, released: $n) "
        query += "{ started released } }"
        data = await self._control(query, {"key": key, "n": 0})
        n_started = data["sources"]["started"]
        data = await self._control(query, {"key": key, "n": n_started})
        _check({"started": n_started, "released": n_started}, data["sources"])

    async def do_flood(self, peer: Peer, n_events: int, of: int, key: str) -> None:
        """Events of `of` bytes that nobody reads, then a complete: some are lost."""
        await self._control(
            "mutation ($key: String!, $json: String!, $n: Int) "
            "{ publish(key: $key, json: $json, times: $n) }",
            {"key": key, "json": json.dumps({"text": "x" * of}), "n": n_events},
        )
        await self.do_together(
            peer,
            [{"type": "complete", "id": "1"}, {"type": "ping", "payload": {"after": "complete"}}],
        )
        n_came = 0
        while (message := await self._message(peer))["type"] == "next":
            n_came += 1
        _check({"type": "pong", "payload": {"after": "complete"}}, message)
        if n_came >= n_events:
            raise Failure(f"all {n_came} came")
        await self.do_quiet(peer, True)


async def hold(target: Target, cases: Iterable[Case]) -> dict[str, str]:
    """Hold all cases with a server, many at a time: name -> what is wrong.

    A known fault that shows itself is right; one that does not is wrong.
    """
    gate = asyncio.Semaphore(AT_ONCE)
    wrong: dict[str, str] = {}

    async def one(case: Case) -> None:
        if target.note(case.skip) is not None:
            return
        async with gate:
            try:
                await Conversation(target, case).run()
                found = None
            except (Failure, OSError, AssertionError, asyncio.IncompleteReadError) as error:
                found = f"{type(error).__name__}: {error}"
        fault = target.note(case.faults)
        name = f"{case.theme}: {case.name}"
        if fault is None:
            if found is not None:
                wrong[name] = found
        elif found is None:
            wrong[name] = f"passes, so it is no fault any more: {fault['why']}"
        elif fault["shows"] not in found:
            wrong[name] = f"fails otherwise than known ({fault['why']}): {found}"

    # Those that wait for a timeout first, so that the others run meanwhile.
    order = sorted(cases, key=lambda case: "impatient" not in json.dumps(case.open))
    await asyncio.gather(*map(one, order))
    return wrong
