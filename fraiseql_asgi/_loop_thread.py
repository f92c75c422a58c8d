# SPDX-License-Identifier: MIT
"""A thread with an event loop of its own, for resolvers of an executor."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from fraiseql_asgi.errors import ClosedError

__all__ = ["LoopThread"]

T = TypeVar("T")

#: Seconds that `finally` blocks may take at the end.
_STOP_TIMEOUT = 5.0


class LoopThread:
    """Runs a loop in a thread until it is stopped.

    `cancel_tasks` is called in the loop then; what it returns is waited for.

    A daemon, so that an interpreter which ends first asks those who own it
    (`_lifecycle`) instead of waiting for it.
    """

    def __init__(self, name: str, cancel_tasks: Callable[[], list[asyncio.Future[Any]]]) -> None:
        self._cancel_tasks = cancel_tasks
        self._ready: concurrent.futures.Future[asyncio.AbstractEventLoop]
        self._ready = concurrent.futures.Future()
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:
            if not self._ready.done():
                self._ready.set_exception(error)
                return
            raise

    async def _main(self) -> None:
        self._stop = asyncio.Event()
        self._ready.set_result(asyncio.get_running_loop())
        await self._stop.wait()
        # Cancelled once, so that their `finally` blocks may await something;
        # what asyncio.run cancels is cancelled again.
        if tasks := self._cancel_tasks():
            await asyncio.wait(tasks, timeout=_STOP_TIMEOUT)

    def is_current(self) -> bool:
        """Whether the calling thread is this one."""
        return threading.current_thread() is self._thread

    def call(self, function: Callable[[], T]) -> T:
        """What `function` returns when called in the loop, in the caller's
        context."""
        loop = self._ready.result()
        if self.is_current():
            return function()
        future: concurrent.futures.Future[T] = concurrent.futures.Future()

        def call() -> None:
            try:
                future.set_result(function())
            except BaseException as error:
                future.set_exception(error)

        try:
            loop.call_soon_threadsafe(call, context=contextvars.copy_context())
        except RuntimeError:
            raise ClosedError("the resolvers' event loop has ended") from None
        return future.result()

    def stop(self) -> None:
        """Cancel what runs, run the `finally` blocks, end the thread.

        From the thread itself it only asks for that.
        """
        try:
            loop = self._ready.result()
            assert self._stop is not None
            loop.call_soon_threadsafe(self._stop.set)
        except RuntimeError:
            pass
        if not self.is_current():
            self._thread.join()
