# `make demo` and `make test` set themselves up: each works as the first command in a fresh clone.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install -q --disable-pip-version-check
READY := .venv/.ready
# as a whole dictionary_learning wants a torchvision that does not go with PyTorch for CPUs
WITHOUT_DEPENDENCIES := dictionary-learning==0.1.0 nnsight==0.3.7 bidict python-engineio python-socketio zstandard

.PHONY: help setup interop demo test wheel sync lint types export notebooks lab docs browser hooks audit fuzz clean

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*##  *\(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

setup: $(READY)  ## .venv with everything, once; the others do it by themselves

$(READY): settings.ini setup.py constraints.txt
	$(PYTHON) -m venv .venv
	$(PIP) "$$(grep '^torch==' constraints.txt)"
	$(PIP) -e '.[all]' -c constraints.txt
	touch $@

interop: $(READY)  ## also SAELens, sparsify and dictionary_learning; the tests that exchange SAEs with them then run
	$(PIP) -e '.[interop]' -c constraints.txt
	$(PIP) --no-deps $(WITHOUT_DEPENDENCIES)

demo: $(READY)  ## the main job: plain SAEs, MFR and a consensus on data with known features
	$(BIN)/mfr synthetic --out runs/demo --overwrite

test: sync lint types  ## everything that must pass
	OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2
	$(MAKE) docs
	$(MAKE) browser

wheel: $(READY)  ## does the wheel work in an empty environment, on every Python from 3.11 to 3.13 that is here?
	$(BIN)/python tools/try_wheel.py

sync: $(READY)  ## are mfr/, tests/ and README.md what the notebooks give?
	$(BIN)/python tools/check_sync.py
	$(BIN)/python tools/nb2readme.py --check

lint: $(READY)  ## ruff, and the rules for cells and notebooks
	$(BIN)/ruff check -q .
	$(BIN)/python tools/house_rules.py

types: $(READY)  ## pyright on the public modules
	$(BIN)/basedpyright --pythonpath $(BIN)/python

export: $(READY)  ## after editing a notebook: mfr/, tests/, README.md
	$(BIN)/nbdev_export
	$(BIN)/nbdev_clean
	$(BIN)/python tools/nb2tests.py
	$(BIN)/python tools/nb2readme.py

notebooks: export  ## run every notebook in place and keep its outputs
	$(BIN)/python tools/nbrun.py
	$(BIN)/python tools/nb2readme.py

lab: $(READY)  ## open the notebooks in JupyterLab
	$(BIN)/jupyter-lab nbs

docs: $(READY)  ## the site, in docs/_build/html
	rm -rf docs/_build/html
	$(BIN)/python -m sphinx -q -W --keep-going -E -b html -c docs nbs docs/_build/html

browser: $(READY)  ## look at every built page in headless Chromium, where there is one
	$(BIN)/python -m pytest -q tests/browser

audit: $(READY)  ## known weaknesses of what is installed, licences, pinned actions; asks PyPI, so not part of `make test`
	test -d .venv/audit || $(PYTHON) -m venv .venv/audit
	-.venv/audit/bin/python -m pip install -q --disable-pip-version-check pip-audit==2.10.1
	$(BIN)/python tools/audit.py

fuzz: $(READY)  ## damage files of every kind a hundred thousand times and read them; takes half an hour
	OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 $(BIN)/python tools/fuzz.py --inputs 110000 --mended results/trust/mended.json --out results/trust/fuzz.json

hooks: $(READY)  ## have git run lint, clean and sync before a commit
	$(BIN)/pre-commit install

clean:  ## remove all that is not in the repository: .venv, runs, built pages
	rm -rf .venv docs/_build build *.egg-info runs
