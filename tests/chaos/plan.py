# SPDX-License-Identifier: MIT
"""What a seed means: which bus, who is there, and what happens when."""

from __future__ import annotations

import dataclasses
import random
import zlib

__all__ = ["KINDS", "Act", "ClientPlan", "Plan", "make_plan"]

#: Of the bus.
KINDS = (
    *("redis-always", "postgresql", "redis-none", "redis-everysec", "redis-shards"),
    "redis-failover",
)
#: By seed in turn, so that each few runs see all of them; the last one takes
#: every other turn of the one that loses its end otherwise.
_TURNS = (*KINDS[:5], *KINDS[:3], "redis-failover", "redis-shards")
CHANNELS = ("a", "b")
N_INSTANCES = 2
#: What publishers bring to instances.
TOKEN = "chaos"
#: Seconds in which faults begin, behind a quiet while in which all get going.
FAULTS_FROM, FAULTS_UNTIL = 0.5, 4.5

#: What can be done to whom, and how often. A duration is drawn where there is
#: one, in seconds.
Choice = tuple[str, int, tuple[float, float]]
_INSTANCE: tuple[Choice, ...] = (
    ("worker-kill", 3, (0.0, 0.8)),
    ("worker-restart", 3, (0.0, 0.3)),
    ("worker-pause", 3, (0.1, 2.0)),
)
_LINK: tuple[Choice, ...] = (
    ("link-hold", 3, (0.1, 2.0)),
    ("link-hold-up", 1, (0.1, 1.5)),
    ("link-hold-down", 1, (0.1, 1.5)),
    ("link-reset", 3, (0.0, 0.0)),
    ("link-refuse", 2, (0.1, 1.5)),
    ("link-delay", 1, (0.5, 2.0)),
    ("link-half-open", 1, (0.0, 0.0)),
)
_REDIS: tuple[Choice, ...] = (
    ("redis-kill", 4, (0.0, 1.0)),
    ("redis-restart", 2, (0.0, 0.5)),
    ("redis-pause", 3, (0.1, 2.0)),
    ("redis-drop-clients", 2, (0.0, 0.0)),
    ("redis-flush", 2, (0.0, 0.0)),
    ("redis-trim", 2, (0.0, 0.0)),
    ("redis-full", 1, (0.1, 1.0)),
    ("redis-replica", 1, (0.1, 1.0)),
)
#: Where there are replicas to take over.
_FAILOVER: tuple[Choice, ...] = (*_REDIS, ("redis-failover", 9, (0.0, 0.5)))
_POSTGRES: tuple[Choice, ...] = (
    ("postgres-terminate", 4, (0.0, 0.0)),
    ("postgres-restart", 2, (0.0, 0.5)),
    ("postgres-crash", 2, (0.0, 0.5)),
    ("postgres-pause", 2, (0.1, 2.0)),
    ("postgres-prune", 2, (0.0, 0.0)),
    ("postgres-gates", 1, (0.3, 1.5)),
    ("postgres-reinstall", 1, (0.0, 0.0)),
)
_CLIENT: tuple[Choice, ...] = (("client-vanish", 1, (0.0, 0.0)),)
_BURST: tuple[Choice, ...] = (("burst", 1, (0.0, 0.0)),)


#: Of entries left, and of events at once.
_NUMBERS = {"redis-trim": (1, 5, 50, 200), "burst": (100, 300, 700)}


@dataclasses.dataclass(frozen=True)
class Act:
    """One fault: `target` is an instance or a client, by number."""

    at: float
    what: str
    target: int = 0
    seconds: float = 0.0
    number: int = 0

    def __str__(self) -> str:
        lasting = f" for {self.seconds:.3f} s" if self.seconds else ""
        number = f" {self.number}" if self.number else ""
        return f"{self.at:.3f} {self.what}{number} ({self.target}){lasting}"


@dataclasses.dataclass(frozen=True)
class ClientPlan:
    how: str  # "websocket" or "stream"
    field: str
    channels: tuple[str, ...]
    policy: str = "disconnect"
    resumes: bool = True
    #: Seconds of a connection, about; 0: until something ends it.
    stays: float = 0.0
    #: Seconds in which it reads, and does not, by turns; 0: it always reads.
    reads: float = 0.0
    stalls: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.how}:{self.field}{'' if self.resumes else ':plain'}"


