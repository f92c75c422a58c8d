# SPDX-License-Identifier: MIT
"""Settings: which bus, and how much of everything.

Plain values, checked when they are made; nothing here connects or starts
anything.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from fraiseql_asgi import _lifecycle, _postgres_pruner, _redis_url
from fraiseql_asgi._core import EventBus
from fraiseql_asgi.errors import ConfigError

__all__ = [
    "BusSetting",
    "EventBusConfig",
    "Limits",
    "as_bus_config",
    "bus_from_environ",
    "redacted",
]

#: The buses that can be configured, and what a user calls them.
_BUSES = {"memory": "the embedded bus", "redis": "Redis", "postgresql": "PostgreSQL"}
#: The schemes of their URLs.
_SCHEMES = {
    "memory": "memory",
    **dict.fromkeys(_redis_url.SCHEMES, "redis"),
    "postgresql": "postgresql",
    "postgres": "postgresql",
}
#: Names the deployment on a Redis that nobody has named one for.
_CONSUMER_GROUP = "fraiseql"


#: What is kept in PostgreSQL unless somebody says otherwise.
_POSTGRESQL_HISTORY: dict[str, Any] = {
    "history_events": 1_000_000,
    "history_bytes": 2**30,
    "history_seconds": 3600.0,
}
_MAX_COUNT = 2**31 - 1
_MAX_BYTES = 2**40
#: What a bus gives back, FQ_EVENT_DATA_MAX of bus/event.h.
_MAX_EVENT_BYTES = 64 * 2**20


@dataclasses.dataclass(frozen=True)
class EventBusConfig:
    """Which bus carries the events.

    Made by `EventBusConfig.memory()`, `.redis(...)`, `.postgresql(...)` or
    from a URL; immutable, and free of connections until `create_bus`.
    """

    #: `"memory"`, `"redis"` or `"postgresql"`.
    bus_type: str
    #: Where the server is: a URL, for PostgreSQL any connection string. It may
    #: hold a password and is not shown.
    url: str = dataclasses.field(default="memory://", repr=False)
    #: Redis: the name of the deployment, whose instances share their events.
    consumer_group: str | None = None
    #: Events that are kept for clients that come back, the oldest go; of the
    #: embedded bus, 0: none; in Redis, where some more stay, at least 1; in
    #: PostgreSQL, 0: any number.
    history_events: int = 10_000
    #: The most they may take: of the embedded bus, as the core counts bytes; in
    #: PostgreSQL about, and 0 is as much as there are.
    history_bytes: int = 16 * 2**20
    #: How long they are kept, in seconds: by the embedded bus, and in Redis and
    #: PostgreSQL, where 0 is for ever.
    history_seconds: float = 300.0
    #: Redis: the streams its events are spread over, by their channels.
    shards: int = 1
    #: Redis: a server that is gone is noticed within two of these seconds.
    keep_alive: float = 5.0
    #: PostgreSQL: where to listen, if `url` leads to a pooler.
    listen_url: str | None = dataclasses.field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.bus_type not in _BUSES:
            raise ConfigError(
                f"unknown bus type {self.bus_type!r}: there are {_names(_BUSES)}",
                setting="bus_type",
            )
        for name, kinds, wanted, maximum in (
            ("history_events", (int,), "an int", _MAX_COUNT),
            ("history_bytes", (int,), "an int", _MAX_BYTES),
            ("history_seconds", (int, float), "a number of seconds", 10**9),
            ("shards", (int,), "an int", _redis_url.SHARDS_MAX),
            ("keep_alive", (int, float), "a number of seconds", 10**6),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, kinds):
                raise TypeError(f"{name} must be {wanted}, not {type(value).__name__}")
            if not 0 <= value <= maximum:
                raise ConfigError(f"{name} must be from 0 to {maximum}, not {value}", setting=name)
        if self.bus_type != "redis":
            return
        if self.history_events == 0:
            raise ConfigError(
                "history_events must be at least 1: the stream is how events travel",
                setting="history_events",
            )
        for name in ("shards", "keep_alive"):
            if getattr(self, name) < 1:
                raise ConfigError(
                    f"{name} must be at least 1, not {getattr(self, name)}", setting=name
                )

    @classmethod
    def memory(
        cls,
        *,
        history_events: int = 10_000,
        history_bytes: int = 16 * 2**20,
        history_seconds: float = 300.0,
    ) -> EventBusConfig:
        """The embedded bus: events reach the subscribers of this process.

        Args:
            history_events: events that are kept for clients that come back,
                0: none.
            history_bytes: the most they may take.
            history_seconds: how long.
        """
        return cls(
            "memory",
            history_events=history_events,
            history_bytes=history_bytes,
            history_seconds=history_seconds,
        )

    @classmethod
    def redis(
        cls,
        url: str,
        consumer_group: str = _CONSUMER_GROUP,
        *,
        history_events: int | None = None,
        history_seconds: float | None = None,
        shards: int | None = None,
        keep_alive: float | None = None,
    ) -> EventBusConfig:
        """A Redis that the instances of a deployment share.

        Args:
            url: `redis://[[user]:password@]host[:port][/database]`;
                `rediss://` with TLS, then `?ssl_ca_certs=`, `ssl_certfile=`,
                `ssl_keyfile=` and `ssl_server_name=`; `redis:///path` for a
                unix socket; `redis+sentinel://host,host/name[/database]` for
                the primary that Sentinel knows by that name, with
                `?sentinel_user=` and `sentinel_password=` for its own login.
            consumer_group: the name of the deployment: letters, digits, `_`,
                `-`, `.` and `:`. Its instances all get every event.
            history_events: events each stream keeps for those who come back
                (10,000); Redis keeps some more.
            history_seconds: how long it keeps them, about, if they are not too
                many before (0, which is any time).
            shards: streams that the events are spread over by their channels,
                1 to 16 (1). All instances need the same number, and with more
                than one there is an order within a channel only.
            keep_alive: a server, or a network, that is gone without a word is
                noticed within two of these seconds (5), at least 1.

        These numbers may also stand in the URL: `?shards=4`.

        Raises:
            ConfigError: the URL is none, there is no such name, or a number
                out of its range, or in the URL as well.
            TypeError: an argument has the wrong type.
        """
        _check_str("url", url)
        _check_str("consumer_group", consumer_group)
        _redis_url.read(url)
        if re.fullmatch(r"[\w.:-]{1,128}", consumer_group, re.ASCII) is None:
            raise ConfigError(
                "consumer_group must be 1 to 128 letters, digits, '_', '-', '.' and ':', "
                f"not {consumer_group!r}",
                setting="consumer_group",
            )
        numbers: dict[str, Any] = _redis_url.read_numbers(url)
        arguments = {
            "history_events": history_events,
            "history_seconds": history_seconds,
            "shards": shards,
            "keep_alive": keep_alive,
        }
        for name, value in arguments.items():
            if value is None:
                continue
            if name in numbers:
                raise ConfigError(f"{name} is an argument and in the URL", setting=name)
            numbers[name] = value
        return cls("redis", url, consumer_group, **{"history_seconds": 0, **numbers})

    @classmethod
    def postgresql(
        cls,
        connection_string: str,
        *,
        listen_connection_string: str | None = None,
        history_events: int | None = None,
        history_bytes: int | None = None,
        history_seconds: float | None = None,
    ) -> EventBusConfig:
        """A PostgreSQL that instances share.

        Args:
            connection_string: `postgresql://user@host/database`, or
                `host=... dbname=...`, as libpq takes it.
            listen_connection_string: the same database without the pooler
                that `connection_string` leads to, as a pooler hands no
                notifications on.
            history_events: events that are kept for clients that come back
                (1,000,000); the servers delete those beyond any of the
                limits. 0: any number. All three 0: they delete nothing.
            history_bytes: the most they may take, about (1 GiB), or 0.
            history_seconds: how long (3,600), or 0.

        These numbers may also stand in a URL: `?history_seconds=600`.

        Raises:
            ConfigError: it is empty, or a URL of something else; a number out
                of its range, or in the URL as well.
            TypeError: it is no str.
        """
        _check_connection_string("connection_string", connection_string)
        if listen_connection_string is not None:
            _check_connection_string("listen_connection_string", listen_connection_string)
        arguments = {
            "history_events": history_events,
            "history_bytes": history_bytes,
            "history_seconds": history_seconds,
        }
        dsn, numbers = _take_numbers(connection_string)
        for name, value in arguments.items():
            if value is None:
                continue
            if name in numbers:
                raise ConfigError(f"{name} is an argument and in the URL", setting=name)
            numbers[name] = value
        return cls(
            "postgresql",
            dsn,
            listen_url=listen_connection_string,
            **{**_POSTGRESQL_HISTORY, **numbers},
        )

    @classmethod
    def from_url(cls, url: str) -> EventBusConfig:
        """The bus named by `url`: `memory://`, `redis://`, `rediss://`, `postgresql://`.

        Those of Redis also with Sentinel: `redis+sentinel://`.

        Raises:
            ConfigError: the URL names no bus.
            TypeError: it is no str.
        """
        _check_str("the bus URL", url)
        if url == "memory://":
            return cls.memory()
        bus_type = _SCHEMES.get(url.partition("://")[0].lower()) if "://" in url else None
        if bus_type == "redis":
            return cls.redis(url)
        if bus_type == "postgresql":
            return cls.postgresql(url)
        what = "no such bus" if bus_type is None else "nothing may follow '://'"
        raise _unusable(url, what, (f"{scheme}://" for scheme in _SCHEMES))

    def create_bus(self) -> EventBus:
        """A bus of its own, to be shared by managers and executors.

        It connects at its first use and is to be closed by its maker, after
        those who use it.
        """
        bus = EventBus(self.bus_type, self._settings())
        _lifecycle.watch_bus(bus)
        if self.bus_type == "postgresql":
            retention = _postgres_pruner.Retention(
                self.history_seconds, self.history_events, self.history_bytes
            )
            if retention:
                _postgres_pruner.start(bus, self.url, retention)
        return bus

    def _settings(self) -> dict[str, Any]:
        """What the bus is made of, in C's words."""
        if self.bus_type == "postgresql":
            listen = {} if self.listen_url is None else {"listen_dsn": self.listen_url}
            return {"dsn": self.url, **listen}
        if self.bus_type != "redis":
            return {
                "history_events": self.history_events,
                "history_bytes": self.history_bytes,
                "history_seconds": self.history_seconds,
            }
        return {
            **_redis_url.read(self.url),
            "group": self.consumer_group or _CONSUMER_GROUP,
            "max_events": self.history_events,
            "max_age": float(self.history_seconds),
            "shards": self.shards,
            "keep_alive": float(self.keep_alive),
        }


