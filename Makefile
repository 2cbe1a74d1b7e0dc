# `make` alone lists what there is.

bin := .local/bin
# jsii, below the CDK, would keep 140 MB in the home folder.
export JSII_RUNTIME_PACKAGE_CACHE_ROOT := $(CURDIR)/.local/jsii
# The race detector needs a C compiler, which is not among the prerequisites.
race := $(if $(shell command -v cc gcc clang 2>/dev/null),-race,)
# infra is checked without it: compiling the AWS CDK anew for it takes minutes, and infra has no goroutines.
raced := ./scaling/... ./kube/... ./lambda/... ./cmd/... ./integration/...

.PHONY: help
help: ## list what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

.PHONY: demo
demo: prerequisites ## watch Leda scale a Deployment from an SQS queue, on this machine
	@go run ./integration/local demo

.PHONY: up
up: prerequisites ## start the local stack (AWS and Kubernetes) and leave it running
	@go run ./integration/local up

.PHONY: down
down: ## stop it
	@go run ./integration/local down

.PHONY: test
test: prerequisites ## run every test, those on the local stack too (-short leaves them out)
	@$(if $(race),,echo 'no C compiler: tests run without the race detector')
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || echo 'NO CHROMIUM: the report of leda simulate -o html is not tested in a browser (apt install chromium)'
	@go run ./integration/local prepare
	go test -timeout 30m $(flags) $(race) $(raced)
	go test $(flags) ./infra/...
	.local/venv/ministack/bin/python -B -m unittest discover -q -s integration/ministack

.PHONY: source
source: prerequisites ## test ScaledObjects that stay in the cluster, end to end (10 minutes)
	@go run ./integration/local prepare
	LEDA_SOURCE=1 go test -count=1 -timeout 30m $(flags) ./integration -run '^TestScaledObjectsOfACluster$$'

.PHONY: lint
lint: $(bin)/golangci-lint ## check the code's form, and who imports whom
	$(bin)/golangci-lint run --allow-parallel-runners ./...

linters := .local/venv/templates/bin
.PHONY: templates
templates: prerequisites ## check the CloudFormation templates with cfn-lint and checkov
	@go run ./integration/local prepare-linters
	@rm -rf .local/templates
	LEDA_TEMPLATES=$(CURDIR)/.local/templates go test ./infra -count=1 -run '^TestWriteTemplates$$'
	$(linters)/cfn-lint --config-file integration/templates/cfnlint.yaml --template .local/templates/*/*.template.json
	$(linters)/checkov --config-file integration/templates/checkov.yaml --directory .local/templates

.PHONY: fmt
fmt: $(bin)/golangci-lint ## format the code
	$(bin)/golangci-lint fmt ./...

$(bin)/golangci-lint: integration/lint/go.mod integration/lint/go.sum
	@echo 'building golangci-lint (2 to 4 minutes, once)'
	cd integration/lint && go build -trimpath -ldflags '-s -w' -o ../../$(bin)/ tool

.PHONY: fuzz
fuzz: ## fuzz what parses and decides, 30 s each
	@for target in FuzzParse FuzzDecide FuzzMemory FuzzCoarseMemory; do go test ./scaling -run '^$$' -fuzz "^$$target\$$" -fuzztime 30s -fuzzminimizetime 10x || exit; done
	@for target in FuzzParseWake FuzzAnswers; do go test ./lambda -run '^$$' -fuzz "^$$target\$$" -fuzztime 30s -fuzzminimizetime 10x || exit; done
	go test ./cmd/leda -run '^$$' -fuzz '^FuzzSeries$$' -fuzztime 30s -fuzzminimizetime 10x

.PHONY: faults
faults: prerequisites ## fail the function in every way and kill it at every write; print the matrix (15 minutes)
	@go run ./integration/local prepare
	go run ./integration/faults $(flags)

supply := $(bin)/cyclonedx-gomod $(bin)/govulncheck
$(supply) &: integration/supply/go.mod integration/supply/go.sum
	cd integration/supply && go build -trimpath -ldflags '-s -w' -o ../../$(bin)/ tool

.PHONY: sbom
sbom: $(supply) ## write what the function is made of, with licences, to .local/sbom.json (CycloneDX)
	@GOOS=linux GOARCH=arm64 CGO_ENABLED=0 $(bin)/cyclonedx-gomod app -json -licenses -main lambda -output .local/sbom.json . 2>/dev/null
	@echo .local/sbom.json

.PHONY: licences
licences: sbom ## list the licences of what the function is made of
	@python3 -c 'import json; [print(c["name"], c["version"], *sorted({l["license"].get("id", "?") for l in c.get("evidence", {}).get("licenses", [])} or {"?"})) for c in json.load(open(".local/sbom.json"))["components"]]'

.PHONY: vulnerabilities
vulnerabilities: $(supply) ## look up the known vulnerabilities of what is reached (asks vuln.go.dev, or db=file:///FOLDER)
	$(bin)/govulncheck $(if $(db),-db $(db)) ./lambda ./cmd/leda ./infra/...

# Builds Kubernetes and KEDA, which takes minutes the first time. flags='-args -scenarios 100000 -seed 7' plays others.
.PHONY: differential
differential: ## compare random histories with the real HPA and KEDA (the first build takes minutes)
	cd integration/hpa && CGO_ENABLED=0 go test -trimpath . $(flags)

# parts='pass reaction' measures these only; integration/bench/main.go names them all.
.PHONY: bench
bench: prerequisites ## measure what the function costs, beside baselines (6 minutes; the machine should have nothing else to do)
	@go run ./integration/local prepare
	@go run ./integration/bench $(parts)

.PHONY: bench-hpa
bench-hpa: ## measure Decide beside the real HPA (the first build takes minutes)
	cd integration/hpa && CGO_ENABLED=0 go test -trimpath -run '^$$' -bench . .

.PHONY: clean
clean: ## remove what was built for the local stack
	rm -rf .local cdk.out

.PHONY: prerequisites
prerequisites:
	@sh integration/prerequisites.sh
