"""A drive with states: they are told beside the batches, which lose nothing by it."""

from tests.sim.drives import assert_books_balance, drive


def test_states_of_all_signals_fit_the_heap_and_cost_no_sample() -> None:
    report, simulation, _ = drive(20, config={"state": {"*": 1000}})
    assert_books_balance(report)
    states = simulation.status["states"]
    assert isinstance(states, dict)
    assert states["sent"] > 51 and not states["failed"]


def test_more_states_than_there_is_room_for_are_refused_in_words_and_the_device_works() -> None:
    report, simulation, _ = drive(10, config={"state": {"*": 1000}, "homeassistant": "homeassistant", "command.key": "5a" * 32})
    assert_books_balance(report)
    assert simulation.status["config_error"] == "state: no room for so many"
    assert "states" not in simulation.status
