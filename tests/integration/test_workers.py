# SPDX-License-Identifier: MIT
"""Several workers, each on the bus that is inside of it: they are told."""

from __future__ import annotations

import contextlib
import pathlib
import re
from collections.abc import Iterator

import pytest
from hosts import GRANIAN, HYPERCORN, UVICORN, Host
from serving import Server, serving, until

from fraiseql_asgi import _workers

WARNING = re.compile(r"this is one of 2 workers, and each has a memory:// bus of its own")
APP = """
from fraiseql_asgi import SubscriptionManager
app = SubscriptionManager()
"""
#: What a worker counts when all of its kind are there.
COUNTING = """
import threading
from fraiseql_asgi import SubscriptionManager, _workers
app = SubscriptionManager()
threading.Timer(1.5, lambda: print(f"counted {_workers.count_workers()}.", flush=True)).start()
"""


@contextlib.contextmanager
def hosted(folder: pathlib.Path, command: tuple[str, ...]) -> Iterator[Host]:
    host = Host(folder, *command)
    try:
        yield host
    finally:
        host.kill()


def warned_twice(server: Server) -> None:
    """Once by each worker, with the way out."""
    until(lambda: len(WARNING.findall(server.log)) >= 2, f"both have said so:\n{server.log}")
    assert len(WARNING.findall(server.log)) == 2
    assert "redis://… or postgresql://…" in server.log


def test_uvicorn_with_two_workers_is_warned(tmp_path: pathlib.Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    with serving("app:app", tmp_path, "--workers", "2") as server:
        warned_twice(server)
        server.process.terminate()
        server.wait()


GUNICORN = ("gunicorn", "-k", "uvicorn_worker.UvicornWorker", "--bind", "127.0.0.1:{port}")


@pytest.mark.parametrize(
    "command",
    [
        (*GUNICORN, "-w", "2", "app:app"),
        (*GRANIAN[0][:-1], "--workers", "2", "app:app"),
        (*HYPERCORN[0][:-1], "--workers", "2", "app:app"),
    ],
    ids=lambda command: command[0],
)
def test_other_servers_with_two_workers_are_warned(
    tmp_path: pathlib.Path, command: tuple[str, ...]
) -> None:
    (tmp_path / "app.py").write_text(APP)
    with hosted(tmp_path, command) as server:
        warned_twice(server)


@pytest.mark.parametrize(
    "command",
    [UVICORN[0], (*GUNICORN, "-w", "1", "app:app"), GRANIAN[0], HYPERCORN[0]],
    ids=lambda command: command[0],
)
def test_one_worker_is_alone(tmp_path: pathlib.Path, command: tuple[str, ...]) -> None:
    (tmp_path / "app.py").write_text(COUNTING)
    with hosted(tmp_path, command) as server:
        until(lambda: "counted " in server.log, f"it has counted:\n{server.log}")
        assert "counted 1." in server.log


@pytest.mark.parametrize(
    ("argv", "environ", "n"),
    [
        (["/bin/uvicorn", "--workers", "3", "app:app"], {}, 3),
        (["/bin/uvicorn", "--workers=3", "app:app"], {}, 3),
        (["/x/uvicorn/__main__.py", "app:app"], {"WEB_CONCURRENCY": "4"}, 4),
        (["/bin/uvicorn", "app:app", "--workers", "1"], {"WEB_CONCURRENCY": "4"}, 1),
        (["/bin/gunicorn", "-w", "2", "app:app"], {}, 2),
        (["/bin/gunicorn", "-w2", "app:app"], {}, 2),
        (["/bin/granian", "app:app", "--workers", "2"], {"WEB_CONCURRENCY": "9"}, 2),
        (["/bin/hypercorn", "app:app"], {"WEB_CONCURRENCY": "9"}, 0),
        (["/bin/hypercorn", "-w", "2", "app:app"], {}, 2),
        (["/bin/uvicorn", "app:app"], {"WEB_CONCURRENCY": "many"}, 0),
        (["/bin/myprogram", "--workers", "2"], {"WEB_CONCURRENCY": "4"}, 0),
        ([], {}, 0),
    ],
)
def test_what_a_server_was_told(argv: list[str], environ: dict[str, str], n: int) -> None:
    assert _workers._told(argv, environ) == n
