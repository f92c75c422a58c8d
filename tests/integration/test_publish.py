# SPDX-License-Identifier: MIT
"""Publishing over http to real servers: the commands of the guide, and a
request that stays open."""

from __future__ import annotations

import http.client
import json
import pathlib
import re
import subprocess

from serving import DEADLINE, ROOT, Client, client, serving

PAGE = ROOT / "docs" / "guide" / "publishing-over-http.md"
ENVIRON = {"FRAISEQL_ASGI_PUBLISH_TOKEN": "change-me"}
QUERY = "subscription { orders { id total } }"


def await_subscription(subscriber: Client) -> None:
    """What is asked behind it on the same socket is answered after it."""
    assert subscriber.event()["type"] == "connected"
    subscriber.command('subscribe {"key": "2", "query": "{ wrong }"}')
    event = subscriber.event()
    assert (event["type"], event["key"]) == ("error", "2")


def test_the_commands_of_the_guide_work(tmp_path: pathlib.Path) -> None:
    page = PAGE.read_text()
    commands = re.findall(r"^    (.*curl .*)$", page, re.MULTILINE)
    answers = [json.loads(text) for text in re.findall(r'^    (\{"ids.*)$', page, re.MULTILINE)]
    assert len(commands) == len(answers) == 2
    with (
        serving("fraiseql_asgi:app", tmp_path, environ=ENVIRON) as server,
        client(f"ws://{server.address()}/", QUERY, count=3) as subscriber,
    ):
        await_subscription(subscriber)
        for command, answer in zip(commands, answers, strict=True):
            command = command.replace("curl ", "curl -sS --fail-with-body ")
            command = command.replace("127.0.0.1:8000", server.address())
            told = subprocess.run(
                command, shell=True, check=True, capture_output=True, timeout=DEADLINE
            )
            assert json.loads(told.stdout) == answer
        got = [subscriber.next()["data"]["orders"] for _ in range(3)]
        assert got == [
            {"id": 1, "total": 9.5},
            {"id": 2, "total": None},
            {"id": 3, "total": None},
        ]
        server.stop()


def test_a_request_that_stays_open_publishes_line_by_line(tmp_path: pathlib.Path) -> None:
    with (
        serving("fraiseql_asgi:app", tmp_path, environ=ENVIRON) as server,
        client(f"ws://{server.address()}/", QUERY, count=3) as subscriber,
    ):
        await_subscription(subscriber)
        connection = http.client.HTTPConnection(server.address(), timeout=DEADLINE)
        connection.putrequest("POST", "/publish")
        connection.putheader("Authorization", "Bearer change-me")
        connection.putheader("Content-Type", "application/x-ndjson")
        connection.putheader("Transfer-Encoding", "chunked")
        connection.endheaders()
        for n in range(3):
            line = json.dumps({"channel": "orders", "data": {"id": n}}).encode() + b"\n"
            connection.send(b"%x\r\n%s\r\n" % (len(line), line))
            # It is there before the next line is written.
            assert subscriber.next()["data"]["orders"]["id"] == n
        connection.send(b"0\r\n\r\n")
        response = connection.getresponse()
        assert (response.status, json.load(response)) == (202, {"ids": ["1", "2", "3"]})
        connection.close()
        server.stop()
