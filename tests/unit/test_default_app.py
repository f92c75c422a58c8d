# SPDX-License-Identifier: MIT
"""The default app: what the environment may say, and when it is read."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import textwrap

import pytest

from fraiseql_asgi import ConfigError, EventBusConfig, Limits
from fraiseql_asgi.default_app import check_anonymous, read_settings


def test_nothing_set_is_the_default() -> None:
    settings = read_settings({"PATH": "/bin", "FRAISEQL": "x"})
    assert settings.is_default
    assert settings.bus == EventBusConfig.memory()
    assert settings.limits == Limits()
    assert settings.module is None


def test_everything_can_be_set() -> None:
    settings = read_settings(
        {
            "FRAISEQL_ASGI_BUS": "memory://",
            "FRAISEQL_ASGI_MODULE": "myapp.fields",
            "FRAISEQL_ASGI_SCHEMA": "",
            "FRAISEQL_ASGI_QUEUE_MAX_ITEMS": "10",
            "FRAISEQL_ASGI_INIT_TIMEOUT": "0.5",
        }
    )
    assert not settings.is_default
    assert settings.module == "myapp.fields"
    assert settings.limits == Limits(queue_max_items=10, init_timeout=0.5)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("BUSS", "x", "unknown variable FRAISEQL_ASGI_BUSS; there are FRAISEQL_ASGI_BUS, "),
        ("BUS", "kafka://h", "cannot use the event bus 'kafka://h'"),
        ("SCHEMA", "/none.graphql", "'/none.graphql' does not exist"),
        (
            *("LISTEN_CONNECTION_STRING", "host=primary"),
            "FRAISEQL_ASGI_LISTEN_CONNECTION_STRING is for PostgreSQL",
        ),
        ("QUEUE_MAX_ITEMS", "many", "FRAISEQL_ASGI_QUEUE_MAX_ITEMS must be a whole number"),
        ("QUEUE_MAX_ITEMS", "0", "queue_max_items must be from 1"),
        ("INIT_TIMEOUT", "soon", "FRAISEQL_ASGI_INIT_TIMEOUT must be a number"),
        ("SHUTDOWN_TIMEOUT", "soon", "FRAISEQL_ASGI_SHUTDOWN_TIMEOUT must be a number"),
        ("SHUTDOWN_TIMEOUT", "-1", "FRAISEQL_ASGI_SHUTDOWN_TIMEOUT must be above 0"),
        ("ALLOW_ANONYMOUS", "maybe", "FRAISEQL_ASGI_ALLOW_ANONYMOUS must be 1 or 0, not 'maybe'"),
        ("JWT_SECRET", "short", "FRAISEQL_ASGI_JWT_…: secret has 5 bytes"),
        ("JWT_JWKS", "/none.json", "jwks '/none.json': cannot read it"),
        ("JWT_ISSUER", "a", "FRAISEQL_ASGI_JWT_ISSUER needs FRAISEQL_ASGI_JWT_SECRET or "),
    ],
)
def test_a_wrong_variable_is_named(name: str, value: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told.replace("/", "/")):
        read_settings({f"FRAISEQL_ASGI_{name}": value})


def test_tokens_are_checked_by_the_environments_settings() -> None:
    jwt = pytest.importorskip("jwt")
    secret = "s" * 64
    settings = read_settings(
        {
            "FRAISEQL_ASGI_JWT_SECRET": secret,
            "FRAISEQL_ASGI_JWT_ALGORITHMS": "HS384, HS512",
            "FRAISEQL_ASGI_JWT_ISSUER": "a,b",
            "FRAISEQL_ASGI_JWT_AUDIENCE": "c",
        }
    )
    assert settings.authentication is not None
    asked = settings.authentication.handler.function
    claims = {"sub": "ann", "iss": "b", "aud": "c", "exp": 2**32}
    assert asked({"authorization": jwt.encode(claims, secret, "HS512")}).user_id == "ann"
    assert asked({"authorization": jwt.encode(claims, secret, "HS256")}) is None
    assert asked({"authorization": jwt.encode(claims | {"iss": "c"}, secret, "HS512")}) is None
    assert asked({}) is None
    settings = read_settings(
        {"FRAISEQL_ASGI_JWT_SECRET": secret, "FRAISEQL_ASGI_ALLOW_ANONYMOUS": "1"}
    )
    assert settings.authentication is not None
    assert settings.authentication.handler.function({}).user_id == "anonymous"


def test_a_pooler_needs_another_way_to_listen() -> None:
    settings = read_settings(
        {
            "FRAISEQL_ASGI_BUS": "postgresql://pooler/app",
            "FRAISEQL_ASGI_LISTEN_CONNECTION_STRING": "host=primary dbname=app",
            "FRAISEQL_ASGI_ALLOW_ANONYMOUS": "1",
        }
    )
    assert settings.bus == EventBusConfig.postgresql(
        "postgresql://pooler/app", listen_connection_string="host=primary dbname=app"
    )


def test_a_bus_of_others_is_not_for_everybody() -> None:
    check_anonymous("memory")
    for bus in ("redis", "postgresql"):
        with pytest.raises(ConfigError, match=f"over {bus}: set FRAISEQL_ASGI_JWT_SECRET or "):
            check_anonymous(bus)
    assert read_settings({"FRAISEQL_ASGI_ALLOW_ANONYMOUS": "1"}).authentication is None


def run(code: str, folder: pathlib.Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run `code` in a fresh interpreter, with modules of `folder`."""
    environ = {f"FRAISEQL_ASGI_{name}": value for name, value in environ.items()}
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH", "")]))
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=os.environ | environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_importing_reads_nothing_and_starts_nothing(tmp_path: pathlib.Path) -> None:
    code = """
        import threading
        from fraiseql_asgi import *
        assert isinstance(app, SubscriptionManager)
        assert threading.active_count() == 1
    """
    done = run(code, tmp_path, BUSS="x")
    assert (done.returncode, done.stderr) == (0, "")


