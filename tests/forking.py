# SPDX-License-Identifier: MIT
"""A program that forks while its bus has connections open."""

from __future__ import annotations

#: Its argument is the bus's URL. The child has none of its parent's sockets,
#: connects anew, and takes nothing from the parent.
FORK = """
import os, sys
from fraiseql_asgi import SubscriptionExecutor

def sockets():
    links = []
    for name in os.listdir("/proc/self/fd"):
        try:
            links.append(os.readlink(f"/proc/self/fd/{name}"))
        except OSError:
            pass
    return {link for link in links if link.startswith("socket:")}

def read(executor):
    while (message := executor.next_event("s")) is None:
        pass
    return message

def register(executor):
    executor.register_subscription("c", "s", "subscription { items { n } }", None, {}, "u", None)

before = sockets()
executor = SubscriptionExecutor(sys.argv[1])
register(executor)
executor.publish_event("item", "items", {"n": 1})
read(executor)
child = os.fork()
if child == 0:
    assert sockets() == before, sockets() - before
    register(executor)
    executor.publish_event("item", "items", {"n": 2})
    assert b'"n":2' in read(executor)
    executor.close()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert b'"n":2' in read(executor)
executor.publish_event("item", "items", {"n": 3})
assert b'"n":3' in read(executor)
assert executor.get_metrics()["bus_reconnects"] == 0
executor.close()
"""
