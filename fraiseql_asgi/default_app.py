# SPDX-License-Identifier: MIT
"""The default app, `uvicorn fraiseql_asgi:app`: a manager that environment
variables configure when it starts."""

from __future__ import annotations

import dataclasses
import importlib
import logging
import os
import traceback
from collections.abc import Mapping
from typing import Any

from fraiseql_asgi._schema import read_schema
from fraiseql_asgi.config import EventBusConfig, Limits
from fraiseql_asgi.errors import ConfigError
from fraiseql_asgi.manager import SubscriptionManager
from fraiseql_asgi.subscription import defaults

__all__ = ["DefaultApp", "Settings", "read_settings"]

PREFIX = "FRAISEQL_ASGI_"

_logger = logging.getLogger("fraiseql_asgi")


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the environment says."""

    bus: EventBusConfig
    module: str | None
    #: SDL.
    schema: str | None
    limits: Limits
    #: Whether nothing was set.
    is_default: bool


def read_settings(environ: Mapping[str, str]) -> Settings:
    """The settings in `environ`.

    Raises:
        ConfigError: a variable of ours is unknown or has a wrong value.
    """
    given = {name: value for name, value in environ.items() if name.startswith(PREFIX)}
    limits = {f"{PREFIX}{field.name.upper()}": field for field in dataclasses.fields(Limits)}
    known = [f"{PREFIX}{name}" for name in ("BUS", "SCHEMA", "MODULE")] + list(limits)
    for name in given:
        if name not in known:
            raise ConfigError(
                f"unknown variable {name}; there are {', '.join(known)}", setting=name
            )
    numbers: dict[str, Any] = {
        field.name: _number(name, given[name], field.type == "float")
        for name, field in limits.items()
        if name in given
    }
    return Settings(
        bus=EventBusConfig.from_url(given.get(f"{PREFIX}BUS") or "memory://"),
        module=given.get(f"{PREFIX}MODULE") or None,
        schema=read_schema(given.get(f"{PREFIX}SCHEMA") or None, f"{PREFIX}SCHEMA"),
        limits=Limits(**numbers),
        is_default=not given,
    )


def _number(name: str, text: str, is_float: bool) -> float:
    try:
        return float(text) if is_float else int(text)
    except ValueError:
        wanted = "a number" if is_float else "a whole number"
        raise ConfigError(f"{name} must be {wanted}, not {text!r}", setting=name) from None


class DefaultApp(SubscriptionManager):
    """The manager that `fraiseql_asgi.subscription` declares on.

    Module and settings are loaded at the server's startup or at first need.
    """

    def __init__(self) -> None:
        super().__init__(serve_undeclared=True)
        self._is_prepared = False
        defaults.pass_on(self)

    def _prepare(self) -> None:
        if self._is_prepared:
            return
        settings = read_settings(os.environ)
        self._runtime.bus = settings.bus
        self._runtime.limits = settings.limits
        self._runtime.schema = settings.schema
        if settings.module is not None:
            _import(settings.module)
        if settings.is_default:
            _logger.warning(
                "nothing is configured: events come from this process only, any field may be "
                "subscribed to, by anybody; %sMODULE=yourmodule declares fields",
                PREFIX,
            )
        self._is_prepared = True


def _import(name: str) -> None:
    """Import a user's module; a fault is told with its place, in one line."""
    try:
        importlib.import_module(name)
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        raise ConfigError(
            f"{PREFIX}MODULE: cannot import {name!r}: {type(error).__name__}: {error} "
            f"({place.filename}, line {place.lineno})",
            setting=f"{PREFIX}MODULE",
        ) from error
