"""The device's own schema, firmware/pigtail/config, run here: what it takes, and what is secret, is said once."""

import json
import re
from collections.abc import Mapping
from typing import Any

from host_tools.errors import InputError
from host_tools.firmware_modules import Modules

_NAME = re.compile(r"[\w.]+")
_modules = Modules()
_schema = _modules.module("pigtail.config.schema")
_migrations = _modules.module("pigtail.config.migrations")
_secrets = _modules.module("pigtail.config.secrets")

KEYS: Mapping[str, tuple[type, Any, int, int]] = _schema.KEYS
SCHEMA: int = KEYS["schema"][1]
SECRET: tuple[str, ...] = _secrets.SECRET
RENAMED: tuple[Mapping[str, str], ...] = _migrations.RENAMED


def migrated(given: Mapping[str, object]) -> dict[str, Any]:
    """A configuration of an older schema as of today's."""
    config: dict[str, Any] = dict(_migrations.migrate(dict(given)))
    return config


def check(given: Mapping[str, object]) -> dict[str, Any]:
    """All keys, defaults filled in. Raises InputError, one line that names the key, where the device would not take it."""
    try:
        config: dict[str, Any] = _schema.check(dict(given))
    except _schema.ConfigError as error:
        raise InputError(str(error)) from None
    for key in given:
        _check_text(key, given[key])
    return config


def check_value(key: str, value: object) -> None:
    """Raises InputError for a key that there is not, and for what it does not take, whatever the others say."""
    if key not in KEYS:
        alone = _NAME.fullmatch(key)  # or there may be a password behind it
        what = f"unknown key {key!r}" if alone else "give a key alone, such as wifi.ssid"
        raise InputError(f"{what}: `pigtail config show` names them all")
    try:
        _schema._value(key, value)
    except _schema.ConfigError as error:
        raise InputError(str(error)) from None
    _check_text(key, value)


def _check_text(key: str, value: object) -> None:
    """Raises InputError for half a surrogate pair: JSON can say it, and a terminal that is not set to UTF-8."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise InputError(f"{key}: has a character that is none: give it in UTF-8") from None


def shown(key: str, value: object) -> Any:
    """The value as it may be told: a secret as `set` or `not set`."""
    return _secrets.shown(key, value)
