"""Guards: a profile's rules for counters and checksums, made ready for `signals.quality`: loaded at the start and forgotten."""

from array import array
from micropython import const

_NONE = const(0xFFFF)
_RULE = const(12)  # bytes of a rule
_WORDS = const(16)  # of a guard
_CRC, _SUM = const(1), const(2)  # kinds of guard
_STARTS = {4: 0xFF, 8: 0xFD}  # of the CRCs, by kind of rule, and what they end with
_ENDS = {4: 0xFF, 8: 0xDF}
_SUMS = {1: (1, 0, 0, 0), 2: (0, 1, 0, 0), 3: (0, -1, 0, 0), 5: (0, 1, 0, 1), 6: (0, 0, -1, 0), 7: (0, 0, -1, 0)}
# how often the exclusive or, the sums of bytes and nibbles, and the data length count


def make(profile):
    """(of each message the number of its guard, from 1 on, or 0; the words of all guards)."""
    rules = len(profile.rules) // _RULE
    guard_of, guards = bytearray(profile.messages), array("i", bytes(4 * _WORDS * rules))
    for r in range(rules):
        guard_of[profile.rule(r, 0)] = r + 1
        for i, word in enumerate(_guard(profile, r)):
            guards[_WORDS * r + i] = word
    return guard_of, guards


def _guard(profile, r):
    """What `_judge_frames` reads: 0 kind of checksum, 1 its byte, 2 shift and 3 mask, 4 start, 5 end of a CRC, 6-9 factors of a
    sum; 10 modulo of the counter, 11 its byte, 12 shift, 13 mask, 14 step, 15 the last one."""
    words = [0] * _WORDS
    checksum, kind = profile.rule(r, 4), profile.rule(r, 5)
    if checksum != _NONE:
        at = profile.shift_of(checksum)
        words[1:4] = at >> 3, at & 7, profile.mask_of(checksum)
        if kind in _STARTS:
            words[0], words[4], words[5] = _CRC, _STARTS[kind], _ENDS[kind]
        else:
            words[0], words[4] = _SUM, _constant(profile.message_id(profile.rule(r, 0)), kind)
            words[6:10] = _SUMS[kind]
    counter = profile.rule(r, 1)
    if counter != _NONE:
        at = profile.shift_of(counter)
        words[10] = profile.rule(r, 3)
        words[11:15] = at >> 3, at & 7, profile.mask_of(counter), profile.rule(r, 2)
    return words


def _constant(ident, kind):
    """What the arbitration id adds to a sum, and what the rule does."""
    extended = ident >> 29
    ident &= 0x1FFFFFFF
    total = nibbles = 0
    while ident:
        total += ident & 255
        nibbles += (ident & 15) + (ident >> 4 & 15)
        ident >>= 8
    return {3: 255 - total, 5: total, 6: 8 - nibbles + 3 * extended}.get(kind, 0)
