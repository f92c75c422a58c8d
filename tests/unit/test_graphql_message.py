# SPDX-License-Identifier: MIT
"""GraphQLMessage: what the protocol takes, and the reason for what it refuses."""

from __future__ import annotations

import copy
import gc
import json
import pathlib
import pickle
import re
import weakref
from typing import Any

import pytest
from leaks import assert_leaks_nothing

from fraiseql_asgi import GraphQLMessage, _core

MESSAGES = pathlib.Path(__file__).parents[1] / "data" / "graphql_transport_ws_messages.inc"
SUBSCRIBE = {"query": "subscription { a }"}


def reference_cases() -> list[Any]:
    """The messages and verdicts that the C machine and graphql-ws itself are tested with."""
    text = re.sub(r"/\*.*?\*/", "", MESSAGES.read_text(), flags=re.DOTALL)
    cases = []
    for verdict, literals in re.findall(r'MESSAGE\((\w+),\s*((?:"(?:[^"\\]|\\.)*"\s*)+)\)', text):
        body = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', literals))
        message = json.loads(f'"{body}"').replace("'", '"') if "\\x" not in body else None
        if message is not None:
            cases.append(pytest.param(verdict, message, id=f"{verdict}-{message[:60]}"))
    assert len(cases) > 50
    return cases


@pytest.mark.parametrize(("verdict", "text"), reference_cases())
def test_it_takes_what_the_reference_takes(verdict: str, text: str) -> None:
    try:
        message = _core.from_json(text.encode())
        GraphQLMessage.from_dict(message)
    except ValueError:
        assert verdict == "invalid"
    else:
        assert verdict in ("ok", "server")


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ([], "Message is expected to be an object, but got array"),
        ("x", "Message is expected to be an object, but got string"),
        (None, "Message is expected to be an object, but got null"),
        (1.5, "Message is expected to be an object, but got number"),
        (True, "Message is expected to be an object, but got boolean"),
        ({}, "Message is missing the 'type' property"),
        ({"type": None}, "Message is missing the 'type' property"),
        ({"type": ""}, "Message is missing the 'type' property"),
        ({"type": 1}, "Message expects the 'type' property to be a string, but got number"),
        ({"type": "start"}, "Invalid message 'type' property 'start'"),
        (
            {"type": "ping", "payload": []},
            "\"ping\" message expects the 'payload' property to be an object or nullish or "
            "missing, but got array",
        ),
        (
            {"type": "subscribe"},
            "\"subscribe\" message expects the 'id' property to be a string, but got undefined",
        ),
        (
            {"type": "complete", "id": 1},
            "\"complete\" message expects the 'id' property to be a string, but got number",
        ),
        (
            {"type": "subscribe", "id": "", "payload": SUBSCRIBE},
            "\"subscribe\" message requires a non-empty 'id' property",
        ),
        (
            {"type": "subscribe", "id": "1"},
            "\"subscribe\" message expects the 'payload' property to be an object, but got "
            "undefined",
        ),
        (
            {"type": "subscribe", "id": "1", "payload": {}},
            "\"subscribe\" message payload expects the 'query' property to be a string, but got "
            "undefined",
        ),
        (
            {"type": "subscribe", "id": "1", "payload": {**SUBSCRIBE, "variables": []}},
            "\"subscribe\" message payload expects the 'variables' property to be an object or "
            "nullish or missing, but got array",
        ),
        (
            {"type": "subscribe", "id": "1", "payload": {**SUBSCRIBE, "operationName": 1}},
            "\"subscribe\" message payload expects the 'operationName' property to be a string "
            "or nullish or missing, but got number",
        ),
        (
            {"type": "subscribe", "id": "1", "payload": {**SUBSCRIBE, "extensions": "x"}},
            "\"subscribe\" message payload expects the 'extensions' property to be an object or "
            "nullish or missing, but got string",
        ),
        (
            {"type": "next", "id": "1", "payload": None},
            "\"next\" message expects the 'payload' property to be an object, but got null",
        ),
        *(
            (
                {"type": "error", "id": "1", "payload": payload},
                "\"error\" message expects the 'payload' property to be an array of GraphQL "
                f"errors, but got {kind}",
            )
            for payload, kind in [
                ({"message": "x"}, "object"),
                ([], "array"),
                ([{}], "array"),
                (["x"], "array"),
                (None, "null"),
            ]
        ),
    ],
)
def test_what_is_refused_says_why(message: Any, reason: str) -> None:
    with pytest.raises(ValueError) as info:
        GraphQLMessage.from_dict(message)
    assert str(info.value) == reason


