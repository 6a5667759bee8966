# On a machine with Python 3.11 or later, two commands suffice: make demo and make test.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --no-compile --constraint constraints.txt
SOURCES := circuits verifier prover service contracts
CHECKED := $(SOURCES) proto tests examples benchmarks docs

PYTEST := $(BIN)/python -m pytest
PARALLEL := --numprocesses=auto --maxprocesses=4 --dist=loadfile --no-loadscope-reorder
# Servers outlive single tests, so their logs are not captured; they go to a file. pytest itself writes to stdout.
LOGGED = 2> build/test-stderr.log || { tail -n 40 build/test-stderr.log >&2; exit 1; }

NODE := contracts/node_modules
NODE_CLIENT := examples/clients/node
# Not npm's wrapper around it, which exits with 0 even if tests fail.
FORGE := node_modules/@foundry-rs/forge-*/bin/forge
HAS_NODE := $(shell command -v npm 2> /dev/null)
# The native core of the engine Ashlar, for which cargo 1.85 or later is needed.
CORE := prover/ashlar
CORE_SOURCES := $(wildcard $(CORE)/Cargo.* $(CORE)/pyproject.toml $(CORE)/src/*.rs $(CORE)/src/*/*.rs)
HAS_CARGO := $(shell cargo --version 2> /dev/null | awk '{ split($$2, v, "."); if (v[1] > 1 || v[2] >= 85) print "yes" }')

.DEFAULT_GOAL := help
.PHONY: help demo test test-quick test-nightly core-test core-nightly check stubs format contracts contracts-test extras-test clients-test browser-test contracts-nightly contracts-report constraints train bench bench-service reliability oracle-reliability coverage clean

help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/demo ## Compile, prove, verify, refuse and act on a chain, with a real model, in under two minutes.
	$(BIN)/zkinfer demo

# Workers get whole files, so that a chain or a server shared by the tests of a file is started once, in alphabetical
# order: tests/e2e and tests/integration take longest and come first.
test: $(VENV)/dev | build ## Run the tests required for every change; list the slowest at the end.
	$(PYTEST) $(PARALLEL) -m "not alone and not nightly and not browser" --durations=15 $(LOGGED)
	$(PYTEST) -m "alone and not nightly" --durations=5 $(LOGGED)
ifndef HAS_NODE
	@echo 'skipped: forge and the parts on anvil, because npm is missing; see make contracts-test'
endif

test-quick: $(VENV)/dev | build ## Run the tests that take less than five seconds each; takes minutes.
	$(PYTEST) $(PARALLEL) -m "not slow and not alone and not nightly and not browser" $(LOGGED)

test-nightly: $(VENV)/dev | build ## Run what `make test` leaves out: further models, mutants, an hour of fuzzing; takes hours.
	$(PYTEST) $(PARALLEL) --dist=worksteal -m nightly --durations=15 $(LOGGED)

check: $(VENV)/dev ## Check style, types, import rules and generated files.
	$(BIN)/ruff format --check $(CHECKED)
	$(BIN)/ruff check $(CHECKED)
	$(BIN)/mypy $(SOURCES) benchmarks
	$(BIN)/lint-imports
	$(BIN)/python docs/generate.py --check
	$(BIN)/python proto/generate.py --check

stubs: $(VENV)/dev ## Generate the Python stubs of the gRPC interface.
	$(BIN)/python proto/generate.py

format: $(VENV)/dev ## Fix lint and format the code.
	$(BIN)/ruff check --fix $(CHECKED)
	$(BIN)/ruff format $(CHECKED)

contracts: $(VENV)/dev $(NODE)/.package-lock.json ## Compile the contracts and write the artifacts that Python ships. Needs node.
	$(BIN)/python contracts/build.py

core-test: ## Check the style of Ashlar's core, lint it and test it. Skipped without cargo.
ifdef HAS_CARGO
	cd $(CORE) && cargo fmt --check && cargo clippy --quiet --all-targets --all-features -- -D warnings && cargo test --quiet
	@if command -v cargo-deny > /dev/null; then cd $(CORE) && cargo deny --offline check bans licenses sources; \
	else echo "skipped: the licences of the core's dependencies, because cargo-deny is missing"; fi
else
	@echo 'skipped: the core of the engine Ashlar, because cargo 1.85 or later is missing'
endif

contracts-test: $(VENV)/dev ## Check the format of the contracts, test them, compare the artifacts. Skipped without npm.
ifdef HAS_NODE
	$(MAKE) --no-print-directory $(NODE)/.package-lock.json
	cd contracts && $(FORGE) fmt --check && $(FORGE) test
	ZKINFER_TEST_NPM=1 $(BIN)/python -m pytest --quiet tests/e2e/test_own_contract.py
	$(BIN)/python contracts/build.py --check
	git diff --exit-code --stat -- contracts/snapshots
