# SPDX-License-Identifier: MIT
"""The engine's decisions on events are those of a model in plain Python.

A case is a filter, arguments, a context and an event; each example of
hypothesis has one filter and some of each other, all combined. `make prove`
runs a million cases.
"""

from __future__ import annotations

import operator
import random
from collections.abc import Callable
from typing import Any

import pytest
from filter_model import MISSING, Model
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sizes import promised, size

from fraiseql_asgi import _core
from fraiseql_asgi.filters import Filter, Path, arg, ctx, event

N_CASES = size(100_000, 1_000_000)

#: Of each in an example.
N_ARGS, N_CONTEXTS, N_EVENTS = 4, 4, 20
CASES_PER_EXAMPLE = N_ARGS * N_CONTEXTS * N_EVENTS


# -- cases ------------------------------------------------------------------

KEYS = ("a", "b", "c", "in", "a.b", "")
NAMES = ("", "a", "ab", "abc", "b", "é", "\uffff", "\U00010000")
#: Numbers that doubles, 64-bit integers and their comparisons get wrong.
NUMBERS = (
    *(0, 1, -1, 2, 3, 0.0, -0.0, 1.0, 1.5, -1.5, 2.5),
    *(2**53, 2**53 + 1, float(2**53), -(2**53) - 1),
    *(2**63 - 1, 2**63, float(2**63), -(2**63), -(2**63) - 1, -float(2**63)),
    *(2**64 - 1, 2**64, 2**64 + 1, float(2**64), -(2**64)),
    *(10**23, int(1e23), 1e23, -(10**23), 10**30, 1e308, -1e308, int(1e308), 10**308, 10**310),
    *(5e-324, 0.1, 1e-7),
)
#: Numbers that are one double, and one that is beyond all of them.
CLOSE = (2**53, 2**53 + 1, float(2**53), 10**310)
scalars = st.one_of(
    st.sampled_from(NUMBERS),
    st.sampled_from(CLOSE),
    st.sampled_from(NAMES),
    st.sampled_from((None, True, False)),
)

COMPARE: tuple[Callable[[Any, Any], Any], ...] = (operator.eq, operator.ne)
ORDER: tuple[Callable[[Any, Any], Any], ...] = (
    operator.lt,
    operator.le,
    operator.gt,
    operator.ge,
)


