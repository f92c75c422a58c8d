#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Make the C libraries of sources.py available below build/deps.

For each one: if pkg-config knows a system copy that is new enough, nothing
is built.  Otherwise the pinned source archive is fetched by pip, its SHA-256
is checked, and a static, position-independent library is installed with its
headers and a relocatable pkg-config file.  Users of the libraries put
build/deps/lib/pkgconfig in front of PKG_CONFIG_PATH and ask pkg-config,
whichever of the two it was.

A library is built again when its entry, this script, the compiler or the
flags change; otherwise a run takes a fraction of a second.  Two runs at a
time are fine: the second waits for the first.

The Python that runs this needs pip and setuptools, which pip wants for the
metadata of a source archive; the Makefile prepares such a one in .venv.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import dataclasses
import fcntl
import hashlib
import importlib.util
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent

sys.path.insert(0, str(HERE))
from sources import LIBRARIES, Archive, Library  # noqa: E402

#: Flags for every library.  Hidden symbols stay inside the extension module.
COMMON_CFLAGS = ("-O2", "-g", "-fPIC", "-fvisibility=hidden", "-pthread", "-w")

#: Variant -> (folder below build/, extra flags).  Variants other than the
#: plain one never use system copies, as those are not instrumented.
VARIANTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "plain": ("deps", ()),
    # ThreadSanitizer sees libuv's own accesses, and the order its atomics
    # make, only if libuv itself is compiled with it.
    "tsan": ("deps-tsan", ("-O1", "-fsanitize=thread", "-fno-omit-frame-pointer")),
}


class BuildError(Exception):
    """A fault whose text says all a user needs to know."""


