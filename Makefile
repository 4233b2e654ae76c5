# One command for each thing that a contributor does; `make` alone lists them. Everything is installed below .venv and build.
.DEFAULT_GOAL := help
.PHONY: help setup hooks test quick lint format check lowest demo dist
PYTHON ?= python3
RUN := .venv/bin

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "%-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(RUN)/ruff: pyproject.toml
	$(PYTHON) -m venv .venv
	$(RUN)/pip install -q -e '.[dev]'
	@touch $@

setup: $(RUN)/ruff ## make .venv, with everything that tests and checks need

hooks: setup ## check what changes, before each commit
	$(RUN)/pre-commit install

test: setup ## run every test (a few minutes)
	$(RUN)/python -m pytest -q -n auto

quick: setup ## run the tests that start no whole process
	$(RUN)/python -m pytest -q -n auto -m 'not process'

lint: setup ## run ruff and mypy, as CI does
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy

format: setup ## let ruff mend what it can
	$(RUN)/ruff check --fix .
	$(RUN)/ruff format .

check: ## run all that CI runs
	.ci/run

lowest: ## run the tests with the lowest versions of the dependencies
	.ci/lowest

demo: setup ## run the demo
	$(RUN)/rollbook demo

dist: setup ## build the files of a release into dist/, and check them
	$(RUN)/pip install -q build twine
	rm -rf dist
	$(RUN)/python -m build
	$(RUN)/twine check --strict dist/*
