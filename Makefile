PYTHON ?= python3
.DEFAULT_GOAL := help
ELSEWHERE = tests/mosquitto tests/realtime tests/home_assistant
# Whole drives: these must drop no frame, so they have the machine to themselves; the others only have to balance their books.
QUIET = tests/sim/test_end_to_end.py
STALL = tests/realtime/test_full_bus.py -k 'stalls or polled'
DRIVES = $(filter-out $(QUIET) tests/sim/test_commands.py tests/sim/test_report.py,$(wildcard tests/sim/test_*.py))
# A machine that stalls can fail a test of sockets or real time once; what is broken fails again, alone.
AGAIN = { echo 'test: again, what failed'; .venv/bin/pytest --last-failed --last-failed-no-failures=none; }
.PHONY: help setup demo test test-drives test-decode test-power test-safety test-mosquitto test-realtime soak lint bench size clean

help:   ## this list
	@sed -n 's/^\([a-z-]*\): .*## /make \1\t/p' Makefile | expand -t 12

setup: .cache/setup  ## make .venv; bring MicroPython, umqtt and, where it can be had, mosquitto
	@:

demo: setup  ## a drive, an outage, every sample accounted for; LOG=... DBC=... replays a real car
	@.venv/bin/pigtail demo $(if $(LOG),--log '$(LOG)') $(if $(DBC),--profile '$(DBC)')

test: setup lint  ## lint, then all tests but those of the targets below; a few whole drives come last
	@.venv/bin/pytest -q -n 3 --dist loadfile $(ELSEWHERE:%=--ignore %) $(DRIVES:%=--ignore %) $(QUIET:%=--ignore %) || $(AGAIN)
	@.venv/bin/pytest $(QUIET) || $(AGAIN)

test-drives: setup  ## whole drives with outages, faults, power cuts, commands, states, a capture; every message against docs/asyncapi.yaml
	@.venv/bin/pytest -q -n 2 --dist worksteal $(DRIVES) || $(AGAIN)

test-decode: setup  ## the same signals against cantools as in `make test`, with 2,000 random payloads of each message
	@PAYLOADS=2000 .venv/bin/pytest -q --timeout=1800 tests/differential/test_databases.py

test-power: setup  ## the store cut at some 37,000 programs and erases, and while it recovers; an hour's drive with 20 power cuts
	@POWER=long POWER_DRIVE_S=3600 .venv/bin/pytest -q tests/power tests/sim/test_power.py

test-safety: setup .cache/safety/setup  ## the transmit gate: every branch covered, every mutant of it killed
	@mkdir -p build; PYTHONPATH=.cache/safety COVERAGE_FILE=build/coverage .venv/bin/python -m coverage run --branch --include '*/tx_guard.py' \
	  -m pytest -q tests/safety -k 'not exhaustive'
	@PYTHONPATH=.cache/safety COVERAGE_FILE=build/coverage .venv/bin/python -m coverage report --show-missing --fail-under 100
	@PYTHONPATH=.cache/safety .venv/bin/python tests/safety/mutants.py

test-mosquitto: setup  ## what needs a real mosquitto: TLS, shared subscriptions, the faults of docs/faults.md; full buses last
	@.venv/bin/pytest -q -n 2 --dist worksteal tests/mosquitto || $(AGAIN)
	@.venv/bin/pytest -q $(STALL) || $(AGAIN)

test-realtime: setup  ## whole drives at real time that must drop no frame, and a short soak; some minutes
	@.venv/bin/pytest tests/realtime

soak: setup  ## ten hours (HOURS=...) of driving at speed 100 with random faults: no leak, nothing missing; some minutes
	@.venv/bin/python -m host_tools.sim.soak $(if $(HOURS),--hours $(HOURS))

test-home-assistant: setup .cache/home-assistant/setup  ## a real Home Assistant shows what the device announces; brings one (400 MB)
	@HOME_ASSISTANT=1 .venv/bin/pytest -q -rs tests/home_assistant

lint: setup .cache/stubs/setup  ## ruff and mypy on the host, mypy with MicroPython stubs on the firmware
	@.venv/bin/ruff check --quiet
	@.venv/bin/mypy --no-error-summary
	@.venv/bin/python -m host_tools.toolchain.lint

bench: setup  ## print the table of figures and write build/bench.json
	@.venv/bin/python -m host_tools.bench

size: setup  ## bytes of each compiled module and the heap that it takes
	@.venv/bin/python -m host_tools.toolchain.size

clean:  ## remove what was made; keeps .venv and .cache
	@rm -rf build .mypy_cache .ruff_cache .pytest_cache

.venv/setup: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo 'setup: error: Python 3.11 or newer is needed; name one: make setup PYTHON=...' >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || \
	  { echo 'setup: error: this Python cannot make a venv; install it (Debian: python3-venv)' >&2; exit 2; }
	@echo 'setup: venv'
	@$(PYTHON) -m venv .venv
	@echo 'setup: packages'
	@.venv/bin/pip install -qq -r requirements.lock
	@.venv/bin/pip install -qq --no-deps --no-build-isolation -e .
	@touch $@

.cache/setup: .venv/setup $(wildcard host_tools/toolchain/*.py)
	@.venv/bin/python -m host_tools.toolchain.setup
	@mkdir -p .cache && touch $@

# Where it cannot be had the tests are skipped, and say so.
.cache/home-assistant/setup: .venv/setup tests/home_assistant/requirements.lock
	@echo 'setup: Home Assistant'
	@rm -rf .cache/home-assistant && $(PYTHON) -m venv .cache/home-assistant
	@.cache/home-assistant/bin/pip install -qq -r tests/home_assistant/requirements.lock && touch $@ || rm -rf .cache/home-assistant

# Not into .venv: these stubs hold a bare `requests` folder that would hide the real package.
.cache/stubs/setup: .venv/setup
	@echo 'setup: stubs'
	@.venv/bin/pip install -qq --no-deps --upgrade --target .cache/stubs \
	  micropython-esp32-stubs==1.29.0.post1 micropython-stdlib-stubs==1.29.0.post2
	@touch $@

# Into a folder of their own, without what they need for more than this.
.cache/safety/setup: .venv/setup
	@echo 'setup: mutation testing'
	@.venv/bin/pip install -qq --no-deps --upgrade --target .cache/safety \
	  cosmic-ray==8.7.0 parso==0.8.7 stevedore==5.10.0 coverage==7.17.3
	@touch $@
