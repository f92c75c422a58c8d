# SPDX-License-Identifier: MIT
"""ASGI middleware of every kind: each wraps send(), or the application, in a way
of its own, and must neither notice nor be noticed. Drivers and servers run
through them all."""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections.abc import Awaitable, Callable
from typing import Any

Message = dict[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]
App = Callable[[Any, Receive, Send], Awaitable[None]]


def plain(send: Send) -> Send:
    """A coroutine function, which granian's send() is not."""

    async def wrapped(message: Message) -> None:
        await send(message)

    return wrapped


def with_wait_for(send: Send) -> Send:
    async def wrapped(message: Message) -> None:
        await asyncio.wait_for(send(message), 5)

    return wrapped


def with_timeout(send: Send) -> Send:
    async def wrapped(message: Message) -> None:
        async with asyncio.timeout(5):
            await send(message)

    return wrapped


def with_task_group(send: Send) -> Send:
    async def wrapped(message: Message) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(plain(send)(message))  # type: ignore[arg-type]

    return wrapped


def with_task(send: Send) -> Send:
    async def wrapped(message: Message) -> None:
        await asyncio.ensure_future(send(message))

    return wrapped


def with_gather(send: Send) -> Send:
    async def wrapped(message: Message) -> None:
        await asyncio.gather(send(message), asyncio.sleep(0))

    return wrapped


def with_shield(send: Send) -> Send:
    async def wrapped(message: Message) -> None:
        await asyncio.shield(send(message))

    return wrapped


def with_lock(send: Send) -> Send:
    lock = asyncio.Lock()

    async def wrapped(message: Message) -> None:
        async with lock:
            await send(message)

    return wrapped


def with_semaphore(send: Send) -> Send:
    semaphore = asyncio.Semaphore(1)

    async def wrapped(message: Message) -> None:
        async with semaphore:
            await asyncio.sleep(0)
            await send(message)

    return wrapped


def with_sleep(send: Send) -> Send:
    async def wrapped(message: Message) -> None:
        await asyncio.sleep(0.0001)
        await send(message)

    return wrapped


def with_thread(send: Send) -> Send:
    async def wrapped(message: Message) -> None:
        await asyncio.to_thread(int)
        await send(message)

    return wrapped


def with_contextvar(send: Send) -> Send:
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable")

    async def wrapped(message: Message) -> None:
        token = variable.set(1)
        try:
            await send(message)
        finally:
            variable.reset(token)

    return wrapped


def with_anyio_timeout(send: Send) -> Send:
    import anyio

    async def wrapped(message: Message) -> None:
        with anyio.fail_after(5):
            await send(message)

    return wrapped


def with_anyio_scope(send: Send) -> Send:
    import anyio

    async def wrapped(message: Message) -> None:
        with anyio.CancelScope(shield=True):
            await send(message)

    return wrapped


def with_anyio_task_group(send: Send) -> Send:
    import anyio

    async def wrapped(message: Message) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(plain(send), message)  # type: ignore[arg-type]

    return wrapped


def with_anyio_lock(send: Send) -> Send:
    import anyio

    lock = anyio.Lock()

    async def wrapped(message: Message) -> None:
        async with lock:
            await send(message)

    return wrapped


def with_anyio_stream(send: Send) -> Send:
    import anyio

    async def wrapped(message: Message) -> None:
        inside, outside = anyio.create_memory_object_stream[Message](1)
        async with inside, outside:
            await inside.send(message)
            await send(await outside.receive())

    return wrapped


def with_anyio_thread(send: Send) -> Send:
    import anyio.to_thread

    async def wrapped(message: Message) -> None:
        await anyio.to_thread.run_sync(int)
        await send(message)

    return wrapped


def with_anyio_checkpoint(send: Send) -> Send:
    import anyio.lowlevel

    async def wrapped(message: Message) -> None:
        await anyio.lowlevel.checkpoint()
        await send(message)

    return wrapped


def with_sniffio(send: Send) -> Send:
    import sniffio

    async def wrapped(message: Message) -> None:
        assert sniffio.current_async_library() == "asyncio"
        await send(message)

    return wrapped


def with_executor(send: Send) -> Send:
    async def wrapped(message: Message) -> None:
        message = await asyncio.get_running_loop().run_in_executor(None, dict, message)
        await send(message)

    return wrapped


