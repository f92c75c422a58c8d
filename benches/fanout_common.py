# SPDX-License-Identifier: MIT
"""What the two servers of fanout.py share: the event, the query, the trigger.

Both send the same bytes for the same event; `fanout.py` runs them.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

SUBPROTOCOL = "graphql-transport-ws"
CHANNEL = "orderUpdated"
QUERY = "subscription { orderUpdated { seq id status customer total note } }"


def event(seq: int) -> dict[str, Any]:
    """Return the data of event number `seq`: a next message of about 230 bytes."""
    return {
        "seq": seq,
        "id": f"order-{100_000 + seq}",
        "status": "SHIPPED",
        "customer": "Ada Lovelace, 12 St James's Square, London",
        "total": 129.5,
        "note": "left with the neighbour at number 14",
    }


def next_text(seq: int) -> str:
    """Return the next message of operation "1" for event number `seq`."""
    message = {"id": "1", "type": "next", "payload": {"data": {CHANNEL: event(seq)}}}
    return json.dumps(message, separators=(",", ":"))


async def control(scope: Scope, send: Send, broadcast: Callable[[int], None]) -> None:
    """Answer `POST /broadcast?n=200`: start `broadcast(n)`, which returns at once."""
    if scope["method"] == "POST" and scope["path"] == "/broadcast":
        query = parse_qs(scope["query_string"].decode())
        broadcast(int(query["n"][0]))
        status = 202
    else:
        status = 404
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": b""})
