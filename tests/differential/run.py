#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares us with graphql-core on random cases.

    python tests/differential/run.py                        # 100,000 cases of seed 1
    python tests/differential/run.py --cases 2000 --seed 7
    python tests/differential/run.py --seed 7 --case 1234   # one case, both answers

Cases that differ are made small and printed with the command that runs them
again; the exit code is then 1. What a case is made of: cases.py; how the
reference is set up: answers.py.
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import sys
import time
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from differential import answers, cases
from differential.shrink import shrink

#: Cases one worker does before it reports; a multiple of cases.GROUP.
CHUNK = 10 * cases.GROUP

#: Cases shown; each takes up to shrink.TIME_MAX.
SHOWN_MAX = 5


@dataclasses.dataclass
class Outcome:
    """How a range of cases went."""

    kinds: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    different: list[int] = dataclasses.field(default_factory=list)

    def add(self, other: Outcome) -> None:
        self.kinds += other.kinds
        self.different += other.different

    @property
    def n_compared(self) -> int:
        return self.kinds.total() - self.kinds["no answer"]


def kind_of(answer: answers.Answer) -> str:
    """Return what a case is about, so that the mix can be seen."""
    if "schema" in answer:
        return "invalid schema"
    if "parse" in answer:
        return "syntax error"
    if answer["validate"]:
        return "invalid document"
    if answer["execute"].startswith(b'{"errors"'):
        return "request error"
    return "field error" if b',"errors":[' in answer["execute"] else "result"


def run_chunk(seed: int, start: int, stop: int, unvalidated: bool) -> Outcome:
    outcome = Outcome()
    for index in range(start, stop):
        case = cases.make(seed, index)
        try:
            expected = answers.reference(case, unvalidated)
        except answers.NoAnswer:
            outcome.kinds["no answer"] += 1
            continue
        outcome.kinds[kind_of(expected)] += 1
        if not answers.equal(expected, answers.ours(case, unvalidated)):
            outcome.different.append(index)
    return outcome


def run(
    seed: int, n_cases: int, jobs: int, unvalidated: bool = False, show_progress: bool = False
) -> Outcome:
    """Compare cases 0 to n_cases - 1 of a seed."""
    outcome = Outcome()
    started = time.monotonic()
    starts = range(0, n_cases, CHUNK)
    with concurrent.futures.ProcessPoolExecutor(jobs) as pool:
        futures = [
            pool.submit(run_chunk, seed, start, min(start + CHUNK, n_cases), unvalidated)
            for start in starts
        ]
        for future in concurrent.futures.as_completed(futures):
            outcome.add(future.result())
            if show_progress:
                show_bar(outcome, n_cases, time.monotonic() - started)
    if show_progress:
        print(file=sys.stderr)
    outcome.different.sort()
    return outcome


def show_bar(outcome: Outcome, n_cases: int, seconds: float) -> None:
    done = outcome.kinds.total()
    filled = "#" * (30 * done // n_cases)
    left = seconds / done * (n_cases - done)
    line = f"[{filled:30}] {done:,} of {n_cases:,}, {len(outcome.different)} differ, {left:.0f} s"
    print(f"\r{line:78}", end="", file=sys.stderr, flush=True)


def describe(seed: int, index: int, unvalidated: bool = False, is_shrunk: bool = True) -> str:
    """Return a case and both answers as text."""
    case = cases.make(seed, index)
    if is_shrunk and answers.differs(case, unvalidated):
        case = shrink(case, lambda smaller: answers.differs(smaller, unvalidated))
    lines = [f"--- seed {seed}, case {index}", "schema:", case.sdl, "document:", case.document]
    for name in ("data", "variables", "operation_name"):
        lines.append(f"{name}: {json.dumps(getattr(case, name), ensure_ascii=False)}")
    try:
        expected = answers.reference(case, unvalidated)
    except answers.NoAnswer as reason:
        lines.append(f"the reference has no answer: {reason}")
        expected = {}
    actual = answers.ours(case, unvalidated)
    for step in sorted(expected.keys() | actual.keys()):
        if not is_shrunk or not answers.equal_step(expected.get(step), actual.get(step)):
            lines.append(f"{step}, reference: {show(expected.get(step))}")
            lines.append(f"{step}, ours:      {show(actual.get(step))}")
    option = " --unvalidated" if unvalidated else ""
    lines.append(f"again: python tests/differential/run.py --seed {seed} --case {index}{option}")
    return "\n".join(lines)


def show(value: Any) -> str:
    """Return one step of an answer; None stands for a step not taken."""
    return value.decode() if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False)


def summary(seed: int, outcome: Outcome) -> str:
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in outcome.kinds.most_common())
    n_equal = outcome.n_compared - len(outcome.different)
    return f"differential: {n_equal:,} of {outcome.n_compared:,} cases equal (seed {seed}; {kinds})"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--case", type=int, help="run this one alone and show it")
    parser.add_argument("--full", action="store_true", help="with --case: do not make it small")
    parser.add_argument("--unvalidated", action="store_true", help="execute invalid documents, too")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    if options.case is not None:
        case = cases.make(options.seed, options.case)
        print(describe(options.seed, options.case, options.unvalidated, not options.full))
        return int(answers.differs(case, options.unvalidated))
    progress = sys.stderr.isatty()
    outcome = run(options.seed, options.cases, options.jobs, options.unvalidated, progress)
    print(summary(options.seed, outcome))
    for index in outcome.different[:SHOWN_MAX]:
        print(describe(options.seed, index, options.unvalidated))
    if outcome.different:
        print(f"all that differ: {' '.join(map(str, outcome.different[:200]))}")
    return int(bool(outcome.different))


if __name__ == "__main__":
    sys.exit(main())
