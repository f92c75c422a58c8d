# SPDX-License-Identifier: MIT
"""SubscriptionExecutor: register, publish, read, end."""

from __future__ import annotations

import asyncio
import contextvars
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from asgi_driver import DEADLINE, until

from fraiseql_asgi import (
    SKIP,
    ClosedError,
    ConfigError,
    DuplicateSubscription,
    Event,
    EventBusConfig,
    GraphQLSyntaxError,
    GraphQLValidationError,
    ResolverContext,
    SubscriptionExecutor,
    UnknownSubscription,
)


@pytest.fixture
def executor() -> Iterator[SubscriptionExecutor]:
    with SubscriptionExecutor() as made:
        yield made


def register(
    executor: SubscriptionExecutor,
    subscription_id: str = "s",
    query: str = "subscription { tick { n } }",
    **changes: Any,
) -> None:
    arguments: dict[str, Any] = {
        "connection_id": "c",
        "subscription_id": subscription_id,
        "query": query,
        "operation_name": None,
        "variables": None,
        "user_id": "u",
        "tenant_id": "t",
    }
    executor.register_subscription(**(arguments | changes))


def read(executor: SubscriptionExecutor, subscription_id: str = "s") -> Any:
    text = executor.next_event(subscription_id)
    return None if text is None else json.loads(text)


def payload(executor: SubscriptionExecutor, subscription_id: str = "s") -> Any:
    return read(executor, subscription_id)["payload"]


def test_an_event_is_there_when_publish_returns(executor: SubscriptionExecutor) -> None:
    register(executor)
    assert executor.publish_event("ticked", "tick", {"n": 1, "m": 2}) == "1"
    message = {"type": "next", "id": "s", "payload": {"data": {"tick": {"n": 1}}}}
    assert read(executor) == message
    assert read(executor) is None


def test_an_event_object_is_published_alone(executor: SubscriptionExecutor) -> None:
    register(executor)
    assert executor.publish_event(Event("ticked", "tick", {"n": 1})) == "1"
    assert payload(executor) == {"data": {"tick": {"n": 1}}}
    with pytest.raises(TypeError, match="alone"):
        executor.publish_event(Event("ticked", "tick", {"n": 1}), "tick", {})


def test_an_event_of_a_tenant_reaches_that_tenant_only(executor: SubscriptionExecutor) -> None:
    register(executor, tenant_id="t1")
    executor.publish_event(Event("ticked", "tick", {"n": 1}, tenant_id="t2"))
    executor.publish_event("ticked", "tick", {"n": 2}, tenant_id="t1")
    executor.publish_event("ticked", "tick", {"n": 3}, tenant_id="")
    assert payload(executor) == {"data": {"tick": {"n": 2}}}
    assert payload(executor) == {"data": {"tick": {"n": 3}}}
    assert executor.next_event("s") is None
    metrics = executor.get_metrics()
    assert metrics["security_tenant_denied_foreign"] == 1
    assert metrics["events_matched"] == 2


def test_an_event_of_a_subgraph_needs_its_boundary(executor: SubscriptionExecutor) -> None:
    register(executor)
    executor.publish_event("ticked", "tick", {"n": 1}, boundary="orders")
    assert executor.next_event("s") is None
    assert executor.get_metrics()["security_federation_denied"] == 1


def test_a_resolver_sees_the_whole_event(executor: SubscriptionExecutor) -> None:
    seen: list[Event] = []
    register(
        executor,
        tenant_id="t1",
        resolver_fn=lambda event, variables, context: seen.append(context.event),
    )
    executor.publish_event("ticked", "tick", {"n": 1}, tenant_id="t1", meta={"traceparent": "x"})
    assert seen[0].tenant_id == "t1"
    assert seen[0].boundary is None
    assert seen[0].meta == {"traceparent": "x"}


def test_order_is_that_of_publishing(executor: SubscriptionExecutor) -> None:
    register(executor)
    for n in range(1000):
        executor.publish_event("ticked", "tick", {"n": n})
    got = [payload(executor)["data"]["tick"]["n"] for _ in range(1000)]
    assert got == list(range(1000))


