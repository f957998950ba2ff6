# The recipes that users, developers and CI all call. Newcomers need two: `make up` and `make test`.
#
# Each brings what it misses first (scripts/*-deps.sh: silent and quick when nothing is to do).

SHELL := /bin/bash
.NOTPARALLEL:
.DEFAULT_GOAL := help

# Tools that are fetched, not installed, live in the checkout.
export PATH := $(CURDIR)/.tools/bin:$(PATH)

# Test vectors lie outside the repository; tests say so in one line when they are absent.
GATEHOUSE_VECTORS ?= $(realpath ../shared/data)

# What `make up` and `make bench` hand on, for example: make up ARGS="--edge-listen 127.0.0.1:7801"
ARGS ?=
# All parts of `make bench` know this one.
QUICK = $(findstring --quick,$(ARGS))

.PHONY: help
help: ## Show this help
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: up
up: build-deps runtime-deps ## Build, then run the whole system here with deploy/quickstart
	cargo build --release --workspace --bin gatehouse --locked
	exec target/release/gatehouse up -f deploy/quickstart $(ARGS)

.PHONY: build
build: build-deps ## Build all binaries into target/release
	cargo build --release --workspace --bins --locked

# Cheap first: a slip in form shows within seconds.
.PHONY: check
check: build-deps check-deps ## Check format, repository rules, dependencies, lints and docs
	cargo fmt --all --check
	cargo run --quiet --locked -p xtask -- tidy
	cargo deny --locked check bans licenses sources
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --no-deps --workspace --locked

ifneq ($(GATEHOUSE_VECTORS),)
test e2e: export GATEHOUSE_VECTORS := $(GATEHOUSE_VECTORS)
endif

# Tests run the binaries that lie beside them in target/debug, so those are built first; with
# --tests, so that both steps build the same dependencies with the same features.
.PHONY: test
test: build-deps test-deps ## Run all tests but the long ones
	cargo build --workspace --bins --tests --locked
	cargo test --workspace --locked --no-fail-fast

# What came out must be what docs/compatibility.md says; GATEHOUSE_WRITE_DOCS=1 has the page written instead.
.PHONY: conformance
conformance: build-deps test-deps ## Run the official conformance suite of MCP through edge and sidecar
	cargo build --workspace --bins --tests --locked
	rm -rf target/conformance
	cargo test -p tests --test all --locked conformance -- --nocapture
	tests/conformance/table

.PHONY: e2e
e2e: build-deps e2e-deps ## Run the long tests: more clients, more time
	cargo build --workspace --bins --tests --locked
	cargo test --workspace --tests --locked --no-fail-fast -- --ignored

.PHONY: bench
bench: build ## Measure Gatehouse against less (docs/performance.md); ARGS=--quick for a first look
	target/release/gatehouse-loadtest bench --json target/bench.json $(ARGS)
	target/release/gatehouse-loadtest bounds --json target/bounds.json $(QUICK)
	cargo bench -p mcp --bench codecs --locked -- $(QUICK)
	cargo bench -p dataplane --bench limits --locked -- $(QUICK)
	cargo bench -p engine --bench decide --locked -- $(QUICK)
	cargo bench -p engine --bench filters --locked -- $(QUICK)

.PHONY: bench-decide
bench-decide: build-deps ## Measure decisions by themselves: 100,000 rules, conditions, long lists
	cargo bench -p engine --bench decide --locked -- $(ARGS)

.PHONY: bench-codecs
bench-codecs: build-deps ## Measure what reads and rewrites messages, by itself
	cargo bench -p mcp --bench codecs --locked -- $(ARGS)

.PHONY: bench-filters
bench-filters: build-deps ## Measure what filters that look by themselves cost
	cargo bench -p engine --bench filters --locked -- $(ARGS)

.PHONY: release
release: build ## Build and pack an archive into target/dist
	scripts/release.sh

.PHONY: build-deps runtime-deps check-deps test-deps e2e-deps
build-deps runtime-deps test-deps:
	@scripts/$@.sh
check-deps:
	@scripts/test-deps.sh check
e2e-deps:
	@scripts/test-deps.sh e2e
