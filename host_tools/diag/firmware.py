"""The device's own readers of answers, firmware/pigtail/diag/dtc.py and obd.py, run here: what they say is said once.

`Failure` stands for the device's own.
"""

from collections.abc import Awaitable, Callable, Mapping
from types import SimpleNamespace
from typing import Any

from host_tools.firmware_modules import Modules

_UNSUPPORTED = (0x11, 0x12, 0x31)


class Failure(Exception):
    """A request that came to nothing: `code` as in firmware/pigtail/diag/isotp.py, with the `nrc` of a negative answer; "silent":
    who was asked along with all others has nothing to say."""

    def __init__(self, code: str, nrc: int = 0) -> None:
        super().__init__(f"{code} {nrc:02x}" if nrc else code)
        self.code = code
        self.nrc = nrc

    @property
    def is_unsupported(self) -> bool:
        """Whether the ECU says that it does not have this (ISO 14229-1, A.1). All asked at once, it does so by its silence."""
        return self.nrc in _UNSUPPORTED or self.code == "silent"

    @property
    def is_silence(self) -> bool:
        """Whether nobody said anything."""
        return self.code in ("no_answer", "silent")


_modules = Modules({"pigtail.diag.isotp": SimpleNamespace(Failure=Failure)})
_dtc = _modules.module("pigtail.diag.dtc")
_obd = _modules.module("pigtail.diag.obd")

STORED: bytes = _obd.STORED
PENDING: bytes = _obd.PENDING
PERMANENT: bytes = _obd.PERMANENT
SUPPORTED_CODES: bytes = _dtc.supported_request()
KWP_CODES: bytes = _dtc.ALL
VIN: bytes = _obd.VIN
CALIBRATIONS: bytes = _obd.CALIBRATIONS


def code_text(code: int) -> str:
    """A trouble code as a mechanic reads it."""
    text: str = _dtc.text(code)
    return text


def status_names(byte: int) -> list[str]:
    """The names of the status bits that are set (ISO 14229-1, D.2)."""
    names: list[str] = _dtc.status(byte)
    return names


def kwp_status_names(byte: int) -> list[str]:
    """The same for ISO 14230-3."""
    names: list[str] = _dtc.kwp_status(byte)
    return names


def codes(answer: bytes) -> list[tuple[int, int | None]]:
    """(code, status) of an answer for codes; SAE J1979 has no status. Raises Failure."""
    found: list[tuple[int, int | None]] = _read(_dtc.codes, answer)
    return found


def codes_request(mask: int) -> bytes:
    """For the codes with one of these status bits."""
    request: bytes = _dtc.request(mask)
    return request


def count_request(mask: int) -> bytes:
    """For the number of those."""
    request: bytes = _dtc.count_request(mask)
    return request


def count(answer: bytes) -> int:
    """The number in its answer. Raises Failure."""
    number: int = _read(_dtc.count, answer)
    return number


def read_request(did: int) -> bytes:
    """For the data of an identifier."""
    return bytes((0x22, did >> 8, did & 0xFF))


def snapshot_request(code: int) -> bytes:
    """For all snapshots of a code."""
    request: bytes = _dtc.snapshot_request(code)
    return request


def snapshot(answer: bytes, lengths: Mapping[int, int]) -> dict[int, dict[int | None, bytes]]:
    """What a snapshot's answer has by the number of its record and by identifier. From one on whose length is not known, all
    that follows stands under None. Raises Failure."""
    records: dict[int, dict[int | None, bytes]] = _read(_dtc.snapshot, answer, lengths)[2]
    return records


def extended_request(code: int) -> bytes:
    """For all extended data records of a code."""
    request: bytes = _dtc.extended_request(code)
    return request


def extended(answer: bytes) -> bytes:
    """The records in its answer with their numbers; only the maker knows where one ends. Raises Failure."""
    data: bytes = _read(_dtc.extended, answer)[2]
    return data


def texts(answer: bytes, size: int) -> list[str]:
    """The texts of `size` characters in an answer of service 09. Raises Failure."""
    found: list[str] = _read(_obd.texts, answer, size)
    return found


def current_request(pid: int) -> bytes:
    """For a parameter as it is now."""
    request: bytes = _obd.request(pid)
    return request


def frozen_request(pid: int) -> bytes:
    """For a parameter of the freeze frame."""
    request: bytes = _obd.frozen_request(pid)
    return request


def value(answer: bytes) -> bytes:
    """The data of the one parameter in an answer of service 01 or 02. Raises Failure."""
    found: list[bytes] = list(_read(_obd.values, answer, {}).values())
    if not found:
        raise Failure("form")
    return found[0]


async def discover(ask: Callable[[bytes], Awaitable[bytes]], service: int) -> list[int]:
    """All parameters that an ECU has in service 01 or 02. Raises Failure."""
    try:
        found: list[int] = await _obd.discover(ask, service)
    except IndexError as error:
        raise Failure("form") from error
    return found


def _read(reader: Callable[..., Any], answer: bytes, *rest: object) -> Any:
    """What a device would lose an answer by is an answer of the wrong form here, too."""
    try:
        return reader(answer, *rest)
    except IndexError as error:
        raise Failure("form") from error
