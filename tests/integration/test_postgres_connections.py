# SPDX-License-Identifier: MIT
"""How the bus gets to a PostgreSQL, and what it does when that goes: TLS,
service files, poolers, forks, dead connections, failovers."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import itertools
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from backends import PgBouncer, Postgres
from certificates import make_certificates
from forking import FORK
from postgres_writers import publish
from received import Received
from sizes import promised, size
from swallowing import Swallowing

from fraiseql_asgi import EventBusConfig, SubscriptionExecutor
from fraiseql_asgi._core import PostgresClient
from fraiseql_asgi.errors import BusError, PublishTimeout

#: Longest wait for anything that is expected to happen.
DEADLINE = 30.0


def refusal(dsn: str, **settings: str) -> str:
    with pytest.raises(BusError) as caught:
        SubscriptionExecutor(EventBusConfig.postgresql(dsn, **settings)).close()
    return str(caught.value)


def delivers(dsn: str, **settings: str) -> None:
    """There and back."""
    with SubscriptionExecutor(EventBusConfig.postgresql(dsn, **settings)) as executor:
        executor.register_subscription("c", "s", "subscription { test }", None, {}, "u", None)
        executor.publish_event("x", "test", {"n": 1})
        deadline = time.monotonic() + DEADLINE
        while (message := executor.next_event("s")) is None:
            assert time.monotonic() < deadline
            time.sleep(0.002)
        assert b'"n":1' in message


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("certificates")
    make_certificates(folder, "postgres.test", "client")
    return folder


@pytest.fixture(scope="module")
def server(files: pathlib.Path) -> Iterator[Postgres]:
    """With TLS, on a port."""
    server = Postgres(has_port=True)
    for name in ("postgres.test.pem", "postgres.test.key"):
        copy = server.folder / "data" / name
        shutil.copy(files / name, copy)
        owner = (server.folder / "data").stat()
        os.chown(copy, owner.st_uid, owner.st_gid)
        copy.chmod(0o600)
    client = server.fresh()
    client.execute("ALTER SYSTEM SET ssl_cert_file = 'postgres.test.pem'")
    client.execute("ALTER SYSTEM SET ssl_key_file = 'postgres.test.key'")
    client.execute("ALTER SYSTEM SET ssl = on")
    client.execute("SET password_encryption = 'scram-sha-256'")
    client.execute("CREATE ROLE guarded LOGIN SUPERUSER PASSWORD 'let me in'")
    # The first rule that fits counts.
    rules = server.folder / "data" / "pg_hba.conf"
    rules.write_text("host all guarded 127.0.0.1/32 scram-sha-256\n" + rules.read_text())
    client.execute("SELECT pg_reload_conf()")
    client.close()
    yield server
    server.close()


# -- TLS --------------------------------------------------------------------


def test_tls_verifies_the_authority_and_the_name(server: Postgres, files: pathlib.Path) -> None:
    """The name that is verified is `host`, where that is, `hostaddr`."""
    trusted = f"sslmode=verify-full sslrootcert={files}/ca.pem"
    delivers(server.tcp_dsn(trusted, "hostaddr=127.0.0.1", "host=postgres.test"))
    text = refusal(server.tcp_dsn(trusted, "hostaddr=127.0.0.1", "host=other.test"))
    assert 'server certificate for "postgres.test" does not match host name "other.test"' in text
    assert "does not match host name" in refusal(server.tcp_dsn(trusted))
    other = f"sslmode=verify-ca sslrootcert={files}/client.pem"
    assert "certificate verify failed" in refusal(server.tcp_dsn(other))


# -- where the settings are from ---------------------------------------------


def test_service_files_and_password_files_are_read(
    server: Postgres, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = tmp_path / "services"
    service.write_text(
        f"[bus]\nhost=127.0.0.1\nport={server.port}\nuser=guarded\ndbname=postgres\n"
    )
    passwords = tmp_path / "passwords"
    passwords.write_text(f"127.0.0.1:{server.port}:postgres:guarded:let me in\n")
    passwords.chmod(0o600)
    monkeypatch.setenv("PGSERVICEFILE", str(service))
    assert "no password supplied" in refusal("service=bus")
    delivers(f"service=bus passfile={passwords}")
    monkeypatch.setenv("PGPASSFILE", str(passwords))
    delivers("postgresql://?service=bus")
    passwords.write_text(f"127.0.0.1:{server.port}:postgres:guarded:wrong\n")
    assert "password authentication failed" in refusal("service=bus")
    assert "definition of service" in refusal("service=none")


def test_variables_of_libpq_fill_in_what_is_not_given(
    server: Postgres, files: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGHOSTADDR", "127.0.0.1")
    monkeypatch.setenv("PGHOST", "postgres.test")
    monkeypatch.setenv("PGPORT", str(server.port))
    monkeypatch.setenv("PGUSER", "guarded")
    monkeypatch.setenv("PGPASSWORD", "let me in")
    monkeypatch.setenv("PGDATABASE", "postgres")
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    monkeypatch.setenv("PGSSLROOTCERT", str(files / "ca.pem"))
    delivers("postgresql://")
    monkeypatch.setenv("PGTARGETSESSIONATTRS", "standby")
    assert "not in hot standby mode" in refusal("postgresql://")
    delivers("target_session_attrs=primary")


# -- poolers ----------------------------------------------------------------


@pytest.fixture(scope="module")
def pooler(server: Postgres) -> Iterator[PgBouncer]:
    pooler = PgBouncer(server)
    yield pooler
    pooler.close()


def test_a_pooler_of_sessions_is_as_good_as_the_server(server: Postgres, pooler: PgBouncer) -> None:
    server.fresh().close()
    delivers(pooler.dsn("session"))


async def test_notifications_pass_a_pooler_of_sessions(server: Postgres, pooler: PgBouncer) -> None:
    client = server.fresh()
    async with Received(pooler.dsn("session")) as received:
        for n in range(3):
            publish(client, {"n": n})
            await received.wait(lambda: len(received.data) == n + 1)  # noqa: B023
        assert [item["n"] for item in received.data] == [0, 1, 2]


def test_a_pooler_of_transactions_is_for_publishing_only(
    server: Postgres, pooler: PgBouncer
) -> None:
    server.fresh().close()
    for _ in range(3):
        assert "listen_connection_string" in refusal(pooler.dsn("transaction"))
    delivers(pooler.dsn("transaction"), listen_connection_string=server.dsn)
    assert "listen_connection_string" in refusal(
        server.dsn, listen_connection_string=pooler.dsn("transaction")
    )


# -- forks ------------------------------------------------------------------


@pytest.mark.skipif(not pathlib.Path("/proc/self/fd").exists(), reason="reads /proc")
@pytest.mark.parametrize("has_tls", [False, True], ids=["plain", "tls"])
def test_a_forked_child_connects_anew(server: Postgres, has_tls: bool) -> None:
    server.fresh().close()
    mode = "require" if has_tls else "disable"
    dsn = f"postgresql://owner@127.0.0.1:{server.port}/postgres?sslmode={mode}"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK, dsn],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert done.returncode == 0, done.stderr


# -- dead connections -------------------------------------------------------


async def test_a_connection_that_swallows_is_found_dead(server: Postgres) -> None:
    """Within 10 s, as the guide says; what was committed meanwhile arrives."""
    client = server.fresh()
    async with (
        Swallowing(server.port) as proxy,
        Received(server.tcp_dsn("sslmode=disable", port=proxy.port)) as received,
    ):
        await received.manager.publish_event("x", "test", {"n": 1})
        await received.wait(lambda: len(received.data) == 1)
        proxy.swallow()
        before = time.monotonic()
        publish(client, {"n": 2})
        with pytest.raises(PublishTimeout):
            await received.manager.publish_event("x", "test", {"n": 3})
        await received.wait(lambda: received.metric("bus_up") == 0)
        assert time.monotonic() - before < 10 * 2
        proxy.heal()
        await received.wait(lambda: {"n": 2} in received.data)
        await received.manager.publish_event("x", "test", {"n": 4})
        await received.wait(lambda: {"n": 4} in received.data)
        assert [item["n"] for item in received.data] == [1, 2, 4]
        assert received.errors == []


# -- versions ---------------------------------------------------------------


@pytest.mark.prove
def test_a_server_that_is_too_old_is_named() -> None:
    old = Postgres(version="12")
    try:
        assert "the server is PostgreSQL 12.22; 13 or later is needed" in refusal(old.dsn)
    finally:
        old.close()


@pytest.mark.prove
async def test_a_full_queue_of_notifications_delays_and_loses_nothing() -> None:
    """Somebody else listens in the same server and never takes what comes, for
    which every NOTIFY fails its transaction in the end."""
    server = Postgres("max_notify_queue_pages=64", version="18")
    try:
        client = server.fresh()
        idle = server.connect()
        idle.execute("LISTEN something")
        idle.execute("BEGIN")
        fill = "SELECT pg_notify('something', repeat(n::text, 7000)) FROM generate_series(1, 9) n"
        with contextlib.suppress(BusError):
            for _ in range(1000):
                client.execute(fill)
        with pytest.raises(BusError, match="too many notifications in the NOTIFY queue"):
            client.execute(fill)
        async with Received(server.dsn) as received:
            for n in range(10):
                # The reader is asleep by then, and wants to be rung.
                await asyncio.sleep(1.2)
                publish(client, {"n": n})
                await received.wait(lambda: {"n": n} in received.data, 5 * 0.1)  # noqa: B023
            await received.manager.publish_event("x", "test", {"n": 10})
            await received.wait(lambda: len(received.data) == 11)
            assert received.errors == []
    finally:
        server.close()


# -- failovers --------------------------------------------------------------


def keep_publishing(dsn: str, first: int, stop: threading.Event) -> None:
    """One event per transaction, until the server goes."""
    client = PostgresClient(dsn)
    with contextlib.suppress(BusError):
        for n in itertools.count(first):
            if stop.is_set():
                return
            publish(client, {"n": n})


def replicated(primary: PostgresClient) -> bool:
    """A replica has got all of it."""
    rows = primary.execute("SELECT replay_lsn >= pg_current_wal_lsn() FROM pg_stat_replication")
    return rows == [("t",)]


@pytest.fixture
def pair() -> Iterator[tuple[Postgres, Postgres]]:
    """A primary with the schema, and a streaming replica of it."""
    primary = Postgres()
    primary.fresh().close()
    replica = Postgres(replica_of=primary)
    yield primary, replica
    replica.close()
    primary.close()


def both(pair: tuple[Postgres, Postgres], *more: str) -> str:
    hosts = ",".join(str(each.folder) for each in pair)
    return " ".join([f"host={hosts} user=owner dbname=postgres", *more])


def check_against(received: Received, client: PostgresClient) -> list[int]:
    """What the server has came once each; returns what it does not have."""
    rows = client.execute("SELECT (data->>'n')::int FROM fraiseql.outbox")
    kept = {int(row[0] or 0) for row in rows}
    got = collections.Counter(item["n"] for item in received.data)
    assert set(got.values()) <= {1}, [n for n, times in got.items() if times > 1]
    assert kept <= set(got), sorted(kept - set(got))
    return sorted(set(got) - kept)


@promised(seconds=600)
async def test_a_failover_loses_nothing_that_was_replicated(
    pair: tuple[Postgres, Postgres],
) -> None:
    primary, replica = pair
    assert "session is read-only" in refusal(replica.dsn)
    assert "the PostgreSQL server is a replica: events are read from" in refusal(
        replica.dsn + "&target_session_attrs=any"
    )
    stop = threading.Event()
    async with Received(both(pair)) as received:
        writers = [
            asyncio.create_task(asyncio.to_thread(keep_publishing, primary.dsn, n * 10**6, stop))
            for n in range(4)
        ]
        await received.wait(lambda: len(received.data) > size(500, 50_000))
        await asyncio.to_thread(primary.stop, signal.SIGQUIT)
        await asyncio.gather(*writers)
        await asyncio.to_thread(replica.promote)
        client = replica.connect()
        # Before and after the bus has moved over.
        for n in range(100):
            publish(client, {"n": 10**8 + n})
        await received.wait(lambda: {"n": 10**8 + 99} in received.data)
        await received.manager.publish_event("x", "test", {"n": 10**9})
        await received.wait(lambda: {"n": 10**9} in received.data)
        check_against(received, client)
        await received.wait(lambda: len(received.errors) == 1)
        assert received.errors[0]["extensions"]["code"] == "EVENTS_LOST"
        assert received.metric("bus_gaps") == 1


async def test_numbers_given_again_by_a_new_primary_hide_nothing(
    pair: tuple[Postgres, Postgres],
) -> None:
    """The replica has not got what was delivered last, and gives new events the
    transactions, and some the ids, of those before the bus gets to it."""
    primary, replica = pair
    old = primary.connect()
    old.execute("CREATE ROLE late LOGIN SUPERUSER")
    rules = replica.folder / "data" / "pg_hba.conf"
    was = rules.read_text()
    rules.write_text("local all late reject\n" + was)
    replica.connect().execute("SELECT pg_reload_conf()")
    async with Received(both(pair).replace("user=owner", "user=late")) as received:
        for n in range(20):
            publish(old, {"n": n})
        await received.wait(lambda: len(received.data) == 20)
        await received.wait(lambda: replicated(old))
        # Longer than the reader keeps one snapshot for.
        await asyncio.sleep(0.3)
        await asyncio.to_thread(replica.cut_off)
        for n in range(100, 200):
            publish(old, {"n": n})
        await received.wait(lambda: len(received.data) == 120)
        await asyncio.to_thread(primary.stop, signal.SIGQUIT)
        await asyncio.to_thread(replica.promote)
        client = replica.connect()
        for n in range(1000, 1300):
            publish(client, {"n": n})
        assert received.metric("bus_up") == 0
        rules.write_text(was)
        client.execute("SELECT pg_reload_conf()")
        await received.wait(lambda: {"n": 1299} in received.data)
        assert check_against(received, client) == list(range(100, 200))
        assert [error["extensions"]["code"] for error in received.errors] == ["EVENTS_LOST"]
