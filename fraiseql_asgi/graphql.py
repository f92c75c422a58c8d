# SPDX-License-Identifier: MIT
"""GraphQL by itself: read a document, check it, see what one event gives.

These functions do once what the engine does for every operation and event;
tests, tools and start-up checks use them. No limits of a manager apply here.
Any thread may call them.
"""

from __future__ import annotations

from typing import Any

from fraiseql_asgi import _core, _introspection

__all__ = ["execute", "parse", "validate"]


def parse(document: str) -> list[dict[str, Any]]:
    """Return the definitions of a document, in order.

    Each is `{"kind": str, "name": str | None}`; the kind is `query`, `mutation`,
    `subscription` or `fragment`, or `type_system` for anything of a schema.

        >>> parse("subscription OnOrder { orderUpdated { id } }")
        [{'kind': 'subscription', 'name': 'OnOrder'}]

    Raises:
        GraphQLSyntaxError: the text is no GraphQL document; `errors` has message
            and place.

    Source: GraphQL September 2025, section 2.
    """
    return _core.graphql_parse(document)


def validate(schema_sdl: str, document: str) -> list[dict[str, Any]]:
    """Return why a document may not be executed against a schema; [] if it may.

    Each error is `{"message": str, "locations": [{"line": int, "column": int}]}`,
    lines and columns counted from 1, columns in code points. A document that
    cannot be read gives its syntax error. The schema is kept for further calls.

        >>> validate("type Query { name: String }", "{ nam }")[0]["message"]
        "Cannot query field 'nam' on type 'Query'. Did you mean 'name'?"

    Raises:
        ConfigError: `schema_sdl` is no valid schema; the text says why and where.

    Source: GraphQL September 2025, section 5.
    """
    errors = _core.graphql_validate(schema_sdl, document)
    return [{name: error[name] for name in error if name != "extensions"} for error in errors]


def execute(
    schema_sdl: str | None,
    document: str,
    data: Any,
    variables: dict[str, Any] | None = None,
    operation_name: str | None = None,
) -> bytes:
    """Return the response that an event with this `data` gives: JSON, in UTF-8.

    `data` is the value of the root field: anything that has a JSON form, or
    bytes of JSON. The document is read, but not validated. Without a schema
    (None) the selection alone decides, and types are known by `__typename`.

        >>> execute(None, "subscription { order { id } }", {"id": 7, "total": 3})
        b'{"data":{"order":{"id":7}}}'

    A request that cannot be executed (syntax, operation name, variables) gives
    `errors` without `data`; a field that cannot be completed is null, with its
    error beside the data. A query that asks for the schema (`__schema`,
    `__type`) is answered by graphql-core (extra `introspection`).

    Raises:
        ConfigError: `schema_sdl` is no valid schema.
        TypeError: `data` or `variables` have no JSON form.
        ValueError: likewise, for a value such as NaN; bytes that are no JSON.

    Source: GraphQL September 2025, section 6.
    """
    answer = _introspection.execute(schema_sdl, document, data, variables, operation_name)
    if answer is not None:
        return answer
    return _core.graphql_execute(schema_sdl, document, data, variables, operation_name)
