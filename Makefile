# `make study` and `make test` do all their own set-up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
# Two trials at a time must not each start threads for every core; trials set their own.
export OMP_NUM_THREADS ?= 1

.PHONY: help study test check ui audit setup clean

help:
	@echo "make study   set up, then run the quickstart study (resumes it if it was interrupted)"
	@echo "make test    set up, then run the tests"
	@echo "make check   set up, then ruff and mypy"
	@echo "make audit   look for known holes in what the lock names (asks the package index)"
	@echo "make ui      MLflow's UI of results/ (it prints its address)"

setup: $(STAMP)

# The stamp is touched last: an installation that broke off starts again.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: Python 3.11 or newer is needed; set PYTHON=/path/to/python3.11" >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo \
	  "error: $(PYTHON) cannot make a virtual environment; install its venv module" \
	  "(Debian and Ubuntu: apt install python3-venv) or set PYTHON=..." >&2; exit 2; }
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

study: setup
	$(BIN)/python study/run.py quickstart --resume

test: setup
	$(BIN)/python -m pytest -m "not ray" -n auto --maxprocesses 4 --dist loadfile --durations 20
	$(BIN)/python -m pytest -m "ray" -n 2 --dist loadfile --no-loadscope-reorder --durations 20

check: setup
	$(BIN)/ruff check .
	$(BIN)/mypy

ui: setup
	$(BIN)/mlflow ui --backend-store-uri sqlite:///results/mlflow.db --host 127.0.0.1 --port 5000

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache

audit: setup
	@$(BIN)/python -m venv $(VENV)/audit
	@$(VENV)/audit/bin/python -m pip install --quiet pip-audit
	$(VENV)/audit/bin/pip-audit --require-hashes --disable-pip -r requirements.lock
