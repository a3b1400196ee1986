# Everything that can be done with this repository; `make` alone lists it.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

GO ?= go
PORT ?= 4567
TOOLS := $(CURDIR)/.tools
GOLANGCI_LINT_VERSION := v2.15.0
GOVULNCHECK_VERSION := v1.8.0
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -X github.com/stampmill/stampmill/internal/version.Number=$(VERSION)

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

.PHONY: build
build: ## build bin/stampmill, bin/stampmill-worker and bin/localaws
	@mkdir -p bin
	$(GO) build -ldflags '$(LDFLAGS)' -o bin/stampmill ./cmd/producer
	$(GO) build -ldflags '$(LDFLAGS)' -o bin/stampmill-worker ./cmd/worker
	$(GO) build -ldflags '$(LDFLAGS)' -o bin/localaws ./cmd/localaws

.PHONY: demo
demo: ## bake an image, stamp 200 servers, kill a worker half-way, check the end; leaves nothing running
	$(GO) run ./demo

.PHONY: test
test: ## run all tests but those of make integration, which want the machine for themselves
	$(GO) test -vet=off -ldflags='-s -w' -timeout 10m $$($(GO) list ./... | grep -v /integration$$)

.PHONY: race
race: ## run the tests with the race detector, on smaller samples; the simulation stands for the rig's stories
	$(GO) test -vet=off -race -short -timeout 20m $$($(GO) list ./... | grep -vE '/(integration|bench|internal/rig|internal/jobs/spec)$$')

.PHONY: deaths
deaths: ## kill, cut off or freeze a worker at every call of every story: hours (make test takes samples)
	STAMPMILL_DEATHS=all $(GO) test -vet=off -timeout 240m -v ./internal/rig ./internal/jobs/bake | grep -vE '^(=== |    --- PASS)'

SEEDS ?= 200
SEED ?= 1
.PHONY: sim
sim: ## try SEEDS=200 random schedules from SEED=1 on in virtual time; DEATHS=all kills at every call first
	@SEEDS='$(SEEDS)' SEED='$(SEED)' DEATHS='$(DEATHS)' scripts/sim.sh

.PHONY: mutants
mutants: ## seed bugs, one at a time; the tests must catch each
	$(GO) run ./mutants

KILLS ?= 50
.PHONY: storm
storm: ## kill, stop and freeze real workers and the endpoint KILLS=50 times while jobs run
	$(GO) run ./storm -kills '$(KILLS)'

TIME ?= 20s
.PHONY: fuzz
fuzz: ## run every fuzz target for TIME=20s, or 1000000x
	scripts/fuzz.sh '$(TIME)'

ENDPOINT ?= embedded
.PHONY: integration
integration: ## run the real binaries against ENDPOINT=embedded, localstack, independent or environment
	scripts/endpoints/run.sh '$(ENDPOINT)' $(GO) test -count=1 -timeout 15m -v ./integration

.PHONY: aws-cli
aws-cli: build ## run the AWS CLI against localaws (needs Python)
	integration/aws-cli.sh

.PHONY: bench
bench: ## measure speed and cost, as a table
	$(GO) run ./bench -table all

.PHONY: lint
lint: ## check formatting, vet, golangci-lint (after make tools) and known vulnerabilities
	@TOOLS='$(TOOLS)' scripts/lint.sh

.PHONY: tools
tools: ## install golangci-lint and govulncheck into .tools
	GOBIN='$(TOOLS)' $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)
	GOBIN='$(TOOLS)' $(GO) install golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION)

.PHONY: generate
generate: ## write the JSON Schemas and the spec reference from the Go types
	$(GO) generate ./...

.PHONY: tidy
tidy: ## tidy go.mod and format the code
	$(GO) mod tidy
	gofmt -w $$(git ls-files '*.go')

.PHONY: up
up: build ## start localaws and a worker in the background (PORT=4567)
	@PORT='$(PORT)' scripts/local.sh up

.PHONY: down
down: ## end what make up started
	@scripts/local.sh down

.PHONY: clean
clean: down ## remove what was built
	rm -rf bin .run
