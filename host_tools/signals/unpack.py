"""Packed bytes back to the profile: nothing in them is trusted, and what can be derived must be as derived."""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace

from host_tools.errors import InputError
from host_tools.signals import answer, descriptor, limits, tables, text
from host_tools.signals.profile import ON_CHANGE, UNSAMPLED, Message, Profile, Selection, Signal

CRC = struct.Struct("<I")


def unpack(data: bytes) -> Profile:
    """The profile in packed bytes, messages named by their ids, windows by requests. Raises InputError where it is damaged."""
    try:
        return _Bytes(data).profile()
    except (ValueError, InputError) as error:
        raise InputError(f"not a packed profile that can be used: {error}") from error


def _expect(condition: bool, otherwise: str) -> None:
    if not condition:
        raise ValueError(otherwise)


class _Bytes:
    """The parts of the file, found by its header."""

    def __init__(self, data: bytes) -> None:
        _expect(len(data) >= tables.HEADER.size + CRC.size, "it is too short")
        body = data[: -CRC.size]
        magic, version, _, self._messages, self._fields, _, size, *rest = tables.HEADER.unpack_from(body)
        _expect(magic == tables.MAGIC, "it does not begin with PTPF")
        _expect(version == tables.VERSION, f"its format version is {version}, this program knows {tables.VERSION}")
        self._periods, (branches, conditions, limited, ruled), quanta = rest[:8], rest[8:12], rest[20]
        self._at = tables.HEADER.size
        rows = self._messages + branches
        self._head = body[: self._at]
        self._rows = list(tables.ROW.iter_unpack(self._take(body, tables.ROW.size * rows)))
        self._descriptors = self._take(body, descriptor.SIZE * self._fields)
        self._classes = self._take(body, (self._fields + 3) // 4 * 4)[: self._fields]
        self._conditions = list(tables.CONDITION.iter_unpack(self._take(body, 8 * conditions)))
        self._take(body, limits.LIMIT.size * limited)
        self._rules = self._take(body, limits.RULE.size * ruled)
        self._take(body, limits.QUANTUM.size * quanta)
        self._tables = body[tables.HEADER.size : self._at]
        _expect(len(body) == self._at + size, "its length is not what its header says")
        _expect(zlib.crc32(body) == CRC.unpack(data[-CRC.size :])[0], "its checksum is wrong")
        self._text = body[self._at :]
        self._next_branch = self._messages

    def _take(self, body: bytes, size: int) -> bytes:
        part = body[self._at : self._at + size]
        _expect(len(part) == size, "its length is not what its header says")
        self._at += size
        return part

    def profile(self) -> Profile:
        halves = sum(1 for number in self._classes if number & tables.LOW_HALF)
        meanings = text.decompress(self._text, self._fields - halves)
        self._signals = list(self._decoded(iter(meanings.signals)))
        names = [signal.name for signal in self._signals]
        self._guards = {number: guards for number, *guards in limits.unpack_rules(self._rules, names)}
        asked = meanings.asking.requests
        self._names = {w.virtual_id: answer.name_of(request, w.at) for request in asked for w in request.windows}
        messages = tuple(self._message(i) for i in range(self._messages))
        profile = Profile(**meanings.head, messages=messages, asking=meanings.asking)
        _expect(meanings.purposes == list(profile.purposes), "its purposes contradict its signals")
        same = tables.header(profile, len(self._text)) == self._head
        _expect(same, "its header contradicts its tables")
        _expect(tables.tables(profile) == self._tables, "its tables contradict each other")
        return profile

    def _decoded(self, meanings: Iterator[text.Meaning]) -> Iterator[Signal]:
        """The signal of each field; a long one stands at both its halves."""
        index = 0
        while index < self._fields:
            meaning = next(meanings)
            bits = descriptor.decode(self._descriptors[descriptor.SIZE * index :][: descriptor.SIZE])
            fields = 2 if self._classes[index] & tables.LOW_HALF else 1
            same = (meaning.length, meaning.is_signed) == (bits.length, bits.is_signed) or fields == 2
            _expect(same, f"text and bits of {meaning.name} differ")
            place = bits._replace(length=meaning.length, is_signed=meaning.is_signed)
            period_ms = self._period(self._classes[index] & tables.CLASS_MASK)
            signal = Signal(meaning.name, *place, **meaning.rest._asdict(), period_ms=period_ms)
            _expect(signal.is_wide == (fields == 2), f"text and bits of {meaning.name} differ")
            yield from [signal] * fields
            index += fields

    def _period(self, number: int) -> int:
        special = {tables.CLASS_ON_CHANGE: ON_CHANGE, tables.CLASS_UNSAMPLED: UNSAMPLED}
        known = number in special or (number < len(self._periods) and self._periods[number] > 0)
        _expect(known, f"there is no period class {number}")
        return special[number] if number in special else int(self._periods[number])

    def _message(self, number: int) -> Message:
        """The message of a base row, with what its branch rows add."""
        key, _, _, _, flags, link = self._rows[number]
        _expect(key < 2 * tables.EXTENDED, f"its row of id {key:X} is out of bounds")
        signals = self._row_signals(number)
        if flags & tables.BRANCHES:
            for branch in self._branches(link):
                signals += self._selected(branch)
        arbitration_id = key & ~tables.EXTENDED
        guards = self._guards.get(number, (None, None))
        name = self._names.get(key, f"{arbitration_id:X}")
        return Message(arbitration_id, bool(key & tables.EXTENDED), name, tuple(signals), *guards)

    def _branches(self, first: int) -> Iterator[int]:
        _expect(first == self._next_branch, f"its branch row {first} is out of bounds")
        for number in range(first, len(self._rows)):
            self._next_branch = number + 1
            yield number
            if self._rows[number][4] & tables.LAST:
                return

    def _row_signals(self, number: int) -> list[Signal]:
        key, first, count, *_ = self._rows[number]
        _expect(count > 0 and first + count <= self._fields, f"its row of id {key:X} is out of bounds")
        return list(dict.fromkeys(self._signals[first : first + count]))

    def _selected(self, number: int) -> list[Signal]:
        """The signals of a branch row, with what selects them."""
        ident = self._rows[number][0]
        selector, first = ident & 0xFFFF, ident >> 16
        after = self._rows[number + 1][0] >> 16 if number + 1 < len(self._rows) else len(self._conditions)
        _expect(selector < self._fields, f"its branch row {number} is out of bounds")
        selection = Selection(self._signals[selector].name, tuple(self._conditions[first:after]))
        return [replace(signal, selection=selection) for signal in self._row_signals(number)]
