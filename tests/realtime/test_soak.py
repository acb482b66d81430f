"""The soak of `make soak`, for twenty minutes of the device's time."""

import pytest

from host_tools.sim.soak import soak, told
from host_tools.toolchain import mosquitto


@pytest.mark.skipif(not mosquitto.find(), reason="no mosquitto: `make setup` brings one")
@pytest.mark.parametrize("tls", [False, True])
def test_soak_of_twenty_minutes_leaks_nothing_and_misses_nothing(tls: bool) -> None:
    result = soak(1 / 3, 50.0, seed=4, tls=tls)
    assert result.holds, "\n".join(told(result))
    assert result.report.samples_delivered > 100_000
    assert result.first.used > 80_000 and result.last.best_piece > 1000  # the figures are of the device
