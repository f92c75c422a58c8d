# SPDX-License-Identifier: MIT
"""Clients that mean no good. Each attack is a coroutine on a server's address that
ends when the server has let go of it; what the server says meanwhile has to be
well formed. Mutations are numbered: one number, one mutation, for ever."""

from __future__ import annotations

import asyncio
import contextlib
import json
import pathlib
import random
import re
import struct
from collections.abc import Iterable

from frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Closed, Peer, frame

__all__ = [
    "attack_frames",
    "attack_handshake",
    "attack_mutation",
    "hold_silent",
    "hold_slow_handshakes",
    "messages",
]

#: Longest wait for the server to let go.
DEADLINE = 60.0

MIB = 2**20

INIT = '{"type":"connection_init"}'
QUERIES = (
    "{ hello }",
    "query ($n: String) { hello(name: $n) }",
    "subscription { tick { n at } }",
    'subscription { item(key: "k") { n } }',
    "subscription { count(to: 5) }",
    "subscription A { count } query B { hello }",
)

_TABLE = pathlib.Path(__file__).parent / "data" / "graphql_transport_ws_messages.inc"


def messages() -> list[str]:
    """What mutations begin with: messages that are right, and those of the table."""
    made = [INIT, '{"type":"ping","payload":{"a":[1,-2.5e3,"ü",null,{"b":{}}]}}']
    made += ['{"type":"pong"}', '{"type":"complete","id":"1"}']
    for n, query in enumerate(QUERIES):
        payload = {"query": query, "variables": {"n": "x" * n}, "extensions": {"a": {}}}
        made.append(json.dumps({"id": str(n % 3), "type": "subscribe", "payload": payload}))
    literals = re.findall(r'^MESSAGE\(\w+, "(.*)"\)$', _TABLE.read_text(), re.MULTILINE)
    return made + [literal.replace("'", '"') for literal in literals]


MESSAGES = messages()

#: Pieces that parsers trip over.
TOKENS = [
    *(b'"', b"\\", b"{", b"}", b"[", b"]", b":", b",", b"null", b"\\u0000", b"\\ud800", b"\\udc00"),
    *(b"1e999", b"-0", b"99999999999999999999", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\x00"),
    *(b'"id":"1"', b'"type":"ping"', b'"payload":{}', b"[" * 600, b'{"a":' * 600, b"\\u00e9" * 99),
    *(b"{a{a{a", b"...on T{", b"fragment F on F{...F}", b'"""', b"$a:[[[", b"@skip(if:", b"#"),
]


def mutate(random: random.Random, data: bytes, tokens: list[bytes]) -> bytes:
    """`data` with one to four faults."""
    made = bytearray(data)
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(made) + 1)
        upto = min(len(made), at + random.choice((1, 1, 2, 4, 16, 200)))
        kind = random.randrange(6)
        if kind == 0 and at < len(made):
            made[at] ^= 1 << random.randrange(8)
        elif kind == 1 and at < len(made):
            made[at] = random.choice((0, 0x7F, 0x80, 0xFF, random.randrange(256)))
        elif kind == 2:
            del made[at:upto]
        elif kind == 3:
            made[at:at] = random.choice(tokens)
        elif kind == 4:
            made[at:at] = made[at:upto] * random.choice((1, 1, 2, 50))
        else:
            made[at:upto] = random.randbytes(upto - at)
    return bytes(made)


def _mutated_messages(random: random.Random) -> bytes:
    """Right frames of mutated messages, whole or in fragments."""
    made = [frame(TEXT, INIT.encode())] if random.random() < 0.8 else []
    for _ in range(random.randint(1, 5)):
        data = random.choice(MESSAGES).encode("utf-8", "surrogatepass")
        data = mutate(random, data, TOKENS)
        opcode = random.choice((TEXT, TEXT, BINARY))
        if random.random() < 0.7:
            made.append(frame(opcode, data))
        else:
            cut = random.randrange(len(data) + 1)
            made.append(frame(opcode, data[:cut], fin=False))
            made.append(frame(CONTINUATION, data[cut:]))
    return b"".join(made)


def _mutated_frames(random: random.Random) -> bytes:
    """Right messages in mutated frames."""
    made = [frame(TEXT, INIT.encode())]
    for _ in range(random.randint(1, 5)):
        opcode = random.choice((TEXT, TEXT, TEXT, BINARY, PING, PONG, CLOSE, random.randrange(16)))
        data = random.choice(MESSAGES).encode("utf-8", "surrogatepass")[:125]
        mask = random.choice((b"\0\0\0\0", random.randbytes(4), random.randbytes(4), None))
        rsv = random.choice((0, 0, 0, random.randrange(8)))
        made.append(frame(opcode, data, fin=random.random() < 0.9, rsv=rsv, mask=mask))
    heads = [struct.pack("!BBQ", 0x81, 0xFF, 2**63 - 1), b"\x80\x80\0\0\0\0", b"\x89\xfe\xff\xff"]
    return made[0] + mutate(random, b"".join(made[1:]), heads)