@pytest.mark.parametrize(
    "message",
    [
        {"type": "connection_init"},
        {"type": "connection_init", "payload": {"authorization": "Bearer x"}},
        {"type": "connection_ack"},
        {"type": "ping"},
        {"type": "pong", "payload": {}},
        {"id": "1", "type": "subscribe", "payload": SUBSCRIBE},
        {"id": "1", "type": "next", "payload": {"data": {"a": 1}}},
        {"id": "1", "type": "error", "payload": [{"message": "no"}]},
        {"id": "1", "type": "complete"},
    ],
)
def test_a_message_survives_dict_copy_and_pickle(message: dict[str, Any]) -> None:
    made = GraphQLMessage.from_dict(message)
    assert made.to_dict() == message
    assert made.type_ == message["type"]
    assert made.id == message.get("id")
    assert made.payload == message.get("payload")
    assert GraphQLMessage(made.type_, made.id, made.payload) == made
    assert pickle.loads(pickle.dumps(made)) == made
    assert copy.deepcopy(made) == made
    assert eval(repr(made)) == made


def test_members_that_a_type_has_no_use_for_are_left_out() -> None:
    message = GraphQLMessage.from_dict({"type": "ping", "id": 5, "extra": True})
    assert message.to_dict() == {"type": "ping"}
    message = GraphQLMessage.from_dict({"type": "complete", "id": "1", "payload": "x"})
    assert message.to_dict() == {"type": "complete", "id": "1"}


def test_the_constructor_refuses_what_would_be_left_out() -> None:
    with pytest.raises(ValueError, match="\"ping\" message has no 'id'"):
        GraphQLMessage("ping", id="1")
    with pytest.raises(ValueError, match="\"complete\" message has no 'payload'"):
        GraphQLMessage("complete", id="1", payload={})


def test_keyword_arguments_have_the_documented_names() -> None:
    message = GraphQLMessage(type_="next", id="1", payload={"data": None})
    assert repr(message) == "GraphQLMessage('next', id='1', payload={'data': None})"


def test_it_is_immutable_and_unhashable() -> None:
    message = GraphQLMessage("ping")
    for name in ("type_", "id", "payload", "other"):
        with pytest.raises(AttributeError):
            setattr(message, name, "x")
    with pytest.raises(TypeError):
        GraphQLMessage.other = 1  # type: ignore[attr-defined]
    with pytest.raises(TypeError):
        hash(message)


def test_equality_is_by_value_and_type() -> None:
    assert GraphQLMessage("ping") == GraphQLMessage("ping")
    assert GraphQLMessage("ping") != GraphQLMessage("pong")
    assert GraphQLMessage("ping") != {"type": "ping"}
    assert GraphQLMessage("complete", "1") != GraphQLMessage("complete", "2")


def test_a_message_that_holds_itself_is_collected() -> None:
    class Marker:
        pass

    marker = Marker()
    payload: dict[str, Any] = {"marker": marker}
    message = GraphQLMessage("ping", payload=payload)
    payload["self"] = message
    assert "GraphQLMessage(...)" in repr(message)
    gone = weakref.ref(marker)
    del marker, payload, message
    gc.collect()
    assert gone() is None


def test_messages_leak_nothing() -> None:
    def body() -> None:
        message = GraphQLMessage.from_dict({"type": "subscribe", "id": "1", "payload": SUBSCRIBE})
        assert message == pickle.loads(pickle.dumps(message))
        repr(message)
        message.to_dict()
        for bad in ({}, {"type": "x"}, {"type": "error", "id": "1", "payload": []}):
            with pytest.raises(ValueError):
                GraphQLMessage.from_dict(bad)
        with pytest.raises(ValueError):
            GraphQLMessage("ping", id="1")

    assert_leaks_nothing(body)
