# SPDX-License-Identifier: MIT
"""Python values to JSON and back: equal to the json module, or an error with the path."""

from __future__ import annotations

import base64
import collections
import dataclasses
import datetime as dt
import decimal
import enum
import json
import os
import sys
import typing
import uuid

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from leaks import assert_leaks_nothing
from sizes import promised, size

from fraiseql_asgi import _core

many = settings(
    max_examples=size(300, 100_000),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def through_json(value: object) -> typing.Any:
    return json.loads(json.dumps(value))


# -- properties -------------------------------------------------------------

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(2**80), max_value=2**80)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=12), inner, max_size=5)
    ),
    max_leaves=40,
)


@promised()
@many
@given(values)
def test_to_json_is_what_json_dumps_says(value: object) -> None:
    # repr() tells 1 from 1.0 and True, -0.0 from 0.0, and shows the order.
    assert repr(json.loads(_core.to_json(value))) == repr(through_json(value))


@promised()
@many
@given(values)
def test_a_round_trip_is_that_of_the_json_module(value: object) -> None:
    assert repr(_core.from_json(_core.to_json(value))) == repr(through_json(value))


any_text = st.text(alphabet=st.characters(exclude_categories=()))


@promised()
@many
@given(
    st.recursive(
        scalars | any_text,
        lambda inner: st.lists(inner, max_size=5) | st.dictionaries(any_text, inner, max_size=5),
    ),
    st.sampled_from([None, 2]),
)
def test_from_json_is_what_json_loads_says(value: object, indent: int | None) -> None:
    # Lone surrogates are written as escapes here, and kept.
    text = json.dumps(value, indent=indent)
    assert repr(_core.from_json(text.encode())) == repr(json.loads(text))


# -- reading ----------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "-0",
        "-0.0",
        "1E5",
        "1e-400",
        "1e999",
        "-1e999",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "-9223372036854775808",
        "-9223372036854775809",
        "1" * 400,
        '{"a": 1, "b": 2, "a": 3}',
        '{"a": {"x": 1}, "a": null}',
        '"\\ud800"',
        '"\\ud83d\\ude00 \\ude00\\ud83d"',
        '"\\u0000"',
        '{"": [], "\\u00e9": {}}',
    ],
)
def test_reading_agrees_with_the_json_module(text: str) -> None:
    assert repr(_core.from_json(text.encode())) == repr(json.loads(text))


@pytest.mark.parametrize(
    "text", ["", " ", "{", "[1,]", "NaN", "01", "'a'", "{} {}", "[" * 600 + "]" * 600, "\xff"]
)
def test_what_is_not_json_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        _core.from_json(text.encode("latin-1"))


def test_reading_takes_bytes_only() -> None:
    with pytest.raises(TypeError, match="json must be bytes, not str"):
        _core.from_json("{}")  # type: ignore[arg-type]


def test_keys_that_share_a_slot_stay_apart() -> None:
    # More keys than the table that remembers them has slots.
    value = {f"key{i}": i for i in range(5000)}
    for _ in range(2):
        assert _core.from_json(_core.to_json(value)) == value


# -- known classes ----------------------------------------------------------


class Colour(enum.Enum):
    RED = "red"
    NESTED = {"deep": [1]}  # noqa: RUF012


class Number(enum.IntEnum):
    THREE = 3


class Flag(enum.Flag):
    A = 1
    B = 2


class Word(str, enum.Enum):
    HELLO = "hello"


class Point(typing.NamedTuple):
    x: int
    y: object


OldPoint = collections.namedtuple("OldPoint", "x y")  # noqa: PYI024


@dataclasses.dataclass
class Order:
    kind: typing.ClassVar[str] = "order"
    id: str
    total: decimal.Decimal
    lines: list[Point]
    note: str | None = None
    hidden: dataclasses.InitVar[int] = 0

    @property
    def shouted(self) -> str:
        return self.id.upper()


@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    a: int


class Text(str):
    def __str__(self) -> str:
        return "lie"


class Big(int):
    def __repr__(self) -> str:
        return "lie"


class Real(float):
    pass


class Typed(typing.TypedDict):
    a: int


