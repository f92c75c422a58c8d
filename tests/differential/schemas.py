# SPDX-License-Identifier: MIT
"""Random schemas: a small model, its SDL, and with some `chaos` faults in it."""

from __future__ import annotations

import dataclasses
import random
from typing import TypeAlias

from differential.text import Tokens

#: A name, or a wrapper around another type.
Type: TypeAlias = "str | tuple[str, Type]"

BUILTIN = ("Int", "Float", "String", "Boolean", "ID")

#: Close to each other, so that a wrong name has suggestions.
TYPE_NAMES = (
    *("User", "Users", "Order", "Orders", "Item", "Node", "Price", "Status", "Money"),
    *("Region", "Tag", "Tags", "Event", "Meta", "Account", "Entity", "Named", "Owned"),
)
FIELD_NAMES = (
    *("id", "name", "names", "nam", "title", "total", "price", "prices", "status", "items"),
    *("item", "owner", "owners", "tags", "node", "kind", "note", "count", "value", "parent"),
)
ARG_NAMES = ("id", "first", "after", "filter", "by", "limit", "limits", "where", "kind", "at")
ENUM_VALUES = ("RED", "GREEN", "BLUE", "OPEN", "CLOSED", "REDS", "PAID", "on", "type", "A1")

EXECUTABLE_LOCATIONS = (
    *("QUERY", "MUTATION", "SUBSCRIPTION", "FIELD", "FRAGMENT_DEFINITION"),
    *("FRAGMENT_SPREAD", "INLINE_FRAGMENT", "VARIABLE_DEFINITION"),
)
TYPE_SYSTEM_LOCATIONS = (
    *("SCHEMA", "SCALAR", "OBJECT", "FIELD_DEFINITION", "ARGUMENT_DEFINITION", "INTERFACE"),
    *("UNION", "ENUM", "ENUM_VALUE", "INPUT_OBJECT", "INPUT_FIELD_DEFINITION"),
)

STRINGS = (
    '""',
    '"a"',
    '"12"',
    '"name"',
    '"RED"',
    '"é😀"',
    '"\\u00e9 \\u{1F600} \\uD83D\\uDE00"',
    '"\\" \\\\ \\/ \\b\\f\\n\\r\\t"',
    '"""block"""',
    '"""\n    two\n      lines\n  """',
    '"""say \\""" twice"""',
)


@dataclasses.dataclass
class Arg:
    type: Type
    default: Tokens | None = None

    @property
    def is_required(self) -> bool:
        return is_non_null(self.type) and self.default is None


@dataclasses.dataclass
class Field:
    type: Type
    args: dict[str, Arg]


@dataclasses.dataclass
class Composite:
    """An object or an interface."""

    fields: dict[str, Field]
    implements: list[str]


@dataclasses.dataclass
class Input:
    fields: dict[str, Arg]
    is_one_of: bool


@dataclasses.dataclass
class Directive:
    args: dict[str, Arg]
    locations: list[str]
    is_repeatable: bool


@dataclasses.dataclass
class Schema:
    scalars: list[str] = dataclasses.field(default_factory=list)
    enums: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    inputs: dict[str, Input] = dataclasses.field(default_factory=dict)
    interfaces: dict[str, Composite] = dataclasses.field(default_factory=dict)
    objects: dict[str, Composite] = dataclasses.field(default_factory=dict)
    unions: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    directives: dict[str, Directive] = dataclasses.field(default_factory=dict)
    roots: dict[str, str] = dataclasses.field(default_factory=dict)

    def composite(self, name: str) -> Composite | None:
        return self.objects.get(name) or self.interfaces.get(name)

    def composite_names(self) -> list[str]:
        return [*self.objects, *self.interfaces, *self.unions]

    def possible(self, name: str) -> list[str]:
        """Return the objects a value of a composite type can be."""
        if name in self.objects:
            return [name]
        if name in self.unions:
            return [member for member in self.unions[name] if member in self.objects]
        return [key for key, value in self.objects.items() if name in value.implements]


def named(type_: Type) -> str:
    while not isinstance(type_, str):
        type_ = type_[1]
    return type_


def is_non_null(type_: Type) -> bool:
    return type_[0] == "!"


