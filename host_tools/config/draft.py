"""A configuration that is worked on: parsed, changed key by key, compared, put into bytes."""

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from host_tools.config import firmware, secrets, usable
from host_tools.config.keys import EXAMPLES, KEYS, of
from host_tools.errors import InputError

Config = dict[str, Any]
COUNTED = "schema", "version"  # by us
_FORMS: dict[object, str] = {list: "a JSON list", dict: 'a JSON object, such as {"Vehicle.Speed": 500}', str: "a text"}


def parse(text: bytes, name: str) -> Config:
    """The keys that are set in a JSON file, of today's schema. Raises InputError for what the device would not take."""
    try:
        given = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise InputError(f"{name} is not JSON: mend it, or `pigtail config push` another one") from None
    return checked(given, name)


def parse_toml(text: str, name: str) -> Config:
    """The same of a TOML text, in which the dots of keys make tables. Raises InputError."""
    try:
        given = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name} is not TOML: {error}") from None
    return checked(dict(_flat(given)), name)


def checked(given: object, name: str) -> Config:
    """The keys that are set in what is called `name`, of today's schema. Raises InputError for what the device would not take."""
    if not isinstance(given, dict):
        raise InputError(f"{name}: not a JSON object")
    config = firmware.migrated(given)
    try:
        firmware.check(secrets.stood_in(config))
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    return config


def _flat(given: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in given.items():
        path = above + name
        if isinstance(value, dict) and path not in KEYS:
            yield from _flat(value, f"{path}.")
        else:
            yield path, value


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def values(texts: Sequence[str]) -> Config:
    """Several KEY=VALUE; as `value`."""
    for text in texts:
        if text.partition("=")[0] not in KEYS:
            check_split(texts)
    return dict(map(value, texts))


def check_split(texts: Sequence[str]) -> None:
    """Where one of these words is no KEY=VALUE and a secret is among them, it may be a piece of that: raises InputError, and
    repeats none."""
    if any(text.partition("=")[0] in firmware.SECRET for text in texts):
        raise InputError("a word begins with no KEY=: put the value of a secret into quotes, or give - and it is asked for")


def value(text: str) -> tuple[str, Any]:
    """Key and value of KEY=VALUE; a text needs no quotes. Raises InputError for a key or a value that there is not."""
    name, equals, said = text.partition("=")
    if not equals:
        what = name if name in KEYS else "a word has no ="
        raise InputError(f"{what}: give KEY=VALUE, such as wifi.ssid=home, in quotes where it has blanks")
    key = of(name)
    if name in COUNTED:
        raise InputError(f"{name}: is counted by pigtail and the device, and set by nobody")
    found: Any = said
    if key.kind is not str or said.startswith('"'):
        try:
            found = json.loads(said, parse_constant=_refuse)
        except (ValueError, RecursionError):
            example = f", such as {EXAMPLES[name]}" if name in EXAMPLES else ""
            raise InputError(f"{name}: takes {_FORMS.get(key.kind, key.takes)}{example}") from None
    firmware.check_value(name, found)
    usable.check(name, found)
    return name, found


def changed(config: Config, changes: Mapping[str, Any]) -> Config:
    """`config` with these keys set, with None for a value back at their defaults. Raises InputError where they do not agree."""
    result = {key: given for key, given in {**config, **changes}.items() if given is not None}
    firmware.check(secrets.stood_in(result))
    return result


def counted(config: Config, before: Config) -> Config:
    """`config` as the one that follows on `before`. Raises InputError when it can be counted no further."""
    number = max(int(given.get("version", 0)) for given in (config, before)) + 1
    return changed(config, {"schema": firmware.SCHEMA, "version": number})


def content(config: Config) -> bytes:
    """As the file that the device reads."""
    return json.dumps(config, indent=1, ensure_ascii=False).encode() + b"\n"


def difference(before: Config, after: Config) -> list[dict[str, Any]]:
    """By key what changes, secrets as `set`, `not set` or `another`; None stands for a default that nobody set."""
    rows = []
    for key in KEYS:
        old, new = before.get(key), after.get(key)
        if old == new or key in COUNTED:
            continue
        row: dict[str, Any] = {"key": key}
        row["before"] = None if old is None else firmware.shown(key, old)
        row["after"] = None if new is None else firmware.shown(key, new)
        if row["after"] == row["before"]:
            row["after"] = "another"
        rows.append(row)
    return rows
