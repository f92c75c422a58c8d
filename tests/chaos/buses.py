# SPDX-License-Identifier: MIT
"""The servers between instances, and the harm that can be done to them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pathlib
import signal
import socket
import time
from collections.abc import Iterator

from backends import Postgres
from redis_backend import DEADLINE, RedisClient, RedisError, RedisServer, free_port

from fraiseql_asgi.errors import BusError

from .link import Link, Streams
from .plan import CHANNELS, Act, Plan
from .publishers import read_place
from .record import Fault, Place

__all__ = ["PostgresBus", "RedisBus"]


class _UnixRedis(RedisServer):
    """Behind a socket in its folder, so that nobody takes its port while it is down."""

    @property
    def path(self) -> str:
        return self.options["unixsocket"]

    @contextlib.contextmanager
    def connect(self) -> Iterator[RedisClient]:
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(DEADLINE)
            link.connect(self.path)
            yield RedisClient(link)


class RedisBus:
    def __init__(self, plan: Plan, folder: pathlib.Path) -> None:
        options = {"port": "0", "unixsocket": str(folder / "redis.sock")}
        options["repl-diskless-sync-delay"] = "0"
        self._folder = folder
        self._n_replicas = 0
        if plan.persistence != "none":
            options |= {"appendonly": "yes", "appendfsync": plan.persistence}
        self._server = _UnixRedis(folder, **options)
        self.persistence = plan.persistence
        self._streams = sorted({plan.stream(channel) for channel in CHANNELS})
        self._n_shards = plan.shards
        self._chance_bytes = plan.seed % 2000

    @property
    def path(self) -> str:
        return self._server.path

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.stop()

    async def connect(self) -> Streams:
        return await asyncio.open_unix_connection(self.path)

    def url(self, link: Link) -> str:
        return f"redis://127.0.0.1:{link.port}?shards={self._n_shards}"

    async def harm(self, act: Act, fault: Fault) -> None:
        server = self._server
        if act.what == "redis-kill":
            fault.may_lose = self.persistence != "always"
            await asyncio.to_thread(server.kill)
            wall_ms = time.time_ns() // 1_000_000
            if self.persistence == "everysec":
                fault.detail = self._cut_tail()
            await asyncio.sleep(act.seconds)
            await asyncio.to_thread(server.start)
            if self.persistence == "everysec":
                # Of what was there when it was killed, the last that still is.
                fault.upto = (wall_ms + 1, 0)
                fault.beyond = await asyncio.to_thread(self._edge, "XREVRANGE", str(wall_ms), "-")
        elif act.what == "redis-restart":
            fault.may_lose = self.persistence == "none"
            await asyncio.to_thread(server.stop)
            await asyncio.sleep(act.seconds)
            await asyncio.to_thread(server.start)
        elif act.what == "redis-pause":
            server.pause()
            try:
                await asyncio.sleep(act.seconds)
            finally:
                server.go_on()
        elif act.what == "redis-full":
            await self._between(
                act.seconds, ("CONFIG", "SET", "maxmemory", 1), ("CONFIG", "SET", "maxmemory", 0)
            )
        elif act.what == "redis-replica":
            await self._between(
                act.seconds, ("REPLICAOF", "127.0.0.1", 1), ("REPLICAOF", "NO", "ONE")
            )
        elif act.what == "redis-failover":
            fault.may_lose = True
            await self._fail_over(act.seconds, fault)
        elif act.what == "redis-flush":
            fault.may_lose = True
            await asyncio.to_thread(server.command, "FLUSHALL")
        elif act.what == "redis-trim":
            fault.may_lose = True
            for stream in self._streams:
                await asyncio.to_thread(server.command, "XTRIM", stream, "MAXLEN", act.number)
            if len(self._streams) == 1:
                # Not before: what is there now was left by this one.
                fault.below = await asyncio.to_thread(self._edge, "XRANGE", "-", "+")
        elif act.what == "redis-drop-clients":
            for kind in ("normal", "pubsub"):
                with contextlib.suppress(RedisError):
                    await asyncio.to_thread(server.command, "CLIENT", "KILL", "TYPE", kind)
        else:
            raise AssertionError(act)

    async def _fail_over(self, seconds: float, fault: Fault) -> None:
        """A replica, which got nothing in the last `seconds`, takes the place of
        the server."""
        old = self._server
        self._n_replicas += 1
        new = await asyncio.to_thread(self._replicate, old, f"replica-{self._n_replicas}")
        await asyncio.sleep(seconds)
        await asyncio.to_thread(old.kill)
        wall_ms = time.time_ns() // 1_000_000
        self._server = new
        # Nobody has written to it before it is where the old one was.
        fault.upto = (wall_ms + 1, 0)
        fault.beyond = await asyncio.to_thread(self._edge, "XREVRANGE", "+", "-")
        os.replace(new.path, old.path)
        new.options["unixsocket"] = old.path

    def _replicate(self, old: _UnixRedis, name: str) -> _UnixRedis:
        """A server that has what `old` has now, and gets no more of it."""
        folder = self._folder / name
        new = _UnixRedis(folder, **{**old.options, "unixsocket": str(folder / "redis.sock")})
        try:
            new.start()
            # Replicas need a port.
            port = free_port()
            old.command("CONFIG", "SET", "port", port)
            new.command("REPLICAOF", "127.0.0.1", port)
            deadline = time.monotonic() + DEADLINE
            while "master_link_status:up" not in str(new.command("INFO", "replication")):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            new.command("REPLICAOF", "NO", "ONE")
        except BaseException:
            new.stop()
            raise
        return new

    async def _between(
        self, seconds: float, first: tuple[str | int, ...], last: tuple[str | int, ...]
    ) -> None:
        await asyncio.to_thread(self._server.command, *first)
        try:
            await asyncio.sleep(seconds)
        finally:
            await asyncio.to_thread(self._server.command, *last)

    def _edge(self, command: str, first: str, last: str) -> Place:
        """The first or last entry that is left."""
        with self._server.connect() as client:
            entries = client.command(command, self._streams[0], first, last, "COUNT", 1)
        if not isinstance(entries, list) or not entries:
            return (0, 0)
        return read_place(entries[0][0]) or (0, 0)

    def _cut_tail(self) -> str:
        """What the system had not written when the power went."""
        (path,) = self._server.folder.glob("appendonlydir/*.incr.aof")
        size = path.stat().st_size
        n_cut = min(self._chance_bytes, size)
        os.truncate(path, size - n_cut)
        return f"the last {n_cut} bytes of its file are gone"


class PostgresBus:
    """One server for many runs, each of which finds it installed anew."""

    def __init__(self, server: Postgres) -> None:
        self._server = server

    @property
    def dsn(self) -> str:
        return self._server.dsn + "&application_name=publisher"

    def start(self) -> None:
        self._server.fresh()

    def stop(self) -> None:
        pass

    async def connect(self) -> Streams:
        return await asyncio.open_unix_connection(str(self._server.folder / ".s.PGSQL.5432"))

    def url(self, link: Link) -> str:
        return (
            f"postgresql://owner@127.0.0.1:{link.port}/postgres?sslmode=disable&gssencmode=disable"
        )

    async def harm(self, act: Act, fault: Fault) -> None:
        if act.what in ("postgres-restart", "postgres-crash"):
            how = signal.SIGINT if act.what == "postgres-restart" else signal.SIGQUIT
            await asyncio.to_thread(self._server.stop, how)
            await asyncio.sleep(act.seconds)
            await asyncio.to_thread(self._server.start)
        elif act.what == "postgres-pause":
            with self._server.paused():
                await asyncio.sleep(act.seconds)
        elif act.what == "postgres-terminate":
            await asyncio.to_thread(
                self._execute,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
            )
        elif act.what == "postgres-prune":
            fault.may_lose = True
            await asyncio.to_thread(self._execute, "SELECT fraiseql.prune('0s')")
        elif act.what == "postgres-reinstall":
            fault.may_lose = True
            await asyncio.to_thread(self._reinstall)
        elif act.what == "postgres-gates":
            await asyncio.to_thread(
                self._execute,
                "SELECT pg_advisory_xact_lock(1718771051, n), pg_sleep($1::float / 4) "
                "FROM generate_series(0, 3) n",
                str(act.seconds),
            )
        else:
            raise AssertionError(act)

    def _execute(self, sql: str, *parameters: str) -> None:
        client = self._server.connect()
        try:
            client.execute(sql, parameters)
        finally:
            client.close()

    def _reinstall(self) -> None:
        """As one would do it: the servers' old sessions are ended."""
        for _ in range(20):
            try:
                self._server.fresh().close()
                break
            except BusError:
                # Somebody has used a table meanwhile (a deadlock).
                continue
        else:
            raise AssertionError("the schema cannot be installed anew")
