# SPDX-License-Identifier: MIT
"""Filters in Python's own operators: `event`, `arg` and `ctx`.

    where=(event.tenant_id == ctx.tenant_id) & (event.total >= arg.min_total)

An expression is a description, nothing more: the engine compiles it once, puts
arguments and context into it when somebody subscribes, and evaluates it per
event, in C. A comparison that cannot be made, because a value is missing or
the types do not match, lets nothing through, and neither does its negation.
"""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import keyword
import math
import re
import uuid
from typing import Any, Literal, NoReturn, TypeAlias, cast

from fraiseql_asgi import _core
from fraiseql_asgi.errors import ConfigError

__all__ = [
    "Filter",
    "Path",
    "Root",
    "arg",
    "check_client_filter",
    "check_filter",
    "ctx",
    "event",
]

#: What the engine compiles, see csrc/engine/filter/expression.h.
IR: TypeAlias = Any
Source: TypeAlias = Literal["event", "arg", "ctx"]

_ENVELOPE = ("type", "channel", "created_at")
_CONTEXT = ("user_id", "tenant_id", "roles", "boundaries", "claims")
#: Types whose values are JSON scalars, as published data has them.
_SCALARS = (
    str,
    int,
    float,
    enum.Enum,
    dt.date,
    dt.time,
    uuid.UUID,
    decimal.Decimal,
    bytes,
)
_NO_TRUTH = (
    "a filter has no truth value in Python: combine filters with & | ~ instead of and, or, not; "
    "write x.between(low, high) for low <= x <= high and x.in_(values) for x in values"
)
_PARENTHESES = (
    "& | ~ combine filters, and {!r} is a value: put comparisons in parentheses, "
    "(event.a == 1) & (event.b == 2), and compare what is true or false, event.a == True"
)


class Filter:
    """A condition on events: comparisons, combined by `&`, `|` and `~`.

    Made by comparing what `event`, `arg` and `ctx` lead to; immutable.
    """

    __slots__ = ("_children", "_ir", "_kind", "_text")

    def __init__(
        self,
        ir: IR,
        text: str,
        kind: Literal["comparison", "call", "not", "and", "or"],
        children: tuple[Filter, ...] = (),
    ) -> None:
        self._ir = ir
        self._text = text
        self._kind = kind
        self._children = children

    def __and__(self, other: object) -> Filter:
        return _combine("and", "&", self, other)

    def __or__(self, other: object) -> Filter:
        return _combine("or", "|", self, other)

    def __rand__(self, other: object) -> NoReturn:
        _no_filter(other)

    def __ror__(self, other: object) -> NoReturn:
        _no_filter(other)

    def __invert__(self) -> Filter:
        return Filter(["not", self._ir], f"~{_nested(self)}", "not", (self,))

    def __bool__(self) -> bool:
        raise TypeError(_NO_TRUTH)

    def __repr__(self) -> str:
        return self._text

    @property
    def ir(self) -> IR:
        """Lists of operators and operands, for the engine."""
        return self._ir


