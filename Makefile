# Tagloom's commands. `make` alone lists them.

SHELL := /bin/bash
# Compiled modules are kept although an environment may forbid it: each process of Airflow and dbt begins seconds sooner.
export PYTHONDONTWRITEBYTECODE :=
.DEFAULT_GOAL := help
UV_VERSION := 0.13.9
PYTHON ?= $(shell for python in python3 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null && echo $$python && break; done)
VENV := .venv
BIN := $(VENV)/bin
RUN := PYTHONPATH=plugins $(BIN)/python -m tagloom
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-strip-extras \
	--no-emit-index-url --custom-compile-command "make lock"

.PHONY: help setup setup-dev demo demo-alert bench-schedule bench-ingest bench-latency bench-collector bench-identity bench-tags bench-portal test test-fast lint format tags new-tag tag-preview tag-diff explain portal frontend screenshots quality-report up down status docs lock clean

help: ## List the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

setup: $(VENV)/installed .env ## Make the virtual environment and .env (seconds)

setup-dev: $(VENV)/installed-dev .env ## The same with what tests and lint need

$(VENV)/uv-$(UV_VERSION):
	@test -n "$(PYTHON)" || { echo "Tagloom needs Python 3.11 or 3.12; say which one: make setup PYTHON=/path/to/python3.12"; exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@

$(VENV)/installed: requirements.txt $(VENV)/uv-$(UV_VERSION)
	@echo "Installing requirements.txt"
	@$(BIN)/uv pip install --quiet --require-hashes --python $(BIN)/python -r requirements.txt
	@touch $@

$(VENV)/installed-dev: requirements-dev.txt $(VENV)/installed
	@echo "Installing requirements-dev.txt"
	@$(BIN)/uv pip install --quiet --require-hashes --python $(BIN)/python -r requirements.txt -r requirements-dev.txt
	@touch $@

.env: | $(VENV)/installed
	@sed -e "s/^TAGLOOM_IDENTITY_KEY=$$/TAGLOOM_IDENTITY_KEY=$$($(BIN)/python -c 'import secrets; print(secrets.token_hex(32))')/" \
		-e "s/^TAGLOOM_COLLECTOR_KEYS=$$/TAGLOOM_COLLECTOR_KEYS=web:$$($(BIN)/python -c 'import secrets; print(secrets.token_hex(24))')/" \
		.env.example > .env.new && chmod 600 .env.new && mv .env.new .env
	@echo "Wrote .env with a new identity key and a key for the collector; keep a copy of it"

demo: setup ## Load a year of real purchases, run the DAGs, show what came out
	@PYTHONPATH=plugins $(BIN)/python -m sample_data.run

demo-alert: setup ## Break one delivery of the demo on purpose and show the alert mail
	@PYTHONPATH=plugins $(BIN)/python -m sample_data.alert

bench-schedule: setup ## Measure what scheduling costs against a bare dbt build (after demo)
	@PYTHONPATH=plugins:. $(BIN)/python tests/benchmarks/scheduled_run.py

bench-ingest: setup ## Measure landing 20 million events against a bare DuckDB table
	@PYTHONPATH=plugins:. $(BIN)/python tests/benchmarks/ingest.py

bench-latency: setup ## Measure how soon a pushed event shows in person_tags (after demo)
	@PYTHONPATH=plugins:. $(BIN)/python tests/benchmarks/latency.py

bench-collector: setup ## Measure what the collector takes
	@PYTHONPATH=plugins:. $(BIN)/python tests/benchmarks/collector.py

bench-identity: setup ## Measure identity mapping against Splink's clustering, its quality on a messy customer base, and matching (after demo)
	@PYTHONPATH=plugins:. $(BIN)/python tests/benchmarks/identity.py $(EDGES)
	@PYTHONPATH=plugins:. $(BIN)/python tests/benchmarks/identity_quality.py
	@PYTHONPATH=plugins:. $(BIN)/python tests/benchmarks/identity_matching.py .tagloom/packages

bench-tags: setup ## Measure all tags of a million persons against minimal scans, pandas, growth and a single day (PERSONS="62500 250000" for less)
	@PYTHONPATH=plugins:. $(BIN)/python tests/benchmarks/tags.py $(PERSONS)

bench-portal: setup ## Measure the portal with a million persons: publish, live size by SQL and by bitmaps, HTTP (PERSONS="100000" for less)
	@PYTHONPATH=plugins:. $(BIN)/python tests/benchmarks/portal.py $(PERSONS)

test: setup-dev ## Run every test
	@$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadscope --no-loadscope-reorder --max-worker-restart 0

test-fast: setup-dev ## Run the tests that take seconds
	@$(BIN)/python -m pytest -m "not slow"

lint: setup-dev ## Check style, written files, source declarations and tag definitions
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(RUN) source check
	@$(RUN) tags --check
	@$(BIN)/sqlfluff lint --disable-progress-bar --processes 2 dbt_project/models dbt_project/data-tests

format: setup-dev ## Put Python and SQL into the house style
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format --quiet .
	@$(BIN)/sqlfluff fix --disable-progress-bar --processes 2 dbt_project/models dbt_project/data-tests

tags: setup ## Write what follows from tag twins and source declarations
	@$(RUN) tags

new-tag: setup ## Write a new tag's pair: NAME=is_regular CATEGORY=habit/trip KIND=rule [OBJECT=person] [TOPIC=trip_size]
	@$(RUN) tag new "$(NAME)" --category "$(CATEGORY)" --kind "$(KIND)" $(if $(OBJECT),--object "$(OBJECT)") $(if $(TOPIC),--topic "$(TOPIC)") $(if $(OWNER),--owner "$(OWNER)")

tag-preview: setup ## Show what a tag's SQL gives, without building it: TAG=rfm_segment [AS_OF=2017-06-30]
	@$(RUN) tag preview "$(TAG)" $(if $(AS_OF),--as-of "$(AS_OF)")

tag-diff: setup ## Show what changed tags change: [BASE=main] [FAIL_ABOVE=5] [MARKDOWN=diff.md]
	@$(RUN) tag diff $(if $(BASE),--base "$(BASE)") $(if $(FAIL_ABOVE),--fail-above "$(FAIL_ABOVE)") $(if $(MARKDOWN),--markdown "$(MARKDOWN)")

explain: setup ## Show how a person's value came about: PERSON=42 TAG=rfm_segment
	@$(RUN) tag explain "$(PERSON)" "$(TAG)" $(if $(LIMIT),--limit "$(LIMIT)")

portal: setup ## Serve the portal alone, with Airflow's log-in (it is also in Airflow: make up)
	@$(RUN) portal

frontend: ## Build the portal's scripts and styles from plugins/tagloom/portal/frontend (needs Node 20)
	@cd plugins/tagloom/portal/frontend && npm ci --silent && node build.mjs

screenshots: setup-dev ## Take the pictures of docs/pictures anew (after demo; needs chromium)
	@PYTHONPATH=plugins $(BIN)/python -m sample_data.screenshots

quality-report: setup ## Write the report of all quality checks as one HTML file
	@$(RUN) quality report

up: setup ## Start the scheduled service on this machine and print address and password
	@$(RUN) up

down: setup ## Stop the service
	@$(RUN) down

status: setup ## Say what of the service is running
	@$(RUN) status

docs: setup ## Write dbt's documentation as one HTML file
	@$(RUN) docs

lock: setup-dev ## Work out requirements*.txt anew from requirements*.in
	@$(COMPILE) requirements.in -o requirements.txt
	@$(COMPILE) requirements-dev.in -o requirements-dev.txt
	@cd docker && ../$(COMPILE) requirements.in -o requirements.txt

clean: ## Remove the virtual environment and everything the demo made
	@rm -rf $(VENV) .tagloom
