# SPDX-License-Identifier: MIT
"""The extension module in fresh interpreters: what importing does, and several in one process."""

from __future__ import annotations

import subprocess
import sys

import pytest

DEADLINE = 60


def run(script: str, *args: str) -> str:
    """Runs a script in a fresh interpreter in development mode; gives its output."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", script, *args],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_importing_starts_no_thread_and_reads_no_environment() -> None:
    run(
        """
import os, sys

read = []
class Environment(dict):
    def __getitem__(self, name): read.append(name); return super().__getitem__(name)
    def get(self, name, default=None): read.append(name); return super().get(name, default)
    def items(self): read.append("*"); return super().items()
os.environ.update(FRAISEQL_ASGI_BUS="nonsense://")
real, os.environ = os.environ, Environment(os.environ)
descriptors = os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd") else []

import fraiseql_asgi

os.environ = real
assert not [name for name in read if name == "*" or name.startswith("FRAISEQL")], read
if descriptors:
    assert len(os.listdir("/proc/self/task")) == 1
    assert len(os.listdir("/proc/self/fd")) == len(descriptors)
"""
    )


def test_an_executor_left_open_ends_with_the_interpreter() -> None:
    run("import fraiseql_asgi; left = fraiseql_asgi.SubscriptionExecutor()")


def test_the_reactor_is_started_again_after_its_last_user() -> None:
    run(
        """
import os
from fraiseql_asgi import SubscriptionExecutor

def threads():
    return len(os.listdir("/proc/self/task")) if os.path.exists("/proc/self/task") else None

SubscriptionExecutor().close()
before = threads()
for _ in range(20):
    with SubscriptionExecutor() as first, SubscriptionExecutor() as second:
        for executor in (first, second):
            executor.register_subscription("c", "s", "subscription { a }", None, {}, None, None)
            executor.publish_event("t", "a", {"x": 1})
            assert executor.next_event("s")
assert threads() == before
"""
    )


SUBINTERPRETERS = """
import sys
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
import fraiseql_asgi

script = '''
import sys
sys.path[:0] = %r
import fraiseql_asgi
from fraiseql_asgi import _core

event = fraiseql_asgi.Event("t", "a", {"x": [1, 2.5]})
event.created_at
assert _core.from_json(_core.to_json({"in": event.data})) == {"in": {"x": [1, 2.5]}}
try:
    fraiseql_asgi.Event("", "a", {})
except ValueError:
    pass
with fraiseql_asgi.SubscriptionExecutor() as executor:
    executor.register_subscription("c", "s", "subscription { a }", None, {}, None, None)
    executor.publish_event(event)
    assert executor.next_event("s")
left = fraiseql_asgi.SubscriptionExecutor()
''' % (sys.path,)

for _ in range(4):
    if hasattr(interpreters, "exec"):
        interpreter = interpreters.create("legacy")
        failure = interpreters.exec(interpreter, script)
        assert failure is None, failure.formatted
    else:
        interpreter = interpreters.create()
        interpreters.run_string(interpreter, script)
    interpreters.destroy(interpreter)

with fraiseql_asgi.SubscriptionExecutor() as executor:
    executor.register_subscription("c", "s", "subscription { a }", None, {}, None, None)
    executor.publish_event(fraiseql_asgi.Event("t", "a", {"x": 1}))
    assert executor.next_event("s")
"""


@pytest.mark.filterwarnings("ignore")
def test_interpreters_that_share_the_gil_have_a_module_each() -> None:
    # No -W error: the modules behind it warn that they are private.
    done = subprocess.run(
        [sys.executable, "-c", SUBINTERPRETERS], capture_output=True, text=True, timeout=DEADLINE
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(sys.version_info < (3, 13), reason="no GIL of its own to be had")
def test_an_interpreter_with_a_gil_of_its_own_is_refused() -> None:
    out = run(
        """
import _interpreters, sys
interpreter = _interpreters.create("isolated")
failure = _interpreters.exec(
    interpreter, f"import sys; sys.path[:0] = {sys.path!r}; import fraiseql_asgi"
)
print(failure.formatted)
"""
    )
    assert "does not support loading in subinterpreters" in out
