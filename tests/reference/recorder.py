# SPDX-License-Identifier: MIT
"""A pytest plugin that turns the reference's own test suite into cases.

Run by record.py inside the reference's source tree. It wraps the functions
which that suite calls (parse, Lexer, validate, validate_sdl, build_schema,
extend_schema, validate_schema and the parsers of parts) and keeps, of every
call in a test that passed, its text and what the reference answers to it. A
call with options our API does not have is kept without them, its answer
being asked anew: `origin` is then "derived" in place of "asserted". So are
SDL documents which the suite shows to one rule: here all rules see them.

A case is one JSON object per line:

    {"kind": "parse", "document": str, "errors": [...]}
    {"kind": "tokens", "document": str, "tokens": [[kind, start, end, value], ...], "errors": [...]}
    {"kind": "schema", "sdl": str, "errors": [...]}
    {"kind": "validate", "sdl": str, "document": str, "rules": [name, ...] | None, "errors": [...]}

each with `test` (where it was met first) and `origin`. Errors are
`{"message", "locations"}`; rules are named without their `Rule` suffix, None
being the default set. Offsets of tokens count code points.
"""

from __future__ import annotations

import collections
import contextlib
import gc
import json
import os
import pathlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import graphql
import pytest
from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    Source,
    TokenKind,
    print_ast,
    print_schema,
)
from graphql.validation.specified_rules import specified_rules
from graphql.validation.validate import validate_sdl

#: The functions as they are, for asking.
original = {
    name: getattr(graphql, name)
    for name in (
        "Lexer",
        "build_ast_schema",
        "build_schema",
        "extend_schema",
        "parse",
        "parse_const_value",
        "parse_type",
        "parse_value",
        "validate",
        "validate_schema",
    )
}
original["validate_sdl"] = validate_sdl

Errors = list[dict[str, Any]]


def formatted(errors: list[GraphQLError]) -> Errors:
    """Return errors as our API shows them."""
    names = ("message", "locations")
    return [{n: e.formatted[n] for n in names if n in e.formatted} for e in errors]


def ask_parse(text: str) -> tuple[DocumentNode | None, Errors]:
    """Parse with the one decided difference: an empty selection set is an error."""
    try:
        return original["parse"](text, allow_empty_selection_sets=False), []
    except GraphQLSyntaxError as error:
        return None, formatted([error])


def ask_tokens(text: str) -> tuple[list[list[Any]], Errors]:
    """Return all tokens of a text but comments, up to its end or first error."""
    lexer = original["Lexer"](Source(text))
    tokens: list[list[Any]] = []
    try:
        while True:
            token = lexer.advance()
            tokens.append([token.kind.value, token.start, token.end, token.value])
            if token.kind == TokenKind.EOF:
                return tokens, []
    except GraphQLSyntaxError as error:
        return tokens, formatted([error])


def ask_schema(sdl: str) -> tuple[GraphQLSchema | None, Errors]:
    """Build and check a schema; the errors are those of the first step that has any."""
    document, errors = ask_parse(sdl)
    if document is None:
        return None, errors
    if errors := formatted(original["validate_sdl"](document)):
        return None, errors
    schema = original["build_ast_schema"](document, assume_valid_sdl=True)
    errors = formatted(original["validate_schema"](schema))
    return (None if errors else schema), errors


def rule_names(rules: Any) -> list[str] | None:
    """Return the names of rules, None for the default set; ValueError for others."""
    if rules is None or tuple(rules) == specified_rules:
        return None
    if not set(rules) <= set(specified_rules):
        raise ValueError("a rule outside of the default set")
    return [rule.__name__.removesuffix("Rule") for rule in rules]


