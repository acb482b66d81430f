"""Rivals without a schema: JSON a message for each sample, JSON and CBOR a message for each window.

What is sent as JSON today: a message per value, as Home Assistant's MQTT sensors, OVMS's metrics and most dongles do. The
batches are the tightest plain form: the time of the window once, by signal an array of [ms since then, value].
"""

import json

import cbor2

from host_tools.bench.samples import EPOCH_MS, Window, rounded


def json_per_sample(window: Window) -> list[bytes]:
    """{"name":"Motion.YawRate","value":-0.6,"time":1700000012.3}, a message each; `time` in s, RFC 8259 without spaces."""
    return [
        _json({"name": window.signal(s).name, "value": rounded(window.signal(s), s.raw), "time": (EPOCH_MS + s.time_ms) / 1000})
        for s in window.samples
    ]  # fmt: skip


def json_batch(window: Window) -> list[bytes]:
    """{"time":1700000010000,"signals":{"Motion.YawRate":[[100,-0.6],[200,-0.9]]}}, in ms and ms since then."""
    signals = {
        window.profile.signals[index].name: [[s.time_ms - window.start_ms, rounded(window.signal(s), s.raw)] for s in own]
        for index, own in window.by_signal().items()
    }
    return [_json({"time": EPOCH_MS + window.start_ms, "signals": signals})]


def cbor_batch(window: Window) -> list[bytes]:
    """RFC 8949: [time in ms, {index of the signal: [[ms since then, raw integer], ...]}]; the profile gives name and scale."""
    signals = {index: [[s.time_ms - window.start_ms, s.raw] for s in own] for index, own in window.by_signal().items()}
    return [cbor2.dumps([EPOCH_MS + window.start_ms, signals])]


def _json(content: object) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()
