# `make help` lists the targets. All of them install into .venv from requirements.lock first.
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
PYTHON ?= python3
VENV := .venv
SANDBOX := quickstart
QUICKSTART_COMMIT = git -c user.name=quickstart -c user.email=quickstart@example.org commit --quiet --message="Quickstart"
export PATH := $(CURDIR)/.venv/bin:$(PATH)

IN_SANDBOX = branch $$(git -C $(SANDBOX) branch --show-current), commits: $$(git -C $(SANDBOX) rev-list --count --branches), \
	experiments: $$(git -C $(SANDBOX) for-each-ref 'refs/exps/*/**' | grep -c .), changed files: $$(git -C $(SANDBOX) status --porcelain | grep -c .)

PIP = $(VENV)/bin/python -m pip install --disable-pip-version-check
UV = $(VENV)/bin/python -m uv pip install --python $(VENV)/bin/python

# uv reads nothing of pip's configuration, so it is told pip's index where one is set. Like pip, it is to compile
# what it installs: otherwise every process does so itself where PYTHONDONTWRITEBYTECODE is set.
INDEX = index=$${UV_DEFAULT_INDEX:-$${UV_INDEX_URL:-$${PIP_INDEX_URL:-$$($(VENV)/bin/python -m pip config get global.index-url 2>/dev/null)}}}; \
	[ -z "$$index" ] || export UV_DEFAULT_INDEX="$$index"

