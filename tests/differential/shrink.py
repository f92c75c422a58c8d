# SPDX-License-Identifier: MIT
"""Makes a case that differs small: whatever can go and still differs, goes."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Any

import graphql
from differential.cases import Case
from graphql import GraphQLError

#: Seconds one case may take.
TIME_MAX = 20.0


def node_spans(text: str) -> list[tuple[int, int]]:
    """Return the spans of all nodes of a document, the largest first."""
    try:
        document = graphql.parse(text)
    except (GraphQLError, RecursionError):
        return []
    spans: set[tuple[int, int]] = set()

    class Collect(graphql.Visitor):
        def enter(self, node: Any, *_: Any) -> None:
            if node.loc is not None:
                spans.add((node.loc.start, node.loc.end))

    graphql.visit(document, Collect())
    return sorted(spans, key=lambda span: span[0] - span[1])


def smaller_texts(text: str) -> Iterator[str]:
    """Yield the text without one of its parts: nodes, then runs of words, then characters."""
    for start, end in node_spans(text):
        if end - start < len(text):
            yield text[:start] + text[end:]
    words = text.split(" ")
    size = len(words) // 2
    while size >= 1:
        for start in range(0, len(words), size):
            yield " ".join(words[:start] + words[start + size :])
        size //= 2
    if len(text) < 400:
        for i in range(len(text)):
            yield text[:i] + text[i + 1 :]


def smaller_values(value: Any) -> Iterator[Any]:
    """Yield JSON values with less in them."""
    if isinstance(value, dict):
        for key in value:
            yield {name: member for name, member in value.items() if name != key}
        for key, member in value.items():
            for less in smaller_values(member):
                yield value | {key: less}
    elif isinstance(value, list):
        for i in range(len(value)):
            yield value[:i] + value[i + 1 :]
        for i, item in enumerate(value):
            for less in smaller_values(item):
                yield [*value[:i], less, *value[i + 1 :]]
    elif isinstance(value, str) and len(value) > 1:
        yield value[: len(value) // 2]


def smaller_cases(case: Case) -> Iterator[Case]:
    for name in ("variables", "operation_name"):
        if getattr(case, name) is not None:
            yield dataclasses.replace(case, **{name: None})
    for document in smaller_texts(case.document):
        yield dataclasses.replace(case, document=document)
    for sdl in smaller_texts(case.sdl):
        yield dataclasses.replace(case, sdl=sdl)
    for data in smaller_values(case.data):
        yield dataclasses.replace(case, data=data)
    for variables in smaller_values(case.variables):
        yield dataclasses.replace(case, variables=variables)


def shrink(case: Case, differs: Callable[[Case], bool]) -> Case:
    """Return the smallest case found in TIME_MAX for which `differs` holds."""
    deadline = time.monotonic() + TIME_MAX
    found = True
    while found:
        found = False
        for candidate in smaller_cases(case):
            if time.monotonic() > deadline:
                return case
            if differs(candidate):
                case, found = candidate, True
                break
    return case
