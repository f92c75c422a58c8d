# SPDX-License-Identifier: MIT
"""Whether this process is one of several workers of a server.

No server says so. What can be seen is how many it was told to start, by its
command line or the environment, and which processes have the same parent and
run the same program.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pathlib
import re
import sys
from collections.abc import Mapping, Sequence

__all__ = ["count_workers", "warn_of_several"]

_logger = logging.getLogger("fraiseql_asgi")

#: Seconds after the start by which a server has started its other workers.
_SETTLE = 1.0
#: Servers that read WEB_CONCURRENCY.
_SERVERS = ("uvicorn", "gunicorn", "granian", "hypercorn", "fastapi")
#: How multiprocessing starts a process of its own, whatever it is for.
_SPAWNED = re.compile(
    r"multiprocessing[./](?:spawn|forkserver)\b.*spawn_main|--multiprocessing-fork"
)


def count_workers(
    argv: Sequence[str] | None = None, environ: Mapping[str, str] | None = None
) -> int:
    """How many workers there seem to be, at least; 1: this is the only one."""
    argv = sys.argv if argv is None else argv
    environ = os.environ if environ is None else environ
    return max(1, _told(argv, environ), _siblings() + 1)


def _told(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """What the command line or the environment asks for; 0: nothing."""
    # Of a package that is run by -m, the first is the path of its __main__.
    program = pathlib.PurePath(argv[0] if argv else "")
    names = {program.stem, program.parent.name}
    if not names.intersection(_SERVERS):
        return 0
    text = "\0".join(argv[1:])
    found = re.search(r"(?:^|\0)(?:--workers(?:\0|=)|-w\0?)(\d+)(?:\0|$)", text)
    if found is None and not names.intersection({"uvicorn", "gunicorn", "fastapi"}):
        return 0
    number = found[1] if found else environ.get("WEB_CONCURRENCY", "")
    return int(number) if number.isdigit() else 0


def _siblings() -> int:
    """Other children of the parent that run what this process runs; 0 where
    the system does not tell."""
    parent = os.getppid()
    try:
        children = pathlib.Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    except OSError:
        return 0
    mine = _command(os.getpid())
    if not mine or not _is_worker(mine, _command(parent)):
        return 0
    others = (_command(int(pid)) for pid in children if int(pid) != os.getpid())
    return sum(_are_alike(mine, other) for other in others)


def _command(pid: int) -> bytes:
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _is_spawned(command: bytes) -> bool:
    return _SPAWNED.search(command.decode(errors="replace").replace("\0", " ")) is not None


def _is_worker(mine: bytes, parents: bytes) -> bool:
    """Whether the parent has made this process, rather than a shell or a test
    that happens to run the same program twice."""
    if _is_spawned(mine) or mine == parents:
        return True
    # gunicorn names its processes if it can.
    return os.environ.get("SERVER_SOFTWARE", "").startswith("gunicorn")


def _are_alike(mine: bytes, other: bytes) -> bool:
    return mine == other or (_is_spawned(mine) and _is_spawned(other))


#: The process that was told.
_told_pid = 0


def warn_of_several() -> None:
    """Say once that workers do not share a bus that is inside of each; to be
    called in a loop when a server starts, which may start others a moment later."""
    global _told_pid
    if _told_pid != os.getpid():
        _told_pid = os.getpid()
        asyncio.get_running_loop().call_later(_SETTLE, _warn)


def _warn() -> None:
    n = count_workers()
    if n > 1:
        _logger.warning(
            "this is one of %d workers, and each has a memory:// bus of its own: what one "
            "publishes the clients of the others do not get. Give them one bus, "
            "redis://… or postgresql://…, or start one worker",
            n,
        )
