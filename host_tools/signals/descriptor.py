"""The signal descriptor: a signal's bits as one u32 (firmware/SPEC.md, section 1), and how it reads them.

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

_R, _HI, _CROSSES, _SIGNED, _BIG, _S = 5, 10, 11, 12, 13, 14
_FIELD = 0x1F
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


def encode(signal: Signal) -> int:
    """The descriptor of `signal` (up to 32 bits), in the normal form of `from_dbc`."""
    start, order = signal.start, signal.byte_order
    if order == "big_endian":
        start, order = _normal(start, signal.length)
    s, crosses = start % 32, start < 32 < start + signal.length
    left = 32 - signal.length - (0 if crosses else s)
    flags = (start >= 32) << _HI | crosses << _CROSSES
    flags |= signal.is_signed << _SIGNED | (order == "big_endian") << _BIG
    return left | 32 - signal.length << _R | flags | s << _S


def decode(descriptor: int) -> Bits:
    """The inverse of `encode`. Raises ValueError where no signal has that descriptor."""
    length = 32 - (descriptor >> _R & _FIELD)
    start = (descriptor >> _S & _FIELD) + (descriptor >> _HI & 1) * 32
    order: ByteOrder = "big_endian" if descriptor >> _BIG & 1 else "little_endian"
    bits = Bits(start, length, order, bool(descriptor >> _SIGNED & 1))
    if start + length > 64 or encode(Signal("", *bits)) != descriptor:
        raise ValueError(f"0x{descriptor:08x} describes no signal")
    return bits


def extract(descriptor: int, data: bytes) -> int:
    """The raw value in a frame's `data` of up to 8 bytes: a signed 32-bit integer, as on the device."""
    padded = data.ljust(8, b"\0")
    order: ByteOrder = "big_endian" if descriptor >> _BIG & 1 else "little_endian"
    both = int.from_bytes(padded, "big" if order == "big_endian" else "little")
    lo, hi = both & WORD, both >> 32
    word = hi if descriptor >> _HI & 1 else lo
    if descriptor >> _CROSSES & 1:
        s = descriptor >> _S & _FIELD
        word = (lo >> s | hi << 32 - s) & WORD
    shifted = word << (descriptor & _FIELD) & WORD
    if not descriptor >> _SIGNED & 1:
        return _as_int32(shifted >> (descriptor >> _R & _FIELD))
    return _as_int32(shifted) >> (descriptor >> _R & _FIELD)


def _as_int32(word: int) -> int:
    return word - (1 << 32) if word >> 31 else word
