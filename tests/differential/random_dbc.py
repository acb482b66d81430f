"""DBC files made at random: both byte orders, all lengths, all places, both kinds of id, multiplexed twice over, floats."""

import random

MESSAGES = 40


def random_dbc(chance: random.Random) -> str:
    """The text of a DBC file; signals may overlap, as in the world."""
    lines, after = ['VERSION ""', "", "BS_:", "", "BU_: A", ""], []
    for number in range(MESSAGES):
        extended = chance.random() < 0.4
        identity = chance.getrandbits(29) if extended else chance.randrange(2048)
        identity = identity // 64 * 64 + number  # each is another's
        identity = identity | 1 << 31 if extended else identity % 2048
        size = chance.randint(1, 8)
        lines.append(f"BO_ {identity} M{number}: {size} A")
        kind = chance.choice(["plain", "plain", "simple", "extended"]) if size > 2 else "plain"
        for name, mark, ranges in _marks(chance, kind):
            line, is_float = _signal(chance, name, mark, size, name.startswith("X"))
            lines.append(line)
            if is_float:
                after.append(f"SIG_VALTYPE_ {identity} {name} : {is_float};")
            if ranges:
                after.append(f"SG_MUL_VAL_ {identity} {name} {ranges};")
        lines.append("")
    return "\n".join(lines + after) + "\n"


def _marks(chance: random.Random, kind: str) -> list[tuple[str, str, str]]:
    """(name, DBC's mark of multiplexing, extended ranges) of each signal; selectors are called X."""
    plain = [(f"S{n}", "", "") for n in range(chance.randint(1, 5))]
    if kind == "plain":
        return plain
    ids = chance.sample(range(8), 4)
    if kind == "simple":
        return [("X0", " M", ""), *plain, *((f"B{n}", f" m{ids[n % 3]}", "") for n in range(6))]
    low, high = sorted(ids[:2])
    outer = [(f"B{n}", f" m{ids[2]}", f"X0 {ids[2]}-{ids[2]}, {low}-{high}") for n in range(3)]
    inner = [(f"C{n}", f" m{n}", f"X1 {n}-{n + 1}") for n in range(3)]
    return [("X0", " M", ""), ("X1", f" m{ids[0]}M", f"X0 {low}-{high}"), *plain, *outer, *inner]


def _signal(chance: random.Random, name: str, mark: str, size: int, is_selector: bool) -> tuple[str, int]:
    """(SG_ line, 1 or 2 where it is a float)."""
    most = 8 if is_selector else 8 * size
    length = min(chance.choice([chance.randint(1, most), chance.randint(1, min(12, most))]), most)
    is_float = 0
    if not is_selector and size >= 4 and chance.random() < 0.15:
        length, is_float = (64, 2) if size == 8 and chance.random() < 0.5 else (32, 1)
    first = chance.randint(0, 8 * size - length)
    little = chance.random() < 0.5
    start = first if little else first // 8 * 8 + 7 - first % 8
    sign = "+" if is_selector or is_float or chance.random() < 0.5 else "-"
    factor = chance.choice(["1", "0.1", "2", "-0.5"])
    return f' SG_ {name}{mark} : {start}|{length}@{int(little)}{sign} ({factor},0) [0|0] "" A', is_float
