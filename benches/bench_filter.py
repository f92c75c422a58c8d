# SPDX-License-Identifier: MIT
"""Builds and runs `c/bench_filter.c`: what filters cost to compile, bind and evaluate.

python benches/bench_filter.py
"""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
PROGRAM = HERE.parent / "build" / "benches" / "bench_filter"


def main() -> int:
    """Return the exit code of the build or of the bench."""
    jobs = f"-j{os.cpu_count() or 1}"
    command = ["make", "-C", str(HERE / "c"), "--no-print-directory", jobs]
    built = subprocess.run([*command, f"PYTHON={sys.executable}"])
    if built.returncode != 0:
        return built.returncode
    return subprocess.run([str(PROGRAM)]).returncode


if __name__ == "__main__":
    sys.exit(main())
