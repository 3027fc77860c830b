# `make demo` and `make test` each do everything from nothing; `make` lists the commands.

VENV ?= .venv
# A name on the path may still not run (a version manager's stub), so each is tried.
PYTHON ?= $(shell for name in python3.11 python3; do \
	"$$name" -c '' 2>/dev/null && { echo "$$name"; break; }; done)
ARGS ?=

BIN := $(VENV)/bin
READY := $(VENV)/.setup/finished
# Commands of the environment (mim, torchrun) are found by the programs that start them.
RUN = PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python

.PHONY: help setup demo test lint bench results

help:
	@echo 'make demo     from nothing to a trained, tested model, its figures and a picture'
	@echo 'make test     the whole test suite             (ARGS="-k geometry" goes to pytest)'
	@echo 'make lint     ruff: rules and format; whether the tables show the latest results'
	@echo 'make bench    speed and memory against the stock heads'
	@echo 'make results  the tables of README and docs/results, from results/*.json'
	@echo 'make setup    the environment alone, which all of these make where it is missing'
	@echo
	@echo 'PYTHON=python3.10 chooses the interpreter (3.9 to 3.11), VENV=folder the environment.'

setup: $(READY)

$(READY): constraints.txt setup.py tools/setup_environment.py
	@test -n "$(PYTHON)" || { echo 'no python3.11 or python3 runs here:' \
		'install Python 3.11, or name an interpreter with PYTHON='; exit 1; }
	@$(PYTHON) tools/setup_environment.py --venv "$(VENV)"

demo: setup
	$(RUN) tools/demo.py $(ARGS)

test: setup
	$(RUN) -m pytest --numprocesses auto --dist loadfile $(ARGS)

lint: setup
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) projects/ablations/tables.py --check

bench: setup
	$(RUN) tools/benchmark.py $(ARGS)

results: setup
	$(RUN) projects/ablations/tables.py $(ARGS)
