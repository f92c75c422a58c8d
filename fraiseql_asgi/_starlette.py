# SPDX-License-Identifier: MIT
"""`SubscriptionManager.attach`: a route and a lifespan for Starlette, which
FastAPI is built on. Imported when it is used."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from starlette.routing import BaseRoute, Match, NoMatchFound
from starlette.types import Receive, Scope, Send

from fraiseql_asgi._core import ASGIApp

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.datastructures import URLPath

    from fraiseql_asgi.manager import SubscriptionManager

__all__ = ["attach"]


class _Route(BaseRoute):
    """Everything at and below a path, http and WebSocket, with no redirect."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] in ("http", "websocket") and self.app.subpath(scope) is not None:
            return Match.FULL, {}
        return Match.NONE, {}

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        raise NoMatchFound(name, path_params)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


def attach(app: Starlette, manager: SubscriptionManager, asgi: ASGIApp) -> None:
    """Route to `asgi`, and start and stop `manager` around `app`'s lifespan."""
    router = app.router
    router.routes.append(_Route(asgi))
    inner = router.lifespan_context

    @contextlib.asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[Any]:
        async with manager, inner(app) as state:
            yield state

    router.lifespan_context = lifespan
