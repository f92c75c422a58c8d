# SPDX-License-Identifier: MIT
"""Resolvers and sources as clients see them, and how they end."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import json
import logging
import time
import weakref
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest
from asgi_driver import Connection, on_both_loops, until
from sizes import PROVE, promised

from fraiseql_asgi import SKIP, Limits, ResolverContext, SubscriptionManager

MASKED = "Internal server error"


async def subscribe(
    client: Connection,
    query: str = "subscription { tick { n } }",
    operation_id: str = "1",
    **payload: Any,
) -> None:
    """Subscribe, and wait until it is live."""
    payload["query"] = query
    client.write({"type": "subscribe", "id": operation_id, "payload": payload})
    client.write({"type": "ping"})
    assert await client.read() == {"type": "pong"}


async def start(client: Connection, query: str, operation_id: str = "1") -> None:
    """Subscribe to something that sends at once."""
    client.write({"type": "subscribe", "id": operation_id, "payload": {"query": query}})


def with_resolver(function: Callable[..., Any], **settings: Any) -> SubscriptionManager:
    manager = SubscriptionManager(**settings)
    manager.subscription(channel="tick")(named("tick", function))
    return manager


def named(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    function.__name__ = name
    return function


def error(message: str) -> dict[str, Any]:
    return {
        "data": {"tick": None},
        "errors": [
            {
                "message": message,
                "locations": [{"line": 1, "column": 16}],
                "path": ["tick"],
                "extensions": {"code": "RESOLVER_ERROR"},
            }
        ],
    }


async def payload(client: Connection) -> Any:
    message = await client.read()
    assert message["type"] == "next", message
    return message["payload"]


# -- values -----------------------------------------------------------------


@on_both_loops
async def test_sync_resolver() -> None:
    async with with_resolver(lambda event, variables: {"n": event["n"] + 1}) as manager:
        client = await Connection(manager).ready()
        await subscribe(client)
        for n in range(200):
            manager.publish("tick", {"n": n})
        assert await client.read_ticks(200) == list(range(1, 201))
        await client.left()


@on_both_loops
async def test_async_resolver_keeps_the_order() -> None:
    async def resolve(event: Any, variables: Any) -> Any:
        await asyncio.sleep(0.003 if event["n"] % 3 == 0 else 0)
        return event

    async with with_resolver(resolve) as manager:
        client = await Connection(manager).ready()
        await subscribe(client)
        for n in range(60):
            manager.publish("tick", {"n": n})
        assert await client.read_ticks(60) == list(range(60))
        await client.left()


@on_both_loops
async def test_other_awaitables_are_awaited() -> None:
    class Later:
        def __init__(self, value: Any) -> None:
            self.value = value

        def __await__(self) -> Any:
            yield from asyncio.sleep(0).__await__()
            return self.value

    async with with_resolver(lambda event, variables: Later(event)) as manager:
        client = await Connection(manager).ready()
        await subscribe(client)
        manager.publish("tick", {"n": 1})
        assert await client.read_ticks(1) == [1]
        await client.left()


async def test_subscriptions_resolve_concurrently() -> None:
    async def resolve(event: Any, variables: Any) -> Any:
        await asyncio.sleep(0.05)
        return event

    async with with_resolver(resolve) as manager:
        clients = [await Connection(manager).ready() for _ in range(100)]
        for client in clients:
            await subscribe(client)
        started = time.monotonic()
        manager.publish("tick", {"n": 1})
        for client in clients:
            assert await client.read_ticks(1) == [1]
        assert time.monotonic() - started < 1.0
        for client in clients:
            await client.left()


async def deliver_to_100(manager: SubscriptionManager, rounds: int) -> float:
    """Seconds until 100 clients have an event, the best of some rounds."""
    clients = [await Connection(manager).ready() for _ in range(100)]
    for client in clients:
        await subscribe(client)
    took = []
    for n in range(rounds):
        started = time.monotonic()
        manager.publish("tick", {"n": n})
        for client in clients:
            assert await client.read_ticks(1) == [n]
        took.append(time.monotonic() - started)
    for client in clients:
        await client.left()
    return min(took)


@promised()
async def test_one_that_hangs_delays_no_other() -> None:
    hangs = True
    ended = 0

    async def resolve(event: Any, variables: Any) -> Any:
        nonlocal hangs, ended
        if hangs:
            hangs = False
            try:
                await asyncio.sleep(600)
            finally:
                ended += 1
        await asyncio.sleep(0.05)
        return event

    async with with_resolver(resolve) as manager:
        stuck = await Connection(manager).ready()
        await subscribe(stuck)
        manager.publish("tick", {"n": -1})
        await until(lambda: not hangs)
        took = await deliver_to_100(manager, 10 if PROVE else 2)
        assert took < (0.07 if PROVE else 5)
        assert ended == 0
        await stuck.left()
        await until(lambda: ended == 1)


@on_both_loops
async def test_skip_is_silent() -> None:
    async with with_resolver(
        lambda event, variables: SKIP if event["n"] == 1 else event
    ) as manager:
        client = await Connection(manager).ready()
        await subscribe(client)
        for n in range(3):
            manager.publish("tick", {"n": n})
        assert await client.read_ticks(2) == [0, 2]
        await client.left()


def test_skip_is_one_object() -> None:
    import copy
    import pickle

    assert repr(SKIP) == "SKIP"
    assert type(SKIP)() is SKIP
    assert copy.deepcopy(SKIP) is SKIP
    assert pickle.loads(pickle.dumps(SKIP)) is SKIP


@on_both_loops
async def test_none_is_a_value() -> None:
    async with with_resolver(lambda event, variables: None) as manager:
        client = await Connection(manager).ready()
        await subscribe(client)
        manager.publish("tick", {"n": 1})
        assert await payload(client) == {"data": {"tick": None}}
        await client.left()


@on_both_loops
async def test_lone_surrogates_of_a_result_leave_as_escapes() -> None:
    """A client that cuts a text in two may get it back as it said it."""

    def echo(event: Any, variables: Any) -> Any:
        return {"n": variables["text"] + "!", "list": [variables["text"], "\ud83d", "ü"]}

    async with with_resolver(echo) as manager:
        client = await Connection(manager).ready()
        query = "subscription ($text: String) { tick(text: $text) { n list } }"
        await subscribe(client, query, variables={"text": "\ud800"})
        manager.publish("tick", {})
        text = (await client.next())["text"]
        assert '"n":"\\ud800!"' in text
        assert '"list":["\\ud800","\\ud83d","ü"]' in text
        await client.left()


# -- several events at once -------------------------------------------------


async def burst(manager: SubscriptionManager, client: Connection, n: int) -> list[Any]:
    """What becomes of so many events, told apart by their number."""
    for number in range(n):
        manager.publish("tick", {"n": number})
    return [await payload(client) for _ in range(n)]


@on_both_loops
async def test_what_waits_is_resolved_one_after_the_other() -> None:
    running = 0
    n = 400

    async def later(event: Any) -> Any:
        nonlocal running
        running += 1
        assert running == 1
        for _ in range(event["n"] % 3):
            await asyncio.sleep(0)
        running -= 1
        return event

    def resolve(event: Any, variables: Any) -> Any:
        """Some at once, some in a task."""
        assert running == 0
        return later(event) if event["n"] % 5 < 3 else event

    async with with_resolver(resolve) as manager:
        client = await Connection(manager).ready()
        await subscribe(client)
        assert await burst(manager, client, n) == [
            {"data": {"tick": {"n": number}}} for number in range(n)
        ]
        metrics = manager.get_metrics()
        assert metrics["resolver_calls"] == metrics["resolver_seconds"]["count"] == n
        await client.left()


@on_both_loops
async def test_one_that_takes_too_long_lets_the_next_follow() -> None:
    async def resolve(event: Any, variables: Any) -> Any:
        if event["n"] == 20:
            await asyncio.sleep(3600)
        return event

    async with with_resolver(resolve, resolver_timeout=0.1) as manager:
        client = await Connection(manager).ready()
        await subscribe(client)
        answers = await burst(manager, client, 40)
        expected: list[Any] = [{"data": {"tick": {"n": number}}} for number in range(40)]
        expected[20] = error("The resolver timed out")
        assert answers == expected
        await client.left()


@on_both_loops
async def test_what_follows_goes_with_its_subscription() -> None:
    called: list[int] = []
    reached = asyncio.Event()

    async def resolve(event: Any, variables: Any) -> Any:
        called.append(event["n"])
        if event["n"] == 20:
            reached.set()
            await asyncio.sleep(3600)
        return event

    async with with_resolver(resolve) as manager:
        client = await Connection(manager).ready()
        await subscribe(client)
        for number in range(40):
            manager.publish("tick", {"n": number})
        await asyncio.wait_for(reached.wait(), 5)
        client.write({"type": "complete", "id": "1"})
        await until(lambda: manager.subscriber_count() == 0)
        client.write({"type": "ping"})
        while (await client.read())["type"] != "pong":
            pass
        await subscribe(client)
        manager.publish("tick", {"n": 41})
        assert await payload(client) == {"data": {"tick": {"n": 41}}}
        assert called == [*range(21), 41]
        await client.left()


# -- what they are called with ----------------------------------------------


@on_both_loops
async def test_context_shows_connection_and_operation() -> None:
    seen: list[ResolverContext] = []

    async def resolve(event: Any, variables: Any, context: ResolverContext) -> Any:
        seen.append(context)
        assert context.event is not None
        return {"n": context.event.data["n"], "by": variables["by"]}

    async with with_resolver(resolve) as manager:
        client = await Connection(manager).accepted()
        client.write({"type": "connection_init", "payload": {"token": "t"}})
        assert await client.read() == {"type": "connection_ack"}
        await subscribe(
            client,
            "subscription Named($by: Int = 3) { tick(by: $by) { n by } }",
            "abc",
            operationName="Named",
        )
        event_id = await manager.publish_event("ticked", "tick", {"n": 1})
        assert await payload(client) == {"data": {"tick": {"n": 1, "by": 3}}}
        (context,) = seen
        assert context.event is not None
        assert (context.event.id, context.event.event_type) == (event_id, "ticked")
        assert context.args == {"by": 3}
        assert context.connection_params == {"token": "t"}
        assert context.scope is client.scope
        assert context.subscription_id == "abc"
        assert context.operation_name == "Named"
        assert context.connection_id == context.connection_id
        assert len(context.connection_id) > 8
        await client.left()
        seen.clear()
        del context


async def test_resolvers_run_in_copies_of_the_connections_context() -> None:
    var: contextvars.ContextVar[str] = contextvars.ContextVar("var", default="none")

    def resolve(event: Any, variables: Any) -> Any:
        got = var.get()
        var.set("changed")
        return {"n": got}

    async with with_resolver(resolve) as manager:
        var.set("of the connection")
        client = await Connection(manager).ready()
        var.set("later")
        await subscribe(client)
        for _ in range(2):
            manager.publish("tick", {})
        assert await client.read_ticks(2) == ["of the connection"] * 2
        assert var.get() == "later"
        await client.left()


async def test_async_resolvers_have_a_task_of_their_own() -> None:
    tasks = []

    async def resolve(event: Any, variables: Any) -> Any:
        tasks.append(asyncio.current_task())
        await asyncio.wait_for(asyncio.sleep(0), 1)
        return event

    async with with_resolver(resolve) as manager:
        client = await Connection(manager).ready()
        await subscribe(client)
        for n in range(2):
            manager.publish("tick", {"n": n})
        await client.read_ticks(2)
        assert len({id(task) for task in tasks}) == 2
        assert client.task not in tasks
        await client.left()


# -- what goes wrong --------------------------------------------------------


async def check_failure(
    manager: SubscriptionManager, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Event 1 fails with `message` and a log entry; event 2 arrives, and the
    other client notices nothing."""
    manager.subscription("other", channel="tick")
    async with manager:
        client = await Connection(manager).ready()
        await subscribe(client)
        other = await Connection(manager).ready()
        await subscribe(other, "subscription { other { n } }")
        for n in (1, 2):
            manager.publish("tick", {"n": n})
        assert await payload(client) == error(message)
        assert await payload(client) == {"data": {"tick": {"n": 2}}}
        for n in (1, 2):
            assert await payload(other) == {"data": {"other": {"n": n}}}
        assert manager.get_metrics()["resolver_errors"] == 1
        await client.left()
        await other.left()
    (record,) = (r for r in caplog.records if r.name == "fraiseql_asgi")
    assert record.levelno == logging.ERROR
    assert "'tick'" in record.getMessage()