def test_channels_replace_the_name_of_the_field(executor: SubscriptionExecutor) -> None:
    register(executor, channels=["a", "b"])
    for channel in ("a", "tick", "b"):
        executor.publish_event("ticked", channel, {"n": channel})
    assert [payload(executor)["data"]["tick"]["n"] for _ in range(2)] == ["a", "b"]
    assert read(executor) is None


def test_sync_and_async_resolvers(executor: SubscriptionExecutor) -> None:
    def double(event: Any, variables: Any) -> Any:
        return {"n": event["n"] * variables["by"]}

    async def triple(event: Any, variables: Any) -> Any:
        await asyncio.sleep(0.01)
        return {"n": event["n"] * 3}

    query = "subscription ($by: Int) { tick(by: $by) { n } }"
    register(executor, "sync", query, resolver_fn=double, variables={"by": 2})
    register(executor, "async", resolver_fn=triple)
    executor.publish_event("ticked", "tick", {"n": 5})
    assert payload(executor, "sync") == {"data": {"tick": {"n": 10}}}
    assert payload(executor, "async") == {"data": {"tick": {"n": 15}}}


def test_resolvers_share_one_thread_with_a_loop(executor: SubscriptionExecutor) -> None:
    threads = set()

    def sync(event: Any, variables: Any) -> Any:
        threads.add(threading.current_thread())
        asyncio.get_running_loop()

    async def asynchronous(event: Any, variables: Any) -> Any:
        threads.add(threading.current_thread())

    register(executor, "1", resolver_fn=sync)
    register(executor, "2", resolver_fn=asynchronous)
    executor.publish_event("ticked", "tick", {})
    (thread,) = threads
    assert thread is not threading.current_thread()
    executor.close()
    assert not thread.is_alive()


def test_resolvers_see_the_contextvars_of_registration(executor: SubscriptionExecutor) -> None:
    var: contextvars.ContextVar[str] = contextvars.ContextVar("var", default="none")

    def sync(event: Any, variables: Any) -> Any:
        got = var.get()
        var.set("of the call")
        return got

    async def asynchronous(event: Any, variables: Any) -> Any:
        return sync(event, variables)

    var.set("of the caller")
    register(executor, "1", "subscription { tick }", resolver_fn=sync)
    register(executor, "2", "subscription { tick }", resolver_fn=asynchronous)
    var.set("later")
    for _ in range(2):
        executor.publish_event("ticked", "tick", {})
        for subscription_id in "12":
            assert payload(executor, subscription_id) == {"data": {"tick": "of the caller"}}


def test_skip_drops_the_event(executor: SubscriptionExecutor) -> None:
    register(
        executor,
        resolver_fn=lambda event, variables: SKIP if event["n"] % 2 else event,
    )
    for n in range(4):
        executor.publish_event("ticked", "tick", {"n": n})
    assert [payload(executor)["data"]["tick"]["n"] for _ in range(2)] == [0, 2]
    assert read(executor) is None


def test_returns_data_takes_the_whole_object(executor: SubscriptionExecutor) -> None:
    register(
        executor,
        query="subscription { user { name } }",
        resolver_fn=lambda event, variables: {"user": event, "other": 1},
        returns="data",
    )
    executor.publish_event("made", "user", {"name": "Alice"})
    assert payload(executor) == {"data": {"user": {"name": "Alice"}}}


def test_the_context_shows_the_call(executor: SubscriptionExecutor) -> None:
    seen: list[Any] = []

    def resolve(event: Any, variables: Any, context: ResolverContext) -> Any:
        assert context.event is not None
        assert context.event is context.event
        seen.append(context)
        return event

    register(
        executor,
        query="subscription Named { tick(by: 2, at: [A]) { n } }",
        operation_name="Named",
        resolver_fn=resolve,
    )
    event_id = executor.publish_event("ticked", "tick", {"n": 1})
    (context,) = seen
    assert context.event.id == event_id
    assert context.event.event_type == "ticked"
    assert context.event.channel == "tick"
    assert context.event.data == {"n": 1}
    assert context.args == {"by": 2, "at": ["A"]}
    assert context.connection_id == "c"
    assert context.subscription_id == "s"
    assert context.operation_name == "Named"
    assert context.connection_params is None
    assert context.scope is None
    assert (context.security.user_id, context.security.tenant_id) == ("u", "t")


