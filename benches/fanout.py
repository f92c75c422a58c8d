# SPDX-License-Identifier: MIT
"""Fan-out through uvicorn: fraiseql_asgi against a bare ASGI application.

Starts both under plain uvicorn with the same event loop and WebSocket implementation, each
pinned to one core and the load client (`c/load.c`, compiled on first use) to another, and
measures them alternately. Exit code 1: a delivery was missing, twice or out of order.

    python benches/fanout.py [--loop asyncio] [--rounds 5]
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import pathlib
import platform
import shlex
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import uvicorn
from fanout_common import QUERY

HERE = pathlib.Path(__file__).resolve().parent
LOAD_SOURCE = HERE / "c" / "load.c"
LOAD = HERE.parent / "build" / "benches" / "load"

#: name -> application
SERVERS = {"bare": "bare_asgi:app", "fraiseql_asgi": "fanout_app:app"}

START_TIMEOUT = 20.0
SETTLE_TIMEOUT = 20.0


@dataclass
class Round:
    """One measurement of one server."""

    deliveries_per_s: float  # from the call to publish to the last one's arrival
    cpu_us: float  # of the server, user and system, per delivery
    connect_per_s: float
    faults: list[str]


class Server:
    """An application under uvicorn on a core of its own, until `close`."""

    def __init__(
        self,
        app: str,
        *,
        loop: str = "auto",
        ws: str = "auto",
        core: int | None = None,
        environ: dict[str, str] | None = None,
    ) -> None:
        self.port = free_port()
        command = [sys.executable, "-m", "uvicorn", "--app-dir", str(HERE), app]
        command += ["--port", str(self.port), "--log-level", "warning", "--no-access-log"]
        command += ["--loop", loop, "--ws", ws]
        self.command = command
        cores = os.sched_getaffinity(0) if core is None else {core}
        self.process = subprocess.Popen(
            command,
            env={**os.environ, **(environ or {})},
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )

    def wait_until_up(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while self.process.poll() is None and time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise SystemExit(f"fanout: {shlex.join(self.command)} did not start")

    def close(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def cpu_seconds(self) -> float:
        return cpu_seconds(self.process.pid)

    def settle(self) -> None:
        """Wait until it has done what the last client left it to do."""
        deadline = time.monotonic() + SETTLE_TIMEOUT
        before, now = -1.0, self.cpu_seconds()
        while now > before and time.monotonic() < deadline:
            time.sleep(0.3)
            before, now = now, self.cpu_seconds()

    def broadcast(self, n: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("POST", f"/broadcast?n={n}")
        status = connection.getresponse().status
        connection.close()
        if status != 202:
            raise SystemExit(f"fanout: POST /broadcast was answered {status}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cpu_seconds(pid: int) -> float:
    """Return the user and system time of all threads of a process so far."""
    stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    fields = stat.rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def build_load() -> None:
    """Compile the load client unless it is newer than its source."""
    if LOAD.exists() and LOAD.stat().st_mtime > LOAD_SOURCE.stat().st_mtime:
        return
    LOAD.parent.mkdir(parents=True, exist_ok=True)
    command = [*shlex.split(os.environ.get("CC", "cc")), "-std=c11", "-D_GNU_SOURCE"]
    command += ["-O2", "-Wall", "-Wextra", str(LOAD_SOURCE), "-o", str(LOAD)]
    subprocess.run(command, check=True)


def measure(server: Server, connections: int, events: int, options: argparse.Namespace) -> Round:
    server.settle()
    command = [str(LOAD), "--port", str(server.port), "--query", QUERY, "--hold"]
    command += ["--connections", str(connections), "--events", str(events)]
    command += ["--timeout", str(options.timeout)]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {options.client_core}),
    ) as load:
        assert load.stdout is not None
        if load.stdout.readline() != "READY\n":
            raise SystemExit("fanout: the load client could not subscribe")
        cpu_before = server.cpu_seconds()
        start_ns = time.monotonic_ns()
        server.broadcast(events)
        result = json.loads(load.stdout.readline())
        cpu = server.cpu_seconds() - cpu_before
    kinds = ("missing", "duplicated", "reordered", "unexpected", "keyless", "closed")
    return Round(
        deliveries_per_s=result["deliveries"] * 1e9 / max(result["last_ns"] - start_ns, 1),
        cpu_us=cpu * 1e6 / max(result["deliveries"], 1),
        connect_per_s=connections / result["connect_seconds"],
        faults=[f"{result[kind]} {kind}" for kind in kinds if result[kind]],
    )


def run(options: argparse.Namespace) -> dict[str, list[Round]]:
    """Measure each server in turn, round by round, all of them running throughout."""
    rounds: dict[str, list[Round]] = {name: [] for name in options.servers}
    running: dict[str, Server] = {}
    try:
        for name in options.servers:
            running[name] = Server(
                SERVERS[name],
                loop=options.loop,
                ws=options.ws,
                core=options.server_core,
                environ={"BARE_PUBLISHER": options.bare_publisher},
            )
            running[name].wait_until_up()
            measure(running[name], 50, 20, options)  # imports, caches
        print(f"{'round':>5}  {'server':<14} {'deliveries/s':>12} {'CPU us each':>12} connect/s")
        for i in range(options.rounds):
            for name, server in running.items():
                one = measure(server, options.connections, options.events, options)
                rounds[name].append(one)
                print(
                    f"{i + 1:>5}  {name:<14} {one.deliveries_per_s:>12,.0f} {one.cpu_us:>12.2f} "
                    f"{one.connect_per_s:>9,.0f}  {', '.join(one.faults)}",
                    flush=True,
                )
    finally:
        for server in running.values():
            server.close()
    return rounds


def spread(values: list[float], form: str) -> str:
    """Return the median and, in brackets, the least and the greatest."""
    low, middle, high = (
        format(value, form) for value in (min(values), statistics.median(values), max(values))
    )
    return f"{middle} [{low} .. {high}]"


def report(rounds: dict[str, list[Round]]) -> None:
    for name, measured in rounds.items():
        rates = spread([one.deliveries_per_s for one in measured], ",.0f")
        costs = spread([one.cpu_us for one in measured], ".2f")
        print(f"{name}: {rates} deliveries/s, {costs} us of CPU each")
    if len(rounds) == 2:
        compare(rounds, "deliveries/s (more is better)", lambda one: one.deliveries_per_s)
        compare(rounds, "CPU per delivery (less is better)", lambda one: one.cpu_us)


def compare(rounds: dict[str, list[Round]], what: str, value: Callable[[Round], float]) -> None:
    """Print ours as a multiple of the bare application's."""
    bare = [value(one) for one in rounds["bare"]]
    ours = [value(one) for one in rounds["fraiseql_asgi"]]
    ratio = statistics.median(ours) / statistics.median(bare)
    by_round = [a / b for a, b in zip(ours, bare, strict=True)]
    low, high = min(by_round), max(by_round)
    print(f"{what}: {ratio:.2f} x bare, ratio of medians; by round {low:.2f} .. {high:.2f}")


