"""The live view of a simulation: bus, link, queue and moving values, as a terminal shows them or as plain lines."""

import time
from collections import deque

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from host_tools.sim.run import Simulation

BITRATE = 500_000
ROWS = 12  # signals shown
HISTORY = 40  # points of a sparkline
SECOND_S = 1.0
LINE_S = 2.0  # between plain lines
_BLOCKS = "▁▂▃▄▅▆▇█"


def sparkline(values: deque[float]) -> str:
    """`values` as a row of blocks, the least as the lowest."""
    if not values:
        return ""
    low, high = min(values), max(values)
    scale = (len(_BLOCKS) - 1) / (high - low) if high > low else 0.0
    return "".join(_BLOCKS[int((value - low) * scale)] for value in values)


class Pulse:
    """What changes from second to second: frames/s, bus load, and the histories for sparklines."""

    def __init__(self, simulation: Simulation) -> None:
        self.frames_per_s = 0.0
        self.waiting = 0
        self.queue: deque[float] = deque(maxlen=HISTORY)
        self.values: dict[str, deque[float]] = {}
        self._simulation = simulation
        self._before = (0.0, 0)  # device seconds, frames
        self._next_at = 0.0

    @property
    def load(self) -> float:
        """Share of the bus in use, stuff bits not counted (ISO 11898-1)."""
        return self.frames_per_s * self._simulation.car.bits_per_frame / BITRATE

    def beat(self) -> None:
        """Looks at the simulation, once a second."""
        if time.monotonic() < self._next_at:
            return
        self._next_at = time.monotonic() + SECOND_S
        s = self._simulation
        now, frames = s.car.now, s.board.meter().received
        if now > self._before[0] and frames >= self._before[1]:
            self.frames_per_s = (frames - self._before[1]) / (now - self._before[0])
        self._before = now, frames
        self.waiting = s.waiting()
        self.queue.append(self.waiting)
        for name, sample in s.delivered.latest.items():
            self.values.setdefault(name, deque(maxlen=HISTORY)).append(sample.value)

    def moving(self) -> list[str]:
        """Names of the signals that move most, in the order of the profile."""
        spread = {name: len(set(points)) for name, points in self.values.items()}
        chosen = set(sorted(spread, key=lambda name: -spread[name])[:ROWS])
        return [signal.name for signal in self._simulation.scenario.profile.signals if signal.name in chosen]


class LiveView:
    """A context in which `tick` redraws the terminal."""

    def __init__(self, simulation: Simulation, console: Console) -> None:
        self._simulation = simulation
        self._pulse = Pulse(simulation)
        self._live = Live(console=console, refresh_per_second=8, transient=True)

    def __enter__(self) -> "LiveView":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def tick(self) -> None:
        """To be called often."""
        self._pulse.beat()
        self._live.update(Group(self._state(), self._signals()))

    def _state(self) -> Table:
        s, pulse = self._simulation, self._pulse
        meter, delivered = s.board.meter(), s.delivered
        grid = Table.grid(padding=(0, 2))
        grid.add_row(Text("time", "dim"), f"{s.car.now:5.1f} s", Text(f"firmware's clock: {s.status.get('clock', 'not known')}"))
        dropped = Text(f"{meter.overrun} dropped", "red" if meter.overrun else "green")
        grid.add_row(Text("bus", "dim"), f"{pulse.frames_per_s:5.0f} frames/s", f"load {pulse.load:.0%}", dropped)
        link = Text("UP", "bold green") if s.link_up else Text("DOWN", "bold white on red")
        grid.add_row(Text("link", "dim"), link, Text("" if s.link_up else "the firmware keeps what it takes", "yellow"))
        grid.add_row(Text("queue", "dim"), f"{pulse.waiting:5,} samples wait", Text(sparkline(pulse.queue), "yellow"))
        grid.add_row(Text("reader", "dim"), f"{delivered.samples:5,} samples", f"{delivered.duplicates} duplicates")
        return grid

    def _signals(self) -> Table:
        table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0), title=" ")
        for heading, justify in ("signal", "left"), ("value", "right"), ("", "left"), ("lately", "left"):
            table.add_column(heading, justify=justify, no_wrap=True)  # type: ignore[arg-type]
        for name in self._pulse.moving():
            sample = self._simulation.delivered.latest[name]
            value = sample.label or f"{sample.value:,.2f}"
            table.add_row(name, value, sample.unit, Text(sparkline(self._pulse.values[name]), "cyan"))
        return table


class PlainView:
    """The same as lines, for an output that is no terminal."""

    def __init__(self, simulation: Simulation, console: Console) -> None:
        self._simulation = simulation
        self._console = console
        self._pulse = Pulse(simulation)
        self._next_at = 0.0
        self._link_was_up = True

    def __enter__(self) -> "PlainView":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def tick(self) -> None:
        """To be called often; prints now and then, and whenever the link goes or comes."""
        self._pulse.beat()
        s, pulse = self._simulation, self._pulse
        is_due = time.monotonic() >= self._next_at or s.link_up != self._link_was_up
        if not is_due or not s.car.attached.is_set():
            return
        self._next_at = time.monotonic() + LINE_S
        self._link_was_up = s.link_up
        meter, received = s.board.meter(), s.delivered.samples
        shown = ", ".join(self._shown(name) for name in pulse.moving()[:2])
        self._console.print(
            f"{s.car.now:5.1f} s  bus {pulse.frames_per_s:4.0f}/s {pulse.load:3.0%}, {meter.overrun} dropped  "
            f"link {'up  ' if s.link_up else 'DOWN'}  {pulse.waiting:5} waiting  {received:6} delivered  {shown}",
            soft_wrap=True,
        )

    def _shown(self, name: str) -> str:
        sample = self._simulation.delivered.latest[name]
        return f"{'.'.join(name.split('.')[-2:])} {sample.value:.1f} {sample.unit}".rstrip()
