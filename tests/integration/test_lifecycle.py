# SPDX-License-Identifier: MIT
"""How a real server ends: by signals, with clients connected, and again."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest
from serving import DEADLINE, client, serving, until

APP = """
import asyncio, threading
from fraiseql_asgi import SubscriptionManager

manager = SubscriptionManager()
manager.subscription("tick")

@manager.subscription
async def hang(variables):
    try:
        yield {"pid": 1}
        await asyncio.sleep(3600)
    finally:
        await asyncio.sleep(0.01)
        print("the source is closed", flush=True)

@manager.subscription(channel="tick")
async def slow(event, variables):
    try:
        print("the resolver runs", flush=True)
        await asyncio.sleep(3600)
    finally:
        print("the resolver is cancelled", flush=True)

def publish():
    n = 0
    while True:
        n += 1
        try:
            manager.publish("tick", {"n": n})
        except RuntimeError:
            print("the publisher is told", flush=True)
            return
        threading.Event().wait(0.01)

threading.Thread(target=publish).start()
app = manager
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_signal_ends_the_server_with_clients_connected(
    how: signal.Signals, loop: str, tmp_path: pathlib.Path
) -> None:
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    (tmp_path / "main.py").write_text(APP)
    operations = [
        {"key": "1", "query": "subscription { tick { n } }"},
        {"key": "2", "query": "subscription { hang { pid } }"},
        {"key": "3", "query": "subscription { slow { n } }"},
    ]
    with (
        serving("main:app", tmp_path, "--loop", loop) as server,
        client(f"ws://{server.address()}/", operations=operations) as one,
        client(f"ws://{server.address()}/", operations=operations) as two,
    ):
        for each in (one, two):
            told: set[str] = set()
            while not {"1", "2"} <= told:
                told.add(each.event().get("key", ""))
        until(lambda: server.log.count("the resolver runs") == 2, "the resolvers")
        started = time.monotonic()
        server.stop(how)
        assert time.monotonic() - started < 5
        for line in ("source is closed", "resolver is cancelled"):
            assert server.log.count(line) == 2, server.log
        # SIGTERM ends the process at once, after the shutdown.
        if how == signal.SIGINT:
            assert server.log.count("the publisher is told") == 1
        for each in (one, two):
            closed = [event for event in each.events() if event["type"] == "closed"]
            # The close of uvicorn, or ours: both say that it comes back.
            assert [event["code"] for event in closed] == [1012]


def test_a_client_comes_back_after_a_restart(tmp_path: pathlib.Path) -> None:
    (tmp_path / "main.py").write_text(APP)
    with serving("main:app", tmp_path) as first:
        address = first.address()
        with client(
            f"ws://{address}/",
            "subscription { tick { n } }",
            retryAttempts=100,
            retryWait=100,
        ) as subscriber:
            assert subscriber.event() == {"type": "connected", "retry": False}
            subscriber.next()
            first.stop()
            port = address.rpartition(":")[2]
            with serving("main:app", tmp_path, "--port", port) as second:
                assert second.address() == address
                while (event := subscriber.event())["type"] != "connected":
                    assert event["type"] in ("next", "closed")
                assert event["retry"]
                subscriber.next()
                second.stop()


#: What a preloading server does: the engine is used, then comes the fork.
PRELOADING = """
import os, sys
import uvicorn
from fraiseql_asgi import SubscriptionManager

manager = SubscriptionManager()
manager.subscription("tick")
manager.publish("tick", {"n": 0})
sock = uvicorn.Config(manager, port=0).bind_socket()
child = os.fork()
if child == 0:
    uvicorn.Server(uvicorn.Config(manager)).run([sock])
    sys.exit(0)
print("address", *sock.getsockname(), child, flush=True)
os.waitpid(child, 0)
manager.publish("tick", {"n": 1})
print("the parent ends", flush=True)
"""


def test_a_worker_serves_after_a_fork(tmp_path: pathlib.Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PRELOADING],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        log = ""
        found: dict[str, str] = {}
        for line in process.stdout:
            log += line
            if line.startswith("address "):
                _, host, port, pid = line.split()
                found |= {"address": f"{host}:{port}", "pid": pid}
            if "startup complete" in line:
                found["started"] = line
            if len(found) == 3:
                break
        url = f"ws://{found['address']}/"
        with client(url, "subscription { tick { n } }") as subscriber:
            assert subscriber.event()["type"] == "connected"
            os.kill(int(found["pid"]), signal.SIGTERM)
            closed = [event for event in subscriber.events() if event["type"] == "closed"]
            assert [event["code"] for event in closed] == [1012]
        log += process.communicate(timeout=DEADLINE)[0]
        assert "Traceback" not in log
        assert "the parent ends" in log
        assert process.returncode == 0
    finally:
        process.kill()
        process.communicate()
