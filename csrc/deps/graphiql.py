#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Fetch GraphiQL and what it needs into fraiseql_asgi/graphiql/vendor.

The files are those their makers built for browsers, so nothing is compiled
here and nothing fetched later: the page works without a network. Each package
is pinned by version and by the SHA-512 of its archive; npm fetches it, from
the registry it is set up for. To update one, change both (`npm view NAME@VERSION
dist.integrity`), and look at the page.

Exit code 0 when all is there; takes no time when nothing changed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import pathlib
import subprocess
import sys
import tarfile
import tempfile

TARGET = pathlib.Path(__file__).resolve().parents[2] / "fraiseql_asgi" / "graphiql" / "vendor"

#: Package, SHA-512 of its archive, its files -> ours.
PACKAGES: tuple[tuple[str, str, dict[str, str]], ...] = (
    (
        "graphiql@3.9.0",
        "rJYFlHdBbug9+YbFSwRVvgfPjCayC7wHecZkx/qB4XLuQPFQZw/yB9pmHFtOJV6RiNBBHro3u1GdocKa3YcGRA==",
        {
            "graphiql.min.js": "graphiql.js",
            "graphiql.min.css": "graphiql.css",
            "LICENSE": "LICENSE.graphiql",
        },
    ),
    (
        "react@18.3.1",
        "wS+hAgJShR0KhEvPJArfuPVN1+Hz1t0Y6n5jLrGQbkb4urgPE/0Rve+1kMB1v/oWgHgm4WIcV+i7F2pTVj+2iQ==",
        {"umd/react.production.min.js": "react.js", "LICENSE": "LICENSE.react"},
    ),
    (
        "react-dom@18.3.1",
        "5m4nQKp+rZRb09LNH59GM4BxTh9251/ylbKIbpe7TpGxfJ+9kv6BLkLBXIjjspbgbnIBNqlI23tRnTWT0snUIw==",
        {"umd/react-dom.production.min.js": "react-dom.js", "LICENSE": "LICENSE.react-dom"},
    ),
    (
        "graphql-ws@6.0.6",
        "zgfER9s+ftkGKUZgc0xbx8T7/HMO4AV5/YuYiFc+AtgcO5T0v8AxYYNQ+ltzuzDZgNkYJaFspm5MMYLjQzrkmw==",
        {"umd/graphql-ws.min.js": "graphql-ws.js", "LICENSE.md": "LICENSE.graphql-ws"},
    ),
)
#: What the folder has been made from.
STAMP = "packages.json"


def is_up_to_date() -> bool:
    names = [name for _, _, files in PACKAGES for name in files.values()]
    stamp = TARGET / STAMP
    return (
        stamp.exists()
        and json.loads(stamp.read_text()) == json.loads(json.dumps(PACKAGES))
        and all((TARGET / name).exists() for name in names)
    )


def fetch(package: str, sha512: str, folder: pathlib.Path) -> pathlib.Path:
    """The archive of `package`, whose hash is right."""
    folder.mkdir()
    command = ["npm", "pack", package, "--silent", "--pack-destination", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise SystemExit(f"graphiql: cannot run npm: {error.strerror}") from None
    if done.returncode != 0:
        raise SystemExit(f"graphiql: npm cannot fetch {package}:\n{done.stderr.rstrip()}")
    (archive,) = folder.glob("*.tgz")
    found = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if found != sha512:
        raise SystemExit(f"graphiql: {package} has SHA-512 {found}, not {sha512}")
    return archive


def main() -> None:
    if is_up_to_date():
        return
    TARGET.mkdir(parents=True, exist_ok=True)
    (TARGET / STAMP).unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        for number, (package, sha512, files) in enumerate(PACKAGES):
            archive = fetch(package, sha512, pathlib.Path(temporary) / str(number))
            with tarfile.open(archive) as tar:
                for name, ours in files.items():
                    member = tar.extractfile(f"package/{name}")
                    if member is None:
                        raise SystemExit(f"graphiql: {package} has no file {name}")
                    (TARGET / ours).write_bytes(member.read())
            print(f"graphiql: {package}", flush=True)
    (TARGET / STAMP).write_text(json.dumps(PACKAGES))


if __name__ == "__main__":
    sys.exit(main())
