"""can/filters: all wanted ids pass the two masks and six filters, and few others: held against brute force."""

from pigtail.can.filters import EXTENDED, solve

ALL, STANDARD = 0x1FFFFFFF, 0x7FF


class Draw:
    """A sequence of numbers that is the same each time (a linear congruential generator)."""

    def __init__(self, seed):
        self._state = seed

    def below(self, n):
        self._state = (self._state * 1103515245 + 12345) & 0x7FFFFFFF
        return (self._state >> 8) % n


def _passes(registers, ident, extended=False):
    """The chip's rule (datasheet 4.5.2), from the registers alone."""
    key = ident | EXTENDED if extended else ident << 18
    for mask, filters in (registers[0], registers[1:3]), (registers[3], registers[4:8]):
        for f in filters:
            if (f ^ key) & (mask | EXTENDED) == 0:
                return True
    return False


def _admitted(registers):
    return [ident for ident in range(2048) if _passes(registers, ident)]


def _solved(ids):
    return solve([(ident, STANDARD, False) for ident in ids])


def _least(wanted, width):
    """The fewest ids of `width` bits that any two masks with two and four filters admit: all are tried."""
    least = 1 << width
    for mask0 in range(1 << width):
        classes = sorted({ident & mask0 for ident in wanted})
        pairs = [(a, b) for a in classes for b in classes if a <= b]
        for a, b in pairs:
            rest = [ident for ident in wanted if ident & mask0 not in (a, b)]
            open0 = (1 if a == b else 2) << _clear(mask0, width)
            if open0 >= least:
                continue
            for mask1 in range(1 << width):
                others = {ident & mask1 for ident in rest}
                if len(others) > 4 or len(others) << _clear(mask1, width) >= least:
                    continue
                admitted = 0
                for ident in range(1 << width):
                    if ident & mask0 in (a, b) or ident & mask1 in others:
                        admitted += 1
                least = min(least, admitted)
    return least


def _clear(mask, width):
    return width - sum([mask >> i & 1 for i in range(width)])


def test_up_to_six_ids_pass_alone():
    for ids in ([0x123], [0x100, 0x7FF], [0, 1, 2, 3], [0x100, 0x2A3, 0x2A4, 0x555], [1, 0x10, 0x77, 0x3F0, 0x555, 0x7E8]):
        assert _admitted(_solved(ids)) == sorted(ids)


def test_every_wanted_id_passes_whatever_they_are():
    draw = Draw(7)
    for size in (1, 3, 7, 12, 30, 80, 255):
        ids = sorted({draw.below(2048) for _ in range(size)})
        admitted = _admitted(_solved(ids))
        assert all([ident in admitted for ident in ids]), ids


def test_the_best_choice_there_is_admits_hardly_fewer():
    draw = Draw(3)
    ours = best = 0
    for size in (7, 8, 9, 10, 12, 7, 8, 9, 10, 12):
        wanted = sorted({draw.below(16) for _ in range(size)})
        registers = _solved([0x450 | ident for ident in wanted])  # the other bits are those of all
        admitted = _admitted(registers)
        least = _least(wanted, 4)
        assert least <= len(admitted) <= least * 5 // 4, (wanted, admitted, least)
        ours += len(admitted)
        best += least
    assert ours * 10 <= best * 11, (ours, best)


def test_ids_in_ranges_keep_the_rest_of_the_bus_out():
    ids = list(range(0x100, 0x110)) + list(range(0x3A0, 0x3A8)) + list(range(0x7E8, 0x7F0))
    assert _admitted(_solved(ids)) == ids


def test_ids_in_clusters_open_little_of_the_bus():
    draw = Draw(5)
    admitted = 0
    for size in (7, 10, 14, 20):
        for _ in range(3):
            ids = sorted({0x100 * draw.below(7) + draw.below(48) for _ in range(size)})
            found = _admitted(_solved(ids))
            assert all([ident in found for ident in ids])
            admitted += len(found)
    assert admitted <= 1400, admitted  # of 12 times 2048; dividing alone, without moving single ids, admits 1488


def test_29_bit_ids_pass_alone_and_no_11_bit_id_with_them():
    ids = [0x18DAF110, 0x18DAF111, 0x0CF00400, 0x18FEF100]
    registers = solve([(ident, ALL, True) for ident in ids])
    assert all([_passes(registers, ident, True) for ident in ids])
    assert _admitted(registers) == []
    for ident in ids:
        for bit in range(29):
            other = ident ^ 1 << bit
            assert _passes(registers, other, True) == (other in ids), hex(other)


def test_both_widths_pass_and_no_mask_touches_the_data_bytes_of_11_bit_frames():
    draw = Draw(11)
    for base, extended in (1, 1), (2, 4), (4, 2), (20, 1), (1, 20), (15, 15):
        short = {draw.below(2048) for _ in range(base)}
        long = {draw.below(1 << 29) for _ in range(extended)}
        registers = solve([(ident, STANDARD, False) for ident in short] + [(ident, ALL, True) for ident in long])
        assert all([_passes(registers, ident) for ident in short])
        assert all([_passes(registers, ident, True) for ident in long])
        for mask, filters in (registers[0], registers[1:3]), (registers[3], registers[4:8]):
            if not all([f & EXTENDED for f in filters]):
                assert mask & 0x3FFFF == 0, hex(mask)


def test_fault_36_what_testers_ask_at_passes_beside_a_profile_and_little_more():
    ids = [0x100, 0x101, 0x130, 0x2A0, 0x2A1, 0x35C, 0x402, 0x520, 0x7EA, 0x7EC]
    also = [(0x7DF, STANDARD, False), (0x7E0, 0x7F8, False), (0x18DB33F1, ALL, True), (0x18DA00F1, ALL ^ 0xFF00, True)]
    registers = solve([(ident, STANDARD, False) for ident in ids] + also)
    admitted = _admitted(registers)
    assert all([ident in admitted for ident in ids + [0x7DF] + list(range(0x7E0, 0x7E8))])
    assert all([_passes(registers, 0x18DA00F1 | ecu << 8, True) for ecu in range(256)]) and _passes(registers, 0x18DB33F1, True)
    assert len(admitted) <= 256, len(admitted)  # of 2048, with six filters for all of them


def test_bits_that_do_not_count_are_not_compared():
    for masks in ((0x7F8, 0x7FF), (0x7FF, 0x7F8), (0x7F8, 0x7F8), (0x70F, 0x7FF)):
        registers = solve([(0x120, masks[0], False), (0x2A0, masks[1], False)])
        fits = [i for i in range(2048) if (i ^ 0x120) & masks[0] == 0 or (i ^ 0x2A0) & masks[1] == 0]
        assert _admitted(registers) == fits, (masks, _admitted(registers))
