# SPDX-License-Identifier: MIT
"""Filters beside a schema: what is refused at the start, and the arguments by
which clients filter."""

from __future__ import annotations

import json
from typing import Any

import graphql
import pytest

from fraiseql_asgi import (
    ConfigError,
    Filter,
    GraphQLValidationError,
    Security,
    SecurityContext,
    SubscriptionManager,
    arg,
    ctx,
    event,
)
from fraiseql_asgi._filter_schema import add_client_filters, check_where

SDL = """
"the type of subscriptions {"
type Subscription @x(a: {b: 1}) {
  "type (order): x"
  order(id: ID!, min: Float, ids: [ID!], state: State, by: By, any: Any, ok: Boolean): Order!
  price: Price  # c
  level: Int
}
schema { query: Query subscription: Subscription }
directive @x(a: By) on OBJECT
input By { b: Int, deep: By }
type Query { order: Order }
extend type Subscription { more: Order, query: Order }
enum State { NEW OLD }
scalar Any
union U = Order | Price
type Order { id: ID!, total: Float, in: Int, state: State, tags: [String!]!, price: Price, u: U }
type Price { value: Int!, ok: Boolean, order: Order }
"""

# -- where= -----------------------------------------------------------------


@pytest.mark.parametrize(
    "where",
    [
        event.id == arg.id,
        event.total >= arg.min,
        event.id.in_(arg.ids),
        event.state == arg.state,
        (event.n == arg.by.deep.b) & ~(event.m == arg.any.x.y),
        event.total.between(arg.min, 5),
        event.id.startswith(arg.id),
        ctx.user_id == arg.id,
    ],
    ids=repr,
)
def test_arguments_that_there_are_may_be_compared(where: Filter) -> None:
    check_where(SDL, "order", where)


@pytest.mark.parametrize(
    ("where", "text"),
    [
        (event.id == arg.ident, "asks for arg.ident, but there are: id, min, ids"),
        (event.id == arg.by.c, "asks for arg.by.c, but there are: b, deep"),
        (event.id == arg.id.x, "asks for arg.id.x, but arg.id is of type ID!"),
        (event.id == arg.ids, "compares arg.ids, a value of kind list, by =="),
        (~(event.id != arg.by), "compares arg.by, a value of kind input, by !="),
        ((event.id == 1) | (event.n < arg.ok), "compares arg.ok, a value of kind bool, by <"),
        (arg.min > "a", "numbers and texts have no order among each other"),
        (arg.id.between(1, 2), "numbers and texts have no order among each other"),
        (event.id.in_(arg.id), "in_ looks into a list"),
        (event.id.startswith(arg.min), "startswith is for texts"),
        (arg.min.contains("a"), "contains looks into a text or a list"),
    ],
    ids=repr,
)
def test_arguments_that_cannot_be_compared_are_told_at_the_start(where: Filter, text: str) -> None:
    manager = SubscriptionManager(schema=SDL, serve_undeclared=True)
    manager.subscription("order", where=where)
    with pytest.raises(ConfigError) as caught:
        manager._runtime.start()
    assert text in str(caught.value)
    assert str(caught.value).startswith("field 'order': where= ")


# -- client_filter= ---------------------------------------------------------


def test_arguments_and_input_types_are_added() -> None:
    sdl = add_client_filters(SDL, {"order": "filter", "price": "where", "query": "filter"})
    schema = graphql.build_schema(sdl)
    fields = schema.subscription_type.fields  # type: ignore[union-attr]
    assert {name: [*field.args] for name, field in fields.items()} == {
        "order": ["filter", "id", "min", "ids", "state", "by", "any", "ok"],
        "price": ["where"],
        "level": [],
        "more": [],
        "query": ["filter"],
    }
    assert str(fields["order"].args["filter"].type) == "OrderFilter"
    order: Any = schema.type_map["OrderFilter"]
    assert {name: str(field.type) for name, field in order.fields.items()} == {
        "and": "[OrderFilter!]",
        "or": "[OrderFilter!]",
        "not": "OrderFilter",
        "id": "IDFilter",
        "total": "FloatFilter",
        "state": "StateFilter",
        "tags": "StringListFilter",
        "price": "PriceFilter",
    }
    identifier: Any = schema.type_map["IDFilter"]
    assert [*identifier.fields] == [
        *("eq", "ne", "in", "exists", "lt", "le", "gt", "ge"),
        *("between", "contains", "startsWith"),
    ]


def test_what_the_schema_has_already_stays() -> None:
    own = SDL.replace("price: Price  # c", "price(filter: PriceFilter): Price")
    own += "input PriceFilter { value: ValueFilter } input ValueFilter { ge: Int }"
    assert add_client_filters(own, {"price": "filter"}) == own
    assert add_client_filters(SDL, {}) == SDL


def test_fields_that_have_nothing_to_filter_by_are_refused() -> None:
    with pytest.raises(ConfigError, match="'level' gives Int, which has no fields to filter by"):
        add_client_filters(SDL, {"level": "filter"})
    with pytest.raises(ConfigError, match="makes an input type 'OrderFilter', but"):
        add_client_filters(SDL + "scalar OrderFilter", {"order": "filter"})


def test_the_schema_does_not_change_later() -> None:
    manager = SubscriptionManager(schema=SDL, serve_undeclared=True)
    manager._runtime.start()
    try:
        with pytest.raises(ConfigError, match="declare it before the start"):
            manager.subscription("order", client_filter="filter")
    finally:
        manager._runtime.stop()


