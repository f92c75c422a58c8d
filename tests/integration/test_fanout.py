# SPDX-License-Identifier: MIT
"""1,000 connections x 200 events, published by a thread as fast as it can.

The bench does the work and counts: every delivery must arrive, once and in order. What it
measures is not looked at here.
"""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

BENCH = pathlib.Path(__file__).resolve().parents[2] / "benches" / "fanout.py"


@pytest.mark.timeout(180)
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_every_delivery_arrives_once_and_in_order(loop: str) -> None:
    command = [sys.executable, str(BENCH), "--rounds", "1", "--loop", loop]
    command += ["--servers", "fraiseql_asgi", "--connections", "1000", "--events", "200"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
