# SPDX-License-Identifier: MIT
"""2,000 random cases on every run; `make differential` does 100,000."""

from __future__ import annotations

import os

import pytest
from differential import run

SEED = 20260101
N_CASES = 2000
SHOWN_MAX = 3


@pytest.mark.timeout(300)
def test_random_cases_equal_the_reference(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = run.run(SEED, N_CASES, os.cpu_count() or 1)
    with capsys.disabled():
        print(f"\n{run.summary(SEED, outcome)}")
    shown = [run.describe(SEED, index) for index in outcome.different[:SHOWN_MAX]]
    assert not shown, f"{len(outcome.different)} cases differ\n" + "\n".join(shown)
