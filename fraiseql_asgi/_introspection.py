# SPDX-License-Identifier: MIT
"""Queries that ask for the schema itself, answered by graphql-core.

A cold path: tools ask once and keep the answer. The engine has checked the
document by then.
"""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import re
from collections.abc import Iterator, Mapping
from typing import Any

from fraiseql_asgi import _core

__all__ = ["Introspection", "execute"]

_logger = logging.getLogger("fraiseql_asgi")

#: Answers kept for each schema: tools have a few queries, and send no others.
_ANSWERS_MAX = 8

#: Whether a document may ask for the schema; nearly none does.
_MENTIONS_SCHEMA = re.compile(r"__(?:schema|type)\b")

_NOT_AVAILABLE = {"errors": [{"message": "Introspection is not available here."}]}


class Introspection:
    """Who answers for the schema of a manager, which may be replaced."""

    def __init__(self, sdl: str) -> None:
        self._current = _Introspect(sdl)
        self.resolver = _core.Resolver(self._answer, "introspection", 1, is_handler=True)

    def replace(self, sdl: str) -> None:
        """Answer for `sdl`, which is valid, from now on."""
        self._current = _Introspect(sdl)

    async def _answer(self, payload: dict[str, Any]) -> dict[str, Any]:
        return await self._current(payload)


class _Introspect:
    def __init__(self, sdl: str) -> None:
        self.sdl = sdl
        self._answer = functools.lru_cache(_ANSWERS_MAX)(self._execute)

    async def __call__(self, payload: dict[str, Any]) -> dict[str, Any]:
        """In a thread: a large schema takes graphql-core a while."""
        variables = json.dumps(payload["variables"])
        try:
            return await asyncio.to_thread(
                self._answer, payload["query"], payload["operationName"], variables
            )
        except ModuleNotFoundError as error:
            if error.name != "graphql":
                raise
            _logger.warning(
                "a client asked for the schema, which takes graphql-core: "
                "pip install 'fraiseql-asgi[introspection]'"
            )
            return _NOT_AVAILABLE

    def _execute(self, query: str, operation_name: str | None, variables: str) -> dict[str, Any]:
        import graphql

        result = graphql.graphql_sync(
            self._schema,
            query,
            variable_values=json.loads(variables),
            operation_name=operation_name,
        )
        return dict(result.formatted)

    @functools.cached_property
    def _schema(self) -> Any:
        import graphql

        return graphql.build_schema(self.sdl, assume_valid=True)


def execute(
    sdl: str | None,
    document: str,
    data: Any,
    variables: dict[str, Any] | None,
    operation_name: str | None,
) -> bytes | None:
    """What `graphql.execute` returns for a query that asks for the schema.

    None for every other operation, and for what cannot be read. Fields that are
    not about the schema are answered as everywhere: the data is the value of
    each root field, the member of its name that of any other.

    Raises:
        ConfigError, TypeError, ValueError: as `graphql.execute`.
    """
    if sdl is None or not isinstance(document, str) or not isinstance(variables, dict | None):
        return None  # or a fault of the caller, which is told elsewhere
    if _MENTIONS_SCHEMA.search(document) is None:
        return None
    _core.graphql_validate(sdl, "{ __typename }")  # the schema is a valid one
    try:
        import graphql
    except ModuleNotFoundError as error:
        if error.name != "graphql":
            raise
        kinds = {definition["kind"] for definition in _core.graphql_parse(document)}
        return json.dumps(_NOT_AVAILABLE).encode() if "query" in kinds else None
    try:
        node = graphql.parse(document)
    except graphql.GraphQLSyntaxError:
        return None
    operation = graphql.get_operation_ast(node, operation_name)
    if operation is None or operation.operation is not graphql.OperationType.QUERY:
        return None
    fragments = {
        definition.name.value: definition
        for definition in node.definitions
        if isinstance(definition, graphql.FragmentDefinitionNode)
    }
    if {"__schema", "__type"}.isdisjoint(_root_names(operation, fragments, set())):
        return None
    result = graphql.execute_sync(
        _built(sdl),
        node,
        _RootValue(_plain(data)),
        variable_values=_plain(variables),
        operation_name=operation_name,
        field_resolver=_resolve_field,
        type_resolver=_resolve_type,
    )
    answer = dict(result.formatted)
    if result.data is None and not any(error.path for error in result.errors or ()):
        del answer["data"]
    return json.dumps(answer, separators=(",", ":"), ensure_ascii=False).encode()


def _root_names(node: Any, fragments: Mapping[str, Any], seen: set[str]) -> Iterator[str]:
    """The names of the fields selected in `node`, fragments expanded."""
    for selection in node.selection_set.selections:
        if selection.kind == "field":
            yield selection.name.value
        elif selection.kind == "inline_fragment":
            yield from _root_names(selection, fragments, seen)
        elif (name := selection.name.value) in fragments and name not in seen:
            seen.add(name)
            yield from _root_names(fragments[name], fragments, seen)


def _plain(value: Any) -> Any:
    """`value` as its JSON says: what a whole field gives without a schema."""
    if value is None:
        return None
    response = json.loads(_core.graphql_execute(None, "subscription { value }", value, None, None))
    return response["data"]["value"]


@functools.lru_cache(_ANSWERS_MAX)
def _built(sdl: str) -> Any:
    import graphql

    return graphql.build_schema(sdl, assume_valid=True)


class _RootValue(dict[str, Any]):
    """The event's data under every name."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def get(self, key: str, default: Any = None) -> Any:
        return self.data


def _resolve_field(source: Any, info: Any, **args: Any) -> Any:
    return source.get(info.field_name) if isinstance(source, Mapping) else None


def _resolve_type(value: Any, info: Any, abstract_type: Any) -> str | None:
    name = value.get("__typename") if isinstance(value, Mapping) else None
    return name if isinstance(name, str) else None
