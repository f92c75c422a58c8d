# SPDX-License-Identifier: MIT
"""`fraiseql-asgi postgres`, on a PostgreSQL that the tests start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from importlib import resources
from typing import Any

import pytest
from backends import Postgres, postgres  # noqa: F401  a fixture

from fraiseql_asgi._core import PostgresClient
from fraiseql_asgi._postgres_install import install
from fraiseql_asgi._postgres_upkeep import prune, status
from fraiseql_asgi.errors import BusError


class Command:
    """`fraiseql-asgi` as a process."""

    def __init__(self, server: Postgres) -> None:
        self.server = server

    def run(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        environ.setdefault("FRAISEQL_ASGI_BUS", self.server.dsn)
        return subprocess.run(
            [sys.executable, "-m", "fraiseql_asgi", *arguments],
            env=os.environ | environ,
            capture_output=True,
            text=True,
            timeout=30,
        )

    def __call__(self, *arguments: str, **environ: str) -> str:
        done = self.run(*arguments, **environ)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def fails(self, *arguments: str, **environ: str) -> str:
        done = self.run(*arguments, **environ)
        assert done.returncode == 1, done.stdout
        assert "Traceback" not in done.stderr
        return done.stderr


@pytest.fixture
def command(postgres: Postgres) -> Command:  # noqa: F811
    return Command(postgres)


@pytest.fixture
def client(postgres: Postgres) -> PostgresClient:  # noqa: F811
    """Nothing installed yet, and the tables of an application."""
    client = postgres.connect()
    client.execute(
        "DROP SCHEMA IF EXISTS fraiseql CASCADE; DROP SCHEMA IF EXISTS app CASCADE; "
        "CREATE SCHEMA app; CREATE TABLE app.orders "
        "(id integer PRIMARY KEY, owner text, total numeric, note text)"
    )
    return client


def outbox(client: PostgresClient) -> list[tuple[Any, ...]]:
    rows = client.execute(
        "SELECT channel, event_type, data, tenant_id FROM fraiseql.outbox ORDER BY id"
    )
    return [(row[0], row[1], json.loads(row[2] or ""), row[3]) for row in rows]


def test_install_is_idempotent_and_keeps_what_is_there(
    command: Command, client: PostgresClient
) -> None:
    assert command("postgres", "install") == "installed version 2 of the schema 'fraiseql'\n"
    before = client.execute("SELECT install_id FROM fraiseql.install")
    client.execute("""SELECT fraiseql.publish('a', 'b', '{"n": 1}')""")
    assert "has version 2, it had 2" in command("postgres", "install")
    assert client.execute("SELECT install_id FROM fraiseql.install") == before
    assert outbox(client) == [("a", "b", {"n": 1}, None)]


def test_dry_run_prints_what_would_run(command: Command, client: PostgresClient) -> None:
    sql = command("postgres", "install", "--dry-run", "--reader", 'odd"name')
    assert client.execute("SELECT to_regnamespace('fraiseql')") == [(None,)]
    assert 'TO "odd""name"' in sql
    client.execute(command("postgres", "install", "--dry-run"))
    assert json.loads(command("postgres", "status"))["version"] == 2


def test_two_installers_take_turns(command: Command, client: PostgresClient) -> None:
    codes: list[int] = []

    def install() -> None:
        codes.append(command.run("postgres", "install").returncode)

    threads = [threading.Thread(target=install) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [0, 0, 0]
    assert command("postgres", "install")
    assert client.execute("SELECT count(*) FROM fraiseql.install") == [("1",)]


def test_an_older_installation_is_brought_up_to_date(
    command: Command, client: PostgresClient
) -> None:
    """By just what it lacks; what it holds stays."""
    sql = resources.files("fraiseql_asgi") / "sql"
    client.execute((sql / "0001_outbox.sql").read_text())
    client.execute(
        "CREATE FUNCTION fraiseql.prune(keep interval DEFAULT '1 hour', batch integer DEFAULT 1) "
        "RETURNS bigint LANGUAGE sql AS 'SELECT 0::bigint'; "
        "INSERT INTO fraiseql.outbox (channel, event_type, data) VALUES ('a', 'b', '{}')"
    )
    before = client.execute("SELECT install_id FROM fraiseql.install")
    assert "has version 1, this package needs 2" in command.fails("postgres", "prune")
    text = command("postgres", "install", "--dry-run")
    assert "CREATE TABLE" not in text
    assert "UPDATE fraiseql.install SET version = 2" in text
    assert "has version 2, it had 1" in command("postgres", "install")
    assert client.execute("SELECT install_id FROM fraiseql.install") == before
    assert "CREATE TABLE" not in command("postgres", "install", "--dry-run")
    assert outbox(client) == [("a", "b", {}, None)]
    assert command("postgres", "prune", "--keep", "0") == "deleted 0 events\n"
    client.execute("SELECT fraiseql.publish('a', 'c', '{}')")
    assert command("postgres", "prune", "--keep", "0") == "deleted 1 events\n"


def test_who_does_not_own_the_schema_is_told_who_does(
    command: Command,
    client: PostgresClient,
    postgres: Postgres,  # noqa: F811
) -> None:
    client.execute("DROP ROLE IF EXISTS guest; CREATE ROLE guest LOGIN")
    dsn = postgres.dsn_of("guest")
    text = command.fails("postgres", "install", "--dsn", dsn)
    assert "permission denied for database" in text
    command("postgres", "install")
    text = command.fails("postgres", "install", "--dsn", dsn)
    assert "belongs to the role owner, and guest may not change it: install as its owner" in text
    client.execute("DROP ROLE guest")


def test_roles_may_do_their_part_and_no_more(
    command: Command,
    client: PostgresClient,
    postgres: Postgres,  # noqa: F811
) -> None:
    client.execute(
        "DROP ROLE IF EXISTS writer; DROP ROLE IF EXISTS server; DROP ROLE IF EXISTS other; "
        "CREATE ROLE writer LOGIN; CREATE ROLE server LOGIN; CREATE ROLE other LOGIN; "
        "GRANT USAGE ON SCHEMA app TO other; GRANT INSERT ON app.orders TO other"
    )
    command("postgres", "install", "--publisher", "writer", "--reader", "server")
    command("postgres", "watch", "app.orders")
    publish = """SELECT fraiseql.publish('a', 'b', '{}')"""
    read = "SELECT count(*) FROM fraiseql.outbox"
    insert = "INSERT INTO app.orders (id) VALUES (1)"
    allowed = {"writer": [publish], "server": [read], "other": [insert]}
    for role, statements in allowed.items():
        connection = postgres.connect(role)
        for sql in (publish, read, insert, "SELECT fraiseql.prune('1h')"):
            if sql in statements:
                connection.execute(sql)
                continue
            with pytest.raises(BusError, match="permission denied") as caught:
                connection.execute(sql)
            assert caught.value.reason == "42501"
    assert outbox(client)[-1] == (
        "orders",
        "insert",
        {"id": 1, "owner": None, "total": None, "note": None},
        None,
    )


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ("'', 'b', '{}'", "channel must have 1 to 1024 bytes"),
        ("repeat('x', 1025), 'b', '{}'", "channel must have 1 to 1024 bytes"),
        ("NULL, 'b', '{}'", "channel must have 1 to 1024 bytes"),
        ("'a', '', '{}'", "event_type must have 1 to 1024 bytes"),
        ("'a', 'b', '[]'", "data must be a JSON object, not array"),
        ("'a', 'b', NULL", "data must be a JSON object, not NULL"),
        ("'a', 'b', '{}', repeat('x', 1025)", "at most 1024 bytes"),
        ("'a', 'b', '{}', NULL, NULL, '[]'", "meta must be a JSON object"),
    ],
)
def test_publish_refuses_what_no_event_can_have(
    postgres: Postgres,  # noqa: F811
    call: str,
    text: str,
) -> None:
    with pytest.raises(BusError, match=text):
        postgres.fresh().execute(f"SELECT fraiseql.publish({call})")


def test_watch_publishes_what_statements_change(command: Command, client: PostgresClient) -> None:
    command("postgres", "install")
    command(
        *("postgres", "watch", "app.orders", "--columns", "id, owner"),
        *("--channel", "it's:{id}", "--tenant", "owner"),
    )
    client.execute("INSERT INTO app.orders VALUES (1, 'ann', 5), (2, '', 6)")
    client.execute("UPDATE app.orders SET total = 7 WHERE id = 1")
    client.execute("UPDATE app.orders SET total = 7 WHERE id = 99")
    client.execute("DELETE FROM app.orders")
    assert outbox(client) == [
        ("it's:1", "insert", {"id": 1, "owner": "ann"}, "ann"),
        ("it's:2", "insert", {"id": 2, "owner": ""}, None),
        ("it's:1", "update", {"id": 1, "owner": "ann"}, "ann"),
        ("it's:2", "delete", {"id": 2, "owner": ""}, None),
        ("it's:1", "delete", {"id": 1, "owner": "ann"}, "ann"),
    ]
    assert json.loads(command("postgres", "status"))["watched"] == [
        {"table": "app.orders", "events": "delete,insert,update"}
    ]


def test_watch_takes_columns_of_any_name(command: Command, client: PostgresClient) -> None:
    """Also those that the trigger calls something itself."""
    command("postgres", "install")
    client.execute('CREATE TABLE app."a ""table" (n numeric, r text, changed text, "x y" integer)')
    table = 'app."a ""table"'
    command("postgres", "watch", table, "--channel", "{x y}:{n}")
    client.execute(f"INSERT INTO {table} VALUES (1.50, 'R', 'C', 7)")
    command("postgres", "watch", table, "--channel", "c", "--columns", "n,r", "--tenant", "r")
    client.execute(f"DELETE FROM {table}")
    assert outbox(client) == [
        ("7:1.50", "insert", {"n": 1.5, "r": "R", "changed": "C", "x y": 7}, None),
        ("c", "delete", {"n": 1.5, "r": "R"}, "R"),
    ]


def test_a_row_makes_no_channel_that_no_event_can_have(
    command: Command, client: PostgresClient
) -> None:
    command("postgres", "install")
    command("postgres", "watch", "app.orders", "--channel", "{owner}", "--columns", "id")
    client.execute("INSERT INTO app.orders VALUES (1, NULL), (2, ''), (3, 'ann')")
    client.execute("INSERT INTO app.orders VALUES (4, repeat('\U0001f353', 300))")
    command("postgres", "watch", "app.orders", "--channel", "{owner}:é{note}", "--columns", "id")
    client.execute("UPDATE app.orders SET note = repeat('\U0001f353', 300) WHERE id = 4")
    client.execute("UPDATE app.orders SET note = repeat('n', 300) WHERE id = 3")
    client.execute("UPDATE app.orders SET note = 'n' WHERE id = 1")
    assert [row[0] for row in outbox(client)] == [
        "ann",
        "\U0001f353" * 256,
        "\U0001f353" * 254 + ":é",
        "ann:é" + "n" * 251,
        ":én",
    ]


def test_watch_again_replaces_and_unwatch_ends_it(command: Command, client: PostgresClient) -> None:
    command("postgres", "install")
    command("postgres", "watch", "app.orders")
    command("postgres", "watch", "app.orders", "--events", "delete")
    client.execute("INSERT INTO app.orders (id) VALUES (1); DELETE FROM app.orders")
    assert [row[:2] for row in outbox(client)] == [("orders", "delete")]
    assert "publishes no more" in command("postgres", "unwatch", "app.orders")
    assert "was not watched" in command("postgres", "unwatch", "app.orders")
    client.execute("INSERT INTO app.orders (id) VALUES (1); DELETE FROM app.orders")
    assert len(outbox(client)) == 1
    left = client.execute("SELECT count(*) FROM pg_proc WHERE proname LIKE 'watch%'")
    assert left == [("0",)]


def test_an_application_cannot_bend_the_trigger(command: Command, client: PostgresClient) -> None:
    """A function of the owner, called with the writer's search_path."""
    command("postgres", "install")
    command("postgres", "watch", "app.orders", "--channel", "o:{id}", "--tenant", "owner")
    client.execute(
        "CREATE FUNCTION app.left(text, integer) RETURNS text LANGUAGE sql AS "
        "$$ SELECT (1/0)::text $$; CREATE FUNCTION app.pg_try_advisory_xact_lock(integer, integer) "
        "RETURNS boolean LANGUAGE sql AS $$ SELECT 1/0 = 1 $$; "
        "CREATE FUNCTION app.evil(integer, integer) RETURNS integer "
        "LANGUAGE sql AS $$ SELECT 1/0 $$; "
        "CREATE FUNCTION app.evil(text, text) RETURNS boolean "
        "LANGUAGE sql AS $$ SELECT 1/0 = 1 $$; "
        "CREATE OPERATOR app.% (LEFTARG = integer, RIGHTARG = integer, FUNCTION = app.evil); "
        "CREATE OPERATOR app.<> (LEFTARG = text, RIGHTARG = text, FUNCTION = app.evil)"
    )
    client.execute("SET search_path = app, pg_catalog")
    client.execute("INSERT INTO orders (id, owner) VALUES (1, 'ann')")
    assert (outbox(client)[0][0], outbox(client)[0][3]) == ("o:1", "ann")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["watch", "app.none"], "there is no table 'app.none'"),
        (["watch", "app.orders", "--columns", "nope"], "no column 'nope'; there are id, owner"),
        (["watch", "app.orders", "--channel", "x:{nope}"], "no column 'nope'"),
        (["watch", "app.orders", "--channel", "x:{id"], "brace too many"),
        (["watch", "app.orders", "--channel", "x:}{id}"], "brace too many"),
        (["watch", "app.orders", "--channel", ""], "must not be empty"),
        (["watch", "app.orders", "--channel", "x" * 1025], "too long: at most 1024 bytes"),
        (["watch", "app.orders", "--channel", "x" * 129 + "{id}"], "or 128 characters beside"),
        (["watch", "fraiseql.outbox"], "is where events go"),
        (["unwatch", "app.none"], "there is no table 'app.none'"),
    ],
)
def test_watch_names_what_is_wrong(
    command: Command, client: PostgresClient, arguments: list[str], text: str
) -> None:
    command("postgres", "install")
    assert text in command.fails("postgres", *arguments)


