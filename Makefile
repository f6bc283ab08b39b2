# One set-up, one environment, one set of pins. Each command installs what it needs, once.
#
#   make book    build the book                make test    the quick tests: eight minutes or less
#   make study   demonstration reader study    make bench   compare speed with peers
#   make lab     the chapters in JupyterLab; CHAPTER=training opens that one
#   make check   everything a change must pass; alone: make lint, unit, browser, book
#
#   make assignment                homework without solutions, and rubrics for teachers
#   make your-study STUDY=folder   the results of your reader study as chapters of the book
#   make release                   HTML, PDF, notebooks, homework, metadata, checksums
#
# Two files of tests run at a time; JOBS=1 runs one. TESTS=tests/ct tests one room.
# CTLAB_FAST=1 make book builds quickly: what trains, trains less.
# PYTHON=/path/to/python uses an environment of yours and installs nothing.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:

# The whole is proven on 3.11, which is taken where there is a choice.
BASE_PYTHON ?= $(shell python3.11 -c '' 2>/dev/null && echo python3.11 || echo python3)
ifdef PYTHON
  PY := $(PYTHON)
else
  PY := .venv/bin/python
  BOOK := .venv/.book
  STUDY_ROOM := .venv/.study
  ALL := .venv/.all
endif

# uv installs the same pins several times faster; pip needs nothing but Python.
# PIP_CONSTRAINT reaches packages that are built from source as well.
INSTALL := $(if $(shell command -v uv),uv pip install --python .venv/bin/python,.venv/bin/python -m pip install)

JOBS ?= 2
PYTEST := $(PY) -m pytest --durations=20 $(if $(filter-out 1,$(JOBS)),-n $(JOBS) --dist loadfile --no-loadscope-reorder)

.PHONY: setup book lab test study bench check lint unit browser pythons pythons-brief clean assignment release your-study

setup: $(ALL)

.venv/.book: EXTRAS := book,explain,study
.venv/.study: EXTRAS := study
.venv/.all: EXTRAS := all
.venv/.book .venv/.study .venv/.all: pyproject.toml constraints.txt
	@$(BASE_PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; $$($(BASE_PYTHON) --version) was found. Set BASE_PYTHON=/path/to/python3.11"; exit 2; }
	@test -x .venv/bin/python || $(BASE_PYTHON) -m venv .venv
	@echo "Installing the pinned packages of '.[$(EXTRAS)]' into .venv (minutes the first time)"
	@$(INSTALL) --quiet -c constraints.txt -e '.[$(EXTRAS)]'
	@.venv/bin/python -c "import importlib.util as u, sys; v = u.find_spec('torch') and __import__('torch').version.cuda; v and print('note: this torch was built for CUDA', v, file=sys.stderr)"
	@touch $(if $(filter all,$(EXTRAS)),.venv/.book .venv/.study) $@

book: $(BOOK)
	$(PY) book/build.py

lab: $(BOOK)
	$(PY) book/lab.py $(CHAPTER)

assignment: $(BOOK)
	$(PY) book/assignment.py

release: $(ALL)
	$(PY) book/release.py

your-study: $(BOOK)
	@test -n "$(STUDY)" || { echo "name the folder of your study: make your-study STUDY=my-study"; exit 2; }
	$(PY) book/build.py --study "$(STUDY)" --only-study

study: $(STUDY_ROOM)
	$(PY) -m reader_study demo

bench: $(ALL)
	$(PY) -m benchmarks

# All but what is marked slow: those tests repeat, simulate or drive a browser for long.
test: $(ALL)
	$(PYTEST) -m "not slow" $(TESTS)

lint: $(ALL)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(PY) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()'

unit: $(ALL)
	$(PYTEST) -m "not browser" $(TESTS)

# Opens the pages of the book: build it first.
browser: $(ALL)
	$(PYTEST) -m browser $(or $(TESTS),tests/browser)

# Everything that needs no torch, on the other Pythons that are found. In brief: each module
# imported, its examples, both command lines.
pythons: python-3.12 python-3.13
python-%:
	@JOBS=$(JOBS) .ci/torch-free $*
pythons-brief:
	@.ci/torch-free 3.12 brief
	@.ci/torch-free 3.13 brief

# The book first: the browser tests open its pages. Style and types, and other Pythons, run beside it.
check: $(ALL)
	$(MAKE) --no-print-directory -j2 --output-sync=target book lint $(if $(PYTHON),,pythons-brief)
	$(PYTEST) $(TESTS)

clean:
	rm -rf .venv .venv-* dist book/_build book/_vendor book/your-study/pages
