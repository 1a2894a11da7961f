# Everything a contributor types. `make help` lists it.

GO       ?= go
PACKAGES ?= ./...
PLAN     ?= plans/1.27-to-1.28.yaml
LINT     := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.7.2

.DEFAULT_GOAL := help
.PHONY: help build demo check fmt vet layers lint test race generate clean

help: ## show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/upgrader
	$(GO) build -trimpath -o bin/upgrader ./cmd/upgrader

demo: ## upgrade a pretend cluster of 3 control planes and 5 workers, in this process
	$(GO) run ./cmd/upgrader run $(PLAN) --sandbox --yes

check: fmt vet layers ## formatting, vet, the import rule, the shipped runbooks; needs no network

fmt:
	@unformatted=$$(gofmt -l $$(git ls-files '*.go' 2>/dev/null || find . -name '*.go')); \
	if [ -n "$$unformatted" ]; then echo "not formatted, run gofmt -w on:"; echo "$$unformatted"; exit 1; fi

vet:
	$(GO) vet $(PACKAGES)

layers:
	$(GO) test -count=1 -run 'TestLayers|TestEngineKnowsNothing' ./cmd/upgrader
	$(GO) run ./cmd/upgrader validate plans/*.yaml

lint: ## golangci-lint with the project's rules; downloads it once
	$(GO) run $(LINT) run

test: ## every test; under the race detector where goroutines meet
	$(GO) test $(PACKAGES)
	$(GO) test -race -short ./engine/... ./steps/remote/... ./steps/kube/... ./cmd/upgrader/...

race: ## every test under the race detector; takes longer
	$(GO) test -race $(PACKAGES)

generate: ## write schemas and golden files anew from the Go types and plans; then read the diff
	$(GO) test ./schemas ./plans ./engine/plan ./cmd/upgrader -update

clean: ## remove what was built
	rm -rf bin
