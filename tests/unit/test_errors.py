# SPDX-License-Identifier: MIT
"""The exceptions: their hierarchy, their context, what clients are told."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

import fraiseql_asgi
from fraiseql_asgi import errors

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
