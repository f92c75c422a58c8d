# SPDX-License-Identifier: MIT
"""Queries and mutations on the socket: `execute_handler=` and what it returns."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import importlib
import logging
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from asgi_driver import Connection, on_both_loops, until

from fraiseql_asgi import (
    SKIP,
    ConfigError,
    Limits,
    ResolverContext,
    SecurityContext,
    SubscriptionManager,
    execute,
)

MASKED = "Internal server error"


async def echo(payload: dict[str, Any], context: ResolverContext) -> dict[str, Any]:
    await asyncio.sleep(0)
    return {"data": payload}


def send(client: Connection, query: str = "{ a }", id_: str = "1", **payload: Any) -> None:
    client.write({"type": "subscribe", "id": id_, "payload": {"query": query, **payload}})


async def result(client: Connection, id_: str = "1") -> Any:
    """The payload of the one `next` that comes, and then `complete`."""
    message = await client.read()
    assert (message["type"], message["id"]) == ("next", id_), message
    assert await client.read() == {"type": "complete", "id": id_}
    return message["payload"]


async def failure(client: Connection, id_: str = "1") -> Any:
    message = await client.read()
    assert (message["type"], message["id"]) == ("error", id_), message
    return message["payload"]


def resolver_error(message: str) -> list[dict[str, Any]]:
    return [{"message": message, "extensions": {"code": "RESOLVER_ERROR"}}]


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name == "fraiseql_asgi"]


# -- what it is called with ---------------------------------------------------


@on_both_loops
async def test_the_result_is_next_and_complete() -> None:
    async with SubscriptionManager(execute_handler=echo) as manager:
        client = await Connection(manager).ready()
        send(client)
        assert await result(client) == {
            "data": {"query": "{ a }", "operationName": None, "variables": None, "extensions": None}
        }
        document = "query A { a } mutation B($n: Int) { b(n: $n) }"
        variables = {"n": 2**70, "more": [1.5, "é\U0001f600"]}
        send(client, document, "m", operationName="B", variables=variables, extensions={"x": 1})
        assert await result(client, "m") == {
            "data": {
                "query": document,
                "operationName": "B",
                "variables": variables,
                "extensions": {"x": 1},
            }
        }
        await client.left()


def test_the_context_shows_connection_and_operation() -> None:
    async def main() -> None:
        seen: list[ResolverContext] = []

        def handler(payload: dict[str, Any], context: ResolverContext) -> dict[str, Any]:
            seen.append(context)
            return {"data": {"a": 1}}

        async with SubscriptionManager(execute_handler=handler) as manager:
            client = await Connection(manager).accepted()
            client.write({"type": "connection_init", "payload": {"token": "t"}})
            assert await client.read() == {"type": "connection_ack"}
            send(client, "query Named { a }", "abc", operationName="Named")
            assert await result(client, "abc") == {"data": {"a": 1}}
            (context,) = seen
            assert context.event is None
            assert context.args == {}
            assert context.connection_params == {"token": "t"}
            assert context.scope is client.scope
            assert context.subscription_id == "abc"
            assert context.operation_name == "Named"
            assert len(context.connection_id) > 8
            await client.left()

    asyncio.run(main())


class Callable1:
    def __call__(self, payload: dict[str, Any]) -> dict[str, Any]:
        return {"data": payload["query"]}


class Callable2:
    async def __call__(self, payload: dict[str, Any], context: Any = None) -> dict[str, Any]:
        return {"data": payload["query"]}


@pytest.mark.parametrize("handler", [Callable1(), Callable2(), Callable1().__call__])
async def test_any_callable_will_do(handler: Any) -> None:
    async with SubscriptionManager(execute_handler=handler) as manager:
        client = await Connection(manager).ready()
        send(client)
        assert await result(client) == {"data": "{ a }"}
        await client.left()


async def test_it_runs_in_a_copy_of_the_connections_context() -> None:
    var: contextvars.ContextVar[str] = contextvars.ContextVar("var", default="none")

    async def handler(payload: Any, context: Any) -> Any:
        got = var.get()
        var.set("changed")
        return {"data": got}

    async with SubscriptionManager(execute_handler=handler) as manager:
        var.set("of the connection")
        client = await Connection(manager).ready()
        var.set("later")
        for _ in range(2):
            send(client)
            assert await result(client) == {"data": "of the connection"}
        await client.left()


# -- several at once ----------------------------------------------------------


@on_both_loops
async def test_operations_run_at_the_same_time_beside_subscriptions() -> None:
    gates = {str(n): asyncio.Event() for n in range(5)}

    async def handler(payload: Any, context: ResolverContext) -> Any:
        await gates[context.subscription_id].wait()
        return {"data": context.subscription_id}

    async with SubscriptionManager(execute_handler=handler) as manager:
        client = await Connection(manager).subscribed("subscription { tick { n } }")
        client.write({"type": "complete", "id": "1"})
        send(client, "subscription { tick { n } }", "tick")
        for id_ in gates:
            send(client, id_=id_)
        await until(lambda: manager.get_metrics()["execute_calls"] == 5)
        manager.publish("tick", {"n": 1})
        assert await client.read_ticks(1) == [1]
        for id_ in reversed(gates):
            gates[id_].set()
            assert await result(client, id_) == {"data": id_}
        await client.left()


# -- how it ends --------------------------------------------------------------


class Hanging:
    """A handler that never returns and notes how it was cancelled."""

    def __init__(self) -> None:
        self.n_started = 0
        self.n_cancelled = 0

    async def __call__(self, payload: Any, context: Any) -> Any:
        self.n_started += 1
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.n_cancelled += 1
            raise


@on_both_loops
async def test_complete_and_leaving_cancel_it() -> None:
    handler = Hanging()
    async with SubscriptionManager(execute_handler=handler) as manager:
        client = await Connection(manager).ready()
        send(client)
        send(client, id_="2")
        await until(lambda: handler.n_started == 2)
        client.write({"type": "complete", "id": "1"})
        await until(lambda: handler.n_cancelled == 1)
        send(client)
        await until(lambda: handler.n_started == 3)
        await client.left()
        await until(lambda: handler.n_cancelled == 3)
        assert client.outgoing.empty()


@on_both_loops
async def test_stopping_the_manager_cancels_it() -> None:
    handler = Hanging()
    manager = SubscriptionManager(execute_handler=handler)
    async with manager:
        client = await Connection(manager).ready()
        send(client)
        await until(lambda: handler.n_started == 1)
    assert handler.n_cancelled == 1
    message = await client.next()
    assert (message["type"], message["code"]) == ("websocket.close", 1012)
    await client.left()


async def test_one_that_takes_too_long_is_an_error(caplog: pytest.LogCaptureFixture) -> None:
    handler = Hanging()
    manager = SubscriptionManager(execute_handler=handler, resolver_timeout=0.05)
    async with manager:
        client = await Connection(manager).ready()
        send(client)
        assert await failure(client) == resolver_error("The operation timed out")
        await until(lambda: handler.n_cancelled == 1)
        await client.left()
    (message,) = messages(caplog)
    assert message == "the handler 'Hanging' timed out"


# -- what goes wrong ----------------------------------------------------------


def raising(payload: Any, context: Any) -> Any:
    raise LookupError("secret")


async def async_raising(payload: Any, context: Any) -> Any:
    await asyncio.sleep(0)
    raising(payload, context)


@pytest.mark.parametrize("handler", [raising, async_raising])
@pytest.mark.parametrize("debug", [False, True])
async def test_an_exception_is_logged_and_masked(
    handler: Any, debug: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async with SubscriptionManager(execute_handler=handler, debug=debug) as manager:
        client = await Connection(manager).ready()
        send(client)
        assert await failure(client) == resolver_error("secret" if debug else MASKED)
        send(client)
        await failure(client)
        assert manager.get_metrics()["execute_errors"] == 2
        await client.left()
    record = next(r for r in caplog.records if r.name == "fraiseql_asgi")
    assert record.getMessage() == f"the handler {handler.__name__!r} raised"
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    assert record.exc_info[0] is LookupError


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, 'the result must be a dict such as {"data": ...}, not NoneType'),
        ([], 'the result must be a dict such as {"data": ...}, not list'),
        (SKIP, 'the result must be a dict such as {"data": ...}, not fraiseql_asgi._core.SkipType'),
        ({"data": float("nan")}, "result.data: NaN is not valid JSON"),
    ],
)
async def test_a_result_that_is_none_is_an_error(
    value: Any, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    manager = SubscriptionManager(execute_handler=lambda payload, context: value, debug=True)
    async with manager:
        client = await Connection(manager).ready()
        send(client)
        assert await failure(client) == resolver_error(text)
        await client.left()
    assert len(messages(caplog)) == 1


async def test_documents_are_checked_before_it_is_called() -> None:
    called = []
    manager = SubscriptionManager(
        execute_handler=called.append, limits=Limits(document_max_depth=2)
    )
    async with manager:
        client = await Connection(manager).ready()
        for query, code in (
            ("{ a(", "PARSE_ERROR"),
            ("{ ...missing }", "VALIDATION_ERROR"),
            ("{ a { b { c } } }", "LIMIT_REACHED"),
        ):
            send(client, query)
            (error,) = await failure(client)
            assert error["extensions"] == {"code": code}
            assert error["locations"][0]["line"] == 1
        metrics = manager.get_metrics()
        assert metrics["refused_syntax"] == 1
        assert metrics["refused_validation"] == 1
        assert metrics["refused_document_depth"] == 1
        assert metrics["subscriptions_refused"] == 3
        assert metrics["execute_calls"] == 0
        await client.left()
    assert called == []


async def test_without_one_clients_are_refused_and_the_log_says_why(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with SubscriptionManager() as manager:
        client = await Connection(manager).ready()
        for kind in ("query", "mutation"):
            send(client, kind + " { a }")
            assert await failure(client) == [
                {
                    "message": "Only subscriptions are served here, but the operation is a "
                    f"{kind}.",
                    "extensions": {"code": "VALIDATION_ERROR"},
                }
            ]
        assert manager.get_metrics()["refused_unhandled"] == 2
        client.write({"type": "ping"})
        assert await client.read() == {"type": "pong"}
        await client.left()
    (message,) = messages(caplog)
    assert "execute_handler=" in message


async def agen(payload: Any, context: Any) -> Any:
    yield {}


@pytest.mark.parametrize(
    ("handler", "error", "text"),
    [
        (3, TypeError, "execute_handler must be callable, not int"),
        (lambda a, *, b: {}, ConfigError, r"called with \(payload, context\)"),
        (lambda a, b, c: {}, ConfigError, r"called with \(payload, context\)"),
        (agen, ConfigError, "does not yield"),
    ],
)
def test_wrong_handlers_are_refused_when_given(handler: Any, error: Any, text: str) -> None:
    with pytest.raises(error, match=text):
        SubscriptionManager(execute_handler=handler)


def test_nothing_of_a_handler_is_left() -> None:
    async def main() -> weakref.ref[Any]:
        handler = Callable2()
        manager = SubscriptionManager(execute_handler=handler)
        async with manager:
            client = await Connection(manager).ready()
            send(client)
            await result(client)
            await client.left()
        return weakref.ref(handler)

    ref = asyncio.run(main())
    gc.collect()
    assert ref() is None


# -- ready-made handlers ------------------------------------------------------

SDL = """
type Query { hello(name: String!): String  fail: String  user: String }
type Mutation { add(n: Int!): Int }
"""


def graphql_core_schema() -> Any:
    graphql = pytest.importorskip("graphql")
    schema = graphql.build_schema(SDL)

    async def hello(root: Any, info: Any, name: str) -> str:
        await asyncio.sleep(0)
        return f"{root or 'hello'} {name}"

    def fail(root: Any, info: Any) -> None:
        raise LookupError("no luck")

    schema.query_type.fields["hello"].resolve = hello
    schema.query_type.fields["fail"].resolve = fail
    schema.query_type.fields["user"].resolve = lambda root, info: user_of(info.context)
    schema.mutation_type.fields["add"].resolve = lambda root, info, n: n + 1
    return schema


def user_of(context: Any) -> str:
    """The user in whatever `info.context` is."""
    if isinstance(context, ResolverContext):
        assert context.connection_params is not None
        return str(context.connection_params["user"])
    return str(context["user"])


def strawberry_schema() -> Any:
    pytest.importorskip("strawberry")
    from strawberry_schema import schema

    return schema


def ariadne_schema() -> Any:
    ariadne = pytest.importorskip("ariadne")
    query, mutation = ariadne.QueryType(), ariadne.MutationType()

    @query.field("hello")
    async def hello(root: Any, info: Any, name: str) -> str:
        await asyncio.sleep(0)
        return f"{root or 'hello'} {name}"

    @query.field("fail")
    def fail(root: Any, info: Any) -> None:
        raise LookupError("no luck")

    query.set_field("user", lambda root, info: user_of(info.context))
    mutation.set_field("add", lambda root, info, n: n + 1)
    return ariadne.make_executable_schema(SDL, query, mutation)


ADAPTERS: dict[str, tuple[Callable[[], Any], Callable[..., Any]]] = {
    "graphql_core": (graphql_core_schema, execute.graphql_core),
    "strawberry": (strawberry_schema, execute.strawberry),
    "ariadne": (ariadne_schema, execute.ariadne),
}


@pytest.fixture(params=ADAPTERS)
def adapter(request: pytest.FixtureRequest) -> tuple[Any, Callable[..., Any]]:
    make_schema, make_handler = ADAPTERS[request.param]
    return make_schema(), make_handler


async def test_adapters_execute_queries_and_mutations(adapter: Any) -> None:
    schema, make = adapter
    async with SubscriptionManager(execute_handler=make(schema)) as manager:
        client = await Connection(manager).accepted()
        client.write({"type": "connection_init", "payload": {"user": "ann"}})
        await client.read()
        document = "query A($name: String!) { hello(name: $name) user } query B { user }"
        send(client, document, operationName="A", variables={"name": "you"})
        assert await result(client) == {"data": {"hello": "hello you", "user": "ann"}}
        send(client, "mutation { add(n: 4) }")
        assert await result(client) == {"data": {"add": 5}}
        await client.left()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_adapters_tell_errors_as_their_package_does(adapter: Any) -> None:
    schema, make = adapter
    async with SubscriptionManager(execute_handler=make(schema)) as manager:
        client = await Connection(manager).ready()
        send(client, '{ fail hello(name: "x") }')
        payload = await result(client)
        assert payload["data"] == {"fail": None, "hello": "hello x"}
        (error,) = payload["errors"]
        assert (error["message"], error["path"]) == ("no luck", ["fail"])
        # What the package's own schema refuses never ran: no data.
        send(client, "{ nothing }")
        payload = await result(client)
        assert "data" not in payload
        assert "nothing" in payload["errors"][0]["message"]
        send(client, "query ($name: String!) { hello(name: $name) }")
        payload = await result(client)
        assert payload.get("data") is None
        assert "$name" in payload["errors"][0]["message"]
        await client.left()


@pytest.mark.parametrize("kind", ["value", "function", "async"])
async def test_adapters_take_root_and_context(adapter: Any, kind: str) -> None:
    schema, make = adapter
    value = {"user": "bob"}

    async def later(context: ResolverContext) -> Any:
        assert context.subscription_id == "1"
        return value

    def now(context: ResolverContext) -> Any:
        assert context.subscription_id == "1"
        return value

    setting = {"value": value, "function": now, "async": later}[kind]
    handler = make(schema, root_value="bye", context_value=setting)
    async with SubscriptionManager(execute_handler=handler) as manager:
        client = await Connection(manager).ready()
        send(client, '{ user hello(name: "x") }')
        assert await result(client) == {"data": {"user": "bob", "hello": "bye x"}}
        await client.left()


@on_both_loops
async def test_a_handler_is_told_who_asks() -> None:
    def answer(payload: dict[str, Any], context: ResolverContext) -> dict[str, Any]:
        security = context.security
        return {"data": {"who": [security.user_id, security.tenant_id, sorted(security.roles)]}}

    def authenticate(payload: dict[str, Any]) -> SecurityContext:
        return SecurityContext(payload["user"], "t", roles=["admin"])

    async with SubscriptionManager(auth_handler=authenticate, execute_handler=answer) as manager:
        for user in ("ann", "bob"):
            client = await Connection(manager).accepted()
            client.write({"type": "connection_init", "payload": {"user": user}})
            assert await client.read() == {"type": "connection_ack"}
            send(client, "{ who }")
            assert await result(client) == {"data": {"who": [user, "t", ["admin"]]}}
            await client.left()
    async with SubscriptionManager(execute_handler=answer) as manager:
        client = await Connection(manager).ready()
        send(client, "{ who }")
        assert await result(client) == {"data": {"who": ["anonymous", None, []]}}
        await client.left()


@pytest.mark.parametrize("name", ADAPTERS)
def test_adapters_say_what_is_wrong(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make = ADAPTERS[name][1]
    package = {"graphql_core": "graphql"}.get(name, name)
    pytest.importorskip(package)
    with pytest.raises(TypeError, match=r"schema must be a (GraphQL)?Schema, not str"):
        make(SDL)
    real = importlib.import_module

    def import_module(name: str) -> Any:
        if name == package:
            raise ModuleNotFoundError(name=name)
        return real(name)

    monkeypatch.setattr(importlib, "import_module", import_module)
    with pytest.raises(ConfigError, match="is not installed: pip install"):
        make(SDL)
