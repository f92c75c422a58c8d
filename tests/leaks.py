# SPDX-License-Identifier: MIT
"""Finds what a piece of code leaves behind each time it runs."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable

from fraiseql_asgi import _core

#: Enough runs that a leak of one object or block per run stands out from
#: what caches and free lists hold back.
RUNS = 400
BATCHES = 5
SLACK = RUNS // 4


def measure() -> tuple[int, int, int]:
    gc.collect()
    # Count references to what everything refers to: a lost reference to it
    # shows in no count of objects.
    return (
        sys.getallocatedblocks(),
        _core.n_live_blocks(),
        sys.getrefcount(int) + sys.getrefcount(_core.Event),
    )


def assert_leaks_nothing(body: Callable[[], object]) -> None:
    """Run `body` many times; the process must be as large as before.

    Several batches, and the one that grew least counts: free lists and caches
    fill at some time, a leak grows each time.
    """
    grown: list[tuple[int, ...]] = []
    for _ in range(BATCHES):
        before = measure()
        for _ in range(RUNS):
            body()
        after = measure()
        grown.append(tuple(b - a for a, b in zip(before, after, strict=True)))
        if max(grown[-1]) < SLACK:
            return
    least = [min(column) for column in zip(*grown, strict=True)]
    assert max(least) < SLACK, (
        f"{RUNS} runs leave {least[0]} objects, {least[1]} blocks of the core "
        f"and {least[2]} references to types"
    )
