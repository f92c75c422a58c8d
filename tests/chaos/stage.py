# SPDX-License-Identifier: MIT
"""One run: everything that a plan names, for as long as it says."""

from __future__ import annotations

import asyncio
import contextlib
import json
import pathlib
import random
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from backends import Postgres

from .buses import PostgresBus, RedisBus
from .clients import Visitor
from .link import Link
from .plan import CHANNELS, N_INSTANCES, TOKEN, Act, Plan
from .publishers import (
    Press,
    SqlPublisher,
    publish_by_http,
    publish_by_redis,
    publish_by_sql,
)
from .record import Exit, Fault, Record

__all__ = ["Stage"]

#: Longest wait for a process to start or end.
DEADLINE = 30.0
#: All must be back so soon after the last fault: a server that is silent is
#: given up after 10 s, and the machine may be busy.
BACK = 45.0
#: Who hears nothing more has noticed it by then: twice the keep-alive.
HALF_OPEN_NOTICED = 10.0
#: Each waits for the answer to its last event; every other one goes through an
#: instance.
N_PUBLISHERS = 6
#: What no log may have.
FAULTS = ("Traceback", "Sanitizer", "runtime error:", "Assertion", "FQ_CHECK", "Fatal Python error")
#: Whole numbers that must be 0 when all clients have gone.
QUIET = (
    *("connections_active", "subscriptions_active", "subscriptions_pending"),
    *("subscriptions_replaying", "queued_messages", "queued_bytes", "events_waiting"),
)


class Worker:
    """An instance, which is started again whenever it ends."""

    def __init__(self, name: str, settings: dict[str, Any], stage: Stage) -> None:
        self.name = name
        self._settings = settings
        self._stage = stage
        self.process: asyncio.subprocess.Process | None = None
        self.address: str | None = None
        self.lines: list[tuple[float, str]] = []
        self._reading: asyncio.Task[None] | None = None
        self._port: asyncio.Future[int] | None = None
        self._n_lines = 0

    async def start(self) -> None:
        self._port = asyncio.get_running_loop().create_future()
        self._n_lines = len(self.lines)
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(pathlib.Path(__file__).with_name("instance.py"))),
            json.dumps(self._settings),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        self._reading = asyncio.ensure_future(self._read(self.process))
        await asyncio.wait(
            [self._port, self._reading], timeout=DEADLINE, return_when=asyncio.FIRST_COMPLETED
        )
        assert self._port.done(), f"{self.name} did not start: {self.lines[-8:]}"
        port = self._port.result()
        address = f"127.0.0.1:{port}"
        end = time.monotonic() + DEADLINE
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                break
            except OSError:
                assert self.process.returncode is None, f"{self.name} did not start"
                assert time.monotonic() < end, f"{self.name} did not start"
                await asyncio.sleep(0.02)
        self.address = address

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            text = line.decode(errors="replace").rstrip()
            self.lines.append((self._stage.now(), text))
            if text.startswith("port ") and self._port is not None and not self._port.done():
                self._port.set_result(int(text[5:]))

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)

    async def end(self, how: signal.Signals) -> None:
        """Ends it by `how`, and notes whether it did as it should."""
        assert self.process is not None
        if how == signal.SIGKILL:
            self.address = None
        self.signal(how)
        if how == signal.SIGTERM:
            # It takes nobody any more, but has clients for a while.
            self.address = None
        wanted = -how
        try:
            code = await asyncio.wait_for(self.process.wait(), DEADLINE)
        except asyncio.TimeoutError:
            self.signal(signal.SIGKILL)
            code = await self.process.wait()
        assert self._reading is not None
        await asyncio.wait_for(self._reading, DEADLINE)
        said = [line for _, line in self.lines[self._n_lines :]]
        faults = [line for line in said if any(word in line for word in FAULTS)]
        if how == signal.SIGTERM and not any("shutdown complete" in line for line in said):
            faults.append("nothing of a complete shutdown")
        self._stage.record.exits.append(Exit(self.name, self._stage.now(), code, wanted, faults))
        self.process = None

    async def give_up(self) -> None:
        """At the end of a run that has failed itself."""
        if self.process is not None:
            self.signal(signal.SIGKILL)
            await self.process.wait()
        if self._reading is not None:
            self._reading.cancel()


