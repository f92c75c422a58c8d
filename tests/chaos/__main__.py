# SPDX-License-Identifier: MIT
"""`python -m chaos`, with tests/ on the path: many runs, a line and a log for each."""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import multiprocessing
import pathlib
import sys
import time

from . import runner
from .plan import KINDS

ROOT = pathlib.Path(__file__).parents[2]


def main() -> int:
    parser = argparse.ArgumentParser(prog="chaos")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--bus", choices=KINDS, default=None)
    parser.add_argument("--logs", default=str(ROOT / "build" / "chaos"))
    given = parser.parse_args()
    seeds = range(given.seed, given.seed + given.runs)
    totals: dict[str, int] = collections.Counter()
    bad: list[int] = []
    began = time.monotonic()
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(given.jobs, mp_context=context) as pool:
        runs = [pool.submit(runner.run_seed, seed, given.bus, given.logs) for seed in seeds]
        for done in concurrent.futures.as_completed(runs):
            seed, is_good, text, numbers = done.result()
            print(text, flush=True)
            totals.update(numbers)
            if not is_good:
                bad.append(seed)
    told = ", ".join(f"{value} {name}" for name, value in totals.items())
    print(f"chaos: {len(seeds)} runs in {time.monotonic() - began:.0f} s: {told}")
    if bad:
        print(f"chaos: FAILED: seeds {', '.join(map(str, sorted(bad)))}")
        return 1
    print("chaos: no silent gap, no duplicate, no false alarm")
    return 0


if __name__ == "__main__":
    sys.exit(main())
