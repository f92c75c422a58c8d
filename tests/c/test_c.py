# SPDX-License-Identifier: MIT
"""Builds the C unit tests and runs each program as cases of pytest.

Every program runs with AddressSanitizer and UndefinedBehaviorSanitizer, and
once more with failing allocations; those about several threads also run with
ThreadSanitizer.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
BUILD = HERE.parent.parent / "build" / "c"
NAMES = sorted(path.stem for path in HERE.glob("test_*.c"))
THREADED = (
    "test_reactor",
    "test_inbox",
    "test_mailbox",
    "test_authentication",
    "test_drain",
    "test_liveness",
    "test_management",
    "test_session",
    "test_publisher",
    "test_redis_threads",
    "test_link",
    "test_lookup",
    "test_outage",
    "test_rcbuf",
    "test_alloc",
    "test_histogram",
    "test_metrics",
    "test_backlog",
)

#: Seconds for one program; also the deadline of a first build.
PROGRAM_TIMEOUT = 240
BUILD_TIMEOUT = 900

SANITIZER_ENV = {
    "ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1",
}


def make(variant: str, *targets: str) -> subprocess.CompletedProcess[str]:
    """Run the Makefile here; with -k, so that one broken file fails alone."""
    command = ["make", "-k", "-C", str(HERE), f"-j{os.cpu_count() or 1}"]
    command += [f"VARIANT={variant}", f"PYTHON={sys.executable}", *targets]
    env = {name: value for name, value in os.environ.items() if not is_make_or_preload(name)}
    return subprocess.run(
        command,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=BUILD_TIMEOUT,
    )


def is_make_or_preload(name: str) -> bool:
    """What an outer make, or a run under a sanitizer, must not pass on."""
    return name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "LD_PRELOAD", "PYTHONMALLOC")


@pytest.fixture(scope="session")
def built() -> dict[str, bool]:
    """Variant -> whether all of its programs could be built, filled on use."""
    return {}


def program(built: dict[str, bool], variant: str, name: str) -> str:
    """Return the path of a test program, built; fail with the compiler's log."""
    if variant not in built:
        built[variant] = make(variant).returncode == 0
    if not built[variant]:
        log = make(variant, f"../../build/c/{variant}/{name}")
        if log.returncode != 0:
            pytest.fail(f"{name} does not build ({variant}):\n{log.stdout}", pytrace=False)
    return str(BUILD / variant / name)


def run(command: list[str], **extra_env: str) -> None:
    """Run a test program; fail with all it printed."""
    env = {name: value for name, value in os.environ.items() if not is_make_or_preload(name)}
    env.update(SANITIZER_ENV)
    env.update(extra_env)
    try:
        done = subprocess.run(
            command,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PROGRAM_TIMEOUT,
        )
    except subprocess.TimeoutExpired as exc:
        output = (exc.output or b"").decode(errors="replace")
        pytest.fail(f"still running after {PROGRAM_TIMEOUT} s:\n{output}", pytrace=False)
    if done.returncode != 0:
        output = done.stdout.decode(errors="replace")
        pytest.fail(f"exit code {done.returncode}:\n{output}", pytrace=False)


pytestmark = pytest.mark.timeout(BUILD_TIMEOUT + PROGRAM_TIMEOUT)


@pytest.mark.parametrize("name", NAMES)
def test_asan(built: dict[str, bool], name: str) -> None:
    run([program(built, "asan", name)])


@pytest.mark.parametrize("name", NAMES)
def test_asan_failing_allocations(built: dict[str, bool], name: str) -> None:
    run([program(built, "asan", name)], FQ_TEST_FAIL_ALLOC="1")


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith(THREADED)])
def test_tsan(built: dict[str, bool], name: str) -> None:
    command = [program(built, "tsan", name)]
    # gcc's ThreadSanitizer needs the addresses it knows.
    if setarch := shutil.which("setarch"):
        command = [setarch, os.uname().machine, "-R", *command]
    run(command)
