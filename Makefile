# Two commands do everything on a fresh machine: `make run` and `make test`. See CONTRIBUTING.md for the others.
#
# Needs python3 (3.11 or newer), make, node and npm. As root on a Debian-like system what else the tests need (chromium,
# and python3-venv where it is missing) is installed; otherwise you are told what to install.

SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
FOOTFALL := $(BIN)/footfall
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help run test test-firefox check unit dbt cluster bench bench-tag chaos fuzz lock tag clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

run: $(VENV)/.run ## Start the demo (ARGS="--simulate 500" drives visitors through it)
	@"$(FOOTFALL)" demo $(ARGS)

test: check unit ## Everything that CI runs

check: $(VENV)/.test js_sdk/node_modules/.done ## Format, lint, types, import contracts
	"$(BIN)/ruff" format --check .
	"$(BIN)/ruff" check .
	"$(BIN)/mypy"
	"$(BIN)/lint-imports"
	cd js_sdk && npm run --silent check

unit: $(VENV)/.test js_sdk/node_modules/.done tests/node_modules/.done chromium ## All tests
	cd js_sdk && npm test --silent
	"$(BIN)/python" -m pytest -n 3 --dist loadgroup $(ARGS)

test-firefox: $(VENV)/.test js_sdk/node_modules/.done ## What the tag stores, played in Firefox (Debian: firefox-esr)
	FOOTFALL_TEST_BROWSER=firefox "$(BIN)/python" -m pytest tests/browser/test_stored.py $(ARGS)

dbt: $(VENV)/.test tests/node_modules/.done .venv-dbt/.done ## The dbt project that ships, run by dbt against a real server
	FOOTFALL_TEST_DBT="$(CURDIR)/.venv-dbt/bin/dbt" "$(BIN)/python" -m pytest tests/reach/test_dbt.py $(ARGS)

# dbt-core 1.11 and later fetch a binary of their own when they are installed.
.venv-dbt/.done: | $(BIN)/python
	$(PYTHON) -m venv .venv-dbt
	.venv-dbt/bin/python -m pip install --quiet --disable-pip-version-check 'dbt-core>=1.10,<1.11' 'dbt-clickhouse>=1.10,<2'
	@touch "$@"

cluster: $(VENV)/.test tests/node_modules/.done ## A database over two servers; FOOTFALL_TEST_CLUSTER=all asks every view
	FOOTFALL_TEST_CLUSTER="$${FOOTFALL_TEST_CLUSTER:-some}" "$(BIN)/python" -m pytest tests/cluster $(ARGS)

bench: $(VENV)/.test ## Benchmarks; prints ratios
	"$(BIN)/python" -m benchmarks $(ARGS)

bench-tag: js_sdk/node_modules/.done benchmarks/tag/node_modules/.done chromium ## The tag beside five others, in Chromium
	node benchmarks/tag/run.mjs $(ARGS)

chaos: $(VENV)/.test tests/node_modules/.done ## Kills, cuts, failing disks, damage, clocks (ARGS="--only kills --seed 7")
	PYTHONPATH=tests:. "$(BIN)/python" -m chaos $(ARGS)

fuzz: $(VENV)/.test tests/node_modules/.done ## The long fuzz tests: bytes (FOOTFALL_FUZZ_SECONDS), plans, funnels
	PYTHONPATH=tests:. "$(BIN)/python" -m fuzz
	FOOTFALL_TEST_MUTATIONS=1000000 "$(BIN)/python" -m pytest tests/plan/test_plan_hostile.py -n 2 -rP $(ARGS)
	FOOTFALL_TEST_MUTATIONS=60000 "$(BIN)/python" -m pytest tests/plan/test_plan_compat_fuzz.py -n 2 -rP $(ARGS)
	FOOTFALL_TEST_EXAMPLES=20 "$(BIN)/python" -m pytest $$(grep -l plan_examples tests/plan/test_*.py) -n 2 $(ARGS)
	FOOTFALL_TEST_USERS=10000 "$(BIN)/python" -m pytest tests/sql/test_funnel.py tests/sql/test_funnel_kinds.py -n 2 $(ARGS)

tag: js_sdk/node_modules/.done ## Build the tag from js_sdk/src
	cd js_sdk && npm run --silent build

LOCK := "$(BIN)/uv" pip compile --quiet --universal --upgrade --no-emit-index-url --no-emit-find-links --no-annotate \
	--no-header --python-version 3.11 --extra embedded pyproject.toml

lock: $(VENV)/.test ## Resolve requirements.lock and requirements-test.lock anew from pyproject.toml
	$(LOCK) --group test -o requirements-test.lock
	$(LOCK) -c requirements-test.lock -o requirements.lock

clean: ## Remove what make has installed and built, but no data
	rm -rf "$(VENV)" js_sdk/node_modules tests/node_modules benchmarks/tag/node_modules .pytest_cache .mypy_cache .ruff_cache

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Footfall needs Python 3.11 or newer; install one and run: make PYTHON=/path/to/python3 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv "$(VENV)" || { rm -rf "$(VENV)"; \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			apt-get update -qq && apt-get install -y -qq python3-venv && $(PYTHON) -m venv "$(VENV)"; \
		else echo "python3 has no venv; install it (Debian: apt-get install python3-venv) and run make again"; exit 1; fi; }

$(VENV)/.run: requirements.lock pyproject.toml | $(BIN)/python
	"$(BIN)/python" -m pip install --quiet --disable-pip-version-check -r requirements.lock
	"$(BIN)/python" -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch "$@"

$(VENV)/.test: requirements-test.lock $(VENV)/.run
	"$(BIN)/python" -m pip install --quiet --disable-pip-version-check -r requirements-test.lock
	@touch "$@"

%/node_modules/.done: %/package-lock.json
	cd "$*" && npm ci --ignore-scripts --no-fund --no-audit --loglevel=error
	@touch "$@"

.PHONY: chromium
chromium:
	@sh tests/chromium.sh