class World:
    """Arguments, contexts and events, which hypothesis would take too long to draw."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def scalar(self) -> Any:
        return self.random.choice(self.random.choice((NUMBERS, CLOSE, NAMES, (None, True, False))))

    def list(self) -> list[Any]:
        items: list[Any] = [self.scalar() for _ in range(self.random.randrange(4))]
        return [*items, self.object(2)] if self.random.random() < 0.2 else items

    def value(self, depth: int = 0) -> Any:
        chance = self.random.random()
        if chance < 0.2:
            return self.list()
        return self.object(depth + 1) if chance < 0.4 and depth < 2 else self.scalar()

    def object(self, depth: int = 0) -> dict[str, Any]:
        n_keys = self.random.randrange(len(KEYS) + 1)
        return {key: self.value(depth) for key in self.random.sample(KEYS, n_keys)}

    def names(self) -> list[str]:
        return self.random.choices(NAMES, k=self.random.randrange(3))

    def context(self) -> dict[str, Any]:
        members = {
            "user_id": self.random.choice(NAMES),
            "tenant_id": self.random.choice(NAMES),
            "roles": self.names(),
            "boundaries": self.names(),
            "claims": self.object(),
        }
        return {key: value for key, value in members.items() if self.random.random() < 0.8}

    def event(self) -> tuple[dict[str, Any], str, str, int]:
        return (
            self.object(),
            self.random.choice(("a", "ab", "orderUpdated")),
            self.random.choice(("a", "abc", "orders:1")),
            self.random.choice((0, 10**9, 1_500_000_000, 1_750_000_000_123_456_789)),
        )

    # -- filters, for the mutants -----------------------------------------------

    def path(self) -> Path:
        keys = self.random.choices(KEYS, k=self.random.choice((1, 1, 2)))
        if self.random.random() < 0.6:
            return event(*keys)
        envelope = (event("$type"), event("$channel"), event("$created_at"))
        context = (ctx.user_id, ctx.tenant_id, ctx.roles, ctx.boundaries, ctx.claims(*keys))
        return self.random.choice((*envelope, *context, arg(*keys), arg(*keys)))

    def comparison(self) -> Filter:
        a, b, pick = self.path(), self.path(), self.random.choice
        ordered = [pick((self.path(), pick(NUMBERS), pick(NAMES), 1.5)) for _ in range(2)]
        return pick(
            (
                lambda: pick(COMPARE)(a, pick((b, self.scalar()))),
                lambda: pick(ORDER)(a, ordered[0]),
                lambda: a.in_(pick((b, [self.scalar() for _ in range(pick((0, 1, 3)))]))),
                lambda: a.contains(pick((b, self.scalar()))),
                lambda: a.startswith(pick((b, pick(NAMES)))),
                lambda: a.between(*ordered),
                lambda: a.exists(),
            )
        )()

    def filter(self, depth: int = 0) -> Filter:
        chance = self.random.random()
        if depth == 2 or chance < 0.3:
            return self.comparison()
        if chance < 0.5:
            return ~self.filter(depth + 1)
        combine = operator.and_ if chance < 0.75 else operator.or_
        return combine(self.filter(depth + 1), self.filter(depth + 1))


keys = st.lists(st.sampled_from(KEYS), min_size=1, max_size=2)
event_paths: st.SearchStrategy[Path] = keys.map(lambda path: event(*path))
other_paths: st.SearchStrategy[Path] = st.one_of(
    st.sampled_from((event("$type"), event("$channel"), event("$created_at"))),
    keys.map(lambda path: arg(*path)),
    st.sampled_from((ctx.user_id, ctx.tenant_id, ctx.roles, ctx.boundaries, ctx.claims)),
    keys.map(lambda path: ctx.claims(*path)),
)
paths = st.one_of(event_paths, event_paths, other_paths)
orderable = st.one_of(paths, st.sampled_from(NUMBERS), st.sampled_from(NAMES))

comparisons: st.SearchStrategy[Filter] = st.one_of(
    st.builds(lambda op, a, b: op(a, b), st.sampled_from(COMPARE), paths, paths | scalars),
    st.builds(lambda op, a, b: op(a, b), st.sampled_from(ORDER), paths, orderable),
    st.builds(lambda a, b: a.in_(b), paths, st.lists(scalars, max_size=4) | paths),
    st.builds(lambda a, b: a.contains(b), paths, paths | scalars),
    st.builds(lambda a, b: a.startswith(b), paths, paths | st.sampled_from(NAMES)),
    st.builds(lambda a, b, c: a.between(b, c), paths, orderable, orderable),
    st.builds(lambda a: a.exists(), paths),
)
filters: st.SearchStrategy[Filter] = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.builds(operator.and_, inner, inner),
        st.builds(operator.or_, inner, inner),
        st.builds(operator.invert, inner),
    ),
    max_leaves=6,
)


Example = tuple[Filter, list[Any], list[Any], list[Any]]


def make_example(where: Filter, seed: int) -> Example:
    world = World(seed)
    return (
        where,
        [world.object() for _ in range(N_ARGS)],
        [world.context() for _ in range(N_CONTEXTS)],
        [world.event() for _ in range(N_EVENTS)],
    )


@st.composite
def examples(draw: st.DrawFn) -> Example:
    return make_example(draw(filters), draw(st.integers(0, 2**32 - 1)))


def decisions(model: Model, example: Example) -> str:
    """What the model says, as filter_decide does."""
    where, args, contexts, events = example
    ir = where.ir
    return "".join(
        "1" if model.passes(ir, one, context, event) else "0"
        for one in args
        for context in contexts
        for event in events
    )


def engine_decisions(example: Example) -> str:
    where, args, contexts, events = example
    return _core.filter_decide(where.ir, args, contexts, events)


# -- properties -------------------------------------------------------------


@pytest.mark.timeout(300)
@promised()
def test_the_engine_decides_like_the_model() -> None:
    model = Model()
    count = {"0": 0, "1": 0}

    @settings(
        max_examples=N_CASES // CASES_PER_EXAMPLE + 1,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(examples())
    def decide(example: Example) -> None:
        expected = decisions(model, example)
        assert engine_decisions(example) == expected
        for decision in expected:
            count[decision] += 1

    decide()
    assert sum(count.values()) >= N_CASES
    # Cases that all come out the same would show nothing.
    assert min(count.values()) > N_CASES / 20


@settings(max_examples=300, deadline=None)
@given(filters)
def test_a_filter_reads_like_its_source(where: Filter) -> None:
    names = {"event": event, "arg": arg, "ctx": ctx}
    assert eval(repr(where), names).ir == where.ir


# -- mutants ----------------------------------------------------------------


class NullIsMissing(Model):
    def walk(self, value: Any, keys: list[str]) -> Any:
        found = super().walk(value, keys)
        return MISSING if found is None else found


class BoolIsNumber(Model):
    def kind(self, value: Any) -> str:
        kind = super().kind(value)
        return "number" if kind == "bool" else kind


class NumbersAreDoubles(Model):
    def equal(self, a: Any, b: Any) -> bool | None:
        truth = super().equal(a, b)
        if truth is False and self.kind(a) == self.kind(b) == "number":
            return float(a) == float(b)
        return truth


class NoNumberIsTooLarge(Model):
    def kind(self, value: Any) -> str:
        return "number" if type(value) is int else super().kind(value)


class UnknownIsFalse(Model):
    def negate(self, truth: bool | None) -> bool | None:
        return not truth


class UnknownIsTrue(Model):
    def passes(self, ir: Any, args: Any, context: Any, event: Any) -> bool:
        return self.evaluate(ir, (args, context, event)) is not False


class AndIsOr(Model):
    def all_of(self, truths: list[bool | None]) -> bool | None:
        return self.any_of(truths)


class OrIsAnd(Model):
    def any_of(self, truths: list[bool | None]) -> bool | None:
        return self.all_of(truths)


class MismatchIsUnequal(Model):
    def equal(self, a: Any, b: Any) -> bool | None:
        truth = super().equal(a, b)
        return False if truth is None and MISSING not in (a, b) else truth


class MissingEqualsMissing(Model):
    def equal(self, a: Any, b: Any) -> bool | None:
        return True if a is b is MISSING else super().equal(a, b)


class ListsAreCompared(Model):
    def equal(self, a: Any, b: Any) -> bool | None:
        if isinstance(a, list) and isinstance(b, list):
            return a == b
        return super().equal(a, b)


class LessIsLessOrEqual(Model):
    def ordered(self, op: str, a: Any, b: Any) -> bool | None:
        return super().ordered({"<": "<=", ">": ">="}.get(op, op), a, b)


class OrderIsReversed(Model):
    def ordered(self, op: str, a: Any, b: Any) -> bool | None:
        return super().ordered(op, b, a)


class OrderIsThatOfUtf16(Model):
    def ordered(self, op: str, a: Any, b: Any) -> bool | None:
        if isinstance(a, str) and isinstance(b, str):
            a, b = a.encode("utf-16-be").decode("latin1"), b.encode("utf-16-be").decode("latin1")
        return super().ordered(op, a, b)


class BetweenIsOpen(Model):
    def compare(self, op: str, values: list[Any]) -> bool | None:
        if op == "between":
            value, low, high = values
            return self.all_of([self.compare(">", [value, low]), self.compare("<", [value, high])])
        return super().compare(op, values)


class InLooksIntoTexts(Model):
    def is_in(self, a: Any, b: Any) -> bool | None:
        if isinstance(a, str) and isinstance(b, str):
            return a in b
        return super().is_in(a, b)


class ContainsIsReversed(Model):
    def contains(self, a: Any, b: Any) -> bool | None:
        return super().contains(b, a)


class ContainsKnowsNoLists(Model):
    def contains(self, a: Any, b: Any) -> bool | None:
        return None if isinstance(a, list) else super().contains(a, b)


class StartsWithIsContains(Model):
    def starts_with(self, a: Any, b: Any) -> bool | None:
        truth = super().starts_with(a, b)
        return truth if truth is None else b in a


class NullDoesNotExist(Model):
    def exists(self, a: Any) -> bool | None:
        return a is not MISSING and a is not None


class PathsLeadThroughLists(Model):
    def walk(self, value: Any, keys: list[str]) -> Any:
        if isinstance(value, list) and keys and value:
            return self.walk(value[0], keys)
        if not keys or not isinstance(value, dict) or keys[0] not in value:
            return value if not keys else MISSING
        return self.walk(value[keys[0]], keys[1:])


class EmptyTenantIsATenant(Model):
    def context_value(self, context: Any, keys: list[str]) -> Any:
        if keys == ["tenant_id"]:
            return context.get("tenant_id", MISSING)
        return super().context_value(context, keys)


class TypeIsChannel(Model):
    def operand(self, ir: Any, world: Any) -> Any:
        if ir == {"envelope": "type"}:
            ir = {"envelope": "channel"}
        return super().operand(ir, world)


class TimeIsInMilliseconds(Model):
    def operand(self, ir: Any, world: Any) -> Any:
        value = super().operand(ir, world)
        return value * 1000 if ir == {"envelope": "created_at"} else value


MUTANTS = Model.__subclasses__()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_wrong_model_is_caught(mutant: type[Model]) -> None:
    model = mutant()
    for seed in range(3000):
        example = make_example(World(seed).filter(), seed)
        if decisions(model, example) != engine_decisions(example):
            return
    pytest.fail("no example shows that it is wrong")
