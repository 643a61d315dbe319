# What a new machine needs: Python 3.11 or newer with venv, and make. `make help` lists the targets.
# Variables to override: PYTHON (the interpreter), VENV (where the environment goes), OPENML_CACHE_DIR (the data).

PYTHON ?= python3
VENV ?= .venv
VENV_OLDEST ?= .venv-oldest
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: dist help venv test test-slow test-oldest lint format types docs release-check benchmark data clean distclean

help:
	@echo "make benchmark    sparse nets against random forests on real tables -> results/report/index.html"
	@echo "                  (PROFILE=smoke for a first look, PROFILE=full for everything)"
	@echo "make test         all tests but the slow ones"
	@echo "make test-slow    the tests marked slow"
	@echo "make test-oldest  the tests with the oldest supported torch, scikit-learn and skorch (large download)"
	@echo "make lint         ruff and mypy"
	@echo "make types        mypy and pyright on a user's script, against the installed wheel"
	@echo "make release-check  what must hold before a release: sdist, wheel, conda recipe, README in a fresh environment"
	@echo "make format       let ruff format the code"
	@echo "make docs         the documentation -> docs/_build/html/index.html"
	@echo "make venv         the virtual environment with everything in it"
	@echo "make clean        remove what was built; make distclean: the environments too"

# --- environment: one stamp for each group of optional dependencies, renewed when their declaration changes

venv: $(VENV)/.installed-benchmarks $(VENV)/.installed-tests $(VENV)/.installed-docs

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "sparsemlp needs Python 3.11 or newer; choose one with: make PYTHON=python3.11 ..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -f $@; exit 1; }  # venv fails after linking python where pip is missing

$(VENV)/.installed-%: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e ".[$*]"
	@touch $@

# --- checks

# Two processes, each of which takes whole files: the examples of a page need those before them.
PARALLEL := -n 2 --dist loadfile

test: $(VENV)/.installed-benchmarks $(VENV)/.installed-tests
	$(BIN)/python -m pytest $(PARALLEL)

test-slow: $(VENV)/.installed-benchmarks $(VENV)/.installed-tests
	$(BIN)/python -m pytest -m slow

test-oldest: $(VENV_OLDEST)/.installed
	$(VENV_OLDEST)/bin/python -m pytest $(PARALLEL)

$(VENV_OLDEST)/.installed: pyproject.toml constraints-oldest.txt
	$(PYTHON) -m venv $(VENV_OLDEST)
	$(VENV_OLDEST)/bin/python -m pip install --disable-pip-version-check -c constraints-oldest.txt -e ".[benchmarks,tests]"
	@touch $@

lint: $(VENV)/.installed-benchmarks $(VENV)/.installed-tests
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(VENV)/.installed-tests
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# --- release: both archives are built in isolation, and the wheel is used where nothing else is installed

VENV_WHEEL := .venv-wheel
WHEEL_PYTHON := $(CURDIR)/$(VENV_WHEEL)/bin/python

dist: $(VENV)/.installed-release
	rm -rf dist build $(VENV_WHEEL)
	$(BIN)/python -m build
	$(BIN)/python -m twine check --strict dist/*
	$(PYTHON) -m venv $(VENV_WHEEL)
	$(WHEEL_PYTHON) -m pip install --disable-pip-version-check -q -c constraints.txt dist/*.whl

release-check: dist
	$(BIN)/python tests/helpers/release_check.py . $(TAG)
	cd $(VENV_WHEEL) && bin/python -I ../tests/helpers/readme_blocks.py ../README.md

types: dist $(VENV)/.installed-tests
	cd $(VENV_WHEEL) && cp ../tests/types_of_users.py . && \
	  ../$(BIN)/python -m mypy --python-executable bin/python --strict --ignore-missing-imports types_of_users.py && \
	  ../$(BIN)/python -m pyright --pythonpath bin/python types_of_users.py

# --- documentation: built from nothing, so that no page of a former build hides a broken link

docs: $(VENV)/.installed-docs
	rm -rf docs/_build docs/api docs/gallery
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

# --- benchmark

# The openml client keeps its downloads here; a copy next to the checkout, if there is one, saves the download.
LOCAL_CACHE := $(CURDIR)/.cache/openml
OPENML_CACHE_DIR ?= $(LOCAL_CACHE)
export OPENML_CACHE_DIR
SHARED_DATA := ../shared/openml/org

data:
ifeq ($(OPENML_CACHE_DIR),$(LOCAL_CACHE))
	@if [ -d $(SHARED_DATA) ] && [ ! -e .cache/openml/org ]; then \
	  mkdir -p .cache/openml && rm -rf .cache/openml/org.partial && \
	  cp -r $(SHARED_DATA) .cache/openml/org.partial && chmod -R u+w .cache/openml/org.partial && \
	  mv .cache/openml/org.partial .cache/openml/org; \
	fi
endif

PROFILE := quick
benchmark: $(VENV)/.installed-benchmarks data
	$(BIN)/python -m benchmarks all --profile $(PROFILE) --results results

# --- cleaning; results/ and the downloaded data are never removed

clean:
	rm -rf build dist *.egg-info docs/_build docs/api docs/gallery .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.venv*' -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV) $(VENV_OLDEST) $(VENV_WHEEL)