def test_event_and_variables_are_fresh_for_each_call(executor: SubscriptionExecutor) -> None:
    def spoil(event: Any, variables: Any) -> Any:
        result = {"n": [event.pop("n"), variables.pop("x")]}
        return result

    query = "subscription ($x: Int) { tick(x: $x) { n } }"
    for subscription_id in "12":
        register(executor, subscription_id, query, variables={"x": 1}, resolver_fn=spoil)
    for _ in range(2):
        executor.publish_event("ticked", "tick", {"n": 7})
        for subscription_id in "12":
            assert payload(executor, subscription_id) == {"data": {"tick": {"n": [7, 1]}}}


def test_an_operation_name_beside_an_anonymous_operation_is_a_label(
    executor: SubscriptionExecutor,
) -> None:
    register(executor, operation_name="OnTick")
    executor.publish_event("ticked", "tick", {"n": 1})
    assert payload(executor) == {"data": {"tick": {"n": 1}}}


def test_a_full_queue_drops_the_oldest_and_says_so(executor: SubscriptionExecutor) -> None:
    register(executor)
    for n in range(16384 + 100):
        executor.publish_event("ticked", "tick", {"n": n})
    first = payload(executor)
    assert first["data"]["tick"]["n"] == 100
    assert first["extensions"] == {"dropped": 100}
    assert "extensions" not in payload(executor)
    assert executor.get_metrics()["deliveries_dropped"] == 100


def test_ids_are_unique_until_they_are_completed(executor: SubscriptionExecutor) -> None:
    register(executor)
    with pytest.raises(DuplicateSubscription, match="'s'") as caught:
        register(executor, connection_id="other")
    assert caught.value.subscription_id == "s"
    executor.complete_subscription("s")
    register(executor)


def test_a_refused_subscription_leaves_its_id_free(executor: SubscriptionExecutor) -> None:
    with pytest.raises(GraphQLSyntaxError):
        register(executor, query="subscription {")
    register(executor)
    assert executor.get_metrics()["subscriptions_active"] == 1


def test_unknown_ids_raise(executor: SubscriptionExecutor) -> None:
    for call in (executor.next_event, executor.complete_subscription):
        with pytest.raises(UnknownSubscription, match="'none'") as caught:
            call("none")
        assert caught.value.subscription_id == "none"


