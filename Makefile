# make run and make test set up everything they need; see README.md.
PYTHON ?= python3
KILLS ?= 300
VENV := .venv
BIN := $(VENV)/bin
NO_KERNELS := --ignore-glob='*/test_control_*' --ignore-glob='*/test_api_*' --ignore-glob='*/test_deliver_batches*' \
    --ignore-glob='*/test_deliver_merge*' --ignore-glob='*/test_deliver_spool*'

.PHONY: run test test-fuzz test-crash install check format bench docs captures golden clean

run: $(VENV)/.server ## server and agent with the sample network, until Ctrl-C
	$(BIN)/flowglass up --demo

test: check ## everything that CI runs
	$(BIN)/python -m pytest -q
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest -q tests/property $(NO_KERNELS)

test-fuzz: $(VENV)/.dev ## the property tests with fifty times the examples: hours
	FLOWGLASS_EXAMPLES=50 $(BIN)/python -m pytest -q tests/property --timeout 0

test-crash: $(VENV)/.dev ## kill what records and delivers KILLS times, with every kind of fault: minutes
	$(BIN)/python -m tests.crash --kills $(KILLS)

install: $(VENV)/.dev ## .venv with everything

check: $(VENV)/.dev ## format, lint, types, import rules, generated pages
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m scripts.make_docs --check
	$(BIN)/python -m scripts.make_captures --check
	$(BIN)/python -m scripts.check_tree

format: $(VENV)/.dev ## put the code into its format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/.dev ## write the generated pages anew
	$(BIN)/python -m scripts.make_docs

captures: $(VENV)/.dev ## write the captures of the tests and the sample anew
	$(BIN)/python -m scripts.make_captures

golden: $(VENV)/.dev ## write the golden records anew; read the difference before you commit it
	$(BIN)/python -m scripts.make_golden

bench: $(VENV)/.dev ## measure; results in bench/results
	$(BIN)/python -m bench

clean: ## remove what make made
	rm -rf $(VENV) bench/work

$(VENV)/bin/python:
	sh scripts/make_venv.sh $(PYTHON) $(VENV)

$(VENV)/.base: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/.server: $(VENV)/.base ## what `up` and `server` need, and the AWS CLI
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[server]' awscli
	touch $@

$(VENV)/.dev: $(VENV)/.server
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@
