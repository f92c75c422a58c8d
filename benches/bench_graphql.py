# SPDX-License-Identifier: MIT
"""Parsing, validating and projecting, next to graphql-core and graphql-js.

Two jobs, each as one would do it with the library:

    document   text of a subscription -> parsed and validated
    event      JSON of an event -> JSON of the response (the document is ready)

The three take turns within each round, graphql-js in a node of its own (the
one of tests/clients); a table shows the medians of the rounds, their spread and
the ratios. Then the cost of both jobs over the number of fields and the length
of strings, for ours alone.

    python benches/bench_graphql.py [--rounds 7] [--seconds 0.2]
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable

import graphql

from fraiseql_asgi import _core

HERE = pathlib.Path(__file__).resolve().parent

SCHEMA = """
type Query { order(id: ID!): Order }
type Subscription { orderUpdated(customerId: ID, minTotal: Float = 0): Order! }
type Order {
  id: ID!
  status: Status!
  customer: Customer!
  total: Float!
  items: [Item!]!
  note: String
}
type Customer { id: ID! name: String! }
type Item { sku: String! quantity: Int! }
enum Status { OPEN PAID SHIPPED }
"""
DOCUMENT = "subscription { orderUpdated { id status customer { name } total note } }"
EVENT = {
    "id": "order-100042",
    "status": "SHIPPED",
    "customer": {"id": "c-7", "name": "Ada Lovelace"},
    "total": 129.5,
    "items": [{"sku": "A-1", "quantity": 2}],
    "note": "left with the neighbour at number 14",
}

#: Goals of the project: ours over each of the others.
GOALS = {"document": (200, 20), "event": (100, 10)}


def run_for(once: Callable[[], object], seconds: float) -> float:
    """Return nanoseconds per call."""
    n = 0
    start = now = time.perf_counter_ns()
    end = start + int(seconds * 1e9)
    while now < end:
        for _ in range(10):
            once()
        n += 10
        now = time.perf_counter_ns()
    return (now - start) / n


# -- the three --------------------------------------------------------------


def ours(job: str, schema: str, document: str, data: str) -> Callable[[], object]:
    if job == "document":

        def once() -> None:
            assert not _core.graphql_validate(schema, document)

        return once
    event = data.encode()
    plan = _core.graphql_prepare(schema, document)
    assert _core.graphql_project(plan, event) == core(job, schema, document, data)()
    return functools.partial(_core.graphql_project, plan, event)


def core(job: str, schema: str, document: str, data: str) -> Callable[[], object]:
    built = graphql.build_schema(schema)
    if job == "document":

        def validate() -> None:
            assert not graphql.validate(built, graphql.parse(document))

        return validate
    parsed = graphql.parse(document)
    (root,) = built.subscription_type.fields

    def execute() -> bytes:
        result = graphql.execute_sync(built, parsed, {root: json.loads(data)})
        assert result.errors is None
        return json.dumps(result.formatted, separators=(",", ":")).encode()

    return execute


class Node:
    """A running bench_graphql.mjs."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            ["node", str(HERE / "bench_graphql.mjs")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"NODE_ENV": "production"},
        )

    def run_for(self, job: str, schema: str, document: str, data: str, seconds: float) -> float:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        work = "validate" if job == "document" else "execute"
        order = {"work": work, "schema": schema, "document": document, "data": data}
        self.process.stdin.write(json.dumps(order | {"seconds": seconds}) + "\n")
        self.process.stdin.flush()
        result = json.loads(self.process.stdout.readline())
        return result["ns"] / result["n"]

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(10)


# -- tables -----------------------------------------------------------------


def microseconds(samples: list[float]) -> str:
    median = statistics.median(samples) / 1e3
    return f"{median:10.2f}  {min(samples) / 1e3:9.2f} - {max(samples) / 1e3:.2f}"


def compare(job: str, rounds: int, seconds: float, node: Node | None) -> None:
    case = (SCHEMA, DOCUMENT, json.dumps(EVENT, separators=(",", ":")))
    runs: dict[str, Callable[[], float]] = {}
    our_once, core_once = ours(job, *case), core(job, *case)
    runs["ours"] = lambda: run_for(our_once, seconds)
    runs["graphql-core"] = lambda: run_for(core_once, seconds)
    if node is not None:
        runs["graphql-js"] = lambda: node.run_for(job, *case, seconds)
    samples: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()  # warms caches and the JIT
    for _ in range(rounds):
        for name, run in runs.items():
            samples[name].append(run())
    print(f"\n{job}, microseconds, {rounds} rounds of {seconds} s each")
    base = statistics.median(samples["ours"])
    for name, values in samples.items():
        ratio = statistics.median(values) / base
        goal = ""
        if name != "ours":
            wanted = GOALS[job][name == "graphql-js"]
            goal = f"{ratio:10.0f} x  (goal {wanted} x: {'met' if ratio >= wanted else 'MISSED'})"
        print(f"  {name:14}{microseconds(values)}{goal}")


def wide(n_fields: int, n_bytes: int) -> tuple[str, str, str]:
    """Return schema, document and event with so many fields of so many bytes."""
    names = [f"field{i}" for i in range(n_fields)]
    fields = " ".join(f"{name}: String" for name in names)
    schema = f"type Query {{ a: Int }} type Subscription {{ event: Event }} type Event {{{fields}}}"
    document = f"subscription {{ event {{ {' '.join(names)} }} }}"
    return schema, document, json.dumps(dict.fromkeys(names, "x" * n_bytes))


def curve(title: str, shapes: list[tuple[int, int]], rounds: int, seconds: float) -> None:
    print(f"\n{title}, ours, median of {rounds} rounds")
    print(f"  {'fields':>8}{'bytes each':>12}{'document us':>14}{'event us':>12}", end="")
    print(f"{'event ns/field':>16}{'ns/byte':>10}")
    for n_fields, n_bytes in shapes:
        case = wide(n_fields, n_bytes)
        medians = []
        for job in ("document", "event"):
            once = ours(job, *case)
            once()
            medians.append(statistics.median(run_for(once, seconds) for _ in range(rounds)))
        document, event = medians
        print(f"  {n_fields:8,}{n_bytes:12,}{document / 1e3:14.2f}{event / 1e3:12.2f}", end="")
        print(f"{event / n_fields:16.1f}{event / len(case[2]):10.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.2)
    options = parser.parse_args()
    node = Node() if shutil.which("node") else None
    print(f"Python {platform.python_version()}, graphql-core {graphql.version}, ", end="")
    print("graphql-js by node" if node is not None else "no node here")
    print(f"document: {DOCUMENT}\nevent: {len(json.dumps(EVENT, separators=(',', ':')))} bytes")
    for job in GOALS:
        compare(job, options.rounds, options.seconds, node)
    if node is not None:
        node.close()
    short = max(options.seconds / 4, 0.02)
    by_fields = [(n, 8) for n in (1, 3, 10, 30, 100, 300)]
    curve("cost over the number of fields", by_fields, options.rounds, short)
    by_bytes = [(6, n) for n in (1, 10, 100, 1000, 10000)]
    curve("cost over the length of strings", by_bytes, options.rounds, short)


if __name__ == "__main__":
    main()