# Pass lines on, except for uv's list of all packages; after each five seconds without one say how far it is.
ALIVE = { SECONDS=0; shopt -s nullglob; while :; do \
	if IFS= read -r -t 5 line; then case "$$line" in " + "*) ;; *) echo "$$line" ;; esac; \
	elif [ $$? -gt 128 ]; then set -- $(VENV)/lib/python*/site-packages/*.dist-info; echo "$$SECONDS s: packages in place: $$\#"; \
	else break; fi; done; }

# pip names each package that it fetches, with its line in requirements.lock.
FETCHED = { all=0; while read -r line; do all=$$((all + 1)); done < requirements.lock; \
	while read -r word name from; do case "$$word $$from" in \
	"Collecting "*line*) line=$${from\#\#*line }; echo "fetching $${line%%)*} of $$all: $$name" ;; \
	"Installing "*) echo "unpacking them, which takes a minute or two" ;; esac; done; }

PYTEST = python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations=10

# DVC tells a stage neither its place nor how many there are, so DVC's own lines are counted.
REPRO = all=$$(dvc stage list --name-only | grep -c .) && dvc repro | { n=0; while IFS= read -r line; do case $$line in \
	"Running stage '"*|"Stage '"*) n=$$((n + 1)); echo "$$n of $$all: $$line" ;; \
	"> "*|*"'dvc.lock'"|"Generating lock file"*|"To track the changes"*|*"git add "*|"Use "*"dvc push"*|"To enable auto"*|*"dvc config core.autostage"*|"") ;; \
	*) echo "$$line" ;; esac; done; }

.PHONY: help clone install quickstart clean-quickstart test test-slow test-all repro lint docs format bench bench-scale lock clean
.DEFAULT_GOAL := help

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/installed ## install everything into .venv, at the versions of requirements.lock

# What would fail after minutes of installation fails before it.
clone:
	@command -v git >/dev/null || { echo "error: git is missing: install it, then try again"; exit 1; }
	@git ls-files --error-unmatch dvc.yaml >/dev/null 2>&1 || { echo "error: this folder is no git clone: get the project with git clone, not as a ZIP"; exit 1; }

$(VENV)/installed: requirements.lock pyproject.toml | clone
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo "error: $(PYTHON) is missing or older than 3.11; name a newer one, as in make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(VENV)/bin/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { rm -rf $(VENV); $(PYTHON) -m venv $(VENV); }
	@echo "installing into $(VENV): this fetches packages from the index, with uv in less than a minute, with pip in a few"
	@trap 'exit 130' INT; $(INDEX); \
	if $(PIP) --quiet uv 2>/dev/null | $(ALIVE) && $(UV) --compile-bytecode --requirement requirements.lock 2>&1 | $(ALIVE) && $(UV) --quiet --no-deps --editable .; then :; \
	else echo "uv cannot be had, or failed: pip goes on"; \
	$(PIP) --requirement requirements.lock | $(FETCHED) | $(ALIVE) && $(PIP) --quiet --no-deps --editable .; fi
	$(VENV)/bin/python -m privacy_report.report.offline .dvc/tmp/plots_offline.html
	$(VENV)/bin/dvc config --local plots.html_template tmp/plots_offline.html
	touch $@

# A folder that is there is the user's: it is never deleted here. One without a commit was stopped, and goes on.
quickstart: install ## the whole pipeline on the embedded digits, in a git repository of its own: ./quickstart
	@[ ! -e $(SANDBOX) ] || [ -d $(SANDBOX)/.git ] || { echo "error: $(SANDBOX)/ is no repository of make quickstart: move it away"; exit 1; }
	@if git -C $(SANDBOX) rev-parse --quiet --verify HEAD >/dev/null 2>&1 && [ -d $(SANDBOX)/.git ]; then \
	echo "$(SANDBOX)/ is there already: $(IN_SANDBOX). README.md goes on from there; make clean-quickstart makes room for a fresh one"; \
	else $(MAKE) --no-print-directory $(SANDBOX)/.git && cd $(SANDBOX) && $(REPRO) && git add --all && $(QUICKSTART_COMMIT) && \
	printf '%s\n' \
	"$(SANDBOX)/ is a git repository with this result on its branch main; README.md goes on from there" \
	"the page: $(SANDBOX)/plots/report.html" "next:" \
	"  source .venv/bin/activate && cd $(SANDBOX)" \
	"  dvc exp run -S variants.cnn3.learning_rate=0.0005" \
	"  dvc exp diff"; fi

# Without the committed study: DVC reads and writes the whole dvc.lock at every stage, which took a second each.
$(SANDBOX)/.git:
	@rm -rf $(SANDBOX).part && mkdir $(SANDBOX).part
	@git ls-files -z . ':!dvc.lock' ':!metrics' ':!plots' | tar --create --null --files-from=- | tar --extract --directory $(SANDBOX).part
	@cd $(SANDBOX).part && git init --quiet --initial-branch=main && git apply quickstart.patch
	@cd $(SANDBOX).part && dvc config --local plots.html_template "$(CURDIR)/.dvc/tmp/plots_offline.html"
	@mv $(SANDBOX).part $(SANDBOX)

clean-quickstart: ## delete ./quickstart, after a question
	@[ -d $(SANDBOX)/.git ] || { echo "there is no $(SANDBOX)/"; exit 0; }; \
	read -r -p "delete $(SANDBOX)/ with $(IN_SANDBOX)? [y/N] " answer; \
	if [ "$$answer" = y ]; then rm -rf $(SANDBOX); else echo "$(SANDBOX)/ is kept"; fi

repro: install ## the CIFAR-10 codelab: dvc repro, with its stages counted
	@$(REPRO)

test: install ## the tests; those that need npm or a Chromium are skipped where it is missing
	$(PYTEST) -m "not slow" $(PYTEST_ARGS)

test-slow: install ## the tests that `make test` leaves out
	$(PYTEST) -m slow $(PYTEST_ARGS)

test-all: test test-slow ## all tests

lint: install ## ruff and mypy
	ruff check . && ruff format --check . && mypy

docs: ## build the site of docs/ into ./site, with tools of its own
	@[ -x .docs-venv/bin/mkdocs ] || { $(PYTHON) -m venv .docs-venv && .docs-venv/bin/python -m pip install --disable-pip-version-check --quiet '.[docs]'; }
	NO_MKDOCS_2_WARNING=1 .docs-venv/bin/mkdocs build --quiet --strict

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

clean: ## remove what git does not keep, models and the store of finished work included; not ./quickstart
	rm -rf $(VENV) .docs-venv .lock-venv site dist $(SANDBOX).part build .store data models dvc_plots .hypothesis .dvc/cache .dvc/tmp .pytest_cache .mypy_cache .ruff_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@[ ! -d plots ] || git clean -fdXq plots
