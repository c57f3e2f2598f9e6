# Alys: everything here needs Go and a C compiler, nothing else.

GO        ?= go
BIN       := bin/alys
VERSION   := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS   := -X main.version=$(VERSION)
# A count, not a time: with a time the fuzzing engine of Go before 1.27 now and then
# reports its own deadline as a failure (golang/go#75804).
FUZZTIME  ?= 10000x
DATA      ?= alys-data

# Packages that run goroutines of ours.
RUNTIME   := ./actors/... ./journal/... ./snapshot/... ./replay/... ./projections/... ./internal/memo/... ./internal/node/... \
             ./internal/edge/admin/... ./internal/edge/mergeminer/... ./internal/edge/pegsigner/... ./internal/edge/rpc/... ./internal/progress/... ./internal/restart/... \
             ./internal/backup/... ./internal/scrub/... ./internal/edge/p2p/... ./internal/edge/lease/... ./internal/rangecheck/... ./internal/settle/... ./migration/...

# Pinned: a linter that changes by itself breaks old commits.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.7.0

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build bin/alys
	$(GO) build -trimpath -buildvcs=auto -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/alys

.PHONY: run
run: build ## Build and start a development node (blocks, merge-mining, finality) on embedded defaults
	$(BIN) node --dev --data-dir $(DATA)

.PHONY: test
test: ## The whole fast suite
	$(GO) test ./...

.PHONY: test-race
test-race: ## The packages that run goroutines, under the race detector (exhaustive disk tests shortened)
	$(GO) test -race -short -timeout 25m $(RUNTIME)

.PHONY: test-e2e
test-e2e: build ## End to end: the real program as a process, kill -9, legacy chains
	$(GO) test -tags e2e -count=1 -timeout 30m -v -run 'TestEndToEnd|TestScripts' ./cmd/alys/...
	ALYS_TEST_KILL_BLOCKS=10000 $(GO) test -count=1 -timeout 15m -v -run 'TestKill$$' ./internal/node
	ALYS_BIN='$(CURDIR)/$(BIN)' $(GO) test -count=1 -timeout 5m -v -run 'TestFinalityConflictEndsNode' ./internal/node

.PHONY: e2e-miner
e2e-miner: build ## An external merge-miner beside the real program: wrong, stale and duplicate work, kills, finality; the recorded legacy RPC
	E2E_PROGRAM='$(CURDIR)/$(BIN)' $(GO) test -tags e2e -count=1 -timeout 10m -v -run 'TestEndToEnd' ./internal/edge/rpc

# A real S3 server for test-s3, at a fixed version.
S3_SERVER := github.com/versity/versitygw/cmd/versitygw@v1.8.0

.PHONY: test-s3
test-s3: ## The archive in a bucket of a real S3 server on loopback, which is installed into bin/: read, killed, damaged, refused
	GOBIN='$(CURDIR)/bin' $(GO) install $(S3_SERVER)
	ALYS_S3_SERVER='$(CURDIR)/bin/versitygw' $(GO) test -count=1 -timeout 10m -v -run '^TestServer' ./internal/edge/s3

# Seeded runs of each size of a federation, from seed FIRST on.
SEEDS ?= 200
FIRST ?= 0

.PHONY: sim
sim: ## Federations of 3, 4 and 7 members through crashes, partitions and lies, SEEDS=200 runs each, from FIRST=0 on
	ALYS_SIM_SEEDS=$(SEEDS) ALYS_SIM_FIRST=$(FIRST) $(GO) test -count=1 -timeout 60m -v -run '^TestFederation$$' ./internal/sim
	ALYS_SIM_MUTANTS=30 $(GO) test -count=1 -timeout 60m -v -run "^TestMutants$$" ./internal/sim

.PHONY: byzantine
byzantine: ## A hostile peer in some thirty ways against the real edge of peers and the real cores
	$(GO) run ./internal/sim/byzantine

# Scenarios of reorg, and seeds that each deliberate bug may take.
RUNS        ?= 20000
MUTANT_RUNS ?= 3000

.PHONY: reorg
reorg: ## Properties of reorganisations on all processors (RUNS=20000), then deliberate bugs that they must catch
	ALYS_REORG_RANDOM=1 $(GO) test -count=1 -timeout 60m -v -run '^TestProperties$$' ./internal/sim/reorg -rapid.checks=$$(($(RUNS) / $$(nproc)))
	ALYS_REORG_MUTANTS=$(MUTANT_RUNS) $(GO) test -count=1 -timeout 60m -v -run '^TestMutants$$' ./internal/sim/reorg

# Runs of the peg, 3,000 unless RUNS is given.
PEG_RUNS = $(if $(filter command,$(firstword $(origin RUNS))),$(RUNS),3000)