class Path:
    """A value of an event, argument or context, to be compared.

    Attributes, `[...]` and calls lead further into objects: `event.customer`,
    `event["a-b"]`, `event("customer", "a.b")`. What has the name of a method,
    or begins with `_`, is reached by `[...]`: `event["contains"]`.
    """

    __slots__ = ("_ir", "_keys", "_source")

    def __init__(self, source: Source | Literal["envelope"], keys: tuple[str, ...]) -> None:
        self._source = source
        self._keys = keys
        self._ir: IR = {source: keys[0] if source == "envelope" else list(keys)}

    # -- leading further ----------------------------------------------------

    def __getattr__(self, name: str) -> Path:
        _check_attribute(self, name)
        try:
            return self(name)
        except ConfigError as error:
            raise AttributeError(str(error)) from None

    def __getitem__(self, key: str) -> Path:
        return self(key)

    def __call__(self, *keys: str) -> Path:
        if self._source == "envelope":
            raise ConfigError(f"{self!r} is a plain value: nothing is in it", setting="where")
        if self._source == "ctx" and self._keys[0] != "claims":
            raise ConfigError(f"nothing is in {self!r}; claims are ctx.claims.…", setting="where")
        return Path(self._source, self._keys + _check_keys(self, keys))

    __iter__ = None

    def __contains__(self, item: object) -> bool:
        raise TypeError(f"write {self!r}.contains(…) instead of … in {self!r}")

    # -- comparisons --------------------------------------------------------

    def __eq__(self, other: object) -> Filter:  # type: ignore[override]
        return self._compare("==", other)

    def __ne__(self, other: object) -> Filter:  # type: ignore[override]
        return self._compare("!=", other)

    def __lt__(self, other: object) -> Filter:
        return self._compare("<", other)

    def __le__(self, other: object) -> Filter:
        return self._compare("<=", other)

    def __gt__(self, other: object) -> Filter:
        return self._compare(">", other)

    def __ge__(self, other: object) -> Filter:
        return self._compare(">=", other)

    __hash__ = None  # type: ignore[assignment]

    def in_(self, values: object) -> Filter:
        """Equal to one of `values`: a list of constants, or a path to a list."""
        if isinstance(values, Path):
            operand = values._ir
        elif isinstance(values, (list, tuple, set, frozenset)):
            # The order of a set is not the same in every process.
            ordered = sorted(values, key=repr) if isinstance(values, (set, frozenset)) else values
            values = [self._constant(value) for value in ordered]
            operand = {"const": values}
        else:
            raise TypeError(
                f"in_ takes a list of values or a path to one, not {type(values).__name__}"
            )
        return self._call("in", "in_", [operand], values)

    def contains(self, part: object) -> Filter:
        """A text with `part` in it, or a list with an item equal to it."""
        return self._call("contains", "contains", [self._operand(part)], part)

    def startswith(self, start: object) -> Filter:
        """A text that begins with `start`."""
        if not isinstance(start, (str, Path)):
            raise TypeError(f"startswith takes a str or a path, not {type(start).__name__}")
        return self._call("startswith", "startswith", [self._operand(start)], start)

    def between(self, low: object, high: object) -> Filter:
        """At least `low` and at most `high`."""
        operands = [self._ordered(low), self._ordered(high)]
        return self._call("between", "between", operands, low, high)

    def exists(self) -> Filter:
        """There, be it null."""
        return self._call("exists", "exists", [])

    # -- what is none -------------------------------------------------------

    def _no_filter(self, *_: object) -> NoReturn:
        raise TypeError(_PARENTHESES.format(self))

    __and__ = __rand__ = __or__ = __ror__ = __invert__ = _no_filter

    def __bool__(self) -> bool:
        raise TypeError(_PARENTHESES.format(self))

    def __repr__(self) -> str:
        if self._source == "envelope":
            return f'event("${self._keys[0]}")'
        return self._source + "".join(map(_key_text, self._keys))

    # -- making filters -----------------------------------------------------

    def _compare(self, op: str, other: object) -> Filter:
        if isinstance(other, (list, tuple, set, frozenset, dict)):
            raise TypeError(
                f"{self!r} {op} {other!r}: lists and objects are not compared; "
                "in_ and contains look for one value"
            )
        operand = self._operand(other) if op in ("==", "!=") else self._ordered(other)
        return Filter([op, self._ir, operand], f"{self!r} {op} {other!r}", "comparison")

    def _call(self, op: str, name: str, operands: list[IR], *shown: object) -> Filter:
        text = f"{self!r}.{name}({', '.join(map(repr, shown))})"
        return Filter([op, self._ir, *operands], text, "call")

    def _operand(self, value: object) -> IR:
        return value._ir if isinstance(value, Path) else {"const": self._constant(value)}

    def _ordered(self, value: object) -> IR:
        if value is None or isinstance(value, bool):
            raise TypeError(f"{self!r} and {value!r}: only numbers and texts have an order")
        return self._operand(value)

    def _constant(self, value: object) -> object:
        if isinstance(value, (Filter, Root)):
            raise TypeError(f"{self!r} is compared with {value!r}, which is no value")
        if value is not None and not isinstance(value, _SCALARS):
            raise TypeError(
                f"{self!r} is compared with {value!r}: {type(value).__name__} is no constant type; "
                "those are None, bool, int, float, str and what JSON makes texts of"
            )
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigError(f"{self!r} is compared with {value!r}", setting="where")
        if self._ir == {"envelope": "created_at"} and isinstance(value, dt.datetime):
            if value.tzinfo is None:
                raise ConfigError(
                    f"{self!r} is compared with {value!r}, which has no time zone",
                    setting="where",
                )
            return value.timestamp()
        return value


