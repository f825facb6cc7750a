# Every target makes what it needs: `make demo` or `make test` work as the first command.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PARITY := .venv-parity

.PHONY: setup demo test test-all lint format bench parity docs clean

setup: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "tvbjax needs Python 3.11 or newer; name one: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@echo "Setting up $(VENV) (once, a few minutes) ..."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test,lint,docs]'
# RateML's own models are test data inside this wheel; its dependencies (tvb-library, numpy < 2) are not wanted.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps tvb-contrib==2.11.0
	@touch $@

demo: setup
	$(BIN)/tvbjax demo

test: setup
	$(BIN)/python -m pytest

test-all: setup
	$(BIN)/python -m pytest -m 'slow or not slow'

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup
	$(BIN)/python -m benchmarks.simulate

docs: setup
	$(BIN)/mkdocs build --strict

$(PARITY)/.installed: tests/reference/requirements.txt
	@echo "Setting up $(PARITY) with tvb-library (once) ..."
	$(PYTHON) -m venv $(PARITY)
	$(PARITY)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(PARITY)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

# Runs TVB and RateML live in their own environment, then compares tvbjax with what they gave.
parity: setup $(PARITY)/.installed
	$(PARITY)/bin/python tests/reference/make_tvb.py build/reference
	$(PARITY)/bin/python tests/reference/make_rateml.py build/reference
	TVBJAX_REFERENCE=build/reference $(BIN)/python -m pytest tests/test_parity_tvb.py tests/test_parity_rateml.py

clean:
	rm -rf $(VENV) $(PARITY) build demo site
