# SPDX-License-Identifier: MIT
"""Settings are checked when they are made, and say what is wrong."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
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
    ],
)
def test_a_url_without_a_bus_is_named_with_what_is_accepted(url: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        SubscriptionManager(url)
    assert repr(url) in str(caught.value)
    assert told in str(caught.value)
    assert "accepts 'memory://'" in str(caught.value)
    assert caught.value.setting == "event_bus_config"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("kafka://me:s3cret@host:6379/0", "kafka://me:***@host:6379/0"),
        ("kafka://:s3cret@host", "kafka://:***@host"),
        ("mysql://me:s3c@ret/@host/db", "mysql://me:***@host/db"),
        ("mysql://host/db?user=me&password=s3cret", "?user=me&password=***"),
    ],
)
def test_no_error_shows_a_password(url: str, shown: str) -> None:
    with pytest.raises(ConfigError) as caught:
        SubscriptionManager(url)
    assert shown in str(caught.value)
    assert "s3c" not in str(caught.value)


def test_a_redis_is_configured() -> None:
    config = EventBusConfig.redis("redis://:s3cret@localhost:6379/1", "shop")
    assert (config.bus_type, config.consumer_group) == ("redis", "shop")
    assert config.url == "redis://:s3cret@localhost:6379/1"
    assert "s3cret" not in repr(config)
    assert EventBusConfig.from_url("rediss://cache:6380").consumer_group == "fraiseql"
    assert EventBusConfig.redis("redis:///var/run/redis.sock").bus_type == "redis"


def test_a_postgresql_is_configured() -> None:
    config = EventBusConfig.postgresql("host=db dbname=shop password=s3cret")
    assert (config.bus_type, config.consumer_group) == ("postgresql", None)
    assert "s3cret" not in repr(config)
    url = "postgres://me@db/shop"
    assert EventBusConfig.from_url(url) == EventBusConfig.postgresql(url)
    options = "host=db options='-c x=http://y'"
    assert EventBusConfig.postgresql(options).url == options


def test_the_history_of_a_postgresql_is_configured() -> None:
    config = EventBusConfig.postgresql("postgresql://db/shop?sslmode=require")
    assert (config.history_events, config.history_bytes) == (1_000_000, 2**30)
    assert config.history_seconds == 3600
    text = "?history_seconds=0.5&sslmode=require&history_events=7"
    config = EventBusConfig.from_url(f"postgresql://db/shop{text}")
    assert config.url == "postgresql://db/shop?sslmode=require"
    assert (config.history_events, config.history_seconds) == (7, 0.5)
    config = EventBusConfig.postgresql("postgresql://db/shop?history_bytes=0", history_events=0)
    assert (config.url, config.history_bytes) == ("postgresql://db/shop", 0)
    for query in ("history_events=x", "history_events=-1", "history_bytes=1&history_bytes=2"):
        with pytest.raises(ConfigError):
            EventBusConfig.postgresql(f"postgresql://db/shop?{query}")
    with pytest.raises(ConfigError, match="is an argument and in the URL"):
        EventBusConfig.postgresql("postgresql://db/shop?history_events=1", history_events=1)


@pytest.mark.parametrize(
    ("configure", "told", "setting"),
    [
        (
            lambda: EventBusConfig.redis("http://localhost", "g"),
            "URL must start with redis:// or rediss://",
            "url",
        ),
        (lambda: EventBusConfig.redis("", "g"), "URL must start with redis://", "url"),
        (lambda: EventBusConfig.redis("redis://", "g"), "names no host", "url"),
        (lambda: EventBusConfig.redis("redis://me:s3cret@/", "g"), "names no host", "url"),
        (lambda: EventBusConfig.redis("redis://h", ""), "1 to 128 letters", "consumer_group"),
        (lambda: EventBusConfig.redis("redis://h", "a b"), "not 'a b'", "consumer_group"),
        (
            lambda: EventBusConfig.postgresql(""),
            "Connection string cannot be empty",
            "connection_string",
        ),
        (
            lambda: EventBusConfig.postgresql("  "),
            "Connection string cannot be empty",
            "connection_string",
        ),
        (
            lambda: EventBusConfig.postgresql("mysql://me:s3cret@db"),
            "must start with postgresql://",
            "connection_string",
        ),
    ],
)
def test_what_configures_no_server_is_told(
    configure: Callable[[], EventBusConfig], told: str, setting: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        configure()
    assert told in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert caught.value.setting == setting


def test_a_setting_of_a_server_is_a_text() -> None:
    with pytest.raises(TypeError, match="url must be a str, not int"):
        EventBusConfig.redis(6379)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="consumer_group must be a str, not None"):
        EventBusConfig.redis("redis://h", None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="connection_string must be a str, not bytes"):
        EventBusConfig.postgresql(b"x")  # type: ignore[arg-type]


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