class Recorder:
    """Collects cases; those of a test are kept once it has passed."""

    def __init__(self) -> None:
        self.cases: dict[str, dict[str, Any]] = {}
        self.pending: list[Callable[[], None]] = []
        self.left_out: collections.Counter[str] = collections.Counter()
        self.sdl_of: dict[int, tuple[GraphQLSchema, str]] = {}
        self.is_asking = False
        self.test = ""

    # -- what happened -----------------------------------------------------

    def later(self, work: Callable[[], None]) -> None:
        self.pending.append(work)

    def keep(self) -> None:
        """Ask for the answers to all that is pending."""
        pending, self.pending = self.pending, []
        with self.asking():
            for work in pending:
                try:
                    work()
                except ValueError as reason:
                    self.left_out[str(reason)] += 1

    def drop(self) -> None:
        self.pending.clear()

    @contextlib.contextmanager
    def asking(self) -> Iterator[None]:
        """What the reference calls within itself is no case."""
        before, self.is_asking = self.is_asking, True
        try:
            yield
        finally:
            self.is_asking = before

    def add(self, kind: str, origin: str, **members: Any) -> None:
        texts = [members[name] for name in ("sdl", "document") if name in members]
        for text in texts:
            try:
                text.encode()
            except UnicodeEncodeError:
                raise ValueError("a text that is not UTF-8 (lone surrogate)") from None
        key = json.dumps([kind, *texts, members.get("rules")])
        case = {"kind": kind, **members, "test": self.test, "origin": origin}
        known = self.cases.setdefault(key, case)
        if origin == "asserted":
            known["origin"] = origin

    # -- one kind of case each ---------------------------------------------

    def add_parse(self, text: str, origin: str) -> None:
        _, errors = ask_parse(text)
        self.add("parse", origin, document=text, errors=errors)

    def add_tokens(self, text: str) -> None:
        tokens, errors = ask_tokens(text)
        self.add("tokens", "asserted", document=text, tokens=tokens, errors=errors)

    def add_schema(self, sdl: str, origin: str) -> None:
        try:
            _, errors = ask_schema(sdl)
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"a schema the reference fails on ({type(error).__name__})") from None
        self.add("schema", origin, sdl=sdl, errors=errors)

    def add_validate(self, sdl: str, text: str, rules: Any, origin: str) -> None:
        names = rule_names(rules)
        document, _ = ask_parse(text)
        if document is None:
            raise ValueError("a document of experimental syntax or with empty selection sets")
        schema, errors = ask_schema(sdl)
        if schema is None:
            raise ValueError("a document for an invalid schema")
        errors = formatted(original["validate"](schema, document, rules))
        self.add("validate", origin, sdl=sdl, document=text, rules=names, errors=errors)

    # -- objects back to text ----------------------------------------------

    def remember(self, schema: GraphQLSchema, sdl: str) -> None:
        self.sdl_of[id(schema)] = (schema, sdl)

    def sdl(self, schema: GraphQLSchema) -> str:
        """Return the text a schema came from, or one that means the same."""
        if id(schema) in self.sdl_of:
            return self.sdl_of[id(schema)][1]
        try:
            text = print_schema(schema)
            again = print_schema(original["build_schema"](text, assume_valid=True))
        except Exception:
            raise ValueError("a schema that cannot be written as SDL") from None
        if again != text:
            raise ValueError("a schema that cannot be written as SDL")
        self.remember(schema, text)
        return text


def text_of(document: DocumentNode) -> str:
    """Return the text of a document, printed where it did not come from one."""
    if document.loc is not None:
        body = document.loc.source.body
        with contextlib.suppress(GraphQLError):
            if original["parse"](body, experimental_fragment_arguments=True) == document:
                return body
    try:
        return print_ast(document)
    except Exception:
        raise ValueError("a document that cannot be printed") from None


def body_of(source: str | Source) -> str:
    return source.body if isinstance(source, Source) else source


recorder = Recorder()


def origin_of(options: dict[str, Any]) -> str:
    plain = all(not value for name, value in options.items() if name != "no_location")
    return "asserted" if plain else "derived"


def recording_parse(source: Any, *args: Any, **options: Any) -> Any:
    if not recorder.is_asking:
        origin = "derived" if args else origin_of(options)
        recorder.later(lambda: recorder.add_parse(body_of(source), origin))
    return original["parse"](source, *args, **options)


def recording_part(name: str, before: str, after: str) -> Callable[..., Any]:
    """Wrap the parser of a part; the case is a document that holds the part."""

    def parse_part(source: Any, *args: Any, **options: Any) -> Any:
        if not recorder.is_asking:
            text = f"{before}{body_of(source)}{after}"
            recorder.later(lambda: recorder.add_parse(text, "derived"))
        return original[name](source, *args, **options)

    return parse_part


class RecordingLexer(original["Lexer"]):  # type: ignore[misc]
    def __init__(self, source: Source) -> None:
        if not recorder.is_asking:
            recorder.later(lambda: recorder.add_tokens(source.body))
        super().__init__(source)


def recording_build_schema(source: Any, *args: Any, **options: Any) -> Any:
    if recorder.is_asking:
        return original["build_schema"](source, *args, **options)
    origin = "derived" if args else origin_of(options)
    recorder.later(lambda: recorder.add_schema(body_of(source), origin))
    with recorder.asking():
        schema = original["build_schema"](source, *args, **options)
    recorder.remember(schema, body_of(source))
    return schema


