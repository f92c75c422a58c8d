# SPDX-License-Identifier: MIT
"""What the bus costs a PostgreSQL database: our trigger beside one written by
hand, `fraiseql.publish` beside plain inserts, and clients that come back.

    python benches/bench_postgres.py [trigger] [publish] [resume]
    python benches/bench_postgres.py instructions

Starts servers of its own, as the tests do, and lets pgbench write through a
unix socket. The sides of a comparison take turns within each round.
What the trigger costs is counted as well, by valgrind, where time says little
because others use the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import os
import pathlib
import platform
import random
import re
import resource
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

from backends import Postgres  # noqa: E402
from typing_extensions import Self  # noqa: E402

from fraiseql_asgi import SubscriptionManager, arg, event  # noqa: E402
from fraiseql_asgi._core import PostgresClient  # noqa: E402
from fraiseql_asgi._postgres_install import install  # noqa: E402
from fraiseql_asgi._postgres_watch import Watch, watch  # noqa: E402

COMMON = ("shared_buffers=256MB", "max_wal_size=4GB", "checkpoint_timeout=30min", "autovacuum=off")
#: What a commit waits for.
MODES = {
    "CPU-bound (fsync=off)": ("fsync=off",),
    "commit-bound (fsync=on)": ("fsync=on", "synchronous_commit=on"),
}

TABLES = """
CREATE TABLE plain (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer_id integer NOT NULL, state text NOT NULL, total numeric(10, 2) NOT NULL, note text
);
CREATE TABLE hand (LIKE plain INCLUDING ALL);
CREATE TABLE ours (LIKE plain INCLUDING ALL);
-- The table that the trigger by hand writes to is the outbox, but for its name.
CREATE TABLE hand_outbox (LIKE fraiseql.outbox INCLUDING ALL);
CREATE FUNCTION hand_publish() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO hand_outbox (channel, event_type, data)
    SELECT 'hand', 'insert', row_to_json(n) FROM changed n;
    RETURN NULL;
END
$$;
CREATE TRIGGER publish AFTER INSERT ON hand
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION hand_publish();
-- The same one, but into the outbox itself, from where it is delivered like ours.
CREATE TABLE heard (LIKE plain INCLUDING ALL);
CREATE FUNCTION heard_publish() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO fraiseql.outbox (channel, event_type, data)
    SELECT 'ours', 'insert', row_to_json(n) FROM changed n;
    RETURN NULL;
END
$$;
CREATE TRIGGER publish AFTER INSERT ON heard
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION heard_publish();
-- Without what the bus needs of it: what an insert costs at the least.
CREATE TABLE plain_event (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    channel text NOT NULL, event_type text NOT NULL, data jsonb NOT NULL
);
"""
ROW = "(customer_id, state, total, note) VALUES (17, 'shipped', 1299.50, 'leave it at the door')"
TRIGGER_SIDES = {
    "plain insert": f"INSERT INTO plain {ROW};\n",
    "trigger by hand": f"INSERT INTO hand {ROW};\n",
    "our trigger": f"INSERT INTO ours {ROW};\n",
}
#: With a server attached, which reads what both triggers write.
HEARD_SIDES = {
    "plain insert": TRIGGER_SIDES["plain insert"],
    "by hand, delivered": f"INSERT INTO heard {ROW};\n",
    "our trigger": TRIGGER_SIDES["our trigger"],
    "by hand, not delivered": TRIGGER_SIDES["trigger by hand"],
}
EVENT = """'{"id": 17, "state": "shipped", "total": 1299.50}'"""
PUBLISH_SIDES = {
    "insert, id and data": (
        f"INSERT INTO plain_event (channel, event_type, data) VALUES ('orders', 'sent', {EVENT});\n"
    ),
    "insert, equal table": (
        f"INSERT INTO hand_outbox (channel, event_type, data) VALUES ('orders', 'sent', {EVENT});\n"
    ),
    "fraiseql.publish": f"SELECT fraiseql.publish('orders', 'sent', {EVENT});\n",
}


@dataclasses.dataclass
class Sample:
    """One run of pgbench."""

    #: Per second.
    commits: float
    #: Of pgbench and of the server's processes that served it, per commit.
    cpu_us: float
    n_commits: int
    #: What processes that are not ours took of the machine meanwhile, 0 to 1.
    others: float


@contextlib.contextmanager
def server(*settings: str) -> Iterator[Postgres]:
    it = Postgres(*COMMON, *settings)
    try:
        yield it
    finally:
        it.close()


TICKS = os.sysconf("SC_CLK_TCK")


def process_stat(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat from the third on."""
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def postmaster(it: Postgres) -> int:
    return int((it.folder / "data" / "postmaster.pid").read_text().split()[0])


