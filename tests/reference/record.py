#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Records the cases of graphql-core's own tests into build/reference.

The source archive is fetched by pip (see requirements.txt for version and
hash) and unpacked below build/reference; nothing of it is committed. Its test
suite then runs under recorder.py, which writes cases.jsonl. That is done anew
when one of the files here changes, and takes about a minute.

    python tests/reference/record.py            # prints what was recorded
"""

from __future__ import annotations

import collections
import fcntl
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import zipfile
from typing import Any

HERE = pathlib.Path(__file__).resolve().parent
OUT = HERE.parent.parent / "build" / "reference"
CASES = OUT / "cases.jsonl"
SUMMARY = OUT / "summary.json"
STAMP = OUT / "stamp"

#: What of the suite is run: all but speed and the incremental delivery that
#: the specification does not have.
TESTS = ("language", "validation", "utilities", "type", "execution")
LEFT_OUT = ("execution/incremental",)

#: What these tests ask for cannot hold while calls are recorded: that nothing
#: keeps a document alive.
DESELECTED = "not keep_the_document_alive and not keep_aborted and not keep_validations"


def state() -> str:
    """Return a text that changes when the recording has to be made anew."""
    digest = hashlib.sha256()
    for name in ("requirements.txt", "recorder.py", "record.py"):
        digest.update((HERE / name).read_bytes())
    return digest.hexdigest()


def run(command: list[str], log: pathlib.Path, **env: str) -> None:
    """Run a command; show its output only when it fails."""
    with log.open("wb") as output:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | env,
            cwd=OUT,
        )
    if done.returncode != 0:
        text = log.read_text(errors="replace")
        raise RuntimeError(f"{' '.join(command)}: exit code {done.returncode}\n{text}")


def fetch() -> pathlib.Path:
    """Fetch and unpack; return the folder of the reference's sources."""
    archives = OUT / "archives"
    shutil.rmtree(archives, ignore_errors=True)
    archives.mkdir(parents=True)
    args = "download --quiet --no-deps --require-hashes --no-binary graphql-core"
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *args.split()]
    command += ["--dest", str(archives), "--requirement", str(HERE / "requirements.txt")]
    run(command, OUT / "fetch.log")

    (source,) = archives.glob("*.tar.gz")
    folder = OUT / source.name.removesuffix(".tar.gz")
    shutil.rmtree(folder, ignore_errors=True)
    with tarfile.open(source) as tar:
        if hasattr(tarfile, "data_filter"):
            tar.extraction_filter = tarfile.data_filter
        tar.extractall(OUT)
    (plugin,) = archives.glob("*.whl")
    with zipfile.ZipFile(plugin) as wheel:
        wheel.extractall(OUT / "plugins")
    return folder


def record() -> None:
    """Run the reference's tests under the recorder."""
    folder = fetch()
    settings = OUT / "pytest.ini"
    settings.write_text("[pytest]\nasyncio_mode = strict\npython_classes = PyTest*\n")
    args = ["-q", "-p", "no:cacheprovider", "-p", "recorder"]
    args += ["-k", DESELECTED, "-c", str(settings), "--rootdir", str(folder)]
    args += [f"--ignore={folder / 'tests' / name}" for name in LEFT_OUT]
    args += [str(folder / "tests" / name) for name in TESTS]
    args += sorted(str(path) for path in folder.glob("tests/test_*.py"))
    # The installed package is what the tests test; only they are in the path.
    path = os.pathsep.join(str(p) for p in (HERE, OUT / "plugins", folder))
    scratch = CASES.with_suffix(".new")
    command = [sys.executable, "-m", "pytest", *args]
    try:
        run(command, OUT / "record.log", PYTHONPATH=path, REFERENCE_CASES=str(scratch))
    except RuntimeError:
        # Tests of the reference that fail here are counted, not fatal.
        if not scratch.exists():
            raise
    pathlib.Path(f"{scratch}.summary").replace(SUMMARY)
    scratch.replace(CASES)
    STAMP.write_text(state())


def cases() -> list[dict[str, Any]]:
    """Return all recorded cases, recorded first if need be."""
    OUT.mkdir(parents=True, exist_ok=True)
    with (OUT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not CASES.exists() or not STAMP.exists() or STAMP.read_text() != state():
            record()
    with CASES.open() as lines:
        return [json.loads(line) for line in lines]


def main() -> None:
    kinds = collections.Counter((case["kind"], case["origin"]) for case in cases())
    for (kind, origin), count in sorted(kinds.items()):
        print(f"{kind:10}{origin:10}{count:7,}")
    print(f"{'':20}{sum(kinds.values()):7,}")
    summary = json.loads(SUMMARY.read_text())
    for reason, count in sorted(summary["left_out"].items()):
        print(f"left out: {count:7,} {reason}")
    print(f"failed tests of the reference: {summary['n_failed']}")


if __name__ == "__main__":
    main()
