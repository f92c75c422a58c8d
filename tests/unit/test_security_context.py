# SPDX-License-Identifier: MIT
"""SecurityContext: what it takes, shows and hides."""

from __future__ import annotations

import copy
import datetime as dt
import pickle
from typing import Any

import pytest

from fraiseql_asgi import SecurityContext

FULL: dict[str, Any] = {
    "user_id": "ada",
    "tenant_id": "t1",
    "roles": ["sales", "admin", "sales"],
    "claims": {"level": 3, "secret": "s3cret"},
    "boundaries": {"orders"},
    "expires_at": dt.datetime(2030, 1, 1, tzinfo=dt.timezone.utc),
}


def test_it_shows_what_it_was_given() -> None:
    context = SecurityContext(**FULL)
    assert context.user_id == "ada"
    assert context.tenant_id == "t1"
    assert context.roles == ("admin", "sales")
    assert context.claims == {"level": 3, "secret": "s3cret"}
    assert context.boundaries == ("orders",)
    assert context.expires_at == dt.datetime(2030, 1, 1, tzinfo=dt.timezone.utc)
    assert context.fields is None


def test_what_is_not_given_is_nothing() -> None:
    context = SecurityContext("ada")
    assert (context.tenant_id, context.expires_at, context.fields) == (None, None, None)
    assert (context.roles, context.boundaries, context.claims) == ((), (), {})
    assert SecurityContext("", "").user_id is None
    assert SecurityContext("", "").tenant_id is None


def test_it_cannot_be_changed() -> None:
    claims = {"a": [1]}
    context = SecurityContext("ada", claims=claims)
    claims["a"].append(2)
    context.claims["a"].append(3)
    assert context.claims == {"a": [1]}
    with pytest.raises(AttributeError):
        context.tenant_id = "t2"  # type: ignore[misc]
    with pytest.raises(TypeError):
        type("Mine", (SecurityContext,), {})


def test_expiry_may_be_unix_seconds() -> None:
    assert SecurityContext("ada", expires_at=1.5).expires_at == dt.datetime(
        1970, 1, 1, 0, 0, 1, 500000, tzinfo=dt.timezone.utc
    )
    for past in (0, -5, -1e30, float("-inf")):
        expires_at = SecurityContext("ada", expires_at=past).expires_at
        assert expires_at is not None
        assert expires_at.year == 1970


def test_equal_contexts_have_equal_hashes() -> None:
    same = {**FULL, "roles": ("admin", "sales"), "claims": dict(reversed(FULL["claims"].items()))}
    assert SecurityContext(**FULL) == SecurityContext(**same)
    assert hash(SecurityContext(**FULL)) == hash(SecurityContext(**same))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("user_id", "bob"),
        ("user_id", None),
        ("tenant_id", None),
        ("roles", ["sales"]),
        ("claims", {}),
        ("claims", {"level": 4}),
        ("boundaries", []),
        ("expires_at", None),
    ],
)
def test_different_contexts_are_not_equal(name: str, value: Any) -> None:
    assert SecurityContext(**FULL) != SecurityContext(**{**FULL, name: value})


def test_the_fields_of_with_rbac_count() -> None:
    limited = SecurityContext.with_rbac("ada", "t1", ["Order", "orders"])
    assert limited.fields == ("Order", "orders")
    assert SecurityContext.with_rbac("ada", "t1", requested_fields=[]).fields == ()
    assert limited != SecurityContext("ada", "t1")
    assert SecurityContext.with_rbac("ada", "t1", []) != SecurityContext("ada", "t1")


def test_its_repr_hides_claims() -> None:
    text = repr(SecurityContext(**FULL))
    assert "s3cret" not in text
    assert "user_id='ada'" in text
    assert repr(SecurityContext("ada")) == "SecurityContext(user_id='ada')"


def test_copies_are_equal() -> None:
    for context in (SecurityContext(**FULL), SecurityContext.with_rbac("a", None, ["x"])):
        assert pickle.loads(pickle.dumps(context)) == context
        assert copy.copy(context) == context
        assert copy.deepcopy(context) == context


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"user_id": 7}, TypeError, "user_id must be a str"),
        ({"roles": "admin"}, TypeError, "roles must be a list of str"),
        ({"roles": [7]}, TypeError, "roles must be a str"),
        ({"boundaries": {"a": 1}}, TypeError, "boundaries must be a list"),
        ({"claims": ["a"]}, TypeError, "claims must be a dict"),
        ({"claims": {"a": object()}}, TypeError, r"claims\.a"),
        ({"expires_at": dt.datetime(2030, 1, 1)}, ValueError, "timezone"),
        ({"expires_at": "tomorrow"}, TypeError, "expires_at"),
        ({"expires_at": True}, TypeError, "expires_at"),
        ({"expires_at": float("nan")}, ValueError, "expires_at"),
        ({"expires_at": 1e30}, ValueError, "expires_at"),
    ],
)
def test_what_cannot_be_is_refused(
    arguments: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        SecurityContext(**{"user_id": "ada", **arguments})
