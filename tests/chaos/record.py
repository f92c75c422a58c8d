# SPDX-License-Identifier: MIT
"""What was seen in one run: by publishers, by clients, and what was done to it.
Times are seconds from the run's beginning."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

#: The place of an entry in a stream of Redis.
Place = tuple[int, int]

ItemKind = Literal[
    "subscribe",  # asked for: `after` is a position, or None for a fresh beginning
    "live",  # the server has said that it is
    "event",  # number `n`; `dropped` others were lost before it, as it said
    "gap",  # EVENTS_LOST, and the subscription goes on
    "lost",  # POSITION_LOST, and the subscription is over
    "unavailable",  # BUS_UNAVAILABLE: it never began
    "stall",  # the client stops reading
    "read",  # and reads again
    "end",  # of the connection, with `told` why
    "wrong",  # what no server should say
]


@dataclasses.dataclass
class Publish:
    """One event, and what its publisher was told."""

    n: int
    channel: str
    via: str
    began: float
    ended: float = math.inf
    #: Only "acknowledged" must arrive, "refused" must not; "unknown" may, once.
    outcome: Literal["acknowledged", "unknown", "refused"] = "unknown"
    #: Where it stands in the stream, if the bus has one order and has told.
    place: Place | None = None
    told: str = ""

    @property
    def until(self) -> float:
        """When it was certainly in the bus."""
        return self.ended if self.outcome == "acknowledged" else math.inf


@dataclasses.dataclass
class Fault:
    """Something that was done to the system."""

    what: str
    began: float
    ended: float = math.inf
    #: Whether events may be lost by it, which has to be told.
    may_lose: bool = False
    #: May lose: what comes before this place only (a trimmed stream).
    below: Place | None = None
    #: A server that lost acknowledged events and cannot know it: those behind
    #: the first place, up to the second.
    beyond: Place | None = None
    upto: Place = (0, 0)
    #: An instance may hear nothing of its bus until then, and tells only behind
    #: that of what was lost before.
    blind_until: float = 0.0
    detail: str = ""


@dataclasses.dataclass
class Item:
    """One thing that a client saw or did."""

    at: float
    what: ItemKind
    n: int = -1
    dropped: int = 0
    after: str | None = None
    told: str = ""


@dataclasses.dataclass
class Client:
    """All that one client saw, over all of its connections."""

    name: str
    channels: tuple[str, ...]
    #: What becomes of messages that it does not read in time; "counted": some are
    #: dropped, and told in number, not in their place.
    policy: str = "disconnect"
    #: Whether it reads all the time, so that nothing has to be dropped.
    is_slow: bool = False
    items: list[Item] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Exit:
    """A process that ended."""

    name: str
    at: float
    code: int
    wanted: int
    #: Lines of its log that must not be there.
    faults: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Record:
    title: str
    publishes: dict[int, Publish] = dataclasses.field(default_factory=dict)
    faults: list[Fault] = dataclasses.field(default_factory=list)
    clients: list[Client] = dataclasses.field(default_factory=list)
    exits: list[Exit] = dataclasses.field(default_factory=list)
    #: Entries that a stream keeps at least, where it is trimmed by itself.
    history_events: int = 10_000
    #: Whether channels have an order of their own each.
    is_sharded: bool = False
    #: When nothing was harmed any more.
    calm_at: float = 0.0
    #: Numbers of the events that were published after that, to see everybody
    #: come back.
    last: set[int] = dataclasses.field(default_factory=set)
    #: What was left in the instances when all clients had gone, and should not.
    remains: list[str] = dataclasses.field(default_factory=list)
