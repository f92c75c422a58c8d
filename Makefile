# SPDX-License-Identifier: MIT
# The project's tasks; `make` alone lists them. Each step prints one line and
# keeps its output in build/logs, shown only when it fails.
#
# PYTHON (python3) makes the virtual environment, HOST and PORT are those of
# `make run`, FRAISEQL_DEBUG=1 builds with assertions, T="args" goes to pytest,
# D="args" to tests/differential/run.py, FUZZ_SECONDS is for each fuzz target,
# CHAOS_SEED is the first of CHAOS_RUNS seeds, CHAOS_JOBS of which run at a time,
# over the bus CHAOS_BUS or, by turns, over all.

PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 8000
T ?=
CHAOS_RUNS ?= 100
CHAOS_SEED ?= 1
CHAOS_JOBS ?= 2
CHAOS_BUS ?=
SETUPTOOLS := 84.2.1

VENV := .venv
PY := $(VENV)/bin/python
VENV_BASE := $(VENV)/.stamp-setuptools-$(SETUPTOOLS)
JOBS := $(shell nproc 2>/dev/null || echo 2)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# Sources of the extension; csrc/deps has its own rule.
CSRC := $(shell find csrc -name '*.[ch]' -not -path 'csrc/deps/*' 2>/dev/null)
CSRC_DIRS := $(shell find csrc -type d -not -path 'csrc/deps*' 2>/dev/null)
SETTINGS := pyproject.toml setup.cfg setup.py

# $(call step,what it does,name of the log,command)
define step
@mkdir -p build/logs
@echo '$(1)'
@( $(3) ) >build/logs/$(2).log 2>&1 </dev/null || { \
    cat build/logs/$(2).log >&2; \
    echo 'make: failed: $(1) (the output above is build/logs/$(2).log)' >&2; \
    exit 1; }
endef

help: ## list these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | \
	    awk -F ':.*## ' '{ printf "  make %-12s %s\n", $$1, $$2 }'

# -- set-up -----------------------------------------------------------------

system-build:
	@PYTHON="$(PYTHON)" csrc/deps/system.sh build

system-test:
	@PYTHON="$(PYTHON)" csrc/deps/system.sh test

system-fuzz:
	@PYTHON="$(PYTHON)" csrc/deps/system.sh fuzz

$(VENV_BASE): | system-build
	$(call step,venv: creating $(VENV),venv,\
	    "$(PYTHON)" -m venv $(VENV) && $(PY) -m pip install setuptools==$(SETUPTOOLS))
	@touch $@

# The libraries; build.py itself knows what is out of date.
deps: $(VENV_BASE) ## build the C libraries the system lacks
	@$(PY) csrc/deps/build.py

build/.stamp-deps: csrc/deps/build.py csrc/deps/sources.py $(VENV_BASE)
	@mkdir -p build
	@$(PY) csrc/deps/build.py
	@touch $@

# Its text, and so its time, changes when another kind of build is asked for.
build/.mode: FORCE
	@mkdir -p build
	@echo 'debug=$(FRAISEQL_DEBUG)' | cmp -s - $@ || echo 'debug=$(FRAISEQL_DEBUG)' >$@

# The extension, built in place. Each compile of setup.py follows headers, so
# only what changed is compiled; folders are here for files that went away.
build/.stamp-ext: $(CSRC) $(CSRC_DIRS) setup.py build/.stamp-deps build/.mode
	$(call step,build: compiling fraiseql_asgi._core,ext,\
	    $(PY) setup.py build_ext --inplace)
	@touch $@

# The package in the virtual environment, editable, with one set of extras.
$(VENV)/.stamp-package: $(SETTINGS) $(VENV_BASE) | build/.stamp-ext
	$(call step,build: installing the package into $(VENV),install,\
	    $(PY) -m pip install --no-build-isolation -e .)
	@touch $@

$(VENV)/.stamp-run: $(SETTINGS) $(VENV_BASE) | build/.stamp-ext
	$(call step,build: installing the package and a server into $(VENV),install-run,\
	    $(PY) -m pip install --no-build-isolation -e '.[run]')
	@touch $@ $(VENV)/.stamp-package

$(VENV)/.stamp-dev: $(SETTINGS) $(VENV_BASE) | build/.stamp-ext
	$(call step,build: installing the package and the tools of the tests into $(VENV),install-dev,\
	    $(PY) -m pip install --no-build-isolation -e '.[dev]')
	@touch $@ $(VENV)/.stamp-package $(VENV)/.stamp-run

tests/clients/node_modules/.stamp: tests/clients/package.json tests/clients/package-lock.json
	$(call step,test: installing the JavaScript clients,npm,\
	    cd tests/clients && npm ci --no-audit --no-fund)
	@touch $@

# PostgreSQL of other major versions than the system's. Their links are made
# by tests/backends.py, so that no script of a package runs.
tests/postgres/node_modules/.stamp: tests/postgres/package.json tests/postgres/package-lock.json
	$(call step,prove: fetching PostgreSQL of other versions,npm-postgres,\
	    cd tests/postgres && npm ci --ignore-scripts --no-audit --no-fund)
	@touch $@

