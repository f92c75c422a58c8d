# SPDX-License-Identifier: MIT
"""Random JSON: data of events and values of variables, right and wrong."""

from __future__ import annotations

import random
from typing import Any

from differential.schemas import Schema, Type, is_non_null, nullable

TEXTS = ("", "a", "12", "-7", "1.5", "name", "RED", "é", "😀", '"\\/', "a\nb\t\x01\x7f", "x" * 80)
#: Integral, or with few digits: texts of floats are compared by value anyway.
FLOATS = (0.0, 0.5, -1.25, 2.0, 1e3, 123456.75, 1e21, 1e-7, 2147483648.0, 1.7976931348623157e308)
INTS = (0, 1, -1, 7, 2147483647, -2147483648, 2147483648, 2**53 + 1, 2**63, 2**70, -(2**64))


class Values:
    """Makes values for one schema; `chaos` is the chance of a wrong one."""

    def __init__(self, rng: random.Random, schema: Schema, chaos: float) -> None:
        self.rng = rng
        self.schema = schema
        self.chaos = chaos
        self.n_objects_left = 40

    def anything(self, depth: int = 2) -> Any:
        rng = self.rng
        way = rng.randrange(8 if depth > 0 else 6)
        if way == 0:
            return None
        if way == 1:
            return rng.random() < 0.5
        if way == 2:
            return rng.choice(INTS)
        if way == 3:
            return rng.choice(FLOATS)
        if way in (4, 5):
            return rng.choice(TEXTS)
        if way == 6:
            return [self.anything(depth - 1) for _ in range(rng.randint(0, 3))]
        names = rng.sample(("id", "name", "é", "a b", "__typename", "where"), rng.randint(0, 3))
        return {name: self.anything(depth - 1) for name in names}

    def wrong(self) -> bool:
        return self.chaos > 0 and self.rng.random() < self.chaos

    # -- data, for output types --------------------------------------------

    def data(self, type_: Type, depth: int = 5) -> Any:
        """Return what an event might have in the place of a field."""
        rng = self.rng
        if self.wrong():
            return self.anything()
        if is_non_null(type_):
            return self.data_value(nullable(type_), depth)
        if rng.random() < 0.1 or depth <= 0 or self.n_objects_left < 0:
            return None
        return self.data_value(type_, depth)

    def data_value(self, type_: Type, depth: int) -> Any:
        rng, schema = self.rng, self.schema
        if not isinstance(type_, str):
            n_items = rng.randint(0, 3) if depth > 0 else 0
            return [self.data(type_[1], depth - 1) for _ in range(n_items)]
        if type_ in schema.enums:
            return rng.choice(schema.enums[type_])
        if type_ in schema.composite_names():
            return self.data_object(type_, depth)
        return self.leaf(type_)

    def leaf(self, name: str) -> Any:
        rng = self.rng
        loosely = rng.random() < 0.2  # what output coercion takes, too
        if name == "Int":
            return rng.choice((True, 3.0, "12", "-1")) if loosely else rng.randint(-9, 99)
        if name == "Float":
            return rng.choice((True, 3, "1.5", 2**53)) if loosely else rng.choice(FLOATS)
        if name == "Boolean":
            return rng.choice((0, 1, 2.5)) if loosely else rng.random() < 0.5
        if name == "ID":
            return rng.choice((5, 2**70, 3.0)) if loosely else rng.choice(TEXTS)
        if name == "String":
            return rng.choice((5, 1.5, True, 2**70, 100.0)) if loosely else rng.choice(TEXTS)
        return self.anything()

    def data_object(self, name: str, depth: int) -> Any:
        rng, schema = self.rng, self.schema
        possible = schema.possible(name)
        self.n_objects_left -= 1
        if not possible or depth < -3 or self.n_objects_left < -40:
            return None
        runtime = rng.choice(possible)
        value: dict[str, Any] = {}
        if name not in schema.objects or rng.random() < 0.2:
            value["__typename"] = runtime
            if self.wrong():
                value["__typename"] = rng.choice((*schema.composite_names(), "Nobody", 5, None))
        for field, definition in schema.objects[runtime].fields.items():
            needed = is_non_null(definition.type)
            if self.wrong() or (not needed and (depth <= 0 or rng.random() < 0.1)):
                continue
            value[field] = self.data(definition.type, depth - 1)
        if rng.random() < 0.1:
            value["other"] = self.anything()
        return value

    # -- variables, for input types ----------------------------------------

    def input(self, type_: Type, depth: int = 3) -> Any:
        if self.wrong():
            return self.anything()
        if is_non_null(type_):
            return self.input_value(nullable(type_), depth)
        return None if self.rng.random() < 0.1 else self.input_value(type_, depth)

    def input_value(self, type_: Type, depth: int) -> Any:
        rng, schema = self.rng, self.schema
        if not isinstance(type_, str):
            if rng.random() < 0.2:
                return self.input_value(nullable(type_[1]), depth)
            return [self.input(type_[1], depth - 1) for _ in range(rng.randint(0, 2))]
        if type_ in schema.enums:
            return rng.choice(schema.enums[type_])
        if type_ in schema.inputs:
            return self.input_object(type_, depth)
        if type_ == "Int":
            return rng.choice((0, 1, -5, 2147483647, 3.0))
        if type_ == "Float":
            return rng.choice((0, 1.5, -2.25, 1e10, 7))
        if type_ == "Boolean":
            return rng.random() < 0.5
        if type_ == "ID":
            return rng.choice((*TEXTS, 5, 2**70))
        if type_ == "String":
            return rng.choice(TEXTS)
        return self.anything()

    def input_object(self, name: str, depth: int) -> Any:
        rng = self.rng
        input_ = self.schema.inputs[name]
        if input_.is_one_of:
            field = rng.choice(list(input_.fields))
            value = {field: self.input_value(nullable(input_.fields[field].type), depth - 1)}
        else:
            value = {}
            for field, definition in input_.fields.items():
                wanted = definition.is_required or (depth > 0 and rng.random() < 0.5)
                if wanted != self.wrong():
                    value[field] = self.input(definition.type, depth - 1)
        if self.wrong():
            value[rng.choice(("id", "limt", "nobody"))] = self.anything(1)
        return value
