# SPDX-License-Identifier: MIT
"""Case number `index` of a seed: schema, document, variables, data.

A case depends on seed and number alone. Cases come in groups that share a
schema, as building one is the reference's most expensive step; the first of a
group has one of its own, mostly with faults.
"""

from __future__ import annotations

import dataclasses
import functools
import random
from typing import Any

from differential import text
from differential.documents import DocumentMaker
from differential.schemas import Schema, SchemaMaker, SDLWriter, named
from differential.values import Values

#: Cases per schema.
GROUP = 16


@dataclasses.dataclass(frozen=True)
class Case:
    sdl: str
    document: str
    data: Any
    variables: dict[str, Any] | None
    operation_name: str | None


@functools.lru_cache(maxsize=4)
def make_schema(seed: int, group: int, is_first: bool) -> tuple[Schema, str]:
    rng = random.Random(f"{seed}/schema/{group}/{is_first}")
    chaos = rng.choice((0.0, 0.01, 0.03)) if is_first else 0.0
    schema = SchemaMaker(rng, chaos).make()
    sdl = text.join(rng, SDLWriter(rng, schema, chaos).write())
    if is_first and rng.random() < 0.3:
        sdl = text.mutate(rng, sdl)
    return schema, sdl


def make(seed: int, index: int) -> Case:
    schema, sdl = make_schema(seed, index // GROUP, index % GROUP == 0)
    rng = random.Random(f"{seed}/case/{index}")
    chaos = rng.choice((0.0, 0.0, 0.0, 0.0, 0.02, 0.05, 0.15))
    document = DocumentMaker(rng, schema, chaos).make()
    source = text.join(rng, document.tokens)
    if rng.random() < 0.12:
        source = text.mutate(rng, source)

    values = Values(rng, schema, rng.choice((0.0, 0.0, 0.04, 0.15)))
    variables: dict[str, Any] | None = {}
    for name, variable in document.variables.items():
        optional = variable.default is not None or variable.type[0] != "!"
        if (optional and rng.random() < 0.4) or values.wrong():
            continue
        variables[name] = values.input(variable.type)
    if rng.random() < 0.1:
        variables["nobody"] = values.anything()
    if not variables and rng.random() < 0.5:
        variables = None

    operation_name = rng.choice(document.operations) if len(document.operations) > 1 else None
    if rng.random() < 0.03:
        operation_name = rng.choice(("Op", "Op0", "Nobody", ""))
    values.chaos = rng.choice((0.0, 0.0, 0.03, 0.12))
    return Case(sdl, source, root_value(rng, schema, values), variables, operation_name)


def root_value(rng: random.Random, schema: Schema, values: Values) -> Any:
    """Return an event's data, which is the value of any root field."""
    root = schema.objects.get(schema.roots.get("subscription", ""))
    if root is None or not root.fields:
        return values.anything()
    field = rng.choice(list(root.fields.values()))
    for other in root.fields.values():
        if named(other.type) in schema.composite_names():
            field = other
    return values.data(field.type)
