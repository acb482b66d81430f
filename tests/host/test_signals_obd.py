"""The standard values of `obd2`: which parameters there are, and answers whose values are worked out by hand."""

import pytest

from host_tools.signals import obd

# service 01, parameter: the data behind it, and what it says
ANSWERS: dict[int, tuple[str, dict[str, float]]] = {
    # A * 100 / 255
    0x6A: (
        "0F FF 33 80 00",
        {
            "CommandedIntakeAirFlowA": 100,
            "RelativeIntakeAirFlowA": 20,
            "CommandedIntakeAirFlowB": 50.196,
            "RelativeIntakeAirFlowB": 0,
        },
    ),
    # 10 kPa
    0x6E: (
        "0F 2710 2774 0001 FFFF",
        {
            "InjectionControlA.CommandedPressure": 100_000,
            "InjectionControlA.Pressure": 101_000,
            "InjectionControlB.CommandedPressure": 10,
            "InjectionControlB.Pressure": 655_350,
        },
    ),
    0x71: (
        "3F 66 33 FF 00 05",
        {
            "VariableGeometryTurboA.Commanded": 40,
            "VariableGeometryTurboA.Actual": 20,
            "VariableGeometryTurboB.Commanded": 100,
            "VariableGeometryTurboB.Actual": 0,
        },
    ),
    # 0.01 kPa
    0x73: ("03 2774 FFFF", {"ExhaustPressureBank1": 101, "ExhaustPressureBank2": 655.35}),
    # 10 rpm
    0x74: ("03 2EE0 FFFF", {"TurbochargerA.Speed": 120_000, "TurbochargerB.Speed": 655_350}),
    # 1 or 0.1 C, from -40
    0x75: (
        "0F 3C 8C 2134 1D4C",
        {
            "TurbochargerA.CompressorInletTemperature": 20,
            "TurbochargerA.CompressorOutletTemperature": 100,
            "TurbochargerA.TurbineInletTemperature": 810,
            "TurbochargerA.TurbineOutletTemperature": 710,
        },
    ),
    0x76: (
        "0F 28 FF 0190 FFFF",
        {
            "TurbochargerB.CompressorInletTemperature": 0,
            "TurbochargerB.CompressorOutletTemperature": 215,
            "TurbochargerB.TurbineInletTemperature": 0,
            "TurbochargerB.TurbineOutletTemperature": 6513.5,
        },
    ),
    0x77: (
        "0F 28 3C 50 FF",
        {
            "ChargeAirTemperature.Bank1Sensor1": 0,
            "ChargeAirTemperature.Bank1Sensor2": 20,
            "ChargeAirTemperature.Bank2Sensor1": 40,
            "ChargeAirTemperature.Bank2Sensor2": 215,
        },
    ),
    0x78: (
        "0F 0190 0578 1194 FFFF",
        {
            "ExhaustTemperature.Bank1Sensor1": 0,
            "ExhaustTemperature.Bank1Sensor2": 100,
            "ExhaustTemperature.Bank1Sensor3": 410,
            "ExhaustTemperature.Bank1Sensor4": 6513.5,
        },
    ),
    0x79: (
        "0F 0578 0190 FFFF 1194",
        {
            "ExhaustTemperature.Bank2Sensor1": 100,
            "ExhaustTemperature.Bank2Sensor2": 0,
            "ExhaustTemperature.Bank2Sensor3": 6513.5,
            "ExhaustTemperature.Bank2Sensor4": 410,
        },
    ),
    # only the difference is signed
    0x7A: (
        "07 FF38 2774 FFFF",
        {
            "DieselParticulateFilter.Bank1.DeltaPressure": -2,
            "DieselParticulateFilter.Bank1.InletPressure": 101,
            "DieselParticulateFilter.Bank1.OutletPressure": 655.35,
        },
    ),
    0x7B: (
        "07 012C 8000 2774",
        {
            "DieselParticulateFilter.Bank2.DeltaPressure": 3,
            "DieselParticulateFilter.Bank2.InletPressure": 327.68,
            "DieselParticulateFilter.Bank2.OutletPressure": 101,
        },
    ),
    0x7C: (
        "0F 0578 0190 1194 FFFF",
        {
            "DieselParticulateFilter.Bank1.InletTemperature": 100,
            "DieselParticulateFilter.Bank1.OutletTemperature": 0,
            "DieselParticulateFilter.Bank2.InletTemperature": 410,
            "DieselParticulateFilter.Bank2.OutletTemperature": 6513.5,
        },
    ),
    # ppm
    0x83: (
        "0F 0190 000A FFFF 0000",
        {"NOx.Bank1Sensor1": 400, "NOx.Bank1Sensor2": 10, "NOx.Bank2Sensor1": 65_535, "NOx.Bank2Sensor2": 0},
    ),
}


def decoded(name: str, data: bytes) -> float:
    """The value by the catalogue's bits, counted from the first byte's highest on."""
    _, (start, signal, _) = obd.catalogue()[name]
    raw = int.from_bytes(data, "big") >> (len(data) * 8 - start - signal.length) & (1 << signal.length) - 1
    if signal.is_signed and raw >> signal.length - 1:
        raw -= 1 << signal.length
    return raw * signal.scale + signal.offset


@pytest.mark.parametrize("pid", ANSWERS, ids=lambda pid: f"{pid:02X}")
def test_values_are_those_of_the_standards_formula(pid: int) -> None:
    text, values = ANSWERS[pid]
    data = bytes.fromhex(text)
    asked = {name for name, (request, _) in obd.catalogue().items() if request == bytes((1, pid))}
    assert asked == set(values)
    assert {name: decoded(name, data) for name in values} == pytest.approx(values, abs=1e-3)
