# SPDX-License-Identifier: MIT
"""What filters mean, in plain Python: the model that the engine is compared with.

It evaluates the lists that filters.py makes, one operator after the other, with
three truth values: True, False and None, unknown. docs/guide/filters.md says
the same in words.
"""

from __future__ import annotations

from typing import Any

__all__ = ["MISSING", "Model"]


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


#: Where a path leads nowhere.
MISSING = _Missing()

Truth = bool | None


class Model:
    """One method per decision, so that a test can get one of them wrong."""

    def passes(self, ir: Any, args: Any, context: Any, event: Any) -> bool:
        """Whether `event`, (data, type, channel, created_at_ns), passes."""
        return self.evaluate(ir, (args, context, event)) is True

    # -- and, or, not -------------------------------------------------------

    def evaluate(self, ir: Any, world: Any) -> Truth:
        if isinstance(ir, bool):
            return ir
        op, *parts = ir
        if op == "not":
            return self.negate(self.evaluate(parts[0], world))
        if op == "and":
            return self.all_of([self.evaluate(part, world) for part in parts])
        if op == "or":
            return self.any_of([self.evaluate(part, world) for part in parts])
        return self.compare(op, [self.operand(part, world) for part in parts])

    def negate(self, truth: Truth) -> Truth:
        return None if truth is None else not truth

    def all_of(self, truths: list[Truth]) -> Truth:
        if False in truths:
            return False
        return None if None in truths else True

    def any_of(self, truths: list[Truth]) -> Truth:
        if True in truths:
            return True
        return None if None in truths else False

    # -- operands -----------------------------------------------------------

    def operand(self, ir: Any, world: Any) -> Any:
        args, context, (data, event_type, channel, created_at_ns) = world
        ((source, what),) = ir.items()
        if source == "const":
            return what
        if source == "envelope":
            envelope = {
                "type": event_type,
                "channel": channel,
                "created_at": created_at_ns / 1e9,
            }
            return envelope[what]
        if source == "ctx":
            return self.context_value(context, what)
        return self.walk(data if source == "event" else args, what)

    def context_value(self, context: Any, keys: list[str]) -> Any:
        context = {"roles": [], "boundaries": [], **context}
        for name in ("user_id", "tenant_id"):
            if not context.get(name):
                context.pop(name, None)
        return self.walk(context, keys)

    def walk(self, value: Any, keys: list[str]) -> Any:
        for key in keys:
            if not isinstance(value, dict) or key not in value:
                return MISSING
            value = value[key]
        return value

    # -- comparisons --------------------------------------------------------

    def compare(self, op: str, values: list[Any]) -> Truth:
        if op == "exists":
            return self.exists(*values)
        if op == "between":
            value, low, high = values
            return self.all_of(
                [self.compare(">=", [value, low]), self.compare("<=", [value, high])]
            )
        a, b = values
        if op == "==":
            return self.equal(a, b)
        if op == "!=":
            return self.negate(self.equal(a, b))
        if op == "in":
            return self.is_in(a, b)
        if op == "contains":
            return self.contains(a, b)
        if op == "startswith":
            return self.starts_with(a, b)
        return self.ordered(op, a, b)

    def kind(self, value: Any) -> str:
        """The type of a value; one of those with which nothing compares is "other"."""
        if value is MISSING:
            return "missing"
        if value is None:
            return "null"
        if isinstance(value, bool):
            return "bool"
        if isinstance(value, str):
            return "string"
        if isinstance(value, float):
            return "number"
        if isinstance(value, int):
            return "number" if len(str(abs(value))) <= 309 else "other"
        return "list" if isinstance(value, list) else "other"

    def exists(self, a: Any) -> Truth:
        return a is not MISSING

    def equal(self, a: Any, b: Any) -> Truth:
        a_kind, b_kind = self.kind(a), self.kind(b)
        if "missing" in (a_kind, b_kind):
            return None
        if "null" in (a_kind, b_kind):
            return a_kind == b_kind
        if a_kind != b_kind or a_kind in ("list", "other"):
            return None
        return bool(a == b)

    def ordered(self, op: str, a: Any, b: Any) -> Truth:
        kind = self.kind(a)
        if kind != self.kind(b) or kind not in ("number", "string"):
            return None
        return bool({"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[op])

    def is_in(self, a: Any, b: Any) -> Truth:
        if a is MISSING or not isinstance(b, list):
            return None
        return self.any_of([self.equal(a, item) for item in b])

    def contains(self, a: Any, b: Any) -> Truth:
        if isinstance(a, list):
            return self.is_in(b, a)
        if not isinstance(a, str) or not isinstance(b, str):
            return None
        return b in a

    def starts_with(self, a: Any, b: Any) -> Truth:
        if not isinstance(a, str) or not isinstance(b, str):
            return None
        return a.startswith(b)
