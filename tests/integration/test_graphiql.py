# SPDX-License-Identifier: MIT
"""GraphiQL in a browser: what is typed is subscribed to, and events appear."""

from __future__ import annotations

import pathlib
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from browser import Browser, Page, browsers
from serving import DEADLINE, serving, until

APP = """
import asyncio
from fraiseql_asgi import SubscriptionManager

manager = SubscriptionManager(graphiql=True)

@manager.subscription
async def countdown(variables, context):
    for left in range(context.args.get("from", 3), 0, -1):
        yield {"left": left, "who": context.connection_params.get("x-who")}
        await asyncio.sleep(0.02)
    await asyncio.Event().wait()
"""
STARLETTE = """
from starlette.applications import Starlette
from starlette.routing import Mount
app = Starlette(routes=[Mount("/live/graphql", manager)], lifespan=manager.lifespan)
"""
EDITOR = "document.querySelector('.graphiql-query-editor .CodeMirror').CodeMirror"
RESULT = "document.querySelector('.result-window .CodeMirror').CodeMirror.getValue()"
RUN = "document.querySelector('.graphiql-execute-button').click()"


def run(page: Page, query: str) -> None:
    """Type `query` instead of what is there, and run it."""
    until(lambda: page.evaluate(f"!!({EDITOR})"), "the editor")
    page.evaluate(f"{EDITOR}.setValue(''); {EDITOR}.focus()")
    page.type(query)
    # It looks at what is typed after a moment.
    known = f"{EDITOR}.documentAST?.loc?.source?.body"
    until(lambda: page.evaluate(known) == query, "the query to be understood")
    page.evaluate(RUN)


@pytest.fixture
def browser() -> Iterator[Browser]:
    yield from browsers()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("mounted", [False, True])
def test_a_subscription_is_typed_and_its_events_appear(
    browser: Browser,
    tmp_path: pathlib.Path,
    tmp_path_factory: pytest.TempPathFactory,
    mounted: bool,
) -> None:
    (tmp_path / "main.py").write_text(APP + (STARLETTE if mounted else ""))
    app, path = ("main:app", "/live/graphql/") if mounted else ("main:manager", "/graphql")
    with (
        serving(app, tmp_path) as server,
        browser.open(f"http://{server.address()}{path}") as page,
    ):
        page.call("Page.enable")
        run(page, "subscription { countdown(from: 5) { left who } }")
        until(lambda: '"left": 1' in (page.evaluate(RESULT) or ""), "the last event")
        page.screenshot(tmp_path_factory.mktemp("graphiql") / "websocket.png")
        # Stopped, and once more as server-sent events.
        page.evaluate(RUN)
        page.evaluate(
            "(() => { const s = document.getElementById('transport'); s.value = 'sse';"
            "s.dispatchEvent(new Event('change', {bubbles: true})); })()"
        )
        run(page, "subscription { countdown(from: 9) { left } }")
        until(lambda: '"left": 9' not in (page.evaluate(RESULT) or '"left": 9'), "events")
        until(lambda: '"left": 1' in (page.evaluate(RESULT) or ""), "the last event over SSE")
        # Everything came from here.
        names = page.evaluate("performance.getEntriesByType('resource').map((e) => e.name)")
        assert len(names) >= 7
        assert all(name.startswith((f"http://{server.address()}/", "data:")) for name in names)
        server.stop()


def test_it_is_off_unless_it_is_wanted(tmp_path: pathlib.Path) -> None:
    with serving("fraiseql_asgi:app", tmp_path) as server:
        for path in ("/", "/graphiql.js"):
            request = urllib.request.Request(
                f"http://{server.address()}{path}", headers={"Accept": "text/html"}
            )
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(request, timeout=DEADLINE)
            caught.value.close()
            assert caught.value.code in (404, 426)
        server.stop()
    environ = {"FRAISEQL_ASGI_GRAPHIQL": "1"}
    with serving("fraiseql_asgi:app", tmp_path, environ=environ) as server:
        request = urllib.request.Request(
            f"http://{server.address()}/graphql", headers={"Accept": "text/html"}
        )
        with urllib.request.urlopen(request, timeout=DEADLINE) as response:
            assert "script-src 'self'" in response.headers["content-security-policy"]
            assert b'src="/graphql/graphiql.js"' in response.read()
        server.stop()
