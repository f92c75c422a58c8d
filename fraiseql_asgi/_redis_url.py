# SPDX-License-Identifier: MIT
"""URLs of Redis: what the bus is to connect to."""

from __future__ import annotations

import pathlib
import re
import urllib.parse
from typing import Any

from fraiseql_asgi.errors import ConfigError

__all__ = ["SCHEMES", "SHARDS_MAX", "read", "read_numbers"]

#: What a URL may begin with, and whether that means TLS, and Sentinel.
SCHEMES = {
    "redis": (False, False),
    "rediss": (True, False),
    "redis+sentinel": (False, True),
    "rediss+sentinel": (True, True),
}
#: What may stand behind the `?`, and the setting it becomes.
_TLS_OPTIONS = {
    "ssl_ca_certs": "ca_file",
    "ssl_certfile": "cert_file",
    "ssl_keyfile": "key_file",
    "ssl_server_name": "server_name",
}
_SENTINEL_OPTIONS = ("sentinel_user", "sentinel_password")
#: Those that are arguments of `EventBusConfig.redis` as well.
_NUMBERS: dict[str, type[int | float]] = {
    "history_events": int,
    "history_seconds": float,
    "shards": int,
    "keep_alive": float,
}
_DATABASE_MAX = 2**31 - 1
#: As csrc/bus/redis_settings.h has them.
_SENTINELS_MAX = 16
SHARDS_MAX = 16


def read(url: str) -> dict[str, Any]:
    """The settings of the bus that `url` says.

    `redis://[[user]:password@]host[:port][/database]`, `rediss://` the same
    with TLS, `redis:///path/of/a.sock[?db=1]` a unix socket,
    `redis+sentinel://[[user]:password@]host[:port],…/name[/database]` the
    primary of that name, wherever the sentinels say that it is.

    Raises:
        ConfigError: it is none of these, with the part that is wrong.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme.lower() not in SCHEMES:
        raise _wrong(
            "URL must start with redis:// or rediss://, "
            "for Sentinel with redis+sentinel:// or rediss+sentinel://"
        )
    has_tls, has_sentinel = SCHEMES[parts.scheme.lower()]
    options = _read_options(parts.query)
    for name in _NUMBERS:
        options.pop(name, None)
    settings = _read_login(parts.netloc)
    if has_sentinel:
        settings |= _read_sentinels(parts, options)
    else:
        settings |= _read_server(parts, options)
    if has_tls and "path" in settings:
        raise _wrong("a unix socket has no TLS: use redis://")
    settings |= _read_tls(has_tls, options)
    if options:
        known = _SENTINEL_OPTIONS if has_sentinel else ("db",)
        names = ", ".join([*known, *_TLS_OPTIONS, *_NUMBERS])
        raise _wrong(f"the Redis URL has an unknown option {min(options)!r}: there are {names}")
    return settings


def read_numbers(url: str) -> dict[str, int | float]:
    """The options of `url` that are numbers, those it has.

    Raises:
        ConfigError: one is none.
    """
    options = _read_options(urllib.parse.urlsplit(url).query)
    numbers: dict[str, int | float] = {}
    for name, kind in _NUMBERS.items():
        if name not in options:
            continue
        try:
            numbers[name] = kind(options[name])
        except ValueError:
            what = "a whole number" if kind is int else "a number"
            raise _wrong(f"{name} in the Redis URL must be {what}, not {options[name]!r}") from None
    return numbers


def _read_options(query: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for name, value in urllib.parse.parse_qsl(query, keep_blank_values=True):
        if name in options:
            raise _wrong(f"the Redis URL has the option {name!r} twice")
        options[name] = value
    return options


def _read_login(netloc: str) -> dict[str, Any]:
    user, separator, password = netloc.rpartition("@")[0].partition(":")
    login = {"user": _unquoted(user), "password": _unquoted(password if separator else None)}
    if login["user"] is not None and login["password"] is None:
        raise _wrong("the Redis URL names a user without a password; redis://:password@… has none")
    return login


def _read_server(parts: urllib.parse.SplitResult, options: dict[str, str]) -> dict[str, Any]:
    """Takes its options out of `options`."""
    database = options.pop("db", None)
    host, port = _read_address(parts.netloc.rpartition("@")[2], 6379)
    if host:
        path = parts.path.strip("/")
        if path and database is not None:
            raise _wrong("the Redis URL names a database twice: /number and ?db=")
        return {"host": host, "port": port, "database": _read_database(path or database)}
    path = urllib.parse.unquote(parts.path)
    if not path.strip("/"):
        raise _wrong("the Redis URL names no host, as redis://localhost:6379/0 does")
    return {"path": path, "database": _read_database(database)}


def _read_sentinels(parts: urllib.parse.SplitResult, options: dict[str, str]) -> dict[str, Any]:
    """Takes its options out of `options`."""
    addresses = parts.netloc.rpartition("@")[2].split(",")
    sentinels = tuple(_read_address(address.strip(), 26379) for address in addresses)
    if not all(host for host, _ in sentinels):
        raise _wrong(
            "the Redis URL names no Sentinel, "
            "as redis+sentinel://one:26379,two:26379/mymaster/0 does"
        )
    if len(sentinels) > _SENTINELS_MAX:
        raise _wrong(f"the Redis URL names more than {_SENTINELS_MAX} sentinels")
    name, _, database = parts.path.strip("/").partition("/")
    if not name:
        raise _wrong(
            "the Redis URL does not say what Sentinel calls the primary, "
            "as redis+sentinel://one:26379/mymaster/0 does"
        )
    login = {option: options.pop(option, None) or None for option in _SENTINEL_OPTIONS}
    if login["sentinel_user"] is not None and login["sentinel_password"] is None:
        raise _wrong("sentinel_user is nothing without sentinel_password")
    return {
        "sentinels": sentinels,
        "primary": urllib.parse.unquote(name),
        "database": _read_database(database),
        **login,
    }


def _read_address(text: str, default_port: int) -> tuple[str, int]:
    """`host[:port]`, where `[::1]` is a host, too."""
    try:
        parts = urllib.parse.urlsplit(f"//{text}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise _wrong("the port of the Redis URL must be a number from 1 to 65535")
    return host, port or default_port


def _read_tls(has_tls: bool, options: dict[str, str]) -> dict[str, Any]:
    """Takes its options out of `options`."""
    settings: dict[str, Any] = {"tls": has_tls}
    for name, setting in _TLS_OPTIONS.items():
        value = options.pop(name, None)
        if value is not None and not has_tls:
            raise _wrong(f"{name} is for rediss://, redis:// has no TLS")
        settings[setting] = value
    for name in ("ca_file", "cert_file", "key_file"):
        if settings[name] is not None and not pathlib.Path(settings[name]).is_file():
            raise _wrong(f"the Redis URL names a file that is not there: {settings[name]!r}")
    if (settings["cert_file"] is None) != (settings["key_file"] is None):
        raise _wrong("ssl_certfile and ssl_keyfile belong together")
    return settings


def _read_database(text: str | None) -> int:
    if text is None or text == "":
        return 0
    if re.fullmatch(r"[0-9]{1,10}", text) is None or int(text) > _DATABASE_MAX:
        raise _wrong(f"the database of the Redis URL must be a number, not {text!r}")
    return int(text)


def _unquoted(text: str | None) -> str | None:
    return urllib.parse.unquote(text) if text else None


def _wrong(message: str) -> ConfigError:
    return ConfigError(message, setting="url")
