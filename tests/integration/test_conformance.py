# SPDX-License-Identifier: MIT
"""graphql-transport-ws to the letter: the conversations of tests/data/conformance
with every server, mounted in every way, and with the reference.

Every case runs on one server, and those about the handshake, frames and closes,
where servers differ, on all of them; `make prove` runs all on all.
"""

from __future__ import annotations

import asyncio
import queue
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from conformance import Case, Target, hold, load
from hosts import DAPHNE, GRANIAN, HYPERCORN, UVICORN, Host, name_of
from serving import ROOT, Server
from sizes import PROVE, promised

pytestmark = pytest.mark.timeout(120)

CASES = load()
SERVERS = UVICORN + HYPERCORN + GRANIAN + DAPHNE
PATHS = ("/starlette-mount/", "/starlette-attach", "/fastapi-mount/", "/fastapi-attach")


class Reference(Server):
    """graphql-ws over ws, with the same application."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            ["node", str(ROOT / "tests" / "clients" / "reference_server.mjs")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._address: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()


@pytest.fixture(scope="module", params=SERVERS, ids=name_of)
def target(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Target]:
    name = name_of(request.param)
    folder = tmp_path_factory.mktemp(name)
    (folder / "app.py").write_text("from conformance_app import app\n")
    server = Host(folder, *request.param)
    try:
        # daphne sends the code of a close without its reason.
        yield Target(name, server.address(), "/bare", has_reasons=not name.startswith("daphne"))
        assert "Exception" not in server.log.replace("LookupError", ""), server.log
    finally:
        server.kill()


def check(target: Target, cases: list[Case]) -> None:
    wrong = asyncio.run(hold(target, cases))
    assert not wrong, f"{len(wrong)} of {len(cases)}:\n" + "\n".join(
        f"{name}\n    {what}" for name, what in wrong.items()
    )


@promised(seconds=120)
def test_a_server_converses_to_the_letter(target: Target) -> None:
    is_whole = PROVE or target.name == name_of(SERVERS[0])
    check(target, [case for case in CASES if is_whole or case.is_everywhere])


@promised(seconds=120)
@pytest.mark.parametrize("target", [SERVERS[0]], ids=name_of, indirect=True)
@pytest.mark.parametrize("path", PATHS)
def test_it_does_so_wherever_it_is_mounted(target: Target, path: str) -> None:
    mounted = Target(target.name, target.host, path)
    check(mounted, [case for case in CASES if PROVE or case.is_everywhere])


def test_the_reference_does_so_but_for_its_known_faults() -> None:
    reference = Reference()
    try:
        check(Target("reference", reference.address()), CASES)
    finally:
        reference.kill()
    assert {case.theme for case in CASES if "reference" in case.faults} >= {"ids", "messages"}
