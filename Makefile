# `make demo` and `make test` set themselves up: each works as the first command in a fresh clone.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: setup demo test lint sync notebooks export docs clean

setup: $(READY)

$(READY): settings.ini setup.py constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check "$$(grep '^torch==' constraints.txt)"
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[all]' -c constraints.txt
	touch $@

demo: $(READY)  ## the main job: a baseline stack and an MFR stack on data with known features
	$(BIN)/mfr synthetic --out runs/demo --overwrite

test: sync lint  ## everything that must pass
	OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2
	$(MAKE) docs

sync: $(READY)
	$(BIN)/python tools/check_sync.py
	$(BIN)/python tools/nb2readme.py --check

lint: $(READY)
	$(BIN)/ruff check -q .

export: $(READY)  ## after editing a notebook
	$(BIN)/nbdev_export
	$(BIN)/nbdev_clean
	$(BIN)/python tools/nb2tests.py
	$(BIN)/python tools/nb2readme.py

notebooks: export  ## run every notebook in place and keep its outputs
	$(BIN)/python tools/nbrun.py
	$(BIN)/python tools/nb2readme.py

docs: $(READY)  ## the site, in docs/_build/html
	$(BIN)/python -m sphinx -q -W --keep-going -E -b html -c docs nbs docs/_build/html

clean:
	rm -rf .venv docs/_build build *.egg-info runs
