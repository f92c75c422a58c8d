# SPDX-License-Identifier: MIT
"""The exceptions: their hierarchy, their context, what clients are told."""

from __future__ import annotations

import copy
import json
import pathlib
import pickle
import re
from typing import Any

import pytest
from leaks import assert_leaks_nothing

import fraiseql_asgi
from fraiseql_asgi import _core, errors

#: class -> (its base among ours, its base in Python, extensions.code)
HIERARCHY: dict[str, tuple[str | None, type[BaseException], str | None]] = {
    "FraiseQLError": (None, Exception, None),
    "ConfigError": ("FraiseQLError", ValueError, None),
    "GraphQLSyntaxError": ("FraiseQLError", Exception, "PARSE_ERROR"),
    "GraphQLValidationError": ("FraiseQLError", Exception, "VALIDATION_ERROR"),
    "SecurityError": ("FraiseQLError", Exception, "FORBIDDEN"),
    "RateLimited": ("FraiseQLError", Exception, "RATE_LIMITED"),
    "SubscriptionError": ("FraiseQLError", Exception, None),
    "DuplicateSubscription": ("SubscriptionError", Exception, None),
    "UnknownSubscription": ("SubscriptionError", Exception, None),
    "SubscriptionEnded": ("SubscriptionError", Exception, None),
    "PositionLost": ("SubscriptionError", Exception, "POSITION_LOST"),
    "ResolverError": ("SubscriptionError", Exception, "RESOLVER_ERROR"),
    "BusError": ("FraiseQLError", RuntimeError, "BUS_UNAVAILABLE"),
    "PublishTimeout": ("BusError", TimeoutError, None),
    "QueueFull": ("BusError", RuntimeError, None),
    "ClosedError": ("BusError", RuntimeError, None),
}


def test_every_exception_is_listed_and_exported() -> None:
    assert sorted([*HIERARCHY, "CloseConnection"]) == errors.__all__
    for name in errors.__all__:
        assert getattr(fraiseql_asgi, name) is getattr(errors, name)
        assert name in fraiseql_asgi.__all__


@pytest.mark.parametrize("name", HIERARCHY)
def test_the_hierarchy_is_the_promised_one(name: str) -> None:
    base, python_base, code = HIERARCHY[name]
    exception = getattr(errors, name)
    assert issubclass(exception, python_base)
    if base is not None:
        assert exception.__bases__[0] is getattr(errors, base)
    assert exception.code == code
    assert exception.__doc__


@pytest.mark.parametrize("name", HIERARCHY)
def test_context_becomes_attributes_and_survives_a_pickle(name: str) -> None:
    exception = getattr(errors, name)("what went wrong", reason="why")
    assert str(exception) == exception.message == "what went wrong"
    assert exception.reason == "why"
    for other in (copy.copy(exception), pickle.loads(pickle.dumps(exception))):
        assert type(other) is type(exception)
        assert (str(other), other.reason) == ("what went wrong", "why")


def test_attributes_that_are_not_given_are_none() -> None:
    exception = errors.DuplicateSubscription("x", subscription_id="s1")
    assert exception.subscription_id == "s1"
    assert exception.connection_id is None
    assert exception.reason is None
    assert errors.UnknownSubscription("x").subscription_id is None
    assert errors.FraiseQLError().message == ""


def test_an_attribute_that_no_class_declares_is_refused() -> None:
    with pytest.raises(TypeError, match="ConfigError has no attribute 'subscription_id'"):
        errors.ConfigError("x", subscription_id="s1")


def test_a_timeout_is_caught_by_the_names_users_know() -> None:
    with pytest.raises(TimeoutError):
        raise errors.PublishTimeout("no answer within 5 s", timeout=5.0, channel="users")
    with pytest.raises(RuntimeError):
        raise errors.PublishTimeout("no answer within 5 s")
    assert errors.PublishTimeout("x", timeout=5.0).timeout == 5.0


def test_close_connection_is_no_failure_of_ours() -> None:
    exception = errors.CloseConnection(4401, "Token expired")
    assert not isinstance(exception, errors.FraiseQLError)
    assert (exception.code, exception.reason) == (4401, "Token expired")
    assert str(exception) == "4401 Token expired"
    assert (errors.CloseConnection().code, errors.CloseConnection().reason) == (4403, "Forbidden")
    copied = pickle.loads(pickle.dumps(exception))
    assert (copied.code, copied.reason) == (4401, "Token expired")


@pytest.mark.parametrize("code", [1000, 3000, 4403, 4999])
def test_close_connection_takes_codes_an_application_may_send(code: int) -> None:
    assert errors.CloseConnection(code, "x").code == code


@pytest.mark.parametrize("code", [0, 999, 1001, 1006, 2999, 5000, -1])
def test_close_connection_refuses_other_codes(code: int) -> None:
    with pytest.raises(ValueError, match=f"code must be 1000 or 3000 to 4999, not {code}"):
        errors.CloseConnection(code)


@pytest.mark.parametrize(("code", "reason"), [("4403", "x"), (True, "x"), (4403, b"x")])
def test_close_connection_refuses_other_types(code: Any, reason: Any) -> None:
    with pytest.raises(TypeError):
        errors.CloseConnection(code, reason)


