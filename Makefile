# `make demo` and `make test` each do all of their own set-up in .venv of this folder.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
PYTEST := $(BIN)/python -m pytest
# Each file whole in one of two processes: most of what the heavy ones do is to wait.
# Those with many quick ones come last, since one long file at the end would be waited for alone.
PARALLEL := --numprocesses 2 --dist loadfile --no-loadscope-reorder
UV_VERSION := 0.13.9
# Programs that are built once; a Kubernetes takes longest, and only tests/deploying needs these.
CLUSTER_PROGRAMS := compose etcd helm kubernetes kwok prometheus-operator
PROGRAMS := $(filter-out $(CLUSTER_PROGRAMS),$(notdir $(wildcard requirements/go/*)))

# Universal: one lock for every platform and Python from 3.11 on. It names hashes, never addresses.
COMPILE_ONLY = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
	--generate-hashes --no-annotate --no-emit-index-url --no-emit-find-links \
	--custom-compile-command 'make lock' $(UPGRADE)
COMPILE = $(COMPILE_ONLY) pyproject.toml

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast test-boards test-cluster test-image sbom audit soak lint chromium programs cluster-programs drawing-page lock bench bench-latency bench-paging bench-scale compiled test-compiled clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.demo ## a whole contact centre live on this machine; ARGS='--bootstrap HOST:PORT'
	@$(BIN)/floorwatch demo $(ARGS)

test: lint chromium programs drawing-page ## lint, types, import rules, all tests but those of tests/deploying; CI runs test-cluster, too
	$(PYTEST) $(PARALLEL) --ignore=tests/deploying --cov --cov-report=

test-fast: $(VENV)/.test ## the tests that need neither Kafka nor a browser
	$(PYTEST) --ignore=tests/end_to_end --ignore=tests/boards --ignore=tests/deploying

soak: $(VENV)/.test ## a hundred schedules of faults, 100,000 broken requests; ARGS='--schedules 10 --first-seed 7 --lanes 1'
	$(BIN)/python -m tests.support.soak $(ARGS)
	$(BIN)/python -m tests.support.outage
	$(BIN)/python -m tests.support.http_fuzz

lint: $(VENV)/.test ## style, types, import rules and drift of what is generated
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m schemas.generate --check
	$(BIN)/python -m streams.openapi --check
	$(BIN)/python -m dashboards.alerts.generate --check
	$(BIN)/python -m dashboards.grafana.generate --check
	$(BIN)/python -m deploy.helm.generate --check

chromium: $(VENV)/.test
	@$(BIN)/python -m tests.support.install_chromium

test-boards: chromium programs drawing-page ## the boards alone: on a real Prometheus, in a real browser
	$(PYTEST) tests/boards $(ARGS)

drawing-page: $(VENV)/.test # Grafana's own components, from npm, built once into the user's cache
	@$(BIN)/python -m tests.support.node_packages

programs: $(VENV)/.test ## Prometheus and Alertmanager, built once into the user's cache
	@$(BIN)/python -m requirements.build_programs $(PROGRAMS)

cluster-programs: $(VENV)/.test ## and Helm and a Kubernetes, the same way: what `make test-cluster` needs
	@$(BIN)/python -m requirements.build_programs $(PROGRAMS) $(CLUSTER_PROGRAMS)

test-cluster: cluster-programs .venv-checkov/.done ## the chart on a real Kubernetes control plane
	$(PYTEST) $(PARALLEL) tests/deploying $(ARGS)

lock: $(BIN)/python ## the lock files anew, with UPGRADE=--upgrade for newer versions
	@$(BIN)/uv --version 2>/dev/null || $(PIP) install uv==$(UV_VERSION)
	$(COMPILE) --extra demo --group build --group dev --output-file requirements/test.txt
	$(COMPILE) --extra demo --group build --constraint requirements/test.txt \
		--output-file requirements/demo.txt
	$(COMPILE) --constraint requirements/test.txt --output-file requirements/runtime.txt
	$(COMPILE_ONLY) --group pyproject.toml:build --constraint requirements/test.txt \
		--output-file requirements/build.txt
	$(COMPILE_ONLY) --group pyproject.toml:bench --output-file requirements/bench.txt
	$(COMPILE_ONLY) --group pyproject.toml:audit --output-file requirements/audit.txt
	$(COMPILE_ONLY) --group pyproject.toml:checkov --output-file requirements/checkov.txt
	@$(MAKE) --no-print-directory $(VENV)/.test
	$(BIN)/python -m requirements.lock_kafka

bench: $(VENV)/.test .venv-bench/.peers ## us and our peers over the same events; ARGS='--events 300000 --rounds 1'
	$(BIN)/python tests/bench/compare.py $(ARGS)

compiled: build/compiled/.done ## the core as machine code, in build/compiled: optional, needs a C compiler

# Constants are built in there: the one test that replaces one stays with the source.
test-compiled: build/compiled/.done ## the laws and the core's tests on that
	$(PYTEST) -o pythonpath='build/compiled .' tests/core tests/wire tests/processors \
		--deselect tests/wire/test_instants.py::test_what_is_remembered_of_earlier_instants_is_bounded

build/compiled/.done: $(VENV)/.test requirements/compile_core.py $(wildcard schemas/*.py streams/*.py streams/*/*.py)
	@rm -rf build/compiled
	@mkdir -p build/compiled
	@cp -R schemas streams dashboards build/compiled
	$(BIN)/python -m requirements.compile_core build/compiled
	@touch $@

bench-latency: $(VENV)/.test ## from an event to /metrics and to a browser; ARGS='--rates 1000 --workers 3'
	$(BIN)/python tests/bench/latency.py $(ARGS)

bench-paging: $(VENV)/.test programs ## seconds from a breach to the page; ARGS='--resolved' also to its end
	$(BIN)/python -m tests.bench.paging $(ARGS)

bench-scale: $(VENV)/.test ## speed, memory and answers as things grow; ARGS='scrape open --events 1000000'
	$(BIN)/python tests/bench/scale.py $(ARGS)

# Podman with runc works as root on a machine without a service; Debian has all of these.
test-image: $(VENV)/.test ## the image, built and run by podman: as root, with podman, runc and mmdebstrap
	$(PYTEST) tests/deploying/trial_of_the_image.py $(ARGS)

sbom: $(VENV)/.test ## what the image is made of, as CycloneDX: build/sbom.json
	@$(BIN)/python -m requirements.sbom build/sbom.json

audit: .venv-audit/.audit ## known vulnerabilities of what the image is made of; asks a service on the internet
	.venv-audit/bin/pip-audit --disable-pip --require-hashes --strict --requirement requirements/runtime.txt

.venv-audit/.audit: requirements/audit.txt | $(BIN)/python
	@$(BIN)/python -m venv .venv-audit
	@echo 'installing the packages of $< into .venv-audit'
	@.venv-audit/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes --no-deps --requirement $<
	@touch $@

# The peers bring their own clients and stores: a venv apart, and never in the locks above.
.venv-bench/.peers: requirements/bench.txt | $(BIN)/python
	@$(BIN)/python -m venv .venv-bench
	@echo 'installing the packages of $< into .venv-bench'
	@.venv-bench/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes --no-deps --requirement $<
	@touch $@

# Checkov brings a hundred packages with their own demands: a venv apart, and never in the locks above.
.venv-checkov/.done: requirements/checkov.txt | $(BIN)/python
	@$(BIN)/python -m venv .venv-checkov
	@echo 'installing the packages of $< into .venv-checkov'
	@.venv-checkov/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes --no-deps --requirement $<
	@touch $@

clean: ## remove what the other targets made in this folder
	rm -rf $(VENV) .venv-audit .venv-bench .venv-checkov build dist bench.json .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache \
		.pytest_cache .ruff_cache

# A stamp for each set of packages: newer than its lock file means installed. The lock file is whole, so
# pip looks for nothing else: older ones take a newer release of a package with extras for an unpinned one.
$(VENV)/.demo $(VENV)/.test: $(VENV)/.%: requirements/%.txt pyproject.toml | $(BIN)/python
	@echo 'installing the packages of $< into $(VENV)'
	@$(PIP) install --quiet --require-hashes --no-deps --requirement $<
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@$(PIP) check
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "floorwatch needs Python 3.11 or newer: make PYTHON=python3.12")'
	@$(PYTHON) -m venv $(VENV)
