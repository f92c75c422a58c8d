# SPDX-License-Identifier: MIT
"""The buses: how long an event takes to a client, and how many of them go through.

Starts a Redis and a PostgreSQL of its own, servers under plain uvicorn, and writers in processes of
their own; the client is c/load.c. Exit code 1: a delivery was missing, twice or out of order.

    python benches/bench_bus.py [latency] [redis] [postgres] [--rounds 3]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pathlib
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import uvicorn
from bus_events import FIELDS, HISTORY, N_CHANNELS, channel, data
from fanout import LOAD, Server, build_load, cpu_seconds, spread

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

from backends import Postgres  # noqa: E402  (servers of our own)
from redis_backend import RedisServer  # noqa: E402

if TYPE_CHECKING:
    from typing_extensions import Self

#: Seconds for anything but the measurement itself.
PATIENCE = 60.0
PLAIN_SQL = """
CREATE TABLE plain (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    channel text NOT NULL, event_type text NOT NULL, data json NOT NULL)
"""
PLAIN = (
    "INSERT INTO plain (channel, event_type, data) VALUES ('{channel}', 'orderUpdated', '{data}');"
)
PUBLISH = "SELECT fraiseql.publish('{channel}', 'orderUpdated', '{data}');"

faults: list[str] = []


class Peer:
    """A process of bus_peer.py."""

    def __init__(self, *words: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "bus_peer.py"), *map(str, words)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"bench_bus: {self.process.args} has failed")
        return line.strip()

    def tell(self, number: int) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{number}\n")
        self.process.stdin.flush()

    def result(self) -> dict[str, float]:
        found: dict[str, float] = json.loads(self.line())
        return found


@contextlib.contextmanager
def load(server: Server, field: str, n: int) -> Iterator[subprocess.Popen[str]]:
    """The client, with a connection and a subscription for each channel, ready for `n` events."""
    query = f"subscription {{ {field}(id: %d) {{ {FIELDS} }} }}"
    command = [str(LOAD), "--port", str(server.port), "--query", query, "--time-key", "at"]
    command += ["--connections", str(N_CHANNELS), "--events", str(n // N_CHANNELS)]
    command += ["--timeout", str(PATIENCE + n / 1000)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        if process.stdout.readline() != "READY\n":
            raise SystemExit("bench_bus: the load client could not subscribe")
        try:
            yield process
        finally:
            process.kill()


def loaded(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What the client has counted, once it has all."""
    assert process.stdout is not None
    result: dict[str, Any] = json.loads(process.stdout.readline())
    kinds = ("missing", "duplicated", "reordered", "unexpected", "keyless", "closed")
    faults.extend(f"{result[kind]} {kind}" for kind in kinds if result[kind])
    return result


def spreads(rows: list[list[float]], form: str) -> str:
    return "  ".join(f"{spread(list(values), form):>26}" for values in zip(*rows, strict=True))


# -- latency ------------------------------------------------------------------


def measure_latency(
    server: Server, url: str, field: str, options: argparse.Namespace
) -> list[float]:
    """p50, p90, p99 and the greatest, in milliseconds."""
    n = int(options.rate * options.seconds) // N_CHANNELS * N_CHANNELS
    server.settle()
    with load(server, field, n) as client:
        if url == "memory://":
            server.broadcast(n)
            result = loaded(client)
        else:
            with Peer("write", url, n, options.rate) as writer:
                late = writer.result()["seconds"] * options.rate / n - 1
                result = loaded(client)
            if late > 0.05:
                print(f"the writer was {late:.0%} slower than asked for")
    return [result[f"latency_{which}_us"] / 1000 for which in ("p50", "p90", "p99", "max")]


def bench_latency(urls: dict[str, str], options: argparse.Namespace) -> None:
    print(
        f"\nevent to client at {options.rate:,.0f} events/s on {N_CHANNELS} connections, "
        f"{options.seconds:g} s a round, ms: median [least .. greatest] of "
        f"{options.rounds} rounds\n"
        "from: memory: publish(); redis: before the XADD is sent; postgresql: before the statement "
        "that inserts and commits is sent"
    )
    print(f"{'':<36}{'p50':>26}  {'p90':>26}  {'p99':>26}  {'max':>26}")
    servers: dict[str, Server] = {}
    rows: dict[tuple[str, str], list[list[float]]] = {}
    try:
        for name, url in urls.items():
            environ = {"BENCH_BUS": url, "BENCH_RATE": str(options.rate)}
            servers[name] = Server("bus_app:app", environ=environ)
            servers[name].wait_until_up()
        for _ in range(options.rounds):
            for name, server in servers.items():
                for field in ("direct", "resolved"):
                    row = measure_latency(server, urls[name], field, options)
                    rows.setdefault((name, field), []).append(row)
    finally:
        for server in servers.values():
            server.close()
    for (name, field), found in rows.items():
        what = name if field == "direct" else f"{name}, async resolver of 1 ms"
        print(f"{what:<36}{spreads(found, '.2f')}")


# -- throughput through Redis ---------------------------------------------------


