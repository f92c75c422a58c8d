# SPDX-License-Identifier: MIT
"""The judge of `make chaos`: it finds nothing in worlds where all is well, and
whatever is changed in one of them."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from chaos.judge import chains_of, judge
from chaos.plan import make_plan
from chaos.record import Client, Exit, Fault, Item, Publish, Record

N_EVENTS = 120


def world(seed: int, *, has_places: bool) -> Record:
    """What a perfect system would have shown, with every kind of told loss."""
    chance = random.Random(seed)
    record = Record(f"world {seed}", calm_at=60.0)
    order: list[Publish] = []
    at = 0.0
    for n in range(1, N_EVENTS + 1):
        at += chance.uniform(0.01, 0.5)
        # Publishers overlap: the answer may come after the next has begun.
        event = Publish(n, "ab"[n % 2], "test", at, at + chance.uniform(0.001, 0.6))
        kind = chance.random()
        if kind < 0.05:
            event.outcome = "refused"
        elif kind < 0.9:
            event.outcome = "acknowledged"
        event.place = (1, n) if has_places and event.outcome == "acknowledged" else None
        record.publishes[n] = event
        # Of unknown ones every other is in the bus.
        if event.outcome == "acknowledged" or (event.outcome == "unknown" and n % 2):
            order.append(event)
    record.calm_at = at
    for channel in "ab":
        at += 1.0
        n = len(record.publishes) + 1
        event = Publish(n, channel, "test", at, at + 0.1, "acknowledged")
        event.place = (1, n) if has_places else None
        record.publishes[n] = event
        record.last.add(n)
        order.append(event)
    lost_at = order[len(order) // 2]
    record.faults.append(Fault("flush", lost_at.began, lost_at.began + 0.1, may_lose=True))
    for i, channels in enumerate([("a",), ("b",), ("a", "b"), ("a", "b")]):
        record.clients.append(_client(record, f"c{i}", channels, order, chance, lost_at))
    record.exits.append(Exit("instance", at, -15, -15))
    return record


def _client(
    record: Record,
    name: str,
    channels: tuple[str, ...],
    order: list[Publish],
    chance: random.Random,
    lost_at: Publish,
) -> Client:
    """One that resumes, is slow at times, and hears of the gap in the middle."""
    client = Client(name, channels, "drop_oldest", is_slow=True)
    items = client.items
    items += [Item(0.0, "subscribe"), Item(0.0, "live")]
    mine = [event for event in order if event.channel in channels]
    n_dropped, is_told = 0, False
    now = 0.0
    for event in mine:
        now = max(now, event.ended)
        is_last = event.n in record.last
        if lost_at.began - 2.0 < event.began <= lost_at.began:
            continue
        if not is_told and event.began > lost_at.began:
            items.append(Item(now, "gap"))
            is_told = True
        if not is_last and chance.random() < 0.1:
            n_dropped += 1
            continue
        items.append(Item(now, "event", n=event.n, dropped=n_dropped))
        n_dropped = 0
        if chance.random() < 0.1:
            items.append(Item(now, "end", told="it left"))
            items.append(Item(now, "subscribe", after=str(event.n)))
    return client


@pytest.mark.parametrize("has_places", [True, False])
def test_a_world_where_all_is_well_passes(has_places: bool) -> None:
    for seed in range(40):
        verdict = judge(world(seed, has_places=has_places))
        assert verdict.wrongs == [], seed
        assert verdict.n_gaps >= 3
        assert verdict.n_dropped > 0


def _events(client: Client) -> list[int]:
    """Where the events are among the items, but the first and last few: what
    lies at an end may be missing by itself."""
    found = [i for i, item in enumerate(client.items) if item.what == "event"]
    return found[3:-3]


def _away_from_gaps(record: Record, client: Client, i: int) -> bool:
    """Whether nothing that is told excuses what is done to item `i`."""
    event = record.publishes[client.items[i].n]
    told = [item for item in client.items if item.what == "gap" or item.dropped]
    return all(
        abs(item.at - event.began) > 4 and abs(item.at - client.items[i].at) > 4 for item in told
    )


def drop(record: Record, client: Client, i: int) -> bool:
    """An acknowledged event is not delivered, and nothing told."""
    event = record.publishes[client.items[i].n]
    if event.outcome != "acknowledged" or not _away_from_gaps(record, client, i):
        return False
    del client.items[i]
    return True


def double(record: Record, client: Client, i: int) -> bool:
    """An event comes again, later."""
    client.items.insert(i + 2, Item(client.items[i].at, "event", n=client.items[i].n))
    return True


def swap(record: Record, client: Client, i: int) -> bool:
    """Two events change places whose order their publishers know."""
    later = [j for j in range(i + 1, len(client.items)) if client.items[j].what == "event"]
    one = record.publishes[client.items[i].n]
    for j in later:
        other = record.publishes[client.items[j].n]
        if one.until < other.began:
            client.items[i].n, client.items[j].n = other.n, one.n
            client.items[i].at = client.items[j].at
            return True
    return False


def hide_gap(record: Record, client: Client, i: int) -> bool:
    """The gap in the middle is not told."""
    gaps = [j for j, item in enumerate(client.items) if item.what == "gap"]
    if not gaps:
        return False
    around = client.items[max(0, gaps[0] - 3) : gaps[0] + 4]
    if any(item.dropped for item in around):
        return False
    at = client.items[gaps[0]].at
    del client.items[gaps[0]]
    n_missing = _acknowledged_between(record, client, at - 1.6, at - 0.8)
    return n_missing > 0


def _acknowledged_between(record: Record, client: Client, since: float, until: float) -> int:
    seen = {item.n for item in client.items}
    return sum(
        since < event.began and event.ended < until
        for event in record.publishes.values()
        if event.outcome == "acknowledged"
        and event.channel in client.channels
        and event.n not in seen
    )


def hide_dropped(record: Record, client: Client, i: int) -> bool:
    """A loss is told as one less than it was."""
    for item in client.items[5:]:
        if item.dropped and all(
            other.what != "gap" or abs(other.at - item.at) > 4 for other in client.items
        ):
            item.dropped -= 1
            around = [other for other in client.items if other is not item and other.dropped]
            near = [other for other in around if abs(other.at - item.at) < 4]
            lost = _acknowledged_between(record, client, item.at - 3, item.at)
            return not near and lost > item.dropped
    return False


def exaggerate(record: Record, client: Client, i: int) -> bool:
    """More is told as dropped than there ever was."""
    client.items[i].dropped += 50
    return True


def alarm(record: Record, client: Client, i: int) -> bool:
    """A gap is told that nothing has caused."""
    client.items.insert(i, Item(client.items[i].at, "gap"))
    return True


def invent(record: Record, client: Client, i: int) -> bool:
    """An event comes that nobody has published."""
    client.items[i].n = 10**6
    return True


def accept_refused(record: Record, client: Client, i: int) -> bool:
    """An event comes whose publisher was told that it would not."""
    record.publishes[client.items[i].n].outcome = "refused"
    return True


def misroute(record: Record, client: Client, i: int) -> bool:
    """An event comes on a channel that is not its own."""
    record.publishes[client.items[i].n].channel = "c"
    return True


def foresee(record: Record, client: Client, i: int) -> bool:
    """An event comes before it was published."""
    client.items[i].at = record.publishes[client.items[i].n].began - 0.1
    return True


def hang(record: Record, client: Client, i: int) -> bool:
    """A client does not come back in the end."""
    while client.items[-1].n not in record.last:
        client.items.pop()
    client.items.pop()
    return True


def break_off(record: Record, client: Client, i: int) -> bool:
    """A client that always reads is told of dropped messages."""
    client.is_slow = False
    return any(item.dropped for item in client.items)


def complain(record: Record, client: Client, i: int) -> bool:
    """A client has noted something that no server says."""
    client.items.append(Item(99.0, "wrong", told="closed with 1011"))
    return True


def crash(record: Record, client: Client, i: int) -> bool:
    record.exits[0].code = -6
    return True


def log(record: Record, client: Client, i: int) -> bool:
    record.exits[0].faults.append("Traceback (most recent call last):")
    return True


def leak(record: Record, client: Client, i: int) -> bool:
    record.remains.append("instance 0 still has {'queued_messages': 1}")
    return True


MUTATIONS = (
    *(drop, double, swap, hide_gap, hide_dropped, exaggerate, alarm, invent, accept_refused),
    *(misroute, foresee, hang, break_off, complain, crash, log, leak),
)


@pytest.mark.parametrize("has_places", [True, False])
@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda mutate: mutate.__name__)
def test_what_is_changed_is_found(
    mutate: Callable[[Record, Client, int], bool], has_places: bool
) -> None:
    n_changed = 0
    for seed in range(60):
        chance = random.Random(seed)
        record = world(seed, has_places=has_places)
        client = chance.choice(record.clients)
        if mutate(record, client, chance.choice(_events(client))):
            n_changed += 1
            assert judge(record).wrongs, (seed, mutate.__name__)
    assert n_changed >= 5


def test_a_fresh_subscription_is_a_chain_of_its_own() -> None:
    client = Client("c", ("a",))
    client.items = [
        *(Item(0, "subscribe"), Item(0, "live"), Item(1, "event", n=1), Item(2, "end")),
        *(Item(2, "subscribe", after="x"), Item(3, "event", n=2), Item(3, "lost")),
        *(Item(4, "subscribe"), Item(5, "event", n=2)),
    ]
    chains = chains_of(client)
    assert [[item.n for item in chain.items] for chain in chains] == [[1, 2, -1], [2]]


def test_shards_have_an_order_each() -> None:
    record = Record("shards", is_sharded=True, last={3, 4})
    for n, channel in enumerate("abab", 1):
        place = (n, 0)
        record.publishes[n] = Publish(n, channel, "", n, n + 0.5, "acknowledged", place)
    client = Client("c", ("a", "b"))
    items = [Item(5 + i, "event", n=n) for i, n in enumerate((2, 1, 4, 3))]
    client.items = [Item(0, "subscribe"), Item(0, "live"), *items]
    record.clients.append(client)
    assert judge(record).wrongs == []
    record.is_sharded = False
    assert judge(record).wrongs
    record.is_sharded = True
    items[0].n, items[2].n = 4, 2
    assert judge(record).wrongs


def test_a_position_may_be_lost_behind_a_gap_that_was_told() -> None:
    """An event stream goes on behind a gap; if it comes back before the next
    event, its position is still the one of before."""
    record = Record("stream", last={2})
    record.publishes[1] = Publish(1, "a", "", 1, 1.1, "acknowledged")
    record.publishes[2] = Publish(2, "a", "", 5, 5.1, "acknowledged")
    record.faults.append(Fault("flush", 2, 2.1, may_lose=True))
    client = Client("c", ("a",))
    client.items = [
        Item(0, "subscribe"),
        Item(0, "live"),
        Item(1.2, "event", n=1),
        Item(2.2, "gap"),
    ]
    client.items += [Item(3, "subscribe", after="x"), Item(3, "lost")]
    client.items += [Item(4, "subscribe"), Item(4, "live"), Item(5.2, "event", n=2)]
    record.clients.append(client)
    assert judge(record).wrongs == []
    client.items.insert(4, Item(2.5, "gap"))
    assert judge(record).wrongs


def test_an_instance_that_was_cut_off_tells_late() -> None:
    """To all it has, those that came meanwhile too."""
    record = Record("half-open", last={2})
    record.publishes[1] = Publish(1, "a", "", 1, 1.1, "acknowledged")
    record.publishes[2] = Publish(2, "a", "", 13, 13.1, "acknowledged")
    record.faults.append(Fault("flush", 2, 2.1, may_lose=True))
    client = Client("c", ("a",))
    client.items = [Item(8, "subscribe"), Item(8, "live"), Item(12.2, "gap")]
    client.items.append(Item(13.2, "event", n=2))
    record.clients.append(client)
    assert any("a false alarm" in wrong for wrong in judge(record).wrongs)
    record.faults.append(Fault("half-open", 2.3, 2.3, blind_until=12.3))
    assert judge(record).wrongs == []
    record.faults[1].began = 7.2
    assert any("a false alarm" in wrong for wrong in judge(record).wrongs)


def test_a_seed_is_one_plan() -> None:
    assert make_plan(7) == make_plan(7)
    assert len({make_plan(seed).acts for seed in range(50)}) == 50
    whats = {act.what for seed in range(200) for act in make_plan(seed).acts}
    assert len(whats) == 7 + 3 + 9 + 7 + 1 + 1
