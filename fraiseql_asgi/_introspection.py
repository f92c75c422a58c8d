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
from typing import Any

from fraiseql_asgi import _core

__all__ = ["make_introspect"]

_logger = logging.getLogger("fraiseql_asgi")

#: Answers kept for each schema: tools have a few queries, and send no others.
_ANSWERS_MAX = 8


def make_introspect(sdl: str) -> _core.Resolver:
    """Who answers for the schema `sdl`, which is valid."""
    return _core.Resolver(_Introspect(sdl), "introspection", 1, is_handler=True)


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
            return {"errors": [{"message": "Introspection is not available here."}]}

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