UTC = dt.timezone.utc


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Colour.RED, "red"),
        (Colour.NESTED, {"deep": [1]}),
        (Number.THREE, 3),
        (Flag.A | Flag.B, 3),
        (Word.HELLO, "hello"),
        (Point(1, Point(2, None)), {"x": 1, "y": {"x": 2, "y": None}}),
        (OldPoint(1, [2]), {"x": 1, "y": [2]}),
        (
            Order("o1", decimal.Decimal("1.50"), [Point(1, 2)]),
            {"id": "o1", "total": "1.50", "lines": [{"x": 1, "y": 2}], "note": None},
        ),
        (Slotted(1), {"a": 1}),
        (Typed(a=1), {"a": 1}),
        (Text("truth"), "truth"),
        (Big(7), 7),
        (Big(2**70), 2**70),
        (Real(1.5), 1.5),
        (dt.date(2026, 1, 2), "2026-01-02"),
        (dt.datetime(2026, 1, 2, 3, 4, 5, 6, UTC), "2026-01-02T03:04:05.000006+00:00"),
        (dt.time(3, 4), "03:04:00"),
        (uuid.UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (decimal.Decimal("1e3"), "1E+3"),
        (collections.OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        (collections.defaultdict(list, a=[1]), {"a": [1]}),
        (collections.Counter("aab"), {"a": 2, "b": 1}),
        ({Word.HELLO: 1}, {"hello": 1}),
        ({Text("truth"): 1}, {"truth": 1}),
    ],
)
def test_known_classes_are_written_as_what_they_stand_for(value: object, expected: object) -> None:
    assert repr(json.loads(_core.to_json(value))) == repr(expected)
    assert repr(json.loads(_core.to_json({"in": [value]}))) == repr({"in": [expected]})


@pytest.mark.parametrize("length", range(8))
def test_bytes_are_base64(length: int) -> None:
    value = bytes(range(250, 250 + length)) if length < 6 else os.urandom(length)
    expected = base64.b64encode(value).decode()
    assert json.loads(_core.to_json(value)) == expected
    assert json.loads(_core.to_json(bytearray(value))) == expected


def test_an_ordered_dict_keeps_its_own_order() -> None:
    value = collections.OrderedDict(a=1, b=2)
    value.move_to_end("a")
    assert _core.to_json(value) == b'{"b":2,"a":1}'


def test_attrs_objects_are_objects() -> None:
    class Attribute:
        def __init__(self, name: str) -> None:
            self.name = name

    # What attrs documents to be there, without attrs.
    class Thing:
        __attrs_attrs__ = (Attribute("a"), Attribute("_b"))

        def __init__(self) -> None:
            self.a = 1
            self._b = [2]
            self.c = 3

    assert _core.to_json(Thing()) == b'{"a":1,"_b":[2]}'


def test_real_attrs_objects_are_objects() -> None:
    attrs = pytest.importorskip("attrs")
    thing = attrs.make_class("Thing", ["a", "b"])
    assert _core.to_json(thing(1, thing(2, None))) == b'{"a":1,"b":{"a":2,"b":null}}'


def test_pydantic_models_are_what_they_dump() -> None:
    pydantic = pytest.importorskip("pydantic")

    class Customer(pydantic.BaseModel):  # type: ignore[name-defined, misc]
        id: uuid.UUID
        since: dt.date
        amount: decimal.Decimal

    class Cart(pydantic.BaseModel):  # type: ignore[name-defined, misc]
        customer: Customer
        items: list[Point]

    cart = Cart(
        customer=Customer(id=uuid.UUID(int=1), since=dt.date(2026, 1, 2), amount="1.50"),
        items=[Point(1, 2)],
    )
    assert json.loads(_core.to_json([cart])) == [cart.model_dump(mode="json")]


def test_a_pydantic_dataclass_is_an_object() -> None:
    pydantic = pytest.importorskip("pydantic")
    point = pydantic.dataclasses.dataclass(dataclasses.make_dataclass("P", [("x", int)]))
    assert _core.to_json(point(x=1)) == b'{"x":1}'


# -- errors -----------------------------------------------------------------


def nested(levels: int) -> object:
    value: object = []
    for _ in range(levels - 1):
        value = [value]
    return value


def cyclic() -> object:
    value: dict[str, object] = {}
    value["a"] = value
    return value


class Unknown:
    pass


class Endless(enum.Enum):
    A = 1

    @property
    def value(self) -> object:  # type: ignore[override]
        return self


