"""A drive in which somebody looks at the LED: what it says of the device."""

from collections.abc import Callable

from host_tools.sim.run import Simulation
from tests.sim.drives import assert_books_balance, drive


def test_led_is_lit_while_the_broker_is_reached_and_blinks_while_it_is_not() -> None:
    seen: dict[float, int] = {}

    def at(second: float) -> Callable[[Simulation], None]:
        return lambda simulation: seen.update({second: (simulation.board.folder / "led").read_bytes()[0]})

    times = [5 + n / 2 for n in range(30)]
    report, _, _ = drive(26.0, {time: at(time) for time in times}, outages=((10.0, 16.0),))
    assert_books_balance(report)
    reached = [lit for time, lit in seen.items() if time < 9.5 or time > 18.5]
    assert set(reached) == {1} and len(reached) > 10
    blinks = [lit for time, lit in seen.items() if 11.5 < time < 15.5]
    assert set(blinks) == {0, 1}
