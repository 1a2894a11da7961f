# Everything a contributor types. `make help` lists it.

GO       ?= go
PACKAGES ?= ./...
PLAN     ?= plans/1.27-to-1.28.yaml
# The lab: `make lab-up CONTROL_PLANES=3 WORKERS=2 VERSION=1.28.15`
CONTROL_PLANES ?= 1
WORKERS        ?= 1
VERSION        ?= 1.27.3
HOST           ?= cp1
BENCH          ?= .
# The simulation: `make sim SEEDS=100000`, or one seed with its trace: `make sim SEED=1234`
SEEDS          ?= 20000
FROM           ?= 1
SEED           ?=
# Signs what `make dist` makes: a private key that ssh-keygen takes, or the public one of a key in the agent
export SIGNING_KEY
# What `make check` and `make dist` use, in the versions that are known to build from the module proxy.
LINT     := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.7.2
LICENCES := github.com/google/go-licenses@v1.6.0
VULNS    := golang.org/x/vuln/cmd/govulncheck@v1.1.4
SBOM     := github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.9.0

.DEFAULT_GOAL := help
# Each check ends before the next begins: what goes wrong first is said last.
.NOTPARALLEL: check

.PHONY: help build demo dist reproducible check fmt vet layers modules vulnerabilities licences lint test oracle race sim planted bench bench-ssh bench-trust generate clean lab lab-up lab-ssh lab-down e2e e2e-full

help: ## show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/upgrader
	$(GO) build -trimpath -o bin/upgrader ./cmd/upgrader

demo: ## upgrade a pretend cluster of 3 control planes and 5 workers, in this process
	$(GO) run ./cmd/upgrader run $(PLAN) --sandbox --yes

check: fmt vet layers modules vulnerabilities licences lint ## everything that needs no test: format, vet, imports, plans, modules, licences, known holes, lint

fmt:
	@unformatted=$$(gofmt -l $$(git ls-files '*.go' 2>/dev/null || find . -name '*.go')); \
	if [ -n "$$unformatted" ]; then echo "not formatted, run gofmt -w on:"; echo "$$unformatted"; exit 1; fi

vet:
	$(GO) vet -tags e2e $(PACKAGES)

layers:
	$(GO) test -count=1 -run 'TestLayers|TestEngineKnowsNothing' ./cmd/upgrader
	$(GO) run ./cmd/upgrader validate plans/*.yaml

modules:
	@.ci/modules

vulnerabilities:
	@.ci/vulnerabilities $(VULNS)

licences:
	@.ci/licences $(LICENCES)

lint: ## golangci-lint with the project's rules, gosec among them; downloads it once
	@.ci/lint $(LINT)

test: ## every test; under the race detector where goroutines meet
	$(GO) test $(PACKAGES)
	$(GO) test -race -short ./engine/... ./steps/remote/... ./steps/kube/... ./cmd/upgrader/...
	@.ci/oracle

oracle: ## hold the rules of a drain against kubectl's own; a module apart, which downloads kubectl once
	@.ci/oracle

race: ## every test under the race detector; takes longer
	$(GO) test -race $(PACKAGES)

sim: ## SEEDS=20000 runs of the reducer in worlds that go wrong, judged; or one: SEED=1234
	$(GO) test -count=1 ./engine/sim -run 'TestSeeds$$' $(if $(SEED),-v -seeds 1 -from $(SEED),-seeds $(SEEDS) -from $(FROM))

planted: ## prove that the simulation finds mistakes: each of those planted in the reducer is caught
	$(GO) test -count=1 -tags planted -v ./engine/sim -run TestPlanted

bench: ## what a run costs, at two sizes or more, as a table; BENCH=Reducer for some; see examples/bench
	BENCH='$(BENCH)' examples/bench/run.sh

bench-ssh: ## what reaching 100 hosts costs, beside a bare program and Ansible; takes minutes
	examples/bench/ssh/run.sh

bench-trust: ## what attacks find, at full size, as a list of figures: see SECURITY.md; takes some minutes
	examples/bench/trust.sh

generate: ## write schemas and golden files anew from the Go types and plans; then read the diff
	$(GO) test ./schemas ./plans ./engine/plan ./cmd/upgrader -update

lab: ## build bin/lab, which makes real clusters on this machine: see examples/lab
	$(GO) build -trimpath -o bin/lab ./examples/lab

lab-up: lab ## a real cluster of CONTROL_PLANES=1 and WORKERS=1 at VERSION=1.27.3; needs root
	bin/lab up --control-planes $(CONTROL_PLANES) --workers $(WORKERS) --version $(VERSION)

lab-ssh: lab ## log in to a host of it, HOST=cp1
	bin/lab ssh $(HOST)

lab-down: lab ## remove the cluster, and every trace of it but the cache
	bin/lab down

e2e: ## upgrade a real cluster of 1+1 in the lab, and what has to be refused there; needs root
	$(GO) test -tags e2e -count=1 -v -short -parallel 8 -timeout 80m ./examples/lab/e2e

e2e-full: ## everything that the lab can prove, with 3+2, kills, cuts and lost hosts; several labs at a time
	$(GO) test -tags e2e -count=1 -v -parallel 8 -timeout 120m ./examples/lab/e2e

dist: ## what is released, in bin/dist: make dist VERSION=v1.2.3 [SIGNING_KEY=~/.ssh/id_ed25519]
	@CHECKS=all .ci/vulnerabilities $(VULNS) release
	@.ci/dist "$(if $(filter file,$(origin VERSION)),,$(VERSION))" $(SBOM)

reproducible: ## build the program twice, at two places by two users, and compare the bytes
	@.ci/reproducible

clean: ## remove what was built
	rm -rf bin
