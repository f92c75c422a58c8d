# SPDX-License-Identifier: MIT
"""A Redis that tests start for themselves: own port, own folder, own end."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator

import redis_versions

__all__ = ["RedisError", "RedisSentinel", "RedisServer", "free_port", "server"]

#: Another version than the system's, of those in redis_versions.py. All look
#: for the program where PATH says, C tests too.
VERSION = os.environ.get("FRAISEQL_REDIS")
if VERSION:
    os.environ["PATH"] = f"{redis_versions.folder_of(VERSION)}:{os.environ['PATH']}"

#: Seconds for a server to start or to answer.
DEADLINE = 30.0


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def words(value: str) -> list[str]:
    return value.split() or [""]


class RedisServer:
    """A redis-server of this test, and commands to it.

    It persists nothing unless `options` say so: `appendonly="yes"`. The port
    stays the same from start to start.
    """

    def __init__(self, folder: pathlib.Path, **options: str) -> None:
        binary = shutil.which("redis-server")
        assert binary is not None, "redis-server is missing: csrc/deps/system.sh test installs it"
        self._binary = binary
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.options = options
        self.process: subprocess.Popen[bytes] | None = None

    def url(self, database: int = 0) -> str:
        return f"redis://127.0.0.1:{self.port}/{database}"

    def _arguments(self) -> list[str]:
        options = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(self.folder),
            "save": "",
            "appendonly": "no",
            "daemonize": "no",
            **self.options,
        }
        # An option may have several values.
        return [word for name, value in options.items() for word in (f"--{name}", *words(value))]

    def start(self, *, wait: bool = True) -> None:
        arguments = self._arguments()
        with (self.folder / "redis.log").open("ab") as log:
            self.process = subprocess.Popen(
                [self._binary, *arguments], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        if wait:
            self.wait()

    def wait(self) -> None:
        """Return when it answers."""
        deadline = time.monotonic() + DEADLINE
        while True:
            try:
                if self.command("PING") == "PONG":
                    return
            except OSError:
                pass
            except RedisError as error:
                if str(error).startswith("NOAUTH"):
                    return
            log = (self.folder / "redis.log").read_text()[-2000:]
            assert self.process is not None
            assert self.process.poll() is None, log
            assert time.monotonic() < deadline, log
            time.sleep(0.01)

    def wait_for_port(self) -> None:
        """Return when it accepts connections, of whatever kind."""
        deadline = time.monotonic() + DEADLINE
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), DEADLINE).close()
                return
            except OSError:
                assert time.monotonic() < deadline, (self.folder / "redis.log").read_text()[-2000:]
                time.sleep(0.01)

    def _signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """End it as a power cut would."""
        self._signal(signal.SIGKILL)
        assert self.process is not None
        self.process.wait()

    def pause(self) -> None:
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(DEADLINE)
            except subprocess.TimeoutExpired:
                self.kill()

    def command(self, *words: str | bytes | int) -> object:
        """The answer to one command; `RedisError` if that is an error."""
        with self.connect() as client:
            return client.command(*words)

    @contextlib.contextmanager
    def connect(self) -> Iterator[RedisClient]:
        with socket.create_connection(("127.0.0.1", self.port), DEADLINE) as link:
            client = RedisClient(link)
            try:
                yield client
            finally:
                client.close()


class RedisSentinel(RedisServer):
    """A sentinel that watches a primary by the name `mymaster`."""

    def __init__(self, folder: pathlib.Path, primary: RedisServer, quorum: int = 1) -> None:
        super().__init__(folder)
        self._config = folder / "sentinel.conf"
        # Promptly, and yet not because a busy machine was slow.
        self._config.write_text(
            f"port {self.port}\n"
            "bind 127.0.0.1\n"
            f"dir {folder}\n"
            f"sentinel monitor mymaster 127.0.0.1 {primary.port} {quorum}\n"
            "sentinel down-after-milliseconds mymaster 1000\n"
            "sentinel failover-timeout mymaster 5000\n"
        )

    def _arguments(self) -> list[str]:
        return [str(self._config), "--sentinel"]

    def protect(self, password: str) -> None:
        """Ask for a password from the next start on."""
        lines = self._config.read_text().splitlines()
        # The sentinel itself wrote the one about the user.
        lines = [line for line in lines if not line.startswith("user ")]
        self._config.write_text("\n".join([*lines, f"requirepass {password}", ""]))

    @property
    def primary_port(self) -> int:
        """The port of whom it takes for the primary now."""
        found = self.command("SENTINEL", "get-master-addr-by-name", "mymaster")
        assert isinstance(found, list)
        return int(found[1])


@contextlib.contextmanager
def server(folder: pathlib.Path, **options: str) -> Iterator[RedisServer]:
    it = RedisServer(folder, **options)
    try:
        it.start()
        yield it
    finally:
        it.stop()


class RedisError(Exception):
    """An error that the server answered."""


class RedisClient:
    """RESP2 in a few lines: what a publisher in any language sends."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._file = link.makefile("rb")

    def close(self) -> None:
        self._file.close()

    def send(self, *words: str | bytes | int) -> None:
        parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        text = b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
        self._link.sendall(b"*%d\r\n%s" % (len(parts), text))

    def command(self, *words: str | bytes | int) -> object:
        self.send(*words)
        return self.read()

    def read(self) -> object:
        line = self._file.readline()
        if not line:
            raise ConnectionError("the server has closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            raise RedisError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self._file.read(int(rest) + 2)[:-2].decode()
        assert kind == b"*", line
        return None if rest == b"-1" else [self.read() for _ in range(int(rest))]