async def attack_mutation(host: str, number: int) -> None:
    """A connection whose messages or frames have faults."""
    made = random.Random(number)
    data = _mutated_frames(made) if number % 2 else _mutated_messages(made)
    peer = await Peer.connect(host)
    try:
        assert peer.status == 101, peer.status
        await peer.write(data)
        peer.shut()
        await asyncio.wait_for(_end_of(peer), DEADLINE)
    except (AssertionError, ValueError, asyncio.TimeoutError) as error:
        raise AssertionError(f"mutation {number}: {data[:300]!r}: {error!r}") from error
    finally:
        peer.abort()


async def _end_of(peer: Peer) -> Closed:
    """Read all; each text is a message of the protocol."""
    while isinstance(text := await peer.read(), str):
        kind = json.loads(text, parse_int=str)["type"]
        assert kind in ("connection_ack", "next", "error", "complete", "pong"), text
    return text


async def attack_handshake(host: str, number: int) -> None:
    """A handshake with faults; it may happen to be right."""
    made = random.Random(number)
    head = (
        f"GET / HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
    )
    tokens = [b"\r\n", b"\r\n\r\n", b":", b" ", b"\x00", b"A" * 9000, b"Content-Length: 5\r\n"]
    tokens += [b"Transfer-Encoding: chunked\r\n", b"Sec-WebSocket-Extensions: x\r\n", b"\xff"]
    name, _, port = host.rpartition(":")
    reader, writer = await asyncio.open_connection(name, int(port))
    try:
        with contextlib.suppress(OSError):  # it may have gone
            writer.write(mutate(made, head.encode(), tokens))
            writer.write_eof()
            await asyncio.wait_for(reader.read(), DEADLINE)
    finally:
        writer.transport.abort()


# -- frames that are not what they say, or too much ---------------------------


def _length(said: int) -> bytes:
    return frame(TEXT, b'{"type":"ping"}', length=said)


