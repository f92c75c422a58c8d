# SPDX-License-Identifier: MIT
"""Persisted operations: reading the documents that clients may name by hash."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from fraiseql_asgi import _core
from fraiseql_asgi.errors import ConfigError, GraphQLSyntaxError

__all__ = ["PersistedSetting", "load_persisted"]

#: Documents by the SHA-256 of their text, or the path of a JSON file of them.
PersistedSetting: TypeAlias = "Mapping[str, str] | str | os.PathLike[str]"

_APOLLO_FORMAT = "apollo-persisted-query-manifest"


def load_persisted(setting: PersistedSetting) -> dict[str, str]:
    """The documents by their hashes, in lower case, all of them checked.

    Raises:
        ConfigError: a file that cannot be read; an entry whose key is not the
            SHA-256 of its document, or whose document is not GraphQL.
        TypeError: neither a mapping nor a path.
    """
    if isinstance(setting, Mapping):
        entries: Iterable[tuple[object, object]] = setting.items()
    elif isinstance(setting, (str, os.PathLike)):
        entries = _read_file(os.fspath(setting))
    else:
        raise TypeError(
            f"persisted must be a mapping or the path of a file, not {type(setting).__name__}"
        )
    documents = {}
    for key, document in entries:
        hash_ = _check(key, document)
        documents[hash_] = str(document)
    return documents


def _check(key: object, document: object) -> str:
    """The hash of an entry that is as it should be."""
    if not isinstance(key, str) or not isinstance(document, str):
        raise _fault(key, f"maps {type(key).__name__} to {type(document).__name__}, not str to str")
    hash_ = key.lower()
    if not re.fullmatch(r"[0-9a-f]{64}", hash_):
        raise _fault(key, "is not named by a SHA-256, which has 64 hexadecimal digits")
    try:
        actual = hashlib.sha256(document.encode()).hexdigest()
        _core.graphql_parse(document)
    except UnicodeEncodeError:
        raise _fault(key, "is not text that can be encoded") from None
    except GraphQLSyntaxError as error:
        raise _fault(key, f"is not GraphQL: {error.message}") from None
    if actual != hash_:
        raise _fault(key, f"has the SHA-256 {actual}: the document or its key was changed")
    return hash_


def _fault(key: object, what: str) -> ConfigError:
    return ConfigError(f"persisted operation {key!r} {what}", setting="persisted")


def _read_file(path: str) -> list[tuple[object, object]]:
    """The entries of `{hash: document}`, or of a manifest as Apollo's tools
    write it."""
    try:
        with open(path, encoding="utf-8") as file:
            content: Any = json.load(file)
    except OSError as error:
        raise ConfigError(
            f"cannot read the persisted operations of {path!r}: {error.strerror}",
            setting="persisted",
        ) from None
    except ValueError as error:
        raise ConfigError(
            f"the persisted operations of {path!r} are not JSON: {error}", setting="persisted"
        ) from None
    if isinstance(content, dict) and content.get("format") == _APOLLO_FORMAT:
        operations = content.get("operations")
        if isinstance(operations, list) and all(isinstance(item, dict) for item in operations):
            return [(item.get("id"), item.get("body")) for item in operations]
    elif isinstance(content, dict):
        return list(content.items())
    raise ConfigError(
        f'{path!r} must hold {{"<SHA-256>": "<document>", …}} or a manifest of the format '
        f"{_APOLLO_FORMAT}",
        setting="persisted",
    )
