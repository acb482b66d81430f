"""What a device's status says, in words: its bus, its queue, its link, its own health. No field's content makes it raise."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

Fields = Mapping[str, Any]


class Row(NamedTuple):
    """One thing about a device; `is_well` is False where somebody should look."""

    name: str
    text: str
    is_well: bool = True


def health(fields: Fields, frames_per_s: float | None = None) -> list[Row]:
    """A row for each of bus, queue, link, clock and device; `frames_per_s` is what two statuses tell together."""
    if fields.get("state") != "online":
        return [Row("device", "offline: its broker has not heard it for a while", False)]
    return [_bus(fields, frames_per_s), _queue(fields), _link(fields), _clock(fields), _device(fields), *_errors(fields)]


def _bus(fields: Fields, frames_per_s: float | None) -> Row:
    bus, frames = _part(fields, "bus"), _part(fields, "frames")
    if not bus:
        return Row("bus", f"not read: the device {'is in safe mode' if _is_safe(fields) else 'has no usable profile'}", False)
    state, overrun = str(bus.get("state")), _count(frames, "overrun")
    heard = f"{_count(_part(fields, 'messages'), 'heard')} of {_count(_part(fields, 'messages'), 'known')} messages heard"
    rate = "" if frames_per_s is None else f"{frames_per_s:.0f} frames/s"
    load = f"load {_count(bus, 'load')} %"
    off = f"off the bus {_count(bus, 'bus_off')} times" if _count(bus, "bus_off") else ""
    silent = not _count(frames, "received")
    words = state, f"{bus.get('bitrate')} bit/s", "silent: is the ignition on?" if silent else rate, load, heard, off
    return Row("bus", _joined(*words, f"{overrun:,} dropped"), state == "active" and not overrun and not silent)


def _queue(fields: Fields) -> Row:
    outbox, gaps = _part(fields, "outbox"), _count(fields, "gaps")
    dropped, errors = _count(outbox, "dropped_samples"), _count(outbox, "errors")
    ledgered = f"{dropped:,} sample numbers ledgered" if dropped else ""  # a restart is reason enough
    failed = f"{errors} failures of the flash" if errors else ""
    untold = f"{gaps} gaps to tell" if gaps else ""
    return Row("queue", _joined(f"{_count(outbox, 'bytes'):,} bytes wait", untold, ledgered, failed), not errors)


def _link(fields: Fields) -> Row:
    link, broker = _part(fields, "link"), _part(fields, "broker")
    lost = f"lost {_count(link, 'losses')} times" if _count(link, "losses") else ""
    failed = _count(link, "failures")
    why = f"{failed} sessions failed ({link.get('last_failure')})" if failed else ""
    to = f"to {broker.get('host')} (trust: {broker.get('trust')})" if broker else ""
    return Row("link", _joined(str(link.get("state")), to, lost, why), link.get("state") == "up")


def _clock(fields: Fields) -> Row:
    quality = str(fields.get("clock"))
    words = {"none": "not set", "rtc": "kept by the chip"}.get(quality, f"set by {quality}")
    return Row("clock", words, quality in ("ntp", "gnss"))


def _device(fields: Fields) -> Row:
    uptime = f"up {_count(fields, 'uptime_ms') / 1000:,.0f} s"
    again = ", ".join(f"{name} {count}" for name, count in _part(fields, "restarts").items())
    words = (
        f"firmware {fields.get('firmware')}", f"boot {fields.get('boot')} ({fields.get('reset')})", uptime,
        f"heap {_count(fields, 'heap_used'):,} bytes", f"started again: {again}" if again else "",
    )  # fmt: skip
    crash = f"in safe mode, for crashes in a row, the last: {fields.get('last_crash')}" if _is_safe(fields) else ""
    return Row("device", _joined(*words, crash), not again and not crash)


def _is_safe(fields: Fields) -> bool:
    return fields.get("safe_mode") is True


def _errors(fields: Fields) -> Iterator[Row]:
    for name in "config_error", "profile_error":
        if fields.get(name):
            yield Row(name.replace("_error", ""), str(fields[name]), False)
    for name, text in _part(fields, "errors").items():
        yield Row("error", f"{name}: {text}", False)


def _part(fields: Fields, name: str) -> Fields:
    found = fields.get(name)
    return found if isinstance(found, dict) else {}


def _count(fields: Fields, name: str) -> int:
    found = fields.get(name)
    return found if type(found) is int else 0


def _joined(*words: str) -> str:
    return ", ".join(filter(None, words))
