"""What the project is built and run with: MicroPython, mpy-cross, umqtt.simple, mosquitto."""
