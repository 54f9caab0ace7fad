# One command, the same everywhere: what runs here is what CI runs.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
DB     ?= data/tierwise.db

.PHONY: setup run test check bench lock clean browser screenshots

setup: $(STAMP)

$(STAMP): constraints.txt pyproject.toml
	@test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) (the first time takes a minute or two)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r constraints.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# Fills the demo ledger where it is empty, then opens the dashboard and prints its address.
run: setup
	@$(BIN)/tierwise demo --if-empty --db $(DB)
	@$(BIN)/tierwise dashboard --db $(DB)

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: setup browser
	$(BIN)/pytest --ignore=tests/benchmarks

bench: setup
	$(BIN)/pytest tests/benchmarks --benchmark-enable --benchmark-columns=min,median,max -s

# The browser tests want Debian's Chromium; install it where that is allowed, and otherwise say what is missing.
browser:
	@command -v chromium >/dev/null 2>&1 || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
	    echo "Installing Chromium for the browser tests"; apt-get update -qq && apt-get install -y -qq chromium >/dev/null; \
	  else echo "Browser tests are skipped: install Chromium first (Debian: sudo apt-get install chromium)"; fi; }

# The README's pictures: every page on demo data, light, dark and on a phone.
screenshots: setup browser
	$(BIN)/python tests/browser/screenshots.py

# Pins with hashes, and no addresses.
lock: setup
	$(BIN)/python -m pip install --quiet pip-tools
	$(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url --no-emit-find-links \
	  --no-emit-trusted-host --no-emit-options --extra dev --extra postgres --extra archive --output-file constraints.txt pyproject.toml

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .benchmarks
