# The first command is `make demo`; it sets up what it needs.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
PY := .venv/bin/python
ARGS ?=
export NUMBA_CACHE_DIR ?= $(CURDIR)/.cache/numba

# Real processes with real deadlines: they come first on the processors, the rest of the tests gets what they leave.
PROCESSES := tests/integration tests/faults/test_node_kills.py tests/faults/test_node_start.py \
	tests/faults/test_wire_attacks.py tests/faults/test_net_attacks.py

.PHONY: help setup demo test beside lint unit contracts processes attacks soak bench reproduce clean

help:  ## say what there is
	@sed -nE 's/^([a-z]+):.*## (.*)/make \1\t\2/p' Makefile | expand -t 16

setup:  ## Python environment from requirements.lock, npm packages; quick when nothing changed
	@deploy/bootstrap.sh

demo: setup  ## a whole market on this machine; ARGS=--hostile adds attackers, ARGS="--certificate zk" proofs on chain
	@.venv/bin/omninode demo $(ARGS)

test: setup  ## everything that CI runs
	@$(MAKE) --jobs=2 --output-sync=target processes beside

beside: setup  # what needs no time of its own fills what the daemons leave of two cores
	@nice -n 10 $(MAKE) lint
	@nice -n 10 $(MAKE) unit
	@nice -n 10 $(MAKE) contracts

lint: setup  ## ruff and mypy --strict
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check --quiet . || { echo 'run: .venv/bin/ruff format .'; exit 1; }
	@$(PY) -m mypy

contracts: setup  ## Foundry tests of the contracts
	@cd contracts && for forge in node_modules/@foundry-rs/forge-*/bin/forge; do $$forge test; done  # one: this platform's

unit: setup  ## the Python tests in one process; ARGS goes to pytest
	@$(PY) -m pytest -q $(addprefix --ignore=,$(PROCESSES)) $(ARGS)

processes: setup  ## the Python tests with a real chain, network and daemons; ARGS goes to pytest
	@$(PY) -m pytest -q $(PROCESSES) $(ARGS)

attacks: setup  ## every attack against real daemons, one table (about 10 minutes)
	@.venv/bin/omninode demo --attack all $(ARGS)

soak: setup  ## long runs: random kills of daemons, hostile demos of mode grouped and of proofs; ARGS goes to pytest
	@$(PY) -m pytest -q -m soak $(ARGS)

bench: setup  ## measure; writes runs/bench/latest.json
	@$(PY) -m tests.benchmarks $(ARGS)

reproduce: setup  ## OmniLytics' tables and figures, run again; DATA=folder of MNIST's files, ARGS=--quick for minutes
	@[ -n "$(DATA)" ] || { echo 'say where MNIST is: make reproduce DATA=FOLDER (the folder with t10k-images-idx3-ubyte.gz)'; exit 2; }
	@.venv/bin/omninode reproduce omnilytics --data "$(DATA)" $(ARGS)

clean:  ## remove what setup and the tests made; keeps runs/
	rm -rf .venv .cache .hypothesis .ruff_cache contracts/node_modules contracts/out contracts/cache *.egg-info build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
