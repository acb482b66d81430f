"""A picture of signals over time: one panel a signal, a common time axis. Imports matplotlib, so import this late."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
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
_DENSE = 400  # values in a panel from which points are not drawn one by one


class Curve(NamedTuple):
    """A signal and its values."""

    signal: Signal
    values: Values


def save(path: Path, title: str, curves: Sequence[Curve], start: float) -> None:
    """Draws the curves into `path`, whose suffix says the format; times count from `start`. Raises InputError."""
    if path.suffix.lower() not in _SUFFIXES:
        raise InputError(f"{path}: a picture must end in one of {', '.join(_SUFFIXES)}")
    figure = Figure(figsize=(_WIDTH_IN, _PANEL_IN * len(curves) + _MARGIN_IN), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    panels = figure.subplots(len(curves), sharex=True, squeeze=False)[:, 0]
    for axes, curve in zip(panels, curves, strict=True):
        _draw(axes, curve, start)
    panels[-1].set_xlabel("seconds since the recording's first frame", fontsize=9, color=_GREY)
    figure.align_ylabels(list(panels))
    try:
        figure.savefig(path, dpi=120)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}; name another file with --plot") from error


def _draw(axes: Axes, curve: Curve, start: float) -> None:
    signal, values = curve
    times = values.times - start
    marker = "." if len(times) <= _DENSE else ""
    axes.plot(times, values.physical, drawstyle="steps-post", lw=1.1, color=_BLUE, marker=marker, ms=3)
    wrong = out_of_range(signal, values.physical)
    if wrong.any():
        axes.plot(times[wrong], values.physical[wrong], ls="", marker="x", ms=4, color=_RED)
    unit = f" [{signal.unit}]" if signal.unit else ""
    odd = f"   {int(wrong.sum())} out of range" if wrong.any() else ""
    axes.set_title(f"{signal.name}{unit}", loc="left", fontsize=9)
    axes.set_title(odd, loc="right", fontsize=9, color=_RED)
    _style(axes)
    _name_levels(axes, curve)


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