@pytest.mark.parametrize(
    ("value", "exception", "text"),
    [
        (
            {"items": [0, 1, 2, {"price": float("nan")}]},
            ValueError,
            "data.items[3].price: NaN is not valid JSON",
        ),
        (float("inf"), ValueError, "data: Infinity is not valid JSON"),
        ([Real("-inf")], ValueError, "data[0]: -Infinity is not valid JSON"),
        ({"a": {1: 2}}, TypeError, "data.a: keys must be str, not int (1)"),
        ({("a",): 2}, TypeError, "data: keys must be str, not tuple (('a',))"),
        (
            collections.OrderedDict({None: 1}),
            TypeError,
            "data: keys must be str, not NoneType (None)",
        ),
        (
            {"odd key": ["x\ud800"]},
            ValueError,
            "data['odd key'][0]: a lone surrogate (U+D800 at character 1) is not valid JSON",
        ),
        (
            {"\udfff": 1},
            ValueError,
            "data['\\udfff']: a lone surrogate (U+DFFF at character 0) is not valid JSON",
        ),
        ({"a": {1, 2}}, TypeError, "data.a: an object of type set is not valid JSON"),
        ({"a": Unknown}, TypeError, "data.a: an object of type type is not valid JSON"),
        ({"é": Unknown()}, TypeError, "data.é: an object of type Unknown is not valid JSON"),
        ({"a": 1j}, TypeError, "data.a: an object of type complex is not valid JSON"),
        (Point(1, {2}), TypeError, "data.y: an object of type set is not valid JSON"),
        (
            Order("o", decimal.Decimal(1), [Point(1, float("nan"))]),
            ValueError,
            "data.lines[0].y: NaN is not valid JSON",
        ),
        (
            cyclic(),
            ValueError,
            "data.a.a.a.a.a.a.a.a....a.a.a.a.a.a.a.a: is nested deeper than 200 levels, or "
            "contains itself",
        ),
        (Endless.A, ValueError, "data: an object of type Endless stands for no value"),
    ],
)
def test_what_is_not_json_is_refused_with_its_path(
    value: object, exception: type[Exception], text: str
) -> None:
    with pytest.raises(exception) as info:
        _core.to_json(value)
    assert type(info.value) is exception
    assert str(info.value) == text


def test_200_levels_are_taken_and_201_are_not() -> None:
    assert json.loads(_core.to_json(nested(200))) == nested(200)
    with pytest.raises(ValueError, match="nested deeper than 200 levels"):
        _core.to_json(nested(201))


def test_siblings_do_not_count_as_depth() -> None:
    value = [[[]] for _ in range(1000)] + [{"a": {}} for _ in range(1000)]
    assert json.loads(_core.to_json(value)) == value


def test_the_root_is_named_in_errors() -> None:
    with pytest.raises(ValueError, match=r"^variables\.a: NaN"):
        _core.to_json({"a": float("nan")}, root="variables")


@pytest.mark.skipif(not hasattr(sys, "get_int_max_str_digits"), reason="no limit before 3.11")
def test_an_integer_beyond_the_interpreters_limit_is_a_value_error() -> None:
    with pytest.raises(ValueError, match=r"^data\[0\]: an integer of so many digits"):
        _core.to_json([10**5000])


def test_more_than_the_maximum_is_a_value_error() -> None:
    value = {"a": "x" * 100}
    size = len(_core.to_json(value))
    assert len(_core.to_json(value, max_bytes=size)) == size
    with pytest.raises(ValueError, match=f"^data: is larger than {size - 1} bytes$"):
        _core.to_json(value, max_bytes=size - 1)


def test_what_user_code_raises_comes_through() -> None:
    class Broken:
        __attrs_attrs__ = (collections.namedtuple("A", "name")("a"),)  # noqa: PYI024

        @property
        def a(self) -> object:
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        _core.to_json({"x": Broken()})


def test_a_dict_that_changes_meanwhile_is_an_error() -> None:
    target: dict[str, object] = {}

    class Growing:
        __attrs_attrs__ = (collections.namedtuple("A", "name")("a"),)  # noqa: PYI024

        @property
        def a(self) -> int:
            target["more"] = 1
            return 1

    target["x"] = Growing()
    with pytest.raises(RuntimeError, match="data: changed its size while it was written"):
        _core.to_json(target)


def test_a_list_that_shrinks_meanwhile_ends_early() -> None:
    target: list[object] = []

    class Shrinking:
        __attrs_attrs__ = (collections.namedtuple("A", "name")("a"),)  # noqa: PYI024

        @property
        def a(self) -> int:
            target.clear()
            return 1

    target.extend([Shrinking(), 1, 2])
    assert _core.to_json(target) == b'[{"a":1}]'


def test_without_memory_it_is_a_memory_error() -> None:
    value = {"a": ["x" * 1000] * 100}
    text = _core.to_json(value)
    for convert in (lambda: _core.to_json(value), lambda: _core.from_json(text)):
        for n in range(100):
            _core.fail_after(n)
            try:
                convert()
            except MemoryError:
                continue
            finally:
                _core.fail_after(-1)
            break
        else:
            pytest.fail("never succeeded")
        assert n > 0


# -- leaks ------------------------------------------------------------------


def test_conversion_leaks_nothing() -> None:
    good = {"a": [1, 2.5, "é", None, 2**70], "b": Order("o", decimal.Decimal(1), [Point(1, b"x")])}
    bad = [{"a": float("nan")}, {"a": {1: 1}}, ["\ud800"], cyclic(), [Unknown()]]

    def body() -> None:
        _core.from_json(_core.to_json(good))
        for value in bad:
            with pytest.raises((ValueError, TypeError)):
                _core.to_json(value)
        with pytest.raises(ValueError):
            _core.from_json(b'{"a": [1, 2')

    assert_leaks_nothing(body)