def cpu_seconds(it: Postgres) -> float:
    """Used by the server's processes that have ended, and by our children."""
    stat = process_stat(postmaster(it))
    ended = (int(stat[13]) + int(stat[14])) / TICKS
    ours = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended + ours.ru_utime + ours.ru_stime


def live_seconds(it: Postgres) -> float:
    """Used by this process, and by the server's that run still."""
    ours = resource.getrusage(resource.RUSAGE_SELF)
    seconds = ours.ru_utime + ours.ru_stime
    parent = str(postmaster(it))
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            stat = process_stat(int(folder.name))
            if stat[1] == parent:
                seconds += (int(stat[11]) + int(stat[12])) / TICKS
    return seconds


def machine_seconds() -> tuple[float, float]:
    """What all cores have worked, and what they could have."""
    with pathlib.Path("/proc/stat").open() as lines:
        each = [int(field) / TICKS for field in next(lines).split()[1:9]]
    return sum(each) - each[3] - each[4], sum(each)


def pgbench(it: Postgres, script: str, options: argparse.Namespace) -> Sample:
    path = it.folder / "script.sql"
    path.write_text(script)
    n_each = options.commits // options.clients
    before, live_before = cpu_seconds(it), live_seconds(it)
    worked_before, passed_before = machine_seconds()
    done = subprocess.run(
        [
            *(str(it.program("pgbench")), "-h", str(it.folder), "-U", "owner", "-n"),
            *("-M", "prepared", "-c", str(options.clients), "-j", "2"),
            *("-t", str(n_each), "-f", str(path), "postgres"),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=it.environ,
        check=True,
    )
    # Its sessions end a moment after it.
    client = it.connect()
    sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgbench'"
    while client.execute(sql)[0][0] != "0":
        time.sleep(0.005)
    time.sleep(0.02)
    cpu = cpu_seconds(it) - before
    worked, passed = machine_seconds()
    foreign = worked - worked_before - cpu - (live_seconds(it) - live_before)
    others = max(0.0, foreign) / (passed - passed_before)
    rate = re.search(r"tps = ([\d.]+)", done.stdout)
    assert rate is not None, done.stdout
    n_commits = n_each * options.clients
    return Sample(float(rate[1]), cpu / n_commits * 1e6, n_commits, others)


def table(samples: dict[str, list[Sample]]) -> None:
    """Prints medians, and ratios to the first and to the second side by the medians of
    the rounds' own."""
    names = list(samples)
    print(f"  {'':22} {'commits/s':>10}  {'CPU us each':>11}   x 1st rate, CPU   x 2nd rate, CPU")
    for name in names:
        own = samples[name]
        line = (
            f"  {name:22} {statistics.median(s.commits for s in own):10,.0f}  "
            f"{statistics.median(s.cpu_us for s in own):11.1f}"
        )
        for other in names[:2]:
            rates = [a.commits / b.commits for a, b in zip(own, samples[other], strict=True)]
            cpus = [b.cpu_us / a.cpu_us for a, b in zip(own, samples[other], strict=True)]
            rate, cpu = statistics.median(rates), statistics.median(cpus)
            line += f"   {rate:.2f} ({min(rates):.2f}-{max(rates):.2f}), {cpu:.2f}"
        print(line)
    others = [s.others for own in samples.values() for s in own]
    print(
        f"  other work took {statistics.median(others):.0%} of the machine (to {max(others):.0%})"
    )


def take_turns(
    it: Postgres, sides: dict[str, str], options: argparse.Namespace
) -> tuple[dict[str, list[Sample]], int]:
    """The samples of each side, and how many commits there were of it."""
    samples: dict[str, list[Sample]] = {name: [] for name in sides}
    n_done = n_rounds = 0
    while n_done < options.rounds:
        names = list(sides) if n_rounds % 2 else list(reversed(sides))
        taken = {name: pgbench(it, sides[name], options) for name in names}
        n_rounds += 1
        if all(sample.others <= options.others for sample in taken.values()):
            n_done += 1
            for name in names:
                samples[name].append(taken[name])
    if n_rounds > n_done:
        print(f"  {n_rounds - n_done} more rounds were disturbed and are left out")
    return samples, n_rounds * (options.commits // options.clients * options.clients)


def bench_instructions(sides: dict[str, str], n_commits: int = 1000) -> None:
    """Counted, not timed: the same whatever else the machine does. Without kernel and client."""
    if shutil.which("valgrind") is None:
        sys.exit("valgrind is missing: it counts the instructions")
    with server() as it:
        prepare(it).close()
        it.stop()
        count = ("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null")

        def executed(sql: str, n: int) -> int:
            lines = [f"PREPARE side AS {sql.strip()}", *["EXECUTE side;"] * n]
            found = re.search(r"Collected : (\d+)", it.alone(lines, *count))
            assert found is not None
            return int(found[1])

        each = {
            name: (executed(sql, n_commits + 100) - executed(sql, 100)) / n_commits
            for name, sql in sides.items()
        }
    first, second = list(each.values())[:2]
    print(f"instructions of the server for each of {n_commits:,} commits, one session:")
    for name, n in each.items():
        print(f"  {name:22} {n:11,.0f}   1st / it {first / n:.3f}   2nd / it {second / n:.3f}")


# -- a server of ours beside it ----------------------------------------------


async def subscribed(manager: SubscriptionManager) -> None:
    while manager.subscriber_count() == 0:  # noqa: ASYNC110  (it is known on another thread)
        await asyncio.sleep(0.01)


class Reader:
    """A `SubscriptionManager` with one subscriber, in a thread, and how late it is."""

    def __init__(self, dsn: str, channel: str) -> None:
        self.n_events = 0
        self.worst_lag_ms = 0.0
        self._dsn = dsn
        self._query = f"subscription {{ {channel} }}"
        self._is_ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),))

    async def _run(self) -> None:
        async with SubscriptionManager(self._dsn) as manager:
            task = asyncio.create_task(self._read(manager))
            await subscribed(manager)
            self._is_ready.set()
            while not self._stop.is_set():
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), 0.02)
                metrics = manager.get_metrics()
                self.n_events = int(metrics["events_received"])
                self.worst_lag_ms = max(self.worst_lag_ms, float(metrics["bus_lag_ms"]))
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _read(self, manager: SubscriptionManager) -> None:
        async for _ in manager.subscribe(self._query):
            pass

    def __enter__(self) -> Self:
        self._thread.start()
        self._is_ready.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()

    def catch_up(self, n_events: int) -> float:
        """Seconds until it has had so many."""
        start = time.monotonic()
        while self.n_events < n_events:
            assert time.monotonic() - start < 120, f"{self.n_events} of {n_events} came"
            time.sleep(0.005)
        return time.monotonic() - start


