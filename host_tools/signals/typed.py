"""Values out of parsed TOML or JSON, each checked for its key and type."""

from typing import Any


class FaultError(Exception):
    """What is wrong in the file; who catches it adds the file's name."""


def check_keys(table: Any, known: set[str], needed: set[str]) -> None:
    """Raises FaultError for what is no table, for a key that is not known, and for one that is missing."""
    if not isinstance(table, dict):
        raise FaultError("a table is expected")
    for key in table.keys() - known:
        raise FaultError(f'unknown key "{key}"; known are {", ".join(sorted(known))}')
    for key in sorted(needed - table.keys()):
        raise FaultError(f'"{key}" is missing')


def typed(table: dict[str, Any], key: str, kind: type) -> Any:
    """The value at `key`, of type `kind`. Raises FaultError where it is of another."""
    value = table[key]
    if not isinstance(value, kind) or isinstance(value, bool):
        raise FaultError(f'"{key}" must be of type {kind.__name__}, not {value!r}')
    return value