.PHONY: sim-peg
sim-peg: ## The peg through reorganisations of both chains, lies, thefts and crashes, RUNS=3000 new runs, then deliberate bugs that they must catch
	ALYS_PEG_RANDOM=1 $(GO) test -count=1 -timeout 60m -v -run '^TestProperties$$' ./internal/sim/peg -rapid.checks=$$(($(PEG_RUNS) / $$(nproc)))
	ALYS_PEG_MUTANTS=300 $(GO) test -count=1 -timeout 60m -v -run '^TestMutants$$' ./internal/sim/peg

.PHONY: reorg-seeds
reorg-seeds: ## The scenarios of seeds 0 to RUNS, the same every time, then the deliberate bugs
	ALYS_REORG_SEEDS=$(RUNS) $(GO) test -count=1 -timeout 60m -v -run '^TestSearch$$' ./internal/sim/reorg
	ALYS_REORG_MUTANTS=$(MUTANT_RUNS) $(GO) test -count=1 -timeout 60m -v -run '^TestMutants$$' ./internal/sim/reorg

# geth at the version of go.mod.
GETH := github.com/ethereum/go-ethereum/cmd/geth@$(shell $(GO) list -m -f '{{.Version}}' github.com/ethereum/go-ethereum 2>/dev/null)

.PHONY: e2e-geth
e2e-geth: build ## The node against a real geth, which is installed into bin/: the same turns as embedded, deep reorgs, kill -9 of both
	GOBIN='$(CURDIR)/bin' $(GO) install $(GETH)
	ALYS_GETH='$(CURDIR)/bin/geth' ALYS_BIN='$(CURDIR)/$(BIN)' $(GO) test -count=1 -timeout 10m -v -run '^TestGeth' ./internal/node

# btcd at the version of go.mod.
BTCD := github.com/btcsuite/btcd@$(shell $(GO) list -m -f '{{.Version}}' github.com/btcsuite/btcd 2>/dev/null)

.PHONY: e2e-btcd
e2e-btcd: build ## Coins in and out between a real btcd and a real geth, both installed into bin/, with kill -9 of all; also Bitcoin Core where BITCOIND names one
	GOBIN='$(CURDIR)/bin' $(GO) install $(BTCD)
	GOBIN='$(CURDIR)/bin' $(GO) install $(GETH)
	ALYS_BTCD='$(CURDIR)/bin/btcd' $(GO) test -count=1 -timeout 10m -v -run '^TestRealNode' ./internal/edge/bitcoin
	ALYS_BTCD='$(CURDIR)/bin/btcd' ALYS_GETH='$(CURDIR)/bin/geth' ALYS_BIN='$(CURDIR)/$(BIN)' $(GO) test -count=1 -timeout 20m -v -run '^TestBitcoinLane' ./internal/node

# Blocks and slot of e2e-federation.
LANE_BLOCKS ?= 300
LANE_SLOT   ?= 1s

.PHONY: e2e-federation
e2e-federation: build ## Three members and a full node as processes in network namespaces: kills, partitions, latency, loss, restarts (LANE_BLOCKS=300)
	$(GO) test -count=1 -timeout 10m -v ./internal/devnet/netlab
	ALYS_BIN='$(CURDIR)/$(BIN)' ALYS_LANE_BLOCKS=$(LANE_BLOCKS) ALYS_LANE_SLOT=$(LANE_SLOT) $(GO) test -count=1 -timeout 60m -v -run '^TestFederationLane$$' ./internal/devnet

# Seeded runs of journal-crash, and bits of each byte that journal-flips flips.
CRASH_RUNS ?= 2000
FLIP_BITS  ?= 1

.PHONY: journal-crash
journal-crash: ## Power cuts and faults at every disk operation of a journal and its runtime, and the program under strace (CRASH_RUNS=2000)
	ALYS_CRASH_RUNS=$(CRASH_RUNS) $(GO) test -count=1 -timeout 60m -v -run 'TestPower$$' ./journal
	$(GO) test -count=1 -timeout 60m -v -run 'TestPowerCut$$' ./actors -rapid.checks=$(CRASH_RUNS)
	JOURNAL_STRACE=1 $(GO) test -count=1 -timeout 60m -v -parallel 6 -run 'TestStrace$$' ./cmd/alys

.PHONY: journal-flips
journal-flips: ## A bit flip at every byte of what a small node leaves: detected and named, or harmless (FLIP_BITS=8 for all bits)
	ALYS_FLIPS=$(FLIP_BITS) $(GO) test -count=1 -timeout 60m -v -run 'TestFlips$$' ./journal