def prepare(it: Postgres) -> PostgresClient:
    client = it.connect()
    install(client)
    client.execute(TABLES)
    watch(client, Watch("ours", ("insert",)))
    return client


def bench_sides(
    title: str,
    sides: dict[str, str],
    heard_sides: dict[str, str],
    n_heard: int,
    channel: str,
    options: argparse.Namespace,
) -> None:
    """Without and with a server attached, to which `n_heard` of the `heard_sides` give events."""
    for mode, settings in MODES.items():
        with server(*settings) as it:
            client = prepare(it)
            print(f"{title}, {mode}, {options.clients} clients, {options.rounds} rounds")
            print(" no server attached:")
            table(take_turns(it, sides, options)[0])
            client.execute("TRUNCATE fraiseql.outbox")
            print(" one server that delivers attached:")
            with Reader(it.dsn, channel) as reader:
                samples, n_commits = take_turns(it, heard_sides, options)
                behind = reader.catch_up(n_heard * n_commits)
                table(samples)
                print(
                    f"  events were at most {reader.worst_lag_ms:.0f} ms late; the last was "
                    f"there {behind * 1000:.0f} ms after the writers' end"
                )


# -- resuming -----------------------------------------------------------------


async def collect_positions(manager: SubscriptionManager, it: Postgres, n: int) -> list[str]:
    """Publishes `n` events, a hundred in a commit; the position of each."""
    stream = manager.subscribe("subscription { all }")
    positions: list[str] = []

    async def read() -> None:
        async for _ in stream:
            assert stream.position is not None
            positions.append(stream.position)
            if len(positions) == n:
                return

    task = asyncio.create_task(read())
    await subscribed(manager)
    client = it.connect()
    for first in range(0, n, 100):
        client.execute(
            "SELECT count(fraiseql.publish('all', 'x', jsonb_build_object('id', n % 1000))) "
            f"FROM generate_series({first}, {first + 99}) n"
        )
    await asyncio.wait_for(task, 600)
    await stream.aclose()
    return positions