class Stage:
    def __init__(
        self, plan: Plan, folder: pathlib.Path, postgres: Callable[[], Postgres] | None
    ) -> None:
        self.plan = plan
        self._zero = time.monotonic()
        bus: RedisBus | PostgresBus
        if plan.bus == "redis":
            bus = RedisBus(plan, folder)
        else:
            assert postgres is not None
            bus = PostgresBus(postgres())
        self.bus = bus
        self.record = Record(f"seed {plan.seed}, {plan.kind}")
        if plan.bus == "redis":
            self.record.history_events = plan.history_events
            self.record.is_sharded = plan.shards > 1
        self.links = [Link(bus.connect) for _ in range(N_INSTANCES)]
        self.workers: list[Worker] = []
        self.press = Press(plan, self.record, self.now)
        self.visitors: list[Visitor] = []
        self._locks: dict[object, asyncio.Lock] = {}

    def now(self) -> float:
        return time.monotonic() - self._zero

    def addresses(self) -> list[str]:
        return [worker.address for worker in self.workers if worker.address is not None]

    # -- the faults -------------------------------------------------------------

    async def _act(self, act: Act) -> None:
        kind = act.what.partition("-")[0]
        await asyncio.sleep(act.at)
        # One after the other, where they harm the same.
        target = kind if kind in ("redis", "postgres") else (kind, act.target)
        async with self._locks.setdefault(target, asyncio.Lock()):
            fault = Fault(str(act), self.now())
            self.record.faults.append(fault)
            if kind == "link":
                await self._harm_link(act, fault)
            elif kind == "worker":
                await self._harm_worker(act)
            elif kind == "burst":
                await self._burst(act.number)
            elif kind == "client":
                self.visitors[act.target].vanish()
            else:
                await self.bus.harm(act, fault)
            fault.ended = self.now()

    async def _burst(self, n: int) -> None:
        chance = random.Random(n)
        if isinstance(self.bus, RedisBus):
            await publish_by_redis(self.press, self.bus.path, chance, n)
            return
        sql = SqlPublisher(self.bus.dsn)
        await publish_by_sql(self.press, sql, chance, n)
        await asyncio.to_thread(sql.close)

    async def _harm_link(self, act: Act, fault: Fault) -> None:
        link = self.links[act.target]
        held = {"link-hold": ("up", "down"), "link-hold-up": ("up",), "link-hold-down": ("down",)}
        if act.what in held:
            link.hold(*held[act.what])
            await asyncio.sleep(act.seconds)
            link.let_go(*held[act.what])
        elif act.what == "link-reset":
            link.reset()
        elif act.what == "link-half-open":
            link.half_open()
            fault.blind_until = self.now() + HALF_OPEN_NOTICED
        elif act.what == "link-delay":
            link.delay = 0.1
            await asyncio.sleep(act.seconds)
            link.delay = 0.0
        elif act.what == "link-refuse":
            link.is_refusing = True
            link.reset()
            await asyncio.sleep(act.seconds)
            link.is_refusing = False
        else:
            raise AssertionError(act)

    async def _harm_worker(self, act: Act) -> None:
        worker = self.workers[act.target]
        if act.what == "worker-pause":
            worker.signal(signal.SIGSTOP)
            await asyncio.sleep(act.seconds)
            worker.signal(signal.SIGCONT)
            return
        await worker.end(signal.SIGKILL if act.what == "worker-kill" else signal.SIGTERM)
        await asyncio.sleep(act.seconds)
        await worker.start()

    # -- publishing -------------------------------------------------------------

    async def _publish(self, number: int, until: asyncio.Event) -> None:
        """One publisher: its next event follows the answer to the last."""
        chance = random.Random(f"publisher {self.plan.seed} {number}")
        sql = SqlPublisher(self.bus.dsn) if isinstance(self.bus, PostgresBus) else None
        try:
            while not until.is_set():
                n = chance.choice((1, 1, 1, 2, 8))
                began = self.now()
                if number % 2 == 0:
                    addresses = self.addresses()
                    if addresses:
                        await publish_by_http(self.press, chance.choice(addresses), chance, n)
                elif sql is not None:
                    await publish_by_sql(self.press, sql, chance, n)
                else:
                    assert isinstance(self.bus, RedisBus)
                    await publish_by_redis(self.press, self.bus.path, chance, n)
                pause = N_PUBLISHERS * n / self.plan.events_per_second - (self.now() - began)
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(until.wait(), max(0.001, pause))
        finally:
            if sql is not None:
                await asyncio.to_thread(sql.close)

    # -- the run ----------------------------------------------------------------

    async def run(self) -> None:
        settings = {
            "queue_items": self.plan.queue_items,
            "queue_bytes": self.plan.queue_bytes,
            "history_events": self.plan.history_events,
            "publish_timeout": 1.5,
            "token": TOKEN,
            "loop": "uvloop" if self.plan.seed % 3 else "asyncio",
        }
        for i, link in enumerate(self.links):
            await link.start()
            self.workers.append(
                Worker(f"instance {i}", settings | {"url": self.bus.url(link)}, self)
            )
        try:
            await asyncio.gather(*(worker.start() for worker in self.workers))
            self._zero = time.monotonic()
            for worker in self.workers:
                worker.lines.clear()
                worker._n_lines = 0
            await self._play()
        finally:
            for worker in self.workers:
                await worker.give_up()
            for link in self.links:
                await link.close()

    async def _play(self) -> None:
        enough = asyncio.Event()
        tasks: list[asyncio.Future[Any]] = []
        for i, client in enumerate(self.plan.clients):
            chance = random.Random(f"client {self.plan.seed} {i}")
            visitor = Visitor(i, client, self.record, self.now, self.addresses, chance)
            self.visitors.append(visitor)
            tasks.append(asyncio.ensure_future(visitor.run()))
        publishers = [asyncio.ensure_future(self._publish(i, enough)) for i in range(N_PUBLISHERS)]
        try:
            await self._watch(
                asyncio.gather(*(self._act(act) for act in self.plan.acts)), [*tasks, *publishers]
            )
            enough.set()
            await asyncio.gather(*publishers)
            for visitor in self.visitors:
                visitor.calm_down()
            self.record.calm_at = self.now()
            await self._watch(self._until_back(), tasks)
            for visitor in self.visitors:
                visitor.stop()
            await asyncio.gather(*tasks)
        finally:
            for task in [*tasks, *publishers]:
                task.cancel()
            await asyncio.gather(*tasks, *publishers, return_exceptions=True)
        await asyncio.gather(*(self._until_quiet(worker) for worker in self.workers))
        await asyncio.gather(*(worker.end(signal.SIGTERM) for worker in self.workers))

    async def _watch(self, work: Awaitable[Any], others: list[asyncio.Future[Any]]) -> None:
        """Awaits `work`, unless one of the others fails meanwhile."""
        task = asyncio.ensure_future(work)
        waiting = {task, *others}
        while not task.done():
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for each in done:
                each.result()

    async def _until_back(self) -> None:
        """Publishes until each client has had something on each channel."""
        self.press.is_last = True
        end = time.monotonic() + BACK
        chance = random.Random(0)
        sql = SqlPublisher(self.bus.dsn) if isinstance(self.bus, PostgresBus) else None
        while not self._is_back() and time.monotonic() < end:
            for address in self.addresses():
                await publish_by_http(self.press, address, chance, 1)
            for _ in CHANNELS:
                if sql is not None:
                    await publish_by_sql(self.press, sql, chance, 1)
                else:
                    assert isinstance(self.bus, RedisBus)
                    await publish_by_redis(self.press, self.bus.path, chance, 1)
            await asyncio.sleep(0.1)
        if sql is not None:
            await asyncio.to_thread(sql.close)
        for worker in self.workers:
            if not self._takes(worker):
                self.record.remains.append(f"{worker.name} takes no events any more")

    def _takes(self, worker: Worker) -> bool:
        """Whether it has published something since all calmed down."""
        events = map(self.record.publishes.__getitem__, self.record.last)
        via = f"http {worker.address}"
        return any(event.via == via and event.outcome == "acknowledged" for event in events)

    def _is_back(self) -> bool:
        return all(visitor.is_back for visitor in self.visitors) and all(
            map(self._takes, self.workers)
        )

    async def _until_quiet(self, worker: Worker) -> None:
        """Waits until nothing of the clients is left in an instance."""
        end = time.monotonic() + DEADLINE
        while True:
            metrics = await self._metrics(worker)
            left = {name: metrics[name] for name in QUIET if metrics[name] != 0}
            if not left:
                return
            if time.monotonic() > end:
                self.record.remains.append(f"{worker.name} still has {left}")
                return
            await asyncio.sleep(0.05)

    async def _metrics(self, worker: Worker) -> dict[str, Any]:
        assert worker.address is not None
        host, _, port = worker.address.partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), DEADLINE)
        writer.close()
        metrics: dict[str, Any] = json.loads(answer.partition(b"\r\n\r\n")[2])
        return metrics