def redis_benchmark(redis: RedisServer, n: int) -> float:
    """XADDs per second of the same event, by Redis's own tool, one connection, pipelined."""
    event = ("channel", channel(0), "event_type", "orderUpdated", "data", json.dumps(data(0)))
    command = ["redis-benchmark", "-p", str(redis.port), "-c", "1", "-P", "256", "-n", str(n)]
    command += ["--csv", "XADD", "bench:events", "MAXLEN", "~", str(HISTORY), "*", *event]
    command += ["created_at_ns", str(time.time_ns())]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    names, values = done.stdout.splitlines()
    # Quotes in the first value, the command, are not escaped.
    n_columns = len(names.split(","))
    return float(values.strip('"').rsplit('","', n_columns - 1)[1])


class Through:
    """What one way to a subscriber has cost: events/s and CPU us per event of each part."""

    def __init__(self, redis: RedisServer, n: int) -> None:
        assert redis.process is not None
        self.redis = redis.process.pid
        self.before = cpu_seconds(self.redis)
        self.n = n
        self.costs: dict[str, float] = {}

    def note(self, published: dict[str, float], end_ns: float, **seconds: float) -> float:
        seconds |= {
            "publisher's loop": published["python"],
            "its reactor": published["reactor"],
            "redis": cpu_seconds(self.redis) - self.before,
        }
        self.costs = {name: used * 1e6 / self.n for name, used in seconds.items()}
        return self.n / (end_ns - published["start_ns"]) * 1e9


def publish_alone(redis: RedisServer, n: int) -> tuple[float, dict[str, float]]:
    through = Through(redis, n)
    with Peer("publish", redis.url(), n, 10_000) as publisher:
        published = publisher.result()
    end_ns = published["start_ns"] + published["seconds"] * 1e9
    return through.note(published, end_ns), through.costs


def publish_to_instance(redis: RedisServer, n: int) -> tuple[float, dict[str, float]]:
    with Peer("count", redis.url()) as counter:
        assert counter.line() == "READY"
        through = Through(redis, n)
        counter.tell(n)
        with Peer("publish", redis.url(), n, 10_000) as publisher:
            published = publisher.result()
            counted = counter.result()
    if counted["n"] != n or counted["gaps"]:
        faults.append(f"{counted['n']:,.0f} of {n:,} counted, {counted['gaps']:.0f} gaps")
    return (
        through.note(published, counted["end_ns"], instance=counted["reactor"]),
        through.costs,
    )


def publish_to_clients(redis: RedisServer, n: int) -> tuple[float, dict[str, float]]:
    server = Server("bus_app:app", environ={"BENCH_BUS": redis.url(), "BENCH_BURST": "1"})
    try:
        server.wait_until_up()
        with load(server, "direct", n) as client:
            through = Through(redis, n)
            before = server.cpu_seconds()
            with Peer("publish", redis.url(), n, 10_000) as publisher:
                published = publisher.result()
                result = loaded(client)
            used = server.cpu_seconds() - before
    finally:
        server.close()
    return through.note(published, result["last_ns"], server=used), through.costs


def bench_redis(redis: RedisServer, options: argparse.Namespace) -> None:
    n = options.events
    ways = {
        "into Redis": publish_alone,
        "to another instance": publish_to_instance,
        "to clients of uvicorn": publish_to_clients,
    }
    tool: list[float] = []
    rates: dict[str, list[float]] = {name: [] for name in ways}
    costs: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    for _ in range(options.rounds):
        redis.command("FLUSHALL")
        tool.append(redis_benchmark(redis, n))
        for name, way in ways.items():
            redis.command("FLUSHALL")
            rate, cost = way(redis, n)
            rates[name].append(rate)
            costs[name].append(cost)
    redis.command("FLUSHALL")
    print(
        f"\nthrough Redis, {n:,} events of {len(json.dumps(data(0)))} bytes a round, from the "
        "first publish_events() of one process to the last event's arrival; "
        f"{options.rounds} rounds"
    )
    print(f"{'redis-benchmark -c 1 -P 256':<30}{spread(tool, ',.0f'):>34} XADD/s")
    for name, found in rates.items():
        ratios = [ours / theirs for ours, theirs in zip(found, tool, strict=True)]
        each = ", ".join(
            f"{part} {statistics.median(cost[part] for cost in costs[name]):.1f}"
            for part in costs[name][0]
        )
        print(
            f"{name:<30}{spread(found, ',.0f'):>34} events/s, {spread(ratios, '.2f')} x\n"
            f"{'':<30}CPU us per event: {each}"
        )


# -- commits of PostgreSQL --------------------------------------------------------