# -- tasks ------------------------------------------------------------------

build: system-build build/.stamp-ext $(VENV)/.stamp-package ## the package in .venv, with its extension

run: system-build build/.stamp-ext $(VENV)/.stamp-run ## serve examples/quickstart.py on 127.0.0.1:8000
	@echo 'run: http://$(HOST):$(PORT)/ (Ctrl-C stops it)'
	@exec $(VENV)/bin/uvicorn --app-dir examples quickstart:app --host $(HOST) --port $(PORT)

graphiql: system-npm $(VENV_BASE) ## put GraphiQL into the package, for graphiql=True
	@$(PY) csrc/deps/graphiql.py

system-npm:
	@PYTHON="$(PYTHON)" csrc/deps/system.sh npm

test-setup: system-test graphiql build/.stamp-ext $(VENV)/.stamp-dev tests/clients/node_modules/.stamp

# Three tests in all may fail once, as a clock or a server on a busy machine
# makes them; each is named with its traceback, counted in the closing line, and
# has to pass then. What a sanitizer reports is never run again.
RERUNS := --reruns 1 --max-suite-reruns 3 --rerun-show-tracebacks \
    --rerun-except Sanitizer --rerun-except 'runtime error:'

test: test-setup ## set up, then run all tests
	$(call step,test: compiling the C tests,ctests,\
	    $(MAKE) -k -C tests/c -j$(JOBS) VARIANT=asan PYTHON=../../$(PY) || true)
	@exec $(VENV)/bin/pytest $(RERUNS) $(T)

# The oldest PostgreSQL that is supported and the newest, beside the system's.
POSTGRES_VERSIONS := 13 18

prove: test-setup prove-postgres prove-redis ## measure the project's promises at full size
	@FRAISEQL_PROVE=1 exec $(VENV)/bin/pytest -m prove $(T)

prove-postgres: test-setup tests/postgres/node_modules/.stamp
	@for version in $(POSTGRES_VERSIONS); do \
	    echo "prove: PostgreSQL $$version"; \
	    FRAISEQL_POSTGRES=$$version $(VENV)/bin/pytest $(wildcard tests/integration/test_postgres_*.py) || exit 1; \
	done

# The oldest Redis that is supported, and Valkey, beside the system's.
REDIS_VERSIONS := 6.2 valkey
REDIS_TESTS := $(wildcard tests/integration/test_redis*.py) tests/c/test_c.py \
    $(patsubst %,tests/integration/test_%.py,bus bus_log control instances resume)

prove-redis: test-setup
	@$(PY) tests/redis_versions.py $(REDIS_VERSIONS)
	@for version in $(REDIS_VERSIONS); do \
	    echo "prove: Redis $$version"; \
	    FRAISEQL_REDIS=$$version $(VENV)/bin/pytest -k redis $(REDIS_TESTS) || exit 1; \
	done

differential: test-setup ## compare 100,000 random cases with graphql-core
	@exec $(PY) tests/differential/run.py $(D)

chaos: system-test build/.stamp-ext $(VENV)/.stamp-dev ## run instances under random faults, CHAOS_RUNS of them
	@PYTHONPATH=tests exec $(PY) -m chaos --seed $(CHAOS_SEED) --runs $(CHAOS_RUNS) \
	    --jobs $(CHAOS_JOBS) $(if $(CHAOS_BUS),--bus $(CHAOS_BUS))

fuzz: system-fuzz build/.stamp-deps ## fuzz GraphQL, filters and protocols, 10 minutes per target
	@$(MAKE) --no-print-directory -C tests/fuzz -j$(JOBS) run

bench: test-setup ## run the benches
	@for bench in benches/fanout.py $(wildcard benches/bench_*.py); do \
	    echo "bench: $$bench"; $(PY) $$bench || exit 1; done

# -- checks of the source ---------------------------------------------------

C_FILES = $(shell find csrc tests/c tests/fuzz benches -name '*.[ch]' 2>/dev/null)
PY_DIRS = fraiseql_asgi tests benches examples csrc setup.py

lint: system-test $(VENV)/.stamp-dev ## check formatting, warnings, types
	@$(MAKE) --no-print-directory -k $(LINTERS)
	@echo 'lint: clean'

# One target each, so that one run reports the faults of all.
LINTERS := lint-clang-format lint-warnings lint-cppcheck lint-ruff \
    lint-ruff-format lint-mypy
.PHONY: $(LINTERS)

lint-clang-format:
	$(call step,lint: clang-format,clang-format,\
	    $(VENV)/bin/clang-format --style=file:csrc/.clang-format --dry-run -Werror $(C_FILES))
lint-warnings:
	$(call step,lint: warnings of the C compiler,warnings,\
	    $(MAKE) --no-print-directory -k -j$(JOBS) strict)