def nullable(type_: Type) -> Type:
    return type_[1] if is_non_null(type_) else type_


def type_text(type_: Type) -> str:
    if isinstance(type_, str):
        return type_
    inner = type_text(type_[1])
    return f"{inner}!" if type_[0] == "!" else f"[{inner}]"


class SchemaMaker:
    """Makes one schema; `chaos` is the chance that a decision goes wrong."""

    def __init__(self, rng: random.Random, chaos: float) -> None:
        self.rng = rng
        self.chaos = chaos
        self.schema = Schema()
        self.literals = Literals(rng, self.schema, chaos)

    def wrong(self) -> bool:
        return self.chaos > 0 and self.rng.random() < self.chaos

    def make(self) -> Schema:
        rng, schema = self.rng, self.schema
        names = list(TYPE_NAMES)
        rng.shuffle(names)
        schema.scalars = [names.pop() for _ in range(rng.randint(0, 2))]
        for _ in range(rng.randint(0, 2)):
            schema.enums[names.pop()] = rng.sample(ENUM_VALUES, rng.randint(1, 4))
        interfaces = [names.pop() for _ in range(rng.randint(0, 2))]
        objects = [names.pop() for _ in range(rng.randint(1, 4))]
        unions = [names.pop() for _ in range(rng.randint(0, 2))]
        self.outputs = [*interfaces, *objects, *unions]
        for _ in range(rng.randint(0, 3)):
            self.add_input(names.pop())
        for name in interfaces:
            self.add_composite(name, schema.interfaces)
        for name in objects:
            self.add_composite(name, schema.objects)
        for name in unions:
            schema.unions[name] = rng.sample(objects, rng.randint(1, len(objects)))
            if self.wrong():
                schema.unions[name].append(rng.choice([*names, *interfaces, *objects, "Int"]))
        self.add_roots(objects)
        for name in rng.sample(("log", "cost", "trace"), rng.randint(0, 2)):
            self.add_directive(name)
        return schema

    def wrap(self, type_: Type) -> Type:
        way = self.rng.random()
        if way < 0.45:
            return type_
        if way < 0.7:
            # Data of non-null objects would have to be endless.
            return type_ if type_ in self.outputs and way < 0.62 else ("!", type_)
        return self.wrap(("[]", type_)) if self.rng.random() < 0.3 else self.list_of(type_)

    def list_of(self, type_: Type) -> Type:
        inner: Type = ("!", type_) if self.rng.random() < 0.4 else type_
        outer: Type = ("[]", inner)
        return ("!", outer) if self.rng.random() < 0.3 else outer

    def input_type(self) -> Type:
        schema = self.schema
        choice = [*BUILTIN, *schema.scalars, *schema.enums, *schema.inputs]
        if self.wrong():
            choice = [*self.outputs, "Unknown", "Itm"]
        return self.wrap(self.rng.choice(choice))

    def output_type(self) -> Type:
        schema, rng = self.schema, self.rng
        leaves = [*BUILTIN, *schema.scalars, *schema.enums]
        choice = leaves if rng.random() < 0.5 else self.outputs
        if self.wrong():
            choice = [*schema.inputs, "Unknown", "Ordr"]
        return self.wrap(rng.choice(choice))

    def arg(self) -> Arg:
        type_ = self.input_type()
        if self.rng.random() < 0.35:
            return Arg(type_, self.literals.make(type_, 3))
        return Arg(type_)

    def args(self) -> dict[str, Arg]:
        if self.rng.random() < 0.65:
            return {}
        return {name: self.arg() for name in self.rng.sample(ARG_NAMES, self.rng.randint(1, 3))}

    def add_input(self, name: str) -> None:
        fields: dict[str, Arg] = {}
        is_one_of = self.rng.random() < 0.2
        for field in self.rng.sample(ARG_NAMES, self.rng.randint(1, 4)):
            fields[field] = self.arg()
            if is_one_of and not self.wrong():
                fields[field] = Arg(nullable(fields[field].type))
        if self.rng.random() < 0.2:
            fields["self"] = Arg(("!", name) if self.wrong() else name)
        self.schema.inputs[name] = Input(fields, is_one_of)

    def add_composite(self, name: str, where: dict[str, Composite]) -> None:
        rng, schema = self.rng, self.schema
        chosen = rng.sample(FIELD_NAMES, rng.randint(1, 6))
        fields = {field: Field(self.output_type(), self.args()) for field in chosen}
        implements: list[str] = []
        inherited: set[str] = set()
        for interface, value in schema.interfaces.items():
            # Two interfaces may want different things of one field.
            clash = inherited & value.fields.keys() and not set(implements) & set(value.implements)
            if rng.random() < 0.5 and (not clash or self.wrong()):
                self.implement(interface, fields, implements)
                inherited |= value.fields.keys()
        if self.wrong():
            implements.append(rng.choice([name, "Unknown", *self.outputs]))
        where[name] = Composite(fields, implements)

    def implement(self, name: str, fields: dict[str, Field], implements: list[str]) -> None:
        """Add an interface, the ones it implements, and what they want."""
        if name in implements:
            return
        interface = self.schema.interfaces[name]
        implements.append(name)
        for parent in interface.implements:
            if parent in self.schema.interfaces and not self.wrong():
                self.implement(parent, fields, implements)
        for field, wanted in interface.fields.items():
            if self.wrong():
                continue
            args = dict(wanted.args)
            if self.rng.random() < 0.15:
                args["extra"] = Arg("Int")
            type_ = wanted.type
            if not is_non_null(type_) and self.rng.random() < 0.2:
                type_ = ("!", type_)
            if self.wrong():
                type_ = self.output_type()
            fields[field] = Field(type_, args)

    def add_roots(self, objects: list[str]) -> None:
        rng, schema = self.rng, self.schema
        names = ("Query", "Mutation", "Subscription")
        if rng.random() < 0.2:
            names = ("Root", "Mutator", "Feed")
        kinds = ["query", "subscription"] + (["mutation"] if rng.random() < 0.3 else [])
        if self.wrong():
            kinds.remove("query")
        for kind, name in zip(("query", "mutation", "subscription"), names, strict=True):
            if kind not in kinds:
                continue
            fields = rng.sample(FIELD_NAMES, rng.randint(1, 3))
            schema.objects[name] = Composite({}, [])
            schema.roots[kind] = name
            for field in fields:
                type_ = self.output_type()
                if kind == "subscription" and rng.random() < 0.7:
                    type_ = rng.choice(self.outputs)
                    type_ = ("!", type_) if rng.random() < 0.3 else type_
                schema.objects[name].fields[field] = Field(type_, self.args())
        if self.wrong():
            schema.roots["mutation"] = rng.choice([*schema.scalars, *objects, "Missing"])

    def add_directive(self, name: str) -> None:
        rng = self.rng
        locations = rng.sample(EXECUTABLE_LOCATIONS, rng.randint(1, 6))
        if rng.random() < 0.3:
            locations += rng.sample(TYPE_SYSTEM_LOCATIONS, rng.randint(1, 4))
        self.schema.directives[name] = Directive(self.args(), locations, rng.random() < 0.3)


