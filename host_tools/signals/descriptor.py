"""The signal descriptor: a signal's bits as four bytes (firmware/SPEC.md, section 1), and how it reads them.

Bit numbers, with the data zero-padded to eight bytes; `start` is always that of the least significant bit.

    little-endian words                                    big-endian: the byte-swapped words

    byte   bit 7 ........ 0                                byte   bit 7 ........ 0
           +---------------+                                      +---------------+
      0    |  7 ........ 0 |  lo                             0    | 63 ....... 56 |  hi'
      1    | 15 ........ 8 |                                 1    | 55 ....... 48 |
      2    | 23 ....... 16 |                                 2    | 47 ....... 40 |
      3    | 31 ....... 24 |                                 3    | 39 ....... 32 |
           +---------------+                                      +---------------+
      4    | 39 ....... 32 |  hi                             4    | 31 ....... 24 |  lo'
      5    | 47 ....... 40 |                                 5    | 23 ....... 16 |
      6    | 55 ....... 48 |                                 6    | 15 ........ 8 |
      7    | 63 ....... 56 |                                 7    |  7 ........ 0 |
           +---------------+                                      +---------------+

A DBC names a big-endian signal by its most significant bit, counted as on the left: 7, 6 .. 0, 15, 14 ..;
`from_dbc` turns that into the numbering on the right.
"""

from typing import NamedTuple

from host_tools.signals.profile import ByteOrder, Signal

SIZE = 4
LAST = 0x80  # in a descriptor's last byte: its row ends with it
_SIGNED, _CROSSES, _S = 0x40, 0x20, 0x1F
_LO, _HI, _SWAPPED = 8, 4, 8  # where the words lie: lo, and how much further the others
WORD = 0xFFFFFFFF


class Bits(NamedTuple):
    """Where a signal lies: `Signal`'s fields of the same names."""

    start: int
    length: int
    byte_order: ByteOrder
    is_signed: bool


def from_dbc(start: int, length: int, byte_order: ByteOrder) -> tuple[int, ByteOrder]:
    """`Signal`'s start and byte order for a DBC's, in normal form: within one byte all is little-endian."""
    if byte_order == "little_endian":
        return start, "little_endian"
    last = (start // 8) * 8 + 7 - start % 8 + length - 1  # counted from the frame's first bit on the wire
    return _normal(63 - last, length)


def _normal(start: int, length: int) -> tuple[int, ByteOrder]:
    if start // 8 == (start + length - 1) // 8:
        return (7 - start // 8) * 8 + start % 8, "little_endian"
    return start, "big_endian"


def encode(signal: Signal, is_last: bool = False) -> bytes:
    """The descriptor of `signal` (up to 32 bits), in the normal form of `from_dbc`."""
    start, order = signal.start, signal.byte_order
    if order == "big_endian":
        start, order = _normal(start, signal.length)
    s, crosses = start % 32, start < 32 < start + signal.length
    left = 32 - signal.length - (0 if crosses else s)
    word = _LO + (start >= 32) * _HI + (order == "big_endian") * _SWAPPED
    rest = is_last * LAST | signal.is_signed * _SIGNED | (_CROSSES | s if crosses else 0)
    return bytes((left, 32 - signal.length, word, rest))


def decode(descriptor: bytes) -> Bits:
    """The inverse of `encode`, whatever it says of being the last. Raises ValueError where no signal has it."""
    left, right, word, rest = descriptor
    length = 32 - right
    order: ByteOrder = "big_endian" if word >= _LO + _SWAPPED else "little_endian"
    start = rest & _S if rest & _CROSSES else 32 - length - left + (32 if word & _HI else 0)
    fits = 0 <= start <= 64 - length and 0 < length <= 32
    bits = Bits(start, length, order, bool(rest & _SIGNED))
    if not fits or encode(Signal("", *bits), bool(rest & LAST)) != descriptor:
        raise ValueError(f"{descriptor.hex()} describes no signal")
    return bits


def extract(descriptor: bytes, data: bytes) -> int:
    """The raw value in a frame's `data` of up to 8 bytes: a signed 32-bit integer, as on the device."""
    left, right, place, rest = descriptor
    padded = data.ljust(8, b"\0")
    both = int.from_bytes(padded, "big" if place >= _LO + _SWAPPED else "little")
    lo, hi = both & WORD, both >> 32
    word = hi if place & _HI else lo
    if rest & _CROSSES:
        word = (lo >> (rest & _S) | hi << 32 - (rest & _S)) & WORD
    shifted = word << left & WORD
    return _as_int32(shifted) >> right if rest & _SIGNED else _as_int32(shifted >> right)


def _as_int32(word: int) -> int:
    return word - (1 << 32) if word >> 31 else word