def pgbench(postgres: Postgres, script: str, options: argparse.Namespace) -> tuple[float, int]:
    """Commits per second, and how many there were."""
    text = json.dumps(data(0)).replace("'", "''")
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script.format(channel=channel(0), data=text).replace("%", "%%") + "\n")
        file.flush()
        command = [str(postgres.program("pgbench")), "-n", "-M", "prepared", "-f", file.name]
        command += ["-c", str(options.clients), "-j", "2", "-T", str(options.seconds)]
        command += ["-h", str(postgres.folder), "-U", "owner", "postgres"]
        done = subprocess.run(
            command, check=True, capture_output=True, text=True, env=postgres.environ
        )
    rate = re.search(r"tps = ([0-9.]+)", done.stdout)
    total = re.search(r"actually processed: ([0-9]+)", done.stdout)
    assert rate is not None, done.stdout
    assert total is not None
    return float(rate[1]), int(total[1])


def read_commits(postgres: Postgres, options: argparse.Namespace) -> tuple[float, float, float]:
    """Commits per second while an instance reads; how long after the last one it had all, in ms;
    and its CPU time per event, in us."""
    with Peer("count", postgres.dsn) as counter:
        assert counter.line() == "READY"
        rate, total = pgbench(postgres, PUBLISH, options)
        end = time.monotonic()
        counter.tell(total)
        counted = counter.result()
    if counted["n"] != total or counted["gaps"]:
        faults.append(f"{counted['n']:,.0f} of {total:,} commits, {counted['gaps']:.0f} gaps")
    lag = max(counted["end_ns"] / 1e9 - end, 0.0)
    return rate, lag * 1000, counted["reactor"] * 1e6 / total


def bench_postgres(postgres: Postgres, options: argparse.Namespace) -> None:
    client = postgres.connect()
    client.execute(PLAIN_SQL)
    plain: list[float] = []
    alone: list[float] = []
    read: list[float] = []
    lags: list[float] = []
    costs: list[float] = []
    for _ in range(options.rounds):
        client.execute("TRUNCATE plain")
        client.execute("TRUNCATE fraiseql.outbox")
        plain.append(pgbench(postgres, PLAIN, options)[0])
        alone.append(pgbench(postgres, PUBLISH, options)[0])
        rate, lag, cost = read_commits(postgres, options)
        read.append(rate)
        lags.append(lag)
        costs.append(cost)
    client.close()
    print(
        f"\nPostgreSQL, pgbench with {options.clients} clients, one event and one commit each, "
        f"{options.seconds:g} s; {options.rounds} rounds"
    )
    print(f"{'plain insert':<30}{spread(plain, ',.0f'):>34} commits/s")
    for name, found in (("fraiseql.publish", alone), ("the same, an instance reads", read)):
        ratios = [ours / theirs for ours, theirs in zip(found, plain, strict=True)]
        print(f"{name:<30}{spread(found, ',.0f'):>34} commits/s, {spread(ratios, '.2f')} x")
    print(f"{'behind the last commit':<30}{spread(lags, ',.1f'):>34} ms when all were delivered")
    print(f"{'CPU of the instance':<30}{spread(costs, '.1f'):>34} us per event")


# -- all of it ----------------------------------------------------------------------


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parts = ["latency", "redis", "postgres"]
    # argparse looks for what nobody has given among the choices, too.
    parser.add_argument(
        "parts", nargs="*", choices=[*parts, []], default=[], metavar="|".join(parts)
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4, help="of one measurement")
    parser.add_argument("--rate", type=float, default=1000, help="events/s where latency counts")
    parser.add_argument("--events", type=int, default=200_000, help="through Redis, a round")
    parser.add_argument("--clients", type=int, default=8, help="of pgbench")
    parser.add_argument(
        "--postgres", nargs="*", default=[], metavar="NAME=VALUE", help="further settings of its"
    )
    options = parser.parse_args()
    options.parts = options.parts or parts
    return options


def describe(postgres: Postgres, redis: RedisServer, options: argparse.Namespace) -> None:
    version = postgres.connect().execute("SHOW server_version")[0][0]
    found = re.search(r"redis_version:(\S+)", str(redis.command("INFO", "server")))
    print(
        f"Python {platform.python_version()}, uvicorn {uvicorn.__version__}, "
        f"Redis {found[1] if found else '?'} without persistence, PostgreSQL {version} with "
        f"fsync=off {' '.join(options.postgres)}\n"
        f"{platform.system()} {platform.release()} {platform.machine()}, "
        f"{len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}"
    )


def main() -> int:
    options = parse_options()
    build_load()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="fq-bench-"))
    redis = RedisServer(folder / "redis")
    postgres = Postgres("shared_buffers=256MB", "max_wal_size=8GB", *options.postgres)
    try:
        redis.start()
        postgres.fresh().close()
        describe(postgres, redis, options)
        urls = {"memory": "memory://", "redis": redis.url(), "postgresql": postgres.dsn}
        if "latency" in options.parts:
            bench_latency(urls, options)
        if "redis" in options.parts:
            bench_redis(redis, options)
        if "postgres" in options.parts:
            bench_postgres(postgres, options)
        print(f"\nload {os.getloadavg()[0]:.1f} in the end")
    finally:
        postgres.close()
        redis.stop()
        shutil.rmtree(folder, ignore_errors=True)
    for fault in faults:
        print(f"bench_bus: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
