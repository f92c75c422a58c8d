# SPDX-License-Identifier: MIT
"""Ready-made `execute_handler`s: queries and mutations for a schema of
graphql-core, Strawberry or Ariadne.

    from fraiseql_asgi import SubscriptionManager, execute

    manager = SubscriptionManager(execute_handler=execute.strawberry(schema))

Each package is imported when its function is called, and is yours to install.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

from fraiseql_asgi import _core
from fraiseql_asgi.authentication import takes
from fraiseql_asgi.errors import ConfigError

__all__ = ["ExecuteHandler", "Payload", "Result", "ariadne", "graphql_core", "strawberry"]

#: `{"query": str, "operationName": str | None, "variables": dict | None,
#: "extensions": dict | None}`.
Payload: TypeAlias = dict[str, Any]
#: `{"data": ..., "errors": [...], "extensions": {...}}`, or some of them.
Result: TypeAlias = dict[str, Any]
#: What the functions here return.
ExecuteHandler: TypeAlias = Callable[[Payload, _core.ResolverContext], Coroutine[Any, Any, Result]]


def graphql_core(
    schema: Any, root_value: object = None, context_value: object = None
) -> ExecuteHandler:
    """Execute with graphql-core on a `GraphQLSchema`.

    Args:
        schema: the schema; how it was made does not matter.
        root_value: what resolvers of root fields get.
        context_value: `info.context`. A function is called with the
            `ResolverContext` of each operation and may be async; None: that
            `ResolverContext` itself.

    Raises:
        ConfigError: graphql-core is not installed.
        TypeError: `schema` is no `GraphQLSchema`.
    """
    graphql = _import("graphql", "graphql-core")
    _check_type(schema, graphql.GraphQLSchema)

    async def execute(payload: Payload, context: _core.ResolverContext) -> Result:
        result = await graphql.graphql(
            schema,
            payload["query"],
            root_value=root_value,
            context_value=await _context(context_value, context),
            variable_values=payload["variables"],
            operation_name=payload["operationName"],
        )
        return _format(result)

    return execute


def strawberry(
    schema: Any, root_value: object = None, context_value: object = None
) -> ExecuteHandler:
    """Execute with Strawberry on a `strawberry.Schema`.

    Arguments and exceptions are those of `graphql_core`.
    """
    package = _import("strawberry", "strawberry-graphql")
    _check_type(schema, package.Schema)

    async def execute(payload: Payload, context: _core.ResolverContext) -> Result:
        result = await schema.execute(
            payload["query"],
            root_value=root_value,
            context_value=await _context(context_value, context),
            variable_values=payload["variables"],
            operation_name=payload["operationName"],
        )
        return _format(result)

    return execute


def ariadne(
    schema: Any, root_value: object = None, context_value: object = None, **options: Any
) -> ExecuteHandler:
    """Execute with Ariadne on what `make_executable_schema` returns.

    Arguments and exceptions are those of `graphql_core`; `options` go to
    `ariadne.graphql` (`error_formatter=`, `extensions=`, `validation_rules=` ...).
    """
    package = _import("ariadne", "ariadne")
    _check_type(schema, _import("graphql", "graphql-core").GraphQLSchema)

    async def execute(payload: Payload, context: _core.ResolverContext) -> Result:
        _, result = await package.graphql(
            schema,
            {name: payload[name] for name in ("query", "operationName", "variables")},
            root_value=root_value,
            context_value=await _context(context_value, context),
            **options,
        )
        response: Result = result
        return response

    return execute


def make_handler(function: object) -> _core.Resolver:
    """How to call `function`, an `execute_handler`.

    Raises:
        ConfigError: it cannot be called with (payload, context), or yields.
        TypeError: it cannot be called at all.
    """
    if not callable(function):
        raise TypeError(f"execute_handler must be callable, not {type(function).__name__}")
    target = function if inspect.isroutine(function) else getattr(function, "__call__", function)  # noqa: B004
    if inspect.isasyncgenfunction(target) or inspect.isgeneratorfunction(target):
        raise ConfigError(
            "execute_handler returns one result and does not yield", setting="execute_handler"
        )
    name = getattr(function, "__name__", type(function).__name__)
    for n_params in (2, 1):
        if takes(function, n_params):
            return _core.Resolver(function, name, n_params, is_handler=True)
    raise ConfigError(
        "execute_handler is called with (payload, context) or (payload)",
        setting="execute_handler",
    )


def _import(name: str, package: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise ConfigError(
            f"{package} is not installed: pip install {package}", setting="execute_handler"
        ) from None


def _check_type(schema: object, wanted: type) -> None:
    if not isinstance(schema, wanted):
        raise TypeError(f"schema must be a {wanted.__name__}, not {type(schema).__name__}")


async def _context(setting: object, context: _core.ResolverContext) -> object:
    if setting is None:
        return context
    if not callable(setting):
        return setting
    value = setting(context)
    return await value if inspect.isawaitable(value) else value


def _format(result: Any) -> Result:
    """The response; `data` is left out where execution did not begin: then
    there is none, and no error came from a field."""
    errors = result.errors or ()
    response: Result = {}
    if result.data is not None or any(error.path is not None for error in errors):
        response["data"] = result.data
    if errors:
        response["errors"] = [error.formatted for error in errors]
    if result.extensions:
        response["extensions"] = result.extensions
    return response
