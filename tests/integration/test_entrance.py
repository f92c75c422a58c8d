# SPDX-License-Identifier: MIT
"""What real servers and clients make of a handshake that is refused."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest
from serving import DEADLINE, serving
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect


@pytest.mark.parametrize("ws", ["websockets-sansio", "wsproto", "websockets"])
def test_who_may_come_in(tmp_path: pathlib.Path, ws: str) -> None:
    environ = {
        "FRAISEQL_ASGI_ALLOWED_ORIGINS": "self,https://app.example.com",
        "FRAISEQL_ASGI_MAX_CONNECTIONS_PER_ADDRESS": "2",
        "FRAISEQL_ASGI_HANDSHAKES_PER_SECOND_PER_ADDRESS": "0.001",
        "FRAISEQL_ASGI_TRUSTED_PROXIES": "127.0.0.1",
    }
    # uvicorn would look at the headers of proxies itself.
    with serving(
        "fraiseql_asgi:app", tmp_path, "--ws", ws, "--no-proxy-headers", environ=environ
    ) as server:

        def enter(origin: str | None, address: str) -> Any:
            return connect(
                f"ws://{server.address()}/",
                origin=origin,
                subprotocols=["graphql-transport-ws"],
                additional_headers={"X-Forwarded-For": address},
                open_timeout=DEADLINE,
            )

        own = f"http://{server.address()}"
        for n, origin in enumerate((None, own, "https://app.example.com")):
            with enter(origin, f"192.0.2.{n}") as socket:
                assert socket.subprotocol == "graphql-transport-ws"
                # One token in a thousand seconds.
                with pytest.raises(InvalidStatus) as caught:
                    enter(origin, f"192.0.2.{n}")
                response = caught.value.response
                assert response.status_code == 429
                assert response.headers["retry-after"] == "1000"
                assert b"Too many handshakes from this address" in (response.body or b"")
        for origin in ("http://evil.example", "https://app.example.com:444", "null"):
            with pytest.raises(InvalidStatus) as caught:
                enter(origin, "192.0.2.9")
            assert caught.value.response.status_code == 403
        server.stop()
