# SPDX-License-Identifier: MIT
"""The engine alone: no Python, no socket, one thread.

Builds `c/bench_engine.c` with the core as the extension is built, runs it and
makes tables of what it measured; `--plot` draws them too.

    python benches/bench_engine.py [--plot docs/images/engine.svg]
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import subprocess
import sys
from typing import Any

from plot import Plot, Series

HERE = pathlib.Path(__file__).resolve().parent
PROGRAM = HERE.parent / "build" / "benches" / "bench_engine"

Line = dict[str, Any]


def build() -> int:
    jobs = f"-j{os.cpu_count() or 1}"
    command = ["make", "-C", str(HERE / "c"), "--no-print-directory", jobs]
    return subprocess.run([*command, f"PYTHON={sys.executable}"]).returncode


def measure() -> dict[str, list[Line]]:
    """Lines of the program by name; it is run once."""
    done = subprocess.run([str(PROGRAM)], stdout=subprocess.PIPE, text=True, check=True)
    lines: dict[str, list[Line]] = {}
    for text in done.stdout.splitlines():
        line = json.loads(text)
        lines.setdefault(line["name"], []).append(line)
    return lines


def print_dispatch(lines: list[Line]) -> None:
    print("dispatch of one event, one plan (goal: 100 subscribers below 50 us)")
    print(
        f"{'subscribers':>12} {'median us':>10} {'p99 us':>10} {'mallocs':>8} "
        f"{'projections':>12} {'samples':>8}"
    )
    for line in lines:
        print(
            f"{line['n']:>12} {line['median_ns'] / 1e3:>10.2f} {line['p99_ns'] / 1e3:>10.2f} "
            f"{line['mallocs']:>8.2f} {line['projections']:>12.2f} {line['samples']:>8}"
        )
    median = {line["n"]: line["median_ns"] for line in lines}
    print(
        f"one further subscriber: {(median[100] - median[1]) / 99:.1f} ns (1 to 100), "
        f"{(median[10_000] - median[1000]) / 9000:.1f} ns (1,000 to 10,000); goal: 300 ns"
    )


def print_rest(lines: dict[str, list[Line]]) -> None:
    shared = next(line for line in lines["dispatch"] if line["n"] == 100)
    for plans in lines["plans"]:
        each = (plans["median_ns"] - shared["median_ns"]) / (plans["plans"] - 1)
        print(
            f"100 subscribers with {plans['plans']} plans: {plans['median_ns'] / 1e3:.2f} us, "
            f"{plans['projections']:.0f} projections, {each / 1e3:.3f} us for each further one "
            "(goal: 2 us)"
        )
    (calls,) = lines["resolver"]
    print(
        f"a resolver's call and answer in the engine: {calls['median_ns'] / calls['n'] / 1e3:.3f} "
        f"us, {calls['mallocs'] / calls['n']:.1f} mallocs"
    )
    (life,) = lines["life"]
    print(
        f"subscribe {life['subscribe_ns']:.0f} ns, unsubscribe {life['unsubscribe_ns']:.0f} ns "
        f"(mean of {life['n']:,}); a subscription holds {life['bytes']:.0f} bytes in the engine"
    )


def draw(lines: list[Line], path: pathlib.Path) -> None:
    some = [line for line in lines if line["n"] > 0]
    plot = Plot(
        title="One event, by subscribers of one document",
        x_label="subscribers",
        y_label="microseconds",
    )
    plot.add(Series("dispatch, median", [(line["n"], line["median_ns"] / 1e3) for line in some]))
    plot.add(Series("dispatch, p99", [(line["n"], line["p99_ns"] / 1e3) for line in some]))
    plot.add(Series("projections (count)", [(line["n"], line["projections"]) for line in some]))
    plot.write(path)


def main() -> int:
    """Return the exit code of the build or of the bench."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--plot", type=pathlib.Path, help="write an SVG file")
    options = parser.parse_args()
    if (code := build()) != 0:
        return code
    print(f"load before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    lines = measure()
    print_dispatch(lines["dispatch"])
    print_rest(lines)
    if options.plot is not None:
        draw(lines["dispatch"], options.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
