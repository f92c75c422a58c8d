# SPDX-License-Identifier: MIT
"""Several servers and one publisher, on one Redis or PostgreSQL.

    export FRAISEQL_ASGI_BUS=redis://127.0.0.1:6379
    uvicorn --app-dir examples instances:manager --port 8001
    uvicorn --app-dir examples instances:manager --port 8002
    python examples/instances.py

The last one publishes a price each second. Watch them at either server:

    python examples/watch.py ws://127.0.0.1:8001/ 'subscription { price { symbol value } }'
    python examples/watch.py ws://127.0.0.1:8002/ 'subscription { price { symbol value } }'

For PostgreSQL, `fraiseql-asgi postgres install` once, and a URL of it instead.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os

from fraiseql_asgi import SubscriptionManager

manager = SubscriptionManager(os.environ.get("FRAISEQL_ASGI_BUS", "redis://127.0.0.1:6379"))
manager.subscription("price", channel="prices")


async def publish_prices() -> None:
    """A manager that nobody is connected to is a publisher."""
    async with manager:
        for n in itertools.count(1):
            price = {"symbol": "FQ", "value": 100 + n % 7}
            event_id = await manager.publish_event("priceChanged", "prices", price)
            print(event_id, price, flush=True)
            await asyncio.sleep(1)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(publish_prices())
