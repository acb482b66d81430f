"""The report of a check: a table of the signals, then the whole in a few lines."""

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from host_tools.signals.check import Check, SignalCheck
from host_tools.signals.guards import GuardCheck
from host_tools.signals.show import number

_MOST_NAMES = 8


def table(result: Check) -> Table:
    """One row a signal that was heard: how often, from where to where, and what is odd about it."""
    shown = Table("signal", "values", "least", "greatest", "unit", "remark", box=None, pad_edge=False, header_style="bold")
    for column in shown.columns[1:4]:
        column.justify = "right"
    guards = {guard.signal: guard for guard in result.guards}
    for signal in result.signals:
        if signal.values:
            guard = guards.get(signal.name)
            is_odd = signal.out_of_range or (guard and guard.wrong)
            limits = (number(value) if value is not None else "NaN" for value in (signal.least, signal.greatest))
            cells = (signal.name, f"{signal.values:,}", *limits, signal.unit, _remark(signal, guard))
            shown.add_row(*(Text(cell) for cell in cells), style="red" if is_odd else "")
    return shown


def lines(result: Check) -> Iterator[str]:
    """The whole."""
    yield f"recording: {result.frames:,} frames of {result.ids} ids in {result.seconds:.1f} s"
    frames, ids = _share(result.known_frames, result.frames), _share(result.known_ids, result.ids)
    yield f"known:     {frames} of the frames, {ids} of the ids"
    if result.known_frames != result.decoded_frames:
        yield f"decoded:   {_share(result.decoded_frames, result.frames)} of the frames; the others have no signal"
    if result.fd_frames:
        yield f"CAN FD:    {result.fd_frames:,} frames of more than 8 bytes, which the device cannot hear"
    if result.unknown:
        yield f"unknown:   {_some([f'{ident} ({count:,})' for ident, count in result.unknown])}"
    if result.unheard:
        yield f"not heard: {_some(list(result.unheard))}"
    heard = [signal for signal in result.signals if signal.values]
    still = [signal.name for signal in heard if signal.is_constant]
    yield f"signals:   {len(heard)} of {len(result.signals)} heard, {len(still)} of them never move"
    wrong = [f"{signal.name} ({signal.out_of_range:,} of {signal.values:,})" for signal in heard if signal.out_of_range]
    yield f"range:     {_some(wrong)} out of range" if wrong else "range:     no value is out of range"
    if result.guards:
        wrong = [f"{guard.signal} ({guard.wrong:,} of {guard.frames:,})" for guard in result.guards if guard.wrong]
        yield f"guards:    {_some(wrong)} wrong" if wrong else "guards:    every counter and checksum is right"


def _remark(signal: SignalCheck, guard: GuardCheck | None) -> str:
    parts = [f"{signal.out_of_range:,} out of range"] if signal.out_of_range else []
    if guard:
        parts.append(f"{guard.kind}: {guard.wrong:,} wrong" if guard.wrong else f"{guard.kind}: right")
    return ", ".join(parts + ["never moves"] * signal.is_constant)


def _share(part: int, whole: int) -> str:
    # rounded down: what is shown as 100 % is all
    return f"{part:,} of {whole:,} ({10_000 * part // whole / 100:.2f} %)"


def _some(names: list[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
