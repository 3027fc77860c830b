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
# Without byte code, each process compiles torch and mmdet again, which takes longer than its work.
unexport PYTHONDONTWRITEBYTECODE

BIN := $(VENV)/bin
# OneDL's mim knows mmdet by another name.
MMDET = $(if $(filter onedl,$(shell cat "$(STATE)/host" 2>/dev/null)),mmdetection,mmdet)
# Commands of the environment (mim, torchrun) are found by the programs that start them.
RUN = PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python

.PHONY: help setup demo test lint bench results docs matrix

help:
	@echo 'make demo     from nothing to a trained, tested model, its figures and a picture'
	@echo 'make test     the whole test suite             (ARGS="-k geometry" goes to pytest)'
	@echo 'make lint     rules, format, types; whether the tables show the latest results'
	@echo 'make bench    speed and memory against the stock heads'
	@echo 'make results  the tables of README and docs/results, from results/*.json'
	@echo 'make docs     the site of the documents, in site/'
	@echo 'make matrix   set-up and fast tests on each supported Python and host (ARGS="oldest")'
	@echo 'make setup    the environment alone, which all of these make where it is missing'
	@echo
	@echo 'PYTHON=3.12|path        the interpreter, 3.10 to 3.13     VENV=folder  the environment'
	@echo 'HOST=openmmlab|onedl    by default openmmlab on Python 3.10 and 3.11, onedl on newer ones'
	@echo 'TORCH_INDEX=URL         the package index of torch and torchvision, such as one for CPUs'

setup: $(STATE)/mmcv

# Each step leaves its stamp: an interrupted set-up goes on where it stopped.
$(STATE)/torch: $(STATE)/venv constraints.txt
$(STATE)/packages: $(STATE)/torch setup.py
$(STATE)/mmcv: $(STATE)/packages
$(STATE)/%: | tools/setup.sh
	@tools/setup.sh $*

# --- demo: each file is made from those before it, so an interrupted demo goes on where it stopped

DEMO := work_dirs/demo
DEMO_IMAGES := --train 1200 --val 150
# Changes to the config, KEY=VALUE, and how long mask scores are fitted.
DEMO_OPTIONS :=
DEMO_FIT := --minutes 4
DEMO_CONFIG := configs/demo/mask_rcnn_r18_fpn.py
DEMO_ANNOTATIONS := $(DEMO)/data/annotations/instances_val.json
DEMO_RESULTS := $(DEMO)/test/results
DEMO_ENV = DEMO_ROOT=$(DEMO)/data
DEMO_MIM = $(DEMO_ENV) $(RUN) $(BIN)/mim

demo: $(DEMO)/picture.png $(DEMO)/report.html
	@$(RUN) tools/demo.py $(DEMO)

$(DEMO_ANNOTATIONS): tools/make_demo_data.py $(addprefix msrcnn_plugin/synthetic/,scenes.py painting.py) | setup
	$(RUN) $< $(DEMO)/data $(DEMO_IMAGES) --overwrite

# Another config or data set starts a new training. Without a change, mim resumes the old one.
$(DEMO)/train/started: $(DEMO_CONFIG) $(DEMO_ANNOTATIONS)
	rm -rf $(@D)
	mkdir -p $(@D)
	touch $@

$(DEMO)/mask_rcnn.pth: $(DEMO)/train/started
	$(DEMO_MIM) train $(MMDET) $(DEMO_CONFIG) --work-dir $(DEMO)/train --resume \
		$(if $(DEMO_OPTIONS),--cfg-options $(DEMO_OPTIONS))
	cp "$$(cat $(DEMO)/train/last_checkpoint)" $@
	rm -rf $(DEMO)/scored_cache

$(DEMO)/scored.pth: $(DEMO)/mask_rcnn.pth
	$(DEMO_ENV) $(RUN) -m msrcnn_plugin fit $(DEMO_CONFIG) $< $@ $(DEMO_FIT)

$(DEMO)/figures.json: $(DEMO)/scored.pth
	rm -rf $(DEMO)/test
	$(DEMO_MIM) test $(MMDET) $(DEMO)/scored.py --checkpoint $< --work-dir $(DEMO)/test --cfg-options \
		test_evaluator.outfile_prefix=$(DEMO_RESULTS) \
		test_evaluator.pairs_file=$(DEMO)/test/pairs.npz
	cp $(DEMO)/test/*/*.json $@

$(DEMO)/picture.png: $(DEMO)/figures.json tools/demo.py
	$(RUN) tools/demo.py $(DEMO) --picture $@

$(DEMO)/report.html: $(DEMO)/figures.json
	$(RUN) tools/report.py $(DEMO)/test/pairs.npz --annotations $(DEMO_ANNOTATIONS) \
		--results $(DEMO_RESULTS).segm.json --images $(DEMO)/data/val \
		--name 'Mask R-CNN R18-FPN with a mask score, demo data' --out $(DEMO)

# ---

test: setup
	$(RUN) -m pytest --numprocesses auto --dist worksteal $(ARGS)

lint: setup
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	$(RUN) projects/ablations/tables.py --check

# What docs/results/speed.md shows.
BENCH := targets scaling loss step prediction rankings
bench: setup
	$(RUN) tools/benchmark.py $(BENCH:%=--group %) --json results/speed.json $(ARGS)

results: setup
	$(RUN) projects/ablations/tables.py $(ARGS)

docs: setup
	$(RUN) -m mkdocs build --strict

matrix:
	python3 tools/matrix.py $(ARGS)
