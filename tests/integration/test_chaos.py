# SPDX-License-Identifier: MIT
"""Some runs of `make chaos`; and that its judge sees what is changed in them."""

from __future__ import annotations

import copy
import pathlib
from collections.abc import Iterator

import pytest
from backends import Postgres
from chaos.judge import judge
from chaos.plan import make_plan
from chaos.record import Record
from chaos.runner import run_one, write_log


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    it = Postgres()
    yield it
    it.close()


def _mutilate(record: Record) -> bool:
    """Takes an event from a client that was told of nothing, if there is one."""
    for client in record.clients:
        told = {item.what for item in client.items} - {"subscribe", "live", "event", "end"}
        fresh = [item for item in client.items if item.what == "subscribe" and item.after is None]
        if told or len(fresh) > 1 or any(item.dropped for item in client.items):
            continue
        events = [i for i, item in enumerate(client.items) if item.what == "event"]
        middle = events[len(events) // 2]
        if record.publishes[client.items[middle].n].outcome != "acknowledged":
            continue
        del client.items[middle]
        return True
    return False


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("seed", "kind"), [(1, "postgresql"), (20, "redis-always")])
def test_a_run_shows_nothing_wrong(
    seed: int, kind: str, server: Postgres, tmp_path: pathlib.Path
) -> None:
    plan = make_plan(seed, kind)
    stage, verdict = run_one(plan, lambda: server, tmp_path)
    log = tmp_path / "log"
    write_log(log, stage, verdict, "")
    assert verdict.is_good, "\n".join([*verdict.wrongs, log.read_text()[-20_000:]])
    assert verdict.n_received > 100
    changed = copy.deepcopy(stage.record)
    if _mutilate(changed):
        assert any("a silent gap" in wrong for wrong in judge(changed).wrongs)
