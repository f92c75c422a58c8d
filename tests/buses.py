# SPDX-License-Identifier: MIT
"""The buses that one behavioural suite runs over: how each is made, what another
program says to it, and how it comes to forget."""

from __future__ import annotations

import itertools
import pathlib
import zlib
from typing import Any

from backends import Postgres
from redis_backend import RedisServer

from fraiseql_asgi import EventBusConfig
from fraiseql_asgi._core import PostgresClient

__all__ = ["BusKind", "Memory", "PostgreSQL", "Redis"]

_numbers = itertools.count(1)


class BusKind:
    """A kind of bus; those it makes are strangers to each other, and each is
    known by its URL alone."""

    name: str
    #: Whether other processes, or another manager with the same configuration,
    #: share its events.
    is_shared: bool = True

    def new(self, **history: Any) -> EventBusConfig:
        """One that nobody has published on. `history` is what is kept, in the
        words of `EventBusConfig.memory`; a kind ignores what it cannot bound."""
        raise NotImplementedError

    def add(self, config: EventBusConfig, channel: str, data: str) -> None:
        """Publish the text `data` as a program without our package does."""
        raise NotImplementedError

    def add_wrong(self, config: EventBusConfig, channel: str) -> None:
        """Write an entry that is no event, past everything that would refuse it."""
        raise NotImplementedError

    def forget(self, config: EventBusConfig, channel: str) -> None:
        """Drop what was published on `channel`, as happens to what is old, up to
        the last event; that of a `history_events=2` goes by itself."""

    def renew(self, config: EventBusConfig) -> None:
        """Replace it by an empty one, as if it had been installed anew."""
        raise NotImplementedError

    def close(self) -> None:
        """End what was started for it."""


class Memory(BusKind):
    name = "memory"
    is_shared = False

    def new(self, **history: Any) -> EventBusConfig:
        return EventBusConfig.memory(**history)


class Redis(BusKind):
    """Each bus in a database of its own."""

    name = "redis"

    def __init__(self, server: RedisServer, n_shards: int = 1) -> None:
        self.server = server
        self.n_shards = n_shards

    @classmethod
    def start(cls, folder: pathlib.Path) -> Redis:
        server = RedisServer(folder, databases="10000")
        server.start()
        return cls(server)

    def in_shards(self, n_shards: int) -> Redis:
        """The same server, and buses of so many streams."""
        return Redis(self.server, n_shards)

    def new(self, **history: Any) -> EventBusConfig:
        url = self.server.url(next(_numbers))
        if self.n_shards > 1:
            url += f"?shards={self.n_shards}"
        kept = {"history_events": history.get("history_events", 10_000)}
        return EventBusConfig.redis(url, **kept)

    def command(self, config: EventBusConfig, *words: str | int) -> object:
        """The answer to one command in the database of `config`."""
        with self.server.connect() as client:
            client.command("SELECT", config.url.rpartition("/")[2].partition("?")[0])
            return client.command(*words)

    def stream_of(self, channel: str) -> str:
        if self.n_shards == 1:
            return "fraiseql:events"
        return f"fraiseql:events:{zlib.crc32(channel.encode()) % self.n_shards}"

    def add(self, config: EventBusConfig, channel: str, data: str) -> None:
        entry = ("channel", channel, "data", data)
        self.command(config, "XADD", self.stream_of(channel), "*", *entry)

    def add_wrong(self, config: EventBusConfig, channel: str) -> None:
        self.add(config, channel, "[]")

    def forget(self, config: EventBusConfig, channel: str) -> None:
        # Its last entry stays; other channels' may come behind it.
        found = self.command(config, "XREVRANGE", self.stream_of(channel), "+", "-")
        assert isinstance(found, list)
        (last, *_) = [key for key, fields in found if fields[:2] == ["channel", channel]]
        self.command(config, "XTRIM", self.stream_of(channel), "MINID", last)

    def renew(self, config: EventBusConfig) -> None:
        self.command(config, "FLUSHDB")

    def close(self) -> None:
        self.server.stop()


class PostgreSQL(BusKind):
    """Each bus in a database of its own."""

    name = "postgresql"

    def __init__(self) -> None:
        self.server = Postgres()
        #: Databases that no test uses any more.
        self._spare: list[str] = []
        self._used: list[str] = []

    def new(self, **history: Any) -> EventBusConfig:
        if self._spare:
            database = self._spare.pop()
        else:
            database = f"bus{next(_numbers)}"
            self.server.connect().execute(f"CREATE DATABASE {database}")
        self._used.append(database)
        self.server.fresh(database)
        return EventBusConfig.postgresql(self.server.dsn_of("owner", database))

    def recycle(self) -> None:
        """What has been made so far may be made again."""
        self._spare += self._used
        self._used.clear()

    def client(self, config: EventBusConfig) -> PostgresClient:
        """A new connection to its database, as its owner."""
        return PostgresClient(config.url + "&application_name=test")

    def add(self, config: EventBusConfig, channel: str, data: str) -> None:
        self.client(config).execute(
            "SELECT fraiseql.publish($1, 'sql', $2::jsonb)", (channel, data)
        )

    def add_wrong(self, config: EventBusConfig, channel: str) -> None:
        self.client(config).execute(
            "INSERT INTO fraiseql.outbox (channel, event_type, data) VALUES ($1, 'sql', '[]')",
            (channel,),
        )

    def forget(self, config: EventBusConfig, channel: str) -> None:
        # A row with no age: all that has ended before it goes.
        self.client(config).execute("SELECT fraiseql.prune('0s')")

    def renew(self, config: EventBusConfig) -> None:
        # Servers see at each look whose history it is.
        self.client(config).execute(
            "BEGIN; UPDATE fraiseql.install SET install_id = gen_random_uuid(); "
            "TRUNCATE fraiseql.outbox; COMMIT"
        )

    def close(self) -> None:
        self.server.close()
