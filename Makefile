# What one does with this checkout. Needed: a Rust toolchain, Python 3 and make; for the tests also Java 17, Maven and Node 20.

CARGO ?= cargo
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo test catalog bench fmt lint docs tools identity-tools clean-tools

help: ## what can be made
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

demo: tools ## real requests through a real Envoy, shown as lakegate decides them (ARGS=--stay leaves it all up)
	$(CARGO) build --release --package lakegate --package lakegate-testkit --bins
	target/release/demo $(ARGS)

test: tools identity-tools catalog ## every test: units, the service behind a real Envoy, manifests and documents
	$(CARGO) test --workspace --features test-clock $(ARGS)
	manifests/test.sh

catalog: tools ## hold the catalog against the source of the Databricks SDK: no call of it may be missing
	.tools/venv/bin/python catalog/derive.py

bench: ## what a check costs, beside a server that allows everything (ARGS="-- --quick" for a first look)
	$(CARGO) bench --package lakegate --bench classify --bench policies --bench tokens --bench credentials --bench wire --bench serve $(ARGS)

fmt: ## format the code
	$(CARGO) fmt --all

lint: ## formatting and clippy, nothing forgiven
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --features test-clock -- --deny warnings

docs: ## rewrite the pages that are made from the code, and the API documentation in target/doc
	$(CARGO) run --example reference
	RUSTDOCFLAGS="--deny warnings" $(CARGO) doc --workspace --no-deps --document-private-items

tools: ## install Envoy, the Databricks SDK and MLflow for tests and the demo into .tools
	@testkit/install-tools

identity-tools: ## install Keycloak, oidc-provider and slapd for the tests into .tools
	@testkit/install-identity-tools

clean-tools: ## remove what `tools` and `identity-tools` installed
	rm -rf .tools
