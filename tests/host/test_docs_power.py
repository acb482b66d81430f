"""docs/power.md: its currents and weeks follow from the data sheets' figures that it names."""

from host_tools.paths import ROOT

CAR_V, CHIP_V, EFFICIENCY = 12.6, 3.3, 0.85
AWAKE_MA, ASLEEP_MA = 100 + 10, 0.150 + 0.370  # ESP32 and SN65HVD230
DEAF_IN_STANDBY_MA = 0.150 + 10
DIVIDER_MA = CAR_V / 115
CONVERTER_MA, LINEAR_MA = 0.03, 5.0
HALF_MAH = 25_000


def converter(chip_ma: float) -> float:
    """mA at 12.6 V."""
    return chip_ma * CHIP_V / (CAR_V * EFFICIENCY) + CONVERTER_MA + DIVIDER_MA


def linear(chip_ma: float) -> float:
    """As much."""
    return chip_ma + LINEAR_MA + DIVIDER_MA


def test_currents_and_weeks_are_those_of_the_data_sheets() -> None:
    text = (ROOT / "docs" / "power.md").read_text()

    def mean(supply: float, awake: float, awake_s: float, every_s: float) -> float:
        return supply + (awake - supply) * awake_s / every_s

    awake, asleep = [f(AWAKE_MA) for f in (converter, linear)], [f(ASLEEP_MA) for f in (converter, linear)]
    both = list(zip(asleep, awake, strict=True))
    daily = [mean(*pair, 70, 21600) for pair in both]
    low = [mean(*pair, 15, 1800) for pair in both]
    assert f"| {awake[0]:.1f} mA | {awake[1]:.1f} mA |" in text
    for row in asleep, [f(DEAF_IN_STANDBY_MA) for f in (converter, linear)], daily, low:
        assert f"| {row[0]:.2f} mA | {row[1]:.2f} mA |" in text, row
    weeks = [HALF_MAH / ma / 168 for ma in awake]
    assert f"| in {weeks[0]:.1f} weeks | in {weeks[1]:.1f} weeks |" in text, weeks
    weeks = [HALF_MAH / ma / 168 for ma in daily]
    assert f"| in {weeks[0]:.0f} weeks | in {weeks[1]:.1f} weeks |" in text, weeks
