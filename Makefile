# Two commands do everything on a fresh machine with Python 3.11 and make: `make demo` and `make test`.
# Both make .venv from the lock when it is missing or stale; neither needs root. `make help` lists the rest.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
SHELL := /bin/sh

# The first interpreter that is new enough; the lock holds for every version from 3.11 on.
PYTHON ?= $(shell for p in python3.11 python3 python3.12 python3.13 python3.14; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
LOCKED := $(VENV)/.locked
INSTALLED := $(VENV)/.installed

# What `make tools` installed for this project comes before what the machine has; absolute, for tests that change folder.
export PATH := $(CURDIR)/.tools/bin:$(CURDIR)/.tools/node_modules/.bin:$(PATH)

ARGS ?=

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

# --- The environment ------------------------------------------------------------------------------------------------

.PHONY: venv
venv: $(INSTALLED) ## .venv with the locked dependencies and the project, editable

$(LOCKED): requirements/dev.txt
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer found. Install one, or name it: make PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "Setting up $(VENV) with $(PYTHON) from requirements/dev.txt"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@

$(INSTALLED): $(LOCKED) pyproject.toml
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: lock
lock: $(INSTALLED) ## resolve the lock files anew (keeps pins that still fit; ARGS=--upgrade takes newer ones)
	$(BIN)/uv pip compile pyproject.toml --extra demo --group dev $(LOCK) $(ARGS) -o requirements/dev.txt
	$(BIN)/uv pip compile pyproject.toml $(LOCK) -c requirements/dev.txt -o requirements/runtime.txt
	$(BIN)/uv pip compile --group fuzz $(LOCK) -o requirements/fuzz.txt
# Hashes hold what is installed; addresses of a registry would only tie the lock to one.
LOCK := --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	--no-config --custom-compile-command "make lock"

.PHONY: clean
clean: ## remove what make made, but not what `make tools` installed
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .fuzz

# --- The main job ---------------------------------------------------------------------------------------------------

.PHONY: demo
demo: $(INSTALLED) ## publish good and bad packages with real clients through the gateway (ARGS=--keep leaves it running)
	@$(BIN)/provgate demo $(ARGS)

.PHONY: picture
picture: $(INSTALLED) ## docs/demo.svg, drawn from the demo's real output
	@$(BIN)/provgate demo --svg docs/demo.svg

# --- Tests ----------------------------------------------------------------------------------------------------------

.PHONY: test
test: $(INSTALLED) ## everything that can be checked here; what needs a tool that is absent is skipped and named
	@$(BIN)/pytest $(ARGS)

.PHONY: check
check: lint types layers quick ## the fast gate before a commit: style, types, layers, docs in step, quick tests

.PHONY: lint
lint: $(INSTALLED) ## ruff, and its formatter
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check --quiet

.PHONY: format
format: $(INSTALLED) ## let ruff mend what it can
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

.PHONY: types
types: $(INSTALLED) ## mypy, strict, tests too
	@$(BIN)/mypy

.PHONY: layers
layers: $(INSTALLED) ## imports point one way
	@$(BIN)/lint-imports

.PHONY: quick
quick: $(INSTALLED) ## the tests that need no other program and take under a minute
	@$(BIN)/pytest -q -m "not slow" tests/unit tests/contract tests/corpus $(ARGS)

.PHONY: mutants
mutants: $(INSTALLED) ## break each check of policy, verification, the record of images and OCI once and see a test fail (minutes; ARGS=signer.py)
	@$(BIN)/python -m tests.mutants.all $(ARGS)

SECONDS ?= 60
FUZZER := .tools/fuzz

.PHONY: fuzz
fuzz: $(INSTALLED) $(FUZZER)/.installed ## each reader of strangers' bytes under atheris for a minute (SECONDS=10; ARGS=bundle)
	@PYTHONPATH=$(FUZZER) $(BIN)/python -m tests.fuzz.run --seconds $(SECONDS) $(ARGS)

# Not in .venv: it has wheels for Linux on x86-64 alone, and only fuzzing needs it.
$(FUZZER)/.installed: requirements/fuzz.txt $(LOCKED)
	@rm -rf $(FUZZER)
	@$(PIP) install --require-hashes --only-binary :all: --target $(FUZZER) -r requirements/fuzz.txt
	@touch $@

# --- Other programs -------------------------------------------------------------------------------------------------

.PHONY: tools
tools: ## install the other real clients and servers that tests and bench use (root; Debian, npm, Go)
	@tools/install

.PHONY: bench
bench: $(INSTALLED) ## time and memory beside nginx and the bare registry, in one run (minutes, and some 10 GiB of disk)
	@$(BIN)/python -m bench.run $(ARGS)
