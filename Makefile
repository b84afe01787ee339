# Every command a contributor or CI needs. From a fresh clone: Python 3.11+, make and a package index are enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
SYNC := $(UV) sync -q --inexact --all-packages --all-extras --all-groups
SYNCED := $(VENV)/.synced
PROJECTS := pyproject.toml $(wildcard plugins/*/pyproject.toml)
SOURCES := msp_core $(patsubst %/,%,$(wildcard plugins/*/src/))
PACKAGES := msp_core $(notdir $(patsubst %/__init__.py,%,$(wildcard plugins/*/src/*/__init__.py)))
FAST := not node and not debian and not slow and not kill and not fuzz
PYTEST := $(BIN)/python -m pytest -q
COMMA := ,
SPACE := $(subst ,, )
export PATH := $(CURDIR)/$(BIN):$(PATH)
# The commands work on this folder's environment, whichever one the shell has active
unexport VIRTUAL_ENV
unexport UV_PROJECT_ENVIRONMENT

.DEFAULT_GOAL := help
.PHONY: help sync demo test check bench docs lint format types layers wheels ways lowest kills fuzz node node-tools debian cover pins upgrade dist changelog clean

help: ## show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

sync: $(SYNCED) ## make .venv with every plugin and the development tools

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one with: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check 'uv>=0.13,<0.14'

$(SYNCED): $(UV) $(PROJECTS)
	@$(SYNC) --no-group node --no-group docs
	@touch $@

demo: $(SYNCED) ## the main job on this machine and on a simulated fleet
	@$(BIN)/python scripts/demo.py

test: $(SYNCED) ## the tests that need nothing but Python (under 10 minutes)
	$(PYTEST) -n 2 -m "$(FAST)"

lint: $(SYNCED) ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(SYNCED) ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(SYNCED) ## mypy --strict
	$(BIN)/mypy --strict $(SOURCES) scripts $(wildcard benchmarks) conftest.py

layers: $(SYNCED) ## who may import whom
	$(BIN)/python scripts/layers.py

kills: $(SYNCED) ## the tests that end processes with kill -9
	$(PYTEST) -m kill

fuzz: $(SYNCED) ## ten thousand command lines, and as many configuration files
	$(PYTEST) -n 2 -m fuzz tests

debian: $(SYNCED) ## the tests that need Debian packages
	$(PYTEST) -m debian

NODE_TOOLS := .cache/node/.installed
node-tools: $(NODE_TOOLS)

$(NODE_TOOLS): tests/node/package.json $(SYNCED)
	@$(SYNC)
	@mkdir -p .cache/node && cp tests/node/package.json .cache/node/
	@$(BIN)/npm install --prefix .cache/node --no-audit --no-fund --no-package-lock --loglevel=error
	@touch $@

node: $(NODE_TOOLS) ## the tests that need Node
	$(PYTEST) -m node

# Processes that are killed measure nothing and are slower to reach the point of the kill; fuzzing takes twice as long.
# Coverage starts before pytest, which loads plugins that import the packages
COVERED := $(BIN)/coverage run --source=$(subst $(SPACE),$(COMMA),$(PACKAGES)) -m pytest -q
cover: $(NODE_TOOLS) ## every test but kills and fuzz under coverage, and the gate
	@mkdir -p .cache/coverage && rm -f .cache/coverage/*
	@failed=0; $(COVERED) -n 2 -m "not node and not debian and not kill and not fuzz" || failed=1; \
		$(COVERED) -m "(node or debian) and not kill and not fuzz" || failed=1; \
		$(BIN)/coverage combine -q; $(BIN)/python scripts/coverage_gate.py && exit $$failed

wheels: $(SYNCED) ## each wheel alone: build, install, import, test
	$(BIN)/python scripts/wheels.py

templates: $(SYNCED) ## each kind of new plugin: written, built, installed alone, tested, verified, used
	$(BIN)/python scripts/templates.py

lowest: $(SYNCED) ## the tests with the lowest versions we allow
	$(BIN)/python scripts/lowest.py

ways: $(SYNCED) ## the documented installations (uv, plain pip), each as a fresh clone
	$(BIN)/python scripts/install_ways.py

# zensical keeps its cache in .cache and its `--clean` empties all of it: Node tools, coverage and the log of CI as well
KEPT := .cache/node .cache/coverage .cache/check.log
docs: $(SYNCED) ## build the documentation into site/; a warning fails
	@$(SYNC) --no-group node
	$(BIN)/python scripts/reference.py --check
	@rm -rf site $(filter-out $(KEPT),$(wildcard .cache/*))
	$(BIN)/zensical build --strict

pins: $(UV) ## pin what has no pin yet (pyproject.toml, constraints.txt)
	$(BIN)/python scripts/constraints.py

upgrade: $(UV) ## pin the newest of everything
	$(BIN)/python scripts/constraints.py --upgrade

dist: $(SYNCED) ## build every wheel and sdist into dist/
	rm -rf dist
	$(UV) build -q --all-packages --out-dir dist

# For a plugin: make changelog IN=plugins/check-disk NAME=msp-check-disk VERSION=0.2.0
IN ?= .
NAME ?= msp-core
changelog: $(SYNCED) ## turn news fragments into a CHANGELOG (IN=, NAME=, VERSION=)
	$(BIN)/towncrier build --yes --config pyproject.toml --dir $(IN) --name $(NAME) --version $(VERSION)

bench: $(SYNCED) ## ours against the floor, one table
	@$(BIN)/python -m benchmarks

check: lint types layers docs cover kills wheels templates lowest ways ## everything CI runs (under 45 minutes)

clean: ## remove the environment, caches and builds
	rm -rf $(VENV) .cache build dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
