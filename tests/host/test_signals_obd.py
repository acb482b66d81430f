"""The standard values of `obd2`: which parameters there are, and answers whose values are worked out by hand."""

import pytest

from host_tools.signals import obd

THERE = (
    "01 04-11 14-1C 1F 21-3F 42-5E 61-64 66-6A 6C-6E 70-7C 7F 83-8E 90 91 93 94 98-9F A2 A4 A6 AA B2 D2 D3"
)

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
        "07 FED4 8000 2774",
        {
            "DieselParticulateFilter.Bank2.DeltaPressure": -3,
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
    # 0.005 l/h, s
    0x85: (
        "0F 00C8 0190 80 00015180",
        {
            "NOxReagent.Consumption": 1,
            "NOxReagent.DemandedConsumption": 2,
            "NOxReagent.Level": 50.196,
            "NOxReagent.WarningTime": 86_400,
        },
    ),
    # 0.0125 mg/m3
    0x86: ("03 0050 FFFF", {"ParticulateMatter.Bank1": 1, "ParticulateMatter.Bank2": 819.1875}),
    # 1/32 kPa
    0x87: ("03 0CA0 FFFF", {"MAPSensorA": 101, "MAPSensorB": 2047.96875}),
    # km
    0x88: (
        "81 21 43 0001 2710 0203 0405 FFFF",
        {
            "SCRInducement.ActiveDistance": 1,
            "SCRInducement.Distance": 10_000,
            "SCRInducement.ActiveDistance20K": 515,
            "SCRInducement.ActiveDistance30K": 1029,
            "SCRInducement.ActiveDistance40K": 65_535,
        },
    ),
    # s
    0x89: (
        "1F" + "".join(f"{n:08X}" for n in range(70_000, 70_010)),
        {f"AECD{11 + n // 2}.Timer{1 + n % 2}": 70_000 + n for n in range(10)},
    ),
    0x8A: (
        "1F" + "".join(f"{n:08X}" for n in range(80_000, 80_010)),
        {f"AECD{16 + n // 2}.Timer{1 + n % 2}": 80_000 + n for n in range(10)},
    ),
    0x8B: (
        "7F 01 33 0258 01F4",
        {
            "DieselParticulateFilter.RegenerationTrigger": 20,
            "DieselParticulateFilter.RegenerationDistance": 500,
        },
    ),
    # 0.001526 %, 8 / 65536
    0x8C: (
        "FF 2710 0001 FFFF 0000 2000 3000 4000 1000",
        {
            "O2Concentration.Bank1Sensor1": 15.26,
            "O2Concentration.Bank1Sensor2": 0.001526,
            "O2Concentration.Bank2Sensor1": 100.006,
            "O2Concentration.Bank2Sensor2": 0,
            "O2Lambda.Bank1Sensor1": 1,
            "O2Lambda.Bank1Sensor2": 1.5,
            "O2Lambda.Bank2Sensor1": 2,
            "O2Lambda.Bank2Sensor2": 0.5,
        },
    ),
    # h
    0x90: ("4C 0102", {"WWH.VehicleMITime": 258}),
    0x91: ("03 0102 0203", {"WWH.ECUMITime": 258, "WWH.ECUB1Time": 515}),
    0x93: ("01 FFFF", {"WWH.CumulativeMITime": 65_535}),
    0x94: (
        "3F 03 0001 0010 0100 1000 FFFF",
        {
            "NOxWarning.ReagentQualityTime": 1,
            "NOxWarning.ReagentConsumptionTime": 16,
            "NOxWarning.DosingTime": 256,
            "NOxWarning.EGRValveTime": 4096,
            "NOxWarning.MonitoringTime": 65_535,
        },
    ),
    0x98: (
        "0F 0190 0578 1194 FFFF",
        {
            "ExhaustTemperature.Bank1Sensor5": 0,
            "ExhaustTemperature.Bank1Sensor6": 100,
            "ExhaustTemperature.Bank1Sensor7": 410,
            "ExhaustTemperature.Bank1Sensor8": 6513.5,
        },
    ),
    0x99: (
        "0F 0578 0190 FFFF 1194",
        {
            "ExhaustTemperature.Bank2Sensor5": 100,
            "ExhaustTemperature.Bank2Sensor6": 0,
            "ExhaustTemperature.Bank2Sensor7": 6513.5,
            "ExhaustTemperature.Bank2Sensor8": 410,
        },
    ),
    0x9B: ("0F 82 3C 33", {"DieselExhaustFluid.Level": 20}),
    0x9C: (
        "FF 0000 FFFF 0001 2710 1000 4000 3000 2000",
        {
            "O2Concentration.Bank1Sensor3": 0,
            "O2Concentration.Bank1Sensor4": 100.006,
            "O2Concentration.Bank2Sensor3": 0.001526,
            "O2Concentration.Bank2Sensor4": 15.26,
            "O2Lambda.Bank1Sensor3": 0.5,
            "O2Lambda.Bank1Sensor4": 2,
            "O2Lambda.Bank2Sensor3": 1.5,
            "O2Lambda.Bank2Sensor4": 1,
        },
    ),
    # 0.001
    0xA4: ("03 30 0E10", {"TransmissionGearRatio": 3.6}),
}


def decoded(name: str, data: bytes) -> float:
    """The value by the catalogue's bits, counted from the first byte's highest on."""
    _, value = obd.catalogue()[name]
    start, signal = value.start, value.signal
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


def parameters(text: str) -> set[int]:
    """Those that a text like "01 04-11" names."""
    ends = [part.split("-") for part in text.split()]
    return {
        pid for first, *last in ends for pid in range(int(first, 16), int(last[0] if last else first, 16) + 1)
    }


def test_parameters_that_have_a_formula_are_there() -> None:
    assert {request[1] for request, _ in obd.catalogue().values() if request[0] == 1} == parameters(THERE)
