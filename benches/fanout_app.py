# SPDX-License-Identifier: MIT
"""The same fan-out as bare_asgi.py, with fraiseql_asgi: a thread publishes, clients subscribe.

uvicorn --app-dir benches fanout_app:app
curl -X POST 'http://127.0.0.1:8000/broadcast?n=200'
"""

from __future__ import annotations

import threading

from fanout_common import CHANNEL, Receive, Scope, Send, control, event

from fraiseql_asgi import SubscriptionManager

manager = SubscriptionManager("memory://")
manager.subscription(CHANNEL)


def publish(n: int) -> None:
    for seq in range(n):
        manager.publish(CHANNEL, event(seq))


def broadcast(n: int) -> None:
    threading.Thread(target=publish, args=(n,), daemon=True).start()


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await control(scope, send, broadcast)
    else:
        await manager(scope, receive, send)
