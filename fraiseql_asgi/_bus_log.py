# SPDX-License-Identifier: MIT
"""The log of a bus: what the engine has to say of its server.

The engine's thread must not wait for Python, so what it says waits in a ring,
and a thread that does nothing else writes it down.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote

from fraiseql_asgi._core import EventBus, Notices

__all__ = ["follow", "secrets_of"]

_logger = logging.getLogger("fraiseql_asgi")


def follow(bus: EventBus) -> None:
    """Log what is said of `bus`, until it ends. Harmless twice."""
    notices = bus.notices()
    if notices is None:
        return
    secrets = secrets_of(bus._settings)
    # A daemon: the end of the interpreter ends the bus, and with it the thread.
    threading.Thread(
        target=_write, args=(notices, secrets), name="fraiseql-bus-log", daemon=True
    ).start()


def _write(notices: Notices, secrets: Iterable[str]) -> None:
    while (text := notices.next()) is not None:
        for secret in secrets:
            text = text.replace(secret, "***")
        _logger.warning("%s", text)


def secrets_of(settings: Mapping[str, Any]) -> list[str]:
    """What of a bus's settings must not be in a log, whatever a server or a
    library says: its passwords, as they are written and as they are meant."""
    found: list[str] = []
    if settings.get("password"):
        found.append(settings["password"])
    for dsn in (settings.get("dsn"), settings.get("listen_dsn")):
        found += _passwords(dsn or "")
    meant = [unquote(secret) for secret in found]
    # The longest first: one may be a part of another.
    return sorted({secret for secret in (*found, *meant) if secret}, key=len, reverse=True)


def _passwords(dsn: str) -> list[str]:
    """Those in a connection string of libpq: in a URL, in its parameters, and
    among keys and values."""
    found = re.findall(r"://[^:/?#@]*:([^@]*)@", dsn)
    pattern = r"(?i)(?:ssl)?password\s*=\s*(?:'((?:[^'\\]|\\.)*)'|([^&\s']+))"
    found += [quoted or plain for quoted, plain in re.findall(pattern, dsn)]
    return found
