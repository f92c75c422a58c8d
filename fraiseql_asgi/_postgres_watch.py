# SPDX-License-Identifier: MIT
"""Triggers that publish what changes in a table.

Each is a statement-level trigger over its transition table, with a function
of its own whose SQL is static: one INSERT for all rows of a statement, no
text put together while the application writes.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Sequence

from fraiseql_asgi._core import PostgresClient
from fraiseql_asgi._postgres_install import quoted, require_install
from fraiseql_asgi.errors import BusError

__all__ = ["EVENTS", "Watch", "unwatch", "watch", "watched"]

#: What can be watched, and the transition table that holds it.
EVENTS = {"insert": "NEW", "update": "NEW", "delete": "OLD"}
#: PostgreSQL cuts longer names.
_NAME_MAX = 63
#: Bytes of a channel, and the characters that always fit in them.
_CHANNEL_MAX = 1024
_CHANNEL_CHARACTERS = 256


@dataclasses.dataclass(frozen=True)
class Watch:
    """What to publish of a table."""

    #: With or without a schema, as SQL names it.
    table: str
    events: tuple[str, ...] = ("insert", "update", "delete")
    #: What an event's data holds; empty: every column.
    columns: tuple[str, ...] = ()
    #: `orders`, or `orders:{id}` with the value of a column; None: the table's
    #: name.
    channel: str | None = None
    #: The column that says whose a row is.
    tenant: str | None = None


def watch(client: PostgresClient, what: Watch, *, dry_run: bool = False) -> str:
    """Publish what changes in a table from now on; returns the SQL for it.

    Replaces what was watched of it before.

    Raises:
        BusError: no such table or column, not its owner, or nothing installed.
    """
    require_install(client)
    schema, name, kind = _table(client, what.table)
    if kind not in "rp":
        raise BusError(f"{what.table} is no table: only tables have changes to watch")
    if (schema, name) == ("fraiseql", "outbox"):
        raise BusError("fraiseql.outbox is where events go: watching it would never end")
    columns = [
        column or ""
        for (column,) in client.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass($1) "
            "AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            (what.table,),
        )
    ]
    for column in [*what.columns, *([what.tenant] if what.tenant else [])]:
        _check_column(what.table, column, columns)
    sql = _watch_sql(schema, name, what, columns)
    if not dry_run:
        client.execute(sql)
    return sql


def unwatch(client: PostgresClient, table: str, *, dry_run: bool = False) -> str:
    """Publish no more of a table; returns the SQL for it, empty for none.

    Raises:
        BusError: no such table, or not its owner.
    """
    schema, name, _ = _table(client, table)
    rows = client.execute(
        "SELECT t.tgname, p.proname FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid "
        "WHERE t.tgrelid = to_regclass($1) AND NOT t.tgisinternal "
        "AND p.pronamespace = to_regnamespace('fraiseql') ORDER BY t.tgname",
        (table,),
    )
    if not rows:
        return ""
    parts = ["BEGIN;"]
    for trigger, function in rows:
        parts.append(f"DROP TRIGGER {quoted(trigger or '')} ON {quoted(schema)}.{quoted(name)};")
        parts.append(f"DROP FUNCTION fraiseql.{quoted(function or '')}();")
    sql = "\n".join([*parts, "COMMIT;", ""])
    if not dry_run:
        client.execute(sql)
    return sql


def watched(client: PostgresClient) -> list[dict[str, str]]:
    """The tables that are watched, and for what."""
    rows = client.execute(
        "SELECT format('%I.%I', n.nspname, c.relname), "
        "string_agg(replace(t.tgname, 'fraiseql_', ''), ',' ORDER BY t.tgname) "
        "FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
        "JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_proc p ON p.oid = t.tgfoid "
        "WHERE NOT t.tgisinternal AND p.pronamespace = to_regnamespace('fraiseql') "
        "GROUP BY 1 ORDER BY 1"
    )
    return [{"table": table or "", "events": events or ""} for table, events in rows]


def _table(client: PostgresClient, table: str) -> tuple[str, str, str]:
    rows = client.execute(
        "SELECT n.nspname, c.relname, c.relkind FROM pg_class c "
        "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass($1)",
        (table,),
    )
    if not rows:
        raise BusError(f"there is no table {table!r} in this database, or not in its search_path")
    schema, name, kind = (value or "" for value in rows[0])
    return schema, name, kind


def _check_column(table: str, column: str, columns: Sequence[str]) -> None:
    if column not in columns:
        raise BusError(f"{table} has no column {column!r}; there are {', '.join(columns)}")


def _watch_sql(schema: str, name: str, what: Watch, columns: Sequence[str]) -> str:
    target = f"{quoted(schema)}.{quoted(name)}"
    channel, may_be_empty = _channel_sql(what, name, columns)
    rows = f"changed n WHERE {channel} OPERATOR(pg_catalog.<>) ''" if may_be_empty else "changed n"
    parts = ["BEGIN;"]
    for event in EVENTS:
        parts.append(f"DROP TRIGGER IF EXISTS fraiseql_{event} ON {target};")
        function = f"fraiseql.{quoted(_function_name(schema, name, event))}"
        if event not in what.events:
            parts.append(f"DROP FUNCTION IF EXISTS {function}();")
            continue
        parts.append(_function_sql(function, event, channel, rows, what))
        parts.append(
            f"CREATE TRIGGER fraiseql_{event} AFTER {event.upper()} ON {target}\n"
            f"    REFERENCING {EVENTS[event]} TABLE AS changed\n"
            f"    FOR EACH STATEMENT EXECUTE FUNCTION {function}();"
        )
    return "\n".join([*parts, "COMMIT;", ""])


def _function_name(schema: str, name: str, event: str) -> str:
    full = f"watch_{schema}_{name}_{event}"
    # An underscore in a name may make two tables alike; a digest tells.
    digest = hashlib.sha256(f"{schema}.{name}".encode()).hexdigest()[:8]
    encoded = full.encode()[: _NAME_MAX - 9].decode(errors="ignore")
    return f"{encoded}_{digest}"


def _literal(text: str) -> str:
    """`text` as a string in SQL, whatever standard_conforming_strings says."""
    body = text.replace("'", "''")
    return "E'" + body.replace("\\", "\\\\") + "'" if "\\" in text else f"'{body}'"


def _channel_sql(what: Watch, name: str, columns: Sequence[str]) -> tuple[str, bool]:
    """An expression over the row `n`, and whether it may be the empty text."""
    template = name if what.channel is None else what.channel
    if not template:
        raise BusError("the channel must not be empty")
    if template.startswith("$fraiseql:"):
        raise BusError("channels that begin with $fraiseql: are reserved")
    pieces = re.findall(r"([^{}]+)|\{([^{}]*)\}", template)
    if "".join(literal or f"{{{column}}}" for literal, column in pieces) != template:
        raise BusError(
            f"the channel {template!r} has a brace too many; '{{id}}' is a column's value"
        )
    fixed = "".join(literal for literal, _ in pieces)
    n_columns = sum(not literal for literal, _ in pieces)
    n_left = _CHANNEL_CHARACTERS - len(fixed)
    if len(fixed.encode()) > _CHANNEL_MAX or (n_columns and n_left < _CHANNEL_CHARACTERS // 2):
        raise BusError(
            f"the channel {template[:40]!r}... is too long: at most {_CHANNEL_MAX} bytes, "
            f"or {_CHANNEL_CHARACTERS // 2} characters beside columns"
        )
    parts = []
    for literal, column in pieces:
        if literal:
            parts.append(_literal(literal))
        else:
            _check_column(what.table, column, columns)
            value = f"n.{quoted(column)}::pg_catalog.text"
            parts.append(f"COALESCE(pg_catalog.left({value}, {n_left}), '')")
    channel = " OPERATOR(pg_catalog.||) ".join(parts)
    if n_columns > 1:
        channel = f"pg_catalog.left({channel}, {_CHANNEL_CHARACTERS})"
    return channel, not fixed


def _function_sql(function: str, event: str, channel: str, rows: str, what: Watch) -> str:
    if what.columns:
        row = ", ".join(f"n.{quoted(column)}" for column in what.columns)
        data = f"(SELECT pg_catalog.row_to_json(r.*) FROM (SELECT {row}) r)"
    else:
        # Not `n`: the table may have a column of that name.
        data = "pg_catalog.row_to_json(n.*)"
    tenant_name, tenant = "", ""
    if what.tenant is not None:
        tenant_name = ", tenant_id"
        value = f"pg_catalog.left(n.{quoted(what.tenant)}::pg_catalog.text, 256)"
        tenant = f", CASE WHEN {value} OPERATOR(pg_catalog.<>) '' THEN {value} END"
    # Every name is qualified, as the function runs with its owner's rights. It
    # runs for each statement of the application, and an expression costs it as
    # much as the lock does: so there is one where no reader sleeps. What
    # such a trigger returns is ignored, and NEW, which is null, is no expression.
    return (
        f"CREATE OR REPLACE FUNCTION {function}() RETURNS trigger\n"
        "LANGUAGE plpgsql SECURITY DEFINER AS $fraiseql$\n"
        "BEGIN\n"
        f"    INSERT INTO fraiseql.outbox (channel, event_type, data{tenant_name})\n"
        f"    SELECT {channel}, '{event}', {data}{tenant} FROM {rows};\n"
        "    IF pg_catalog.pg_try_advisory_xact_lock_shared(1718771051, 4) THEN\n"
        "        RETURN NEW;\n"
        "    END IF;\n"
        "    IF FOUND AND pg_catalog.pg_try_advisory_xact_lock(\n"
        "        1718771051, pg_catalog.pg_backend_pid() OPERATOR(pg_catalog.%) 4\n"
        "    ) AND pg_catalog.pg_notification_queue_usage() OPERATOR(pg_catalog.<) 0.9 THEN\n"
        "        PERFORM pg_catalog.pg_notify('fraiseql', '');\n"
        "    END IF;\n"
        "    RETURN NEW;\n"
        "END\n"
        "$fraiseql$;"
    )
