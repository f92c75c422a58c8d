# SPDX-License-Identifier: MIT
"""The code of the task that drives a source, a user's async generator."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from fraiseql_asgi._core import Source

__all__ = ["drive"]


async def drive(generator: AsyncGenerator[Any, None], source: Source) -> None:
    """Hand `generator`'s values over, each when the engine has asked for it.

    Whatever ends this, the generator is closed: its `finally` blocks run.
    """
    try:
        async for value in generator:
            source.give(value)
            await source.asked()
    finally:
        await generator.aclose()
