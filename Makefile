# Everything a fresh machine needs is Python (3.11 or newer), pip and make; uv is fetched into .tools.
UV_VERSION := 0.13.9
PYTHON ?= python3
UV := .tools/bin/uv
RUN := .venv/bin/python -m
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-unit check format bench docs lock clean

help:  ## List the targets.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit("limbeck needs Python 3.11 or newer, but this is %d.%d. Run: make PYTHON=/path/to/python3.11" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m pip install --quiet --upgrade --target .tools uv==$(UV_VERSION)

.venv/.ready: requirements.lock pyproject.toml | $(UV)
	test -x .venv/bin/python || $(UV) venv --quiet --python $(PYTHON) .venv
	VIRTUAL_ENV=$(CURDIR)/.venv $(UV) pip sync --quiet --compile-bytecode --require-hashes requirements.lock
	VIRTUAL_ENV=$(CURDIR)/.venv $(UV) pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

setup: .venv/.ready  ## Install limbeck and its locked dependencies into .venv.

demo: setup  ## Run the quickstart study (real data, offline) and write its report to demo/report.html.
	.venv/bin/limbeck study quickstart --out demo

test: setup  ## Run every test.
	$(RUN) pytest -n $(WORKERS) tests

test-unit: setup  ## Run the tests that start no study.
	$(RUN) pytest -n $(WORKERS) -m "not slow" tests

check: setup  ## Lint, check formatting, types and the direction of imports.
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	.venv/bin/basedpyright
	.venv/bin/lint-imports

format: setup  ## Format the code.
	$(RUN) ruff check --fix .
	$(RUN) ruff format .

bench: setup  ## Run every benchmark and write benchmarks/results.
	$(RUN) benchmarks

docs: setup  ## Build the documentation into docs/_build/html.
	$(RUN) sphinx --fail-on-warning --quiet docs docs/_build/html

lock: | $(UV)  ## Renew requirements.lock from pyproject.toml.
	$(UV) pip compile --quiet pyproject.toml --all-extras --group dev --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-header --output-file requirements.lock

clean:  ## Remove what the other targets made.
	rm -rf .venv .tools demo docs/_build
