# Each target works alone in a fresh clone: the first one called creates .venv and installs into it.
#
# pip reads PIP_INDEX_URL and PIP_EXTRA_INDEX_URL itself, from the environment or from `make demo PIP_INDEX_URL=...`.
# TORCH_SPEC asks for a particular build of torch that constraints.txt allows, e.g. TORCH_SPEC=torch==2.13.0+cpu.
PYTHON ?= python3
TORCH_SPEC ?=

VENV := .venv
STAMP := $(VENV)/.freeness-installed
DEMO_STAMP := $(VENV)/.freeness-demo-installed
DOCS_STAMP := $(VENV)/.freeness-docs-installed
# One BLAS and torch thread a process: two test workers on two cores would fight otherwise. Bytecode is kept even where the
# environment says not to: otherwise both workers, and every process that a test starts, compile everything anew.
PYTEST := OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(VENV)/bin/pytest

.DEFAULT_GOAL := help
.PHONY: help demo test slow slow-part bench lint docs lock

help:
	@echo "make demo   the whole story on bundled images, in about a minute"
	@echo "make test   the fast tests, in less than five minutes"
	@echo "make slow   the slow tests; make slow-part the part of them that every change must pass"
	@echo "make bench  the benchmarks, then docs/peers.md: every peer in an environment of its own (14 GB)"
	@echo "make lint   ruff and pyright"
	@echo "make docs   the documentation, into docs/_build"
	@echo "make lock   constraints.txt anew, from the versions that pip takes today"

# A second call finds the stamp and installs nothing, unless a dependency may have changed.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install $(if $(TORCH_SPEC),"$(TORCH_SPEC)") -e ".[all,dev]" -c constraints.txt
	@touch $@

# The demo alone needs few packages, and compiles of them what it imports; where everything is installed, that is taken.
$(DEMO_STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --no-compile $(if $(TORCH_SPEC),"$(TORCH_SPEC)") -e ".[torch]" -c constraints.txt
	@touch $@

demo: $(if $(wildcard $(STAMP)),$(STAMP),$(DEMO_STAMP))
	$(VENV)/bin/freeness demo

test: $(STAMP)
	$(PYTEST) -n 2 -m "not slow"

# Properties once more, with four times the examples.
slow: $(STAMP)
	FREENESS_HYPOTHESIS=full $(PYTEST) -n 2 -m "slow or hypothesis"

slow-part: $(STAMP)
	$(PYTEST) -n 2 --dist=worksteal -m "slow and always"

# --benchmark-only overrides the --benchmark-skip of pyproject.toml; no -n, for workers would disturb the clock.
bench: $(STAMP)
	$(PYTEST) --benchmark-only
	$(VENV)/bin/python -m benchmarks.drive

lint: $(STAMP)
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/pyright

$(DOCS_STAMP): $(STAMP)
	$(VENV)/bin/python -m pip install -e ".[docs]" -c constraints.txt
	@touch $@

lock: $(STAMP)
	$(VENV)/bin/python scripts/lock.py

docs: $(DOCS_STAMP)
	$(VENV)/bin/python -m sphinx -q -W --keep-going -b html docs docs/_build
	@echo "open docs/_build/index.html"
