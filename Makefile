# Every target makes its own virtual environment from nothing but python3 (3.11 or newer).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OLDEST := .venv-oldest
SIGMA2 := .sigma2
# Older versions have no wheels for newer Pythons.
OLDEST_PYTHON ?= $(firstword $(shell command -v python3.11 python3.12) $(PYTHON))
ONLY ?=
SEED ?= 1

.DEFAULT_GOAL := help
.PHONY: help venv demo test oldest sigma2 lint bench docs soak lock wheel clean

help:  ## List the targets
	@grep -hE '^[a-z0-9]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 10

venv: $(VENV)/.ready  ## Make .venv with everything the other targets need

$(VENV)/.ready: requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "bearerwatch needs Python 3.11 or newer; say PYTHON=python3.12 make ..." >&2; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

demo: $(VENV)/.ready  ## The main job, end to end, on one screen (KEEP=1 leaves it running)
	$(BIN)/bearerwatch demo $(if $(KEEP),--keep)

test: $(VENV)/.ready  ## Lint, then every test; SEED=number draws other orders, values and examples
	$(MAKE) --no-print-directory lint
	$(BIN)/python -m pytest -m "not soak" --randomly-seed=$(SEED) --hypothesis-seed=$(SEED) $(ARGS)

$(OLDEST)/.ready: requirements/oldest.txt pyproject.toml
	test -x $(OLDEST)/bin/python || $(OLDEST_PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/oldest.txt
	$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

# What they warn of is their own affair, and long since mended. The page is of the newest; there is no collector.
oldest: $(OLDEST)/.ready  ## Tests of frameworks and libraries with the oldest versions of these (requirements/oldest.in)
	$(OLDEST)/bin/python -m pytest -m "not soak" -W ignore::DeprecationWarning --randomly-seed=$(SEED) --hypothesis-seed=$(SEED) \
		--ignore=tests/libraries/test_page.py --ignore=tests/verify/revocations/test_collector.py \
		$(if $(ARGS),$(ARGS),tests/libraries tests/integrations tests/correlate tests/verify)

$(SIGMA2)/.ready: $(VENV)/.ready requirements/sigma2.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --upgrade --target $(SIGMA2) -r requirements/sigma2.txt
	@touch $@

# What it needs beside itself, and the backends, come from .venv: the packages of `sigma` are one namespace.
sigma2: $(SIGMA2)/.ready  ## Tests of rules with pySigma 2 (requirements/sigma2.in)
	PYTHONPATH=$(SIGMA2) $(BIN)/python -m pytest -m "not soak" --randomly-seed=$(SEED) --hypothesis-seed=$(SEED) \
		$(if $(ARGS),$(ARGS),tests/detect/test_sigma.py tests/detect/test_language.py tests/detect/test_rulebook.py tests/detect/test_ruletest.py)

lint: $(VENV)/.ready  ## ruff, mypy strict, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy tests/typed
	$(BIN)/lint-imports

$(VENV)/.bench: $(VENV)/.ready requirements/bench.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bench.txt
	@touch $@

bench: $(VENV)/.bench  ## Benchmarks beside peers in one run; ONLY=prefix runs those of one prefix
	$(BIN)/python -m bench $(if $(ONLY),--only $(ONLY))

docs: $(VENV)/.ready  ## Make the generated reference pages anew
	$(BIN)/python docs/generate.py

soak: $(VENV)/.ready  ## Long runs: fault rounds, fuzzing, load, the tests of what finds tokens by other seeds, and the oldest versions and pySigma 2
	for seed in $$($(BIN)/python -c 'import random; print(*random.sample(range(10**6), 5))'); do \
		$(BIN)/python -m pytest -m "not soak" --randomly-seed=$$seed --hypothesis-seed=$$seed tests/redact tests/leaks || exit; done
	$(BIN)/python -m pytest -m soak --timeout=3600 $(ARGS)
	$(MAKE) --no-print-directory oldest ARGS=
	$(MAKE) --no-print-directory sigma2 ARGS=

lock:  ## Resolve requirements/*.txt anew (needs uv); no index address is written
	uv pip compile --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --universal --python-version 3.11 pyproject.toml --extra all requirements/dev.in -o requirements/dev.txt
	uv pip compile --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --universal --python-version 3.11 --prerelease allow -c requirements/dev.txt requirements/bench.in -o requirements/bench.txt
	uv pip compile --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --universal --python-version 3.11 requirements/oldest.in -o requirements/oldest.txt
	uv pip compile --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --universal --python-version 3.11 --no-deps requirements/sigma2.in -o requirements/sigma2.txt

wheel: $(VENV)/.ready  ## Build the wheel into dist/
	$(BIN)/python -m pip wheel --quiet --no-build-isolation --no-deps -w dist .

clean:  ## Remove what the targets made
	rm -rf $(VENV) $(OLDEST) $(SIGMA2) dist demo-out .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
