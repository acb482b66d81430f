"""The car's bit rate and the device's: found by listening, or wrong and said so; nothing is ever acknowledged at a wrong one."""

from tests.sim.drives import assert_books_balance, drive


def test_bit_rate_is_found_by_listening_and_samples_come() -> None:
    report, simulation, samples = drive(20.0, bitrate=125_000, config={"can.bitrate": 0})
    assert_books_balance(report)
    assert simulation.status["bus"]["bitrate"] == 125_000  # type: ignore[index]
    assert samples and report.restarts == 0
    assert 0 < report.frames_received < report.frames_offered  # it searched while some went by


def test_fault_40_wrong_bit_rate_in_the_configuration_hears_nothing_and_says_unknown() -> None:
    report, simulation, samples = drive(20.0, bitrate=250_000, config={"can.bitrate": 500_000})
    bus = simulation.status["bus"]  # type: ignore[index]
    assert bus["bitrate"] == "unknown"
    assert (report.frames_received, len(samples), bus["muted"]) == (0, 0, False)
    assert report.restarts == 0
