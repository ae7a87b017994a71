# One way to do each thing. `make run` and `make test` make the environment they need; a second call skips it.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
TESTS := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses=auto --maxprocesses=4 --dist=loadfile

.PHONY: run test test-long fuzz check format mutants hostile faults kills audit table docs clean

run: .venv/.runs ## set up, then train: GRPO on sums with the tiny model
	$(BIN)/python -m rlexp method=grpo reward=format+correct

test: .venv/.tests ## set up, then run the tests, without those that are marked long or gpu
	$(TESTS)

test-long: .venv/.tests ## the tests that are marked long
	$(TESTS) -m 'long and not gpu'

fuzz: .venv/.tests ## 5,000 command lines, broken files of conf/ and broken locks; then 100 runs of a step. Takes an hour
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz --cases 5000 --train 100 $(if $(SEED),--seed $(SEED))

check: .venv/.tests ## lint, format, types, layers, declared dependencies, spelling, the site of the docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .
	$(BIN)/codespell
	$(MAKE) docs

mutants: .venv/.tests ## break compose, record and reward in small ways: do the tests notice? Takes half an hour
	OMP_NUM_THREADS=1 $(BIN)/python tests/mutants.py

hostile: .venv/.tests ## crafted locks, manifests and snapshots: what was tried, what happened, what was lost
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.hostile

audit: .venv/.runs ## known holes of the installed packages, as the Python Packaging Advisory Database lists them
	test -x $(BIN)/pip-audit || { echo "pip-audit is not installed: $(BIN)/python -m pip install pip-audit"; exit 2; }
	$(BIN)/pip-audit --local --progress-spinner=off

faults: .venv/.tests ## inject faults (full disks, damaged files, killed workers ...): what did each cost? Takes some minutes
	OMP_NUM_THREADS=1 $(BIN)/python tests/faults.py

kills: .venv/.tests ## kill 50 runs at chosen and random moments, have them go on, compare with those nobody killed
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.kills $(if $(CASES),--cases $(CASES)) $(if $(SEED),--seed $(SEED))

format: .venv/.tests
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

table: .venv/.runs ## rewrite the table of TRL's arguments after a change of its version
	$(BIN)/python -m rlexp.backend.trl_table

docs: .venv/.tests ## build the site of docs/ into site/, strictly and offline
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:
	rm -rf .venv

.venv/.runs: pyproject.toml constraints.txt requirements-unsloth.txt
	$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if (3, 11) <= v < (3, 14) else "rlexp needs Python 3.11 to 3.13, this is %d.%d: make run PYTHON=python3.12" % v[:2])'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) install -q -c constraints.txt -e '.[cpu]'
	$(PIP) install -q --no-deps -r requirements-unsloth.txt
	touch $@

.venv/.tests: .venv/.runs
	$(PIP) install -q -c constraints.txt -e '.[cpu,dev,export,compressed,sweep,track]'
	touch $@
