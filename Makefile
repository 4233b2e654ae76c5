# One command for each thing that a contributor does; `make` alone lists them. Everything is installed below .venv and build.
.DEFAULT_GOAL := help
.PHONY: help setup hooks test quick lint format check lowest demo lock sbom dist
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

# For every Python and system that the classifiers name; what builds the package stands beside what it needs. No index is
# named, so that each machine's own is asked.
LOCK := build/lock/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	--no-emit-index-url --upgrade pyproject.toml

lock: ## write the lock files anew, with the newest versions that pyproject.toml allows
	$(PYTHON) -m venv build/lock
	build/lock/bin/pip install -q uv
	printf 'hatchling>=1.24\neditables\n' > build/lock/build.in
	$(LOCK) build/lock/build.in --extra dev --extra docs -o requirements.lock
	$(LOCK) -o deploy/docker/requirements.lock

sbom: setup ## write the bill of materials of a release (CycloneDX) into dist/
	$(PYTHON) -m venv build/sbom
	build/sbom/bin/pip install -q cyclonedx-bom
	mkdir -p dist
	build/sbom/bin/cyclonedx-py requirements deploy/docker/requirements.lock --pyproject pyproject.toml \
		--output-reproducible --output-format JSON --output-file dist/rollbook.cdx.json

dist: setup ## build the files of a release into dist/, and check them
	$(RUN)/pip install -q build twine
	rm -rf dist
	$(RUN)/python -m build
	$(RUN)/twine check --strict dist/*