class Literals:
    """Makes literals of input types."""

    def __init__(self, rng: random.Random, schema: Schema, chaos: float) -> None:
        self.rng = rng
        self.schema = schema
        self.chaos = chaos

    def make(self, type_: Type, depth: int) -> Tokens:
        rng = self.rng
        if self.chaos > 0 and rng.random() < self.chaos:
            return self.anything(2)
        if is_non_null(type_):
            return self.make_value(nullable(type_), depth)
        return ["null"] if rng.random() < 0.1 else self.make_value(type_, depth)

    def make_value(self, type_: Type, depth: int) -> Tokens:
        """Return a literal other than null."""
        rng, schema = self.rng, self.schema
        if not isinstance(type_, str):
            if rng.random() < 0.2:  # a list takes a single item
                return self.make_value(nullable(type_[1]), depth)
            items = [self.make(type_[1], depth - 1) for _ in range(rng.randint(0, 2))]
            return ["[", *(token for item in items for token in item), "]"]
        if type_ in schema.enums:
            return [rng.choice(schema.enums[type_])]
        if type_ in schema.inputs:
            return self.make_object(schema.inputs[type_], depth)
        if type_ in BUILTIN:
            return [self.builtin(type_)]
        return self.anything(2)

    def builtin(self, name: str) -> str:
        rng = self.rng
        if name == "Int" or (name in ("Float", "ID") and rng.random() < 0.3):
            return rng.choice(("0", "-0", "1", "7", "-12", "2147483647", "-2147483648"))
        if name == "Float":
            return rng.choice(("0.5", "-1.25", "1e3", "1.5E-3", "1.0", "123456789.25", "1e300"))
        if name == "Boolean":
            return rng.choice(("true", "false"))
        return rng.choice(STRINGS)

    def make_object(self, input_: Input, depth: int) -> Tokens:
        rng = self.rng
        if input_.is_one_of:
            name = rng.choice(list(input_.fields))
            value = self.make_value(nullable(input_.fields[name].type), depth - 1)
            return ["{", name, ":", *value, "}"]
        tokens = ["{"]
        for name, field in input_.fields.items():
            wanted = field.is_required or (depth > 0 and rng.random() < 0.5)
            if self.chaos > 0 and rng.random() < self.chaos:
                wanted = not wanted
            if wanted:
                tokens += [name, ":", *self.make(field.type, depth - 1)]
        if self.chaos > 0 and rng.random() < self.chaos:
            tokens += [rng.choice(ARG_NAMES), ":", *self.anything(1)]
        return [*tokens, "}"]

    def anything(self, depth: int) -> Tokens:
        rng = self.rng
        way = rng.randrange(8 if depth > 0 else 6)
        if way == 0:
            return [rng.choice(("1", "-5", "0", "2147483648", "123456789012345678901234567890"))]
        if way == 1:
            return [rng.choice(("1.5", "-0.0", "1e10", "2.0", "1e400"))]
        if way == 2:
            return [rng.choice(STRINGS)]
        if way == 3:
            return [rng.choice(("true", "false", "null"))]
        if way == 4:
            return [rng.choice((*ENUM_VALUES, "UNKNOWN"))]
        if way == 5:
            return ["[]"]
        if way == 6:
            items = [self.anything(depth - 1) for _ in range(rng.randint(1, 3))]
            return ["[", *(token for item in items for token in item), "]"]
        names = rng.sample(ARG_NAMES, rng.randint(0, 2))
        return ["{", *(t for n in names for t in (n, ":", *self.anything(depth - 1))), "}"]


