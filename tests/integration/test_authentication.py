# SPDX-License-Identifier: MIT
"""The npm client and a server that asks who it is: what it comes back after."""

from __future__ import annotations

import pathlib
import time

import jwt
import pytest
from serving import client, serving

APP = """
import time
from fraiseql_asgi import CloseConnection, SecurityContext, SubscriptionManager

n_asked = 0

async def authenticate(payload, scope):
    global n_asked
    n_asked += 1
    kind = payload["authorization"]
    if kind == "late" and n_asked < 3:
        return None
    if kind == "fatal":
        raise CloseConnection(4401, "Unauthorized")
    if kind == "short" and n_asked == 1:
        return SecurityContext("short", expires_at=time.time() + 0.2)
    headers = dict(scope["headers"])
    return SecurityContext(kind), {"agent": headers[b"x-agent"].decode()}

manager = SubscriptionManager(auth_handler=authenticate)

@manager.subscription
async def whoami(variables, context):
    yield context.connection_params["authorization"]
"""


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("ann", [("connected", {"agent": "npm"}), ("next", {"data": {"whoami": "ann"}})]),
        (
            "late",
            [
                ("closed", (4403, "Forbidden")),
                ("closed", (4403, "Forbidden")),
                ("connected", {"agent": "npm"}),
                ("next", {"data": {"whoami": "late"}}),
            ],
        ),
        ("fatal", [("closed", (4401, "Unauthorized")), ("error", (4401, "Unauthorized"))]),
    ],
)
def test_what_clients_do(
    tmp_path: pathlib.Path, kind: str, expected: list[tuple[str, object]]
) -> None:
    (tmp_path / "who.py").write_text(APP)
    with (
        serving("who:manager", tmp_path) as server,
        client(
            f"ws://{server.address()}/",
            query="subscription { whoami }",
            connectionParams={"authorization": kind},
            retryAttempts=3,
            retryWait=10,
            ws={"headers": {"x-agent": "npm"}},
        ) as npm,
    ):
        events = [npm.event() for _ in expected]
        server.stop()
    assert [(event["type"], told(event)) for event in events] == expected


def test_a_client_comes_back_when_its_token_has_expired(tmp_path: pathlib.Path) -> None:
    (tmp_path / "who.py").write_text(APP)
    with (
        serving("who:manager", tmp_path) as server,
        client(
            f"ws://{server.address()}/",
            query="subscription { other }",
            connectionParams={"authorization": "short"},
            lazy=False,
            retryAttempts=3,
            retryWait=10,
            stay=True,
            ws={"headers": {"x-agent": "npm"}},
        ) as npm,
    ):
        kinds = []
        while kinds[-2:] != ["closed", "connected"]:
            event = npm.event()
            kinds.append(event["type"])
            if event["type"] == "closed":
                assert told(event) == (4403, "Token expired")
        server.stop()


def told(event: dict[str, object]) -> object:
    if "code" in event:
        return (event["code"], event["reason"])
    return event.get("payload")


def test_the_default_app_takes_tokens(tmp_path: pathlib.Path) -> None:
    secret = "of the environment: 32 bytes, or more"
    environ = {"FRAISEQL_ASGI_JWT_SECRET": secret}
    soon = int(time.time()) + 60
    with serving("fraiseql_asgi:app", tmp_path, environ=environ) as server:
        for key, kind in ((secret, "connected"), ("x" * 32, "closed")):
            token = jwt.encode({"sub": "ann", "exp": soon}, key, "HS256")
            with client(
                f"ws://{server.address()}/",
                query="subscription { tick }",
                connectionParams={"authorization": f"Bearer {token}"},
                retryAttempts=0,
            ) as npm:
                assert npm.event()["type"] == kind
        server.stop()
        assert "nothing is configured" not in server.log
