# SPDX-License-Identifier: MIT
"""`event`, `arg` and `ctx`: how filters are written, and what is refused.

What they decide is in test_filter_model.py.
"""

from __future__ import annotations

import copy
import datetime as dt
import decimal
import json
import uuid
from typing import Any

import pytest

from fraiseql_asgi import (
    ConfigError,
    GraphQLValidationError,
    SubscriptionError,
    SubscriptionManager,
    arg,
    ctx,
    event,
)
from fraiseql_asgi.filters import Filter, check_filter

# -- writing ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "ir", "text"),
    [
        (event.a == 1, ["==", {"event": ["a"]}, {"const": 1}], "event.a == 1"),
        (event.a != None, ["!=", {"event": ["a"]}, {"const": None}], "event.a != None"),  # noqa: E711
        (event.a < arg.b, ["<", {"event": ["a"]}, {"arg": ["b"]}], "event.a < arg.b"),
        (5 <= event.a, [">=", {"event": ["a"]}, {"const": 5}], "event.a >= 5"),  # noqa: SIM300
        (
            event.customer.region == ctx.claims.region,
            ["==", {"event": ["customer", "region"]}, {"ctx": ["claims", "region"]}],
            "event.customer.region == ctx.claims.region",
        ),
        (
            event("a.b", "c")["d-e"].exists(),
            ["exists", {"event": ["a.b", "c", "d-e"]}],
            "event['a.b'].c['d-e'].exists()",
        ),
        (
            event["contains"].contains("x"),
            ["contains", {"event": ["contains"]}, {"const": "x"}],
            "event['contains'].contains('x')",
        ),
        (event["$type"] == 1, ["==", {"event": ["$type"]}, {"const": 1}], "event['$type'] == 1"),
        (
            event("$type").startswith("order"),
            ["startswith", {"envelope": "type"}, {"const": "order"}],
            "event(\"$type\").startswith('order')",
        ),
        (
            event.a.in_(ctx.roles),
            ["in", {"event": ["a"]}, {"ctx": ["roles"]}],
            "event.a.in_(ctx.roles)",
        ),
        (
            event.a.in_({"b", "a"}),
            ["in", {"event": ["a"]}, {"const": ["a", "b"]}],
            "event.a.in_(['a', 'b'])",
        ),
        (
            event.a.between(1, arg.high),
            ["between", {"event": ["a"]}, {"const": 1}, {"arg": ["high"]}],
            "event.a.between(1, arg.high)",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_comparison_is_what_it_says(where: Filter, ir: Any, text: str) -> None:
    assert where.ir == ir
    assert repr(where) == text
    assert check_filter(where) is where


def test_filters_combine_flat() -> None:
    a, b, c = event.a == 1, event.b == 2, event.c.exists()
    where = a & b & ~c | ~(a | b)
    assert where.ir == ["or", ["and", a.ir, b.ir, ["not", c.ir]], ["not", ["or", a.ir, b.ir]]]
    assert repr(where) == (
        "((event.a == 1) & (event.b == 2) & ~event.c.exists()) | ~((event.a == 1) | (event.b == 2))"
    )


def test_a_long_chain_is_no_deep_one() -> None:
    where = event.a == 0
    for value in range(1, 200):
        where |= event.a == value
    check_filter(where)


def test_constants_are_converted_as_data_is() -> None:
    when = dt.datetime(2026, 1, 2, tzinfo=dt.timezone.utc)
    assert (event("$created_at") >= when).ir[2] == {"const": when.timestamp()}
    check_filter(event.when >= when)
    check_filter(event.price >= decimal.Decimal("1.5"))
    check_filter(event.id == uuid.UUID(int=5))


# -- what is refused --------------------------------------------------------


def refuse_and() -> object:
    return event.a == 1 and event.b == 2


def refuse_not() -> object:
    return not event.a == 1  # noqa: SIM201


def refuse_chain() -> object:
    return 1 < event.a < 5


def refuse_in_list() -> object:
    return event.a in [1, 2]


@pytest.mark.parametrize("write", [refuse_and, refuse_not, refuse_chain, refuse_in_list])
def test_a_filter_has_no_truth_value(write: Any) -> None:
    with pytest.raises(TypeError, match=r"use|combine filters with & \| ~ instead of and, or, not"):
        write()


@pytest.mark.parametrize(
    ("write", "error", "text"),
    [
        (lambda: event.a == 1 & event.b == 2, TypeError, "put comparisons in parentheses"),
        (lambda: (event.a == 1) & event.b, TypeError, r"event.b is a value: put"),
        (lambda: ~event.b, TypeError, r"event.a == True"),
        (lambda: event.b & (event.a == 1), TypeError, r"event.b is a value"),
        (lambda: (event.a == 1) & True, TypeError, "True is none"),
        (lambda: 5 | (event.a == 1), TypeError, "5 is none"),
        (lambda: bool(event.a), TypeError, "event.a is a value"),
        (lambda: bool(event), TypeError, "name a path, event.x"),
        (lambda: "x" in event.tags, TypeError, r"event.tags.contains\("),
        (lambda: list(event.tags), TypeError, "not iterable"),
        (lambda: event.tags[0], TypeError, "leads on by names, not by 0"),
        (lambda: event(), TypeError, "takes keys"),
        (lambda: event.a == [1], TypeError, "lists and objects are not compared"),
        (lambda: event.a == {}, TypeError, "lists and objects are not compared"),
        (lambda: event.a == object(), TypeError, "object is no constant type"),
        (lambda: event.a == (event.b == 1), TypeError, "which is no value"),
        (lambda: event.a == event, TypeError, "compared with event, which is no value"),
        (lambda: event.a == float("nan"), ConfigError, "event.a is compared with nan"),
        (lambda: event.a < None, TypeError, "only numbers and texts have an order"),
        (lambda: event.a >= True, TypeError, "only numbers and texts have an order"),
        (lambda: event.a.between(None, 1), TypeError, "only numbers and texts"),
        (lambda: event.a.in_("abc"), TypeError, "in_ takes a list of values"),
        (lambda: event.a.in_([[1]]), TypeError, "list is no constant type"),
        (lambda: event.a.startswith(1), TypeError, "startswith takes a str or a path, not int"),
        (lambda: event("$id"), ConfigError, r'of the envelope there are event\("\$type"\)'),
        (lambda: event("$type", "x"), ConfigError, "of the envelope"),
        (lambda: event("$type")["x"], ConfigError, "nothing is in it"),
        (lambda: event("$created_at") > dt.datetime(2026, 1, 1), ConfigError, "no time zone"),
        (lambda: ctx.tenant, AttributeError, "claims are ctx.claims.tenant"),
        (lambda: ctx["tenant"], ConfigError, "ctx has no 'tenant'"),
        (lambda: ctx.user_id["x"], ConfigError, "nothing is in ctx.user_id"),
        (lambda: event._id, AttributeError, r"event\['_id'\]"),
    ],
)
def test_what_makes_no_sense_says_so(write: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        write()


def test_tools_of_python_find_no_keys() -> None:
    assert not hasattr(event, "__wrapped__")
    assert not hasattr(event("$type"), "_repr_html_")
    assert not hasattr(ctx, "tenant")
    assert repr(copy.copy(event.a)) == "event.a"
    with pytest.raises(TypeError, match="unhashable"):
        hash(event.a)


def test_where_takes_filters_that_the_engine_compiles() -> None:
    manager = SubscriptionManager()
    with pytest.raises(TypeError, match=r"where must be a filter such as .* not bool"):
        manager.subscription("a", where=True)  # type: ignore[call-overload]
    deep = event.a == 1
    for _ in range(70):
        deep = ~(deep & (event.b == 1))
    with pytest.raises(ConfigError, match="where: A filter nests at most 64 levels"):
        manager.subscription("a", where=deep)
    many = event.a == 0
    for value in range(300):
        many |= event.a == value
    with pytest.raises(ConfigError, match="where: A filter makes at most 256 comparisons"):
        manager.subscription("a", where=many)
    with pytest.raises(ConfigError, match=r"where: .*surrogate"):
        manager.subscription("a", where=event.a == "\ud800")
    with pytest.raises(ConfigError, match=r"a source of its own .*where= has no meaning"):

        @manager.subscription(where=event.a == 1)
        async def tick(variables: Any) -> Any:
            yield 1


# -- at work ----------------------------------------------------------------


async def messages(manager: SubscriptionManager, subscription_id: str) -> list[Any]:
    """The root field's values that wait."""
    values = []
    while (message := await manager.get_next_event(subscription_id)) is not None:
        (value,) = json.loads(message)["payload"]["data"].values()
        values.append(value)
    return values


async def subscribe(
    manager: SubscriptionManager, name: str, query: str, variables: Any = None
) -> None:
    await manager.create_subscription(name, "c", query, None, variables, None, None, None)


async def test_where_selects_events_by_arguments() -> None:
    manager = SubscriptionManager()
    manager.subscription(
        "order",
        channel="orders",
        where=(event.id == arg.id) & (event.total >= arg.minTotal) | (event.vip == True),  # noqa: E712
    )
    async with manager:
        query = "subscription ($id: Int) { order(id: $id, minTotal: 10) { n } }"
        await subscribe(manager, "a", query, {"id": 1})
        await subscribe(manager, "b", query, {"id": 2})
        await subscribe(manager, "none", query, {"id": None})
        for n, data in enumerate(
            [
                {"id": 1, "total": 10},
                {"id": 1.0, "total": 9.99},
                {"id": 2, "total": 10.01},
                {"id": "1", "total": 100},
                {"vip": True},
                {"vip": 1},
                {},
            ]
        ):
            await manager.publish_event("t", "orders", {"n": n, **data})
        assert await messages(manager, "a") == [{"n": 0}, {"n": 4}]
        assert await messages(manager, "b") == [{"n": 2}, {"n": 4}]
        assert await messages(manager, "none") == [{"n": 4}]
        assert manager.get_metrics()["events_matched"] == 5


async def test_where_spares_the_resolver_the_call() -> None:
    manager = SubscriptionManager()
    calls: list[Any] = []

    @manager.subscription(channel="orders", where=event("$type") == "created")
    def order(event: Any, variables: Any) -> Any:
        calls.append(event["n"])
        return event

    async with manager:
        await manager.create_subscription(
            "a", "c", "subscription { order { n } }", None, None, order, None, None,
            channels=["orders"],
        )  # fmt: skip
        await manager.publish_event("created", "orders", {"n": 1})
        await manager.publish_event("deleted", "orders", {"n": 2})
        assert await messages(manager, "a") == [{"n": 1}]
    assert calls == [1]


async def test_arguments_that_take_too_much_are_refused() -> None:
    manager = SubscriptionManager()
    manager.subscription("order", where=event.id.in_(arg.ids))
    async with manager:
        query = "subscription ($ids: [Int]) { order(ids: $ids) { id } }"
        await subscribe(manager, "a", query, {"ids": list(range(4000))})
        await manager.publish_event("t", "order", {"id": 3999})
        assert await messages(manager, "a") == [{"id": 3999}]
        with pytest.raises(SubscriptionError, match="take more than 65536 bytes"):
            await subscribe(manager, "b", query, {"ids": list(range(4200))})


# -- filters of clients -----------------------------------------------------


def client_filter_manager() -> SubscriptionManager:
    manager = SubscriptionManager()
    manager.subscription("order", where=event.total > 0, client_filter="filter")
    return manager


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (None, [1, 2, 3]),
        ({}, [1, 2, 3]),
        ({"total": {"ge": 10, "lt": 20}}, [1]),
        ({"total": {"between": [10, 20]}}, [1, 2]),
        ({"customer": {"region": {"eq": "eu"}}}, [1, 3]),
        ({"customer": {"region": {"ne": "eu"}}}, [2]),
        ({"customer": {"region": {"in": ["us", "jp"]}}}, [2]),
        ({"customer": {"region": {"startsWith": "e"}}, "n": {"gt": 1}}, [3]),
        ({"tags": {"contains": "a"}}, [1]),
        ({"tags": {"exists": False}}, [2, 3]),
        ({"or": [{"n": {"eq": 1}}, {"n": {"eq": 2}}]}, [1, 2]),
        ({"or": []}, []),
        ({"and": [{"n": {"le": 2}}, {"not": {"n": {"eq": 1}}}]}, [2]),
        ({"not": {"tags": {"contains": "b"}}}, [1]),
        ({"vip": {"eq": None}}, [3]),
    ],
)
async def test_clients_filter_by_an_argument(where: Any, expected: list[int]) -> None:
    manager = client_filter_manager()
    async with manager:
        query = "subscription ($f: Any) { order(filter: $f) { n } }"
        await subscribe(manager, "a", query, {"f": where})
        for data in (
            {"n": 0, "total": 0},
            {"n": 1, "total": 10, "customer": {"region": "eu"}, "tags": ["a"]},
            {"n": 2, "total": 20, "customer": {"region": "us"}},
            {"n": 3, "total": 30, "customer": {"region": "eu"}, "vip": None},
        ):
            await manager.publish_event("t", "order", data)
        assert [value["n"] for value in await messages(manager, "a")] == expected


@pytest.mark.parametrize(
    ("where", "text"),
    [
        (5, "A filter is an object of fields and operators."),
        ({"a": 5}, "A filter is an object of fields and operators."),
        ({"a": None}, "A filter is an object of fields and operators."),
        ({"eq": 5}, '"eq" belongs to a field.'),
        ({"a": {"eq": [5]}}, '"eq" of "a" takes a single value.'),
        ({"a": {"lt": None}}, '"lt" of "a" takes a single value that is not null.'),
        ({"a": {"in": 5}}, '"in" of "a" takes a list of single values.'),
        ({"a": {"between": [5]}}, '"between" of "a" takes a list of two values'),
        ({"a": {"startsWith": 5}}, '"startsWith" of "a" takes a text.'),
        ({"a": {"exists": 1}}, '"exists" of "a" takes true or false.'),
        ({"or": {}}, '"or" takes a list of objects.'),
        ({"not": []}, "A filter is an object"),
    ],
)
async def test_what_clients_send_is_checked(where: Any, text: str) -> None:
    async with client_filter_manager() as manager:
        query = "subscription ($f: Any) { order(filter: $f) { n } }"
        with pytest.raises(GraphQLValidationError) as caught:
            await subscribe(manager, "a", query, {"f": where})
        assert str(caught.value).startswith(f'Argument "filter": {text}')
        assert caught.value.code == "VALIDATION_ERROR"


def nested(n_levels: int) -> Any:
    where: Any = {"a": {"eq": 1}}
    for _ in range(n_levels):
        where = {"not": where}
    return where


@pytest.mark.parametrize(
    ("where", "text"),
    [
        (nested(15), "A filter has at most 256 objects in 16 levels."),
        ({"or": [{}] * 300}, "A filter has at most 256 objects in 16 levels."),
        ({"or": [{"a": {"eq": 1}}] * 65}, "A filter makes at most 64 comparisons."),
        ({"a": {"in": ["x" * 100] * 200}}, "A filter takes at most 16384 bytes."),
    ],
    ids=["levels", "objects", "comparisons", "bytes"],
)
async def test_what_clients_send_is_bounded(where: Any, text: str) -> None:
    async with client_filter_manager() as manager:
        query = "subscription ($f: Any) { order(filter: $f) { n } }"
        with pytest.raises(SubscriptionError) as caught:
            await subscribe(manager, "a", query, {"f": where})
        assert str(caught.value) == f'Argument "filter": {text}'
        assert caught.value.code == "LIMIT_REACHED"