def run(args: Sequence[str], *, cwd: pathlib.Path | None = None, what: str) -> str:
    """Run a program silently; on failure raise BuildError with its output."""
    try:
        done = subprocess.run(
            args, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
    except OSError as exc:
        raise BuildError(f"{what}: cannot run {args[0]}: {exc.strerror}") from None
    if done.returncode != 0:
        raise BuildError(f"{what} failed:\n$ {shlex.join(args)}\n{done.stdout.rstrip()}")
    return done.stdout


class Builder:
    """Brings the libraries of one variant up to date."""

    def __init__(self, variant: str, *, bundled: bool, jobs: int) -> None:
        folder, flags = VARIANTS[variant]
        self.variant = variant
        self.prefix = ROOT / "build" / folder
        self.archive_dir = ROOT / "build" / "deps-archives"
        self.bundled = bundled or variant != "plain"
        self.jobs = jobs
        self.cc = shlex.split(os.environ.get("CC", "cc"))
        self.ar = shlex.split(os.environ.get("AR", "ar"))
        self.cflags = (*COMMON_CFLAGS, *flags, *shlex.split(os.environ.get("DEPS_CFLAGS", "")))
        self.pkg_config = shlex.split(os.environ.get("PKG_CONFIG", "pkg-config"))

    # -- what is there ----------------------------------------------------

    def system_has(self, library: Library) -> bool:
        """Whether pkg-config knows a system copy that is new enough."""
        wanted = [f"{archive.pc_name} >= {library.minimum}" for archive in library.archives]
        return self.pkg_config_exists(wanted)

    def pkg_config_exists(self, modules: Sequence[str]) -> bool:
        """Ask pkg-config without showing it our own files."""
        env = os.environ.copy()
        paths = env.get("PKG_CONFIG_PATH", "").split(os.pathsep)
        own = {ROOT / "build" / folder / "lib" / "pkgconfig" for folder, _ in VARIANTS.values()}
        kept = [p for p in paths if p and pathlib.Path(p).resolve() not in own]
        env["PKG_CONFIG_PATH"] = os.pathsep.join(kept)
        done = subprocess.run([*self.pkg_config, "--exists", *modules], env=env)
        return done.returncode == 0

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold build/deps for this process; another run waits."""
        self.prefix.mkdir(parents=True, exist_ok=True)
        with open(self.prefix / ".lock", "w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("deps: another build is under way, waiting for it")
                fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def stamp_text(self, library: Library) -> str:
        """What the installed library depends on, as one hash."""
        parts = (
            repr(dataclasses.asdict(library)),
            (HERE / "build.py").read_text(encoding="utf-8"),
            self.compiler_id,
            repr(self.cflags),
        )
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    # -- one library ------------------------------------------------------

    def update(self, libraries: Sequence[Library]) -> None:
        """Build what is missing or out of date."""
        self.compiler_id = run([*self.cc, "--version"], what="asking the C compiler's version")
        run([*self.pkg_config, "--version"], what="asking pkg-config's version")
        with self.locked():
            for library in libraries:
                self.update_one(library)

    def update_one(self, library: Library) -> None:
        stamp = self.prefix / "stamps" / library.name
        stamp.parent.mkdir(exist_ok=True)
        if not self.bundled and self.system_has(library):
            # A copy built earlier must not hide the system's.
            for archive in library.archives:
                self.pc_path(archive).unlink(missing_ok=True)
            stamp.unlink(missing_ok=True)
            return
        text = self.stamp_text(library)
        if stamp.exists() and stamp.read_text(encoding="utf-8") == text:
            return
        for module in library.needs:
            if not self.pkg_config_exists([module]):
                raise BuildError(
                    f"{library.name} needs {module}, which pkg-config does not know; "
                    "csrc/deps/system.sh build installs the system packages"
                )
        source_archive = self.fetch(library)
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="build-", dir=self.prefix) as scratch:
            folder = self.unpack(library, source_archive, pathlib.Path(scratch))
            say(f"deps: {library.name} {library.version}: compiling")
            self.compile(library, folder)
            self.install(library, folder)
        stamp.write_text(text, encoding="utf-8")
        say(f"deps: {library.name} {library.version}: done in {time.monotonic() - started:.1f} s")

    def fetch(self, library: Library) -> pathlib.Path:
        """Return the path of the checked archive, from pip if need be."""
        name, _, version = library.package.partition("==")
        target = self.archive_dir / f"{name}-{version}.tar.gz"
        if target.exists() and sha256_of(target) == library.sha256:
            return target
        for module in ("pip", "setuptools"):
            if importlib.util.find_spec(module) is None:
                raise BuildError(
                    f"fetching {library.name} needs {module} in the Python that runs this "
                    "script; 'make deps' sets that up in .venv"
                )
        say(f"deps: {library.name} {library.version}: fetching")
        self.archive_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="fetch-", dir=self.archive_dir) as scratch:
            wanted = pathlib.Path(scratch) / "requirements.txt"
            wanted.write_text(f"{library.package} --hash=sha256:{library.sha256}\n")
            # Without --no-build-isolation pip first builds Cython and others
            # for the archive's metadata, which takes minutes.
            args = "download --quiet --no-deps --no-binary :all: --require-hashes"
            run(
                [
                    *(sys.executable, "-m", "pip", "--disable-pip-version-check"),
                    *args.split(),
                    "--no-build-isolation",
                    *("--dest", scratch, "--requirement", str(wanted)),
                ],
                what=f"fetching {library.package} for {library.name}",
            )
            found = list(pathlib.Path(scratch).glob("*.tar.gz"))
            if len(found) != 1:
                raise BuildError(f"{library.package}: expected one .tar.gz, got {found}")
            if sha256_of(found[0]) != library.sha256:
                raise BuildError(f"{library.package}: wrong SHA-256 {sha256_of(found[0])}")
            found[0].replace(target)
        return target

    def unpack(
        self, library: Library, source_archive: pathlib.Path, scratch: pathlib.Path
    ) -> pathlib.Path:
        """Unpack the library's folder alone and return where it is."""
        top = library.package.replace("==", "-")
        inside = f"{top}/{library.folder}/"
        with tarfile.open(source_archive) as tar:
            for member in tar:
                if not member.isfile() or not member.name.startswith(inside):
                    continue
                relative = pathlib.PurePosixPath(member.name[len(inside) :])
                if ".." in relative.parts or relative.is_absolute():
                    raise BuildError(f"{source_archive.name}: suspicious path {member.name}")
                data = tar.extractfile(member)
                assert data is not None
                path = scratch / "src" / relative
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data.read())
        folder = scratch / "src"
        if not folder.is_dir():
            raise BuildError(f"{source_archive.name} has no {library.folder}")
        return folder

    def compile(self, library: Library, folder: pathlib.Path) -> None:
        """Compile every source of the library to an object next to it."""
        needs: list[str] = []
        if library.needs:
            args = [*self.pkg_config, "--cflags", *library.needs]
            needs = shlex.split(run(args, what=f"asking pkg-config for {library.needs}"))
        # The folder is a temporary one: keep its name out of debug information.
        prefix_map = f"-ffile-prefix-map={folder}={library.name}-{library.version}"
        flags = [*self.cflags, *library.cflags, *needs, prefix_map]

        def compile_one(source: str) -> None:
            args = [*self.cc, *flags, "-c", source, "-o", object_name(source)]
            run(args, cwd=folder, what=f"compiling {library.name}/{source}")

        sources = [source for archive in library.archives for source in archive.sources]
        with concurrent.futures.ThreadPoolExecutor(self.jobs) as pool:
            for _ in pool.map(compile_one, sources):
                pass

    def install(self, library: Library, folder: pathlib.Path) -> None:
        """Put headers, archives and pkg-config files in their place."""
        include = self.prefix / "include"
        for subfolder, headers in library.headers.items():
            target = include / subfolder
            target.mkdir(parents=True, exist_ok=True)
            for header in headers:
                if header.endswith("/"):
                    shutil.copytree(folder / header, target, dirs_exist_ok=True)
                else:
                    shutil.copy(folder / header, target)
        (self.prefix / "lib" / "pkgconfig").mkdir(parents=True, exist_ok=True)
        for archive in library.archives:
            filename = f"lib{archive.name}.a"
            objects = [object_name(source) for source in archive.sources]
            run([*self.ar, "rcs", filename, *objects], cwd=folder, what=f"archiving {filename}")
            os.replace(folder / filename, self.prefix / "lib" / filename)
            self.pc_path(archive).write_text(pc_text(library, archive), encoding="utf-8")

    def pc_path(self, archive: Archive) -> pathlib.Path:
        return self.prefix / "lib" / "pkgconfig" / f"{archive.pc_name}.pc"


