"""Checksums of frames by the rules that cars use, each over the frame's other bits (the checksum's own count as 0, or its byte
is left out). What the device judges by (firmware/pigtail/signals/quality.py), for logs on the host.

xor8                exclusive or of all bytes
sum8                their sum, modulo 256
sum8_id_complement  255 less the sum of all bytes and those of the id, modulo 256: the demo car's
crc8_j1850          CRC-8 of SAE J1850 (polynomial 1D, start and final exclusive or FF), the checksum's byte left out
toyota              sum of all bytes, those of the id, and the data length, modulo 256 (opendbc, toyota.py)
honda               8 less the sum of all nibbles and those of the id, 3 more for a 29-bit id, modulo 16 (opendbc, honda)
hyundai_nibbles     what brings the sum of all nibbles to 0 modulo 16 (opendbc, hyundai)
hyundai_crc8        CRC with polynomial 1D, start FD, final exclusive or DF, the checksum's byte left out (opendbc, hyundai)
"""

from host_tools.errors import InputError
from host_tools.signals.message import CHECKSUM_RULES
from host_tools.signals.signal import Signal


def expected(rule: str, arbitration_id: int, is_extended_id: bool, data: bytes, signal: Signal) -> int:
    """The raw value that `signal` must have in a frame, unsigned. Raises InputError where it does not lie within one byte."""
    return _whole(rule, arbitration_id, is_extended_id, data, signal) & (1 << signal.length) - 1


def _whole(rule: str, arbitration_id: int, is_extended_id: bool, data: bytes, signal: Signal) -> int:
    if rule not in CHECKSUM_RULES:
        raise InputError(f'there is no checksum rule "{rule}"')
    at, mask = place(signal)
    if rule in ("crc8_j1850", "hyundai_crc8"):
        start, final = (0xFF, 0xFF) if rule == "crc8_j1850" else (0xFD, 0xDF)
        return _crc8(data[:at] + data[at + 1 :], start) ^ final
    cleared = bytes(byte & ~mask & 0xFF if i == at else byte for i, byte in enumerate(data))
    ident = arbitration_id.to_bytes(4, "big")
    if rule == "xor8":
        xor = 0
        for byte in cleared:
            xor ^= byte
        return xor
    if rule == "sum8":
        return sum(cleared) % 256
    if rule == "sum8_id_complement":
        return 255 - sum(cleared + ident) % 256
    if rule == "toyota":
        return (sum(cleared + ident) + len(data)) % 256
    if rule == "honda":
        return (8 - _nibbles(cleared + ident) + 3 * is_extended_id) % 16
    return -_nibbles(cleared) % 16


def place(signal: Signal) -> tuple[int, int]:
    """(byte, mask within it) of a signal. Raises InputError where it does not lie within one byte."""
    first = signal.start // 8
    if first != (signal.start + signal.length - 1) // 8:
        raise InputError(f"checksum {signal.name}: it must lie within one byte")
    at = first if signal.byte_order == "little_endian" else 7 - first
    return at, (1 << signal.length) - 1 << signal.start % 8


def _nibbles(data: bytes) -> int:
    return sum((byte & 15) + (byte >> 4) for byte in data)


def _crc8(data: bytes, crc: int) -> int:
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc << 1 ^ (0x11D if crc & 0x80 else 0)
    return crc