@dataclasses.dataclass(frozen=True)
class Plan:
    seed: int
    kind: str
    queue_items: int
    queue_bytes: int
    history_events: int
    events_per_second: float
    pad: int
    clients: tuple[ClientPlan, ...]
    acts: tuple[Act, ...]

    @property
    def bus(self) -> str:
        return self.kind.partition("-")[0]

    @property
    def persistence(self) -> str:
        found = self.kind.partition("-")[2]
        return "always" if found in ("shards", "failover") else found

    @property
    def shards(self) -> int:
        return 3 if self.kind == "redis-shards" else 1

    def stream(self, channel: str) -> str:
        """Where another program adds its events."""
        if self.shards == 1:
            return "chaos:events"
        return f"chaos:events:{zlib.crc32(channel.encode()) % self.shards}"


def _clients(chance: random.Random) -> tuple[ClientPlan, ...]:
    both = CHANNELS
    stall = (chance.uniform(0.2, 0.8), chance.uniform(0.8, 2.0))
    stay = chance.choice((0.0, chance.uniform(0.05, 1.0)))
    always = [
        ClientPlan("websocket", "a", ("a",)),
        ClientPlan("websocket", "both", both, stays=chance.uniform(0.02, 0.5)),
        ClientPlan("stream", "both", both, stays=chance.uniform(0.02, 0.5)),
        ClientPlan("websocket", "both", both),
        ClientPlan("websocket", "b", ("b",), resumes=False),
        ClientPlan("websocket", "both", both, resumes=False),
        ClientPlan("stream", "a", ("a",)),
        ClientPlan("stream", "both", both),
    ]
    some = [
        ClientPlan("websocket", "resolved", both, stays=stay),
        ClientPlan("stream", "resolved", both, stays=stay),
        ClientPlan("websocket", "shared", both, stays=stay),
        ClientPlan("stream", "shared", both, stays=stay),
        ClientPlan("websocket", "resolved", both, resumes=False),
    ]
    slow = [
        ClientPlan("websocket", "oldest", ("a",), "drop_oldest", False, 0.0, *stall),
        ClientPlan("websocket", "oldest", ("a",), "drop_oldest", True, stay, *stall),
        ClientPlan("websocket", "newest", ("a",), "drop_newest", False, 0.0, *stall),
        ClientPlan("websocket", "newest", ("a",), "drop_newest", True, 0.0, *stall),
        ClientPlan("websocket", "latest", ("a",), "conflate", False, 0.0, *stall),
        ClientPlan("websocket", "a", ("a",), "disconnect", True, 0.0, *stall),
        ClientPlan("websocket", "a", ("a",), "disconnect", False, 0.0, *stall),
        ClientPlan("websocket", "oldestResolved", ("a",), "counted", True, stay, *stall),
    ]
    return (*always, *chance.sample(some, 2), *chance.sample(slow, 3))


def _acts(chance: random.Random, kind: str, clients: tuple[ClientPlan, ...]) -> tuple[Act, ...]:
    of_bus = _REDIS if kind.startswith("redis") else _POSTGRES
    if kind == "redis-failover":
        of_bus = _FAILOVER
    groups = [(of_bus, 4), (_LINK, 3), (_INSTANCE, 3), (_CLIENT, 1), (_BURST, 1)]
    acts = []
    for i in range(chance.randint(3, 8)):
        # The first is the bus's, so that each run has one.
        (group,) = [of_bus] if i == 0 else chance.choices(*_weighed(groups))
        what, _, seconds = chance.choices(group, [choice[1] for choice in group])[0]
        target = chance.randrange(len(clients) if group is _CLIENT else N_INSTANCES)
        at = chance.uniform(FAULTS_FROM, FAULTS_UNTIL)
        number = chance.choice(_NUMBERS.get(what, (0,)))
        acts.append(Act(at, what, target, chance.uniform(*seconds), number))
    return tuple(sorted(acts, key=lambda act: act.at))


def _weighed(
    groups: list[tuple[tuple[Choice, ...], int]],
) -> tuple[list[tuple[Choice, ...]], list[int]]:
    return [group for group, _ in groups], [weight for _, weight in groups]


def make_plan(seed: int, kind: str | None = None) -> Plan:
    """The run that `seed` means; the same each time."""
    chance = random.Random(f"chaos {seed}")
    kind = kind or _TURNS[seed % len(_TURNS)]
    clients = _clients(chance)
    small = chance.random() < 0.7
    return Plan(
        seed=seed,
        kind=kind,
        queue_items=chance.choice((48, 200)) if small else 16384,
        queue_bytes=chance.choice((2**17, 2**20)) if small else 4 * 2**20,
        history_events=chance.choice((10_000, 10_000, 10_000, 300)),
        events_per_second=chance.choice((60.0, 150.0, 300.0)),
        pad=chance.choice((0, 500, 2000)),
        clients=clients,
        acts=_acts(chance, kind, clients),
    )
