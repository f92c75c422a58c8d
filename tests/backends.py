# SPDX-License-Identifier: MIT
"""Servers that events travel through, started by the tests themselves: each in
a folder of its own, reached through a socket in it, and gone with the test."""

from __future__ import annotations

import atexit
import contextlib
import functools
import glob
import json
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from redis_backend import free_port

from fraiseql_asgi._core import PostgresClient
from fraiseql_asgi._postgres_install import install

#: Longest wait for a server to start or stop.
DEADLINE = 30.0


#: PostgreSQL of other major versions, for those who ask for one.
PACKAGES = pathlib.Path(__file__).parent / "postgres" / "node_modules"


@functools.cache
def _unpacked(version: str) -> pathlib.Path:
    """A copy of the package's files, with the links that npm cannot hold, where
    everybody can read them."""
    native = PACKAGES / f"postgres-{version}" / "native"
    assert native.is_dir(), f"there is no {native}: make tests/postgres/node_modules/.stamp"
    folder = pathlib.Path(tempfile.mkdtemp(prefix="fq-pg-programs-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    folder.chmod(0o755)
    copy = folder / "native"
    shutil.copytree(native, copy, symlinks=True)
    for link in json.loads((native / "pg-symlinks.json").read_text()):
        target = folder / link["target"]
        if not target.is_symlink():
            target.symlink_to(os.path.relpath(folder / link["source"], target.parent))
    return copy


def _postgres_folder(version: str | None) -> pathlib.Path:
    """Where initdb is; Debian has it beside no other program."""
    if version is not None:
        return _unpacked(version) / "bin"
    found = shutil.which("initdb")
    if found is not None:
        return pathlib.Path(found).resolve().parent
    folders = glob.glob("/usr/lib/postgresql/*/bin/initdb")
    assert folders, "PostgreSQL's server is missing: csrc/deps/system.sh test installs it"
    newest = max(folders, key=lambda path: int(path.split("/")[4]))
    return pathlib.Path(newest).parent


def _unprivileged() -> dict[str, Any]:
    """How a subprocess becomes somebody else, as PostgreSQL refuses to be root."""
    # What sanitizers preload is for the extension, not for servers.
    environ = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    if os.geteuid() != 0:
        return {"env": environ}
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"env": environ, "user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    raise AssertionError("there is neither a user postgres nor nobody to run PostgreSQL as")


class Postgres:
    """A PostgreSQL that nobody else knows of.

    Args:
        settings: of its configuration, `name=value`.
        has_port: it listens on 127.0.0.1 as well, on `port`.
        replica_of: a server to be a streaming replica of; it stands still
            meanwhile.
        version: the major one, of those in tests/postgres; else what
            FRAISEQL_POSTGRES says, else the system's.
    """

    def __init__(
        self,
        *settings: str,
        has_port: bool = False,
        replica_of: Postgres | None = None,
        version: str | None = None,
    ) -> None:
        # Not pytest's folder: a socket's path has at most 107 bytes.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="fq-pg-"))
        self._bin = _postgres_folder(version or os.environ.get("FRAISEQL_POSTGRES") or None)
        self._as = _unprivileged()
        #: For PostgreSQL's own programs.
        self.environ: dict[str, str] = self._as["env"]
        if "user" in self._as:
            os.chown(self.folder, self._as["user"], self._as["group"])
        #: Of the socket in the folder, and of 127.0.0.1.
        self.port = free_port() if has_port else 5432
        self._settings = [
            *("fsync=off", "listen_addresses=" + ("127.0.0.1" if has_port else "")),
            *(f"port={self.port}", f"unix_socket_directories={self.folder}"),
            *("max_connections=60", "shared_buffers=64MB", *settings),
        ]
        self._process: subprocess.Popen[bytes] | None = None
        if replica_of is None:
            self._run(
                self._bin / "initdb",
                *("-D", self.folder / "data", "-U", "owner", "-A", "trust", "-E", "UTF8"),
                *("--locale=C", "--no-sync"),
            )
        else:
            self._copy(replica_of)
        self.start()

    def _copy(self, primary: Postgres) -> None:
        """Cold, as not every version's folder has pg_basebackup."""
        primary.stop()
        self._run("cp", "-R", "-p", primary.folder / "data", self.folder / "data")
        primary.start()
        self._run("touch", self.folder / "data" / "standby.signal")
        with (self.folder / "data" / "postgresql.conf").open("a") as settings:
            settings.write(
                f"primary_conninfo = 'host={primary.folder} port={primary.port} user=owner'\n"
            )

    @property
    def dsn(self) -> str:
        return self.dsn_of("owner")

    def dsn_of(self, user: str, database: str = "postgres") -> str:
        return f"postgresql://{user}@/{database}?host={self.folder}&port={self.port}"

    def tcp_dsn(self, *more: str, port: int | None = None) -> str:
        """In libpq's other form; `more` are `keyword=value`. `port`: a proxy's."""
        return " ".join(
            ["host=127.0.0.1", f"port={port or self.port}", "user=owner", "dbname=postgres", *more]
        )

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def _run(self, *command: Any) -> None:
        done = subprocess.run(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd=self.folder,
            timeout=DEADLINE,
            **self._as,
        )
        assert done.returncode == 0, done.stderr.decode(errors="replace")

    def start(self) -> None:
        arguments = [part for setting in self._settings for part in ("-c", setting)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._bin / "postgres"), "-D", str(self.folder / "data"), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                **self._as,
            )
        deadline = time.monotonic() + DEADLINE
        while True:
            assert self._process.poll() is None, f"PostgreSQL did not start:\n{self.log}"
            ready = subprocess.run(
                [
                    *(str(self.program("pg_isready")), "-q", "-U", "owner", "-d", "postgres"),
                    *("-h", str(self.folder), "-p", str(self.port)),
                ],
                timeout=DEADLINE,
                env=self.environ,
            )
            if ready.returncode == 0:
                return
            assert time.monotonic() < deadline, f"PostgreSQL did not start:\n{self.log}"
            time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT: connections are cut; SIGQUIT: as in a crash."""
        if self._process is None:
            return
        self._process.send_signal(how)
        self._process.wait(DEADLINE)
        self._process = None

    def alone(self, lines: Sequence[str], *under: str) -> str:
        """Run a statement per line in single-user mode; what was said on stderr.

        Args:
            under: a command that runs the server, such as valgrind's. The
                server itself must have been stopped.
        """
        done = subprocess.run(
            [*under, str(self._bin / "postgres"), "--single", "-D", "data", "postgres"],
            input="".join(f"{line}\n" for line in lines),
            capture_output=True,
            text=True,
            cwd=self.folder,
            **self._as,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        assert "ERROR:" not in done.stderr, done.stderr[-2000:]
        return done.stderr

    def program(self, name: str) -> pathlib.Path:
        """One of PostgreSQL's own programs, of the same version if that has it."""
        own = self._bin / name
        return own if own.exists() else _postgres_folder(None) / name

    def cut_off(self) -> None:
        """A replica gets nothing more of its primary from now on."""
        client = self.connect()
        client.execute("ALTER SYSTEM SET primary_conninfo = ''")
        client.execute("SELECT pg_reload_conf()")
        deadline = time.monotonic() + DEADLINE
        while client.execute("SELECT pid FROM pg_stat_wal_receiver"):
            assert time.monotonic() < deadline, self.log
            time.sleep(0.01)

    def promote(self) -> None:
        """A replica becomes a primary; returns when it is one."""
        self._run(self._bin / "pg_ctl", "promote", "-w", "-D", self.folder / "data")

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """No process of the server runs meanwhile."""
        assert self._process is not None
        children = pathlib.Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        pids = [self._process.pid]
        pids += map(int, children.read_text().split())
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def connect(self, user: str = "owner", database: str = "postgres") -> PostgresClient:
        return PostgresClient(self.dsn_of(user, database) + "&application_name=test")

    def fresh(self, database: str = "postgres") -> PostgresClient:
        """A connection to the database as it was installed, nothing published."""
        client = self.connect(database=database)
        client.execute("DROP SCHEMA IF EXISTS fraiseql CASCADE")
        install(client)
        return client

    def close(self) -> None:
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)


