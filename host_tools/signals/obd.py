"""The standard values of SAE J1979 by name, out of the vehicle file `obd2` and its database."""

import tomllib
from dataclasses import replace
from functools import cache
from typing import Any

from cantools.database import Signal as DbcSignal

from host_tools.paths import VEHICLES
from host_tools.signals import convert, database, entries, polling
from host_tools.signals.answer import Value
from host_tools.signals.polling import Catalogue

PREFIX = "Vehicle.OBD."
_SERVICE = 0x01
_BEFORE = 24  # bits of a frame before the values: length, service, parameter


@cache
def catalogue() -> Catalogue:
    """Request and signal of each, by its path without PREFIX. What has a DBC's bits is named there by its parameter."""
    content: dict[str, Any] = tomllib.loads((VEHICLES / "obd2.toml").read_text("utf-8"))
    head, picks, _ = entries.file(content)
    source = database.load(VEHICLES / head.dbc, lambda _: None)
    signals = {(message.name, signal.name): signal for message in source.messages for signal in message.signals}
    found = {}
    for pick in picks:
        signal = signals[pick.message, pick.signal]
        (parameter,) = signal.multiplexer_ids or [0]
        found[pick.path] = bytes((_SERVICE, parameter)), _value(signal, pick)
    found.update(polling.parameters(content))
    return {path.removeprefix(PREFIX): value for path, value in found.items()}


def _value(signal: DbcSignal, pick: entries.Pick) -> Value:
    """Counted as all of them are, from the highest bit of each byte; what is little-endian there lies within one byte."""
    last = signal.start + signal.length - 1 if signal.byte_order == "little_endian" else signal.start
    start = last // 8 * 8 + 7 - last % 8 - _BEFORE
    own = pick.sampled(convert.convert(signal, pick.path, pick.period_ms))
    return Value(start, replace(own, byte_order="big_endian"))
