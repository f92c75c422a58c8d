# SPDX-License-Identifier: MIT
"""Builds the extension module fraiseql_asgi._core from csrc/.

Everything else about the package is in pyproject.toml and setup.cfg.

Environment:
    FRAISEQL_DEBUG=1         -O0 -g3 with assertions
    FRAISEQL_SANITIZE=LIST   `address,undefined` or `thread`, with assertions
    CFLAGS, LDFLAGS, CC      as usual
"""

from __future__ import annotations

import concurrent.futures
import os
import pathlib
import shlex
import subprocess
import sys
import sysconfig

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError

ROOT = pathlib.Path(__file__).resolve().parent
DEBUG = os.environ.get("FRAISEQL_DEBUG") == "1"
SANITIZE = os.environ.get("FRAISEQL_SANITIZE", "")
DEPS = "deps-tsan" if SANITIZE == "thread" else "deps"

#: pkg-config name -> the library's name in csrc/deps/sources.py, None where it
#: always comes from the system.  A library is listed from the day the code
#: uses it.
LIBRARIES = {
    "libuv": "libuv",
    "yyjson": "yyjson",
    "hiredis_ssl": "hiredis",
    "hiredis": "hiredis",
    "openssl": None,
    "libpq": None,
}


def compile_flags() -> list[str]:
    flags = [
        "-std=c11",
        "-D_GNU_SOURCE",
        "-Wall",
        "-Wextra",
        "-fvisibility=hidden",
        "-fno-semantic-interposition",
        "-pthread",
    ]
    if SANITIZE:
        flags += ["-O1", "-g", "-UNDEBUG", f"-fsanitize={SANITIZE}", "-fno-omit-frame-pointer"]
        if "undefined" in SANITIZE:
            flags += ["-fno-sanitize-recover=undefined"]
    elif DEBUG:
        flags += ["-O0", "-g3", "-UNDEBUG"]
    else:
        flags += ["-O2", "-g", "-DNDEBUG"]
    return flags


def link_flags() -> list[str]:
    flags = ["-pthread"]
    if sys.platform != "darwin":
        # Nothing of the static libraries is seen outside the module.
        flags += ["-Wl,--exclude-libs,ALL"]
    if SANITIZE:
        flags += [f"-fsanitize={SANITIZE}"]
    return flags


def pkg_config(*args: str) -> list[str]:
    """Ask pkg-config, our own builds of the libraries first."""
    own = ROOT / "build" / DEPS / "lib" / "pkgconfig"
    env = os.environ.copy()
    env["PKG_CONFIG_PATH"] = os.pathsep.join(
        filter(None, [str(own), env.get("PKG_CONFIG_PATH", "")])
    )
    command = [*shlex.split(env.get("PKG_CONFIG", "pkg-config")), *args, *LIBRARIES]
    return shlex.split(subprocess.check_output(command, env=env, text=True))


def build_libraries() -> None:
    """Build what the system lacks; takes no time when nothing changed."""
    script = [sys.executable, str(ROOT / "csrc" / "deps" / "build.py")]
    variant = "tsan" if SANITIZE == "thread" else "plain"
    names = filter(None, LIBRARIES.values()) if variant == "tsan" else ()
    if subprocess.call([*script, "--variant", variant, *names]) != 0:
        raise SystemExit("setup.py: the C libraries could not be built, see above")


class BuildExt(build_ext):
    """Compiles in parallel, and only what is older than one of its headers.

    setuptools compiles all files of a module, one after the other, whenever
    one of them changed.
    """

    def build_extension(self, ext: Extension) -> None:
        build_libraries()
        cflags = [*compile_flags(), *pkg_config("--cflags")]
        ldflags = [*link_flags(), *pkg_config("--libs")]
        mode = SANITIZE.replace(",", "-") or ("debug" if DEBUG else "release")
        # Not self.build_temp: an editable install makes a new one each time.
        abi = sysconfig.get_config_var("SOABI") or "unknown"
        folder = ROOT / "build" / "ext" / f"{abi}-{mode}"
        folder.mkdir(parents=True, exist_ok=True)

        includes = [*self.compiler.include_dirs, "csrc"]
        key = repr((self.compiler.compiler_so, cflags, includes))
        key_file = folder / "flags.txt"
        if not key_file.exists() or key_file.read_text() != key:
            for stale in folder.rglob("*.d"):
                stale.unlink()
            key_file.write_text(key)

        def compile_one(source: str) -> str:
            target = folder / pathlib.Path(source).with_suffix(".o")
            depfile = target.with_suffix(".d")
            if is_stale(target, depfile):
                target.parent.mkdir(parents=True, exist_ok=True)
                depfile.unlink(missing_ok=True)
                new_depfile = target.with_suffix(".d.new")
                command = [
                    *self.compiler.compiler_so,
                    *(f"-I{path}" for path in includes),
                    *cflags,
                    *("-MMD", "-MF", str(new_depfile)),
                    *("-c", source, "-o", str(target)),
                ]
                print(f"compiling {source}", flush=True)
                if subprocess.call(command, cwd=ROOT) != 0:
                    raise CompileError(f"{source} does not compile")
                new_depfile.replace(depfile)
            return str(target)

        jobs = self.parallel if isinstance(self.parallel, int) else os.cpu_count() or 1
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            objects = list(pool.map(compile_one, ext.sources))
        self.compiler.link_shared_object(
            objects,
            self.get_ext_fullpath(ext.name),
            libraries=self.get_libraries(ext),
            extra_postargs=ldflags,
            target_lang="c",
        )


def is_stale(target: pathlib.Path, depfile: pathlib.Path) -> bool:
    """Whether an object is missing, or older than a file it was made from."""
    if not target.exists() or not depfile.exists():
        return True
    made = target.stat().st_mtime
    _, _, names = depfile.read_text().replace("\\\n", " ").partition(":")
    for name in names.split():
        path = ROOT / name
        if not path.exists() or path.stat().st_mtime > made:
            return True
    return False


def sources() -> list[str]:
    files = (path.relative_to(ROOT) for path in ROOT.glob("csrc/**/*.c"))
    return sorted(str(path) for path in files if path.parts[1] != "deps")


setup(
    ext_modules=[Extension("fraiseql_asgi._core", sources())],
    cmdclass={"build_ext": BuildExt},
)