def describe(options: argparse.Namespace) -> None:
    """Print what is measured with what."""
    config = uvicorn.Config("fanout_common:control", loop=options.loop, ws=options.ws)
    config.load()
    factory = config.get_loop_factory()
    loop = factory.__module__ if factory else "asyncio"
    ws = config.ws_protocol_class
    print(
        f"{options.connections} connections x {options.events} events, {options.rounds} rounds; "
        f"bare publisher: {options.bare_publisher}\n"
        f"Python {platform.python_version()}, uvicorn {uvicorn.__version__}, loop {loop}, "
        f"ws {ws.__module__ if ws else None}\n"
        f"{platform.system()} {platform.release()} {platform.machine()}, "
        f"server on core {options.server_core}, load client on core {options.client_core}"
    )


def parse_options() -> argparse.Namespace:
    cores = sorted(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--events", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--loop", default="auto", help="of uvicorn: auto, asyncio, uvloop")
    parser.add_argument("--ws", default="auto", help="of uvicorn: auto, websockets-sansio, wsproto")
    parser.add_argument("--bare-publisher", default="burst", choices=["burst", "yield"])
    parser.add_argument("--server-core", type=int, default=cores[0])
    parser.add_argument("--client-core", type=int, default=cores[-1])
    parser.add_argument("--timeout", type=float, default=120, help="seconds for one measurement")
    parser.add_argument("--servers", nargs="+", choices=SERVERS, default=list(SERVERS))
    return parser.parse_args()


def main() -> int:
    options = parse_options()
    build_load()
    describe(options)
    rounds = run(options)
    report(rounds)
    faults = [fault for measured in rounds.values() for one in measured for fault in one.faults]
    if faults:
        print(f"fanout: {', '.join(faults)}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