@pytest.mark.parametrize("arguments", [["watch", "app.orders"], ["prune"], ["status"]])
def test_without_an_install_it_is_named(
    command: Command, client: PostgresClient, arguments: list[str]
) -> None:
    assert "run fraiseql-asgi postgres install" in command.fails("postgres", *arguments)


def test_a_newer_schema_is_left_alone(command: Command, client: PostgresClient) -> None:
    command("postgres", "install")
    client.execute("UPDATE fraiseql.install SET version = 99")
    for action in (["install"], ["prune"], ["watch", "app.orders"]):
        assert "has version 99, this package knows 2" in command.fails("postgres", *action)


def test_a_schema_of_somebody_else_is_left_alone(command: Command, client: PostgresClient) -> None:
    client.execute("CREATE SCHEMA fraiseql")
    assert "that is not ours" in command.fails("postgres", "install")


def test_a_server_that_is_not_there_is_named(command: Command) -> None:
    text = command.fails("postgres", "status", FRAISEQL_ASGI_BUS="postgresql://127.0.0.1:1/x")
    assert 'connection to server at "127.0.0.1", port 1 failed' in text


def test_pg_variables_are_read(command: Command, client: PostgresClient) -> None:
    command("postgres", "install")
    environ = {"PGHOST": str(command.server.folder), "PGUSER": "owner", "PGDATABASE": "postgres"}
    assert '"version": 2' in command("postgres", "status", FRAISEQL_ASGI_BUS="", **environ)


