# SPDX-License-Identifier: MIT
"""Fixtures of all tests: the buses that one behavioural suite runs over."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from buses import BusKind, Memory, PostgreSQL, Redis

from fraiseql_asgi import EventBusConfig


@pytest.fixture(scope="session")
def redis_kind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    """A Redis for tests that do it no harm."""
    kind = Redis.start(tmp_path_factory.mktemp("redis"))
    yield kind
    kind.close()


@pytest.fixture(scope="session")
def postgresql_kind() -> Iterator[PostgreSQL]:
    """A PostgreSQL for tests that do it no harm."""
    kind = PostgreSQL()
    yield kind
    kind.close()


def _kind_of(request: pytest.FixtureRequest) -> Iterator[BusKind]:
    if request.param == "memory":
        yield Memory()
        return
    name, _, shards = request.param.partition(" in ")
    kind: BusKind = request.getfixturevalue(f"{name}_kind")
    yield kind.in_shards(3) if shards and isinstance(kind, Redis) else kind
    if isinstance(kind, PostgreSQL):
        kind.recycle()


@pytest.fixture(params=["memory", "redis", "redis in shards", "postgresql"])
def bus_kind(request: pytest.FixtureRequest) -> Iterator[BusKind]:
    """Each kind of bus, for what is the same on all."""
    yield from _kind_of(request)


@pytest.fixture(params=["redis", "postgresql"])
def shared_kind(request: pytest.FixtureRequest) -> Iterator[BusKind]:
    """Each kind of bus that processes share."""
    yield from _kind_of(request)


@pytest.fixture
def bus(bus_kind: BusKind) -> EventBusConfig:
    """One that nobody has published on."""
    return bus_kind.new()