else
	@echo 'skipped: forge and the comparison of artifacts, because npm is missing; pytest runs the rest'
endif

extras-test: ## Install each extra without the constraints file, and run a server beside a Triton client; minutes.
	$(PYTHON) tests/install/extras.py

clients-test: $(VENV)/dev ## Test the TypeScript client against a real server. Skipped without npm.
ifdef HAS_NODE
	cd $(NODE_CLIENT) && npm install --no-save --no-audit --no-fund --ignore-scripts
	$(BIN)/python -m pytest --quiet tests/e2e/test_example_clients.py
else
	@echo 'skipped: the TypeScript client, because npm is missing'
endif

browser-test: $(VENV)/dev | build ## Test the page of `zkinfer ui` in Chromium; skipped without it.
	$(PYTEST) tests/browser -m browser $(LOGGED)

contracts-nightly: $(NODE)/.package-lock.json ## Test the contracts with 100,000 runs of each fuzz test; takes an hour or more.
	cd contracts && FOUNDRY_PROFILE=nightly $(FORGE) test

contracts-report: $(NODE)/.package-lock.json ## Report the test coverage of the contracts and slither's findings; takes minutes.
	cd contracts && FORGE_SNAPSHOT_EMIT=false $(FORGE) coverage --ir-minimum --report summary --no-match-coverage 'test/|node_modules'
	$(PYTHON) -m venv build/slither
	build/slither/bin/python -m pip --disable-pip-version-check install --quiet slither-analyzer==0.11.6
	cd contracts && PATH="$(CURDIR)/$(NODE)/.bin:$$PATH" ../build/slither/bin/slither . --foundry-compile-all --fail-none \
		--filter-paths 'node_modules|test' --exclude-informational --exclude-optimization

constraints: ## Pin today's versions of all dependencies in constraints.txt.
	rm -rf build/constraints && $(PYTHON) -m venv build/constraints
	build/constraints/bin/python -m pip --disable-pip-version-check install --quiet '.[dev,torch,train]'
	build/constraints/bin/python -m pip --disable-pip-version-check freeze --exclude zkinfer | sed 's/+cpu$$//' > constraints.txt

train: $(VENV)/train ## Train the demo's models again and measure them.
	$(BIN)/python examples/digits/train.py
	$(BIN)/python examples/lenet/train.py

bench: $(VENV)/dev ## Benchmark against the plain engine and write docs/measurements/benchmarks.md.
	$(BIN)/python -m benchmarks.engine

bench-service: $(VENV)/dev ## Measure the latency of the service and write docs/measurements/service-benchmarks.md; takes minutes.
	$(BIN)/python -m benchmarks.service

reliability: $(VENV)/dev ## Kill servers at random, change proofs and attestations, and write docs/measurements/reliability.md.
	$(BIN)/python -m benchmarks.reliability
	$(BIN)/python -m benchmarks.honest_proofs
	$(BIN)/python -m benchmarks.bad_proofs
	$(BIN)/python -m benchmarks.bad_files
	$(BIN)/python -m benchmarks.ashlar_mutants
	$(BIN)/python -m benchmarks.attestation_mutants

oracle-reliability: $(VENV)/dev ## Run feeds for 500 rounds under faults and write docs/measurements/oracle-reliability.md.
	$(BIN)/python -m benchmarks.oracle_soak --write

coverage: $(VENV)/dev ## Measure every kind of model and every operator, and write docs/reference/coverage.md; takes minutes.
	$(BIN)/python docs/coverage.py

clean: ## Remove the virtual environment and all caches.
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis contracts/build $(NODE)

$(NODE)/.package-lock.json: contracts/package-lock.json
	cd contracts && npm install --no-save --no-audit --no-fund --ignore-scripts  # not ci, which requires the binaries of every platform
	@touch $@

build:
	mkdir -p $@

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "zkinfer needs Python 3.11 or later")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/core: $(CORE_SOURCES) | $(BIN)/python
ifdef HAS_CARGO
	$(PIP) ./$(CORE)
else
	@echo 'skipped: the core of the engine Ashlar, because cargo 1.85 or later is missing; the engine ezkl needs no core'
endif
	@touch $@

$(VENV)/demo: pyproject.toml constraints.txt $(VENV)/core | $(BIN)/python
	$(PIP) --editable '.[chain-dev]'
	@touch $@

$(VENV)/dev: pyproject.toml constraints.txt $(VENV)/core | $(BIN)/python
	$(PIP) --editable '.[dev,torch]'
	@touch $@ $(VENV)/demo

$(VENV)/train: $(VENV)/dev
	$(PIP) --editable '.[dev,torch,train]'
	@touch $@