def failing(event: Any, variables: Any) -> Any:
    if event["n"] == 1:
        raise LookupError("secret")
    return event


async def async_failing(event: Any, variables: Any) -> Any:
    await asyncio.sleep(0)
    return failing(event, variables)


@pytest.mark.parametrize("function", [failing, async_failing])
@pytest.mark.parametrize("debug", [False, True])
async def test_an_exception_is_logged_and_masked(
    function: Callable[..., Any], debug: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def resolve(event: Any, variables: Any) -> Any:
        return function(event, variables)

    manager = with_resolver(resolve, debug=debug)
    await check_failure(manager, "secret" if debug else MASKED, caplog)
    (record,) = (r for r in caplog.records if r.name == "fraiseql_asgi")
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], LookupError)
    assert record.exc_info[2] is not None


@pytest.mark.parametrize("value", [object(), float("nan"), {1: 2}])
async def test_a_result_that_is_no_json_is_an_error(
    value: object, caplog: pytest.LogCaptureFixture
) -> None:
    def resolve(event: Any, variables: Any) -> Any:
        return value if event["n"] == 1 else event

    await check_failure(with_resolver(resolve), MASKED, caplog)


async def test_a_result_may_not_be_too_large(caplog: pytest.LogCaptureFixture) -> None:
    def resolve(event: Any, variables: Any) -> Any:
        return "x" * 200 if event["n"] == 1 else event

    limits = Limits(event_max_bytes=100)
    await check_failure(with_resolver(resolve, limits=limits), MASKED, caplog)