STARTUP = """
    import asyncio, fraiseql_asgi

    async def main():
        told = []
        message = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

        async def receive():
            return next(message)

        async def send(message):
            told.append(message)
            if message["type"] == "lifespan.startup.complete":
                print(*sorted(fraiseql_asgi.app._runtime.fields))

        await fraiseql_asgi.app({"type": "lifespan"}, receive, send)
        print(told[0].get("message", "started"))

    asyncio.run(main())
"""


def test_nothing_set_is_told_in_one_line(tmp_path: pathlib.Path) -> None:
    done = run(STARTUP, tmp_path)
    assert done.stdout == "\nstarted\n"
    (line,) = done.stderr.splitlines()
    assert "nothing is configured" in line


def test_the_module_declares_fields(tmp_path: pathlib.Path) -> None:
    (tmp_path / "fields.py").write_text(
        "import fraiseql_asgi\n"
        "fraiseql_asgi.subscription('priceChanged')\n"
        "@fraiseql_asgi.subscription\n"
        "def order_updated(event, variables): ...\n"
    )
    done = run(STARTUP, tmp_path, MODULE="fields")
    assert (done.stdout, done.stderr) == ("orderUpdated priceChanged\nstarted\n", "")


def test_fields_declared_before_count_as_well(tmp_path: pathlib.Path) -> None:
    code = "import fraiseql_asgi\nfraiseql_asgi.subscription('early')\n" + textwrap.dedent(STARTUP)
    assert run(code, tmp_path, MODULE="json").stdout == "early\nstarted\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "cannot import 'fields': ModuleNotFoundError: No module named 'fields'"),
        ("1 / 0", "cannot import 'fields': ZeroDivisionError: division by zero ("),
    ],
)
def test_a_module_that_fails_is_one_line(
    tmp_path: pathlib.Path, text: str | None, told: str
) -> None:
    if text is not None:
        (tmp_path / "fields.py").write_text(text)
    done = run(STARTUP, tmp_path, MODULE="fields")
    (line,) = done.stdout.splitlines()
    assert line.startswith("fraiseql_asgi cannot start: FRAISEQL_ASGI_MODULE: ")
    assert told in line
    assert done.stderr == ""


def test_there_is_nothing_else(tmp_path: pathlib.Path) -> None:
    done = run("import fraiseql_asgi; fraiseql_asgi.nothing", tmp_path)
    assert "has no attribute 'nothing'" in done.stderr
