# SPDX-License-Identifier: MIT
"""Settings: which bus, and how much of everything.

Plain values, checked when they are made; nothing here connects or starts
anything.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Any, TypeAlias

from fraiseql_asgi import _lifecycle
from fraiseql_asgi._core import EventBus
from fraiseql_asgi.errors import ConfigError

__all__ = ["BusSetting", "EventBusConfig", "Limits", "as_bus_config"]

#: The buses this version has, as a user names them.
_BUSES = {"memory": "memory://"}
#: Buses that are known, so that they are told apart from a typing error.
_FOREIGN_SCHEMES = {
    "redis": "Redis",
    "rediss": "Redis",
    "postgresql": "PostgreSQL",
    "postgres": "PostgreSQL",
}


@dataclasses.dataclass(frozen=True)
class EventBusConfig:
    """Which bus carries the events.

    Made by `EventBusConfig.memory()` or from a URL; immutable, and free of
    connections until `create_bus`.
    """

    #: `"memory"`.
    bus_type: str

    def __post_init__(self) -> None:
        if self.bus_type not in _BUSES:
            raise ConfigError(
                f"unknown bus type {self.bus_type!r}: this version has {_names(_BUSES)}",
                setting="bus_type",
            )

    @classmethod
    def memory(cls) -> EventBusConfig:
        """The embedded bus: events reach the subscribers of this process."""
        return cls("memory")

    @classmethod
    def from_url(cls, url: str) -> EventBusConfig:
        """The bus named by `url`: `memory://`.

        Raises:
            ConfigError: the URL names no bus of this version.
            TypeError: it is no str.
        """
        if not isinstance(url, str):
            raise TypeError(f"the bus URL must be a str, not {type(url).__name__}")
        if url == _BUSES["memory"]:
            return cls.memory()
        scheme = url.partition("://")[0].lower() if "://" in url else ""
        accepted = f"this version accepts {_names(_BUSES.values())}"
        if scheme in _FOREIGN_SCHEMES:
            what = f"{_FOREIGN_SCHEMES[scheme]} is not available yet"
        elif scheme in _BUSES:
            what = "nothing may follow '://'"
        else:
            what = "no such bus"
        raise ConfigError(
            f"cannot use the event bus {_redacted(url)!r}: {what}; {accepted}",
            setting="event_bus_config",
        )

    def create_bus(self) -> EventBus:
        """A bus of its own, to be shared by managers and executors.

        It connects at its first use and is to be closed by its maker, after
        those who use it.
        """
        bus = EventBus(self.bus_type)
        _lifecycle.watch_bus(bus)
        return bus


#: What managers and executors take as their bus.
BusSetting: TypeAlias = "str | EventBusConfig | EventBus"


def as_bus_config(setting: object) -> EventBusConfig | EventBus:
    """The bus a user named in whatever way, or TypeError, or ConfigError."""
    if isinstance(setting, (EventBusConfig, EventBus)):
        return setting
    if isinstance(setting, str):
        return EventBusConfig.from_url(setting)
    raise TypeError(
        "event_bus_config must be a URL, an EventBusConfig or an EventBus, "
        f"not {type(setting).__name__}"
    )


def _names(names: Any) -> str:
    return ", ".join(repr(name) for name in names)


def _redacted(url: str) -> str:
    """`url` without its password, wherever one is customary."""
    url = re.sub(r"(://[^:/?#]*):.*@", r"\1:***@", url)
    return re.sub(r"(?i)(passw(?:or)?d=)[^&\s]*", r"\1***", url)


_MAX_COUNT = 2**31 - 1
_MAX_BYTES = 2**40


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
    event_max_bytes: int = _limit(16 * 2**20, _MAX_BYTES)
    #: Events of one subscription in a second, and as many at once. Those
    #: beyond are dropped, counted and told; 0: no maximum.
    events_per_second_per_subscription: float = _limit(0.0, 1e9, minimum=0)
    #: The same over all subscriptions of one user; anonymous ones have none.
    events_per_second_per_user: float = _limit(0.0, 1e9, minimum=0)
    #: Connections at a time. A further one is refused before it is accepted,
    #: with 503.
    max_connections: int = _limit(65536, _MAX_COUNT)
    #: Connections of one user at a time, 0: no maximum. A further one is closed
    #: with 1013. Anonymous users have no maximum.
    max_connections_per_user: int = _limit(100, _MAX_COUNT, minimum=0)
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


def check_seconds(name: str, value: object) -> float:
    """`value` as a duration in seconds above 0, at most a day."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number of seconds, not {type(value).__name__}")
    if not 0 < value <= 86400:
        raise ConfigError(
            f"{name} must be above 0 and at most 86400 seconds, not {value}", setting=name
        )
    return float(value)
