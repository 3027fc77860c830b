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
	@echo 'make lint     ruff: rules and format; whether README shows the latest results'
	@echo 'make bench    speed and memory against the stock heads'
	@echo 'make results  the tables of the studies in README, from configs/*/results.json'
	@echo 'make setup    the environment alone, which all of these make where it is missing'
	@echo
	@echo 'PYTHON=python3.10 chooses the interpreter (3.9 to 3.11), VENV=folder the environment.'

setup: $(READY)

$(READY): constraints.txt setup.py tools/setup_environment.py
	@test -n "$(PYTHON)" || { echo 'no python3.11 or python3 runs here:' \
		'install Python 3.11, or name an interpreter with PYTHON='; exit 1; }
	@$(PYTHON) tools/setup_environment.py --venv "$(VENV)"

# --- demo: each file is made from those before it, so an interrupted demo goes on where it stopped

DEMO := work_dirs/demo
DEMO_IMAGES := --train 1200 --val 150
# Changes to the config, KEY=VALUE.
DEMO_OPTIONS :=
DEMO_CONFIG := configs/demo/ms_rcnn_r18_fpn.py
DEMO_ANNOTATIONS := $(DEMO)/data/annotations/instances_val.json
DEMO_RESULTS := $(DEMO)/test/results
DEMO_MIM = DEMO_ROOT=$(DEMO)/data $(RUN) $(BIN)/mim

demo: $(DEMO)/picture.png $(DEMO)/report.html
	@$(RUN) tools/demo.py $(DEMO)

$(DEMO_ANNOTATIONS): tools/make_demo_data.py $(wildcard msrcnn_plugin/synthetic/*.py) | setup
	$(RUN) $< $(DEMO)/data $(DEMO_IMAGES) --overwrite

# Another config or data set starts a new training. Without a change, mim resumes the old one.
$(DEMO)/train/started: $(wildcard configs/demo/*.py) $(DEMO_ANNOTATIONS)
	rm -rf $(@D)
	mkdir -p $(@D)
	touch $@

$(DEMO)/ms_rcnn.pth: $(DEMO)/train/started
	$(DEMO_MIM) train mmdet $(DEMO_CONFIG) --work-dir $(DEMO)/train --resume \
		$(if $(DEMO_OPTIONS),--cfg-options $(DEMO_OPTIONS))
	cp "$$(cat $(DEMO)/train/last_checkpoint)" $@

$(DEMO)/figures.json: $(DEMO)/ms_rcnn.pth
	rm -rf $(DEMO)/test
	$(DEMO_MIM) test mmdet $(DEMO_CONFIG) --checkpoint $< --work-dir $(DEMO)/test --cfg-options \
		test_evaluator.outfile_prefix=$(DEMO_RESULTS) \
		test_evaluator.pairs_file=$(DEMO)/test/pairs.npz
	cp $(DEMO)/test/*/*.json $@

$(DEMO)/picture.png: $(DEMO)/figures.json tools/demo.py
	$(RUN) tools/demo.py $(DEMO) --picture $@

$(DEMO)/report.html: $(DEMO)/figures.json
	$(RUN) tools/report.py $(DEMO)/test/pairs.npz --annotations $(DEMO_ANNOTATIONS) \
		--results $(DEMO_RESULTS).segm.json --images $(DEMO)/data/val \
		--name 'MS R-CNN R18-FPN, demo data' --out $(DEMO)

# ---

test: setup
	$(RUN) -m pytest --numprocesses auto --dist loadfile $(ARGS)

lint: setup
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) tools/results_table.py --check

bench: setup
	$(RUN) tools/benchmark.py --json results/speed.json $(ARGS)

results: setup
	$(RUN) tools/results_table.py $(ARGS)
