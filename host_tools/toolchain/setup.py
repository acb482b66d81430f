"""The part of `make setup` that pip does not do: `python -m host_tools.toolchain.setup`."""

import sys

from host_tools.errors import SetupError
from host_tools.toolchain import micropython, mosquitto, umqtt


def main() -> int:
    """Brings everything, a word for each step; 2 when something that is needed cannot be had."""
    try:
        for name, bring in (("micropython", micropython.find), ("umqtt", umqtt.find)):
            print(f"setup: {name}", flush=True)
            bring()
    except SetupError as error:
        print(f"setup: error: {error}", file=sys.stderr)
        return 2
    print("setup: mosquitto", flush=True)
    try:
        mosquitto.fetch()
    except SetupError as error:
        print(f"setup: going on without mosquitto ({error})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
