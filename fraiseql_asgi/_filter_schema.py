# SPDX-License-Identifier: MIT
"""Filters and the schema: what arguments a filter may name, and the arguments
that clients filter by.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator
from typing import Any

from fraiseql_asgi._core import graphql_tokens, schema_describe
from fraiseql_asgi.errors import ConfigError
from fraiseql_asgi.filters import Filter

__all__ = ["add_client_filters", "check_where"]

#: The names of operators lead nowhere in a client's filter.
_OPERATORS = (
    *("and", "or", "not", "eq", "ne", "lt", "le", "gt", "ge"),
    *("in", "contains", "startsWith", "between", "exists"),
)
_NUMBERS = ("Int", "Float")
_BUILT_IN = (*_NUMBERS, "String", "ID", "Boolean")
_ORDERING = ("<", "<=", ">", ">=", "between")


class Schema:
    """What an SDL says, as far as filters care."""

    def __init__(self, sdl: str) -> None:
        self.root, self.types = schema_describe(sdl)

    def root_field(self, name: str) -> tuple[str, dict[str, str]] | None:
        """The type and the arguments of a subscription field."""
        if self.root is None:
            return None
        field: tuple[str, dict[str, str]] | None = self.types[self.root][1].get(name)
        return field

    def kind(self, type_text: str) -> str:
        """`number`, `text`, `bool`, `list`, `input`, or `any` for custom scalars."""
        if type_text.startswith("["):
            return "list"
        name = _named(type_text)
        if name in _BUILT_IN:
            return "number" if name in _NUMBERS else "bool" if name == "Boolean" else "text"
        return {"enum": "text", "input": "input"}.get(self.types[name][0], "any")


def _named(type_text: str) -> str:
    return type_text.strip("[]!")


# -- where= -----------------------------------------------------------------


def check_where(sdl: str, field: str, where: Filter | None) -> None:
    """Refuse a filter that asks for what the arguments of `field` cannot be.

    Raises:
        ConfigError: an argument, or a field of one, that there is not; one that
            is compared in a way its type does not allow.
    """
    if where is None:
        return
    schema = Schema(sdl)
    found = schema.root_field(field)
    if found is None:
        return
    for op, *operands in _comparisons(where.ir):
        kinds = [_operand_kind(schema, field, found[1], operand) for operand in operands]
        for i, kind in enumerate(kinds):
            if "arg" in operands[i] and kind != "any":
                _check_operand(field, op, i, operands, kinds)


def _comparisons(ir: Any) -> Iterator[list[Any]]:
    if isinstance(ir, bool):
        return
    if ir[0] in ("and", "or", "not"):
        for part in ir[1:]:
            yield from _comparisons(part)
    else:
        yield ir


def _operand_kind(schema: Schema, field: str, args: dict[str, str], operand: Any) -> str:
    if "const" in operand:
        value = operand["const"]
        if isinstance(value, (bool, list)):
            return "bool" if isinstance(value, bool) else "list"
        return "number" if isinstance(value, (int, float)) else "text" if value else "any"
    if "arg" not in operand:
        return "any"
    keys = operand["arg"]
    members = args
    for i, key in enumerate(keys):
        so_far = ".".join(("arg", *keys[: i + 1]))
        if key not in members:
            has = ", ".join(members) or "none"
            raise ConfigError(
                f"field {field!r}: where= asks for {so_far}, but there are: {has}", setting="where"
            )
        kind = schema.kind(members[key])
        if i + 1 == len(keys) or kind == "any":
            return kind
        if kind != "input":
            raise ConfigError(
                f"field {field!r}: where= asks for {'.'.join(('arg', *keys))}, but {so_far} is of "
                f"type {members[key]}",
                setting="where",
            )
        members = schema.types[_named(members[key])][1]
    return "any"


def _check_operand(field: str, op: str, i: int, operands: list[Any], kinds: list[str]) -> None:
    """Refuse argument `i` of a comparison that can never be made."""
    kind = kinds[i]
    problem = None
    if op == "in":
        if i == 1 and kind != "list":
            problem = "in_ looks into a list"
    elif op == "startswith" and kind != "text":
        problem = "startswith is for texts"
    elif op == "contains" and i == 0 and kind not in ("text", "list"):
        problem = "contains looks into a text or a list"
    elif op in _ORDERING:
        others = [other for j, other in enumerate(kinds) if j != i and other != "any"]
        if kind not in ("number", "text"):
            problem = "only numbers and texts have an order"
        elif any(other != kind for other in others):
            problem = "numbers and texts have no order among each other"
    elif op in ("==", "!=") and kind in ("list", "input"):
        problem = "lists and objects equal nothing"
    if problem is not None:
        name = ".".join(("arg", *operands[i]["arg"]))
        raise ConfigError(
            f"field {field!r}: where= compares {name}, a value of kind {kind}, by {op}: {problem}",
            setting="where",
        )


# -- client_filter= ---------------------------------------------------------


def add_client_filters(sdl: str, arguments: dict[str, str]) -> str:
    """`sdl` with arguments by which clients filter, and their input types.

    Args:
        sdl: a valid schema.
        arguments: the name of the argument, by field. A field that has it
            already keeps it as it is.

    Raises:
        ConfigError: a field has nothing to filter by, or a type's name is taken.
    """
    if not arguments:
        return sdl
    schema = Schema(sdl)
    types = _InputTypes(schema)
    missing: dict[str, str] = {}
    for field, argument in arguments.items():
        found = schema.root_field(field)
        if found is None or argument in found[1]:
            continue
        name = types.of_object(_named(found[0]))
        if name is None:
            raise ConfigError(
                f"field {field!r} gives {found[0]}, which has no fields to filter by",
                setting="client_filter",
            )
        missing[field] = f"{argument}: {name}"
    return "\n".join((_insert(sdl, schema.root or "", missing), *types.definitions()))


@dataclasses.dataclass
class _InputTypes:
    """The input types that are needed, by name."""

    schema: Schema
    made: dict[str, list[str]] = dataclasses.field(default_factory=dict)

    def definitions(self) -> Iterator[str]:
        for name, lines in self.made.items():
            yield f"input {name} {{\n  " + "\n  ".join(lines) + "\n}\n"

    def of_object(self, type_name: str) -> str | None:
        """The input for an object or interface; None if nothing of it can be named."""
        kind, members = self.schema.types[type_name]
        if kind not in ("object", "interface"):
            return None
        name = f"{type_name}Filter"
        if self._is_known(name):
            return name
        lines = self.made[name] = [f"and: [{name}!]", f"or: [{name}!]", f"not: {name}"]
        for member, (text, _) in members.items():
            inner = None if member in _OPERATORS else self._of_member(text)
            if inner is not None:
                lines.append(f"{member}: {inner}")
        return name

    def _of_member(self, type_text: str) -> str | None:
        named = _named(type_text)
        if self.schema.types[named][0] in ("object", "interface", "union"):
            return None if "[" in type_text else self.of_object(named)
        if "[" in type_text:
            return self._make(f"{named}ListFilter", [f"contains: {named}", "exists: Boolean"])
        lines = [f"eq: {named}", f"ne: {named}", f"in: [{named}]", "exists: Boolean"]
        if named != "Boolean":
            lines += [f"{op}: {named}" for op in ("lt", "le", "gt", "ge")]
            lines.append(f"between: [{named}!]")
        if named not in (*_NUMBERS, "Boolean") and self.schema.types[named][0] != "enum":
            lines += ["contains: String", "startsWith: String"]
        return self._make(f"{named}Filter", lines)

    def _make(self, name: str, lines: list[str]) -> str:
        if not self._is_known(name):
            self.made[name] = lines
        return name

    def _is_known(self, name: str) -> bool:
        if name in self.made:
            return True
        if name not in self.schema.types:
            return False
        if self.schema.types[name][0] != "input":
            raise ConfigError(
                f"client_filter= makes an input type {name!r}, but the schema has another type "
                "of that name",
                setting="client_filter",
            )
        return True


def _insert(sdl: str, root: str, arguments: dict[str, str]) -> str:
    """`sdl` with an argument more for some fields of type `root`."""
    pieces: list[str] = []
    done = 0
    for field, has_arguments, end in _fields_of(sdl, root):
        text = arguments.get(field)
        if text is None:
            continue
        pieces += [sdl[done:end], f"{text}, " if has_arguments else f"({text})"]
        done = end
    return "".join((*pieces, sdl[done:]))


def _fields_of(sdl: str, root: str) -> Iterable[tuple[str, bool, int]]:
    """The fields of type `root` where they are written: the name, whether there
    are arguments, and where one more goes."""
    tokens, _ = graphql_tokens(sdl)
    n_braces = n_parens = 0
    is_root = False
    for i, (kind, _start, end, value) in enumerate(tokens[:-2]):
        follows = tokens[i + 1]
        if kind in "()":
            n_parens += 1 if kind == "(" else -1
        elif n_parens == 0 and kind in "{}":
            n_braces += 1 if kind == "{" else -1
            is_root = is_root and n_braces > 0
        elif n_parens == 0 and n_braces == 0 and kind == "Name":
            if value in _DEFINITIONS and follows[0] == "Name":
                is_root = value == "type" and follows[3] == root
        elif is_root and n_braces == 1 and n_parens == 0 and kind == "Name":
            if follows[0] == "(":
                yield str(value), True, follows[2]
            elif follows[0] == ":" and re.match(r"[_A-Za-z]", str(value)):
                yield str(value), False, end


#: Words that begin a definition, before its name.
_DEFINITIONS = ("type", "interface", "input", "enum", "union", "scalar")