def _check_str(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {type(value).__name__}")


def _check_connection_string(name: str, value: object) -> None:
    """Whether `value` is for libpq, which takes URLs, and keys with values."""
    _check_str(name, value)
    text = str(value)
    if not text.strip():
        raise ConfigError("Connection string cannot be empty", setting=name)
    if "\0" in text:
        raise ConfigError(f"{name} must not hold the character U+0000", setting=name)
    scheme, separator, _ = text.partition("://")
    is_url = separator and "=" not in scheme
    if is_url and _SCHEMES.get(scheme.lower()) != "postgresql":
        raise ConfigError(
            f"the connection string {redacted(text)!r} must start with "
            "postgresql://, or be keys and values such as host=localhost dbname=app",
            setting=name,
        )


def _take_numbers(text: str) -> tuple[str, dict[str, Any]]:
    """A connection string as libpq knows it, and what its query says of the history."""
    address, _, query = text.partition("?")
    numbers: dict[str, Any] = {}
    others = []
    for part in query.split("&") if "://" in address else ():
        name, _, value = part.partition("=")
        if name not in _POSTGRESQL_HISTORY:
            others.append(part)
            continue
        if name in numbers:
            raise ConfigError(f"{name} stands twice in the URL", setting=name)
        try:
            numbers[name] = float(value) if name == "history_seconds" else int(value)
        except ValueError:
            raise ConfigError(f"{name} must be a number, not {value!r}", setting=name) from None
    if not numbers:
        return text, {}
    return "?".join(filter(None, (address, "&".join(others)))), numbers


def _unusable(url: str, what: str, accepted: Iterable[str]) -> ConfigError:
    return ConfigError(
        f"cannot use the event bus {redacted(url)!r}: {what}; this version accepts "
        f"{_names(accepted)}",
        setting="event_bus_config",
    )


#: What managers and executors take as their bus.
BusSetting: TypeAlias = "str | EventBusConfig | EventBus"


def as_bus_config(setting: object) -> EventBusConfig | EventBus:
    """The bus a user named in whatever way, or TypeError, or ConfigError."""
    if isinstance(setting, str):
        setting = EventBusConfig.from_url(setting)
    if isinstance(setting, EventBus):
        return setting
    if isinstance(setting, EventBusConfig):
        return setting
    raise TypeError(
        "event_bus_config must be a URL, an EventBusConfig or an EventBus, "
        f"not {type(setting).__name__}"
    )


def bus_from_environ(environ: Mapping[str, str]) -> EventBusConfig:
    """The bus that FRAISEQL_ASGI_BUS and what belongs to it name.

    Raises:
        ConfigError: they name none, or where to listen for a bus that is told
            that by its URL.
    """
    bus = EventBusConfig.from_url(environ.get("FRAISEQL_ASGI_BUS") or "memory://")
    name = "FRAISEQL_ASGI_LISTEN_CONNECTION_STRING"
    listen = environ.get(name)
    if not listen:
        return bus
    if bus.bus_type != "postgresql":
        raise ConfigError(
            f"{name} is for PostgreSQL, which FRAISEQL_ASGI_BUS does not name", setting=name
        )
    return EventBusConfig.postgresql(bus.url, listen_connection_string=listen)


def _names(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names)


def redacted(url: str) -> str:
    """`url` without its password, wherever one is customary."""
    url = re.sub(r"(://[^:/?#]*):.*@", r"\1:***@", url)
    value = r"'(?:[^'\\]|\\.)*'|[^&\s]*"
    return re.sub(rf"(?i)(passw(?:or)?d\s*=\s*)(?:{value})", r"\1***", url)


def _limit(default: float, maximum: float, *, minimum: float = 1) -> Any:
    """A limit between `minimum` and `maximum`."""
    return dataclasses.field(default=default, metadata={"minimum": minimum, "maximum": maximum})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """What one client, one event and one document may use.

    Bytes are counted as UTF-8; `document_…` limits may be 0 for none.

    Raises:
        ConfigError: a number outside of its range.
        TypeError: not a number.
    """

    #: Messages that wait for one connection. Beyond it the client is too slow
    #: and closed with 1013; a subscription that is polled loses its oldest.
    queue_max_items: int = _limit(16384, _MAX_COUNT)
    #: Their bytes. An empty queue takes one message of any size.
    queue_max_bytes: int = _limit(4 * 2**20, _MAX_BYTES)
    #: One message of a client; a longer one closes its connection with 1009.
    message_max_bytes: int = _limit(2**20, _MAX_BYTES)
    #: Messages of one client in a second. Beyond it nothing more is read from
    #: it for a while; 0: no maximum.
    messages_per_second: float = _limit(100.0, 1e9, minimum=0)
    #: Messages it may send at once. One that has sent ten times as many too
    #: fast, without ever stopping to send, is closed with 1008.
    messages_burst: int = _limit(200, 10**6)
    #: The data of one event, checked when it is published.
    event_max_bytes: int = _limit(16 * 2**20, _MAX_EVENT_BYTES)
    #: Events of one subscription in a second, and as many at once. Those
    #: beyond are dropped, counted and told; 0: no maximum.
    events_per_second_per_subscription: float = _limit(0.0, 1e9, minimum=0)
    #: The same over all subscriptions of one user; anonymous ones have none.
    events_per_second_per_user: float = _limit(0.0, 1e9, minimum=0)
    #: Connections at a time. A further one is refused before it is accepted,
    #: with 503.
    max_connections: int = _limit(65536, _MAX_COUNT)
    #: Connections from one address at a time, 0: no maximum. A further one is
    #: refused with 503. An IPv6 network of 64 bits counts as one address, and a
    #: client whose address is not known has none.
    max_connections_per_address: int = _limit(4096, _MAX_COUNT, minimum=0)
    #: Connections of one user at a time, 0: no maximum. A further one is closed
    #: with 1013. Anonymous users have no maximum.
    max_connections_per_user: int = _limit(100, _MAX_COUNT, minimum=0)
    #: Connections opened in a second, and as many at once; a further one is
    #: refused before it is accepted, with 429. 0: no maximum.
    handshakes_per_second: float = _limit(20000.0, 1e9, minimum=0)
    #: The same from one address.
    handshakes_per_second_per_address: float = _limit(1000.0, 1e9, minimum=0)
    #: Subscriptions of one connection at a time.
    max_subscriptions_per_connection: int = _limit(100, _MAX_COUNT)
    #: Subscriptions of one user at a time, over all of its connections, 0: no
    #: maximum. Anonymous users have no maximum, and what the application
    #: subscribes for a user itself is not refused by it.
    max_subscriptions_per_user: int = _limit(1000, _MAX_COUNT, minimum=0)
    #: Resident bytes of the process beyond which new subscriptions are
    #: refused. 0: four fifths of what the machine, or the container, has.
    memory_limit: int = _limit(0, _MAX_BYTES, minimum=0)
    #: Seconds a connection may take to send connection_init.
    init_timeout: float = _limit(5.0, 86400.0, minimum=0.001)
    #: Seconds between two signs of life, where the protocol has them: streams
    #: over http and the older graphql-ws; and after which another client that
    #: has said nothing is sent a ping. 0: none.
    keep_alive: float = _limit(12.0, 86400.0, minimum=0)
    #: Seconds it has for an answer, and that a close may take of one that does
    #: not read; then its connection is given up.
    keep_alive_timeout: float = _limit(20.0, 86400.0, minimum=0.001)
    #: The text of one document.
    document_max_bytes: int = _limit(64 * 2**10, _MAX_BYTES, minimum=0)
    #: Its tokens, punctuation included.
    document_max_tokens: int = _limit(5000, _MAX_COUNT, minimum=0)
    #: Nested fields; `{ a { b } }` has 2.
    document_max_depth: int = _limit(15, 200, minimum=0)
    #: Fields after all fragments are expanded.
    document_max_fields: int = _limit(500, _MAX_COUNT, minimum=0)
    #: Fields with an alias.
    document_max_aliases: int = _limit(100, _MAX_COUNT, minimum=0)
    #: Directives on one node.
    document_max_directives: int = _limit(20, _MAX_COUNT, minimum=0)
    #: Compiled documents kept for those who send the same again.
    max_plans: int = _limit(1024, _MAX_COUNT)
    #: Their bytes.
    max_plan_bytes: int = _limit(32 * 2**20, _MAX_BYTES)
    #: Events that wait for the resolver of one subscription.
    max_pending: int = _limit(16384, _MAX_COUNT)

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            kinds = (int, float) if field.type == "float" else (int,)
            if isinstance(value, bool) or not isinstance(value, kinds):
                wanted = "a number" if field.type == "float" else "an int"
                raise TypeError(f"{field.name} must be {wanted}, not {type(value).__name__}")
            minimum, maximum = field.metadata["minimum"], field.metadata["maximum"]
            if not minimum <= value <= maximum:
                raise ConfigError(
                    f"{field.name} must be from {minimum} to {maximum}, not {value}",
                    setting=field.name,
                )

    def as_dict(self) -> dict[str, float]:
        """Every limit by its name."""
        return dataclasses.asdict(self)


def check_seconds(name: str, value: object, *, is_zero_allowed: bool = False) -> float:
    """`value` as a duration in seconds above 0, at most a day."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number of seconds, not {type(value).__name__}")
    if value == 0 and is_zero_allowed:
        return 0.0
    if not 0 < value <= 86400:
        raise ConfigError(
            f"{name} must be above 0 and at most 86400 seconds, not {value}", setting=name
        )
    return float(value)
