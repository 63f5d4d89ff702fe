# Five tasks; each makes the environment it needs. PYTHON chooses the interpreter (3.11 to 3.13).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
.DEFAULT_GOAL := test

.PHONY: demo test check fix docs

# The demo needs the product only; tests and checks need the extras on top.
$(VENV)/.core: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/.dev: $(VENV)/.core
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,hf]'
	touch $@

demo: $(VENV)/.core
	$(BIN)/python examples/drawn_clips.py out/drawn-clips
	$(BIN)/aqaudit run quickstart --root folder=out/drawn-clips
	$(BIN)/aqaudit audit out/quickstart
	$(BIN)/aqaudit report out/quickstart

test: $(VENV)/.dev
	$(BIN)/python -m pytest

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

fix: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The pages under docs/ are plain Markdown; this checks that every link between them leads somewhere.
docs: $(VENV)/.dev
	$(BIN)/python -m pytest tests/test_docs.py
