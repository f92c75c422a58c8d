# SPDX-License-Identifier: MIT
"""The main job under uvicorn: what another thread publishes reaches the npm
client and a browser, in order, none lost."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest
from browser import Browser, browsers
from serving import ROOT, client, payloads, serving, until

N_EVENTS = 2000

#: A thread publishes as soon as somebody listens, as fast as it can.
PUBLISHER = f"""
import threading, time
from fraiseql_asgi import SubscriptionManager

manager = SubscriptionManager()

def publish():
    while True:
        try:
            while manager.subscriber_count("tick") == 0:
                time.sleep(0.001)
            for n in range({N_EVENTS}):
                manager.publish("tick", {{"n": n, "text": "é" * 50}})
            while manager.subscriber_count("tick") > 0:
                time.sleep(0.001)
        except RuntimeError:
            return

threading.Thread(target=publish, daemon=True).start()
"""

#: How the application is made, and where it serves.
APPS = {
    "itself": ("app = manager", "/"),
    "fastapi_attach": (
        "from fastapi import FastAPI\napp = FastAPI()\nmanager.attach(app, '/graphql')",
        "/graphql",
    ),
    "fastapi_mount": (
        "from fastapi import FastAPI\n"
        "app = FastAPI(lifespan=manager.lifespan)\napp.mount('/graphql', manager)",
        "/graphql/",
    ),
    "starlette_attach": (
        "from starlette.applications import Starlette\n"
        "app = Starlette()\nmanager.attach(app, '/graphql')",
        "/graphql",
    ),
    "starlette_mount": (
        "from starlette.applications import Starlette\nfrom starlette.routing import Mount\n"
        "app = Starlette(routes=[Mount('/graphql', manager)], lifespan=manager.lifespan)",
        "/graphql/",
    ),
}


def check_delivery(url: str) -> None:
    query = "subscription { tick { n } }"
    for _ in range(2):
        with client(url, query, count=N_EVENTS) as subscriber:
            got = payloads(subscriber.events())
        assert [payload["data"]["tick"]["n"] for payload in got] == list(range(N_EVENTS))


@pytest.mark.parametrize("ws", ["auto", "websockets-sansio", "wsproto", "websockets"])
@pytest.mark.parametrize("app", APPS)
def test_events_of_a_thread_arrive_in_order(app: str, ws: str, tmp_path: pathlib.Path) -> None:
    code, path = APPS[app]
    (tmp_path / "main.py").write_text(PUBLISHER + code)
    with serving("main:app", tmp_path, "--ws", ws) as server:
        check_delivery(f"ws://{server.address()}{path}")
        server.stop()


def test_uvloop_serves_as_well(tmp_path: pathlib.Path) -> None:
    pytest.importorskip("uvloop")
    (tmp_path / "main.py").write_text(PUBLISHER + "app = manager")
    for loop in ("uvloop", "asyncio"):
        with serving("main:app", tmp_path, "--loop", loop) as server:
            check_delivery(f"ws://{server.address()}/")
            server.stop()


def test_the_default_app_needs_no_flags(tmp_path: pathlib.Path) -> None:
    code = PUBLISHER.replace("SubscriptionManager()", "fraiseql_asgi.app").replace(
        "from fraiseql_asgi import SubscriptionManager", "import fraiseql_asgi"
    )
    (tmp_path / "fields.py").write_text(code + "fraiseql_asgi.subscription('tick')\n")
    environ = {"FRAISEQL_ASGI_MODULE": "fields"}
    with serving("fraiseql_asgi:app", tmp_path, environ=environ) as server:
        check_delivery(f"ws://{server.address()}/graphql")
        with client(f"ws://{server.address()}/", "subscription { other }") as other:
            assert other.event()["type"] == "connected"
            assert other.event()["errors"][0]["extensions"] == {"code": "VALIDATION_ERROR"}
        server.stop()
        assert "nothing is configured" not in server.log


def test_a_wrong_setting_ends_the_server_with_one_line(tmp_path: pathlib.Path) -> None:
    environ = {"FRAISEQL_ASGI_BUS": "kafka://me:secret@broker"}
    with serving("fraiseql_asgi:app", tmp_path, environ=environ) as server:
        assert server.wait() == 3
        assert "Traceback" not in server.log
        (line,) = (line for line in server.lines if "fraiseql_asgi cannot start" in line)
        assert "'kafka://me:***@broker'" in line
        assert "'memory://'" in line


# -- the page of `make run` ---------------------------------------------------


@pytest.fixture
def browser() -> Iterator[Browser]:
    yield from browsers()


@pytest.mark.timeout(120)
def test_the_page_shows_live_events(browser: Browser) -> None:
    shown = "[...document.querySelectorAll('#log li')].map((item) => item.textContent)"
    text = "document.getElementById({!r}).textContent".format
    with (
        serving("quickstart:app", ROOT / "examples") as server,
        browser.open(f"http://{server.address()}/") as page,
    ):
        until(lambda: len(page.evaluate(shown) or []) >= 3, "three events on the page")
        ticks = [int(line.split("tick ")[1].split()[0]) for line in page.evaluate(shown)]
        assert ticks == list(range(ticks[0], ticks[0] - len(ticks), -1))
        assert page.evaluate(text("state")) == "connected"
        assert int(page.evaluate(text("seen"))) >= 3
        assert float(page.evaluate(text("latency"))) < 1000
        until(lambda: int(page.evaluate(text("uptime"))) >= 5, "the source's second value")
        # It needs nothing from elsewhere.
        assert page.evaluate("performance.getEntriesByType('resource').length") == 0
        server.stop()
        until(lambda: page.evaluate(text("state")) != "connected", "the page to notice")
