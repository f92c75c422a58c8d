# SPDX-License-Identifier: MIT
"""Every ASGI server that is supported, as a subprocess."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import queue
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from typing import Any

from serving import DEADLINE, Server, until

__all__ = ["DAPHNE", "GRANIAN", "HYPERCORN", "UVICORN", "Host", "name_of"]


class Host(Server):
    """A server that is told its port, and found by connecting."""

    def __init__(self, folder: pathlib.Path, *command: str) -> None:
        with socket.socket() as chosen:
            chosen.bind(("127.0.0.1", 0))
            port = chosen.getsockname()[1]
        self.process = subprocess.Popen(
            [each.format(port=port) for each in (sys.executable, "-m", *command)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=folder,
            start_new_session=True,  # some servers have children
            env=os.environ
            | {
                "PYTHONUNBUFFERED": "1",
                "PYTHONPATH": os.pathsep.join([str(folder), *filter(None, sys.path)]),
            },
        )
        self.lines: list[str] = []
        self._address: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.host = f"127.0.0.1:{port}"

    def address(self) -> str:
        def listens() -> bool:
            assert self.process.poll() is None, f"the server did not start:\n{self.log}"
            try:
                self.get("/state")
            except OSError:
                return False
            return True

        until(listens, "the server listens")
        return self.host

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        super().kill()

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://{self.host}{path}", timeout=DEADLINE) as answer:
            return json.load(answer)

    def state(self) -> dict[str, int]:
        return self.get("/state")


UVICORN = [
    ("uvicorn", "--port", "{port}", "--loop", loop, "--ws", ws, "app:app")
    for ws in ("websockets-sansio", "wsproto", "websockets")
    for loop in ("asyncio", "uvloop")
]
HYPERCORN = [
    ("hypercorn", "--bind", "127.0.0.1:{port}", "--worker-class", kind, "app:app")
    for kind in ("asyncio", "uvloop")
]
GRANIAN = [
    ("granian", "--interface", "asgi", "--port", "{port}", "--loop", loop, "app:app")
    for loop in ("asyncio", "uvloop")
]
DAPHNE = [("daphne", "-p", "{port}", "app:app")]


def name_of(command: tuple[str, ...]) -> str:
    kinds = ("websockets-sansio", "wsproto", "websockets", "asyncio", "uvloop")
    return "-".join([command[0], *(each for each in command if each in kinds)])
