# Everything a developer runs. Users need ./verify and `make test` only.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
ARTIFACTS := .artifacts/.fetched
export OMP_NUM_THREADS ?= 1

.PHONY: setup browser test test-slow lint types format messages docs model-pages tutorial tutorial-question calibrate catalog serve-zoo clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[all]' --group dev
	touch $(STAMP)

$(ARTIFACTS): $(STAMP) tools/fetch_artifacts.py tools/fetch_real_weights.py
	$(BIN)/python tools/fetch_artifacts.py
	$(BIN)/python tools/fetch_real_weights.py
	touch $(ARTIFACTS)

browser:
	npm ci --prefix tests/browser --no-audit --no-fund

test: $(ARTIFACTS) lint types
	$(BIN)/python -m pytest -n 2 --dist loadfile -q -m "not slow"

test-slow: $(ARTIFACTS)
	$(BIN)/python -m pytest -n 2 --dist loadfile -q -m slow

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

messages: $(STAMP)
	$(BIN)/python tools/messages.py

# -W: a dead link or a docstring that does not parse is an error.
docs: $(STAMP)
	$(BIN)/sphinx-build -b html -W --keep-going -q -d build/docs-doctrees docs build/docs

model-pages: $(STAMP)
	$(BIN)/python tools/build_model_pages.py

tutorial: $(ARTIFACTS)
	$(BIN)/python tools/build_tutorial.py

# make tutorial-question Q="Why ...?"
tutorial-question: $(STAMP)
	@$(BIN)/python tools/build_tutorial.py --ask "$$Q"

calibrate: $(STAMP)
	$(BIN)/python tools/calibrate_architecture.py
	$(BIN)/python tools/calibrate_behaviour.py

serve-zoo: $(STAMP)
	$(BIN)/python tools/serve_zoo.py

catalog: $(STAMP)
	$(BIN)/python tools/build_catalog.py --facts ../shared/facts
	$(BIN)/python tools/build_claims.py --facts ../shared/facts

clean:
	rm -rf $(VENV) .artifacts build dist *.egg-info
