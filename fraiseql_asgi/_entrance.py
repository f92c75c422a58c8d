# SPDX-License-Identifier: MIT
"""Who may come in, as users set it: `allowed_origins=`, `trusted_proxies=`."""

from __future__ import annotations

from collections.abc import Iterable

from fraiseql_asgi._core import Entrance

__all__ = ["make_entrance"]


def make_entrance(
    allowed_origins: Iterable[str] | str | None, trusted_proxies: Iterable[str] | str
) -> Entrance:
    """Check the two settings.

    Raises:
        ConfigError: an origin, address or network that is none.
        TypeError: something else than texts.
    """
    return Entrance(
        None if allowed_origins is None else _texts("allowed_origins", allowed_origins),
        _texts("trusted_proxies", trusted_proxies),
    )


def _texts(name: str, value: Iterable[str] | str) -> tuple[str, ...]:
    texts = (value,) if isinstance(value, str) else tuple(value)
    for text in texts:
        if not isinstance(text, str):
            raise TypeError(f"{name} must be texts, not {type(text).__name__}")
    return texts
