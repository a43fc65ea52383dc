# One door for people: `make help` lists what there is. Each target first makes .venv once, and again when a lock file or
# pyproject.toml has changed. Needs Python ≥ 3.11 with venv and pip, and a POSIX make; PYTHON=… names another interpreter.

SHELL := /bin/sh
PYTHON ?=
SEED ?= 1
TEST_PROCESSES ?= 2

BIN := .venv/bin
# Hashes are asked for even where a person's pip settings do not; a pip older than ours can do all of this.
INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check
DEV := .venv/ready .venv/ready-dev
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --no-emit-index-url --no-emit-find-links --no-config

.DEFAULT_GOAL := help
.PHONY: help demo test check lint types contracts tidy bench sim setup format lock wheel clean

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/ready ## Run the demo pipeline on the feeds that ship with it, and show the report
	@$(BIN)/stagewright demo

test: $(DEV) ## Run all tests (TEST_PROCESSES=2)
	@$(BIN)/python -m pytest -n $(TEST_PROCESSES)

check: lint types contracts tidy ## Lint, format, types, import contracts, house rules (`make -k check` goes on after a failure)

lint: $(DEV)
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --quiet --check .

types: $(DEV)
	$(BIN)/mypy

contracts: $(DEV)
	$(BIN)/lint-imports --no-logo --no-cache

tidy: $(DEV)
	$(BIN)/python -m pytest tests/tidy

bench: .venv/ready ## Measure product, skeleton and peers in one run, against the bars (BENCH_ARGS="--quick")
	@$(BIN)/python -m bench.run $(BENCH_ARGS)

sim: $(DEV) ## Run the simulation with one seed (SEED=1)
	@STAGEWRIGHT_SIM_SEED=$(SEED) $(BIN)/python -m pytest tests/sim -s

setup: $(DEV) ## Only make the environment

format: $(DEV) ## Sort imports and format all Python
	$(BIN)/ruff check --fix --select I .
	$(BIN)/ruff format .

lock: $(DEV) ## Resolve both lock files again, with hashes (UPGRADE=1 takes newer releases)
	$(LOCK) $(if $(UPGRADE),--upgrade) pyproject.toml --group build -o constraints.txt >/dev/null
	$(LOCK) $(if $(UPGRADE),--upgrade) pyproject.toml --group build --extra dev -c constraints.txt -o constraints-dev.txt >/dev/null

wheel: $(DEV) ## Build the wheel into dist/
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

clean: ## Remove the environment, builds and caches
	rm -rf .venv dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# The environment is made from nothing, so that nothing that an older lock file asked for lingers in it. The build backend
# comes out of the lock file too: without build isolation pip downloads nothing whose hash is not written down here.
.venv/base: constraints.txt
	@python=''; \
	for candidate in $(if $(PYTHON),$(PYTHON),python3 python3.13 python3.12 python3.11 python); do \
	  if $$candidate -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	  then python=$$candidate; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "expected Python 3.11 or newer with venv, found none of: $(if $(PYTHON),$(PYTHON),python3 python3.13 python3.12 python3.11)." >&2; \
	  echo "Install one (on Debian and Ubuntu with the package python3-venv), or name it: make PYTHON=/path/to/python" >&2; \
	  exit 1; \
	fi; \
	echo "making .venv with $$($$python --version) ..."; \
	$$python -m venv --clear .venv
	@$(INSTALL) --require-hashes -r constraints.txt
	@touch $@

# Apart from the above, so that a changed tool setting in pyproject.toml costs two seconds and pulls nothing from under a
# server that runs out of this environment.
.venv/ready: .venv/base pyproject.toml
	@$(INSTALL) --no-deps --no-build-isolation --no-index --editable .
	@touch $@

# Waits for .venv/ready only so that two pips never write at once under `make -j`.
.venv/ready-dev: .venv/base constraints-dev.txt | .venv/ready
	@echo "adding what tests and checks need ..."
	@$(INSTALL) --require-hashes -r constraints-dev.txt
	@touch $@
