# SPDX-License-Identifier: MIT
"""The forms of `subscription(...)`, and what they refuse."""

from __future__ import annotations

import functools
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest

from fraiseql_asgi import ConfigError, SubscriptionManager
from fraiseql_asgi.subscription import Declaring, Field, camel_case, check_channels, make_resolver


class Recorder(Declaring):
    def __init__(self) -> None:
        self.fields: list[Field] = []

    def declare(self, field: Field) -> None:
        self.fields.append(field)

    @property
    def field(self) -> Field:
        (field,) = self.fields
        return field


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def test_bare_decorator_names_field_and_channel(recorder: Recorder) -> None:
    @recorder.subscription
    async def order_updated(event: Any, variables: Any) -> None: ...

    assert recorder.field.name == "orderUpdated"
    assert recorder.field.channels == ("orderUpdated",)
    assert recorder.field.returns == "field"
    assert recorder.field.resolver is not None
    assert recorder.field.resolver.function is order_updated
    assert recorder.field.resolver.n_params == 2


def test_decorator_with_arguments(recorder: Recorder) -> None:
    @recorder.subscription(channel=["orders", "invoices", "orders"], returns="data")
    def order(event: Any, variables: Any, context: Any) -> None: ...

    assert recorder.field.channels == ("orders", "invoices")
    assert recorder.field.returns == "data"
    assert recorder.field.resolver is not None
    assert recorder.field.resolver.function is order
    assert recorder.field.resolver.n_params == 3


def test_a_name_declares_a_field_without_a_resolver(recorder: Recorder) -> None:
    assert recorder.subscription("priceChanged", channel="prices") is None
    assert recorder.field == Field("priceChanged", ("prices",))


def test_a_name_alone_is_its_channel(recorder: Recorder) -> None:
    recorder.subscription("ticks")
    assert recorder.field == Field("ticks", ("ticks",))


def test_an_async_generator_is_a_source(recorder: Recorder) -> None:
    @recorder.subscription
    async def tick(variables: Any, context: Any) -> Any:
        yield 1

    assert recorder.field.channels == ()
    assert recorder.field.resolver is not None
    assert recorder.field.resolver.is_source
    assert recorder.field.resolver.n_params == 2


def test_a_source_may_take_fewer_arguments(recorder: Recorder) -> None:
    @recorder.subscription
    async def none() -> Any:
        yield 1

    @recorder.subscription
    async def one(variables: Any) -> Any:
        yield 1

    assert [f.resolver.n_params for f in recorder.fields if f.resolver] == [0, 1]


@pytest.mark.parametrize("arguments", [{"channel": "x"}, {"returns": "data"}])
def test_a_source_has_no_channel_and_no_returns(
    recorder: Recorder, arguments: dict[str, Any]
) -> None:
    async def tick() -> Any:
        yield 1

    with pytest.raises(ConfigError, match=next(iter(arguments))):
        recorder.subscription(**arguments)(tick)


def test_callables_of_other_kinds(recorder: Recorder) -> None:
    class Maker:
        async def order_made(self, event: Any, variables: Any) -> None: ...

        async def __call__(self, event: Any, variables: Any) -> None: ...

    async def paid(name: str, event: Any, variables: Any) -> None: ...

    recorder.subscription(Maker().order_made)
    recorder.subscription(functools.partial(paid, "x"))
    assert [field.name for field in recorder.fields] == ["orderMade", "paid"]
    with pytest.raises(ConfigError, match="no name"):
        recorder.subscription(Maker())


@pytest.mark.parametrize(
    ("name", "field"),
    [("a", "a"), ("order_updated", "orderUpdated"), ("_a_b", "_aB"), ("a__b", "aB"), ("aB", "aB")],
)
def test_camel_case(name: str, field: str) -> None:
    assert camel_case(name) == field


@pytest.mark.parametrize("name", ["", "a-b", "1a", "__type", "é"])
def test_a_field_needs_a_graphql_name(recorder: Recorder, name: str) -> None:
    with pytest.raises(ConfigError, match="name of a GraphQL field"):
        recorder.subscription(name)


@pytest.mark.parametrize(
    ("channel", "told"),
    [
        ("", "1 to 1024 bytes"),
        ("x" * 1025, "1 to 1024 bytes"),
        ([], "1 to 64 channels"),
        ([str(n) for n in range(65)], "1 to 64 channels"),
    ],
)
def test_a_channel_that_cannot_be_one_is_refused(channel: Any, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        check_channels("order", channel)


@pytest.mark.parametrize("channel", [1, [1], b"x", iter(["a"])])
def test_a_channel_of_the_wrong_type_is_refused(channel: Any) -> None:
    with pytest.raises(TypeError, match="str"):
        check_channels("order", channel)


def test_arguments_must_fit() -> None:
    def one(event: Any) -> None: ...

    def four(a: Any, b: Any, c: Any, d: Any) -> None: ...

    def keyword(a: Any, b: Any, *, c: Any) -> None: ...

    for function in (one, four, keyword):
        with pytest.raises(ConfigError, match=r"\(event, variables\[, context\]\)"):
            make_resolver("f", function)


def test_arguments_that_fit() -> None:
    def default(a: Any, b: Any, c: Any = None, d: Any = None) -> None: ...

    def rest(*args: Any) -> None: ...

    assert make_resolver("f", default).n_params == 3
    assert make_resolver("f", rest).n_params == 2
    assert make_resolver("f", Mock()).n_params == 2
    assert make_resolver("f", AsyncMock()).n_params == 2


def test_a_generator_is_no_resolver(recorder: Recorder) -> None:
    with pytest.raises(ConfigError, match="async generator"):

        @recorder.subscription
        def order(event: Any, variables: Any) -> Any:
            yield 1


def test_wrong_forms_are_told(recorder: Recorder) -> None:
    with pytest.raises(TypeError, match="not int"):
        recorder.subscription(1)  # type: ignore[call-overload]
    with pytest.raises(ConfigError, match="no resolver"):
        recorder.subscription("a", returns="data")  # type: ignore[call-overload]
    with pytest.raises(ConfigError, match="returns"):

        @recorder.subscription(returns="both")  # type: ignore[arg-type]
        def order(event: Any, variables: Any) -> None: ...

    with pytest.raises(TypeError, match="nowhere"):
        recorder.subscription(nowhere=1)  # type: ignore[call-overload]


def test_a_field_is_declared_once() -> None:
    manager = SubscriptionManager()
    manager.subscription("a")
    with pytest.raises(ConfigError, match="'a' is declared twice"):
        manager.subscription("a", channel="b")
