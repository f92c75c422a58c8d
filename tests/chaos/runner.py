# SPDX-License-Identifier: MIT
"""Runs by their seeds, each told by a line and a log."""

from __future__ import annotations

import asyncio
import collections
import multiprocessing.util
import pathlib
import tempfile
import time
import traceback
from collections.abc import Callable

from backends import Postgres

from .judge import Verdict, judge
from .plan import Plan, make_plan
from .record import Record
from .stage import Stage

__all__ = ["end", "run_one", "run_seed"]

#: Longest time of a run; it is killed by what watches it, not by this.
DEADLINE = 240.0

#: Of this process: started when a run first needs it.
_postgres: Postgres | None = None


def run_one(
    plan: Plan, postgres: Callable[[], Postgres] | None, folder: pathlib.Path
) -> tuple[Stage, Verdict]:
    """One run, judged. `folder` is its own, and short: it gets sockets."""
    stage = Stage(plan, folder, postgres)
    stage.bus.start()
    try:
        asyncio.run(asyncio.wait_for(stage.run(), DEADLINE))
    except Exception as error:
        told = "".join(traceback.format_exception(error))
        stage.record.remains.append(f"the run itself failed: {told}")
    finally:
        stage.bus.stop()
    return stage, judge(stage.record)


def write_log(path: pathlib.Path, stage: Stage, verdict: Verdict, command: str) -> None:
    plan, record = stage.plan, stage.record
    lines = [f"{record.title}; again: {command}", "", "The plan", *map(str, plan.acts)]
    lines += [f"{client}" for client in plan.clients]
    lines += ["", "What happened", *_timeline(stage, record), "", "The verdict"]
    lines += verdict.reasons
    lines += [f"WRONG: {wrong}" for wrong in verdict.wrongs]
    lines.append(_summary(record, verdict))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def _timeline(stage: Stage, record: Record) -> list[str]:
    found: list[tuple[float, str]] = [(record.calm_at, "-- calm --")]
    for fault in record.faults:
        found.append((fault.began, f"FAULT begins: {fault.what}"))
        more = f" {fault.detail}" if fault.detail else ""
        more += f", nothing is left below {fault.below}" if fault.below else ""
        more += f", nothing is left behind {fault.beyond}" if fault.beyond else ""
        found.append((fault.ended, f"FAULT ends: {fault.what}{more}"))
    for event in record.publishes.values():
        place = f" {event.place[0]}-{event.place[1]}" if event.place else ""
        told = f": {event.told}" if event.told else ""
        found.append(
            (
                event.began,
                f"publish {event.n} on {event.channel} by {event.via}, {event.outcome} at "
                f"{event.ended:.3f}{place}{told}",
            )
        )
    for client in record.clients:
        for item in client.items:
            words = [f"{client.name}: {item.what}"]
            words += [str(item.n)] if item.what == "event" else []
            words += [f"dropped {item.dropped}"] if item.dropped else []
            words += [f"after {item.after}"] if item.after else []
            words += [item.told] if item.told else []
            found.append((item.at, " ".join(words)))
    for end in record.exits:
        found.append((end.at, f"{end.name} ended with {end.code}"))
    for worker in stage.workers:
        found += [(at, f"{worker.name} | {line}") for at, line in worker.lines]
    return [f"{at:9.3f} {text}" for at, text in sorted(found, key=lambda pair: pair[0])]


def _summary(record: Record, verdict: Verdict) -> str:
    outcomes = collections.Counter(event.outcome for event in record.publishes.values())
    told = ", ".join(f"{outcomes[name]} {name}" for name in sorted(outcomes))
    return (
        f"{'passed' if verdict.is_good else 'FAILED'}: {len(record.faults)} faults; {told}; "
        f"{verdict.n_received} received in {verdict.n_chains} chains, resumed "
        f"{verdict.n_resumed} times; {verdict.n_gaps} gaps and {verdict.n_dropped} drops told; "
        f"all back {verdict.recovered:.1f} s after the last fault"
    )


def _of_process() -> Postgres:
    """The PostgreSQL of this process."""
    global _postgres
    if _postgres is None:
        _postgres = Postgres()
        # With the process, whatever ends it but a signal.
        multiprocessing.util.Finalize(None, end, exitpriority=10)
    return _postgres


def run_seed(seed: int, kind: str | None, folder: str) -> tuple[int, bool, str, dict[str, int]]:
    plan = make_plan(seed, kind)
    command = f"make chaos CHAOS_SEED={seed} CHAOS_RUNS=1"
    if kind is not None:
        command += f" CHAOS_BUS={kind}"
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fq-chaos-") as own:
        stage, verdict = run_one(plan, _of_process, pathlib.Path(own))
    path = pathlib.Path(folder) / f"{seed}.log"
    write_log(path, stage, verdict, command)
    faults = ", ".join(act.what for act in plan.acts)
    text = (
        f"chaos: seed {seed}, {plan.kind}, {time.monotonic() - began:.1f} s: "
        f"{_summary(stage.record, verdict)} ({faults})"
    )
    if not verdict.is_good:
        text += "".join(f"\n    {wrong:.600}" for wrong in verdict.wrongs[:8])
        text += f"\n    told whole in {path}; again: {command}"
    numbers = {
        "received": verdict.n_received,
        "published": len(stage.record.publishes),
        "faults": len(stage.record.faults),
        "gaps": verdict.n_gaps,
        "drops": verdict.n_dropped,
        "resumes": verdict.n_resumed,
    }
    return seed, verdict.is_good, text, numbers


def end() -> None:
    global _postgres
    if _postgres is not None:
        _postgres.close()
        _postgres = None
