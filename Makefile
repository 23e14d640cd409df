# SPDX-License-Identifier: Apache-2.0
#
# `make` prints the targets. A line `target: … ## time | what it does` is all
# that it takes to be printed.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

FUZZTIME ?= 30s
# Arguments for go test: make test T='-v -run Lease ./lease'
T ?= ./...

# Our runc, where the host's is too old; sbin for mkfs and nft.
export PATH := $(CURDIR)/build:$(PATH):/usr/sbin:/sbin

.PHONY: help build demo demo-sharp demo-packets demo-services demo-obsolescence sim test test-root load check-deep race fuzz generate check clean bench soak agreement setup-run setup-demo setup-test setup-bench

help:
	@printf 'make TARGET (times on two cores, caches warm)\n\n'
	@awk -F ' ## | [|] ' '/^[a-z-]+:.* ## / { sub(/:.*/, "", $$1); printf "  %-12s %9s  %s\n", $$1, $$2, $$3 }' $(MAKEFILE_LIST)

# Use

build: ## 20 s | build/croft, the one binary
	CGO_ENABLED=0 go build -trimpath -o build/croft ./cmd/croft

demo: setup-demo build ## 1 min | the main job with real parts; needs root
	@if [ "$$(id -u)" = 0 ]; then scripts/demo; else sudo scripts/demo; fi

demo-sharp: setup-demo build ## 20 s | tickets split, oversubscribed and proved, with real nodes; needs root
	@if [ "$$(id -u)" = 0 ]; then scripts/demo-sharp; else sudo scripts/demo-sharp; fi

demo-packets: setup-demo build ## 3 min | packet limits flooded in every way, senders named, records rewritten, with real nodes; needs root
	CGO_ENABLED=0 go build -trimpath -o build/packets ./cmd/packets
	@if [ "$$(id -u)" = 0 ]; then scripts/demo-packets; else sudo scripts/demo-packets; fi

demo-services: setup-demo build ## 2 min | services of several owners that compose by topics, with real nodes; needs root
	for name in pulse probe query ron cast; do CGO_ENABLED=0 go build -trimpath -o build/$$name ./examples/$$name; done
	@if [ "$$(id -u)" = 0 ]; then scripts/demo-services; else sudo scripts/demo-services; fi

demo-obsolescence: setup-demo build ## 4 min | every role handed over to slices, the founders stopped for good, with real nodes; needs root
	CGO_ENABLED=0 go build -trimpath -o build/roles/ ./examples/tracker ./examples/topology ./examples/bootstrap ./examples/auction ./examples/packets ./examples/updates
	@if [ "$$(id -u)" = 0 ]; then scripts/demo-obsolescence; else sudo scripts/demo-obsolescence; fi

sim: build ## 1 h | every shipped scenario where it is meant to be played, and one table of what came; build/sim.html has the plots, build/sim.md the table
	@scripts/sim $(SIM)

clean: ## 1 s | remove what was built
	rm -rf build

# Test

test: setup-test ## 10 min | every test; those that need root only as root
	go test -timeout 20m $(T)
	go test -tags no_builtin_discovery -run Without ./node/daemon # that node is built otherwise
	go test -tags no_builtin_images -run WithoutBuiltinImages ./node/daemon
	go test -tags no_builtin_keeper,no_builtin_names,no_builtin_monitor,no_builtin_topology,no_builtin_bootstrap,no_builtin_packets,no_builtin_updates -run Without ./node/daemon

test-root: setup-test ## 1 min | only tests with the real kernel; fail where they cannot run
	CROFT_REQUIRE_ROOT=1 go test -count=1 -timeout 20m -run Root $(T)

load: setup-test ## 11 min | a node under random load by all mechanisms, killed again and again; needs root; CROFT_LOAD=DURATION
	CROFT_REQUIRE_ROOT=1 CROFT_LOAD=$${CROFT_LOAD:-10m} go test -count=1 -timeout 12h -v -run RootLoad ./cmd/croft

check-deep: load ## 1 h | 100,000 random histories of ledger and purses, CROFT_HISTORIES=N for others; 1,000 worlds under faults; and load
	CROFT_SEEDS=$${CROFT_SEEDS:-1000} go test -count=1 -timeout 12h -run TestSafety ./sim/world
	CROFT_HISTORIES=$${CROFT_HISTORIES:-100000} go test -count=1 -timeout 12h ./lease/adversary ./lease/purse

race: setup-test ## 5 min | every test under the race detector
	CGO_ENABLED=1 go test -race -timeout 40m $(T)

fuzz: ## 30 s each | every fuzz target for FUZZTIME
	scripts/fuzz $(FUZZTIME)

# Measure

bench: setup-bench build ## 25 min | the table of docs/bench.md, as root; BENCH='--only REGEXP --quick --window 30s --json'
	CGO_ENABLED=0 go build -trimpath -o build/bench ./cmd/bench
	build/bench $(BENCH)

soak: setup-bench build ## 32 min | a node at the highest rate that it sustains: identity exact, memory flat; needs root; SOAK=DURATION
	CGO_ENABLED=0 go build -trimpath -o build/bench ./cmd/bench
	build/bench soak --for $${SOAK:-30m}

agreement: ## 3 min | world and stack laid over one another again, for the foot of reports: sim/scenarios/agreement.json
	go test -count=1 -timeout 30m -v -run TestSameAsWorld ./sim/stack -rewrite

# Keep in order

generate: ## 10 s | make generated files again; the eBPF objects need clang-14, llvm-14 and libbpf-dev
	go generate ./...

check: ## 2 min | format, vet, staticcheck, module sums, generated files, rules of the house
	scripts/check

# Install what is missing: to run, for the demonstration, for the tests.

setup-run setup-demo setup-test setup-bench: setup-%:
	@scripts/setup $*
