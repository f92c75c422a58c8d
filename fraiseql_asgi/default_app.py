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

from fraiseql_asgi._core import Entrance
from fraiseql_asgi._entrance import make_entrance
from fraiseql_asgi._graphiql import check_graphiql
from fraiseql_asgi._publish import check_publish_token
from fraiseql_asgi._schema import read_schema
from fraiseql_asgi.authentication import Authentication, make_authentication
from fraiseql_asgi.config import EventBusConfig, Limits, bus_from_environ, check_seconds
from fraiseql_asgi.errors import ConfigError
from fraiseql_asgi.jwt_authenticator import JWTAuthenticator
from fraiseql_asgi.manager import SubscriptionManager
from fraiseql_asgi.subscription import defaults

__all__ = ["DefaultApp", "Settings", "read_settings"]

PREFIX = "FRAISEQL_ASGI_"
#: Variables that are no limits.
_VARIABLES = (
    *("BUS", "LISTEN_CONNECTION_STRING", "SCHEMA", "MODULE"),
    *("LEGACY_PROTOCOL", "SHUTDOWN_TIMEOUT"),
    *("PUBLISH_TOKEN", "GRAPHIQL"),
    *("ALLOWED_ORIGINS", "TRUSTED_PROXIES", "ALLOW_ANONYMOUS"),
    *("JWT_SECRET", "JWT_JWKS", "JWT_ALGORITHMS", "JWT_ISSUER", "JWT_AUDIENCE"),
)
#: Those of the history, by variable.
_HISTORY = {
    f"{PREFIX}{field.name.upper()}": field
    for field in dataclasses.fields(EventBusConfig)
    if field.name.startswith("history_")
}
#: What a token may be signed with where JWT_ALGORITHMS does not say.
_SECRET_ALGORITHMS = ("HS256",)
_JWKS_ALGORITHMS = ("RS256", "ES256", "EdDSA")