@pytest.mark.parametrize(
    ("name", "error"), [("a b", ConfigError), ("__a", ConfigError), (5, TypeError)]
)
def test_the_argument_has_a_name(name: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="argument"):
        SubscriptionManager().subscription("a", client_filter=name)


async def subscribe(
    manager: SubscriptionManager, where: str, security: SecurityContext | None = None
) -> None:
    query = f"subscription {{ order(id: 1, filter: {where}) {{ id }} }}"
    await manager.create_subscription(
        "s", "c", query, None, None, None, None, None, security=security
    )


def order_manager() -> SubscriptionManager:
    manager = SubscriptionManager(schema=SDL, serve_undeclared=True)
    manager.subscription("order", where=event.id == arg.id, client_filter="filter")
    return manager


async def test_a_typed_filter_selects_events() -> None:
    async with order_manager() as manager:
        await subscribe(manager, "{price: {value: {ge: 5}}, not: {state: {eq: OLD}}}")
        for data in (
            {"id": "1", "price": {"value": 4}, "state": "NEW"},
            {"id": "1", "price": {"value": 5}, "state": "OLD"},
            {"id": "2", "price": {"value": 5}, "state": "NEW"},
            {"id": "1", "price": {"value": 5}, "state": "NEW"},
            {"id": "1", "price": {"value": 6}},
        ):
            await manager.publish_event("t", "order", data)
        message = await manager.get_next_event("s")
        assert message is not None
        assert json.loads(message)["payload"]["data"] == {"order": {"id": "1"}}
        assert await manager.get_next_event("s") is None


@pytest.mark.parametrize(
    ("where", "text"),
    [
        ('{total: {ge: "5"}}', "Float cannot represent non numeric value"),
        ("{nothing: {eq: 5}}", "not to include unknown field 'nothing'"),
        ("{u: {}}", "not to include unknown field 'u'"),
        ("{total: {between: [1]}}", '"between" of "total" takes a list of two values'),
    ],
)
async def test_a_typed_filter_is_checked(where: str, text: str) -> None:
    async with order_manager() as manager:
        with pytest.raises(GraphQLValidationError) as caught:
            await subscribe(manager, where)
        assert text in str(caught.value)


async def test_own_input_types_lead_to_fields_of_the_schema_only() -> None:
    sdl = SDL.replace("price: Price  # c", "price(filter: Own): Price")
    sdl += "input Own { value: By, ok: Any, secret: Any, order: Any } "
    manager = SubscriptionManager(schema=sdl, serve_undeclared=True)
    manager.subscription("price", client_filter="filter")
    async with manager:
        query = "subscription ($f: Own) { price(filter: $f) { ok } }"
        for where in ({"secret": {"eq": 1}}, {"order": {"u": {"a": {"eq": 1}}}}):
            with pytest.raises(GraphQLValidationError, match=r"There is no field .* to filter by"):
                await manager.create_subscription(
                    "s", "c", query, None, {"f": where}, None, None, None
                )
        await manager.create_subscription(
            "s", "c", query, None, {"f": {"ok": {"eq": True}}}, None, None, None
        )


async def test_a_context_filters_by_the_types_it_may_select() -> None:
    async with order_manager() as manager:
        limited = SecurityContext.with_rbac("u", None, ["order", "Order"])
        await subscribe(manager, "{total: {ge: 5}}", limited)
        await manager.complete_subscription("s")
        with pytest.raises(GraphQLValidationError, match='There is no field "value" to filter by'):
            await subscribe(manager, "{price: {value: {ge: 5}}}", limited)


@pytest.mark.parametrize(
    ("security", "where", "is_allowed"),
    [
        (
            {"field_roles": {"Order.total": {"roles": ["a"], "mode": "mask"}}},
            "total: {ge: 5}",
            False,
        ),
        (
            {"field_roles": {"Order.total": {"roles": ["b"], "mode": "mask"}}},
            "total: {ge: 5}",
            True,
        ),
        ({"field_roles": {"Order.state": {"roles": ["a"]}}}, "state: {eq: NEW}", False),
        ({"field_roles": {"Order.state": {"roles": ["a"]}}}, "total: {ge: 5}", True),
        ({"field_roles": {"Price.ok": {"roles": ["a"]}}}, "price: {not: {ok: {eq: true}}}", False),
        ({"boundaries": {"Price": "prices"}}, "price: {ok: {exists: true}}", False),
        ({"boundaries": {"Price": "orders"}}, "price: {ok: {exists: true}}", True),
    ],
)
async def test_nobody_filters_by_what_they_may_not_see(
    security: Any, where: str, is_allowed: bool
) -> None:
    manager = SubscriptionManager(schema=SDL, serve_undeclared=True, security=Security(**security))
    manager.subscription("order", client_filter="filter")
    context = SecurityContext("u", roles=["b"], boundaries=["orders"])
    async with manager:
        if is_allowed:
            await subscribe(manager, f"{{{where}}}", context)
        else:
            with pytest.raises(GraphQLValidationError, match="There is no field"):
                await subscribe(manager, f"{{{where}}}", context)


async def test_another_schema_gets_the_arguments_too() -> None:
    async with order_manager() as manager:
        manager.replace_schema(SDL.replace("total: Float", "total: Float, weight: Float"))
        await subscribe(manager, "{weight: {ge: 5}}")
        with pytest.raises(ConfigError, match=r"where= asks for arg\.id, but"):
            manager.replace_schema(SDL.replace("order(id: ID!", "order(ident: ID!"))
