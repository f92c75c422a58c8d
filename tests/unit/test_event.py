# SPDX-License-Identifier: MIT
"""Event: immutable, with its data as it will be published."""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
import json
import pickle
from typing import Any

import pytest
from leaks import assert_leaks_nothing

from fraiseql_asgi import Event


def test_an_event_has_what_it_was_made_of() -> None:
    before = dt.datetime.now(dt.timezone.utc)
    event = Event(
        "orderUpdated",
        "orders:42",
        {"id": "42", "name": "Zoë"},
        tenant_id="t1",
        boundary="orders",
        meta={"traceparent": "00-1-2-01"},
    )
    assert event.event_type == "orderUpdated"
    assert event.channel == "orders:42"
    assert event.data == {"id": "42", "name": "Zoë"}
    assert event.tenant_id == "t1"
    assert event.boundary == "orders"
    assert event.meta == {"traceparent": "00-1-2-01"}
    assert event.id is None
    assert event.created_at.tzinfo is dt.timezone.utc
    # A datetime has microseconds, the event's clock has nanoseconds.
    slack = dt.timedelta(microseconds=1)
    assert before - slack <= event.created_at <= dt.datetime.now(dt.timezone.utc)


def test_what_is_not_given_is_none() -> None:
    event = Event(event_type="a", channel="b", data={})
    assert (event.tenant_id, event.boundary, event.meta) == (None, None, None)
    with pytest.raises(TypeError):
        Event("a", "b", {}, "tenant")  # type: ignore[misc]


def test_data_is_taken_when_the_event_is_made() -> None:
    data = {"items": [1]}
    event = Event("a", "b", data)
    data["items"].append(2)
    event.data["items"].append(3)
    event.data["more"] = 1
    assert event.data == {"items": [1]}
    assert event.data is not event.data


def test_data_can_be_anything_that_is_an_object_in_json() -> None:
    @dataclasses.dataclass
    class Order:
        id: int
        day: dt.date

    event = Event("a", "b", Order(1, dt.date(2026, 1, 2)))
    assert event.data == {"id": 1, "day": "2026-01-02"}


def test_it_is_immutable() -> None:
    event = Event("a", "b", {})
    for name in ("id", "created_at", "event_type", "channel", "data", "tenant_id", "other"):
        with pytest.raises(AttributeError):
            setattr(event, name, "x")
    with pytest.raises(TypeError):
        Event.other = 1  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("kwargs", "exception", "text"),
    [
        ({"event_type": ""}, ValueError, "event_type cannot be empty"),
        ({"channel": ""}, ValueError, "channel cannot be empty"),
        (
            {"channel": "é" * 513},
            ValueError,
            "channel is 1026 bytes long; at most 1024 are allowed",
        ),
        ({"channel": None}, TypeError, "channel must be a str, not NoneType"),
        ({"event_type": b"a"}, TypeError, "event_type must be a str, not bytes"),
        (
            {"channel": "\ud800"},
            ValueError,
            "channel contains a lone surrogate, which is no valid Unicode",
        ),
        ({"tenant_id": 5}, TypeError, "tenant_id must be a str or None, not int"),
        ({"boundary": {}}, TypeError, "boundary must be a str or None, not dict"),
        (
            {"data": [1]},
            TypeError,
            "data must be a dict or another object with fields, not list",
        ),
        (
            {"data": "x"},
            TypeError,
            "data must be a dict or another object with fields, not str",
        ),
        ({"data": {"x": {1: 2}}}, TypeError, "data.x: keys must be str, not int (1)"),
        ({"data": {"x": float("nan")}}, ValueError, "data.x: NaN is not valid JSON"),
        (
            {"meta": {"x": {1}}},
            TypeError,
            "meta.x: an object of type set is not valid JSON",
        ),
    ],
)
def test_what_no_bus_could_carry_is_refused(
    kwargs: dict[str, Any], exception: type[Exception], text: str
) -> None:
    with pytest.raises(exception) as info:
        Event(**{"event_type": "a", "channel": "b", "data": {}, **kwargs})
    assert str(info.value) == text


def test_to_dict_is_json_and_leaves_out_what_is_not_given() -> None:
    event = Event("a", "b", {"x": 1})
    assert event.to_dict() == {
        "id": None,
        "event_type": "a",
        "channel": "b",
        "data": {"x": 1},
        "created_at": event.created_at.isoformat(),
    }
    event = Event("a", "b", {}, tenant_id="t", boundary="s", meta={"m": 1})
    said = event.to_dict()
    assert (said["tenant_id"], said["boundary"], said["meta"]) == ("t", "s", {"m": 1})
    assert json.loads(json.dumps(said)) == said


def test_it_survives_copy_and_pickle() -> None:
    event = Event("a", "b", {"é": [1, 2.5, None]}, tenant_id="t", boundary="s", meta={"m": 1})
    for other in (copy.copy(event), copy.deepcopy(event), pickle.loads(pickle.dumps(event))):
        assert other == event
        assert hash(other) == hash(event)
        assert other.created_at == event.created_at
        assert other.to_dict() == event.to_dict()


def test_equality_is_by_value_and_hash_follows() -> None:
    event = Event("a", "b", {"x": 1})
    assert event == event
    assert event != Event("a", "b", {"x": 2})
    assert event != "a"
    assert len({event, copy.copy(event)}) == 1


def test_its_repr_shows_what_happened() -> None:
    assert repr(Event("a", "b", {"x": "é"})) == "Event('a', 'b', {'x': 'é'})"


def test_events_leak_nothing() -> None:
    def body() -> None:
        event = Event("a", "b", {"x": [1]}, tenant_id="t", boundary="s", meta={"m": 1})
        event.to_dict()
        repr(event)
        assert event == pickle.loads(pickle.dumps(event))
        for bad in ({"channel": ""}, {"data": []}, {"tenant_id": 1}, {"meta": {1: 1}}):
            with pytest.raises((TypeError, ValueError)):
                Event(**{"event_type": "a", "channel": "b", "data": {}, **bad})  # type: ignore[arg-type]

    assert_leaks_nothing(body)
