# SPDX-License-Identifier: MIT
"""A healthy client in a process of its own: it follows a field, sends a ping every
25 ms, and tells at the end how long it had to wait, as one line of JSON.

    python witness.py HOST < a pipe that is closed when it has seen enough
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from typing import Any

from frames import Peer

PERIOD = 0.025


class Witness:
    def __init__(self) -> None:
        self.ticks: list[int] = []
        self.tick_waits: list[float] = []
        self.pong_waits: list[float] = []
        self.pong = asyncio.Event()

    async def listen(self, peer: Peer) -> None:
        while isinstance(text := await peer.read(), str):
            message: Any = json.loads(text)
            if message["type"] == "next":
                tick = message["payload"]["data"]["tick"]
                self.ticks.append(tick["n"])
                self.tick_waits.append(time.time() - tick["at"])
            elif message["type"] == "pong":
                self.pong.set()
        raise SystemExit(f"the witness was closed: {tuple(text)}")

    async def ask(self, peer: Peer, enough: asyncio.Event) -> None:
        while not enough.is_set():
            began = time.perf_counter()
            self.pong.clear()
            await peer.text('{"type":"ping"}')
            await asyncio.wait_for(self.pong.wait(), 60)
            waited = time.perf_counter() - began
            self.pong_waits.append(waited)
            await asyncio.sleep(max(0.0, PERIOD - waited))

    def report(self) -> dict[str, Any]:
        steps = itertools.pairwise(self.ticks)
        return {
            "pongs": len(self.pong_waits),
            "ticks": len(self.ticks),
            "lost": sum(after - before - 1 for before, after in steps),
            "pong_ms": round(1000 * max(self.pong_waits), 1),
            "tick_ms": round(1000 * max(self.tick_waits), 1),
        }


async def main(host: str) -> None:
    peer = await Peer.connect(host)
    witness = Witness()
    enough = asyncio.Event()
    await peer.text('{"type":"connection_init"}')
    assert await peer.read() == '{"type":"connection_ack"}'
    query = "subscription { tick { n at } }"
    await peer.text(json.dumps({"id": "1", "type": "subscribe", "payload": {"query": query}}))
    listening = asyncio.ensure_future(witness.listen(peer))
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin, enough.set)
    asking = asyncio.ensure_future(witness.ask(peer, enough))
    print("ready", flush=True)
    await asyncio.wait([listening, asking], return_when=asyncio.FIRST_COMPLETED)
    if listening.done():
        listening.result()
    asking.result()
    print(json.dumps(witness.report()), flush=True)
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    peer.abort()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