def pc_text(library: Library, archive: Archive) -> str:
    """The pkg-config file; it finds its folder by itself, so it can move."""
    lines = [
        "prefix=${pcfiledir}/../..",
        "libdir=${prefix}/lib",
        "includedir=${prefix}/include",
        "",
        f"Name: {archive.pc_name}",
        f"Description: {library.name}, static, built by csrc/deps/build.py",
        f"Version: {library.version}",
    ]
    if archive.requires:
        lines.append(f"Requires: {archive.requires}")
    lines.append(f"Libs: -L${{libdir}} -l{archive.name} {archive.libs}".rstrip())
    lines.append(f"Cflags: {archive.cflags}")
    return "\n".join(lines) + "\n"


def object_name(source: str) -> str:
    return source.removesuffix(".c").replace("/", "-") + ".o"


def sha256_of(path: pathlib.Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def say(text: str) -> None:
    print(text, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Build the C libraries that the system does not have, below build/deps."
    )
    parser.add_argument("--variant", choices=VARIANTS, default="plain")
    parser.add_argument(
        "--bundled",
        action="store_true",
        default=os.environ.get("FRAISEQL_BUNDLED_DEPS") == "1",
        help="never take a system library (also FRAISEQL_BUNDLED_DEPS=1)",
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("library", nargs="*", help="only these (default: all)")
    options = parser.parse_args()
    unknown = set(options.library) - {library.name for library in LIBRARIES}
    if unknown:
        parser.error(f"no such library: {', '.join(sorted(unknown))}")
    wanted = [lib for lib in LIBRARIES if not options.library or lib.name in options.library]
    try:
        Builder(options.variant, bundled=options.bundled, jobs=options.jobs).update(wanted)
    except BuildError as exc:
        print(f"deps: error: {exc}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
