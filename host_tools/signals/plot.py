"""A picture of signals over time: one panel a signal, a common time axis. Imports matplotlib, so import this late."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from host_tools.errors import InputError
from host_tools.signals.check import out_of_range
from host_tools.signals.frames import Values
from host_tools.signals.profile import Signal

_SUFFIXES = (".png", ".svg", ".pdf")
_WIDTH_IN, _PANEL_IN, _MARGIN_IN = 11.0, 1.45, 0.9
_BLUE, _RED, _GREY = "#1f5fa8", "#c8322b", "#666666"
_MOST_LABELS = 8
_FLATTENED = 5  # so many times the others' span
_DENSE = 400  # values in a panel from which points are not drawn one by one


class Curve(NamedTuple):
    """A signal and its values."""

    signal: Signal
    values: Values


def save(path: Path, title: str, curves: Sequence[Curve], start: float, end: float) -> None:
    """Draws the curves into `path`, whose suffix says the format; times go from `start` to `end`. Raises InputError."""
    if path.suffix.lower() not in _SUFFIXES:
        raise InputError(f"{path}: a picture must end in one of {', '.join(_SUFFIXES)}")
    figure = Figure(figsize=(_WIDTH_IN, _PANEL_IN * len(curves) + _MARGIN_IN), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    panels = figure.subplots(len(curves), sharex=True, squeeze=False)[:, 0]
    for axes, curve in zip(panels, curves, strict=True):
        _draw(axes, curve, start)
    panels[-1].set_xlim(0, end - start or 1)
    panels[-1].set_xlabel("seconds since the recording's first frame", fontsize=9, color=_GREY)
    try:
        figure.savefig(path, dpi=120)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}; name another file with --plot") from error


def _draw(axes: Axes, curve: Curve, start: float) -> None:
    signal, values = curve
    times = values.times - start
    marker = "." if len(times) <= _DENSE else ""
    axes.plot(times, values.physical, drawstyle="steps-post", lw=1.1, color=_BLUE, marker=marker, ms=3)
    unit = f" [{signal.unit}]" if signal.unit else ""
    axes.set_title(f"{signal.name}{unit}", loc="left", fontsize=9)
    _style(axes)
    _name_levels(axes, curve)
    wrong = out_of_range(signal, values.physical) & np.isfinite(values.physical)
    if wrong.any():
        _mark(axes, times, values.physical, wrong)


def _mark(
    axes: Axes, times: npt.NDArray[np.float64], physical: npt.NDArray[np.float64], wrong: npt.NDArray[np.bool_]
) -> None:
    """Red crosses where a value is out of range: at the panel's edge where showing them would flatten all others."""
    odd = physical[wrong]
    text = f"{len(odd):,} out of range: {odd.min():g}" + (f" to {odd.max():g}" if odd.min() < odd.max() else "")
    axes.set_title(text, loc="right", fontsize=9, color=_RED)
    good = physical[~wrong & np.isfinite(physical)]
    if len(good) and np.ptp(physical[np.isfinite(physical)]) > _FLATTENED * (np.ptp(good) or abs(good[0]) or 1):
        margin = 0.15 * (np.ptp(good) or abs(good[0]) or 1)
        axes.set_ylim(good.min() - margin, good.max() + margin)
    axes.plot(times[wrong], odd.clip(*axes.get_ylim()), ls="", marker="x", ms=4, color=_RED, clip_on=False)


def _style(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", lw=0.4, color="#d8d8d8")
    axes.tick_params(labelsize=8, color=_GREY)
    axes.ticklabel_format(axis="y", useOffset=False)
    axes.margins(x=0.01, y=0.12)


def _name_levels(axes: Axes, curve: Curve) -> None:
    """Values with a text get it as their tick, where there are few."""
    signal, values = curve
    seen = np.unique(values.raw)
    numbers = {int(raw): _number(signal, int(raw)) for raw in seen[: _MOST_LABELS + 1]}
    labels = {number: signal.labels[number] for number in numbers.values() if number in signal.labels}
    if labels and len(seen) <= _MOST_LABELS:
        levels = {number * signal.scale + signal.offset: text for number, text in labels.items()}
        axes.set_yticks(list(levels), [f"{text} ({level:g})" for level, text in levels.items()])
    elif len(seen) == 1 or signal.length == 1:
        axes.set_yticks(sorted(set(values.physical.tolist())))


def _number(signal: Signal, raw: int) -> int:
    return raw - (1 << signal.length) if signal.is_signed and raw >> signal.length - 1 else raw
