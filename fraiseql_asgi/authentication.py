# SPDX-License-Identifier: MIT
"""Who clients are: how an `auth_handler` is called, and until when its answer
holds."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

from fraiseql_asgi import _core
from fraiseql_asgi.config import check_seconds
from fraiseql_asgi.errors import ConfigError

__all__ = ["Authentication", "make_authentication"]

#: Close codes that a server's application may send (RFC 6455 7.4).
_CODES = range(3000, 5000)


@dataclasses.dataclass(frozen=True)
class Authentication:
    """An `auth_handler` with its settings, checked."""

    handler: _core.Resolver
    timeout: float
    expiry_grace: float
    expiry_code: int


def make_authentication(
    function: object, timeout: float, expiry_grace: float, expiry_code: int
) -> Authentication | None:
    """Check an `auth_handler` and its settings; None for None.

    Raises:
        ConfigError: it cannot be called with (payload) or (payload, scope), or
            yields; a time or the code cannot be.
        TypeError: it cannot be called at all; a setting has the wrong type.
    """
    timeout = check_seconds("auth_timeout", timeout)
    grace = 0.0 if expiry_grace == 0 else check_seconds("expiry_grace", expiry_grace)
    check_code("expiry_code", expiry_code)
    if function is None:
        return None
    return Authentication(_make_handler(function, timeout), timeout, grace, expiry_code)


def check_code(name: str, code: object) -> int:
    """`code` as one that may close a connection.

    Raises:
        ConfigError: another number.
        TypeError: no number.
    """
    if isinstance(code, bool) or not isinstance(code, int):
        raise TypeError(f"{name} must be an int, not {type(code).__name__}")
    if code != 1000 and code not in _CODES:
        raise ConfigError(f"{name} must be 1000 or 3000 to 4999, not {code}", setting=name)
    return code


def _make_handler(function: object, timeout: float) -> _core.Resolver:
    if not callable(function):
        raise TypeError(f"auth_handler must be callable, not {type(function).__name__}")
    target = function if inspect.isroutine(function) else getattr(function, "__call__", function)  # noqa: B004
    if inspect.isasyncgenfunction(target) or inspect.isgeneratorfunction(target):
        raise ConfigError("auth_handler returns once and does not yield", setting="auth_handler")
    name = getattr(function, "__name__", type(function).__name__)
    for n_params in (2, 1):
        if takes(function, n_params):
            return _core.Resolver(function, name, n_params, is_handler=True)
    raise ConfigError(
        "auth_handler is called with (payload) or (payload, scope)", setting="auth_handler"
    )


def takes(function: Callable[..., Any], n_params: int) -> bool:
    """Whether `function` can be called with so many arguments."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return True
    try:
        signature.bind(*[None] * n_params)
    except TypeError:
        return False
    return True
