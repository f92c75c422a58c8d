# SPDX-License-Identifier: MIT
"""SIGTERM: managers drain first, then whoever handled it before hears of it.

Servers close all connections themselves when they are told to stop, most of
them with codes that clients take for the end. So what would tell them is held
back, for at most the managers' `shutdown_timeout`; a second signal goes
straight through. There are three ways in which they are told, and one stands
in each:

* A handler of `signal.signal` (uvicorn, gunicorn, daphne; where there is none,
  the end of the process): replaced by one of ours.
* A handler of the event loop (granian, hypercorn without workers): asyncio and
  uvloop read the numbers of signals from a descriptor that the interpreter
  writes to (`signal.set_wakeup_fd`), so they get another one to read, to which
  this number comes later.
* An event of multiprocessing that the worker polls (hypercorn): polled as well.

Thread: the main one, whose loop must run; elsewhere nothing can be done.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import threading
import weakref
from types import FrameType
from typing import Any, Protocol

__all__ = ["unwatch", "watch"]

_logger = logging.getLogger("fraiseql_asgi")

#: Seconds between two looks at hypercorn's event, as its own worker has it.
_POLL_INTERVAL = 0.1
#: Seconds from the last close to the server's turn: it has been given the close
#: frames, and some (daphne) would lose what they have not written yet.
_LINGER = 0.1


class Draining(Protocol):
    """Somebody with connections."""

    async def _drain(self) -> bool:
        """Close them, in a time of its own; false: there were none."""


def watch(draining: Draining) -> None:
    """Have `draining` drain at SIGTERM. Harmless twice, and where it cannot be."""
    if threading.current_thread() is threading.main_thread():
        _sigterm.add(draining)


def unwatch(draining: Draining) -> None:
    """No more; the last one puts everything back."""
    _sigterm.remove(draining)


class _Handler:
    """One handler of ours, and who was there before it. Others may have come
    after it and call it, so it knows where to go on also when its time is over.
    """

    def __init__(self, sigterm: _Sigterm, previous: Any) -> None:
        self._sigterm = sigterm
        self.previous = previous

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self._sigterm.on_signal(self, frame)

    def pass_on(self, frame: FrameType | None) -> None:
        """To whoever was there before."""
        if callable(self.previous):
            self.previous(signal.SIGTERM, frame)
        elif self.previous is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)


class _Sigterm:
    """What this process does at SIGTERM."""

    def __init__(self) -> None:
        self._watched: weakref.WeakSet[Draining] = weakref.WeakSet()
        self._pid = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        #: The one that drains; None: there is none.
        self._handler: _Handler | None = None
        self._wakeup: _Wakeup | None = None
        self._poll: asyncio.TimerHandle | None = None
        #: While draining because of the signal, or of hypercorn.
        self._task: asyncio.Task[None] | None = None

    def add(self, draining: Draining) -> None:
        self._watched.add(draining)
        if self._task is None:
            self._install(asyncio.get_running_loop())

    def remove(self, draining: Draining) -> None:
        self._watched.discard(draining)
        # From another thread nothing can be put back; with nobody to drain the
        # signal goes straight through.
        is_here = threading.current_thread() is threading.main_thread()
        if is_here and not self._watched and self._task is None:
            self._put_back()

    # -- standing in --------------------------------------------------------

    def _install(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._pid != os.getpid():
            self._pid = os.getpid()
            _register_after_fork()
        self._loop = loop
        self._handler = self._replace(signal.getsignal(signal.SIGTERM))
        if self._handler is not None and _is_loops(self._handler.previous, loop):
            self._stand_before(loop)
        event = _hypercorn_event()
        if event is not None and self._poll is None:
            self._poll = loop.call_later(_POLL_INTERVAL, self._look, event)

    def _replace(self, previous: Any) -> _Handler | None:
        """A handler of ours in the place of `previous`, where one may be."""
        handler = self._handler
        if handler is not None and previous is handler:
            return handler
        if previous is None or previous is signal.SIG_IGN:
            return None
        handler = _Handler(self, previous)
        try:
            signal.signal(signal.SIGTERM, handler)
        except ValueError:  # a subinterpreter
            return None
        return handler

    def _stand_before(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._wakeup is not None:
            if self._wakeup.is_used():
                return
            # A loop that was stopped and runs again reads from another one.
            self._wakeup.close()
        self._wakeup = _Wakeup.install(loop)

    def _put_back(self) -> None:
        """Leave things as they were, unless others came after us."""
        if self._poll is not None:
            self._poll.cancel()
            self._poll = None
        if self._wakeup is not None:
            self._wakeup.close()
            self._wakeup = None
        handler = self._handler
        self._handler = None
        current: object = signal.getsignal(signal.SIGTERM)
        if handler is not None and current is handler:
            signal.signal(signal.SIGTERM, handler.previous)

    # -- the signal ---------------------------------------------------------

    def on_signal(self, handler: _Handler, frame: FrameType | None) -> None:
        if handler is not self._handler:
            handler.pass_on(frame)
        elif self._task is not None or not self._start():
            self._hand_over(frame)

    def _start(self) -> bool:
        """Drain; False when that cannot be."""
        loop = self._loop
        if not self._watched or loop is None or not loop.is_running() or self._pid != os.getpid():
            return False
        self._task = loop.create_task(self._drain())
        # The loop may be asleep, and this is no callback of its own.
        loop.call_soon_threadsafe(_nothing)
        self._task.add_done_callback(self._drained)
        return True

    async def _drain(self) -> None:
        drains = [draining._drain() for draining in list(self._watched)]
        results = await asyncio.gather(*drains, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                _logger.error("connections could not be drained", exc_info=result)
        if True in results:
            await asyncio.sleep(_LINGER)

    def _drained(self, task: asyncio.Task[None]) -> None:
        if self._task is task:
            self._hand_over(None)

    def _hand_over(self, frame: FrameType | None) -> None:
        """The signal goes on to whoever was there before us, once."""
        handler, wakeup = self._handler, self._wakeup
        self._wakeup = None
        self._put_back()
        self._task = None
        if handler is not None:
            handler.pass_on(frame)
        if wakeup is not None:
            wakeup.close()
            wakeup.pass_on(bytes([signal.SIGTERM]))

    # -- hypercorn ----------------------------------------------------------

    def _look(self, event: Any) -> None:
        self._poll = None
        if not event.is_set():
            assert self._loop is not None
            self._poll = self._loop.call_later(_POLL_INTERVAL, self._look, event)
        elif self._task is None:
            # It stops by itself: nothing is to be handed over.
            self._task = asyncio.ensure_future(self._drain())
            self._task.add_done_callback(self._told)

    def _told(self, task: asyncio.Task[None]) -> None:
        if self._task is task:
            self._task = None
            self._put_back()

    def after_fork(self) -> None:
        """In a child: the parent's descriptors are the parent's."""
        if self._wakeup is not None:
            self._wakeup.abandon()
            self._wakeup = None
        self._poll = self._task = self._loop = None
        self._watched.clear()
        self._put_back()


class _Wakeup:
    """Stands between the interpreter and a loop that handles signals itself:
    all numbers are passed on but SIGTERM's."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        #: Where the loop reads.
        self._loops_fd = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)

    @classmethod
    def install(cls, loop: asyncio.AbstractEventLoop) -> _Wakeup | None:
        wakeup = cls(loop)
        if wakeup._loops_fd == -1:  # nobody reads: there is nothing to stand in for
            wakeup.close()
            return None
        loop.add_reader(wakeup._reader.fileno(), wakeup._read)
        return wakeup

    def is_used(self) -> bool:
        """Whether the interpreter still writes here."""
        fd = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        if fd == self._writer.fileno():
            return True
        with contextlib.suppress(OSError, ValueError):  # it is closed
            signal.set_wakeup_fd(fd, warn_on_full_buffer=False)
        return False

    def _read(self) -> None:
        try:
            numbers = self._reader.recv(4096)
        except BlockingIOError:
            return
        self.pass_on(numbers.replace(bytes([signal.SIGTERM]), b""))

    def pass_on(self, numbers: bytes) -> None:
        """Tell the loop."""
        try:
            os.write(self._loops_fd, numbers)
        except OSError:  # as the interpreter does: it is full, or closed
            pass

    def close(self) -> None:
        """Harmless twice."""
        if self._writer.fileno() == -1:
            return
        if not self._loop.is_closed():
            self._loop.remove_reader(self._reader.fileno())
        self.abandon()

    def abandon(self) -> None:
        """The same, without a word to the loop."""
        try:
            if self.is_used():
                signal.set_wakeup_fd(self._loops_fd, warn_on_full_buffer=False)
        except (OSError, ValueError):  # closed, or not the main thread
            pass
        self._reader.close()
        self._writer.close()


def _is_loops(handler: object, loop: asyncio.AbstractEventLoop) -> bool:
    """Whether it is what a loop puts there so that its descriptor is written to."""
    module = getattr(handler, "__module__", None)
    return module == "asyncio.unix_events" or getattr(handler, "__self__", None) is loop


def _hypercorn_event() -> Any:
    """What tells a worker of hypercorn to stop, or None.

    Its main process is the one that gets the signal, and says no more to its
    workers than this event, which is in the arguments they are started with.
    """
    process = sys.modules.get("multiprocessing.process")
    if process is None or "hypercorn" not in sys.modules:
        return None
    arguments = getattr(process.current_process(), "_kwargs", None)
    return arguments.get("shutdown_event") if isinstance(arguments, dict) else None


def _nothing() -> None:
    pass


_sigterm = _Sigterm()
_is_registered = False


def _register_after_fork() -> None:
    global _is_registered
    if not _is_registered:
        _is_registered = True
        os.register_at_fork(after_in_child=_sigterm.after_fork)
