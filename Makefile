# `make help` lists the targets. All of them install into .venv from requirements.lock first.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
SANDBOX := quickstart
QUICKSTART_COMMIT = git -c user.name=quickstart -c user.email=quickstart@example.org commit --quiet --message="Quickstart"
export PATH := $(CURDIR)/.venv/bin:$(PATH)

VARIANTS = $(shell $(VENV)/bin/python -c 'import yaml; print(*yaml.safe_load(open("conf/config.yaml"))["defaults"][1]["variant"])' 2>/dev/null)
# Side by side (make -jN), each TensorFlow gets one thread; results do not depend on it.
THREADS = $(if $(findstring jobserver,$(MAKEFLAGS)),TF_NUM_INTEROP_THREADS=1)

.PHONY: help clone install quickstart test repro chains upstream lint format bench bench-scale lock clean
.DEFAULT_GOAL := help

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/installed ## install everything into .venv, at the versions of requirements.lock

# What would fail after minutes of installation fails before it.
clone:
	@command -v git >/dev/null || { echo "error: git is missing: install it, then try again"; exit 1; }
	@git ls-files --error-unmatch dvc.yaml >/dev/null 2>&1 || { echo "error: this folder is no git clone: get the project with git clone, not as a ZIP"; exit 1; }

$(VENV)/installed: requirements.lock pyproject.toml | clone
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo "error: $(PYTHON) is missing or older than 3.11; name a newer one, as in make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(VENV)/bin/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { rm -rf $(VENV); $(PYTHON) -m venv $(VENV); }
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	$(VENV)/bin/python -m privacy_report.report.offline .dvc/tmp/plots_offline.html
	$(VENV)/bin/dvc config --local plots.html_template tmp/plots_offline.html
	touch $@

quickstart: install ## the whole pipeline on the embedded digits, in a git repository of its own: ./quickstart
	rm -rf $(SANDBOX) && mkdir $(SANDBOX)
	git ls-files -z | tar --create --null --files-from=- | tar --extract --directory $(SANDBOX)
	sed -i.bak 's/experiment: null/experiment: quickstart/' $(SANDBOX)/conf/config.yaml && rm $(SANDBOX)/conf/config.yaml.bak
	cd $(SANDBOX) && git init --quiet --initial-branch=main && dvc config --local plots.html_template "$(CURDIR)/.dvc/tmp/plots_offline.html"
	cd $(SANDBOX) && dvc repro --quiet && git add --all && $(QUICKSTART_COMMIT)
	@echo "$(SANDBOX)/ is a git repository with this result on its branch main; README.md goes on from there"

repro: install ## the CIFAR-10 codelab; `make -j2 repro` trains the variants side by side
	@if dvc status --quiet; then echo "Data and pipelines are up to date."; \
	else $(MAKE) --no-print-directory chains && dvc repro; fi

upstream: install
	dvc --wait-for-lock repro --quiet prepare

# A chain leaves what is upstream alone: DVC refuses to look at a file that another chain is reading. Reference
# models use all cores by themselves, so they come after the chains.
chains: upstream
	@$(MAKE) --no-print-directory $(addprefix chain@,$(VARIANTS))

chain@%:
	$(THREADS) dvc --wait-for-lock repro --single-item canaries@$* train@$* score@$*

test: install ## all tests; those that need npm or a Chromium are skipped where it is missing
	python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations=10 $(PYTEST_ARGS)

lint: install ## ruff and mypy
	ruff check . && ruff format --check . && mypy

format: install ## let ruff put the code into shape
	ruff check --fix . && ruff format .

bench: install ## ours next to the reference's way, in one run; writes benchmarks/results.json
	python -m benchmarks.codelab

bench-scale: install ## how costs grow with the work; writes benchmarks/scale.json and .png
	python -m benchmarks.scale

lock: ## pin the newest versions that pyproject.toml allows into requirements.lock
	rm -rf .lock-venv && $(PYTHON) -m venv .lock-venv
	.lock-venv/bin/python -m pip install --quiet --upgrade --editable '.[dev]'
	.lock-venv/bin/python -m pip freeze --exclude-editable > requirements.lock
	rm -rf .lock-venv

clean: ## remove everything that git does not keep, the store of finished work included
	rm -rf $(VENV) $(SANDBOX) .store data .dvc/cache .dvc/tmp .pytest_cache .mypy_cache .ruff_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
