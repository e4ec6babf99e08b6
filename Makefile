# Two commands for a newcomer: `make demo` and `make test`. Each sets up .venv from the lock by itself.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test simulate check dist lock clean help

help: ## this list
	@grep -E '^[a-z-]+:.*## ' Makefile | sed 's/:.*## /\t/'

$(READY): requirements/dev.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "gatectl needs Python 3.11 or newer; name one with: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $(READY)

demo: $(READY) ## a site and its office on this machine: cars go in, pay, go out, every record arrives
	$(BIN)/gatectl demo

test: $(READY) ## the tests, in parallel and in random order
	$(BIN)/pytest -n auto

simulate: $(READY) ## seeded runs of the simulated world: make simulate SEEDS=10000 OUT=docs/simulations.json
	$(BIN)/python tests/world/many.py --seeds $(or $(SEEDS),200) --first $(or $(FIRST),1) $(if $(OUT),--out $(OUT))

check: $(READY) ## what CI checks besides the tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

dist: $(READY) ## the wheel and the source archive, in dist/
	$(BIN)/python -m hatchling build

COMPILE = uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

lock: ## resolve requirements/*.lock again (needs uv): dev for this Makefile, site and office for installations
	$(COMPILE) --upgrade --extra central --extra demo --extra ev --extra fiscal --extra plot --group dev -o requirements/dev.lock pyproject.toml
	$(COMPILE) -c requirements/dev.lock -o requirements/site.lock pyproject.toml
	$(COMPILE) -c requirements/dev.lock --extra central -o requirements/office.lock pyproject.toml

clean: ## remove the environment
	rm -rf $(VENV)
