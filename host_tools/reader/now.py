"""The latest values as a device tells them at its console (firmware/SPEC.md, section 4), and their meaning by its profile."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

from host_tools.errors import InputError
from host_tools.reader.batch import Sample
from host_tools.reader.events import QUALITIES
from host_tools.signals.descriptor import WORD
from host_tools.signals.layout import Field, Row
from host_tools.signals.profile import UNSAMPLED, Profile
from host_tools.signals.signal import SOURCES, WORD_BITS

HOST = "host"  # in place of one of CLOCKS: this machine's own


def samples(profile: Profile, page: Mapping[str, Any], uptime_ms: int) -> Iterator[Sample]:
    """The values of a page, each placed by its age and this machine's clock. Raises InputError for what no device tells."""
    utc = time.time()
    try:
        for number, age_ms, qualities, raw in page["rows"]:
            row = profile.rows[number]
            if not len(qualities) == len(raw) == len(row.fields) or age_ms < 0:
                raise ValueError
            for place, field in enumerate(row.fields):
                if not field.is_high:
                    bits = (raw[place + 1] & WORD) << WORD_BITS if field.signal.is_wide else 0
                    quality = QUALITIES[qualities[place]]
                    value = _raw(field, bits | raw[place] & WORD)
                    yield _sample(profile, row, field, value, (uptime_ms - age_ms, utc - age_ms / 1000, quality))
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(f"values: the device tells what no profile has: {page}") from error


def _raw(field: Field, bits: int) -> int:
    """The bits as the signal means them, as they are in samples."""
    signal = field.signal
    bits &= (1 << signal.length) - 1
    return bits - (1 << signal.length) if signal.is_signed and not signal.is_float and bits >> signal.length - 1 else bits


def _sample(profile: Profile, row: Row, field: Field, raw: int, told: tuple[int, float, str]) -> Sample:
    (time_ms, utc, quality), signal = told, field.signal
    source = SOURCES[1] if row.message.is_window else SOURCES[0]
    stream = (0, "", "") if signal.period_ms == UNSAMPLED else (profile.stream(signal), signal.purpose, signal.priority)
    return Sample(
        0, field.number, signal.name, raw, signal.physical(raw), signal.labels.get(raw), signal.unit,
        time_ms, utc, source, quality, 1, *stream, HOST,
    )  # fmt: skip
