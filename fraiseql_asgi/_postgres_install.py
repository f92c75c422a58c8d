# SPDX-License-Identifier: MIT
"""The schema `fraiseql` in a PostgreSQL database: installing it, and granting
what publishers and readers need of it.

The SQL is in fraiseql_asgi/sql: a file per version that changed tables, and
one with the functions, which are replaced as a whole.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.resources
import re
from collections.abc import Sequence

from fraiseql_asgi._core import PostgresClient
from fraiseql_asgi.errors import BusError

__all__ = ["VERSION", "Installation", "install", "installed_version", "quoted", "require_install"]

#: The version of the schema that this package works with.
VERSION = 2
#: The first server that knows xid8.
SERVER_MINIMUM = 130000
#: Held while the schema is changed, so that two installers take turns.
_LOCK = "SELECT pg_advisory_xact_lock(1718771051, 100);"


@dataclasses.dataclass(frozen=True)
class Installation:
    """What `install` did, or would do."""

    #: The version before; None: there was none.
    before: int | None
    #: All of it, in one transaction.
    sql: str


def quoted(name: str) -> str:
    """`name` as an identifier in SQL."""
    return '"' + name.replace('"', '""') + '"'


def installed_version(client: PostgresClient) -> int | None:
    """The version in this database, None where there is none.

    Raises:
        BusError: something else is called fraiseql, or may not be read.
    """
    rows = client.execute(
        "SELECT to_regnamespace('fraiseql') IS NOT NULL, "
        "to_regclass('fraiseql.install') IS NOT NULL"
    )
    has_schema, has_table = (value == "t" for value in rows[0])
    if not has_schema:
        return None
    if not has_table:
        raise BusError(
            "this database has a schema 'fraiseql' that is not ours: it has no table install"
        )
    version = client.execute("SELECT version FROM fraiseql.install")[0][0]
    return int(version or 0)


def require_install(client: PostgresClient) -> None:
    """Check that the database has the version that this package works with.

    Raises:
        BusError: it has none or another; the text names the way out.
    """
    version = installed_version(client)
    if version is None:
        raise BusError(
            "this database has no schema 'fraiseql': run fraiseql-asgi postgres install first"
        )
    if version < VERSION:
        raise BusError(
            f"the schema 'fraiseql' has version {version}, this package needs {VERSION}: "
            "run fraiseql-asgi postgres install again"
        )
    if version > VERSION:
        raise BusError(
            f"the schema 'fraiseql' has version {version}, this package knows {VERSION}: "
            "update fraiseql-asgi"
        )


def install(
    client: PostgresClient,
    publishers: Sequence[str] = (),
    readers: Sequence[str] = (),
    controllers: Sequence[str] = (),
    pruners: Sequence[str] = (),
    *,
    dry_run: bool = False,
) -> Installation:
    """Bring the schema to this package's version; harmless when it is there.

    Args:
        publishers: roles that may publish.
        readers: roles that may read, as servers do.
        controllers: roles that may end connections on all servers, and ask
            what these serve.
        pruners: roles that may let old events go.
        dry_run: change nothing.

    Raises:
        BusError: the server is too old, the database has a newer version, or
            refuses.
    """
    if client.server_version < SERVER_MINIMUM:
        raise BusError(
            f"PostgreSQL 13 or later is needed, this is {client.server_version // 10000}"
        )
    encoding = client.execute("SHOW server_encoding")[0][0]
    if encoding != "UTF8":
        raise BusError(
            f"the database must have the encoding UTF8, not {encoding}: events are UTF-8"
        )
    grants = [
        *map(_publisher_grants, publishers),
        *map(_reader_grants, readers),
        *map(_controller_grants, controllers),
        *map(_pruner_grants, pruners),
    ]
    if dry_run:
        return _plan(client, grants)
    client.execute("BEGIN")
    try:
        # Whoever comes meanwhile finds what this one has made.
        client.execute(_LOCK)
        plan = _plan(client, grants)
        # A transaction of its own where it is run by hand; here, the rest of ours.
        client.execute(plan.sql.removeprefix("BEGIN;\n"))
    except BaseException:
        with contextlib.suppress(BusError):
            client.execute("ROLLBACK")
        raise
    return plan


def _plan(client: PostgresClient, grants: list[str]) -> Installation:
    _check_owner(client)
    before = installed_version(client)
    if before is not None and before > VERSION:
        require_install(client)
    return Installation(before, _script(before or 0, grants))


def _check_owner(client: PostgresClient) -> None:
    rows = client.execute(
        "SELECT pg_has_role(nspowner, 'USAGE'), nspowner::regrole, current_user "
        "FROM pg_namespace WHERE nspname = 'fraiseql'"
    )
    if rows and rows[0][0] != "t":
        raise BusError(
            f"the schema 'fraiseql' belongs to the role {rows[0][1]}, and {rows[0][2]} may not "
            "change it: install as its owner"
        )


def _script(before: int, grants: list[str]) -> str:
    """The SQL that leads from version `before` to ours."""
    parts = ["BEGIN;", _LOCK]
    for number, text in _migrations():
        if number > before:
            parts.append(text)
            if number > 1:
                parts.append(f"UPDATE fraiseql.install SET version = {number};")
    parts.append(_read("functions.sql"))
    parts += grants
    parts.append("COMMIT;")
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _read(name: str) -> str:
    return (importlib.resources.files("fraiseql_asgi") / "sql" / name).read_text("utf-8")


def _migrations() -> list[tuple[int, str]]:
    folder = importlib.resources.files("fraiseql_asgi") / "sql"
    names = sorted(file.name for file in folder.iterdir() if re.match(r"\d{4}_", file.name))
    return [(int(name[:4]), _read(name)) for name in names]


def _publisher_grants(role: str) -> str:
    name = quoted(role)
    return (
        f"GRANT USAGE ON SCHEMA fraiseql TO {name};\n"
        f"GRANT SELECT ON fraiseql.install TO {name};\n"
        "GRANT EXECUTE ON FUNCTION\n"
        "    fraiseql.publish(text, text, jsonb, text, text, jsonb),\n"
        "    fraiseql.publish_batch(text[], text[], text[], text[], text[], text[])\n"
        f"    TO {name};"
    )


def _reader_grants(role: str) -> str:
    name = quoted(role)
    return (
        f"GRANT USAGE ON SCHEMA fraiseql TO {name};\n"
        f"GRANT SELECT ON fraiseql.install, fraiseql.outbox TO {name};"
    )


def _controller_grants(role: str) -> str:
    name = quoted(role)
    return (
        f"GRANT USAGE ON SCHEMA fraiseql TO {name};\n"
        "GRANT EXECUTE ON FUNCTION\n"
        "    fraiseql.control(text[], text[]),\n"
        "    fraiseql.disconnect(text, text, text, integer, text)\n"
        f"    TO {name};"
    )


def _pruner_grants(role: str) -> str:
    name = quoted(role)
    return (
        f"GRANT USAGE ON SCHEMA fraiseql TO {name};\n"
        f"GRANT SELECT ON fraiseql.install TO {name};\n"
        "GRANT EXECUTE ON FUNCTION fraiseql.prune(interval, integer, bigint, bigint)\n"
        f"    TO {name};"
    )