def with_current_task(send: Send) -> Send:
    task = asyncio.current_task()

    async def wrapped(message: Message) -> None:
        assert asyncio.current_task() is task
        await send(message)

    return wrapped


def with_retry(send: Send) -> Send:
    """What has failed once is sent again."""
    n = 0

    async def attempt(message: Message) -> None:
        nonlocal n
        n += 1
        if n % 3 == 0:
            raise ValueError("again")
        await send(message)

    async def wrapped(message: Message) -> None:
        while True:
            try:
                return await attempt(message)
            except ValueError:
                await asyncio.sleep(0)

    return wrapped


def with_condition(send: Send) -> Send:
    condition = asyncio.Condition()

    async def wrapped(message: Message) -> None:
        async with condition:
            await send(message)
            condition.notify_all()

    return wrapped


#: By what they do around each send().
SEND_WRAPPERS: list[Callable[[Send], Send]] = [
    plain,
    with_wait_for,
    *([with_timeout, with_task_group] if sys.version_info >= (3, 11) else []),
    with_task,
    with_gather,
    with_shield,
    with_lock,
    with_semaphore,
    with_condition,
    with_sleep,
    with_retry,
    with_thread,
    with_executor,
    with_contextvar,
    with_sniffio,
    with_anyio_timeout,
    with_anyio_scope,
    with_anyio_task_group,
    with_anyio_lock,
    with_anyio_stream,
    with_anyio_thread,
    with_anyio_checkpoint,
]


# -- around the application -------------------------------------------------
# These have a life of their own, as long as the connection's.


def with_writer(app: App) -> App:
    """What is sent goes through a queue to a task that writes it."""

    async def wrapped(scope: Any, receive: Receive, send: Send) -> None:
        queue: asyncio.Queue[Message] = asyncio.Queue(4)

        async def write() -> None:
            while True:
                message = await queue.get()
                try:
                    await send(message)
                finally:
                    queue.task_done()

        writer = asyncio.ensure_future(write())
        try:
            await app(scope, receive, queue.put)
            await queue.join()
        finally:
            writer.cancel()

    return wrapped


def with_relays(app: App) -> App:
    """Both directions go through streams that tasks of a group relay, as
    Starlette's BaseHTTPMiddleware does for http."""
    import anyio

    async def wrapped(scope: Any, receive: Receive, send: Send) -> None:
        to_app, app_receives = anyio.create_memory_object_stream[Message](1)
        app_sends, from_app = anyio.create_memory_object_stream[Message](1)

        async def relay_in() -> None:
            while True:
                message = await receive()
                await to_app.send(message)
                if message["type"] == "websocket.disconnect":
                    return

        async def relay_out() -> None:
            async for message in from_app:
                await send(message)

        with to_app, app_receives, from_app:
            async with anyio.create_task_group() as group:
                relaying = asyncio.ensure_future(relay_in())
                group.start_soon(relay_out)
                try:
                    with app_sends:
                        await app(scope, app_receives.receive, app_sends.send)
                finally:
                    relaying.cancel()

    return wrapped


def with_child_task(app: App) -> App:
    """The application runs in a task of a group."""
    import anyio

    async def wrapped(scope: Any, receive: Receive, send: Send) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(app, scope, receive, send)

    return wrapped


def with_context(app: App) -> App:
    """The application runs in a context of its own."""
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable")

    async def wrapped(scope: Any, receive: Receive, send: Send) -> None:
        variable.set(1)

        async def checked(message: Message) -> None:
            assert variable.get() == 1
            await send(message)

        await app(scope, receive, checked)

    return wrapped


def with_server_task(app: App) -> App:
    """All is sent by the task that the application was called in."""

    async def wrapped(scope: Any, receive: Receive, send: Send) -> None:
        await app(scope, receive, with_current_task(send))

    return wrapped


def with_patience(app: App) -> App:
    """A time for the whole, of which there is enough."""
    import anyio

    async def wrapped(scope: Any, receive: Receive, send: Send) -> None:
        with anyio.fail_after(600):
            await app(scope, receive, send)

    return wrapped


#: By what they do around the application.
APP_WRAPPERS: list[Callable[[App], App]] = [
    with_writer,
    with_relays,
    with_child_task,
    with_context,
    with_server_task,
    with_patience,
]
