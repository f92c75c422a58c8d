# SPDX-License-Identifier: MIT
"""A client in thirty lines: prints what a subscription delivers, one line each.

    python examples/watch.py ws://127.0.0.1:8000/ 'subscription { ticks }'

A third argument is the payload of connection_init, in JSON:

    python examples/watch.py ws://127.0.0.1:8000/ 'subscription { ticks }' '{"token": "ann"}'

It needs the package websockets, which uvicorn uses too.
"""

from __future__ import annotations

import asyncio
import json
import sys

import websockets


async def watch(url: str, query: str, params: object) -> None:
    async with websockets.connect(
        url, subprotocols=[websockets.Subprotocol("graphql-transport-ws")]
    ) as socket:
        await socket.send(json.dumps({"type": "connection_init", "payload": params}))
        await socket.recv()  # connection_ack
        await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": {"query": query}}))
        async for text in socket:
            message = json.loads(text)
            if message["type"] == "ping":
                await socket.send(json.dumps({"type": "pong"}))
            elif message["type"] == "complete":
                return
            else:  # next, or an error, which is the last message
                print(json.dumps(message["payload"]), flush=True)
                if message["type"] == "error":
                    sys.exit(1)


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(f"usage: {sys.argv[0]} URL QUERY [PARAMS]")
    try:
        params = json.loads(sys.argv[3]) if len(sys.argv) == 4 else {}
        asyncio.run(watch(sys.argv[1], sys.argv[2], params))
    except json.JSONDecodeError as error:
        sys.exit(f"PARAMS is not JSON: {error}")
    except (KeyboardInterrupt, websockets.ConnectionClosed) as end:
        sys.exit(str(end) or 130)
    except OSError as error:
        sys.exit(f"{sys.argv[1]}: {error}")
