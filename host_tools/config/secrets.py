"""Secrets are never shown. Where a configuration is shown or handed to a person, this stands for those that are set."""

from collections.abc import Mapping
from typing import Any

from host_tools.config.keys import KEYS
from host_tools.errors import InputError

KEPT = "<secret>"  # in a text that comes back: as it was
_STAND_INS = {"command.key": "0" * 64}  # what is a key, for the check


def told(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration as a device tells it, each secret as `set` or `not set`, with KEPT for those that are set."""
    return {key: _told(value) if key in KEYS and KEYS[key].is_secret else value for key, value in config.items()}


def masked(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with KEPT for every secret that is set."""
    return {key: _masked(key, value) if key in KEYS else value for key, value in config.items()}


def restored(config: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with the secrets of `known` for KEPT; those of networks go by their names. Raises InputError where it
    has none for one."""
    return {key: _restored(key, value, known.get(key)) for key, value in config.items()}


def stood_in(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with something that passes the check for KEPT."""
    return {key: _STAND_INS[key] if value == KEPT and key in _STAND_INS else value for key, value in config.items()}


def are_in(config: Mapping[str, Any]) -> bool:
    """Whether there is any."""
    return masked(config) != dict(config)


def _is_pair(item: object) -> bool:
    return isinstance(item, list) and len(item) == 2


def _told(value: Any) -> Any:
    if isinstance(value, list):
        return [[item[0], _told(item[1])] if _is_pair(item) else item for item in value]
    return {"set": KEPT, "not set": ""}.get(value, value) if isinstance(value, str) else value


def _masked(key: str, value: Any) -> Any:
    if not KEYS[key].is_secret or not value:
        return value
    if isinstance(value, list):
        return [[item[0], KEPT if item[1] else item[1]] if _is_pair(item) else item for item in value]
    return KEPT


def _restored(key: str, value: Any, known: Any) -> Any:
    if key not in KEYS or not KEYS[key].is_secret:
        return value
    if isinstance(value, list):
        passwords = {item[0]: item[1] for item in known or [] if _is_pair(item)}
        return [_pair(key, item, passwords) if _is_pair(item) else item for item in value]
    if value == KEPT and not known:
        raise InputError(f"{key}: {KEPT} stands for one that is known, and none is: give it anew")
    return known if value == KEPT else value


def _pair(key: str, item: list[Any], passwords: Mapping[Any, Any]) -> list[Any]:
    if item[1] != KEPT:
        return item
    if not isinstance(item[0], str) or not passwords.get(item[0]):
        raise InputError(f"{key}: {KEPT} stands for a password that is known, and none is for {item[0]!r}: give it anew")
    return [item[0], passwords[item[0]]]
