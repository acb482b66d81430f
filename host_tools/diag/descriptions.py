"""What trouble codes, failure types and negative responses mean: those few that are the same in every car, as data."""

# SAE J2012, generic codes.
CODES = {
    "P0101": "mass air flow: range or performance",
    "P0102": "mass air flow circuit low",
    "P0103": "mass air flow circuit high",
    "P0113": "intake air temperature sensor 1 circuit high",
    "P0117": "engine coolant temperature sensor 1 circuit low",
    "P0118": "engine coolant temperature sensor 1 circuit high",
    "P0128": "coolant thermostat: temperature below regulating temperature",
    "P0130": "oxygen sensor circuit, bank 1 sensor 1",
    "P0133": "oxygen sensor slow response, bank 1 sensor 1",
    "P0135": "oxygen sensor heater circuit, bank 1 sensor 1",
    "P0141": "oxygen sensor heater circuit, bank 1 sensor 2",
    "P0171": "system too lean, bank 1",
    "P0172": "system too rich, bank 1",
    "P0174": "system too lean, bank 2",
    "P0175": "system too rich, bank 2",
    "P0300": "random or multiple cylinder misfire detected",
    **{f"P030{n}": f"cylinder {n} misfire detected" for n in range(1, 9)},
    "P0325": "knock sensor 1 circuit",
    "P0335": "crankshaft position sensor A circuit",
    "P0340": "camshaft position sensor A circuit, bank 1",
    "P0401": "exhaust gas recirculation: insufficient flow",
    "P0420": "catalyst system efficiency below threshold, bank 1",
    "P0430": "catalyst system efficiency below threshold, bank 2",
    "P0440": "evaporative emission system",
    "P0442": "evaporative emission system: small leak",
    "P0455": "evaporative emission system: large leak",
    "P0456": "evaporative emission system: very small leak",
    "P0500": "vehicle speed sensor A",
    "P0562": "system voltage low",
    "P0563": "system voltage high",
    "P0700": "transmission control system: it asks for the lamp",
    "P0A80": "replace hybrid battery pack",
    "P0AA6": "hybrid battery voltage system isolation fault",
    "U0001": "high speed CAN communication bus",
    "U0073": "control module communication bus A off",
    "U0100": "lost communication with engine control module A",
    "U0101": "lost communication with transmission control module",
    "U0121": "lost communication with anti-lock brake system module",
    "U0140": "lost communication with body control module",
    "U0155": "lost communication with instrument panel cluster",
    "U0401": "invalid data received from engine control module A",
}

# SAE J2012-DA, failure types: the digits behind the hyphen.
FAILURE_TYPES = {
    "11": "circuit short to ground",
    "12": "circuit short to battery",
    "13": "circuit open",
    "16": "circuit voltage below threshold",
    "17": "circuit voltage above threshold",
    "29": "signal invalid",
    "31": "no signal",
    "62": "signal compare failure",
    "64": "signal plausibility failure",
    "81": "invalid serial data received",
    "86": "signal invalid",
    "87": "missing message",
    "88": "bus off",
}

# ISO 14229-1, A.1.
NEGATIVE = {
    0x10: "general reject",
    0x11: "it does not have this service",
    0x12: "it does not have this subfunction",
    0x13: "wrong length",
    0x21: "it is busy",
    0x22: "conditions are not right",
    0x31: "it does not have this, or not now",
    0x33: "it asks for security access",
    0x78: "it has more to do and does not end",
    0x7E: "not in this session",
    0x7F: "not in this session",
}

# Why a device did not ask, or had no answer.
NOT_ASKED = {
    "shut": "the gate is shut: it opens once the device has heard the bus and is certain of its bit rate",
    "muted": "asking is muted: `pigtail diag gate` says why, `pigtail diag unmute` ends it",
    "vehicle": "the vehicle is not awake, and this ECU is not said to be safe to ask then",
    "other_tester": "another tester is at work: the device waits until it has been silent for five minutes",
    "service": "the gate never lets this request pass, or the owner has not allowed it",
    "id": "the gate does not know this ECU",
    "budget": "the device asks as much as it may already: try again",
    "ecu_budget": "this ECU was asked a moment ago: try again",
    "queue": "the controller takes no frame now: try again",
    "under_way": "it is being asked by the schedule: try again",
    "no_answer": "no answer",
    "silent": "no answer",
    "timeout_cr": "its answer was cut off",
    "wrong_sn": "a frame of its answer was lost",
    "buffer_overflow": "its answer is longer than the device has room for",
    "no_room": "its answer had to wait too long for others",
    "form": "its answer cannot be read",
    "too_long": "its answer is longer than a reply of the device has room for",
    "no_reply": "the device did not reply",
    "no memory": "the device has no memory for it now: try again",
    "kwp": "it has no UDS, and to ask by KWP (18) is for the owner to allow, in `requests.services`",
    "kwp_snapshots": "KWP keeps them in a form of the maker's",
    "blank": "it was never told its vehicle's number",
}

# Why a gate is muted.
MUTED = {
    "bus_off": "the controller went bus-off",
    "transmit_errors": "what it sent was not acknowledged, or destroyed on the bus",
    "heartbeat": "the firmware's supervisor was silent",
    "dtc": "a trouble code came after asking began",
}

# What came from the ids of ECUs and was dropped.
DROPPED = {
    "unasked": "a message that was not awaited",
    "unmatched": "a message that does not answer what was asked",
    "length": "a frame of a length that cannot be",
    "pci": "a frame of an unknown type",
    "flow_control": "a flow control, for which nothing waits",
    "consecutive": "a consecutive frame of no answer",
    "interrupted": "an answer that began anew before its end",
}

# How a mechanic says a status bit of ISO 14229-1 or 14230-3; the others tell of the test, not of the fault.
STATUS = {
    "confirmedDTC": "confirmed",
    "pendingDTC": "pending",
    "testFailed": "test failed",
    "present": "present",
    "notPresent": "not present now",
    "intermittent": "intermittent",
    "warningIndicatorRequested": "lamp on",
}


def code(text: str) -> str:
    """What a code means, as far as it is known here."""
    plain, _, kind = text.partition("-")
    meanings = (CODES.get(plain, ""), FAILURE_TYPES.get(kind, ""))
    return ": ".join(meaning for meaning in meanings if meaning)


def failure(code: str, nrc: int) -> str:
    """Why there is no answer."""
    if code == "negative":
        return f"refused, {NEGATIVE[nrc]} ({nrc:02X})" if nrc in NEGATIVE else f"refused ({nrc:02X})"
    return NOT_ASKED.get(code, code)
