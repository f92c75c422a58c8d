# SPDX-License-Identifier: MIT
"""What every engine of this process has to go through: fork and exit.

Registered once, at the first engine; those who run are held weakly.
"""

from __future__ import annotations

import atexit
import os
import weakref
from typing import Protocol

from fraiseql_asgi._core import EventBus, Service

__all__ = ["watch", "watch_bus"]


class Lived(Protocol):
    """Somebody with an engine."""

    def _at_exit(self) -> None:
        """The interpreter ends: stop, wait for threads."""

    def _after_fork(self) -> None:
        """This is a child: forget the parent's engine, touch nothing of it."""


_lived: weakref.WeakSet[Lived] = weakref.WeakSet()
_buses: weakref.WeakSet[EventBus] = weakref.WeakSet()
_is_registered = False


def watch(lived: Lived) -> None:
    """Tell `lived` of forks and of the end."""
    _register()
    _lived.add(lived)


def watch_bus(bus: EventBus) -> None:
    """Close `bus` at the end, after those who use it."""
    _register()
    _buses.add(bus)


def _register() -> None:
    global _is_registered
    if not _is_registered:
        _is_registered = True
        atexit.register(_at_exit)
        os.register_at_fork(after_in_child=_after_fork)


def _at_exit() -> None:
    for lived in list(_lived):
        lived._at_exit()
    for bus in list(_buses):
        bus.close()


def _after_fork() -> None:
    Service.after_fork()
    for lived in list(_lived):
        lived._after_fork()
