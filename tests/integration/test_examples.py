# SPDX-License-Identifier: MIT
"""The examples, the README and the guide do what they say, under a real server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from buses import BusKind

ROOT = pathlib.Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
DEADLINE = 20.0


@contextlib.contextmanager
def serving(app: str, folder: pathlib.Path, **environ: str) -> Iterator[str]:
    """Runs uvicorn on a port of the kernel's choice; gives `host:port`."""
    server = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "--app-dir", str(folder), app, "--port", "0"],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"} | environ,
    )
    assert server.stderr is not None
    log = ""
    try:
        for line in server.stderr:
            log += line
            if found := re.search(r"running on http://(\S+)", line):
                yield found[1]
                break
        else:
            pytest.fail(f"{app} did not start:\n{log}")
        server.send_signal(signal.SIGINT)
        log += server.communicate(timeout=DEADLINE)[1]
        assert "Traceback" not in log
        assert "Application shutdown complete" in log
    finally:
        server.kill()
        server.wait()
        server.stderr.close()


@contextlib.contextmanager
def watching(
    url: str, query: str, params: dict[str, Any] | None = None
) -> Iterator[subprocess.Popen[str]]:
    given = [] if params is None else [json.dumps(params)]
    client = subprocess.Popen(
        [sys.executable, str(EXAMPLES / "watch.py"), url, query, *given],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield client
    finally:
        client.kill()
        client.communicate()


def post(url: str, body: object) -> dict[str, Any]:
    request = urllib.request.Request(
        url,
        data=json.dumps(body).encode(),
        headers={"content-type": "application/json"},
        method="POST",
    )
    with urllib.request.urlopen(request, timeout=DEADLINE) as response:
        result: dict[str, Any] = json.load(response)
        return result


def first_line_while(client: subprocess.Popen[str], act: Any) -> Any:
    """Repeat `act` until the client has printed a line: it may not have
    subscribed yet when the first event is published."""
    import selectors

    assert client.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(client.stdout, selectors.EVENT_READ)
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end:
            act()
            if selector.select(0.2):
                return json.loads(client.stdout.readline())
    pytest.fail("nothing arrived")


def test_fastapi_app_delivers_what_is_posted() -> None:
    with serving("fastapi_app:app", EXAMPLES) as address:
        query = "subscription { orderUpdated { id label } }"
        with watching(f"ws://{address}/graphql", query) as client:
            got = first_line_while(
                client, lambda: post(f"http://{address}/orders", {"id": "42", "total": 9.5})
            )
    assert got == {"data": {"orderUpdated": {"id": "42", "label": "order 42: 9.50"}}}


def test_starlette_app_counts_down_to_the_end() -> None:
    with serving("starlette_app:app", EXAMPLES) as address:
        with watching(f"ws://{address}/graphql", "subscription { countdown { left } }") as client:
            out, err = client.communicate(timeout=DEADLINE)
    assert [json.loads(line)["data"]["countdown"]["left"] for line in out.splitlines()] == [
        *range(10, -1, -1)
    ]
    assert (client.returncode, err) == (0, "")


def test_starlette_app_publishes_from_a_thread() -> None:
    with serving("starlette_app:app", EXAMPLES) as address:
        with watching(
            f"ws://{address}/graphql", "subscription { temperature { celsius } }"
        ) as client:
            got = first_line_while(client, lambda: None)
    assert list(got["data"]["temperature"]) == ["celsius"]


def test_secured_app_shows_each_what_it_may_see() -> None:
    query = 'subscription { order(id: "42", minTotal: 12) { id total margin } }'
    with serving("secured_app:manager", EXAMPLES) as address, contextlib.ExitStack() as stack:
        url = f"ws://{address}/"
        ann, bob, eve = (
            stack.enter_context(watching(url, query, {"token": token}))
            for token in ("ann", "bob", "eve")
        )
        stack.enter_context(watching(url, "subscription { changes }", {"token": "bob"}))
        seen = [first_line_while(client, lambda: None)["data"]["order"] for client in (ann, bob)]
        nobody = stack.enter_context(watching(url, query, {"token": "mallory"}))
        nobody.communicate(timeout=DEADLINE)
        assert nobody.returncode == 1
        eve.kill()
        assert eve.communicate() == ("", "")
    assert [order["margin"] for order in seen] == [0.2, None]
    assert all(order["id"] == "42" and order["total"] >= 12 for order in seen)


def test_instances_share_what_one_program_publishes(redis_kind: BusKind) -> None:
    environ = {"FRAISEQL_ASGI_BUS": redis_kind.new().url}
    query = "subscription { price { symbol value } }"
    with contextlib.ExitStack() as stack:
        clients = []
        for _ in range(2):
            address = stack.enter_context(serving("instances:manager", EXAMPLES, **environ))
            clients.append(stack.enter_context(watching(f"ws://{address}/", query)))
        publisher = subprocess.Popen(
            [sys.executable, str(EXAMPLES / "instances.py")],
            stdout=subprocess.DEVNULL,
            env=os.environ | environ,
        )
        try:
            prices = [first_line_while(each, lambda: None)["data"]["price"] for each in clients]
        finally:
            publisher.send_signal(signal.SIGINT)
            assert publisher.wait(DEADLINE) == 0
    for price in prices:
        assert price == {"symbol": "FQ", "value": price["value"]}
        assert 100 <= price["value"] < 107


def test_watch_reports_an_error_and_fails() -> None:
    with serving("fastapi_app:app", EXAMPLES) as address:
        with watching(f"ws://{address}/graphql", "subscription {") as client:
            out, _ = client.communicate(timeout=DEADLINE)
    assert json.loads(out)[0]["extensions"]["code"] == "PARSE_ERROR"
    assert client.returncode == 1


def python_blocks(page: pathlib.Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def test_the_readme_can_be_followed_to_the_letter(tmp_path: pathlib.Path) -> None:
    text = (ROOT / "README.md").read_text()
    (block,) = python_blocks(ROOT / "README.md")
    (tmp_path / "main.py").write_text(block)
    # What it says to type, and what it says will come.
    assert "uvicorn main:app" in text
    url, query = re.findall(r"watch\.py (\S+) '([^']+)'", text)[0]
    path = re.findall(r"curl -X POST http://127\.0\.0\.1:8000(\S+)", text)[0]
    expected = re.findall(r"terminal says `(\{.*?\})`", text)[0]
    with serving("main:app", tmp_path) as address:
        with watching(url.replace("127.0.0.1:8000", address), query) as client:
            got = first_line_while(client, lambda: post(f"http://{address}{path}", None))
    assert got == json.loads(expected)


def test_the_commands_of_the_http_page_answer_as_it_says(tmp_path: pathlib.Path) -> None:
    page = ROOT / "docs" / "guide" / "http.md"
    text = page.read_text()
    (tmp_path / "main.py").write_text("\n".join(python_blocks(page)))
    answers: list[str] = []
    with serving("main:manager", tmp_path) as address:
        for command in re.findall(r"^ {4}(curl .*)", text, flags=re.MULTILINE):
            arguments = [each.replace("127.0.0.1:8000", address) for each in shlex.split(command)]
            answers.append(
                subprocess.check_output([*arguments, "-sS"], text=True, timeout=DEADLINE)
            )
    assert len(answers) == 3
    for answer in answers:
        # A comment that is only there for browsers is not on the page.
        shown = answer.removeprefix(":\n\n").rstrip()
        assert shown in re.sub(r"^ {4}", "", text, flags=re.MULTILINE), shown


async def test_the_guide_runs_from_top_to_bottom() -> None:
    pages = ROOT / "docs" / "guide" / "getting-started.md"
    names: dict[str, Any] = {"__name__": "guide"}
    blocks = python_blocks(pages)
    assert len(blocks) > 8
    try:
        # A thread without an event loop, as a module being imported is.
        await asyncio.to_thread(exec, "\n".join(blocks), names)
        await names["change_order"]()
    finally:
        await names["manager"].aclose()


@pytest.mark.parametrize(
    "page",
    [
        "channels",
        "filters",
        "managing-subscriptions",
        "persisted-operations",
        "queries-and-mutations",
        "resolvers",
    ],
)
def test_pages_of_the_guide_run(page: str) -> None:
    blocks = python_blocks(ROOT / "docs" / "guide" / f"{page}.md")
    exec("\n".join(blocks), {"__name__": "guide"})


@pytest.mark.parametrize(
    "page",
    [
        page.relative_to(ROOT).as_posix()
        for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    ],
)
def test_links_lead_somewhere(page: str) -> None:
    text = re.sub(r"^```.*?^```", "", (ROOT / page).read_text(), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if "://" not in target:
            assert ((ROOT / page).parent / target).exists(), f"{page}: {target}"
