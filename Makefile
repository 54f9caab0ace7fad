# One command, the same everywhere: what runs here is what CI runs.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
DB     ?= data/tierwise.db

.PHONY: setup run test check bench spark lock clean servers screenshots

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

# A worker a core, a file of tests at a time; each worker's arithmetic stays on its own core.
test: setup servers
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/pytest --ignore=tests/benchmarks -n logical --dist loadfile --no-loadscope-reorder

bench: setup
	$(BIN)/pytest tests/benchmarks --benchmark-enable --benchmark-columns=min,median,max -s

# Spark on a local cluster of two workers: its own tests, then every cell of a million decisions by every engine.
# Apart from the other tests and pins, since it is 450 MB and minutes of two cores.
spark: setup servers
	@command -v java >/dev/null 2>&1 || { echo "Spark needs Java 17 (Debian: sudo apt-get install openjdk-17-jre-headless)"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r constraints-spark.txt
	$(BIN)/pytest tests/test_engines_spark.py
	$(BIN)/pytest tests/benchmarks/test_scale.py -k engine --benchmark-enable -s

# The tests want a real browser and real servers; install what is missing where that is allowed, else say so.
servers:
	@missing=""; \
	command -v chromium >/dev/null 2>&1 || missing="$$missing chromium"; \
	ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || missing="$$missing postgresql"; \
	command -v redis-server >/dev/null 2>&1 || missing="$$missing redis-server"; \
	[ -z "$$missing" ] || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
	    echo "Installing for the tests:$$missing"; \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $$missing >/dev/null \
	      || echo "Not all could be installed; the tests that need them are skipped"; \
	  else echo "Tests that need these are skipped; install them first (Debian: sudo apt-get install$$missing)"; fi; }

# Every page of the dashboard on demo data, light, dark and on a phone, into dashboard/static/screenshots.
screenshots: setup servers
	$(BIN)/python tests/browser/screenshots.py

# Pins with hashes, and no addresses.
lock: setup
	$(BIN)/python -m pip install --quiet pip-tools
	CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url --no-emit-find-links \
	  --no-emit-trusted-host --no-emit-options --extra dev --extra postgres --extra archive --output-file constraints.txt pyproject.toml
	echo "pyspark>=4.0" | CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras \
	  --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options --output-file constraints-spark.txt -

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .benchmarks