_logger = logging.getLogger("fraiseql_asgi")


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the environment says."""

    bus: EventBusConfig
    module: str | None
    #: SDL.
    schema: str | None
    limits: Limits
    #: Who clients are; None: everybody is anonymous.
    authentication: Authentication | None
    #: Whether clients may speak the older graphql-ws.
    legacy_protocol: bool
    #: Seconds to close connections in.
    shutdown_timeout: float
    entrance: Entrance
    publish_token: str | None
    graphiql: bool
    #: Whether nothing was set.
    is_default: bool


def variables() -> list[str]:
    """The variables that are no limits."""
    return [f"{PREFIX}{name}" for name in _VARIABLES] + list(_HISTORY)


def read_settings(environ: Mapping[str, str]) -> Settings:
    """The settings in `environ`.

    Raises:
        ConfigError: a variable of ours is unknown or has a wrong value.
    """
    given = {name: value for name, value in environ.items() if name.startswith(PREFIX)}
    limits = {f"{PREFIX}{field.name.upper()}": field for field in dataclasses.fields(Limits)}
    known = variables() + list(limits)
    for name in given:
        if name not in known:
            raise ConfigError(
                f"unknown variable {name}; there are {', '.join(known)}", setting=name
            )
    bus = bus_from_environ(given)
    bus = dataclasses.replace(bus, **_numbers(given, _HISTORY))
    allow_anonymous = _flag(given, f"{PREFIX}ALLOW_ANONYMOUS")
    authentication = _authentication(given, allow_anonymous)
    if authentication is None and not allow_anonymous:
        check_anonymous(bus.bus_type)
    return Settings(
        bus=bus,
        module=given.get(f"{PREFIX}MODULE") or None,
        schema=read_schema(given.get(f"{PREFIX}SCHEMA") or None, f"{PREFIX}SCHEMA"),
        limits=Limits(**_numbers(given, limits)),
        authentication=authentication,
        legacy_protocol=_flag(given, f"{PREFIX}LEGACY_PROTOCOL", default=True),
        shutdown_timeout=_seconds(given, f"{PREFIX}SHUTDOWN_TIMEOUT", 5.0),
        entrance=make_entrance(
            _list(given, f"{PREFIX}ALLOWED_ORIGINS"),
            _list(given, f"{PREFIX}TRUSTED_PROXIES") or (),
        ),
        publish_token=check_publish_token(given.get(f"{PREFIX}PUBLISH_TOKEN") or None),
        graphiql=check_graphiql(_flag(given, f"{PREFIX}GRAPHIQL"), debug=False),
        is_default=not given,
    )


def _numbers(
    given: Mapping[str, str], fields: Mapping[str, dataclasses.Field[Any]]
) -> dict[str, Any]:
    """The settings among `fields`, which are named by their variables."""
    return {
        field.name: _number(name, given[name], field.type == "float")
        for name, field in fields.items()
        if name in given
    }


def _number(name: str, text: str, is_float: bool) -> float:
    try:
        return float(text) if is_float else int(text)
    except ValueError:
        wanted = "a number" if is_float else "a whole number"
        raise ConfigError(f"{name} must be {wanted}, not {text!r}", setting=name) from None


def _seconds(given: Mapping[str, str], name: str, default: float) -> float:
    """A duration; 0 is one."""
    if not given.get(name):
        return default
    return check_seconds(name, _number(name, given[name], True), is_zero_allowed=True)


def _flag(given: Mapping[str, str], name: str, *, default: bool = False) -> bool:
    text = given.get(name, "").lower()
    if text == "":
        return default
    if text in ("1", "true", "yes", "on"):
        return True
    if text in ("0", "false", "no", "off"):
        return False
    raise ConfigError(f"{name} must be 1 or 0, not {given[name]!r}", setting=name)


def _list(given: Mapping[str, str], name: str) -> list[str] | None:
    """Items between commas; None where there are none."""
    items = [item.strip() for item in given.get(name, "").split(",")]
    return [item for item in items if item] or None


def _authentication(given: Mapping[str, str], allow_anonymous: bool) -> Authentication | None:
    secret = given.get(f"{PREFIX}JWT_SECRET") or None
    jwks = given.get(f"{PREFIX}JWT_JWKS") or None
    names = {name: f"{PREFIX}JWT_{name}" for name in ("ALGORITHMS", "ISSUER", "AUDIENCE")}
    if secret is None and jwks is None:
        for name in names.values():
            if given.get(name):
                raise ConfigError(
                    f"{name} needs {PREFIX}JWT_SECRET or {PREFIX}JWT_JWKS", setting=name
                )
        return None
    default = _SECRET_ALGORITHMS if jwks is None else _JWKS_ALGORITHMS
    try:
        authenticator = JWTAuthenticator(
            secret=secret,
            jwks=jwks,
            algorithms=_list(given, names["ALGORITHMS"]) or default,
            issuer=_list(given, names["ISSUER"]),
            audience=_list(given, names["AUDIENCE"]),
            allow_anonymous=allow_anonymous,
        )
    except ConfigError as error:
        raise ConfigError(f"{PREFIX}JWT_…: {error}", setting=error.setting) from None
    return make_authentication(authenticator, 10.0, 0.0, 4403)


def check_anonymous(bus_type: str) -> None:
    """Refuse to serve everybody what others publish, unless told to.

    Events of `memory://` come from this process, which declares what it serves.

    Raises:
        ConfigError: the bus brings events from elsewhere.
    """
    if bus_type == "memory":
        return
    raise ConfigError(
        f"anybody could subscribe to what is published over {bus_type}: set {PREFIX}JWT_SECRET or "
        f"{PREFIX}JWT_JWKS, or {PREFIX}ALLOW_ANONYMOUS=1 if that is meant",
        setting=f"{PREFIX}ALLOW_ANONYMOUS",
    )


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
        self._runtime.authentication = settings.authentication
        self._runtime.legacy_protocol = settings.legacy_protocol
        self._shutdown_timeout = settings.shutdown_timeout
        self._runtime.entrance = settings.entrance
        self._publish_token = settings.publish_token
        self._graphiql.is_on = settings.graphiql
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
