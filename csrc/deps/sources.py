# SPDX-License-Identifier: MIT
"""The C libraries this project builds for itself: where from, which files, how.

Data only; build.py does the work.  No library here has a source archive in
a registry of its own, so each one comes from the archive of a Python package
that carries its C sources, named by exact version and SHA-256.  To update an
entry, change `package`, `sha256` and `version`, compare `sources` with the
library's own build files, and run `csrc/deps/build.py --bundled`.
"""

from __future__ import annotations

import dataclasses
import sys


@dataclasses.dataclass(frozen=True)
class Archive:
    """One static library (`lib<name>.a`) with the pkg-config file for it."""

    pc_name: str
    """The name pkg-config knows it by, the same as a system copy's."""

    name: str
    """The part between `lib` and `.a`."""

    sources: tuple[str, ...]
    """C files, relative to the library's folder."""

    requires: str = ""
    """Other pkg-config modules a user of the library needs."""

    libs: str = ""
    """Linker flags a user of the static library needs besides it."""

    cflags: str = "-I${includedir}"
    """Compiler flags a user of the library needs."""


@dataclasses.dataclass(frozen=True)
class Library:
    """One upstream project: a pinned source archive and what to make of it."""

    name: str
    version: str
    minimum: str
    """A system copy is taken from this version on."""

    package: str
    """The Python package (`name==version`) whose archive has the sources."""

    sha256: str
    folder: str
    """The library's folder inside the archive, below its top folder."""

    headers: dict[str, tuple[str, ...]]
    """Folder below include/ -> header files (or folders, with a `/`)."""

    archives: tuple[Archive, ...]
    cflags: tuple[str, ...] = ()
    """Flags to compile it with, in addition to those of build.py."""

    needs: tuple[str, ...] = ()
    """System pkg-config modules it takes to compile it."""


_UV_COMMON = """
    fs-poll idna inet random strscpy strtok thread-common threadpool timer
    uv-common uv-data-getter-setters version
    unix/async unix/core unix/dl unix/fs unix/getaddrinfo unix/getnameinfo
    unix/loop-watcher unix/loop unix/pipe unix/poll unix/process
    unix/proctitle unix/random-devurandom unix/signal unix/stream unix/tcp
    unix/thread unix/tty unix/udp
"""
_UV_LINUX = """
    unix/linux unix/procfs-exepath unix/random-getrandom
    unix/random-sysctl-linux
"""
_UV_DARWIN = """
    unix/bsd-ifaddrs unix/kqueue unix/random-getentropy
    unix/darwin-proctitle unix/darwin unix/fsevents
"""

if sys.platform == "darwin":
    _uv_files = _UV_COMMON + _UV_DARWIN
    _uv_defines = ("-D_DARWIN_UNLIMITED_SELECT=1", "-D_DARWIN_USE_64_BIT_INODE=1")
    _uv_libs = "-lpthread"
else:
    _uv_files = _UV_COMMON + _UV_LINUX
    _uv_defines = ("-D_GNU_SOURCE", "-D_POSIX_C_SOURCE=200112")
    _uv_libs = "-lpthread -ldl -lrt"


LIBRARIES = (
    Library(
        name="libuv",
        version="1.52.1",
        minimum="1.48",
        package="uvloop==0.23.0",
        sha256="28d160f51ab4da3b187063652e643dea6831072add4adc1e6d62afbe73b6be27",
        folder="vendor/libuv",
        headers={"": ("include/uv.h",), "uv": ("include/uv/",)},
        archives=(
            Archive(
                pc_name="libuv",
                name="uv",
                sources=tuple(f"src/{name}.c" for name in _uv_files.split()),
                libs=_uv_libs,
            ),
        ),
        # The library's own CMakeLists.txt asks for these.
        cflags=(
            "-std=gnu11",
            "-fno-strict-aliasing",
            "-Iinclude",
            "-Isrc",
            "-D_FILE_OFFSET_BITS=64",
            "-D_LARGEFILE_SOURCE",
            *_uv_defines,
        ),
    ),
    Library(
        name="yyjson",
        version="0.10.0",
        minimum="0.10",
        package="yyjson==4.0.6",
        sha256="fcd4dc15c1e39a30bf9fa85d56903029111506860fc3080ab0d81c6c6dacaa8c",
        folder="yyjson",
        headers={"": ("yyjson.h",)},
        archives=(Archive(pc_name="yyjson", name="yyjson", sources=("yyjson.c",)),),
        cflags=("-std=c99",),
    ),
    Library(
        name="llhttp",
        version="9.4.3",
        minimum="9",
        package="httptools==0.9.0",
        sha256="d484ebb7e3a3f3597b0f645fbd1b85633674ca808c1f5ba11c2caf7c66f5c8b6",
        folder="vendor/llhttp",
        headers={"": ("include/llhttp.h",)},
        archives=(
            Archive(
                pc_name="libllhttp",
                name="llhttp",
                sources=("src/api.c", "src/http.c", "src/llhttp.c"),
            ),
        ),
        cflags=("-std=c99", "-Iinclude"),
    ),
    Library(
        name="hiredis",
        version="1.5.0",
        minimum="1.2",
        package="hiredis==3.5.0",
        sha256="c227592cc56b7df247abe4755c26723965be68972be2149fa441ac33d82131ba",
        folder="vendor/hiredis",
        headers={
            "hiredis": ("alloc.h", "async.h", "hiredis.h", "hiredis_ssl.h", "read.h", "sds.h"),
        },
        archives=(
            Archive(
                pc_name="hiredis",
                name="hiredis",
                # async.c includes dict.c; hiredis keeps it that way.
                sources=(
                    "alloc.c",
                    "async.c",
                    "hiredis.c",
                    "net.c",
                    "read.c",
                    "sds.c",
                    "sockcompat.c",
                ),
                cflags="-I${includedir}/hiredis -I${includedir} -D_FILE_OFFSET_BITS=64",
            ),
            Archive(
                pc_name="hiredis_ssl",
                name="hiredis_ssl",
                sources=("ssl.c",),
                requires="hiredis openssl",
                cflags="-I${includedir}/hiredis -I${includedir}",
            ),
        ),
        cflags=("-std=c99", "-D_FILE_OFFSET_BITS=64"),
        needs=("openssl",),
    ),
)
