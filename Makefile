# Two promises on a fresh machine with Python 3.11+, make and git: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TORCH := $(shell grep -E '^torch==' requirements.lock)
# PyTorch's own index has a CPU build; the registry's build for Linux brings gigabytes of CUDA.
TORCH_CPU_INDEX := https://download.pytorch.org/whl/cpu

.PHONY: demo test up down check check-kubernetes lint format bench lock clean

demo: $(VENV)/installed  ## the whole path on the bundled sample, ending in printed answers
	$(BIN)/starsearch demo

test: $(VENV)/installed  ## everything that needs no network
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile

up: $(VENV)/installed  ## Postgres, the Dagster UI on :3000, the answering service on :8080
	$(BIN)/starsearch up

down: $(VENV)/installed
	$(BIN)/starsearch down

check: lint test  ## the whole gate

check-kubernetes: $(VENV)/installed  ## renders every overlay and validates it, without a cluster; `test` has it, too
	$(BIN)/python -m pytest -q tests/kubernetes

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/installed  ## what is claimed about speed, each as a ratio against a floor of the same run
	$(BIN)/python -m benchmarks

lock: $(VENV)/installed  ## pins again after pyproject.toml changed; CUDA stays out of the lock
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --no-annotate --quiet \
		--custom-compile-command 'make lock' \
		$$(sed 's/^/--no-emit-package /' requirements.unlocked) --output-file requirements.lock

$(VENV)/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed, $$($(PYTHON) --version) was found: make PYTHON=python3.12 …"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@if [ "$$(uname -s)" = Linux ] && ! $(BIN)/python -c 'import torch' 2>/dev/null && $(BIN)/python -c \
		'import urllib.request as u; u.urlopen("$(TORCH_CPU_INDEX)/torch/", timeout=5)' 2>/dev/null; then \
		echo "$(BIN)/pip install $(TORCH) from PyTorch's CPU index"; \
		$(BIN)/pip install --quiet --disable-pip-version-check $(TORCH) --index-url $(TORCH_CPU_INDEX) || true; \
	fi
	$(BIN)/pip install --quiet --disable-pip-version-check $(TORCH)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

clean: ## removes the environment and all local state
	-test -x $(BIN)/starsearch && $(BIN)/starsearch down
	rm -rf $(VENV) .starsearch