@contextlib.asynccontextmanager
async def resuming(dsn: str) -> AsyncIterator[SubscriptionManager]:
    manager = SubscriptionManager(dsn)
    manager.subscription("all", channel="all")
    manager.subscription("one", channel="all", where=event.id == arg.id)
    async with manager:
        yield manager


async def come_back(
    manager: SubscriptionManager, positions: list[str], n_clients: int, *, is_same: bool
) -> tuple[float, int]:
    """Seconds until all have had what they missed, and the reads it took."""
    chance = random.Random(7)
    before = int(manager.get_metrics()["history_reads"])

    async def one(number: int) -> None:
        at = 0 if is_same else chance.randrange(len(positions) // 2)
        query = f"subscription {{ one(id: {number % 1000}) {{ id }} }}"
        stream = manager.subscribe(query, after=positions[at])
        n_missed = sum(1 for n in range(at + 1, len(positions)) if n % 1000 == number % 1000)
        async with contextlib.aclosing(stream):
            for _ in range(n_missed):
                await anext(stream)

    start = time.monotonic()
    await asyncio.gather(*(one(number) for number in range(n_clients)))
    return time.monotonic() - start, int(manager.get_metrics()["history_reads"]) - before


async def bench_resume(options: argparse.Namespace) -> None:
    with server("fsync=off") as it:
        install(it.connect())
        for n_events in options.backlogs:
            async with resuming(it.dsn) as manager:
                positions = await collect_positions(manager, it, n_events)
                await resume(manager, positions, options.resuming, "the same instance")
            async with resuming(it.dsn) as manager:
                await resume(manager, positions, options.resuming, "one started later")


async def resume(
    manager: SubscriptionManager, positions: list[str], n_many: int, which: str
) -> None:
    for n_clients, is_same in ((1, True), (n_many, True), (n_many, False)):
        seconds, n_reads = await come_back(manager, positions, n_clients, is_same=is_same)
        where = "at one position" if is_same else "each elsewhere in the first half"
        print(
            f"resume: {n_clients:5,} clients {where}, backlog {len(positions):7,}, {which}: "
            f"{seconds:6.2f} s, {n_reads:,} history reads"
        )


def main() -> None:
    """Run what was asked for, or all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "which", nargs="*", choices=["trigger", "publish", "resume", "instructions", []]
    )
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--commits", type=int, default=20_000, help="of a side in a round")
    parser.add_argument(
        "--others",
        type=float,
        default=1.0,
        help="do a round again when other work took more of the machine meanwhile (0 to 1)",
    )
    parser.add_argument("--resuming", type=int, default=1000, help="clients that come back")
    parser.add_argument("--backlogs", type=int, nargs="*", default=[10_000, 100_000])
    options = parser.parse_args()
    which = options.which or ["trigger", "publish", "resume"]
    print(
        f"Python {platform.python_version()}, {os.cpu_count()} cores, "
        f"load {os.getloadavg()[0]:.1f}, "
        f"{', '.join(COMMON)}"
    )
    if "trigger" in which:
        bench_sides("trigger", TRIGGER_SIDES, HEARD_SIDES, 2, "ours", options)
    if "publish" in which:
        bench_sides("publish", PUBLISH_SIDES, PUBLISH_SIDES, 1, "orders", options)
    if "instructions" in which:
        bench_instructions(TRIGGER_SIDES)
    if "resume" in which:
        asyncio.run(bench_resume(options))


if __name__ == "__main__":
    main()