class Root:
    """`event`, `arg` or `ctx`: where paths begin.

    `event.total`, `event["a-b"]`, `event("customer", "region")`: of the event's
    data. `event("$type")`, `event("$channel")`, `event("$created_at")`: of its
    envelope. `arg.id`: an argument of the field. `ctx.user_id`,
    `ctx.tenant_id`, `ctx.roles`, `ctx.boundaries`, `ctx.claims.…`: who
    subscribes.
    """

    __slots__ = ("_source",)

    def __init__(self, source: Source) -> None:
        self._source: Source = source

    def __getattr__(self, name: str) -> Path:
        _check_attribute(self, name)
        if self._source == "ctx" and name not in _CONTEXT:
            raise AttributeError(_no_context(name))
        return Path(self._source, (name,))

    def __getitem__(self, key: str) -> Path:
        (key,) = _check_keys(self, (key,))
        if self._source == "ctx" and key not in _CONTEXT:
            raise ConfigError(_no_context(key), setting="where")
        return Path(self._source, (key,))

    def __call__(self, *keys: str) -> Path:
        if self._source == "event" and keys and isinstance(keys[0], str) and keys[0][:1] == "$":
            name = keys[0][1:]
            if name not in _ENVELOPE or len(keys) > 1:
                known = ", ".join(f'event("${known}")' for known in _ENVELOPE)
                raise ConfigError(
                    f"event({', '.join(map(repr, keys))}): of the envelope there are {known}; "
                    "a key of the data that begins with $ is event[…]",
                    setting="where",
                )
            return Path("envelope", (name,))
        first, *rest = _check_keys(self, keys)
        path = self[first]
        return path(*rest) if rest else path

    __iter__ = None

    def __bool__(self) -> bool:
        raise TypeError(f"{self!r} is no value: name a path, {self!r}.x")

    def __repr__(self) -> str:
        return self._source


event = Root("event")
arg = Root("arg")
ctx = Root("ctx")


def check_filter(value: object, setting: str = "where") -> Filter:
    """`value`, if the engine compiles it.

    Args:
        value: what was given as a filter.
        setting: its name, for errors.

    Raises:
        ConfigError: it is too large, or a constant is no JSON.
        TypeError: it is no filter.
    """
    if not isinstance(value, Filter):
        raise TypeError(
            f"{setting} must be a filter such as event.owner == ctx.user_id, "
            f"not {type(value).__name__}"
        )
    try:
        _core.filter_check(value.ir)
    except ValueError as error:
        raise ConfigError(f"{setting}: {error}", setting=setting) from None
    return value


def check_client_filter(name: object) -> None:
    """Refuse what cannot be the name of an argument."""
    if not isinstance(name, str):
        raise TypeError(f"client_filter must be the name of an argument, not {type(name).__name__}")
    if not re.fullmatch(r"[_A-Za-z][_0-9A-Za-z]*", name, re.ASCII) or name.startswith("__"):
        raise ConfigError(
            f"{name!r} cannot be the name of a GraphQL argument", setting="client_filter"
        )


def _combine(kind: Literal["and", "or"], sign: str, left: Filter, right: object) -> Filter:
    if not isinstance(right, Filter):
        _no_filter(right)
    children: list[Filter] = []
    for part in (left, right):
        children += part._children if part._kind == kind else (part,)
    return Filter(
        [kind, *(child.ir for child in children)],
        f" {sign} ".join(map(_nested, children)),
        kind,
        tuple(children),
    )


def _no_filter(value: object) -> NoReturn:
    if isinstance(value, Path):
        raise TypeError(_PARENTHESES.format(value))
    raise TypeError(f"& and | combine filters, and {value!r} is none")


def _nested(part: Filter) -> str:
    """The text of `part` within another filter."""
    return repr(part) if part._kind in ("call", "not") else f"({part!r})"


def _check_attribute(path: object, name: str) -> None:
    """Leave names with an underscore in front to Python and its tools."""
    if name.startswith("__") or name in Path.__slots__:
        raise AttributeError(name)
    if name.startswith("_"):
        raise AttributeError(f"a key that begins with _ is {path!r}[{name!r}]")


def _check_keys(path: object, keys: tuple[object, ...]) -> tuple[str, ...]:
    if not keys:
        raise TypeError(f"{path!r}() takes keys")
    for key in keys:
        if not isinstance(key, str):
            raise TypeError(
                f"{path!r} leads on by names, not by {key!r}: items of lists have no paths, "
                "contains looks for one"
            )
    return cast("tuple[str, ...]", keys)


def _key_text(key: str) -> str:
    is_plain = re.fullmatch(r"[A-Za-z][A-Za-z_0-9]*", key) and not keyword.iskeyword(key)
    if is_plain and not hasattr(Path, key):
        return f".{key}"
    return f"[{key!r}]"


def _no_context(name: str) -> str:
    known = ", ".join(f"ctx.{known}" for known in _CONTEXT)
    return f"ctx has no {name!r}; there are {known}, and claims are ctx.claims.{name}"
