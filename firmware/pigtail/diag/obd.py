"""SAE J1979: which parameters an ECU has, what it says of them as bytes, and what it says of itself.

What the bytes mean is data, not code: `vehicles/obd2.dbc` has the formulas, by service and parameter.
"""

from pigtail.diag.isotp import Failure

STORED, PENDING, PERMANENT = b"\x03", b"\x07", b"\x0a"  # requests for trouble codes; `dtc.codes` reads the answers
VIN, CALIBRATIONS = b"\x09\x02", b"\x09\x04"


def request(*pids) -> bytes:
    """For current data of up to six parameters."""
    return bytes((1,) + pids)


def frozen_request(pid: int, frame=0) -> bytes:
    """For a parameter as it was when a trouble code was stored."""
    return bytes((2, pid, frame))


def supported(answer) -> list:
    """The parameters that an answer to 00, 20, 40 … says there are; service 02's answers have a frame's number as well."""
    at = 3 if answer[0] == 0x42 else 2
    if len(answer) < at + 4:
        raise Failure("form")
    return [answer[1] + 1 + i for i in range(32) if answer[at + (i >> 3)] & 0x80 >> (i & 7)]


async def discover(ask, service=1) -> list:
    """All parameters that an ECU has. `ask(request)` gives its answer, or raises Failure. If that comes only later on, what has
    been told counts."""
    found, base = [], 0
    while base is not None:
        try:
            part = supported(await ask(bytes((service, base, 0) if service == 2 else (service, base))))
        except Failure:
            if not found:
                raise
            break
        found += part
        base = base + 32 if base + 32 in part and base < 0xE0 else None
    return [pid for pid in found if pid & 31]


def values(answer, lengths):
    """{parameter: data} of an answer to `request` or `frozen_request`. `lengths` gives the length of each parameter's data; where
    there is a single one it is not needed."""
    skip = 2 if answer[0] == 0x42 else 1
    found, at = {}, 1
    while at < len(answer):
        pid = answer[at]
        end = at + skip + lengths[pid] if pid in lengths else len(answer)
        if end > len(answer) or at + skip >= end:
            raise Failure("form")
        found[pid] = answer[at + skip : end]
        at = end
    return found


def texts(answer, size: int) -> list:
    """The texts of `size` characters in an answer of service 09: 17 for the VIN, 16 for calibrations, 20 for the name."""
    if len(answer) < 3 or len(answer) - 3 != answer[2] * size:
        raise Failure("form")
    return [_text(answer[at : at + size]) for at in range(3, len(answer), size)]


def _text(raw):
    """Without what fills it up; a byte that is no printable ASCII becomes a question mark."""
    return "".join([chr(c) if 32 <= c < 127 else "?" for c in bytes(raw).strip(b"\0 \xff")])
