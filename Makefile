# Every tool is run at a pinned version by the Go command itself; what only the
# system can bring (nginx, HAProxy, wrk for `make bench`) is installed by
# integration/bench/setup.sh, or named.

GOLANGCI_LINT = go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
PACKAGES      = ./...
OUTSIDE       = -e /integration/wire -e /integration/scripts -e /integration/doctor -e /integration/prometheus
FUZZTIME     ?= 60s

.PHONY: build demo test test-unit race alloc scripts kubernetes attach dashboard http2 doctor prometheus compose faults wire fuzz lint soak balance bench spread fmt

build: ## the command, as ./outrider
	CGO_ENABLED=0 go build -trimpath -o outrider ./sidecar

demo: ## everything in one process, to play with
	go run ./sidecar demo

test: ## all tests, with the race detector
	@integration/needs.sh cc chromium docker docker-compose $(if $(IPTABLES_IMAGE),,iptables) ip node promtool slowhttptest tsc
	$(MAKE) race alloc scripts kubernetes attach dashboard http2 doctor prometheus compose wire

test-unit: ## all tests that need nothing but Go, without the race detector: faster
	CGO_ENABLED=0 go test $$(go list $(PACKAGES) | grep -v $(OUTSIDE))

race:
	CGO_ENABLED=1 go test -race -timeout 15m $$(go list $(PACKAGES) | grep -v $(OUTSIDE))

scripts: ## what script authors use outside of Outrider, in Node
	CGO_ENABLED=0 go test ./integration/scripts

kubernetes: ## the manifests against the API's own types and the real program; a module of its own
	cd integration/kubernetes && CGO_ENABLED=0 go test -count=1 ./...

attach: ## what init --compose writes, against compose itself; a module of its own
	cd integration/attach && CGO_ENABLED=0 go test -count=1 ./...

dashboard: ## the dashboard in a real browser, with pictures of it; a module of its own
	@integration/needs.sh chromium
	cd integration/dashboard && CGO_ENABLED=0 go test -count=1 ./...

http2: ## the program against h2spec; a module of its own
	cd integration/http2 && CGO_ENABLED=0 go test -count=1 ./...

doctor: ## the program in network namespaces and behind mounts of its own; as root
	CGO_ENABLED=0 go test -count=1 ./integration/doctor

prometheus: ## alert rules and metrics, by Prometheus' own tool
	@integration/needs.sh promtool
	CGO_ENABLED=0 go test -count=1 ./integration/prometheus

compose: ## docker-compose.yml, with real containers that are broken on purpose
	@integration/needs.sh docker compose $(if $(IPTABLES_IMAGE),,iptables)
	CGO_ENABLED=0 go test -v -count=1 -tags integration -timeout 20m ./integration/compose

faults: ## the same, and what it showed goes into integration/FAULTS.md
	@integration/needs.sh docker compose $(if $(IPTABLES_IMAGE),,iptables)
	FAULTS_REPORT=1 CGO_ENABLED=0 go test -v -count=1 -tags integration -timeout 25m ./integration/compose

# The cache does not know the program that these tests build and start.
wire: ## the real program under attack, seen from outside; nothing else runs meanwhile
	CGO_ENABLED=0 go test -count=1 -timeout 10m ./integration/wire

alloc: ## what a request allocates; the race detector would hide it
	CGO_ENABLED=0 go test -run 'Allocat' ./sidecar/app ./sidecar/proxy

fuzz: ## each fuzz target for FUZZTIME
	@set -e; for package in $$(go list $(PACKAGES)); do \
		for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
			echo "== $$package $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package; \
		done; \
	done

lint:
	go vet -tags integration $(PACKAGES)
	GOOS=darwin go vet $(PACKAGES)
	GOOS=darwin go build -o /dev/null ./sidecar
	GOARCH=arm64 go vet $(PACKAGES)
	GOARCH=arm64 go build -o /dev/null ./sidecar
	$(GOLANGCI_LINT) run --timeout 10m $(PACKAGES)
	@set -e; for module in kubernetes attach dashboard http2; do (cd integration/$$module && go vet ./... && $(GOLANGCI_LINT) run --timeout 10m ./...); done

soak: ## everything at once, with the race detector: whatever is wrong is told
	go run ./integration/soak -for 10m

spread: ## how fast sidecars turn away from a dead backend, and what gossip costs
	go run ./integration/spread -into gossip/README.md

balance: ## what one slow backend does to requests, with each way to balance
	go run ./integration/balance -into sidecar/cluster/README.md

bench: ## against nginx, HAProxy, Caddy, a net/http proxy and a bare relay
	integration/bench/setup.sh
	go run ./integration/bench

fmt:
	gofmt -w $$(git ls-files '*.go')