def test_prune_takes_the_old_and_leaves_the_rest(command: Command, client: PostgresClient) -> None:
    command("postgres", "install")
    client.execute(
        "SELECT count(fraiseql.publish('a', 'b', jsonb_build_object('n', n))) "
        "FROM generate_series(1, 2500) n"
    )
    client.execute("UPDATE fraiseql.outbox SET created_at = created_at - interval '2 hours'")
    client.execute("""SELECT fraiseql.publish('a', 'old', '{}')""")
    client.execute(
        "UPDATE fraiseql.outbox SET created_at = created_at - interval '2 hours' "
        "WHERE event_type = 'old'"
    )
    client.execute("""SELECT fraiseql.publish('a', 'new', '{}')""")
    done = command("postgres", "prune", "--keep", "1h", "--batch", "1000")
    assert done == "deleted 2500 events\n"
    # The last old one tells how far back all is old; it goes with the next.
    assert [row[1] for row in outbox(client)] == ["old", "new"]
    below, settled = client.execute(
        "SELECT pruned_below, (SELECT settled FROM fraiseql.outbox WHERE event_type = 'old') "
        "FROM fraiseql.install"
    )[0]
    assert below == settled
    assert command("postgres", "prune", "--keep", "1h") == "deleted 0 events\n"


def test_prune_keeps_what_a_long_transaction_has_just_committed(
    command: Command,
    client: PostgresClient,
    postgres: Postgres,  # noqa: F811
) -> None:
    command("postgres", "install")
    long = postgres.connect()
    long.execute("BEGIN")
    long.execute("""SELECT fraiseql.publish('a', 'long', '{}')""")
    client.execute("""SELECT fraiseql.publish('a', 'short', '{}')""")
    age = "UPDATE fraiseql.outbox SET created_at = created_at - interval '2 hours'"
    client.execute(age)
    long.execute(age)
    long.execute("COMMIT")
    client.execute("""SELECT fraiseql.publish('a', 'new', '{}')""")
    assert command("postgres", "prune") == "deleted 0 events\n"
    assert [row[1] for row in outbox(client)] == ["long", "short", "new"]


