# SPDX-License-Identifier: MIT
"""One code for a promise at two sizes: small in every run, whole in `make prove`."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import pytest

Function = TypeVar("Function", bound=Callable[..., Any])

PROVE = os.environ.get("FRAISEQL_PROVE") == "1"


def promised(seconds: float = 3600) -> Callable[[Function], Function]:
    """Mark a test that `make prove` runs too, at full size, within `seconds`."""

    def mark(test: Function) -> Function:
        if PROVE:
            test = pytest.mark.prove(pytest.mark.timeout(seconds)(test))
        return test

    return mark


def size(small: int, whole: int) -> int:
    """How many: in every run, and where the promise is proved."""
    return whole if PROVE else small
