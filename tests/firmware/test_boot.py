"""boot.py: which slot's folder the firmware is taken from, by the pair /slot."""

import sys
from packed import get, put
from pair import Pair


def _slot():
    """The folder that boot.py puts first."""
    before = list(sys.path)
    try:
        exec(get("/root/boot.py").decode(), {"__name__": "__main__"})
        return sys.path[0]
    finally:
        sys.path[:] = before


def _pointing(*slots):
    put("/slot.0", b"")
    put("/slot.1", b"")
    for slot in slots:
        Pair("/slot").write(slot)


def test_no_pointer_boots_a():
    assert _slot() == "/a"


def test_pointer_names_the_slot():
    _pointing(b"a")
    assert _slot() == "/a"
    _pointing(b"b")
    assert _slot() == "/b"


def test_power_cut_while_the_pointer_was_written_boots_the_old_slot():
    _pointing(b"b", b"a")
    put("/slot.0", get("/slot.0")[:14])
    assert _slot() == "/b"


def test_both_pointers_damaged_boots_a():
    _pointing(b"b", b"b")
    put("/slot.0", b"\xff" * 17)
    put("/slot.1", b"\xff" * 17)
    assert _slot() == "/a"


def test_pointer_to_no_slot_boots_a():
    _pointing(b"c")
    assert _slot() == "/a"
