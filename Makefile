# Everything a developer runs. Users need ./verify and `make test` only.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
ARTIFACTS := .artifacts/.fetched
export OMP_NUM_THREADS ?= 1

.PHONY: setup browser quick test test-slow lint types format messages docs model-pages tutorial tutorial-question calibrate catalog faults serve-zoo clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[all]' --group dev
	touch $(STAMP)

$(ARTIFACTS): $(STAMP) tools/facts/fetch_artifacts.py tools/facts/fetch_real_weights.py
	$(BIN)/python -m tools.facts.fetch_artifacts
	$(BIN)/python -m tools.facts.fetch_real_weights
	touch $(ARTIFACTS)

browser:
	npm ci --prefix tests/browser --no-audit --no-fund

# While you work: under a minute, nothing is fetched but the packages.
QUICK := tests/test_layers.py tests/core tests/verdict tests/stats tests/plugin
quick: lint types
	$(BIN)/python -m pytest -n 2 -q -m "not slow" $(QUICK)

# What CI runs. Whatever needs an artifact has it, or fails.
test: export ARTIFACTS_REQUIRED := 1
test: $(ARTIFACTS) lint types
	$(BIN)/python -m pytest -n 2 --dist loadfile -q -m "not slow"

test-slow: export ARTIFACTS_REQUIRED := 1
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
	$(BIN)/python -m tools.messages

# -W: a dead link or a docstring that does not parse is an error.
docs: $(STAMP)
	$(BIN)/sphinx-build -b html -W --keep-going -q -d build/docs-doctrees docs build/docs

model-pages: $(STAMP)
	$(BIN)/python -m tools.site.build_model_pages

tutorial: $(ARTIFACTS)
	$(BIN)/python -m tools.site.build_tutorial

# make tutorial-question Q="Why ...?"
tutorial-question: $(STAMP)
	@$(BIN)/python -m tools.site.build_tutorial --ask "$$Q"

# All five; what lacks its models says in one line how to make them, and the exit code says so.
calibrate: $(STAMP)
	$(BIN)/python -m tools.calibrate

# 720 faults, one a run: an hour of one core, more on a busy machine; goes on where it was stopped.
faults: $(STAMP)
	$(BIN)/python -m benchmarks.faults --results build/faults.jsonl --faults 720

serve-zoo: $(STAMP)
	$(BIN)/python -m tools.zoo.serve

catalog: $(STAMP)
	$(BIN)/python -m tools.facts.build_catalog --facts ../shared/facts
	$(BIN)/python -m tools.facts.build_claims --facts ../shared/facts

clean:
	rm -rf $(VENV) .artifacts build dist *.egg-info