class SDLWriter:
    """Writes a schema as tokens, with descriptions, extensions and directives."""

    def __init__(self, rng: random.Random, schema: Schema, chaos: float) -> None:
        self.rng = rng
        self.schema = schema
        self.chaos = chaos

    def wrong(self) -> bool:
        return self.chaos > 0 and self.rng.random() < self.chaos

    def write(self) -> Tokens:
        schema, rng = self.schema, self.rng
        parts = [self.schema_definition()]
        parts += [self.scalar(name) for name in schema.scalars]
        parts += [self.enum(name, values) for name, values in schema.enums.items()]
        parts += [self.input(name, value) for name, value in schema.inputs.items()]
        parts += [self.composite("interface", n, value) for n, value in schema.interfaces.items()]
        parts += [self.composite("type", n, value) for n, value in schema.objects.items()]
        parts += [self.union(name, members) for name, members in schema.unions.items()]
        parts += [self.directive(name, value) for name, value in schema.directives.items()]
        if self.wrong():
            parts.append(rng.choice(parts))
        if rng.random() < 0.3:
            rng.shuffle(parts)
        return [token for part in parts for token in part]

    def description(self) -> Tokens:
        if self.rng.random() < 0.85:
            return []
        return [self.rng.choice(('"about"', '"""about\n  it"""', '"é\\n"'))]

    def directives(self, location: str) -> Tokens:
        """Return uses of the schema's own directives at a location."""
        tokens: Tokens = []
        literals = Literals(self.rng, self.schema, self.chaos)
        for name, directive in self.schema.directives.items():
            allowed = location in directive.locations or self.wrong()
            if not allowed or self.rng.random() > 0.3:
                continue
            tokens += ["@", name]
            args: Tokens = []
            for arg, definition in directive.args.items():
                if definition.is_required or self.rng.random() < 0.3:
                    args += [arg, ":", *literals.make(definition.type, 2)]
            tokens += ["(", *args, ")"] if args else []
        if self.wrong():
            tokens += ["@", self.rng.choice(("unknown", "deprecated", "skip", "lg"))]
        return tokens

    def deprecated(self) -> Tokens:
        way = self.rng.random()
        if way > 0.08:
            return []
        return ["@deprecated"] if way < 0.04 else ["@deprecated", "(", "reason:", '"old"', ")"]

    def schema_definition(self) -> Tokens:
        roots = self.schema.roots
        default = all(name == kind.capitalize() for kind, name in roots.items())
        if default and self.rng.random() < 0.8:
            return []
        fields = [token for kind, name in roots.items() for token in (kind, ":", name)]
        return [*self.description(), "schema", *self.directives("SCHEMA"), "{", *fields, "}"]

    def scalar(self, name: str) -> Tokens:
        tokens = [*self.description(), "scalar", name]
        if self.rng.random() < 0.2:
            tokens += ["@specifiedBy", "(", "url:", '"https://example.com"', ")"]
        return [*tokens, *self.directives("SCALAR")]

    def enum(self, name: str, values: list[str]) -> Tokens:
        def item(value: str) -> Tokens:
            deprecated = self.deprecated()
            return [*self.description(), value, *deprecated, *self.directives("ENUM_VALUE")]

        items = [item(value) for value in values]
        return self.split("enum", name, self.directives("ENUM"), [], items)

    def arg(self, name: str, arg: Arg, location: str) -> Tokens:
        tokens = [*self.description(), name, ":", type_text(arg.type)]
        if arg.default is not None:
            tokens += ["=", *arg.default]
        if not arg.is_required or self.wrong():
            tokens += self.deprecated()
        return [*tokens, *self.directives(location)]

    def args(self, args: dict[str, Arg]) -> Tokens:
        if not args:
            return []
        items = [self.arg(name, arg, "ARGUMENT_DEFINITION") for name, arg in args.items()]
        return ["(", *(token for item in items for token in item), ")"]

    def input(self, name: str, input_: Input) -> Tokens:
        items = [
            self.arg(field, arg, "INPUT_FIELD_DEFINITION") for field, arg in input_.fields.items()
        ]
        directives = self.directives("INPUT_OBJECT")
        if input_.is_one_of:
            directives = ["@oneOf", *directives]
        return self.split("input", name, directives, [], items)

    def composite(self, keyword: str, name: str, composite: Composite) -> Tokens:
        items = []
        for field, definition in composite.fields.items():
            item = [*self.description(), field, *self.args(definition.args), ":"]
            item.append(type_text(definition.type))
            if not composite.implements or self.wrong():
                item += self.deprecated()
            items.append([*item, *self.directives("FIELD_DEFINITION")])
        implements = composite.implements
        head: Tokens = []
        if implements:
            leading = ["&"] if self.rng.random() < 0.2 else []
            head = ["implements", *leading, *" & ".join(implements).split()]
        location = "OBJECT" if keyword == "type" else "INTERFACE"
        return self.split(keyword, name, self.directives(location), head, items)

    def union(self, name: str, members: list[str]) -> Tokens:
        leading = ["|"] if self.rng.random() < 0.2 else []
        names = " | ".join(members).split()
        return [
            *self.description(),
            "union",
            name,
            *self.directives("UNION"),
            "=",
            *leading,
            *names,
        ]

    def directive(self, name: str, directive: Directive) -> Tokens:
        repeatable = ["repeatable"] if directive.is_repeatable else []
        places = " | ".join(directive.locations).split()
        head = [*self.description(), "directive", "@", name, *self.args(directive.args)]
        return [*head, *repeatable, "on", *places]

    def split(
        self, keyword: str, name: str, directives: Tokens, head: Tokens, items: list[Tokens]
    ) -> Tokens:
        """Return a definition, sometimes with its last items in an extension."""
        n_first = len(items)
        if len(items) > 1 and self.rng.random() < 0.1:
            n_first = self.rng.randint(1, len(items) - 1)
        first = [token for item in items[:n_first] for token in item]
        rest = [token for item in items[n_first:] for token in item]
        tokens = [*self.description(), keyword, name, *head, *directives, "{", *first, "}"]
        if rest:
            tokens += ["extend", keyword, name, "{", *rest, "}"]
        return tokens
