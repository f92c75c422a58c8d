# SPDX-License-Identifier: MIT
"""What graphql-core and what we answer to a case.

An answer has one entry per step taken: `schema`, `parse` and `validate` are
lists of errors, `execute` is the result's bytes. The reference runs with what
issue and docs/graphql.md decide:

- an empty selection set is a syntax error (an option of its parser);
- the value of a root field is the event's data, of any other field the member
  of that name; what is no object has no members;
- an interface or union is resolved by the data's `__typename` alone.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from typing import Any

import graphql
from differential.cases import Case
from graphql import GraphQLError, GraphQLSchema, GraphQLSyntaxError
from graphql.validation.validate import validate_sdl

from fraiseql_asgi import GraphQLValidationError, _core

Answer = dict[str, Any]

#: Errors of a schema that we report; the reference has no limit there.
SCHEMA_ERRORS_MAX = 101


class NoAnswer(Exception):
    """The reference itself fails on a case."""


def formatted(errors: list[GraphQLError]) -> list[dict[str, Any]]:
    names = ("message", "locations")
    return [{n: e.formatted[n] for n in names if n in e.formatted} for e in errors]


# -- the reference ----------------------------------------------------------


def parse(text: str) -> graphql.DocumentNode:
    return graphql.parse(text, allow_empty_selection_sets=False)


@functools.lru_cache(maxsize=4)
def reference_schema(sdl: str) -> tuple[GraphQLSchema | None, list[dict[str, Any]]]:
    try:
        document = parse(sdl)
    except GraphQLSyntaxError as error:
        return None, formatted([error])
    try:
        if errors := validate_sdl(document):
            return None, formatted(errors)[:SCHEMA_ERRORS_MAX]
        schema = graphql.build_ast_schema(document, assume_valid_sdl=True)
        errors = graphql.validate_schema(schema)
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise NoAnswer(f"{type(error).__name__} in build_schema") from error
    return (None if errors else schema), formatted(errors)[:SCHEMA_ERRORS_MAX]


def resolve_field(source: Any, info: graphql.GraphQLResolveInfo, **args: Any) -> Any:
    return source.get(info.field_name) if isinstance(source, Mapping) else None


def resolve_type(value: Any, info: graphql.GraphQLResolveInfo, abstract_type: Any) -> str | None:
    name = value.get("__typename") if isinstance(value, Mapping) else None
    return name if isinstance(name, str) else None


class RootValue(dict[str, Any]):
    """The event's data under every name."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def get(self, key: str, default: Any = None) -> Any:
        return self.data


def reference_execute(schema: GraphQLSchema, document: graphql.DocumentNode, case: Case) -> bytes:
    result = graphql.execute_sync(
        schema,
        document,
        RootValue(case.data),
        variable_values=case.variables,
        operation_name=case.operation_name,
        field_resolver=resolve_field,
        type_resolver=resolve_type,
    )
    return to_bytes(result.formatted)


def to_bytes(result: dict[str, Any]) -> bytes:
    """Return a result as we write it: a request error has no `data`."""
    errors = result.get("errors") or []
    if result["data"] is None and not any("path" in error for error in errors):
        result = {"errors": errors}
    return json.dumps(result, separators=(",", ":"), ensure_ascii=False).encode()


def reference(case: Case, unvalidated: bool = False) -> Answer:
    """Answer a case; with `unvalidated`, execute invalid documents, too."""
    schema, errors = reference_schema(case.sdl)
    if schema is None:
        return {"schema": errors}
    try:
        document = parse(case.document)
    except GraphQLSyntaxError as error:
        return {"parse": formatted([error])}
    try:
        errors = formatted(graphql.validate(schema, document))
        is_executed = unvalidated or not errors
        result = reference_execute(schema, document, case) if is_executed else b""
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise NoAnswer(f"{type(error).__name__} in validate or execute") from error
    return {"validate": errors, "execute": result}


# -- ours -------------------------------------------------------------------


def without_code(errors: list[dict[str, Any]]) -> list[dict[str, Any]]:
    names = ("message", "locations")
    return [{name: error[name] for name in names if name in error} for error in errors]


#: What our errors carry and the reference's do not.
_CODE = re.compile(rb',"extensions":\{"code":"[A-Z_]+"\}')


def ours(case: Case, unvalidated: bool = False) -> Answer:
    if errors := _core.graphql_schema_errors(case.sdl):
        return {"schema": without_code(errors)}
    if errors := _core.graphql_syntax_errors(case.document):
        return {"parse": without_code(errors)}
    errors = without_code(_core.graphql_validate(case.sdl, case.document))
    result = b""
    if unvalidated or not errors:
        variables, name = case.variables, case.operation_name
        result = _core.graphql_execute(case.sdl, case.document, case.data, variables, name)
    if not errors:
        result = by_plan(case, result)
    return {"validate": errors, "execute": _CODE.sub(b"", result)}


def by_plan(case: Case, result: bytes) -> bytes:
    """Return the result of the engine's way, where it is another than `result`.

    The engine keeps a plan per subscription, and does not start one with bad
    arguments of its root field.
    """
    kinds = {definition["kind"] for definition in _core.graphql_parse(case.document)}
    if kinds - {"fragment", "subscription"} or result.startswith(b'{"errors"'):
        return result
    try:
        plan = _core.graphql_prepare(case.sdl, case.document, case.variables, case.operation_name)
    except GraphQLValidationError:
        errors = json.loads(result).get("errors", [])
        return result if any(len(error["path"]) == 1 for error in errors) else b"refused"
    first, again = (_core.graphql_project(plan, case.data) for _ in range(2))
    return result if first == result == again else b"differs by plan: " + first


# -- comparing --------------------------------------------------------------

_PIECE = re.compile(rb'"(?:\\.|[^"\\])*"|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?|[^"\d-]+')


def pieces(result: bytes) -> list[bytes | float]:
    """Split JSON into strings, numbers and the rest; floats become values.

    A float has several texts: 1e+22 is Python's, 1e22 ours. Everything else
    is compared byte by byte.
    """
    found = _PIECE.findall(result)
    return [float(piece) if re.fullmatch(rb"-?\d.*[.eE].*", piece) else piece for piece in found]


def equal_step(one: Any, other: Any) -> bool:
    if isinstance(one, bytes) and isinstance(other, bytes):
        return one == other or pieces(one) == pieces(other)
    return one == other


def equal(one: Answer, other: Answer) -> bool:
    return one.keys() == other.keys() and all(equal_step(one[s], other[s]) for s in one)


def differs(case: Case, unvalidated: bool = False) -> bool:
    """Whether a case shows a difference; False where the reference has no answer."""
    try:
        return not equal(reference(case, unvalidated), ours(case, unvalidated))
    except NoAnswer:
        return False
