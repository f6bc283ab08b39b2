# One set-up, one environment, one set of pins.
#
#   make book    build the book                make test    run the tests
#   make study   demonstration reader study    make bench   compare speed with peers
#   make check   everything a change must pass (style, types, tests, book)
#
#   make assignment                homework without solutions, and rubrics for teachers
#   make your-study STUDY=folder   the results of your reader study as chapters of the book
#   make release                   HTML, PDF, notebooks, homework, metadata, checksums
#
# make test JOBS=2 runs two files of tests at a time.
# CTLAB_FAST=1 make book builds quickly: what trains, trains less.
# PYTHON=/path/to/python uses an environment of yours and installs nothing.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:

BASE_PYTHON ?= python3
ifdef PYTHON
  PY := $(PYTHON)
  READY :=
else
  PY := .venv/bin/python
  READY := .venv/.ready
endif

# uv installs the same pins several times faster; pip needs nothing but Python.
# PIP_CONSTRAINT reaches packages that are built from source as well.
INSTALL := $(if $(shell command -v uv),uv pip install --python .venv/bin/python,.venv/bin/python -m pip install)

.PHONY: book test study bench check lint setup clean assignment release your-study

setup: $(READY)

.venv/.ready: pyproject.toml constraints.txt
	@$(BASE_PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; $$($(BASE_PYTHON) --version) was found. Set BASE_PYTHON=/path/to/python3.11"; exit 2; }
	@test -x .venv/bin/python || $(BASE_PYTHON) -m venv .venv
	@echo "Installing the pinned packages into .venv (two to five minutes the first time)"
	@$(INSTALL) --quiet -c constraints.txt -e '.[all]'
	@.venv/bin/python -c "import torch, sys; v = torch.version.cuda; v and print('note: this torch was built for CUDA', v, file=sys.stderr)"
	@touch $@

book: $(READY)
	$(PY) book/build.py

assignment: $(READY)
	$(PY) book/assignment.py

release: $(READY)
	$(PY) book/release.py

your-study: $(READY)
	@test -n "$(STUDY)" || { echo "name the folder of your study: make your-study STUDY=my-study"; exit 2; }
	$(PY) book/build.py --study "$(STUDY)" --only-study

test: $(READY)
	$(PY) -m pytest $(if $(JOBS),-n $(JOBS) --dist loadfile)

study: $(READY)
	$(PY) -m reader_study demo

bench: $(READY)
	$(PY) -m benchmarks

lint: $(READY)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(PY) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()'

# The book first: the browser tests open its pages. Style and types are checked beside it.
# Then two files of tests at a time; JOBS=1 runs one.
check: $(READY)
	$(MAKE) --no-print-directory -j2 --output-sync=target lint book
	$(MAKE) --no-print-directory test JOBS=$(or $(JOBS),2)

clean:
	rm -rf .venv dist book/_build book/_vendor book/your-study/pages
