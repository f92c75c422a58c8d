# SPDX-License-Identifier: MIT
"""Every case of the reference's own tests gives the same answer here.

The cases are recorded by record.py on first use. differences.json lists those
that differ on purpose, each with its reason and with what we answer instead;
an entry that no longer differs is a failure, too.
"""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable
from typing import Any

import pytest
from reference import record

from fraiseql_asgi import _core

HERE = pathlib.Path(__file__).resolve().parent

Case = dict[str, Any]

#: Failures shown in full.
SHOWN_MAX = 20

#: Rules for directives that our schemas cannot have.
EXPERIMENTAL_RULES = (
    "DeferStreamDirectiveLabel",
    "DeferStreamDirectiveOnRootField",
    "DeferStreamDirectiveOnValidOperations",
    "StreamDirectiveOnListField",
)


def errors_only(errors: list[dict[str, Any]]) -> list[dict[str, Any]]:
    names = ("message", "locations")
    return [{name: error[name] for name in names if name in error} for error in errors]


def answer_parse(case: Case) -> dict[str, Any]:
    return {"errors": errors_only(_core.graphql_syntax_errors(case["document"]))}


def answer_tokens(case: Case) -> dict[str, Any]:
    tokens, errors = _core.graphql_tokens(case["document"])
    return {"tokens": [list(token) for token in tokens], "errors": errors_only(errors)}


def answer_schema(case: Case) -> dict[str, Any]:
    return {"errors": errors_only(_core.graphql_schema_errors(case["sdl"]))}


def answer_validate(case: Case) -> dict[str, Any]:
    errors = _core.graphql_validate(case["sdl"], case["document"], case["rules"])
    return {"errors": errors_only(errors)}


ANSWERS: dict[str, Callable[[Case], dict[str, Any]]] = {
    "parse": answer_parse,
    "tokens": answer_tokens,
    "schema": answer_schema,
    "validate": answer_validate,
}


@pytest.fixture(scope="session")
def cases() -> dict[str, list[Case]]:
    """Kind -> cases, without those about rules we do not have."""
    found: dict[str, list[Case]] = {kind: [] for kind in ANSWERS}
    for case in record.cases():
        if not set(case.get("rules") or ()) & set(EXPERIMENTAL_RULES):
            found[case["kind"]].append(case)
    return found


@pytest.fixture(scope="session")
def differences() -> list[dict[str, Any]]:
    return json.loads((HERE / "differences.json").read_text())


def inputs(case: Case) -> dict[str, Any]:
    """Return what identifies a case."""
    return {name: case.get(name) for name in ("kind", "sdl", "document", "rules")}


def show(case: Case, expected: Any, actual: Any) -> str:
    def cut(value: Any) -> str:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        return text if len(text) <= 2000 else f"{text[:2000]}… ({len(text)} characters)"

    lines = [f"--- {case['kind']} from {case['test']}"]
    lines += [cut(case[name]) for name in ("sdl", "document") if name in case]
    if case.get("rules"):
        lines.append(f"rules: {', '.join(case['rules'])}")
    return "\n".join([*lines, f"reference: {cut(expected)}", f"ours:      {cut(actual)}"])


# Recording takes a minute.
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ANSWERS)
def test_equals_reference(
    kind: str,
    cases: dict[str, list[Case]],
    differences: list[dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    chosen = [entry for entry in differences if entry["kind"] == kind]
    n_equal = n_chosen = 0
    faults: list[str] = []
    for case in cases[kind]:
        expected = {name: case[name] for name in ("tokens", "errors") if name in case}
        actual = ANSWERS[kind](case)
        known = [entry for entry in chosen if entry["inputs"] == inputs(case)]
        if known:
            n_chosen += 1
            if actual == expected:
                faults.append(show(case, "a listed difference, but there is none", actual))
            expected = known[0]["answer"]
        if actual == expected:
            n_equal += not known
        else:
            faults.append(show(case, expected, actual))
    with capsys.disabled():
        listed = f", {n_chosen} differ as listed" if n_chosen else ""
        print(f"\nreference: {n_equal:,} of {len(cases[kind]):,} {kind} cases equal{listed}")
    if faults:
        more = len(faults) - SHOWN_MAX
        text = "\n".join(faults[:SHOWN_MAX]) + (f"\n… and {more} more" if more > 0 else "")
        pytest.fail(f"{len(faults)} cases differ\n{text}", pytrace=False)


def test_differences_name_recorded_cases(
    cases: dict[str, list[Case]], differences: list[dict[str, Any]]
) -> None:
    recorded = [inputs(case) for kind in cases.values() for case in kind]
    assert [entry["inputs"] for entry in differences if entry["inputs"] not in recorded] == []
