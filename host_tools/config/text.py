"""A configuration as a text to edit: TOML, every key with what it is for, secrets masked, defaults commented out."""

import json
import textwrap
from collections.abc import Iterator
from typing import Any

from host_tools.config import secrets
from host_tools.config.draft import COUNTED, Config
from host_tools.config.keys import EXAMPLES, KEYS, Key

HEAD = f"""\
# What begins with # is not set: take the # away to set it. An empty text, or a key that is taken away, is its default.
# {secrets.KEPT} stands for a secret as it was; write over it to change it."""


def lines(config: Config) -> Iterator[str]:
    """The text, line by line."""
    yield from HEAD.splitlines()
    masked, group = secrets.masked(config), ""
    for key in KEYS.values():
        if key.name in COUNTED:
            continue
        if key.group != group:
            yield from ("", f"## {key.group}")
            group = key.group
        yield from ("", *(f"# {line}" for line in textwrap.wrap(f"{key.text} {key.takes[0].upper()}{key.takes[1:]}.", 110)))
        if key.name in config:
            yield f"{key.name} = {_toml(masked[key.name])}"
        else:
            yield f"# {key.name} = {_example(key)}"


def _example(key: Key) -> str:
    return EXAMPLES.get(key.name) or _toml(key.default)


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml(name)} = {_toml(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