def test_pruning_while_publishing_does_not_let_the_table_grow(client: PostgresClient) -> None:
    install(client)
    sizes = []
    for _ in range(6):
        client.execute(
            "SELECT count(fraiseql.publish('a', 'b', jsonb_build_object('n', n))) "
            "FROM generate_series(1, 5000) n"
        )
        client.execute("""SELECT fraiseql.publish('a', 'b', '{}')""")
        prune(client, 0, 10000)
        sizes.append(status(client)["bytes"])
    assert sizes[-1] <= sizes[1] * 1.2


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["postgres", "prune", "--keep", "soon"], "no duration such as"),
        (["postgres", "prune", "--batch", "0"], "no number from 1"),
        (["postgres", "watch", "t", "--events", "truncate"], "'truncate' is none of"),
        (["postgres"], "required"),
        ([], "required"),
    ],
)
def test_wrong_arguments_are_named(command: Command, arguments: list[str], text: str) -> None:
    done = command.run(*arguments)
    assert done.returncode == 2
    assert text in done.stderr


def test_check_config_says_what_is_in_force_and_why(command: Command) -> None:
    environ = {
        "FRAISEQL_ASGI_BUS": "memory://",
        "FRAISEQL_ASGI_JWT_SECRET": "not for your eyes, not at all 32",
        "FRAISEQL_ASGI_MAX_CONNECTIONS": "7",
    }
    pytest.importorskip("jwt")
    found = {s["name"]: s for s in json.loads(command("check-config", "--json", **environ))}
    assert found["FRAISEQL_ASGI_MAX_CONNECTIONS"] == {
        "name": "FRAISEQL_ASGI_MAX_CONNECTIONS",
        "value": "7",
        "source": "environment",
    }
    assert found["FRAISEQL_ASGI_JWT_SECRET"]["value"] == "***"
    assert found["FRAISEQL_ASGI_MESSAGE_MAX_BYTES"]["source"] == "default"
    assert "7  (environment)" in command("check-config", **environ)
    text = command.fails("check-config", FRAISEQL_ASGI_BUS="memory://", FRAISEQL_ASGI_NOPE="1")
    assert "unknown variable FRAISEQL_ASGI_NOPE" in text


