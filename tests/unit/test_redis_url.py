# SPDX-License-Identifier: MIT
"""URLs of Redis: what they mean, and what is said of those that mean nothing."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest

from fraiseql_asgi import ConfigError, EventBusConfig
from fraiseql_asgi._redis_url import read


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("redis://cache", {"host": "cache", "port": 6379, "database": 0, "tls": False}),
        ("REDIS://Cache:7000/3", {"host": "cache", "port": 7000, "database": 3}),
        ("redis://cache/?db=4", {"database": 4}),
        ("redis://[::1]:6380", {"host": "::1", "port": 6380}),
        ("redis://:p%40ss@cache", {"user": None, "password": "p@ss"}),
        ("redis://me:s%2Fcret@cache", {"user": "me", "password": "s/cret"}),
        ("redis:///run/redis%20x.sock?db=2", {"path": "/run/redis x.sock", "database": 2}),
        ("redis://:secret@/run/r.sock", {"path": "/run/r.sock", "password": "secret"}),
        ("rediss://cache?ssl_server_name=a.b", {"tls": True, "server_name": "a.b"}),
        (
            "redis+sentinel://me:pw@one:7000,[::1],two/my%20master/2?sentinel_password=s",
            {
                "sentinels": (("one", 7000), ("::1", 26379), ("two", 26379)),
                "primary": "my master",
                "database": 2,
                "user": "me",
                "password": "pw",
                "sentinel_user": None,
                "sentinel_password": "s",
            },
        ),
        ("rediss+sentinel://one/m", {"tls": True, "sentinels": (("one", 26379),), "database": 0}),
    ],
)
def test_a_url_says_where_and_how(url: str, wanted: dict[str, Any]) -> None:
    settings = read(url)
    assert {name: settings[name] for name in wanted} == wanted


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis://", "names no host"),
        ("redis:///", "names no host"),
        ("redis://cache:port", "the port"),
        ("redis://cache:70000", "the port"),
        ("redis://cache:0", "the port"),
        ("redis://s3cret@cache", "a user without a password"),
        ("redis://cache/one", "must be a number, not 'one'"),
        ("redis://cache/-1", "must be a number"),
        ("redis://cache/99999999999", "must be a number"),
        ("redis://cache/1?db=2", "a database twice"),
        ("redis://cache?db=1&db=2", "'db' twice"),
        ("redis://cache?timeout=3", "unknown option 'timeout': there are db, ssl_ca_certs"),
        ("redis://cache?ssl_ca_certs=x", "redis:// has no TLS"),
        ("redis+sentinel:///mymaster", "names no Sentinel"),
        ("redis+sentinel://one,,two/mymaster", "names no Sentinel"),
        ("redis+sentinel://one,two:x/mymaster", "the port"),
        ("redis+sentinel://one,two", "what Sentinel calls the primary"),
        ("redis+sentinel://one/mymaster/two", "must be a number, not 'two'"),
        ("redis+sentinel://one/m?sentinel_user=me", "nothing without sentinel_password"),
        ("redis+sentinel://one/m?db=1", "unknown option 'db': there are sentinel_user"),
        (f"redis+sentinel://{','.join('abcdefghijklmnopq')}/m", "more than 16 sentinels"),
        ("rediss:///run/r.sock", "a unix socket has no TLS"),
        ("rediss://cache?ssl_ca_certs=/no/such", "a file that is not there: '/no/such'"),
        (f"rediss://cache?ssl_certfile={__file__}", "belong together"),
    ],
)
def test_a_url_that_cannot_be_is_refused_by_its_part(url: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        EventBusConfig.redis(url)
    assert told in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert caught.value.setting == "url"


def test_a_history_has_a_size() -> None:
    assert EventBusConfig.redis("redis://cache").history_events == 10_000
    assert EventBusConfig.redis("redis://cache", history_events=5).history_events == 5
    for wrong in (0, -1, 2**31):
        with pytest.raises(ConfigError, match="history_events must be "):
            EventBusConfig.redis("redis://cache", history_events=wrong)
    for value in (1.5, True, "7"):
        with pytest.raises(TypeError, match="history_events must be an int"):
            EventBusConfig.redis("redis://cache", history_events=value)  # type: ignore[arg-type]


def test_numbers_stand_in_the_url_or_are_arguments() -> None:
    config = EventBusConfig.from_url("redis://cache/1?shards=4&history_events=7")
    assert (config.shards, config.history_events) == (4, 7)
    config = EventBusConfig.redis("redis://cache?shards=4", history_events=7)
    assert (config.shards, config.history_events) == (4, 7)
    assert EventBusConfig.redis("redis+sentinel://a/b?shards=2").shards == 2
    with pytest.raises(ConfigError, match="shards is an argument and in the URL"):
        EventBusConfig.redis("redis://cache?shards=4", shards=4)
    with pytest.raises(ConfigError, match="shards in the Redis URL must be a whole number"):
        EventBusConfig.from_url("redis://cache?shards=four")
    for wrong in (0, -1, 17):
        with pytest.raises(ConfigError, match="shards must be "):
            EventBusConfig.redis(f"redis://cache?shards={wrong}")
    assert EventBusConfig.redis("redis://cache").keep_alive == 5.0
    assert EventBusConfig.redis("redis://cache?keep_alive=1.5").keep_alive == 1.5
    for text in ("0.9", "nan", "-1", "1e9"):
        with pytest.raises(ConfigError, match="keep_alive must be "):
            EventBusConfig.redis(f"redis://cache?keep_alive={text}")
    with pytest.raises(ConfigError, match="keep_alive in the Redis URL must be a number"):
        EventBusConfig.redis("redis://cache?keep_alive=1s")


def test_a_file_that_is_no_certificate_is_named(tmp_path: pathlib.Path) -> None:
    from fraiseql_asgi import BusError, SubscriptionExecutor

    nothing = tmp_path / "ca.pem"
    nothing.write_text("nothing\n")
    with pytest.raises(BusError, match=f'cannot use the CA file "{nothing}"'):
        SubscriptionExecutor(f"rediss://127.0.0.1:1?ssl_ca_certs={nothing}")
