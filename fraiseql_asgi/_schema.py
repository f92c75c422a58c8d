# SPDX-License-Identifier: MIT
"""What `schema=` may be, and which subscription fields a schema asks for."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from fraiseql_asgi._core import channel_arguments, schema_arguments, schema_fields
from fraiseql_asgi.errors import ConfigError

__all__ = ["check_channel_arguments", "check_declared", "check_fields", "read_schema"]


def read_schema(schema: object, setting: str = "schema") -> str | None:
    """Return the SDL of `schema`, checked; None for None.

    Args:
        schema: SDL text, the path of a file with it, or a schema object that
            prints as SDL: graphql-core's (Ariadne makes these), Strawberry's.
        setting: what a `ConfigError` is about.

    Raises:
        ConfigError: the file cannot be read, or the SDL is no valid schema;
            the text lists its errors with line and column.
        TypeError: it is none of these.
    """
    if schema is None:
        return None
    where = ""
    if isinstance(schema, os.PathLike) or (isinstance(schema, str) and _is_path(schema)):
        path = os.fspath(schema)
        where = f" in {path!r}"
        sdl = _read(path, setting)
    else:
        sdl = schema if isinstance(schema, str) else _print(schema)
    try:
        schema_fields(sdl)
    except ConfigError as error:
        lines = str(error).replace("\n", "\n  ")
        raise ConfigError(f"the schema{where} is not valid:\n  {lines}", setting=setting) from None
    except ValueError as error:
        raise ConfigError(f"the schema{where} is no text: {error}", setting=setting) from None
    return sdl


def _is_path(text: str) -> bool:
    """Whether `text` can be no SDL: that has braces, or several words."""
    if re.search(r"[{}\n\"#]", text) or not text.strip():
        return False
    is_named = text.endswith((".graphql", ".graphqls", ".gql", ".sdl"))
    return is_named or re.search(r"\s", text.strip()) is None


def _read(path: str | bytes, setting: str) -> str:
    try:
        with open(path, encoding="utf-8-sig") as file:
            return file.read()
    except FileNotFoundError:
        raise ConfigError(f"the schema file {path!r} does not exist", setting=setting) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"cannot read the schema file {path!r}: {error}", setting=setting
        ) from error


def _print(schema: object) -> str:
    """Return a schema object as SDL; which packages there are does not matter."""
    as_str = getattr(schema, "as_str", None)
    if callable(as_str):
        sdl = as_str()
        if isinstance(sdl, str):
            return sdl
    if any(base.__module__.partition(".")[0] == "graphql" for base in type(schema).__mro__):
        import graphql

        if isinstance(schema, graphql.GraphQLSchema):
            return str(graphql.print_schema(schema))
    raise TypeError(
        "schema must be SDL text, a path, or a schema of graphql-core, Strawberry or Ariadne, "
        f"not {type(schema).__name__}"
    )


def check_declared(sdl: str, names: Iterable[str]) -> None:
    """Refuse declared fields that a schema does not have.

    Raises:
        ConfigError: names them and what there is.
    """
    there = schema_fields(sdl)
    missing = [name for name in names if name not in there]
    if missing:
        has = f"has {_list(there)}" if there else "has none"
        raise ConfigError(
            f"declared, but no subscription field of the schema: {_list(missing)}; it {has}",
            setting="schema",
        )


def check_fields(sdl: str, names: Iterable[str], serve_undeclared: bool) -> None:
    """Refuse a schema and declarations that do not fit together.

    Raises:
        ConfigError: names the fields that only one of the two has.
    """
    names = set(names)
    check_declared(sdl, sorted(names))
    there = schema_fields(sdl)
    if not there and not serve_undeclared:
        raise ConfigError("the schema has no subscription fields", setting="schema")
    undeclared = [name for name in there if name not in names]
    if undeclared and not serve_undeclared:
        raise ConfigError(
            f"subscription fields of the schema that nobody declared: {_list(undeclared)}; "
            "declare each with subscription(...), or serve them with the defaults by "
            "serve_undeclared=True",
            setting="schema",
        )


def check_channel_arguments(sdl: str, field: str, channels: Iterable[str]) -> None:
    """Refuse channels that ask for what no argument of `field` can be.

    Raises:
        ConfigError: names the argument and what there is.
    """
    there = schema_arguments(sdl, field)
    for channel in channels:
        for name in channel_arguments(channel):
            what = f"field {field!r}: channel {channel!r} asks for argument {name!r}, "
            if name not in there:
                has = f"has {_list(there)}" if there else "has none"
                raise ConfigError(f"{what}but the field {has}", setting="channel")
            type_name, is_possible = there[name]
            if not is_possible:
                raise ConfigError(
                    f"{what}which is of type {type_name}: only a string, ID, Int, Boolean or "
                    "enum can be part of a channel's name",
                    setting="channel",
                )


def _list(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names)