lint-cppcheck:
	$(call step,lint: cppcheck,cppcheck,$(CPPCHECK) csrc)
lint-ruff:
	$(call step,lint: ruff check,ruff,$(VENV)/bin/ruff check $(wildcard $(PY_DIRS)))
lint-ruff-format:
	$(call step,lint: ruff format,ruff-format,\
	    $(VENV)/bin/ruff format --check $(wildcard $(PY_DIRS)))
lint-mypy:
	$(call step,lint: mypy,mypy,$(VENV)/bin/mypy)

# Every C file once more with warnings as errors. -O2, as some warnings come
# from the optimiser; both with assertions and without. Headers of others are
# system headers here: their warnings are not ours.
STRICT_FLAGS := -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -O2 -pthread \
    -Icsrc -Itests/c
STRICT_SRCS := $(filter %.c,$(CSRC)) $(wildcard tests/c/*.c)
STRICT_OBJS := $(foreach mode,debug release,$(STRICT_SRCS:%.c=build/lint/$(mode)/%.o))
strict: $(STRICT_OBJS)

strict_cflags = $(patsubst -I%,-isystem %,$(shell \
    PKG_CONFIG_PATH="build/deps/lib/pkgconfig:$$PKG_CONFIG_PATH" \
    pkg-config --cflags libuv yyjson libllhttp hiredis_ssl libpq)) \
    -isystem $(shell $(PY) -c 'import sysconfig; print(sysconfig.get_path("include"))')
STRICT_CFLAGS = $(eval STRICT_CFLAGS := $$(strict_cflags))$(STRICT_CFLAGS)

build/lint/debug/%.o: %.c Makefile build/.stamp-deps
	@mkdir -p $(@D)
	@$(CC) $(STRICT_FLAGS) -UNDEBUG $(STRICT_CFLAGS) -MMD -MP -c $< -o $@
build/lint/release/%.o: %.c Makefile build/.stamp-deps
	@mkdir -p $(@D)
	@$(CC) $(STRICT_FLAGS) -DNDEBUG $(STRICT_CFLAGS) -MMD -MP -c $< -o $@

CPPCHECK = mkdir -p build/cppcheck && cppcheck --quiet --error-exitcode=1 \
    --std=c11 --enable=warning,performance,portability --inline-suppr \
    --suppressions-list=csrc/.cppcheck --cppcheck-build-dir=build/cppcheck \
    --library=posix,gnu,python -j$(JOBS) --force -Icsrc -D_GNU_SOURCE

format: $(VENV)/.stamp-dev ## format C and Python
	@$(VENV)/bin/clang-format --style=file:csrc/.clang-format -i $(C_FILES)
	@$(VENV)/bin/ruff check -q --fix-only $(wildcard $(PY_DIRS))
	@$(VENV)/bin/ruff format -q $(wildcard $(PY_DIRS))

# The package and an instrumented extension in build/asan; the tests run there,
# as a server imports from its working directory first.
ASAN_KINDS := address,undefined
ASAN_PRELOAD = $(shell $(CC) -print-file-name=libasan.so) $(shell $(CC) -print-file-name=libubsan.so)

asan: test-setup ## run the Python tests with AddressSanitizer in the extension
	$(call step,asan: compiling fraiseql_asgi._core,ext-asan,\
	    FRAISEQL_SANITIZE=$(ASAN_KINDS) $(PY) setup.py build --build-lib build/asan)
	@root=$$PWD && cd build/asan && \
	    PYTHONPATH="$$PWD" PYTHONMALLOC=malloc \
	    ASAN_OPTIONS=detect_leaks=0:halt_on_error=1 UBSAN_OPTIONS=print_stacktrace=1 \
	    FRAISEQL_ASAN=1 LD_PRELOAD="$(ASAN_PRELOAD)" \
	    exec "$$root/$(PY)" -m pytest -c "$$root/pyproject.toml" --rootdir "$$root" \
	        --timeout 300 $(patsubst %,"$$root/%",$(wildcard tests/unit tests/integration)) $(T)

clean: ## remove what was built, but not .venv and the C libraries
	rm -rf build/ext build/c build/lint build/cppcheck build/asan build/logs build/lib* \
	    build/temp* build/bdist* build/.stamp-ext build/.mode dist *.egg-info \
	    .pytest_cache .mypy_cache .ruff_cache fraiseql_asgi/*.so
	find fraiseql_asgi tests benches examples csrc -name __pycache__ -prune \
	    -exec rm -rf {} + 2>/dev/null || true

distclean: clean ## remove everything that a checkout does not have
	rm -rf fraiseql_asgi/graphiql/vendor build $(VENV) tests/clients/node_modules \
	    tests/postgres/node_modules .hypothesis

-include $(STRICT_OBJS:.o=.d)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help system-build system-npm system-test system-fuzz deps graphiql build run test-setup test prove prove-postgres prove-redis \
    differential chaos fuzz bench lint strict format asan clean distclean FORCE
