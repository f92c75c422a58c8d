# SPDX-License-Identifier: MIT
"""Real servers and real clients as subprocesses, for integration tests."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

ROOT = pathlib.Path(__file__).parents[1]
CLIENT = ROOT / "tests" / "clients" / "subscribe.mjs"

#: Longest wait for anything that is expected to happen.
DEADLINE = 30.0


class Server:
    """uvicorn on a port of the kernel's choice, in a process of its own."""

    def __init__(
        self,
        app: str,
        folder: pathlib.Path,
        *arguments: str,
        environ: dict[str, str] | None = None,
    ) -> None:
        command = [sys.executable, "-m", "uvicorn", app, "--port", "0", "--app-dir", str(folder)]
        self.process = subprocess.Popen(
            [*command, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"} | (environ or {}),
        )
        self.lines: list[str] = []
        #: `host:port` once it listens, None when it ended without.
        self._address: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if found := re.search(r"running on http://(\S+)", line):
                self._address.put(found[1])
        self._address.put(None)

    @property
    def log(self) -> str:
        return "".join(self.lines)

    def address(self) -> str:
        """Waits until it listens."""
        address = self._address.get(timeout=DEADLINE)
        assert address is not None, f"the server did not start:\n{self.log}"
        self._address.put(address)
        return address

    def wait(self) -> int:
        """The exit code, once it has ended by itself."""
        code = self.process.wait(DEADLINE)
        self._reader.join(DEADLINE)
        return code

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal; the server must end as uvicorn always does: with a
        complete shutdown, and then by the signal it was sent."""
        self.process.send_signal(how)
        code = self.wait()
        assert code == (0 if how == signal.SIGINT else -how), self.log
        assert "Application shutdown complete" in self.log
        assert "Traceback" not in self.log

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join(DEADLINE)
        assert self.process.stdout is not None
        self.process.stdout.close()


@contextlib.contextmanager
def serving(
    app: str,
    folder: pathlib.Path,
    *arguments: str,
    environ: dict[str, str] | None = None,
) -> Iterator[Server]:
    """A server, which is killed at the end if it was not stopped."""
    server = Server(app, folder, *arguments, environ=environ)
    try:
        yield server
    finally:
        server.kill()


class Workers(Server):
    """uvicorn with two workers, below a process that replaces those that end."""

    def __init__(self, app: str, folder: pathlib.Path, environ: dict[str, str]) -> None:
        # A busy machine is no reason to take a worker for dead.
        patience = ("--timeout-worker-healthcheck", "60")
        super().__init__(app, folder, "--workers", "2", *patience, environ=environ)

    def count(self, text: str) -> int:
        """How often the log says `text`."""
        return self.log.count(text)

    def workers(self) -> list[int]:
        """Process ids of those that run now, oldest first."""
        started = re.findall(r"Started server process \[(\d+)\]", self.log)
        return [pid for pid in map(int, started) if self._runs(pid)]

    def _runs(self, pid: int) -> bool:
        status = pathlib.Path(f"/proc/{pid}/stat")
        try:
            state, parent = status.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            return False
        # An orphan is the child of somebody else, and still ours.
        return state != "Z" and (int(parent) == self.process.pid or self.process.poll() is not None)

    def kill(self) -> None:
        """End it with its workers, which would outlive a parent that is killed."""
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(DEADLINE)
        left = self.workers()
        super().kill()
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def working(app: str, folder: pathlib.Path, environ: dict[str, str]) -> Iterator[Workers]:
    """A server with two workers that both serve."""
    server = Workers(app, folder, environ)
    try:
        until(lambda: server.count("Application startup complete") >= 2, "workers have started")
        yield server
    finally:
        server.kill()


class Client:
    """A client of npm, graphql-ws unless `client=` says otherwise; see
    tests/clients/subscribe.mjs."""

    def __init__(self, url: str, query: str | None = None, **options: Any) -> None:
        options = {"url": url, "timeout": DEADLINE} | options
        if query is not None:
            options["query"] = query
        self.process = subprocess.Popen(
            ["node", str(CLIENT), json.dumps(options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def command(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def event(self) -> dict[str, Any]:
        """What it tells next."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the client has ended: " + self.process.communicate()[1]
        event: dict[str, Any] = json.loads(line)
        return event

    def events(self) -> list[dict[str, Any]]:
        """All it tells until it ends."""
        # Not communicate(): it would not see what event() has buffered. The
        # client ends by itself in any case.
        assert self.process.stdout is not None
        lines = list(self.process.stdout)
        _, err = self.process.communicate(timeout=DEADLINE)
        assert (self.process.returncode, err) == (0, ""), (self.process.returncode, err, lines)
        return [json.loads(line) for line in lines]

    def next(self) -> Any:
        """The payload of the next message, which must be one."""
        event = self.event()
        assert event["type"] == "next", event
        return event["payload"]

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@contextlib.contextmanager
def client(url: str, query: str | None = None, **options: Any) -> Iterator[Client]:
    """A client, which is killed at the end."""
    made = Client(url, query, **options)
    try:
        yield made
    finally:
        made.kill()


def payloads(events: list[dict[str, Any]]) -> list[Any]:
    return [event["payload"] for event in events if event["type"] == "next"]


def until(condition: Any, what: str) -> None:
    """Wait for `condition`, which nothing announces."""
    end = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"the deadline has passed: {what}")
        time.sleep(0.01)