def recording_build_ast_schema(document: Any, *args: Any, **options: Any) -> Any:
    if recorder.is_asking:
        return original["build_ast_schema"](document, *args, **options)
    origin = "derived" if args else origin_of(options)
    recorder.later(lambda: recorder.add_schema(text_of(document), origin))
    with recorder.asking():
        schema = original["build_ast_schema"](document, *args, **options)
        with contextlib.suppress(ValueError):
            recorder.remember(schema, text_of(document))
    return schema


def recording_extend_schema(schema: Any, document: Any, *args: Any, **options: Any) -> Any:
    """The case is one SDL with the extension at its end."""
    if recorder.is_asking:
        return original["extend_schema"](schema, document, *args, **options)
    recorder.later(
        lambda: recorder.add_schema(f"{recorder.sdl(schema)}\n{text_of(document)}", "derived")
    )
    with recorder.asking():
        return original["extend_schema"](schema, document, *args, **options)


def recording_validate_schema(schema: Any) -> Any:
    if recorder.is_asking or not isinstance(schema, GraphQLSchema):
        return original["validate_schema"](schema)
    origin = "asserted" if id(schema) in recorder.sdl_of else "derived"
    recorder.later(lambda: recorder.add_schema(recorder.sdl(schema), origin))
    with recorder.asking():
        return original["validate_schema"](schema)


def recording_validate_sdl(document: Any, schema: Any = None, rules: Any = None) -> Any:
    if not recorder.is_asking:

        def add() -> None:
            base = "" if schema is None else f"{recorder.sdl(schema)}\n"
            origin = "asserted" if schema is None and rules is None else "derived"
            recorder.add_schema(base + text_of(document), origin)

        recorder.later(add)
    with recorder.asking():
        return original["validate_sdl"](document, schema, rules)


def recording_validate(
    schema: Any, document: Any, rules: Any = None, *args: Any, **options: Any
) -> Any:
    if not recorder.is_asking:

        def add() -> None:
            origin = "derived" if args else origin_of(options)
            if id(schema) not in recorder.sdl_of:
                origin = "derived"
            recorder.add_validate(recorder.sdl(schema), text_of(document), rules, origin)

        recorder.later(add)
    with recorder.asking():
        return original["validate"](schema, document, rules, *args, **options)


wrappers = {
    "Lexer": RecordingLexer,
    "build_ast_schema": recording_build_ast_schema,
    "build_schema": recording_build_schema,
    "extend_schema": recording_extend_schema,
    "parse": recording_parse,
    "parse_const_value": recording_part("parse_const_value", "query ($v: T = ", ") { f }"),
    "parse_type": recording_part("parse_type", "query ($v: ", ") { f }"),
    "parse_value": recording_part("parse_value", "{ f(a: ", ") }"),
    "validate": recording_validate,
    "validate_schema": recording_validate_schema,
    "validate_sdl": recording_validate_sdl,
}


def install() -> None:
    """Put the wrappers where tests import from: packages, and defining modules."""
    for name, function in wrappers.items():
        home = original[name].__module__
        for module_name, module in list(sys.modules.items()):
            is_package = module_name.startswith("graphql") and hasattr(module, "__path__")
            if (is_package or module_name == home) and vars(module).get(name) is original[name]:
                setattr(module, name, function)


# -- hooks of pytest --------------------------------------------------------


def pytest_configure(config: pytest.Config) -> None:
    install()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Modules make schemas when they are imported."""
    recorder.test = "on import"
    recorder.keep()


def pytest_runtest_setup(item: pytest.Item) -> None:
    recorder.test = item.nodeid
    # Some tests collect garbage; what is kept here would make that slow.
    gc.freeze()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when != "teardown":
        return
    if report.passed and recorder.test not in failed:
        recorder.keep()
    else:
        recorder.drop()


failed: set[str] = set()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    if call.excinfo is not None and not call.excinfo.errisinstance(pytest.skip.Exception):
        failed.add(item.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    target = pathlib.Path(os.environ["REFERENCE_CASES"])
    with target.open("w") as lines:
        for case in recorder.cases.values():
            lines.write(json.dumps(case) + "\n")
    summary = {"left_out": dict(recorder.left_out), "n_failed": len(failed)}
    pathlib.Path(f"{target}.summary").write_text(json.dumps(summary))
