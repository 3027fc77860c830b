# `make demo` and `make test` each do everything from nothing; `make` lists the commands.

VENV ?= .venv
ARGS ?=
STATE := $(VENV)/.setup
# Some shells keep the name of the machine in HOST.
ifeq ($(origin HOST)$(filter openmmlab onedl,$(HOST)),environment)
  HOST :=
endif
# An environment keeps the host that it was made with.
KEPT_HOST := $(shell cat "$(STATE)/host" 2>/dev/null)
ifeq ($(HOST),)
  HOST := $(KEPT_HOST)
endif
ifneq ($(KEPT_HOST),$(if $(KEPT_HOST),$(HOST)))
  $(error $(VENV) was made with HOST=$(KEPT_HOST): choose another folder with VENV= for HOST=$(HOST))
endif
export VENV HOST

BIN := $(VENV)/bin
# Commands of the environment (mim, torchrun) are found by the programs that start them.
RUN = PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python

.PHONY: help setup demo test lint bench results docs

help:
	@echo 'make demo     from nothing to a trained, tested model, its figures and a picture'
	@echo 'make test     the whole test suite             (ARGS="-k geometry" goes to pytest)'
	@echo 'make lint     rules, format, types; whether the tables show the latest results'
	@echo 'make bench    speed and memory against the stock heads'
	@echo 'make results  the tables of README and docs/results, from results/*.json'
	@echo 'make docs     the site of the documents, in site/'
	@echo 'make setup    the environment alone, which all of these make where it is missing'
	@echo
	@echo 'PYTHON=python3.12       the interpreter, 3.10 to 3.13     VENV=folder  the environment'
	@echo 'HOST=openmmlab|onedl    by default openmmlab on Python 3.10 and 3.11, onedl on newer ones'
	@echo 'TORCH_INDEX=URL         the package index of torch and torchvision, such as one for CPUs'

setup: $(STATE)/mmcv

# Each step leaves its stamp: an interrupted set-up goes on where it stopped.
$(STATE)/torch: $(STATE)/venv constraints.txt
$(STATE)/packages: $(STATE)/torch setup.py
$(STATE)/mmcv: $(STATE)/packages
$(STATE)/%: | tools/setup.sh
	@tools/setup.sh $*

demo: setup
	$(RUN) tools/demo.py $(ARGS)

test: setup
	$(RUN) -m pytest --numprocesses auto --dist loadfile $(ARGS)

lint: setup
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	$(RUN) projects/ablations/tables.py --check

bench: setup
	$(RUN) tools/benchmark.py $(ARGS)

results: setup
	$(RUN) projects/ablations/tables.py $(ARGS)

docs: setup
	$(RUN) -m mkdocs build --strict
