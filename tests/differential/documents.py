# SPDX-License-Identifier: MIT
"""Random executable documents for a schema, valid unless `chaos` strikes."""

from __future__ import annotations

import dataclasses
import random

from differential.schemas import (
    ARG_NAMES,
    BUILTIN,
    FIELD_NAMES,
    TYPE_NAMES,
    Arg,
    Literals,
    Schema,
    Type,
    is_non_null,
    named,
    nullable,
    type_text,
)
from differential.text import Tokens

ALIASES = ("a", "b", "c", "id", "name")


@dataclasses.dataclass
class Variable:
    type: Type
    default: Tokens | None


@dataclasses.dataclass
class Scope:
    """What an operation or a fragment uses."""

    variables: list[str] = dataclasses.field(default_factory=list)
    spreads: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Document:
    tokens: Tokens
    operations: list[str | None]
    """Their names."""

    variables: dict[str, Variable]
    """All that any operation defines."""


class DocumentMaker:
    def __init__(self, rng: random.Random, schema: Schema, chaos: float) -> None:
        self.rng = rng
        self.schema = schema
        self.chaos = chaos
        self.variables: dict[str, Variable] = {}
        self.fragments: dict[str, tuple[Scope, Tokens]] = {}
        self.fragment_types: dict[str, str] = {}
        self.n_aliases = 0
        self.budget = rng.choice((4, 12, 30))
        self.literals = Literals(rng, schema, chaos)
        #: How often a field takes one of few aliases, so that fields meet.
        self.clashes = rng.choice((0.02, 0.02, 0.02, 0.3))

    def wrong(self) -> bool:
        return self.chaos > 0 and self.rng.random() < self.chaos

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def make(self) -> Document:
        rng = self.rng
        n_operations = 2 if self.chance(0.12) else 1
        bodies: list[tuple[str, str | None, Scope, Tokens]] = []
        kinds = list(self.schema.roots) or ["query"]
        for i in range(n_operations):
            kind = "subscription" if "subscription" in kinds and self.chance(0.8) else ""
            kind = kind or rng.choice(kinds)
            if self.wrong():
                kind = rng.choice(("query", "mutation", "subscription"))
            name = rng.choice((None, "Op")) if n_operations == 1 else f"Op{i}"
            if self.wrong():
                name = rng.choice((None, "Op0"))
            scope = Scope()
            bodies.append((kind, name, scope, self.root(kind, scope)))
        parts = [self.operation(*body) for body in bodies]
        for name, (_, tokens) in self.fragments.items():
            if not self.wrong():
                parts.append(tokens)
            if self.wrong():
                parts.append(tokens)
            self.fragment_types.pop(name, None)
        if self.wrong():
            unused = ["fragment", "Unused", "on", rng.choice((*TYPE_NAMES, *self.schema.objects))]
            parts.append([*unused, "{", "__typename", "}"])
        if self.wrong() and self.chance(0.3):
            parts.append(rng.choice((["type", "T", "{", "a", ":", "Int", "}"], ["scalar", "S"])))
        if self.chance(0.2):
            rng.shuffle(parts)
        tokens = [token for part in parts for token in part]
        return Document(tokens, [name for _, name, _, _ in bodies], self.variables)

    # -- definitions -------------------------------------------------------

    def operation(self, kind: str, name: str | None, scope: Scope, body: Tokens) -> Tokens:
        if kind == "query" and name is None and not self.used_variables(scope) and self.chance(0.5):
            return body
        tokens = ['"about"'] if self.chance(0.03) else []
        tokens += [kind, *([name] if name is not None else [])]
        definitions: Tokens = []
        used = self.used_variables(scope)
        if self.wrong():
            used = [*used, "unused"][: self.rng.randint(0, len(used) + 1)]
        if self.wrong() and used:
            used.append(self.rng.choice(used))
        for variable in used:
            definitions += self.definition(variable)
        if definitions:
            tokens += ["(", *definitions, ")"]
        location = kind.upper()
        return [*tokens, *self.directives(location, scope), *body]

    def used_variables(self, scope: Scope) -> list[str]:
        """Return the variables an operation uses, itself or through fragments."""
        found: dict[str, None] = {}
        seen: set[str] = set()
        todo = [scope]
        while todo:
            scope = todo.pop(0)
            found.update(dict.fromkeys(scope.variables))
            for spread in scope.spreads:
                if spread not in seen and spread in self.fragments:
                    seen.add(spread)
                    todo.append(self.fragments[spread][0])
        return list(found)

    def definition(self, name: str) -> Tokens:
        variable = self.variables.setdefault(name, Variable("Int", None))
        tokens = ["$", name, ":", type_text(variable.type)]
        if variable.default is not None:
            tokens += ["=", *variable.default]
        return [*tokens, *self.directives("VARIABLE_DEFINITION", None)]

    def fragment(self, type_: str, depth: int) -> str:
        """Return the name of a fragment on a type, a new one or one there is."""
        fitting = [name for name, on in self.fragment_types.items() if on == type_]
        if fitting and self.chance(0.4):
            return self.rng.choice(fitting)
        name = f"F{len(self.fragments)}"
        if self.wrong():
            name = self.rng.choice(("F0", "F1", "on", "Fx"))
        scope = Scope()
        self.fragments[name] = (scope, [])
        if self.wrong():  # makes a cycle possible
            self.fragment_types[name] = type_
        body = self.selection_set(type_, depth, scope)
        directives = self.directives("FRAGMENT_DEFINITION", scope)
        about = ['"""about"""'] if self.chance(0.03) else []
        tokens = [*about, "fragment", name, "on", type_, *directives, *body]
        self.fragments[name] = (scope, tokens)
        self.fragment_types[name] = type_
        return name

    # -- selections --------------------------------------------------------

    def root(self, kind: str, scope: Scope) -> Tokens:
        type_ = self.schema.roots.get(kind)
        if type_ not in self.schema.objects:
            return ["{", self.rng.choice(FIELD_NAMES), "}"]
        if kind != "subscription":
            return self.selection_set(type_, 4, scope)
        field = self.rng.choice(list(self.schema.objects[type_].fields))
        tokens = self.field(type_, field, 4, scope, is_root=True)
        if self.wrong():
            tokens = [*tokens, *self.selection_set(type_, 1, scope)[1:-1]]
        if self.chance(0.1):
            name = f"R{len(self.fragments)}"
            inner = Scope(scope.variables, scope.spreads)
            body = ["fragment", name, "on", type_, "{", *tokens, "}"]
            self.fragments[name] = (inner, body)
            tokens = ["...", name]
            scope.variables, scope.spreads = [], [name]
        elif self.chance(0.1):
            condition = ["on", type_] if self.chance(0.5) else []
            tokens = ["...", *condition, "{", *tokens, "}"]
        if self.wrong():
            extra = ["@", "skip", "(", "if:", "false", ")"]
            tokens = [*tokens[:1], *extra, *tokens[1:]]
        return ["{", *tokens, "}"]

    def selection_set(self, type_: str, depth: int, scope: Scope) -> Tokens:
        tokens: Tokens = []
        for _ in range(self.rng.choice((1, 2, 2, 3, 4))):
            if not tokens or self.budget > 0:
                self.budget -= 1
                tokens += self.selection(type_, depth, scope)
        if not tokens and not self.wrong():
            tokens = ["__typename"]
        return ["{", *tokens, "}"]

    def selection(self, type_: str, depth: int, scope: Scope) -> Tokens:
        rng = self.rng
        way = rng.random()
        if way < 0.1 and depth > 0:
            name = self.fragment(self.condition(type_), depth - 1)
            scope.spreads.append(name)
            if self.wrong():
                name = rng.choice(("Nowhere", "F0", "F9"))
            return ["...", name, *self.directives("FRAGMENT_SPREAD", scope)]
        if way < 0.25 and depth > 0:
            condition = self.condition(type_)
            on = ["on", condition] if condition != type_ or self.chance(0.7) else []
            directives = self.directives("INLINE_FRAGMENT", scope)
            return ["...", *on, *directives, *self.selection_set(condition, depth - 1, scope)]
        if way < 0.32:
            return [*self.alias(False), "__typename", *self.directives("FIELD", scope)]
        composite = self.schema.composite(type_)
        names = list(composite.fields) if composite is not None else []
        if self.wrong():
            names = [*FIELD_NAMES, "nme", "ids", "__schema"]
        if not names:
            return ["__typename"]
        return self.field(type_, rng.choice(names), depth, scope)

    def condition(self, type_: str) -> str:
        """Return a type a fragment within another type may be on."""
        schema, rng = self.schema, self.rng
        if self.wrong():
            return rng.choice((*TYPE_NAMES, *BUILTIN, *schema.inputs, *schema.enums))
        possible = set(schema.possible(type_))
        fitting = [n for n in schema.composite_names() if possible & set(schema.possible(n))]
        return rng.choice(fitting) if fitting and self.chance(0.7) else type_

    def alias(self, has_args: bool) -> Tokens:
        if self.wrong() or self.chance(self.clashes):
            return [self.rng.choice(ALIASES), ":"]
        if has_args or self.chance(0.15):
            self.n_aliases += 1
            return [f"x{self.n_aliases}", ":"]
        return []

    def field(
        self, type_: str, name: str, depth: int, scope: Scope, is_root: bool = False
    ) -> Tokens:
        composite = self.schema.composite(type_)
        field = composite.fields.get(name) if composite is not None else None
        args = self.args(field.args if field is not None else {}, scope)
        tokens = [*self.alias(bool(args)), name, *args]
        if not is_root or self.wrong():
            tokens += self.directives("FIELD", scope)
        target = named(field.type) if field is not None else "String"
        has_selection = target in self.schema.composite_names()
        if has_selection != self.wrong():
            if depth <= 0 and has_selection:
                return [*tokens, "{", "__typename", "}"]
            tokens += self.selection_set(target, depth - 1, scope)
        return tokens

    # -- arguments ---------------------------------------------------------

    def args(self, args: dict[str, Arg], scope: Scope | None) -> Tokens:
        tokens: Tokens = []
        for name, arg in args.items():
            wanted = arg.is_required or self.chance(0.4)
            if wanted != self.wrong():
                tokens += [name, ":", *self.value(arg.type, arg.default is not None, scope)]
                if self.wrong():
                    tokens += [name, ":", *self.literals.anything(1)]
        if self.wrong():
            tokens += [self.rng.choice((*ARG_NAMES, "frst")), ":", *self.literals.anything(1)]
        return ["(", *tokens, ")"] if tokens else []

    def value(self, type_: Type, has_default: bool, scope: Scope | None) -> Tokens:
        """Return a literal of a type or, inside of an operation, a variable."""
        if scope is None or not self.chance(0.3):
            return self.literals.make(type_, 3)
        if self.wrong():
            name = self.rng.choice(("v0", "v1", "missing"))
            scope.variables += [name] if self.chance(0.5) else []
            return ["$", name]
        fitting = [name for name, v in self.variables.items() if v.type == type_]
        if fitting and self.chance(0.3):
            name = self.rng.choice(fitting)
        else:
            name = f"v{len(self.variables)}"
            self.variables[name] = self.new_variable(type_, has_default)
        scope.variables.append(name)
        if isinstance(nullable(type_), str) and named(type_) in self.schema.scalars:
            return self.rng.choice((["$", name], ["{", "k", ":", "$", name, "}"]))
        return ["$", name]

    def new_variable(self, type_: Type, has_default: bool) -> Variable:
        if self.wrong():
            type_ = self.rng.choice((*BUILTIN, *self.schema.objects, "Unknown"))
        default: Tokens | None = None
        if is_non_null(type_):
            if self.chance(0.2):
                default = self.literals.make(type_, 2)
                type_ = nullable(type_) if self.chance(0.6) else type_
            elif has_default and self.chance(0.5):
                type_ = nullable(type_)
        elif self.chance(0.3):
            type_ = ("!", type_)
        if default is None and self.chance(0.25):
            default = self.literals.make(type_, 2)
        return Variable(type_, default)

    def directives(self, location: str, scope: Scope | None) -> Tokens:
        tokens: Tokens = []
        skippable = location in ("FIELD", "FRAGMENT_SPREAD", "INLINE_FRAGMENT")
        if skippable and self.chance(0.12):
            tokens += ["@", self.rng.choice(("skip", "include")), "(", "if", ":"]
            tokens += [*self.value(("!", "Boolean"), False, scope), ")"]
        for name, directive in self.schema.directives.items():
            if (location in directive.locations) == self.wrong() or not self.chance(0.15):
                continue
            for _ in range(2 if directive.is_repeatable and self.chance(0.3) else 1):
                tokens += ["@", name, *self.args(directive.args, scope)]
        if self.wrong() and self.chance(0.5):
            tokens += ["@", self.rng.choice(("skip", "include", "lg", "deprecated", "oneOf"))]
        return tokens
