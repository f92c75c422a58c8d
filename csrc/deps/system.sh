#!/bin/sh
# SPDX-License-Identifier: MIT
# Checks that the system has what a build (`build`), GraphiQL (`npm`), the tests
# (`test`) or the fuzz targets (`fuzz`), which all include `build`, need from
# outside Python, and installs what is missing with
# apt-get, as root or through sudo. It looks for the thing itself, not for a
# package: a compiler or a node that came from elsewhere is as good. Silent and
# quick when nothing is missing.
set -eu

want=${1:-build}
python=${PYTHON:-python3}
case $want in
build | npm | test | fuzz) ;;
*)
    echo "usage: $0 [build|npm|test|fuzz]" >&2
    exit 2
    ;;
esac

have() {
    command -v "$1" >/dev/null 2>&1
}

compiles() {
    printf '%s\n' "$1" | ${CC:-cc} -E -x c - >/dev/null 2>&1
}

knows() {
    have "${PKG_CONFIG:-pkg-config}" && "${PKG_CONFIG:-pkg-config}" --exists "$1"
}

python_has_venv() {
    "$python" -c 'import ensurepip, venv' >/dev/null 2>&1
}

python_has_headers() {
    "$python" -c 'import os, sys, sysconfig
header = os.path.join(sysconfig.get_path("include"), "Python.h")
sys.exit(not os.path.exists(header))' >/dev/null 2>&1
}

node_is_new_enough() {
    have node && have npm &&
        node -e 'process.exit(parseInt(process.versions.node) >= 18 ? 0 : 1)'
}

has_pgbouncer() {
    have pgbouncer || [ -x /usr/sbin/pgbouncer ]
}

# Debian puts initdb where PATH does not look.
has_postgres() {
    have initdb || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1
}

has_chromium() {
    have chromium || have chromium-browser || have google-chrome
}

# One that brings the runtime of its fuzzer.
has_libfuzzer() {
    for name in clang clang-19 clang-17 clang-15 clang-14; do
        if have "$name"; then
            echo 'int LLVMFuzzerTestOneInput(const char *p, unsigned long n);
int LLVMFuzzerTestOneInput(const char *p, unsigned long n) { return p == 0 && n; }' |
                "$name" -fsanitize=fuzzer,address,undefined -x c - -o /dev/null 2>/dev/null
            return
        fi
    done
    return 1
}

# Prints one Debian package per line for each thing that is missing.
missing() {
    { have "${CC:-cc}" && have ar && have make && compiles '#include <stdio.h>'; } ||
        echo build-essential
    have "${PKG_CONFIG:-pkg-config}" || echo pkg-config
    knows libpq || echo libpq-dev
    knows openssl || echo libssl-dev
    python_has_venv || echo python3-venv
    python_has_headers || echo python3-dev
    if [ "$want" = npm ] || [ "$want" = test ]; then
        have npm || echo npm
    fi
    if [ "$want" = test ]; then
        compiles '#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>' || echo libcmocka-dev
        have node || echo nodejs
        have curl || echo curl
        has_chromium || echo chromium
        has_postgres || echo postgresql
        has_pgbouncer || echo pgbouncer
        have cppcheck || echo cppcheck
        have redis-server && have redis-cli || echo redis-server
    fi
    if [ "$want" = fuzz ]; then
        has_libfuzzer || echo clang-14 libclang-rt-14-dev
    fi
}

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
    echo "system: $python is missing or older than Python 3.10" >&2
    exit 1
fi

packages=$(missing | tr '\n' ' ')
if [ -n "$packages" ]; then
    if ! have apt-get; then
        echo "system: missing (names of Debian packages): $packages" >&2
        echo "system: there is no apt-get here; please install them by other means" >&2
        exit 1
    fi
    sudo=
    if [ "$(id -u)" -ne 0 ]; then
        sudo=sudo
        if ! have sudo; then
            echo "system: missing: $packages" >&2
            echo "system: as root, run: apt-get install $packages" >&2
            exit 1
        fi
    fi
    echo "system: installing $packages"
    log=$(mktemp)
    trap 'rm -f "$log"' EXIT
    # $packages is a list of words.
    # shellcheck disable=SC2086
    if ! { $sudo apt-get -q update &&
        $sudo env DEBIAN_FRONTEND=noninteractive \
            apt-get -q install -y --no-install-recommends $packages; } \
        >"$log" 2>&1 </dev/null; then
        cat "$log" >&2
        echo "system: installing $packages failed, see above" >&2
        exit 1
    fi
    packages=$(missing | tr '\n' ' ')
    if [ -n "$packages" ]; then
        echo "system: still missing after the installation: $packages" >&2
        echo "system: (is $python one of Debian's? set PYTHON to one that has venv and headers)" >&2
        exit 1
    fi
fi

if [ "$want" = test ] && ! node_is_new_enough; then
    echo "system: node $(node --version) is too old, 18 or later is needed" >&2
    exit 1
fi