def test_publish_tail_and_check_use_the_bus(
    command: Command,
    postgres: Postgres,  # noqa: F811
) -> None:
    client = postgres.fresh()
    tail = subprocess.Popen(
        [sys.executable, "-m", "fraiseql_asgi", "tail", "one", "two", "--count", "3"],
        env=os.environ | {"FRAISEQL_ASGI_BUS": postgres.dsn},
        stdout=subprocess.PIPE,
        text=True,
    )
    # Whoever listens comes too late for what was published before.
    while not client.execute(
        "SELECT 1 FROM pg_stat_activity WHERE application_name = 'fraiseql-asgi'"
    ):
        time.sleep(0.02)
    time.sleep(0.5)
    first = command("publish", "one", '{"n": 1}', "--type", "single").strip()
    lines = [
        {"channel": "two", "event_type": "line", "data": {"n": 2}},
        {"channel": "one", "event_type": "line", "data": {"n": 3}, "meta": {"k": "v"}},
    ]
    done = subprocess.run(
        [sys.executable, "-m", "fraiseql_asgi", "publish", "--bus", postgres.dsn],
        input="\n".join(map(json.dumps, lines)) + "\n\n",
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    out, _ = tail.communicate(timeout=30)
    events = [json.loads(line) for line in out.splitlines()]
    assert [event["id"] for event in events] == [first, *done.stdout.split()]
    assert [event["data"]["n"] for event in events] == [1, 2, 3]
    assert events[2]["meta"] == {"k": "v"}
    found = json.loads(command("check"))
    assert found["bus_type"] == "postgresql"
    assert 0 < found["receive_ms"] < 10_000


@pytest.mark.parametrize(
    ("arguments", "environ", "text"),
    [
        (["check"], {"FRAISEQL_ASGI_BUS": ""}, "lives inside a server"),
        (["publish", "one"], {}, "the event has no data"),
        (["publish", "one", "{"], {}, "the data is no JSON"),
        (["publish", "", "{}"], {}, "channel"),
        (["publish", "one", "[]"], {}, "object"),
        (["check"], {"FRAISEQL_ASGI_BUS": "postgresql://127.0.0.1:1/x"}, "port 1 failed"),
    ],
)
def test_what_cannot_be_published_is_named(
    command: Command, arguments: list[str], environ: dict[str, str], text: str
) -> None:
    command.server.fresh()
    assert text in command.fails(*arguments, **environ)
