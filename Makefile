# The one task runner. Every target works on a fresh clone and installs what it needs into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# Airflow takes five seconds more to import where nothing is compiled, and tests start many processes.
export UV_COMPILE_BYTECODE := 1

.PHONY: demo up secrets test test-long browser bench bench-docs chaos check lock clean

$(BIN)/uv:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check uv

$(STAMP): $(BIN)/uv requirements.txt pyproject.toml
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $(STAMP)

lock: $(BIN)/uv ## resolve the dependencies again; the result names no registry
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-annotate --no-header --extra bench --extra demo --extra dev --extra openlineage --upgrade --output-file requirements.txt pyproject.toml

# Each process starts servers of its own; those that were given are for one process.
PROCESSES := $(if $(BATCHDRAIN_TEST_POSTGRES)$(BATCHDRAIN_TEST_REDIS),0,logical)

IN_PROCESSES := -n $(PROCESSES) --maxprocesses 4

test: $(STAMP) ## unit, integration and e2e tests, against embedded servers unless URLs are given
	$(BIN)/pytest -m "not long and not alone" $(IN_PROCESSES) --dist worksteal
	$(BIN)/pytest -m "not long and alone"

test-long: $(STAMP) ## the tests that take minutes
	$(BIN)/pytest -m "long and not alone" $(IN_PROCESSES)
	$(BIN)/pytest -m "long and alone"

# It takes the machine's Chromium: apt-get install chromium, or name one in BATCHDRAIN_TEST_CHROMIUM.
# SCREENSHOTS=1 saves the pictures in docs/images anew; what a failed test saw is kept in .browser.
browser: $(STAMP) ## the Airflow UI in a real browser: forms, logs, retry, hold, replay, a viewer
	$(BIN)/pytest tests/browser --timeout 900 --output .browser --screenshot only-on-failure $(if $(SCREENSHOTS),--save-pictures)

check: $(STAMP) ## style, types, layers, the compose file and the links in the documents
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yaml
	$(BIN)/pytest -q tests/unit/test_documents.py

# ONLY="insert_*,drain_*" and QUICK=1 are for work on the benchmark itself; they judge no claim.
bench: $(STAMP) ## every figure that we claim, beside its rivals, in one run of some ten minutes
	PYTHONPATH=tests $(BIN)/python -m benchmarks $(if $(ONLY),--only "$(ONLY)") $(if $(QUICK),--quick)

bench-docs: $(STAMP) ## put the tables and the chart of the last run into the documents
	PYTHONPATH=tests $(BIN)/python -m benchmarks.documents

# KILLS=n for others than one of each kind; SEED=n repeats those of an earlier run, in its order.
chaos: $(STAMP) ## drains and servers are killed, at every step and at random; then all must add up
	PYTHONPATH=tests $(BIN)/python -m chaos $(if $(KILLS),--kills $(KILLS)) $(if $(SEED),--seed $(SEED))

# The demo runs the wheel, installed beside the locked dependencies, from an empty folder.
DEMO := $(VENV)/demo
DEMO_STAMP := $(DEMO)/.installed
DEMO_PYTHON := $(abspath $(DEMO))/bin/python

$(DEMO)/.requirements: $(STAMP) requirements.txt
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(DEMO)
	$(BIN)/uv pip sync --quiet --python $(DEMO)/bin/python --require-hashes requirements.txt
	touch $@

$(DEMO_STAMP): $(DEMO)/.requirements pyproject.toml README.md $(shell find provider -type f -not -name '*.pyc')
	rm -rf $(DEMO)/wheel
	$(BIN)/python -m build --wheel --no-isolation --outdir $(DEMO)/wheel . >$(DEMO)/build.log
	$(BIN)/uv pip install --quiet --python $(DEMO)/bin/python --no-deps --reinstall $(DEMO)/wheel/*.whl
	touch $@

demo: $(DEMO_STAMP) ## 24,000 real messages through the shipped DAG of a real Airflow, and the proof
	@mkdir -p $(DEMO)/empty && cd $(DEMO)/empty && exec $(DEMO_PYTHON) -m batchdrain.demo run

up: $(DEMO_STAMP) ## the same installation, kept running until Ctrl-C; its data stay in .demo
	@mkdir -p $(DEMO)/empty && cd $(DEMO)/empty && exec $(DEMO_PYTHON) -m batchdrain.demo up --data $(CURDIR)/.demo

secrets: ## a random value in .env for each secret of docker-compose.yaml; keeps those that are there
	@sh deploy/make_secrets.sh
