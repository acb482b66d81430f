"""Trouble codes: their text form (SAE J2012), and those that an ECU has at a time until they are cleared.

code = "U0100-87"       with or without the failure type behind it
status = 0x2f           its status bits (ISO 14229-1, D.2)
since = 20              it appears then (s); until = 60: and goes by itself
permanent = true        service 0A tells it, and clearing leaves it there
snapshot = { "010c" = "1af8" }   identifiers of record 1
extended = { "01" = "05" }       extended records
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf

from host_tools.signals.typed import FaultError

PENDING, CONFIRMED = 0x04, 0x08  # status bits
_NOT_TESTED = 0x50  # since the last clear, and in this operation cycle
_TEXT = re.compile(r"([PCBU])([0-3][0-9A-F]{3})(?:-([0-9A-F]{2}))?")
_ALL = 0xFFFFFF


def parse(text: str) -> int:
    """The 24 bits of a code's text. Raises FaultError."""
    match = _TEXT.fullmatch(text.upper())
    if not match:
        raise FaultError(f'"{text}" is no trouble code: give one such as "P0420" or "U0100-87"')
    return "PCBU".index(match[1]) << 22 | int(match[2], 16) << 8 | int(match[3] or "0", 16)


@dataclass(frozen=True)
class Code:
    """One trouble code; times in s since the car started."""

    code: int
    status: int = 0x2F
    since: float = 0.0
    until: float = inf
    permanent: bool = False
    snapshot: Mapping[int, bytes] = field(default_factory=dict)  # by identifier
    extended: Mapping[int, bytes] = field(default_factory=dict)  # by record


class Memory:
    """The codes of one ECU, and when each was cleared."""

    def __init__(self, codes: Sequence[Code]) -> None:
        self._codes = codes
        self._cleared: dict[int, float] = {}
        self._all_cleared: float | None = None

    def stored(self, at: float, mask: int = 0xFF) -> list[Code]:
        """Those that are there and have a bit of `mask` in their status."""
        return [code for code in self._there(at) if code.status & mask and code.since > self._cleared.get(code.code, -inf)]

    def supported(self, at: float) -> list[Code]:
        """All that this ECU can have; what is not stored: a test that passed, or was not made since a clearing."""
        stored = {code.code: code for code in self.stored(at)}
        return [
            stored.get(number) or replace(code, status=_NOT_TESTED if number in self._cleared else 0)
            for number, code in {code.code: code for code in self._codes}.items()
        ]

    def keeps_frame(self, code: int, at: float) -> bool:
        """Whether a freeze frame for this code is still there: as long as the code is, or else until all are cleared."""
        if code in [each.code for each in self._codes]:
            return self.find(code, at) is not None
        return self._all_cleared is None

    def permanent(self, at: float) -> list[Code]:
        """Those that no tester clears."""
        return [code for code in self._there(at) if code.permanent]

    def find(self, code: int, at: float) -> Code | None:
        """The one of these 24 bits."""
        return next((each for each in self.stored(at) if each.code == code), None)

    def clear(self, group: int, at: float) -> bool:
        """Clears a code, or all (FFFFFF); False when there is no such one in this ECU."""
        chosen = [code.code for code in self._codes if group in (code.code, _ALL)]
        self._cleared.update(dict.fromkeys(chosen, at))
        if group == _ALL:
            self._all_cleared = at
        return bool(chosen) or group == _ALL

    def _there(self, at: float) -> Iterator[Code]:
        return (code for code in self._codes if code.since <= at < code.until)
