# SPDX-License-Identifier: MIT
"""The command line, `fraiseql-asgi`: what is done beside serving.

Answers go to standard output, as text or with `--json` as JSON; what is on
its way and what went wrong go to standard error. Exit codes: 0, 1 for what
failed, 2 for what was asked wrongly.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from fraiseql_asgi import _bus_commands
from fraiseql_asgi._check_config import check_config
from fraiseql_asgi._core import Event, PostgresClient
from fraiseql_asgi._postgres_install import VERSION, install
from fraiseql_asgi._postgres_upkeep import prune, status
from fraiseql_asgi._postgres_watch import EVENTS, Watch, unwatch, watch
from fraiseql_asgi.config import EventBusConfig
from fraiseql_asgi.errors import ConfigError, FraiseQLError

__all__ = ["main"]

_UNITS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except FraiseQLError as error:
        print(f"fraiseql-asgi: {error.message}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # Who read the output has gone; nothing is left to say it to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fraiseql-asgi", description="Tools for GraphQL subscriptions with fraiseql_asgi."
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_postgres(commands)
    _add_bus(commands)
    config = commands.add_parser(
        "check-config", help="print what the default app is configured with, and by what"
    )
    config.add_argument("--json", action="store_true", help="print JSON")
    config.set_defaults(command=_check_config)
    return parser


# -- postgres ---------------------------------------------------------------


def _add_postgres(commands: Any) -> None:
    parser = commands.add_parser("postgres", help="the outbox in a PostgreSQL database")
    actions = parser.add_subparsers(metavar="ACTION", required=True)

    def action(
        name: str, command: Callable[[argparse.Namespace], int], text: str
    ) -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = actions.add_parser(name, help=text, description=text)
        added.add_argument(
            "--dsn",
            help="the database, as libpq takes it; else FRAISEQL_ASGI_BUS, else PG* variables",
        )
        added.set_defaults(command=command)
        return added

    added = action("install", _install, "create or update the schema 'fraiseql'")
    added.add_argument("--dry-run", action="store_true", help="print the SQL, change nothing")
    added.add_argument(
        "--publisher", metavar="ROLE", action="append", default=[], help="let ROLE publish"
    )
    added.add_argument(
        "--reader", metavar="ROLE", action="append", default=[], help="let ROLE read, as servers do"
    )
    added.add_argument(
        "--controller",
        metavar="ROLE",
        action="append",
        default=[],
        help="let ROLE end connections on all servers, and ask what they serve",
    )
    added.add_argument(
        "--pruner", metavar="ROLE", action="append", default=[], help="let ROLE delete old events"
    )

    added = action("watch", _watch, "publish what changes in a table")
    added.add_argument("table", metavar="TABLE")
    added.add_argument(
        "--events", type=_events, default=tuple(EVENTS), help="some of insert,update,delete"
    )
    added.add_argument("--columns", type=_names, default=(), help="what data holds; default: all")
    added.add_argument(
        "--channel", help="'orders', or 'orders:{id}' by a column; default: the table's name"
    )
    added.add_argument("--tenant", metavar="COLUMN", help="the column that says whose a row is")
    added.add_argument("--dry-run", action="store_true", help="print the SQL, change nothing")

    added = action("unwatch", _unwatch, "publish no more of a table")
    added.add_argument("table", metavar="TABLE")
    added.add_argument("--dry-run", action="store_true", help="print the SQL, change nothing")

    added = action("prune", _prune, "delete events that could be read for long enough")
    added.add_argument(
        "--keep", type=_seconds, default=3600.0, help="for how long: 90s, 15m, 1h (default), 2d"
    )
    added.add_argument("--batch", type=_count, default=10000, help="rows per transaction")
    added.add_argument("--no-vacuum", action="store_true", help="leave the space to autovacuum")

    action("status", _status, "print what is installed and how it does, as JSON")


def _connect(options: argparse.Namespace) -> PostgresClient:
    dsn = options.dsn
    if dsn is None:
        url = os.environ.get("FRAISEQL_ASGI_BUS", "")
        bus = EventBusConfig.from_url(url) if url else None
        dsn = bus.url if bus is not None and bus.bus_type == "postgresql" else ""
    return PostgresClient(dsn)


def _install(options: argparse.Namespace) -> int:
    done = install(
        _connect(options),
        options.publisher,
        options.reader,
        options.controller,
        options.pruner,
        dry_run=options.dry_run,
    )
    if options.dry_run:
        print(done.sql, end="")
    elif done.before is None:
        print(f"installed version {VERSION} of the schema 'fraiseql'")
    else:
        print(f"the schema 'fraiseql' has version {VERSION}, it had {done.before}")
    return 0


def _watch(options: argparse.Namespace) -> int:
    what = Watch(options.table, options.events, options.columns, options.channel, options.tenant)
    sql = watch(_connect(options), what, dry_run=options.dry_run)
    if options.dry_run:
        print(sql, end="")
    else:
        print(f"{options.table}: {', '.join(what.events)} publish")
    return 0


def _unwatch(options: argparse.Namespace) -> int:
    sql = unwatch(_connect(options), options.table, dry_run=options.dry_run)
    if options.dry_run:
        print(sql, end="")
    else:
        print(f"{options.table}: {'publishes no more' if sql else 'was not watched'}")
    return 0


def _prune(options: argparse.Namespace) -> int:
    progress = _Progress("deleted")
    n_deleted = prune(
        _connect(options),
        options.keep,
        options.batch,
        vacuum=not options.no_vacuum,
        progress=progress,
    )
    print(f"deleted {n_deleted} events")
    return 0


def _status(options: argparse.Namespace) -> int:
    print(json.dumps(status(_connect(options)), indent=2))
    return 0


# -- any bus ----------------------------------------------------------------


def _add_bus(commands: Any) -> None:
    def command(
        name: str, run: Callable[[argparse.Namespace], int], text: str
    ) -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
        added.add_argument("--bus", metavar="URL", help="default: FRAISEQL_ASGI_BUS")
        added.set_defaults(command=run)
        return added

    added = command("publish", _publish, "publish events; prints the id of each")
    added.add_argument("channel", metavar="CHANNEL", nargs="?", help="of an event given here")
    added.add_argument(
        "data", metavar="JSON", nargs="?", help="its data; without, one event per line of input"
    )
    added.add_argument("--type", default="published", help="its event type; default: published")

    added = command("tail", _tail, "print events as they come, one JSON object per line")
    added.add_argument("channels", metavar="CHANNEL", nargs="+")
    added.add_argument("--count", type=_count, help="end after so many")

    command("check", _check, "publish an event and receive it; prints how long that took")


def _bus(options: argparse.Namespace) -> EventBusConfig:
    return _bus_commands.bus_of(options.bus, os.environ)


def _publish(options: argparse.Namespace) -> int:
    if options.channel is None:
        events = _lines()
    elif options.data is None:
        raise ConfigError("the event has no data: give it behind the channel, such as '{\"n\": 1}'")
    else:
        events = iter([_event(options.channel, options.type, options.data)])
    progress = _Progress("published")
    try:
        asyncio.run(_bus_commands.publish(_bus(options), events, _print, progress))
    except FraiseQLError:
        raise
    except ValueError as error:  # an event that no bus may be given
        raise ConfigError(str(error)) from None
    return 0


def _print(text: str) -> None:
    print(text, flush=True)


def _event(channel: str, event_type: str, data: str) -> Event:
    try:
        value = json.loads(data)
    except ValueError as error:
        raise ConfigError(f"the data is no JSON: {error}") from None
    try:
        return Event(event_type, channel, value)
    except (TypeError, ValueError) as error:
        raise ConfigError(str(error)) from None


#: What a line of `publish` may hold.
_MEMBERS = ("channel", "event_type", "data", "tenant_id", "boundary", "meta")


def _lines() -> Iterator[Event]:
    """The events of standard input, an object per line as `tail` prints them."""
    for number, line in enumerate(sys.stdin, 1):
        if not line.strip():
            continue
        try:
            event = json.loads(line)
        except ValueError as error:
            raise ConfigError(f"line {number} is no JSON: {error}") from None
        if not isinstance(event, dict) or not {"channel", "event_type", "data"} <= event.keys():
            raise ConfigError(
                f"line {number} is no event: it takes channel, event_type and data, such as "
                '{"channel": "orders", "event_type": "created", "data": {"id": 1}}'
            )
        try:
            yield Event(**{name: event[name] for name in _MEMBERS if event.get(name) is not None})
        except (TypeError, ValueError) as error:
            raise ConfigError(f"line {number}: {error}") from None


def _tail(options: argparse.Namespace) -> int:
    def show(event: dict[str, Any]) -> None:
        _print(json.dumps(event, ensure_ascii=False))

    asyncio.run(_bus_commands.tail(_bus(options), tuple(options.channels), options.count, show))
    return 0


def _check(options: argparse.Namespace) -> int:
    print(json.dumps(asyncio.run(_bus_commands.check(_bus(options)))))
    return 0


# -- check-config -----------------------------------------------------------


def _check_config(options: argparse.Namespace) -> int:
    settings = check_config(os.environ)
    if options.json:
        print(json.dumps([setting.as_dict() for setting in settings], indent=2))
        return 0
    width = max(len(setting.name) for setting in settings)
    for setting in settings:
        value = "-" if setting.value is None else setting.value
        print(f"{setting.name:<{width}}  {value}  ({setting.source})")
    return 0


# -- arguments --------------------------------------------------------------


class _Progress:
    """Says on standard error how far long work is, once a second."""

    def __init__(self, verb: str) -> None:
        self._verb = verb
        self._next = time.monotonic() + 1

    def __call__(self, n: int) -> None:
        if time.monotonic() >= self._next:
            print(f"fraiseql-asgi: {self._verb} {n} so far", file=sys.stderr)
            self._next = time.monotonic() + 1


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text)
    if found is None or found[2] not in _UNITS:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration such as 90s, 15m, 1h or 2d")
    return float(found[1]) * _UNITS[found[2]]


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 10**6:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to 1000000")
    return int(text)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _events(text: str) -> tuple[str, ...]:
    names = _names(text.lower())
    for name in names:
        if name not in EVENTS:
            raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(EVENTS)}")
    if not names:
        raise argparse.ArgumentTypeError("no event is named")
    return names
