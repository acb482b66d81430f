"""The console of a device that runs: read, and never written to, so that the firmware goes on."""

import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from host_tools.device.serial import Device


@dataclass(frozen=True)
class Line:
    """What the device said; `utc` is when it came here. `said` is its meaning where it is a JSON object."""

    utc: float
    text: str
    said: dict[str, Any] | None


def follow(port: str, seconds: float = math.inf) -> Iterator[Line]:
    """Lines of the console at `port`, which is opened at once, as they come, for so long. Raises InputError."""
    return _lines(Device(port), time.monotonic() + seconds)


def _lines(device: Device, until: float) -> Iterator[Line]:
    try:
        for text in device.lines(math.inf, until):
            yield Line(time.time(), text, _object(text))
    finally:
        device.close()


def _object(text: str) -> dict[str, Any] | None:
    try:
        said = json.loads(text) if text.startswith("{") else None
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None
