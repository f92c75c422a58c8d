# SPDX-License-Identifier: MIT
"""SubscriptionPayload: attributes that can be set, and only to what they are."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from typing import Any

import pytest
from leaks import assert_leaks_nothing

from fraiseql_asgi import GraphQLMessage, SubscriptionPayload

QUERY = "subscription { users { id } }"


def test_a_payload_starts_with_its_query_alone() -> None:
    payload = SubscriptionPayload(QUERY)
    assert payload.query == QUERY
    assert payload.operation_name is None
    assert payload.variables is None
    assert payload.extensions is None


def test_every_attribute_can_be_set() -> None:
    payload = SubscriptionPayload(query=QUERY)
    variables = {"id": 1}
    payload.query = "subscription S { a }"
    payload.operation_name = "S"
    payload.variables = variables
    payload.extensions = {"resume": {}}
    assert payload.variables is variables
    assert payload == SubscriptionPayload(
        "subscription S { a }", "S", {"id": 1}, extensions={"resume": {}}
    )
    payload.operation_name = payload.variables = payload.extensions = None
    assert payload == SubscriptionPayload("subscription S { a }")


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("query", None, "query must be a str, not NoneType"),
        ("query", b"", "query must be a str, not bytes"),
        ("operation_name", 1, "operation_name must be a str or None, not int"),
        ("variables", [], "variables must be a dict or None, not list"),
        ("extensions", "x", "extensions must be a dict or None, not str"),
    ],
)
def test_a_value_of_another_type_is_refused(name: str, value: Any, text: str) -> None:
    payload = SubscriptionPayload(QUERY)
    with pytest.raises(TypeError) as info:
        setattr(payload, name, value)
    assert str(info.value) == text
    assert payload == SubscriptionPayload(QUERY)
    with pytest.raises(TypeError):
        SubscriptionPayload(**{"query": QUERY, name: value})


def test_attributes_cannot_be_deleted_or_added() -> None:
    payload = SubscriptionPayload(QUERY)
    with pytest.raises(AttributeError, match="cannot delete attribute 'query'"):
        del payload.query
    with pytest.raises(AttributeError):
        payload.other = 1  # type: ignore[attr-defined]
    with pytest.raises(TypeError):
        SubscriptionPayload()  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        hash(payload)


def test_to_dict_is_the_payload_of_a_subscribe_message() -> None:
    payload = SubscriptionPayload(QUERY)
    assert payload.to_dict() == {"query": QUERY}
    payload.operation_name = "S"
    payload.variables = {}
    payload.extensions = {"a": 1}
    assert payload.to_dict() == {
        "query": QUERY,
        "operationName": "S",
        "variables": {},
        "extensions": {"a": 1},
    }
    GraphQLMessage("subscribe", "1", payload.to_dict())


def test_it_survives_copy_pickle_and_repr() -> None:
    payload = SubscriptionPayload(QUERY, "S", {"a": [1]}, {})
    assert copy.copy(payload) == payload
    assert copy.deepcopy(payload) == payload
    assert pickle.loads(pickle.dumps(payload)) == payload
    assert eval(repr(payload)) == payload
    assert payload != SubscriptionPayload(QUERY)
    assert payload != payload.to_dict()


def test_a_payload_that_holds_itself_is_collected() -> None:
    class Marker:
        pass

    marker = Marker()
    payload = SubscriptionPayload(QUERY)
    payload.variables = {"self": payload, "marker": marker}
    assert "SubscriptionPayload(...)" in repr(payload)
    gone = weakref.ref(marker)
    del marker, payload
    gc.collect()
    assert gone() is None


def test_payloads_leak_nothing() -> None:
    def body() -> None:
        payload = SubscriptionPayload(QUERY, "S", {"a": 1})
        payload.variables = {"b": 2}
        payload.to_dict()
        repr(payload)
        assert payload == pickle.loads(pickle.dumps(payload))
        with pytest.raises(TypeError):
            payload.query = 1  # type: ignore[assignment]
        with pytest.raises(TypeError):
            SubscriptionPayload(QUERY, 1)  # type: ignore[arg-type]

    assert_leaks_nothing(body)
