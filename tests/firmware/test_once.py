"""once: what is needed for a moment is given back, wholly."""

import gc
import io
import os
import sys
from packed import put
from pigtail import once
from runner import raises

SIZE = 20000


def _module(name):
    """A module in the package `passing` that takes SIZE bytes while it is loaded."""
    try:
        os.mkdir("/passing")
    except OSError:
        pass
    put("/passing/%s.py" % name, b"kept = bytearray(%d)\ndef answer(x):\n    return x + len(kept)\n" % SIZE)
    if "/" not in sys.path:
        sys.path.append("/")


def _used():
    gc.collect()
    return gc.mem_alloc()


def test_module_is_forgotten_and_its_memory_given_back():
    _module("leaf")
    before = _used()
    assert once.call("passing.leaf", "answer", 1) == SIZE + 1
    assert "passing.leaf" not in sys.modules and not hasattr(sys.modules["passing"], "leaf")
    assert _used() - before < SIZE // 4


def test_module_that_came_with_it_is_forgotten_too():
    _module("other")
    put("/passing/user.py", b"from passing.other import answer\n")
    before = _used()
    assert once.call("passing.user", "answer", 2) == SIZE + 2
    assert "passing.user" not in sys.modules and "passing.other" not in sys.modules
    assert _used() - before < SIZE // 4


FULL = b"""from passing.part import answer
import ballast
n = 0
try:
    while True:
        ballast.held[n] = bytearray(1)
        n += 1
except MemoryError:
    for i in range(1, 100, 2):  # small pieces are free, and no large one
        ballast.held[n - i] = None
    raise
"""


def test_fault_8_module_that_finds_no_room_is_forgotten_with_what_came_with_it():
    _module("part")
    put("/ballast.py", b"held = [None] * 6000\n")
    put("/passing/full.py", FULL)
    import ballast

    try:
        with raises(MemoryError):
            once.call("passing.full", "answer", 4)
    finally:
        ballast.held = None
    assert "passing.full" not in sys.modules and "passing.part" not in sys.modules
    assert not hasattr(sys.modules["passing"], "part")


def test_module_that_was_there_before_stays():
    _module("lasting")
    import passing.lasting

    put("/passing/guest.py", b"from passing.lasting import answer\n")
    assert once.call("passing.guest", "answer", 3) == SIZE + 3
    assert sys.modules["passing.lasting"] is passing.lasting


def test_shed_part_works_and_no_other_is_made():
    class Part:
        def __init__(self):
            self.value = 7

        def get(self):
            return self.value

    part = Part()
    once.shed(part, None)
    assert part.get() == 7
    assert Part.__init__ is None


def test_shed_part_gives_back_what_made_the_kinds_that_its_own_inherits_from():
    class Base:
        START_ONLY = ("begin",)

        def __init__(self):
            self.value = self.begin()

        def begin(self):
            return 7

    class Part(Base):
        def __init__(self):
            super().__init__()

    part = Part()
    once.shed(part)
    assert part.value == 7
    assert Part.__init__ is None and Base.__init__ is None and Base.begin is None


def test_shed_part_of_a_kind_that_is_built_in_works():
    class Part(io.IOBase):
        def __init__(self):
            self.value = 7

    part = Part()
    once.shed(part, 7)
    assert part.value == 7 and Part.__init__ is None and io.BytesIO(b"x").read() == b"x"