.PHONY: vectors
vectors: ## Run every line of the legacy vectors and print counts (ALYS_VECTORS=DIR for another set)
	$(GO) test -count=1 -v -run TestVectors ./internal/protocol/vectors ./internal/protocol/gossip ./internal/edge/rpc ./internal/edge/bitcoin ./internal/edge/p2p/admit ./internal/edge/p2p/legacy

.PHONY: bench
bench: build ## The figures of docs/performance.md, with their references
	$(GO) run ./internal/bench -alys $(BIN)

.PHONY: bench-chain
bench-chain: ## Blocks validated without and with execution, reorgs of depth 1, 100, 1000, memory of the tree, import beside straight feeding
	$(GO) run ./internal/bench -chain

.PHONY: bench-sync
bench-sync: ## Blocks per second from one and from four peers on loopback, with and without execution, beside the same blocks fed straight
	$(GO) run ./internal/bench -sync

.PHONY: bench-peg
bench-peg: ## The peg: Bitcoin blocks scanned, proposals and signatures checked, coins chosen
	$(GO) test -run '^$$' -bench 'ScanBlock|CheckSigner|SigHashes|VerifySignatures|Finalize|Propose|PegIn$$|PegOuts' -benchmem ./internal/protocol/peg
	$(GO) test -run '^$$' -bench Ledger -timeout 30m ./projections/peg -pegs 1000000
	$(GO) test -run '^$$' -bench 'JudgeProposal|Collect|PlanPayment' -benchmem ./actors/bridge

# How long each cell of bench-journal runs; a smoke run takes 50ms.
CELL      ?= 2s

.PHONY: bench-journal
bench-journal: ## Durable appends beside raw Pebble, etcd, raft-wal, CometBFT, tidwall; open after kill -9 (CELL=2s)
	cd internal/bench/logs && GOWORK=$$PWD/go.work GOFLAGS=-mod=readonly $(GO) run . -cell $(CELL)
	$(GO) run ./internal/bench -journal

.PHONY: bench-go
bench-go: ## All Go benchmarks, with allocations
	$(GO) test -run '^$$' -bench . -benchmem ./...

.PHONY: bench-snapshot
bench-snapshot: ## Snapshots of an actor with 10,000,000 entries while its turns go on (ALYS_LARGE_ENTRIES=N)
	ALYS_LARGE_ENTRIES=$${ALYS_LARGE_ENTRIES:-10000000} $(GO) test -count=1 -v -timeout 30m -run 'TestLargeState$$' ./actors

.PHONY: fuzz
fuzz: ## Every fuzz target for FUZZTIME (10000x)
	@set -e; listed=$$($(GO) test -list '^Fuzz' ./...); \
	targets=$$(echo "$$listed" | awk '/^Fuzz/ {t[n++] = $$1} /^ok/ {for (i = 0; i < n; i++) print $$2, t[i]; n = 0}'); \
	test -n "$$targets" || { echo "fuzz: no targets found"; exit 1; }; \
	echo "$$targets" | while read -r pkg target; do \
	  echo "fuzz $$pkg $$target"; \
	  $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 50x $$pkg </dev/null; \
	done

.PHONY: lint
lint: ## gofmt, go vet, staticcheck
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$unformatted" ]; then echo "gofmt: $$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) vet -tags e2e ./...
	$(GO) run $(STATICCHECK) ./...

.PHONY: generate
generate: ## Write generated files anew
	$(GO) test -count=1 ./internal/protocol/message ./internal/config ./internal/edge/rpc -update

.PHONY: generate-proto
generate-proto: ## Write the gRPC code of internal/edge/pegsigner/keeper/signerpb anew (installs its generators)
	rm -f internal/edge/pegsigner/keeper/signerpb/*.pb.go
	$(GO) test -count=1 ./internal/edge/pegsigner/keeper/signerpb -update

.PHONY: golden
golden: ## Write the golden journal of this version into testdata/journals/GOLDEN (a release that changes format, schema or behaviour)
	@test -n "$(GOLDEN)" || { echo "golden: name the directory, as in make golden GOLDEN=v3"; exit 1; }
	$(GO) test -count=1 ./actors/chain -run 'TestGoldenScript$$' -golden '$(CURDIR)/testdata/journals/$(GOLDEN)'
	$(GO) test -count=1 ./internal/node -run 'TestGoldenJournals$$' -describe-golden

.PHONY: generate-check
generate-check: generate generate-proto ## Fail when a generated file differs from its source
	@git diff --exit-code --stat -- docs internal/edge/pegsigner/keeper/signerpb || (echo "generated files differ from their source: commit what make generate wrote"; exit 1)

.PHONY: clean
clean: ## Remove what was built
	rm -rf bin
