# Everything one does with this repository, by name. Needs make and Python 3.11 to 3.13, no more.
# `make run` is the service; `make help` lists the rest.

# A venv of one's own is made in .venv; PYTHON=… chooses the interpreter it is made with.
export PYTHON
# What is compiled is kept, or each of the hundreds of processes that the tests start does it again.
unexport PYTHONDONTWRITEBYTECODE
BIN := .venv/bin
LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
    --no-emit-index-url --no-annotate --custom-compile-command 'make lock' \
    $(if $(UPGRADE),--upgrade)

.PHONY: help run setup dev test lint format unit fuzz contract process test-chaos cluster test-cluster soak soak-cluster bench lock sbom audit wheel clean
.DEFAULT_GOAL := help
.NOTPARALLEL:

help: ## This list
	@sed -n 's/^\([a-z][a-z -]*\):.*## /\1\t/p' Makefile | expand -t 24

run: ## Start the service, with the embedded database unless MONGODB_URI is set (ARGS='--port 8000')
	@tools/venv.sh run
	@exec $(BIN)/demijohn serve $(ARGS)

setup: ## Make .venv ready for the service, and do not start it
	@tools/venv.sh run

dev: ## Make .venv ready for tests and lint
	@tools/venv.sh dev

test: lint unit fuzz contract process ## Everything that can be tested without root and a cluster

lint: dev ## ruff, mypy --strict, the layers, hadolint
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/hadolint Dockerfile

format: dev ## Let ruff put the code in order
	@$(BIN)/ruff check --quiet --fix
	@$(BIN)/ruff format --quiet

# Those that start processes wait for them far more than they compute, so there are more at a time
# than processors. Each has a database and services of its own; tests of processes share those of their
# file besides, so there files go whole, in the order of tests/process/conftest.py.
unit: AT_ONCE := -n 2 --dist worksteal
contract: AT_ONCE := -n 2 --dist worksteal
process: AT_ONCE := -n 3 --dist loadfile --no-loadscope-reorder

unit contract process: dev ## One part of the tests (K='words' chooses by name)
	@[ $@ = unit ] || [ -x $(BIN)/secantusd-py ] || { echo "The $@ tests start the embedded" \
	    "database, which is not to be had here: see above." >&2; exit 1; }
	@$(BIN)/python -m pytest -q -m 'not soak' $(AT_ONCE) $(if $(K),-k '$(K)') tests/$@

test-chaos: dev ## Kill, stop, cut off and fill up under load for three minutes; prints a table (needs root)
	@$(BIN)/python -m pytest -q -rP -m 'not soak' $(if $(K),-k '$(K)') tests/chaos

fuzz: dev ## Try the parsers with inputs made by chance (SCALE=10: ten times as many, and others)
	@$(BIN)/python -m pytest -q -m 'not soak' -n 2 --dist worksteal $(if $(K),-k '$(K)') tests/fuzz

cluster: dev ## Bring up a one-node Kubernetes with our images, where CLUSTER_LOAD names no other way
	@tests/cluster/run.sh up

test-cluster: cluster ## The manifests and drills on a real Kubernetes (KEEP=1 leaves it up)
	@tests/cluster/run.sh test $(if $(K),-k '$(K)') tests/cluster; code=$$?; \
	    $(if $(KEEP),,tests/cluster/run.sh down;) exit $$code

soak: dev ## The same promises at the sizes that are reported
	@SCALE=$${SCALE:-1} $(BIN)/python -m pytest -m soak --ignore=tests/cluster

soak-cluster: cluster ## The drills at the sizes that are reported, on a real Kubernetes
	@tests/cluster/run.sh soak tests/cluster

bench: ## Measure beside the guide's code and its peers; prints tables (ARGS=--short: the harness alone)
	@tools/venv.sh bench
	@$(BIN)/python -m tests.bench $(ARGS)

lock: dev ## Pin the requirements anew after a change of pyproject.toml (UPGRADE=1: newest versions)
	@$(LOCK) pyproject.toml -o requirements.txt
	@$(LOCK) pyproject.toml --extra embedded -c requirements.txt -o requirements-embedded.txt
	@$(LOCK) pyproject.toml --group dev -c requirements-embedded.txt -o requirements-dev.txt
	@$(LOCK) --group sbom -c requirements-dev.txt -o requirements-sbom.txt
	@for peer in guide eve fastapi; do $(LOCK) --group bench-$$peer -c requirements-dev.txt \
	    -o tests/bench/peers/$$peer/requirements.txt || exit 1; done

# Their dates are the commit's, so the same commit gives the same bytes.
sbom: export SOURCE_DATE_EPOCH = $(shell git log -1 --format=%ct)
sbom: dev ## Write build/sbom: what the runtime and the embedded database are made of (CycloneDX)
	@$(BIN)/python tools/sbom.py requirements.txt -o build/sbom/demijohn.cdx.json
	@$(BIN)/python tools/sbom.py requirements-embedded.txt -o build/sbom/demijohn-embedded.cdx.json

audit: dev ## Ask OSV for known vulnerabilities of all that is pinned (OSV_URL=… for a mirror)
	@$(BIN)/python tools/audit.py $(if $(OSV_URL),--osv-url '$(OSV_URL)') requirements*.txt

wheel: dev ## Build the last commit's wheel into dist, the same bytes everywhere
	@tools/wheel.sh dist

clean: ## Remove .venv, caches and build remains; documents stay
	@rm -rf .venv .venv-bench build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis \
	    .import_linter_cache bench-results
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