def test_documents_that_are_refused_say_why(executor: SubscriptionExecutor) -> None:
    with pytest.raises(GraphQLSyntaxError) as syntax:
        register(executor, query="subscription { a ")
    assert syntax.value.errors[0]["message"].startswith("Syntax Error: ")
    assert syntax.value.errors[0]["locations"] == [{"line": 1, "column": 18}]
    assert syntax.value.subscription_id == "s"
    with pytest.raises(GraphQLValidationError) as fields:
        register(executor, query="subscription { a b }")
    assert "one top level field" in fields.value.errors[0]["message"]
    with pytest.raises(GraphQLValidationError) as variables:
        register(executor, query="subscription ($n: Int!) { a(n: $n) }", variables={"n": "x"})
    assert "'$n'" in variables.value.errors[0]["message"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("connection_id", 1),
        ("subscription_id", None),
        ("query", b"subscription { a }"),
        ("operation_name", 1),
        ("variables", "{}"),
        ("variables", []),
        ("user_id", 1),
        ("tenant_id", 1),
        ("resolver_fn", "f"),
        ("channels", 1),
    ],
)
def test_an_argument_of_the_wrong_type_is_named(
    executor: SubscriptionExecutor, name: str, value: object
) -> None:
    with pytest.raises(TypeError, match=name.rstrip("s")):
        register(executor, **{name: value})
    assert executor.get_metrics()["subscriptions_total"] == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("connection_id", ""),
        ("subscription_id", ""),
        ("returns", "x"),
        ("channels", []),
        ("variables", {"a": float("inf")}),
        ("query", "\ud800"),
    ],
)
def test_an_argument_that_cannot_be_is_named(
    executor: SubscriptionExecutor, name: str, value: object
) -> None:
    with pytest.raises(ValueError, match=name.rstrip("s")):
        register(executor, **{name: value})


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("t", "tick", None), TypeError),
        (("t", "tick", []), TypeError),
        (("t", "tick", "x"), TypeError),
        (("t", 1, {}), TypeError),
        ((1, "tick", {}), TypeError),
        (("", "tick", {}), ValueError),
        (("t", "", {}), ValueError),
        (("t", "x" * 1025, {}), ValueError),
        (("t", "tick", {"a": {1, 2}}), TypeError),
        (("t", "tick", {"a": float("nan")}), ValueError),
        (("t", "tick", {1: 2}), TypeError),
    ],
)
def test_nothing_is_published_that_cannot_be(
    executor: SubscriptionExecutor, arguments: Any, error: type[Exception]
) -> None:
    register(executor)
    with pytest.raises(error):
        executor.publish_event(*arguments)
    assert executor.publish_event("t", "tick", {"n": 1}) == "1"


def test_an_event_may_not_be_too_large(executor: SubscriptionExecutor) -> None:
    with pytest.raises(ValueError, match="16777216"):
        executor.publish_event("t", "tick", {"a": "x" * (16 << 20)})


def test_disconnect_ends_the_subscriptions_of_a_connection(
    executor: SubscriptionExecutor,
) -> None:
    register(executor, "1")
    register(executor, "2")
    register(executor, "3", connection_id="other")
    executor.disconnect("c")
    executor.disconnect("c")
    executor.disconnect("never seen")
    for subscription_id in "12":
        with pytest.raises(UnknownSubscription):
            executor.next_event(subscription_id)
    assert executor.next_event("3") is None
    metrics = executor.get_metrics()
    assert (metrics["subscriptions_active"], metrics["channels_active"]) == (1, 1)


def test_a_subscription_that_ends_cancels_its_resolver(executor: SubscriptionExecutor) -> None:
    started, ended = threading.Event(), threading.Event()

    async def hang(event: Any, variables: Any) -> Any:
        try:
            started.set()
            await asyncio.sleep(3600)
        finally:
            ended.set()

    register(executor, resolver_fn=hang)
    publisher = threading.Thread(target=executor.publish_event, args=("t", "tick", {}))
    publisher.start()
    assert started.wait(10)
    executor.complete_subscription("s")
    assert ended.wait(10)
    # Nobody owes the event an answer any more.
    publisher.join(4)
    assert not publisher.is_alive()


def test_close_cancels_what_runs(executor: SubscriptionExecutor) -> None:
    started, ended = threading.Event(), threading.Event()

    async def hang(event: Any, variables: Any) -> Any:
        try:
            started.set()
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0.01)
            ended.set()

    register(executor, resolver_fn=hang)
    publisher = threading.Thread(target=executor.publish_event, args=("t", "tick", {}))
    publisher.start()
    assert started.wait(10)
    executor.close()
    assert ended.is_set()
    publisher.join(10)
    assert not publisher.is_alive()


def test_after_close_everything_raises(executor: SubscriptionExecutor) -> None:
    register(executor)
    executor.close()
    executor.close()
    for call in (
        lambda: register(executor, "2"),
        lambda: executor.publish_event("t", "tick", {}),
        lambda: executor.next_event("s"),
        lambda: executor.next_event("none"),
        lambda: executor.complete_subscription("s"),
        lambda: executor.disconnect("c"),
        executor.get_metrics,
    ):
        with pytest.raises(ClosedError):
            call()