# -- from the core ----------------------------------------------------------

STATUS = {"AGAIN": -1, "SYNTAX": -2, "INVALID": -3, "LIMIT": -6, "CLOSED": -9, "NOMEM": -101}
ERRORS = [
    {
        "message": 'Cannot query field "x".',
        "locations": [{"line": 1, "column": 2}],
        "extensions": {"code": "VALIDATION_ERROR"},
    },
    {"message": "And more."},
]


@pytest.mark.parametrize(
    ("status", "exception"),
    [("SYNTAX", errors.GraphQLSyntaxError), ("INVALID", errors.GraphQLValidationError)],
)
def test_a_refused_request_carries_its_errors(
    status: str, exception: type[errors.FraiseQLError]
) -> None:
    with pytest.raises(exception) as info:
        _core.raise_request(STATUS[status], json.dumps(ERRORS), {"subscription_id": "s1"})
    assert info.value.errors == ERRORS  # type: ignore[attr-defined]
    assert info.value.subscription_id == "s1"  # type: ignore[attr-defined]
    assert str(info.value) == 'Cannot query field "x".'


def test_the_code_of_a_refused_request_is_that_of_its_first_error() -> None:
    refusal = [{"message": "Too many.", "extensions": {"code": "LIMIT_REACHED"}}]
    with pytest.raises(errors.SubscriptionError) as info:
        _core.raise_request(STATUS["LIMIT"], json.dumps(refusal))
    assert (info.value.code, str(info.value)) == ("LIMIT_REACHED", "Too many.")
    assert errors.SubscriptionError.code is None


def test_a_request_refused_without_errors_says_what_the_status_says() -> None:
    with pytest.raises(errors.ClosedError) as info:
        _core.raise_request(STATUS["CLOSED"], None)
    assert str(info.value)
    with pytest.raises(MemoryError):
        _core.raise_request(STATUS["NOMEM"], None)


def test_raising_leaks_nothing() -> None:
    text = json.dumps(ERRORS)

    def body() -> None:
        with pytest.raises(errors.GraphQLSyntaxError):
            _core.raise_request(STATUS["SYNTAX"], text, {"subscription_id": "s1"})
        with pytest.raises(TypeError):
            _core.raise_request(STATUS["SYNTAX"], text, {"nonsense": 1})
        with pytest.raises(ValueError):
            _core.raise_request(STATUS["SYNTAX"], "[")

    assert_leaks_nothing(body)


# -- the page in the reference ----------------------------------------------

ROOT = pathlib.Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "exceptions.md"


def table(heading: str) -> list[list[str]]:
    """The rows of the first table below a heading."""
    section = PAGE.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_the_reference_lists_every_exception() -> None:
    rows = table("Exceptions")
    assert sorted(names(row[0])[0] for row in rows) == errors.__all__
    for name, bases, code, attributes, _ in rows:
        exception = getattr(errors, names(name)[0])
        assert [base.__name__ for base in exception.__bases__] == names(bases)
        if exception is errors.CloseConnection:
            continue
        assert [exception.code] == (names(code) or [None]), name
        inherited = {"code", "reason"}
        own = set(exception.__annotations__) - inherited
        assert sorted(own) == names(attributes), name


def test_the_reference_says_what_each_status_becomes() -> None:
    expected = [
        [f"`{status}`", f"`{value.__name__}`", f"`{request.__name__}`"]
        for status, value, request in _core.error_table()
    ]
    assert table("What a status of the core becomes") == expected


def test_the_reference_lists_every_code_a_client_is_told() -> None:
    sources = [
        path.read_text()
        for folder in ("graphql", "engine", "reactor", "protocol")
        for path in (ROOT / "csrc" / folder).rglob("*.c")
    ]
    used = set(re.findall(r'"([A-Z]+_[A-Z_]+)"', "".join(sources)))
    codes = {names(row[0])[0] for row in table("What a client is told")} | {"RESOLVER_ERROR"}
    assert {code for code in used if code in CODES or code.endswith("_ERROR")} <= codes
    assert codes == CODES


CODES = {
    "PARSE_ERROR",
    "VALIDATION_ERROR",
    "FORBIDDEN",
    "RATE_LIMITED",
    "LIMIT_REACHED",
    "BUS_UNAVAILABLE",
    "POSITION_LOST",
    "PERSISTED_QUERY_NOT_FOUND",
    "PERSISTED_QUERY_NOT_SUPPORTED",
    "RESOLVER_ERROR",
}


def test_the_reference_lists_every_close_code_of_the_protocol() -> None:
    source = ""
    for folder in ("protocol", "reactor", "python"):
        for file in sorted((ROOT / "csrc" / folder).glob("*.c")):
            source += file.read_text()
    documented = [(row[0], names(row[1])[0]) for row in table("Close codes")]
    closings = re.findall(r"\{(\d{4}),\s*FQ_STR\(\s*\"([^\"]+)\"\)", source)
    assert len(closings) > 5
    for code, reason in closings:
        assert any(row[0] == code and row[1].startswith(reason) for row in documented)
    for _, reason in documented:
        assert reason.split("<")[0].rstrip() in source
