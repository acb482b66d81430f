"""What the device's schema takes and the device has no use for: refused where somebody sets it, and left alone where it is."""

import re
from collections.abc import Mapping
from typing import Any

from host_tools.errors import InputError
from host_tools.signals.services import reads

_NO_HOST = re.compile(r"[\s\x00-\x1f\x7f/@]")
_WITH_PORT = re.compile(r"[^:]*:[0-9]+")
_IDENTITY = re.compile(r"([0-9A-Fa-f]{8})?")
_NO_PREFIX = re.compile(r"[+#%\0]|^\s|\s$")  # of topics; the device puts the rest behind it by a %


def check(key: str, value: Any) -> None:
    """Raises InputError for a value that the schema takes and nothing comes of."""
    if key in ("mqtt.host", "clock.host"):
        _check_host(key, value)
    elif key == "mqtt.brokers" and any(_NO_HOST.search(str(host)) for host in value):
        raise _no_host(key)
    elif key == "requests.services":
        _check_services(key, value)
    elif key == "requests.profile" and not _IDENTITY.fullmatch(value):
        raise InputError(f"{key}: takes 8 hex digits, or nothing: `pigtail diag allow` sets it")
    elif key == "homeassistant" and _NO_PREFIX.search(value):
        raise InputError(f"{key}: is the beginning of topics: no blank at its ends, and none of + # % in it")


def check_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """The same for what differs in `after`; None stands for a default."""
    for key, value in after.items():
        if value is not None and value != before.get(key):
            check(key, value)


def _check_host(key: str, host: str) -> None:
    if _NO_HOST.search(host):
        raise _no_host(key)
    if _WITH_PORT.fullmatch(host):
        raise InputError(f"{key}: takes no port: give that as {key.replace('host', 'port')}")


def _no_host(key: str) -> InputError:
    return InputError(f"{key}: is no host: give a name or an address alone, which has no blank and none of / @ in it")


def _check_services(key: str, text: str) -> None:
    try:
        services = bytes.fromhex(text)
    except ValueError:
        raise InputError(f"{key}: takes hex digits, two for each service, such as 0122") from None
    for service in services:
        if service not in reads():
            told = " ".join(f"{one:02X}" for one in sorted(reads()))
            raise InputError(f"{key}: {service:02X} may never be asked; those that may are {told}")
