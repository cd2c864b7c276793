# Everything is a target here; `make` alone lists them. Needs Rust (rustup), Python 3.10 or newer and a C compiler.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

python ?= python3
stack := $(python) infra/local/stack.py
# Orders per dialect for `make conformance`.
CASES ?= 2000
# Worlds for `make faults`.
SEEDS ?= 2000
# Generated requests for `make api-cases`; `CASES` says it for both.
API_CASES := $(if $(filter command line environment,$(origin CASES)),$(CASES),5000)
# Seconds that `make fuzz` gives each target.
SECONDS_EACH ?= 60
# Deliveries for `make soak`, and what decides what is sold and what goes wrong.
N ?= 2000
SEED ?= 1
# Parameters of the template for `make up` and `make demo`, as in `make up PARAMS="SettleScalePercent=1"`.
PARAMS ?=

include infra/build/Makefile

.PHONY: help
help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: demo
demo: ## Pair four shops, connect four books and watch documents travel, on the local stack
	@began=$$(date +%s); $(MAKE) --no-print-directory up && target/debug/ledger-demo \
		&& echo "make demo: $$(( $$(date +%s) - began )) s with the stack brought up"

.PHONY: up
up: build-local ## Start the local stack, or bring it to the newest code, pair its shops and connect their books
	@$(stack) up --params $(PARAMS)
	@target/debug/ledger-demo --pair-only

.PHONY: down
down: ## Stop the local stack and forget what is in it
	@$(stack) down

.PHONY: status
status: ## What of the local stack is running
	@$(stack) status

.PHONY: sweep
sweep: ## Run the local stack's sweeper once, now
	@$(stack) sweep

.PHONY: test
test: ## Every check and test, on a stack of their own
	@$(python) infra/local/suite.py

.PHONY: conformance
conformance: ## Hold every dialect to its word; `make conformance CASES=100000` takes more orders of shops
	@cargo test --quiet --package ledger-dialects
	@cargo test --quiet --package ledger-conformance
	@cargo run --quiet --release --package ledger-conformance -- $(CASES)

.PHONY: faults
faults: ## Live whole worlds in which everything goes wrong; `make faults SEEDS=100000`
	@# Worlds allocate much: more of it kept at hand saves one instruction of fifteen (glibc; elsewhere it means nothing).
	@GLIBC_TUNABLES=glibc.malloc.tcache_count=127 cargo run --quiet --profile quick --package ledger-simulation -- faults $(SEEDS)

.PHONY: crash-sweep
crash-sweep: ## Kill every kind of job before and after each of its port calls, in every dialect
	@cargo run --quiet --profile quick --package ledger-simulation -- crash-sweep

.PHONY: soak
soak: build-local ## Put a deployed stack under load while everything goes wrong; `make soak N=2000 SEED=1`
	@$(python) infra/local/soak.py --deliveries $(N) --seed $(SEED)

.PHONY: planted
planted: ## Plant one mistake after another in the engine and see which tests notice
	@$(python) tests/simulation/planted.py

.PHONY: openapi
openapi: ## Write docs/openapi.json anew from the routes
	@RENEW_OPENAPI=1 cargo test --quiet --package ledger-routes --test routes the_document_in_docs

.PHONY: api-cases
api-cases: ## Hold the API to its document with generated requests; `make api-cases CASES=5000`
	@LEDGER_API_CASES=$(API_CASES) $(python) infra/local/suite.py build stack api

.PHONY: fuzz
fuzz: ## Let libFuzzer look for bytes that break what takes strangers' bytes apart; `make fuzz SECONDS_EACH=600`
	@$(python) infra/local/fuzz.py --seconds $(SECONDS_EACH)

.PHONY: moved
moved: ## Move a shop with 300 documents over from another service, on a stack of its own
	@$(python) infra/local/suite.py build stack moved

.PHONY: previewed
previewed: ## Preview 200 orders and compare with what is sent, on a stack of its own
	@$(python) infra/local/suite.py build stack previewed

.PHONY: bench
bench: ship ## Measure what ships, next to a program that does nothing
	@cargo run --release --package ledger-bench

.PHONY: build-local
build-local: ## Build everything quickly, for this machine only
	@cargo build --workspace --bins
	@for folder in functions/*/; do \
	    name=$$(basename "$$folder"); \
	    mkdir -p "target/lambda/$$name"; \
	    cmp --silent "target/debug/$$name" "target/lambda/$$name/bootstrap" && continue; \
	    cp "target/debug/$$name" "target/lambda/$$name/bootstrap.new"; \
	    mv "target/lambda/$$name/bootstrap.new" "target/lambda/$$name/bootstrap"; \
	done

.PHONY: ship
ship: ## Build the functions as they go to AWS, into target/ship
	@$(python) infra/build/package.py

.PHONY: template
template: ## Check template.yaml
	@$(python) infra/local/suite.py template