def _large(n_bytes: int, n_fragments: int = 1) -> bytes:
    """A ping of so many bytes."""
    head, tail = b'{"type":"ping","payload":{"a":"', b'"}}'
    data = head + b"x" * (n_bytes - len(head) - len(tail)) + tail
    size = -(-n_bytes // n_fragments)
    return b"".join(
        frame(CONTINUATION if at else TEXT, data[at : at + size], fin=at + size >= n_bytes)
        for at in range(0, n_bytes, size)
    )


def _json(text: str) -> bytes:
    return frame(TEXT, text.encode())


def _subscribe(query: str, variables: str = "{}") -> bytes:
    payload = f'{{"query":{json.dumps(query)},"variables":{variables}}}'
    return _json(f'{{"id":"1","type":"subscribe","payload":{payload}}}')


def frames(n_messages: int) -> dict[str, list[bytes]]:
    """What is sent after an init, by name; floods of so many messages, which the
    server reads no faster than its limits say."""
    deep = 10_000
    made = {
        f"a length of {said}": [_length(said)]
        for said in (126, 2**16, 2**24 + 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1)
    }
    made |= {
        "a text of 16 MiB": [_large(16 * MIB)],
        "a text of 16 MiB and more": [_large(16 * MIB + 1)],
        "a text of 16 MiB in fragments": [_large(16 * MIB, 256)],
        "a text of a MiB in fragments of 500 bytes": [_large(MIB, MIB // 500)],
        "fragments without an end": [frame(TEXT, b"x" * 60_000, fin=False)]
        + [frame(CONTINUATION, b"x" * 60_000, fin=False)] * 100,
        "empty fragments without an end": [
            frame(TEXT, fin=False) + frame(CONTINUATION, fin=False) * 4000
        ],
        "texts that are no UTF-8": [frame(TEXT, b'{"type":"\xff"}')],
        "half a character at the end": [frame(TEXT, b'{"a":"\xc3')],
        "half a character in a fragment": [frame(TEXT, b"\xf0\x9f", fin=False), frame(CLOSE)],
        "arrays": [_json('{"type":"ping","payload":{"a":' + "[" * deep + "]" * deep + "}}")],
        "objects": [_json('{"type":"ping","payload":' + '{"a":' * deep + "1" + "}" * (deep + 1))],
        "open arrays": [_json("[" * MIB)],
        "open objects": [_json('{"a":' * (MIB // 5))],
        "deep variables": [_subscribe("{ hello }", '{"n":' + "[" * deep + "]" * deep + "}")],
        "deep selections": [_subscribe("subscription " + "{ tick" * deep + "}" * deep)],
        "deep values": [_subscribe("{ hello(list: " + "[" * deep + "]" * deep + ") }")],
        "deep types": [_subscribe("query ($n: " + "[" * deep + "Int" + "]" * deep + ") { hello }")],
        "many aliases": [_subscribe("{ " + " ".join(f"a{n}: hello" for n in range(50_000)) + " }")],
        "a bomb of fragments": [
            _subscribe(
                "{ ...f0 } "
                + " ".join(
                    f"fragment f{n} on Query {{ ...f{n + 1} ...f{n + 1} }}" for n in range(40)
                )
                + " fragment f40 on Query { hello }"
            )
        ],
        "many members": [_json("{" + ",".join(f'"k{n}":{n}' for n in range(70_000)) + "}")],
        "one member many times": [_json('{"type":"ping"' + ',"type":"ping"' * 60_000 + "}")],
        "a long number": [_json('{"type":"ping","payload":{"a":' + "9" * (MIB - 99) + "}}")],
        "a long id": [_json('{"type":"complete","id":"' + "i" * (MIB - 99) + '"}')],
        "escapes": [_json('{"type":"ping","payload":{"a":"' + "\\u0000" * 170_000 + '"}}')],
        "ids in use, of a MiB": [
            _json(
                '{"type":"subscribe","id":"%s","payload":{"query":"subscription { tick { n } }"}}'
                % ("ü" * (MIB // 2 - 99))
            )
        ]
        * 2,
        "a ping of 126 bytes": [frame(PING, b"x" * 126)],
        "a ping in fragments": [frame(PING, b"x", fin=False), frame(CONTINUATION, b"x")],
        "3,000 pings": [frame(PING, b"x") * 3000],
        "many inits": [_json(INIT) * 10_000],
        "many ping messages": [_json('{"type":"ping"}') * n_messages],
        "many completes": [_json('{"type":"complete","id":"1"}') * n_messages],
        "many subscriptions": [
            _json(
                f'{{"type":"subscribe","id":"{n}",'
                '"payload":{"query":"subscription { tick { n } }"}}'
            )
            for n in range(n_messages)
        ],
        "no mask": [frame(TEXT, b'{"type":"ping"}', mask=None)],
        "reserved bits": [frame(TEXT, b'{"type":"ping"}', rsv=rsv) for rsv in range(1, 8)],
        "reserved opcodes": [frame(opcode, b"x") for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)],
        "a continuation of nothing": [frame(CONTINUATION, b"x")],
        "a text in a text": [frame(TEXT, b"{", fin=False), frame(TEXT, b"}")],
        "a close of one byte": [frame(CLOSE, b"\x03")],
        "a close that is no UTF-8": [frame(CLOSE, b"\x03\xe8\xff")],
        "a close with a code that is none": [frame(CLOSE, b"\x03\xed")],
        "a close and then more": [frame(CLOSE, b"\x03\xe8"), _json('{"type":"ping"}') * 1000],
        "HTTP": [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 100],
        "zeros": [bytes(MIB)],
        "ones": [b"\xff" * MIB],
    }
    return made


async def attack_frames(host: str, name: str, parts: Iterable[bytes]) -> None:
    """Send an init and `parts`, read to the end."""
    peer = await Peer.connect(host)
    try:
        await peer.text(INIT)

        async def say() -> None:
            for part in parts:
                await peer.write(part)
            peer.shut()

        saying = asyncio.ensure_future(say())
        try:
            await asyncio.wait_for(_end_of(peer), DEADLINE)
        finally:
            saying.cancel()
            await asyncio.gather(saying, return_exceptions=True)
    except (AssertionError, ValueError, asyncio.TimeoutError) as error:
        raise AssertionError(f"{name}: {error!r}") from error
    finally:
        peer.abort()


# -- sockets that are held ----------------------------------------------------

#: Sockets that are opened at the same time: 500 at once are as many handshakes
#: in one turn of the server's loop, which is another attack.
OPENED_AT_ONCE = 8


async def hold_silent(host: str, n_sockets: int) -> None:
    """So many sockets that never init, until each was closed for it."""
    gate = asyncio.Semaphore(OPENED_AT_ONCE)

    async def one() -> None:
        async with gate:
            peer = await Peer.connect(host)
        try:
            closed = await asyncio.wait_for(peer.read(), DEADLINE)
            assert isinstance(closed, Closed), closed
            assert closed.code == 4408, closed
        finally:
            peer.abort()

    await asyncio.gather(*(one() for _ in range(n_sockets)))


async def hold_slow_handshakes(host: str, n_sockets: int, seconds: float) -> None:
    """So many handshakes of which a byte comes now and then, and never the last;
    the server may lose its patience."""
    head = f"GET / HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nX-Slow: ".encode()
    name, _, port = host.rpartition(":")
    loop = asyncio.get_running_loop()
    gate = asyncio.Semaphore(OPENED_AT_ONCE)

    async def one() -> None:
        async with gate:
            _, writer = await asyncio.open_connection(name, int(port))
        end = loop.time() + seconds
        try:
            sent = 0
            while loop.time() < end:
                writer.write(head[sent : sent + 1] or b"x")
                sent += 1
                await asyncio.sleep(0.2)
        finally:
            writer.transport.abort()

    await asyncio.gather(*(one() for _ in range(n_sockets)))
