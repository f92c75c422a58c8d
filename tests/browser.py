# SPDX-License-Identifier: MIT
"""Headless Chromium over its debugging protocol, for integration tests."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from serving import DEADLINE, until
from websockets.sync.client import connect


class Browser:
    """Chromium without a window, over its debugging protocol."""

    def __init__(self, binary: str, folder: str) -> None:
        self.process = subprocess.Popen(
            [
                binary,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--window-size=1280,800",
                f"--user-data-dir={folder}",
                "--remote-debugging-port=0",
                "about:blank",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"DBUS_SESSION_BUS_ADDRESS": "disabled:"},
        )
        port_file = pathlib.Path(folder) / "DevToolsActivePort"
        until(lambda: port_file.exists() and port_file.read_text().count("\n"), "chromium")
        self.port = port_file.read_text().splitlines()[0]

    @contextlib.contextmanager
    def open(self, url: str) -> Iterator[Page]:
        new = f"http://127.0.0.1:{self.port}/json/new?{url}"
        with urllib.request.urlopen(
            urllib.request.Request(new, method="PUT"), timeout=DEADLINE
        ) as response:
            target = json.load(response)["webSocketDebuggerUrl"]
        with connect(target, max_size=None) as socket:
            yield Page(socket)

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(DEADLINE)


class Page:
    def __init__(self, socket: Any) -> None:
        self.socket = socket
        self.n_calls = 0

    def call(self, method: str, **params: Any) -> Any:
        """The answer to a call of the debugging protocol."""
        self.n_calls += 1
        self.socket.send(json.dumps({"id": self.n_calls, "method": method, "params": params}))
        while True:
            answer = json.loads(self.socket.recv(DEADLINE))
            if answer.get("id") == self.n_calls:
                return answer["result"]

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer["result"].get("value")

    def type(self, text: str) -> None:
        """As if it were typed where the cursor is."""
        self.call("Input.insertText", text=text)

    def screenshot(self, path: pathlib.Path) -> None:
        data = self.call("Page.captureScreenshot", format="png")["data"]
        path.write_bytes(base64.b64decode(data))


def browsers() -> Iterator[Browser]:
    """What a fixture yields: one, closed at the end."""
    names = ("chromium", "chromium-browser", "google-chrome")
    binary = next(filter(None, map(shutil.which, names)), None)
    if binary is None:
        pytest.fail("there is no chromium; make system-test installs it")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        made = Browser(binary, folder)
        try:
            yield made
        finally:
            made.close()