async def test_an_exception_without_a_text_is_told_by_its_class(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def resolve(event: Any, variables: Any) -> Any:
        assert event["n"] == 2
        return event

    class Silent(Exception):
        def __str__(self) -> str:
            raise ValueError("no text")

    def silent(event: Any, variables: Any) -> Any:
        if event["n"] == 1:
            raise Silent
        return event

    await check_failure(with_resolver(silent, debug=True), f"{Silent.__name__}", caplog)


async def test_a_resolver_that_takes_too_long_is_cancelled(
    caplog: pytest.LogCaptureFixture,
) -> None:
    cancelled = asyncio.Event()

    async def resolve(event: Any, variables: Any) -> Any:
        if event["n"] == 1:
            try:
                await asyncio.sleep(3600)
            finally:
                cancelled.set()
        return event

    manager = with_resolver(resolve, resolver_timeout=0.05)
    await check_failure(manager, "The resolver timed out", caplog)
    assert cancelled.is_set()


async def test_one_that_refuses_to_be_cancelled_delays_nobody() -> None:
    free = asyncio.Event()

    async def resolve(event: Any, variables: Any) -> Any:
        while event["n"] == 1 and not free.is_set():
            try:
                await free.wait()
            except asyncio.CancelledError:
                pass
        return event

    async with with_resolver(resolve, resolver_timeout=0.05) as manager:
        client = await Connection(manager).ready()
        await subscribe(client)
        for n in (1, 2, 3):
            manager.publish("tick", {"n": n})
        assert await payload(client) == error("The resolver timed out")
        assert await client.read_ticks(2) == [2, 3]
        free.set()
        await client.left()


async def test_every_task_has_its_own_time() -> None:
    async def resolve(event: Any, variables: Any) -> Any:
        await asyncio.sleep(event["n"])
        return event

    async with with_resolver(resolve, resolver_timeout=1.0) as manager:
        clients = []
        for delay in (0.02, 3600, 0.1):
            client = await Connection(manager).ready()
            await subscribe(client)
            clients.append(client)
            manager.publish("tick", {"n": delay})
            await asyncio.sleep(0.05)
        # The first client saw all three, the last one the last.
        assert [await payload(clients[0]) for _ in range(2)] == [
            {"data": {"tick": {"n": 0.02}}},
            error("The resolver timed out"),
        ]
        assert await client.read_ticks(1) == [0.1]
        for client in clients:
            client.disconnect()
        await asyncio.wait([client.task for client in clients])


@pytest.mark.parametrize("fatal", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_what_is_for_the_loop_reaches_it(fatal: type[BaseException], kind: str) -> None:
    """As for any callback and any task of asyncio."""

    def sync(event: Any, variables: Any) -> Any:
        raise fatal

    async def asynchronous(event: Any, variables: Any) -> Any:
        raise fatal

    got: list[Any] = []

    async def main() -> None:
        async with with_resolver(sync if kind == "sync" else asynchronous) as manager:
            client = await Connection(manager).ready()
            await subscribe(client)
            manager.publish("tick", {})
            try:
                got.append(await payload(client))
            finally:
                client.disconnect()
                await client.task

    loop = asyncio.SelectorEventLoop()
    task = loop.create_task(main())
    with pytest.raises(fatal):
        loop.run_until_complete(task)
    # The loop may go on, and so does the subscription.
    loop.run_until_complete(asyncio.wait_for(task, 10))
    loop.close()
    assert got == [error(MASKED)]


# -- the end of a subscription -----------------------------------------------


class Hanging:
    """A resolver or a source that says when it began and ended."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.ended = asyncio.Event()
        self.clean = False

    async def wait(self) -> None:
        try:
            self.started.set()
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0.01)
            self.clean = True
            self.ended.set()

    def resolver(self) -> Callable[..., Any]:
        async def tick(event: Any, variables: Any) -> Any:
            await self.wait()

        return tick

    def source(self) -> Callable[..., Any]:
        async def tick() -> AsyncGenerator[Any, None]:
            yield {"n": 0}
            await self.wait()

        return tick


@pytest.mark.parametrize("kind", ["resolver", "source"])
@pytest.mark.parametrize("end", ["complete", "disconnect", "close", "aclose", "cancel"])
@on_both_loops
async def test_what_runs_is_cancelled_and_finally_runs(kind: str, end: str) -> None:
    hanging = Hanging()
    manager = SubscriptionManager()
    manager.subscription(getattr(hanging, kind)())
    await manager.__aenter__()
    client = await Connection(manager).ready()
    if kind == "source":
        await start(client, "subscription { tick { n } }")
        assert await client.read_ticks(1) == [0]
    else:
        await subscribe(client)
        manager.publish("tick", {"n": 1})
    await hanging.started.wait()
    if end == "complete":
        client.write({"type": "complete", "id": "1"})
    elif end == "disconnect":
        client.disconnect(1006)
    elif end == "close":
        client.write("no json")
    elif end == "aclose":
        await manager.aclose()
        assert hanging.clean
    else:
        client.task.cancel()
    await asyncio.wait_for(hanging.ended.wait(), 10)
    assert hanging.clean
    client.disconnect()
    await asyncio.wait([client.task])
    if end != "aclose":
        await until(lambda: manager.subscriber_count() == 0)
        await manager.aclose()


# -- sources ----------------------------------------------------------------


def with_source(function: Callable[..., Any], **settings: Any) -> SubscriptionManager:
    manager = SubscriptionManager(**settings)
    manager.subscription(named("tick", function))
    return manager


@on_both_loops
async def test_a_source_yields_and_completes() -> None:
    async def source(variables: Any, context: ResolverContext) -> AsyncGenerator[Any, None]:
        assert context.event is None
        assert variables == context.args == {"to": 5}
        for n in range(variables["to"]):
            if n == 2:
                yield SKIP
            yield {"n": n}

    async with with_source(source) as manager:
        client = await Connection(manager).ready()
        await start(client, "subscription ($to: Int = 5) { tick(to: $to) { n } }")
        assert await client.read_ticks(5) == list(range(5))
        assert await client.read() == {"type": "complete", "id": "1"}
        assert manager.subscriber_count() == 0
        # The id is free again.
        await start(client, "subscription ($to: Int = 5) { tick(to: $to) { n } }")
        assert await client.read_ticks(5) == list(range(5))
        await client.left()


@on_both_loops
async def test_each_subscription_has_a_source_of_its_own() -> None:
    n_sources = 0

    async def source() -> AsyncGenerator[Any, None]:
        nonlocal n_sources
        n_sources += 1
        mine = n_sources
        yield {"n": mine}

    async with with_source(source) as manager:
        client = await Connection(manager).ready()
        for n in (1, 2):
            await start(client, "subscription { tick { n } }", str(n))
            assert await client.read_ticks(1) == [n]
            assert await client.read() == {"type": "complete", "id": str(n)}
        await client.left()


@pytest.mark.parametrize("n_values", [0, 2])
@on_both_loops
async def test_a_source_that_raises_ends_with_the_error(
    n_values: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What pytest keeps of a log entry would hold the connection.
    monkeypatch.setattr(logging.getLogger("fraiseql_asgi"), "disabled", True)

    async def source() -> AsyncGenerator[Any, None]:
        for n in range(n_values):
            yield {"n": n}
        raise LookupError("secret")

    async with with_source(source) as manager:
        client = await Connection(manager).ready()
        await start(client, "subscription { tick { n } }")
        assert await client.read_ticks(n_values) == list(range(n_values))
        assert await payload(client) == error(MASKED)
        assert await client.read() == {"type": "complete", "id": "1"}
        await client.left()


async def test_a_value_that_is_no_json_ends_the_source() -> None:
    closed = asyncio.Event()

    async def source() -> AsyncGenerator[Any, None]:
        try:
            yield object()
            yield {"n": 1}
        finally:
            closed.set()

    async with with_source(source, debug=True) as manager:
        client = await Connection(manager).ready()
        await start(client, "subscription { tick { n } }")
        message = (await payload(client))["errors"][0]["message"]
        assert "object" in message
        assert await client.read() == {"type": "complete", "id": "1"}
        assert closed.is_set()
        await client.left()


async def test_a_source_that_was_cancelled_by_others_fails() -> None:
    tasks = []

    async def source() -> AsyncGenerator[Any, None]:
        tasks.append(asyncio.current_task())
        yield {"n": 1}
        await asyncio.sleep(3600)

    async with with_source(source) as manager:
        client = await Connection(manager).ready()
        await start(client, "subscription { tick { n } }")
        assert await client.read_ticks(1) == [1]
        assert tasks[0] is not None
        tasks[0].cancel()
        assert await payload(client) == error(MASKED)
        assert await client.read() == {"type": "complete", "id": "1"}
        await client.left()


async def test_a_source_runs_in_one_task() -> None:
    """Timeouts and task groups stay in the task they were entered in."""
    anyio = pytest.importorskip("anyio")
    tasks = set()

    async def source() -> AsyncGenerator[Any, None]:
        with anyio.move_on_after(60):
            for n in range(3):
                tasks.add(id(asyncio.current_task()))
                await asyncio.sleep(0)
                yield {"n": n}

    async with with_source(source) as manager:
        client = await Connection(manager).ready()
        await start(client, "subscription { tick { n } }")
        assert await client.read_ticks(3) == [0, 1, 2]
        assert await client.read() == {"type": "complete", "id": "1"}
        assert len(tasks) == 1
        await client.left()


async def test_a_source_waits_for_its_reader() -> None:
    """The next value is asked for only while the queue has room."""
    n_yielded = 0

    async def source() -> AsyncGenerator[Any, None]:
        nonlocal n_yielded
        while True:
            n_yielded += 1
            yield {"n": n_yielded}

    async with with_source(source) as manager:
        client = await Connection(manager).ready()
        client.writable.clear()
        await start(client, "subscription { tick { n } }")
        last = -1
        while last != n_yielded:
            last = n_yielded
            await asyncio.sleep(0.05)
        assert n_yielded < 1000
        client.writable.set()
        got = await client.read_ticks(2000)
        assert got == list(range(1, 2001))
        client.disconnect()
        await asyncio.wait([client.task])
        await until(lambda: manager.subscriber_count() == 0)


async def test_a_source_that_swallows_its_cancellation_is_closed() -> None:
    told = []
    asleep = asyncio.Event()

    async def source() -> AsyncGenerator[Any, None]:
        try:
            while True:
                try:
                    yield {"n": 1}
                    asleep.set()
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    told.append("cancelled")
        finally:
            told.append("finally")

    async with with_source(source) as manager:
        client = await Connection(manager).ready()
        await start(client, "subscription { tick { n } }")
        assert await client.read_ticks(1) == [1]
        await asyncio.wait_for(asleep.wait(), 5)
        client.write({"type": "complete", "id": "1"})
        await until(lambda: told == ["cancelled", "finally"])
        await client.left()


# -- nothing is left ---------------------------------------------------------


async def test_nothing_is_left_of_calls() -> None:
    """Neither events nor results nor tasks are kept by anybody."""

    class Result(dict):  # type: ignore[type-arg]
        pass

    alive: list[weakref.ref[Any]] = []

    async def resolve(event: Any, variables: Any, context: ResolverContext) -> Any:
        result = Result(event)
        alive.append(weakref.ref(result))
        await asyncio.sleep(0)
        return result

    async with with_resolver(resolve) as manager:
        client = await Connection(manager).ready()
        await subscribe(client)
        for n in range(100):
            manager.publish("tick", {"n": n})
        await client.read_ticks(100)
        await asyncio.sleep(0)
        gc.collect()
        assert [ref for ref in alive if ref() is not None] == []
        assert [task for task in asyncio.all_tasks() if task.get_coro().__name__ == "resolve"] == []
        await client.left()


async def test_a_polled_subscription_reports_errors_too() -> None:
    async with SubscriptionManager() as manager:

        async def resolve(event: Any, variables: Any) -> Any:
            raise LookupError("secret")

        await manager.create_subscription(
            "s", "c", "subscription { tick }", None, None, resolve, None, None
        )
        await manager.publish_event("t", "tick", {})
        message = await manager.get_next_event("s")
        assert message is not None
        assert json.loads(message)["payload"] == error(MASKED)