def test_executors_on_one_bus_see_their_own_subscriptions() -> None:
    bus = EventBusConfig.memory().create_bus()
    with SubscriptionExecutor(bus) as one, SubscriptionExecutor(bus) as two:
        register(one, "a")
        register(two, "b")
        one.publish_event("t", "tick", {"n": 1})
        bus.publish(Event("t", "tick", {"n": 2}))
        one.publish_event("t", "tick", {"n": 3})
        for executor, subscription_id in ((one, "a"), (two, "b")):
            got = [payload(executor, subscription_id)["data"]["tick"]["n"] for _ in range(3)]
            assert got == [1, 2, 3]
        with pytest.raises(UnknownSubscription):
            one.next_event("b")
    assert repr(bus) == "<EventBus memory, connected>"
    bus.close()
    bus.close()
    with pytest.raises(ClosedError):
        bus.publish(Event("t", "tick", {}))
    with pytest.raises(ClosedError):
        SubscriptionExecutor(bus)


def test_separate_executors_share_nothing() -> None:
    with SubscriptionExecutor() as one, SubscriptionExecutor("memory://") as two:
        register(one)
        register(two)
        one.publish_event("t", "tick", {"n": 1})
        assert read(two) is None
        assert read(one) is not None


def test_a_wrong_bus_is_refused() -> None:
    with pytest.raises(ConfigError):
        SubscriptionExecutor("kafka://localhost")
    with pytest.raises(TypeError):
        SubscriptionExecutor(1)  # type: ignore[arg-type]


async def test_where_a_loop_runs_publish_returns_after_the_dispatch(
    executor: SubscriptionExecutor,
) -> None:
    go_on = threading.Event()

    async def slow(event: Any, variables: Any) -> Any:
        await asyncio.to_thread(go_on.wait, DEADLINE)
        return event

    register(executor, "plain")
    register(executor, "slow", resolver_fn=slow)
    executor.publish_event("t", "tick", {"n": 1})
    assert payload(executor, "plain") == {"data": {"tick": {"n": 1}}}
    assert read(executor, "slow") is None
    go_on.set()
    messages: list[Any] = []

    def has_come() -> bool:
        messages.append(read(executor, "slow"))
        return messages[-1] is not None

    await until(has_come)
    assert messages[-1]["payload"] == {"data": {"tick": {"n": 1}}}


def test_a_resolver_may_publish(executor: SubscriptionExecutor) -> None:
    def chain(event: Any, variables: Any) -> Any:
        if event["n"] < 3:
            executor.publish_event("t", "tick", {"n": event["n"] + 1})
        return event

    register(executor, resolver_fn=chain)
    executor.publish_event("t", "tick", {"n": 0})
    got: list[int] = []
    deadline = time.monotonic() + 10
    while len(got) < 4 and time.monotonic() < deadline:
        message = read(executor)
        if message is not None:
            got.append(message["payload"]["data"]["tick"]["n"])
    assert got == [0, 1, 2, 3]


def test_a_resolver_may_register_and_complete(executor: SubscriptionExecutor) -> None:
    def resolve(event: Any, variables: Any) -> Any:
        register(executor, f"made{event['n']}", resolver_fn=lambda event, variables: event)
        executor.complete_subscription(f"made{event['n']}")
        return event

    register(executor, resolver_fn=resolve)
    for n in range(3):
        executor.publish_event("t", "tick", {"n": n})
        assert payload(executor) == {"data": {"tick": {"n": n}}}


def test_threads_may_use_one_executor(executor: SubscriptionExecutor) -> None:
    faults: list[BaseException] = []

    def work(name: str) -> None:
        try:
            for n in range(100):
                register(executor, f"{name}{n}", f"subscription {{ {name} }}")
                executor.publish_event("t", name, {"n": n})
                assert payload(executor, f"{name}{n}") == {"data": {name: {"n": n}}}
                executor.complete_subscription(f"{name}{n}")
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=work, args=(f"t{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert executor.get_metrics()["subscriptions_active"] == 0
