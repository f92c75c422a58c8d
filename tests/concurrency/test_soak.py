# SPDX-License-Identifier: MIT
"""A million subscriptions that come and go and a hundred thousand connections
that are lost leave the process as it was; a part of that in every run."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
from typing import Any

import pytest
from sizes import PROVE, promised, size

HERE = pathlib.Path(__file__).resolve().parent

#: What the allocator and the free lists of Python may keep more or less of.
RSS_SLACK = 2 * 2**20

pytestmark = [
    pytest.mark.skipif(not pathlib.Path("/proc/self/statm").exists(), reason="reads /proc"),
    # A sanitizer keeps what is freed for a while.
    pytest.mark.skipif("FRAISEQL_ASAN" in os.environ, reason="measures memory"),
]


def soak(kind: str, n: int) -> dict[str, Any]:
    path = os.pathsep.join([str(HERE.parent), str(HERE.parent.parent)])
    done = subprocess.run(
        [sys.executable, str(HERE / "soak.py"), kind, str(n)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=3600 if PROVE else 110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@promised(3600)
@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("kind", "n"), [("cycles", size(20_000, 1_000_000)), ("losses", size(1_000, 100_000))]
)
def test_memory_returns_to_what_it_was(kind: str, n: int) -> None:
    found = soak(kind, n)
    print(found)
    before, after = found["before"], found["after"]
    assert found["subscriptions" if kind == "cycles" else "connections"] >= n
    assert found["ended"] == found["begun"] > 0
    for what in ("blocks", "tasks", "descriptors", "plans"):
        assert after[what] == before[what], (what, found)
    assert after["objects"] - before["objects"] < 200, found
    assert abs(after["rss"] - before["rss"]) <= RSS_SLACK, found
