"""A command's arguments from what a person writes: `name=value`."""

from collections.abc import Callable, Sequence

from host_tools.errors import InputError

MOST_SIGNALS = 16

_Kind = Callable[[str], object]


def _names(text: str) -> list[str]:
    names = text.split(",")
    if not 1 <= len(names) <= MOST_SIGNALS or not all(names):
        raise ValueError
    return names


def _milliseconds(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 3_600_000:
        raise ValueError
    return value


def _name(text: str) -> str:
    if not text:
        raise ValueError
    return text


# command: its arguments, each with what it takes and how that is said
COMMANDS: dict[str, dict[str, tuple[_Kind, str]]] = {
    "ping": {},
    "flush": {},
    "reboot": {},
    "status": {},  # at the console; over MQTT it comes by itself
    "set_period": {"signal": (_name, "a signal's name"), "period_ms": (_milliseconds, "0 (on change) to 3600000")},
    "snapshot": {"signals": (_names, f"1 to {MOST_SIGNALS} signals' names with commas between them")},
}


def parse(command: str, texts: Sequence[str]) -> dict[str, object]:
    """The arguments of a command. Raises InputError for a command or an argument that there is not, or that is missing."""
    if command not in COMMANDS:
        raise InputError(f"there is no command {command!r}: give one of {', '.join(COMMANDS)}")
    wanted = COMMANDS[command]
    given: dict[str, object] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or name not in wanted or name in given:
            raise InputError(f"{command}: cannot take {text!r}; {_usage(command)}")
        kind, meaning = wanted[name]
        try:
            given[name] = kind(value)
        except ValueError as error:
            raise InputError(f"{command}: {name} takes {meaning}, not {value!r}") from error
    if len(given) < len(wanted):
        raise InputError(f"{command}: an argument is missing; {_usage(command)}")
    return given


def _usage(command: str) -> str:
    wanted = COMMANDS[command]
    return f"it takes {' '.join(f'{name}=…' for name in wanted)}" if wanted else "it takes no arguments"
