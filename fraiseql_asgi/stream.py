# SPDX-License-Identifier: MIT
"""PayloadStream: what `manager.subscribe` gives, an async iterator of results."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType
from typing import TYPE_CHECKING, Any

from fraiseql_asgi._core import Stream
from fraiseql_asgi.errors import ClosedError, PositionLost

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["PayloadStream"]

#: The close of a source that has ended.
_CLOSE_COMPLETE = 1000
#: FQ_FEED_POSITION_LOST of reactor/feed.h.
_CLOSE_POSITION_LOST = 4410


class PayloadStream(AsyncIterator["dict[str, Any]"]):
    """The results of one subscription, as dicts: `{"data": ...}`, with
    `"errors"` where there are any.

    It is live when it is made: what is published from then on will come. It
    ends with `aclose`, as an async context manager, or when nobody refers to
    it any more; then its resolver is cancelled and its source closed.

    Results that are not read in time wait in a queue, bounded as that of a
    client (`Limits.queue_max_items` and `queue_max_bytes`); when it is full the
    oldest is lost, and the next one says so in `["extensions"]["dropped"]`.

    Thread: that of the event loop it was made in.
    """

    def __init__(self, stream: Stream, after: str | None = None) -> None:
        self._stream = stream
        self._after = after
        self._is_open = False
        self._is_reading = False

    @property
    def position(self) -> str | None:
        """The position behind the result read last; before the first, where it
        began. `manager.subscribe(..., after=stream.position)` goes on there.

        None before it is live, and for a source, which has no positions.
        """
        opened = self._stream.opened
        if (position := self._stream.position) is not None:
            return position
        if not opened.done() or opened.cancelled() or opened.exception() is not None:
            return None
        return opened.result()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> dict[str, Any]:
        """The next result.

        Raises:
            StopAsyncIteration: its source has ended, or it was closed.
            GraphQLSyntaxError, GraphQLValidationError, SubscriptionError: the
                subscription was refused; at the first call.
            PositionLost: the history does not reach back to `after`, or, where
                results were read too slowly, to the position of the last one.
            ClosedError: the manager was stopped.
            RuntimeError: another task waits for the next result.
        """
        if self._is_reading:
            raise RuntimeError("another task waits for the next result already")
        self._is_reading = True
        try:
            return await self._read()
        finally:
            self._is_reading = False

    async def _read(self) -> dict[str, Any]:
        if not self._is_open:
            # Whoever waits may be cancelled, and ask again.
            await asyncio.wait([self._stream.opened])
            self._is_open = True
            if (error := self._stream.opened.exception()) is not None:
                self._stream.close()
                if isinstance(error, PositionLost):
                    error.position = self._after
                raise error
        while True:
            result = self._stream.take()
            if isinstance(result, dict):
                return result
            if result is None:
                await self._stream.wait()
                continue
            code, reason = result
            self._stream.close()
            if code == _CLOSE_COMPLETE:
                raise StopAsyncIteration
            if code == _CLOSE_POSITION_LOST:
                raise PositionLost(
                    "the events behind this position are no longer known",
                    position=self._stream.position or self._after,
                )
            raise ClosedError(f"the subscription has ended: {reason}", reason=reason)

    def __del__(self) -> None:
        self._stream.close()

    async def aclose(self) -> None:
        """End the subscription. Harmless twice."""
        self._stream.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()
