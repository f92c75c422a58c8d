# SPDX-License-Identifier: MIT
"""Whether what was seen in a run is what may be seen.

A client's life falls into *chains*: a subscription and those that went on behind
its last position. In a chain no event comes twice, all come in an order that the
bus allows, and an acknowledged event may be missing only in a place where the
client was told of a gap, or of as many dropped messages as there are missing.
A fresh subscription begins a new chain: what came between the two is missed, as
the client knows. Each told gap needs a fault that can have caused it.

The order is what publishers know of it. An event whose publisher had its answer
before another publisher began comes first; where the bus has one order and tells
it (Redis), places decide. Of two others either may be first.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
import math

from .record import Client, Exit, Fault, Item, Place, Publish, Record

__all__ = ["Verdict", "judge"]

#: A fault that ended so long before a subscription began cannot be seen by it.
LAG = 5.0
#: What counts of a chain: all else is told about connections.
_SEEN = ("event", "gap", "lost")


@dataclasses.dataclass
class Verdict:
    wrongs: list[str] = dataclasses.field(default_factory=list)
    #: Why things are as they are that one might wonder about.
    reasons: list[str] = dataclasses.field(default_factory=list)
    n_received: int = 0
    n_gaps: int = 0
    n_dropped: int = 0
    n_chains: int = 0
    n_resumed: int = 0
    #: From calm until the last client had an event again.
    recovered: float = 0.0

    @property
    def is_good(self) -> bool:
        return not self.wrongs


@dataclasses.dataclass
class Chain:
    name: str
    client: Client
    began: float
    #: When it was known to be live.
    live: float = math.inf
    items: list[Item] = dataclasses.field(default_factory=list)


def is_before(one: Publish, other: Publish) -> bool:
    """Whether `one` certainly comes before `other`."""
    if one.place is not None and other.place is not None:
        return one.place < other.place
    return one.until < other.began


def chains_of(client: Client) -> list[Chain]:
    chains: list[Chain] = []
    for item in client.items:
        if item.what == "subscribe" and item.after is None:
            chains.append(Chain(f"{client.name}.{len(chains) + 1}", client, item.at))
        if not chains:
            continue
        chain = chains[-1]
        if item.what == "live":
            chain.live = min(chain.live, item.at)
        elif item.what in _SEEN:
            chain.items.append(item)
    return chains


def _parts(record: Record, chain: Chain) -> list[Chain]:
    """What has one order: the chain, or what it got of each channel."""
    if not record.is_sharded:
        return [chain]
    return [
        Chain(
            f"{chain.name}:{channel}",
            dataclasses.replace(chain.client, channels=(channel,)),
            chain.began,
            chain.live,
            [
                item
                for item in chain.items
                if item.what != "event" or record.publishes[item.n].channel == channel
            ],
        )
        for channel in chain.client.channels
    ]


def judge(record: Record) -> Verdict:
    verdict = Verdict()
    for client in record.clients:
        _judge_client(record, client, verdict)
    for end in record.exits:
        _judge_exit(end, verdict)
    verdict.wrongs += record.remains
    return verdict


def _judge_exit(end: Exit, verdict: Verdict) -> None:
    if end.code != end.wanted:
        verdict.wrongs.append(f"{end.name} ended with {end.code}, not {end.wanted}")
    verdict.wrongs += [f"{end.name} has logged: {line}" for line in end.faults]


def _judge_client(record: Record, client: Client, verdict: Verdict) -> None:
    wrongs = verdict.wrongs
    for item in client.items:
        if item.what == "wrong":
            wrongs.append(f"{client.name} at {item.at:.3f}: {item.told}")
        if item.what == "subscribe" and item.after is not None:
            verdict.n_resumed += 1
    chains = chains_of(client)
    verdict.n_chains += len(chains)
    for chain in chains:
        known = _judge_events(record, chain, verdict)
        if known and client.policy in ("conflate", "counted"):
            _judge_counted(record, chain, verdict)
        elif known:
            for part in _parts(record, chain):
                _judge_order(record, part, verdict)
                _judge_missing(record, part, verdict)
        _judge_gaps(record, chain, verdict)
    for channel in client.channels:
        back = [
            item.at
            for item in client.items
            if item.n in record.last and record.publishes[item.n].channel == channel
        ]
        if not back:
            wrongs.append(
                f"{client.name} got nothing of {channel!r} after all had calmed down at "
                f"{record.calm_at:.3f}"
            )
        else:
            verdict.recovered = max(verdict.recovered, back[0] - record.calm_at)


def _judge_events(record: Record, chain: Chain, verdict: Verdict) -> bool:
    """Whether each event is one that was published, and came once."""
    wrongs = verdict.wrongs
    n_wrongs = len(wrongs)
    seen: dict[int, Item] = {}
    for item in chain.items:
        if item.what != "event":
            continue
        verdict.n_received += 1
        verdict.n_dropped += item.dropped
        event = record.publishes.get(item.n)
        where = f"{chain.name} at {item.at:.3f}: event {item.n}"
        if event is None:
            wrongs.append(f"{where} was published by nobody")
        elif event.channel not in chain.client.channels:
            wrongs.append(f"{where} is of another channel, {event.channel!r}")
        elif event.outcome == "refused":
            wrongs.append(f"{where} came, though its publisher was refused: {event.told}")
        elif item.at < event.began:
            wrongs.append(f"{where} came before it was published at {event.began:.3f}")
        if item.n in seen:
            wrongs.append(f"{where} came twice, first at {seen[item.n].at:.3f}")
        seen.setdefault(item.n, item)
        if item.dropped and not chain.client.is_slow:
            wrongs.append(f"{where} tells of {item.dropped} dropped to a client that reads")
    return len(wrongs) == n_wrongs


def _judge_order(record: Record, chain: Chain, verdict: Verdict) -> None:
    latest: Publish | None = None  # of those with a place
    newest: Publish | None = None  # the one that began last
    for item in chain.items:
        if item.what != "event":
            continue
        event = record.publishes[item.n]
        for earlier in (latest, newest):
            if earlier is not None and is_before(event, earlier):
                verdict.wrongs.append(
                    f"{chain.name} at {item.at:.3f}: event {event.n} came behind {earlier.n}, "
                    f"which comes later: {_told(event)}, {_told(earlier)}"
                )
                return
        if event.place is not None and (
            latest is None or latest.place is None or event.place > latest.place
        ):
            latest = event
        if newest is None or event.began > newest.began:
            newest = event


def _told(event: Publish) -> str:
    place = "" if event.place is None else f" as {event.place[0]}-{event.place[1]}"
    return f"{event.n} {event.outcome} {event.began:.3f} to {event.ended:.3f}{place}"


class _Sides:
    """For each point of a chain, what may have come there: behind all that came
    before it, and before all that came after."""

    def __init__(self, record: Record, items: list[Item]) -> None:
        self.items = items
        n = len(items)
        #: Of the first i items: the greatest place, and the latest beginning.
        self.place_before: list[Place] = [(0, 0)] * (n + 1)
        self.began_before: list[float] = [-math.inf] * (n + 1)
        #: Of those from the i-th on: the least place, and the earliest end.
        self.place_after: list[Place] = [(2**64, 0)] * (n + 1)
        self.until_after: list[float] = [math.inf] * (n + 1)
        for i, item in enumerate(items):
            place, began = self.place_before[i], self.began_before[i]
            if item.what == "event":
                event = record.publishes[item.n]
                place = max(place, event.place or place)
                began = max(began, event.began)
            self.place_before[i + 1], self.began_before[i + 1] = place, began
        for i in range(n - 1, -1, -1):
            place, until = self.place_after[i + 1], self.until_after[i + 1]
            if items[i].what == "event":
                event = record.publishes[items[i].n]
                place = min(place, event.place or place)
                until = min(until, event.until)
            self.place_after[i], self.until_after[i] = place, until

    def fits(self, event: Publish, i: int) -> bool:
        """Whether `event` may belong right before item `i`."""
        place = event.place
        if place is not None and not self.place_before[i] <= place <= self.place_after[i]:
            return False
        return not (event.until < self.began_before[i] or event.began > self.until_after[i])

    def is_inside(self, event: Publish, live: float) -> bool:
        """Whether the chain had begun before `event`, and went on behind it."""
        has_begun = event.began >= live or not self.fits(event, 0)
        return has_begun and not self.fits(event, len(self.items))


def _judge_missing(record: Record, chain: Chain, verdict: Verdict) -> None:
    """Whether all acknowledged events are there, but in told gaps."""
    items = chain.items
    if not items:
        return
    sides = _Sides(record, items)
    seen = {item.n for item in items if item.what == "event"}
    n_room = {i: item.dropped for i, item in enumerate(items) if item.dropped}
    n_sure: dict[int, int] = collections.Counter()
    gaps = [i for i, item in enumerate(items) if item.what != "event"]
    missing = [
        event
        for event in record.publishes.values()
        if event.n not in seen
        and event.channel in chain.client.channels
        and event.outcome == "acknowledged"
        and sides.is_inside(event, chain.live)
    ]
    places: dict[int, list[int]] = {}
    for event in missing:
        if any(sides.fits(event, i) and event.began <= items[i].at for i in gaps):
            continue
        if _is_lost_by_server(record, event, verdict):
            continue
        found = [i for i in n_room if sides.fits(event, i)]
        if not found:
            verdict.wrongs.append(
                f"{chain.name}: a silent gap: event {_told(event)} never came"
                f"{_between(sides, event)}"
            )
            return
        places[event.n] = found
    # Who has the least choice comes first, and takes the earliest place.
    for n in sorted(places, key=lambda n: (places[n][-1], places[n][0])):
        for i in places[n]:
            if n_sure[i] < n_room[i]:
                n_sure[i] += 1
                break
        else:
            verdict.wrongs.append(
                f"{chain.name}: a silent gap: more is missing than the "
                f"{', '.join(str(n_room[i]) for i in places[n])} told as dropped: event "
                f"{_told(record.publishes[n])}"
            )
            return
    _judge_dropped(record, chain, sides, seen, verdict)


def _between(sides: _Sides, event: Publish) -> str:
    """Where it should have come."""
    for i, item in enumerate(sides.items):
        if sides.fits(event, i):
            before = sides.items[i - 1].n if i > 0 else None
            return f", which belongs between {before} and {item.n} (at {item.at:.3f})"
    return ""


def _judge_dropped(
    record: Record, chain: Chain, sides: _Sides, seen: set[int], verdict: Verdict
) -> None:
    """Whether as many are missing as were told, where nothing else was told."""
    n_causes = sum(fault.may_lose for fault in record.faults)
    for i, item in enumerate(chain.items):
        if not item.dropped:
            continue
        n_possible = sum(
            event.n not in seen
            and event.outcome != "refused"
            and event.channel in chain.client.channels
            and sides.fits(event, i)
            for event in record.publishes.values()
        )
        # The word of a gap is a message, too.
        if item.dropped > n_possible + n_causes:
            verdict.wrongs.append(
                f"{chain.name} at {item.at:.3f}: {item.dropped} were told as dropped before "
                f"event {item.n}, and only {n_possible} can be missing"
            )


def _is_lost_by_server(record: Record, event: Publish, verdict: Verdict) -> bool:
    for fault in record.faults:
        if (
            fault.beyond is not None
            and event.place is not None
            and fault.beyond < event.place <= fault.upto
        ):
            verdict.reasons.append(
                f"event {event.n} was acknowledged and then lost by the server itself: {fault.what}"
            )
            return True
    return False


def _judge_counted(record: Record, chain: Chain, verdict: Verdict) -> None:
    """Each message that is missing counts; its place is not kept by a field that
    conflates, nor by one whose events wait for a resolver."""
    items = chain.items
    if not items or any(item.what != "event" for item in items):
        return
    events = [item for item in items if item.what == "event"]
    seen = {item.n for item in events}
    first = min(record.publishes[item.n].began for item in events)
    missing = [
        event
        for event in record.publishes.values()
        if event.n not in seen
        and event.outcome == "acknowledged"
        and event.channel in chain.client.channels
        and not _is_lost_by_server(record, event, verdict)
        and event.began >= chain.live
        and event.began > first
        and any(is_before(event, record.publishes[item.n]) for item in events)
    ]
    n_told = sum(item.dropped for item in events)
    if len(missing) > n_told:
        verdict.wrongs.append(
            f"{chain.name}: a silent gap: {len(missing)} are missing, {n_told} were told: "
            f"event {_told(missing[0])}"
        )


def _judge_gaps(record: Record, chain: Chain, verdict: Verdict) -> None:
    """Whether each told gap has a cause, and each cause is told once."""
    used: dict[int, int] = collections.Counter()
    last: Publish | None = None
    cause: Fault | None = None
    for before, item in itertools.pairwise([None, *chain.items]):
        assert item is not None
        if item.what == "event":
            last = record.publishes.get(item.n)
            continue
        verdict.n_gaps += 1
        # A stream that was told and came back before the next event has the
        # position of before the gap still.
        is_same = item.what == "lost" and before is not None and before.what == "gap"
        if not is_same:
            cause = _find_cause(record, chain, item, last, used)
        word = "EVENTS_LOST" if item.what == "gap" else "POSITION_LOST"
        if cause is None:
            verdict.wrongs.append(
                f"{chain.name} at {item.at:.3f}: a false alarm: {word}, and nothing was lost"
            )
        else:
            verdict.reasons.append(
                f"{chain.name} at {item.at:.3f}: {word}, because of {cause.what} at "
                f"{cause.began:.3f}"
            )


def _seen_until(record: Record, fault: Fault) -> float:
    """When the last instance has noticed what was lost, but for LAG."""
    blind = [it.blind_until for it in record.faults if it.began <= fault.ended + LAG]
    return max(fault.ended, *blind)


def _find_cause(
    record: Record, chain: Chain, item: Item, last: Publish | None, used: dict[int, int]
) -> Fault | None:
    # What each stream has lost is told by itself, and to all.
    channels = {event.channel for event in record.publishes.values()}
    most = len(channels) if record.is_sharded else 1
    # An instance tells all of its clients what it has missed itself, also one
    # that came from another which had not.
    may_be_ahead = any(other.after is not None for other in chain.client.items)
    for i, fault in enumerate(record.faults):
        if not fault.may_lose or used[i] >= most or fault.began > item.at:
            continue
        if _seen_until(record, fault) < chain.began - LAG:
            continue
        if (
            fault.below is not None
            and not may_be_ahead
            and last is not None
            and last.place is not None
            and last.place >= fault.below
        ):
            continue
        used[i] += 1
        return fault
    if last is not None and last.place is not None:
        behind = [
            event.began
            for event in record.publishes.values()
            if event.place is not None and event.place > last.place and event.began <= item.at
        ]
        if len(behind) >= record.history_events:
            return Fault(f"{len(behind)} events behind the last one", behind[0], may_lose=True)
    return None