class PgBouncer:
    """A pooler before `server`, with a database for each of its modes."""

    def __init__(self, server: Postgres, *settings: str) -> None:
        binary = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
        assert os.path.exists(binary), "pgbouncer is missing: csrc/deps/system.sh test installs it"
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="fq-pgb-"))
        as_user = _unprivileged()
        if "user" in as_user:
            os.chown(self.folder, as_user["user"], as_user["group"])
        self.port = free_port()
        target = f"host={server.folder} port={server.port} dbname=postgres"
        config = self.folder / "pgbouncer.ini"
        config.write_text(
            "\n".join(
                [
                    "[databases]",
                    f"session = {target} user=owner pool_mode=session",
                    f"transaction = {target} user=owner pool_mode=transaction",
                    "[pgbouncer]",
                    *("listen_addr = 127.0.0.1", f"listen_port = {self.port}", "unix_socket_dir ="),
                    *("auth_type = any", f"logfile = {self.folder}/log"),
                    *settings,
                ]
            )
        )
        self._process = subprocess.Popen(
            [binary, "-q", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self.folder,
            **as_user,
        )
        deadline = time.monotonic() + DEADLINE
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), DEADLINE).close()
                return
            except OSError:
                assert self._process.poll() is None, "PgBouncer did not start"
                assert time.monotonic() < deadline, "PgBouncer did not start"
                time.sleep(0.02)

    def dsn(self, mode: str) -> str:
        return f"host=127.0.0.1 port={self.port} user=owner dbname={mode}"

    def close(self) -> None:
        self._process.kill()
        self._process.wait(DEADLINE)
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL of the module's own."""
    server = Postgres()
    yield server
    server.close()
