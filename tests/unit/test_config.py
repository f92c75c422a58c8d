# SPDX-License-Identifier: MIT
"""Settings are checked when they are made, and say what is wrong."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from fraiseql_asgi import ConfigError, EventBus, EventBusConfig, Limits, SubscriptionManager
from fraiseql_asgi._core import Service
from fraiseql_asgi.config import as_bus_config


def test_memory_is_the_bus_of_the_url() -> None:
    assert EventBusConfig.from_url("memory://") == EventBusConfig.memory()
    assert EventBusConfig.memory().bus_type == "memory"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("", "no such bus"),
        ("memory", "no such bus"),
        ("memory://x", "nothing may follow"),
        ("kafka://broker", "no such bus"),
        ("redis://localhost:6379/0", "Redis is not available yet"),
        ("rediss://localhost", "Redis is not available yet"),
        ("postgresql://localhost/db", "PostgreSQL is not available yet"),
    ],
)
def test_a_url_without_a_bus_is_named_with_what_is_accepted(url: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        SubscriptionManager(url)
    assert repr(url) in str(caught.value)
    assert told in str(caught.value)
    assert "this version accepts 'memory://'" in str(caught.value)
    assert caught.value.setting == "event_bus_config"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://me:s3cret@host:6379/0", "redis://me:***@host:6379/0"),
        ("redis://:s3cret@host", "redis://:***@host"),
        ("postgresql://me:s3c@ret/@host/db", "postgresql://me:***@host/db"),
        ("postgresql://host/db?user=me&password=s3cret", "?user=me&password=***"),
    ],
)
def test_no_error_shows_a_password(url: str, shown: str) -> None:
    with pytest.raises(ConfigError) as caught:
        EventBusConfig.from_url(url)
    assert shown in str(caught.value)
    assert "s3c" not in str(caught.value)


def test_a_bus_can_be_given_in_three_ways() -> None:
    config = EventBusConfig.memory()
    bus = config.create_bus()
    assert as_bus_config("memory://") == config
    assert as_bus_config(config) is config
    assert as_bus_config(bus) is bus
    with pytest.raises(TypeError, match="not int"):
        as_bus_config(1)
    bus.close()


def test_an_event_bus_of_no_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match="'kafka'"):
        EventBus("kafka")
    with pytest.raises(ConfigError, match="'kafka'"):
        EventBusConfig("kafka")


def test_limits_are_those_of_the_engine() -> None:
    assert Limits().as_dict() == Service.default_limits()


def test_limits_are_immutable() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Limits().max_plans = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("limit", "error"),
    [
        ({"queue_max_items": 0}, "queue_max_items must be from 1 to"),
        ({"queue_max_items": 2**31}, "queue_max_items must be from 1 to"),
        ({"document_max_depth": -1}, "document_max_depth must be from 0 to"),
        ({"init_timeout": 0}, "init_timeout must be from 0.001 to"),
        ({"init_timeout": float("nan")}, "init_timeout must be from 0.001 to"),
    ],
)
def test_a_limit_out_of_range_is_named(limit: dict[str, Any], error: str) -> None:
    with pytest.raises(ConfigError, match=error):
        Limits(**limit)


@pytest.mark.parametrize("value", ["1", None, 1.5, True])
def test_a_limit_of_the_wrong_type_is_named(value: Any) -> None:
    with pytest.raises(TypeError, match="queue_max_items must be an int"):
        Limits(queue_max_items=value)


@pytest.mark.parametrize("name", ["resolver_timeout", "publish_timeout"])
def test_durations_are_checked(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} must be above 0"):
        SubscriptionManager(**{name: 0})
    with pytest.raises(TypeError, match=f"{name} must be a number"):
        SubscriptionManager(**{name: "1"})


def test_what_this_version_cannot_do_is_not_accepted() -> None:
    for name in ("graphiql", "publish_token"):
        with pytest.raises(TypeError, match=name):
            SubscriptionManager(**{name: None})
