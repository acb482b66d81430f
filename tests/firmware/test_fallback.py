"""fallback.py: a firmware that cannot be loaded is a crash like any other, and gives way to the other slot's."""

import fallback
import os
import sys
from fakes import Machine
from pair import Pair
from pigtail.health import crashes


class Scene:
    """A device in its boot 7, with a firmware in each of `slots`, of which the first is in force."""

    def __init__(self, *slots):
        for name in os.listdir("/"):
            if name.startswith(("crashes.", "boots.", "slot.")):
                os.remove("/" + name)
        for slot in "a", "b":
            self._make(slot, slot in slots)
        Pair("/boots").write(b"\x07\0\0\0")
        Pair("/slot").write(slots[0].encode())
        self.slept, self.machine, self.paths = [], Machine(), list(sys.path)
        fallback.sleep, fallback.machine = self.slept.append, self.machine
        crashes.sleep = self.slept.append

    def _make(self, slot, has_firmware):
        for folder in "/" + slot, "/%s/pigtail" % slot:
            try:
                os.mkdir(folder)
            except OSError:
                pass
        try:
            os.remove("/%s/pigtail/app.mpy" % slot)
        except OSError:
            pass
        if has_firmware:
            open("/%s/pigtail/app.mpy" % slot, "w").close()

    def fails(self, times=1, error="planted"):
        """Boots whose firmware cannot be loaded; the slot that is in force then."""
        for _ in range(times):
            sys.path.insert(0, "/" + self.slot())
            try:
                raise ImportError(error)
            except ImportError as caught:
                fallback.restart(caught)
            finally:
                sys.path[:] = self.paths
        return self.slot()

    def is_bitten(self):
        """A boot after one that the watchdog has ended; the slot that is in force then."""
        sys.path.insert(0, "/" + self.slot())
        fallback.bitten()
        sys.path[:] = self.paths
        return self.slot()

    def slot(self):
        return Pair("/slot").read().decode()


def test_firmware_that_cannot_be_loaded_is_kept_as_the_last_crash_and_restarts():
    scene = Scene("a")
    assert scene.fails() == "a"
    assert (scene.machine.resets, scene.slept) == (1, [2])
    assert crashes.begin() == [1, False, "boot 7: ImportError: planted", True]


def test_third_time_in_a_row_the_other_slot_is_put_in_force_with_all_its_parts():
    for here, there in ("a", "b"), ("b", "a"):
        scene = Scene(here, there)
        assert [scene.fails() for _ in range(3)] == [here, here, there]
        assert crashes.begin() == [3, False, "boot 7: ImportError: planted", True]


def test_crash_of_the_firmware_in_the_other_slot_means_safe_mode():
    scene = Scene("a", "b")
    scene.fails(3)
    fallback.keep(ValueError("planted, too"))
    assert scene.slot() == "b"
    assert crashes.begin()[:2] == [4, True]


def test_crashes_of_a_firmware_that_runs_count_towards_the_three():
    scene = Scene("a", "b")
    for _ in range(2):
        fallback.keep(ValueError("planted"))
    assert (scene.slot(), scene.fails()) == ("a", "b")


def test_watchdog_that_bites_while_nothing_gets_as_far_as_safe_mode_puts_the_other_slot_in_force():
    scene = Scene("a", "b")
    assert [scene.is_bitten() for _ in range(4)] == ["a", "a", "a", "b"]
    assert crashes.begin() == [4, False, "boot 7: watchdog", True]


def test_watchdog_that_bites_a_firmware_that_runs_means_safe_mode_and_no_other_slot():
    scene = Scene("a", "b")
    safe = []
    for _ in range(6):
        scene.is_bitten()
        safe.append(crashes.begin()[1])
    assert (safe, scene.slot()) == ([False, False, True, True, True, True], "a")


def test_slot_that_is_put_in_force_is_loaded_from_at_once():
    scene = Scene("a", "b")
    for _ in range(3):
        scene.is_bitten()
    sys.path.insert(0, "/a")
    fallback.bitten()
    assert sys.path.pop(0) == "/b"


def test_without_a_firmware_in_the_other_slot_nothing_gives_way_and_safe_mode_is_left():
    scene = Scene("a")
    assert scene.fails(5) == "a"
    assert crashes.begin()[:2] == [5, True]


def test_two_firmwares_that_cannot_be_loaded_take_turns_ever_more_slowly():
    scene = Scene("a", "b")
    assert [scene.fails() for _ in range(9)] == ["a", "a", "b", "a", "b", "a", "b", "a", "b"]
    assert scene.slept == [2, 2, 2, 4, 8, 16, 32, 60, 60]
    scene.fails(250)
    assert scene.slept[-1] == 60 and scene.machine.resets == 259


def test_flash_that_refuses_does_not_keep_it_from_starting_again():
    scene = Scene("a", "b")
    scene.fails(2)
    inner = fallback.Pair

    class Refusing(inner):
        def write(self, payload):
            raise OSError(28)

    fallback.Pair = Refusing
    try:
        assert scene.fails() == "a"
    finally:
        fallback.Pair = inner
    assert scene.machine.resets == 3


def test_rotten_record_of_crashes_begins_at_one():
    scene = Scene("a", "b")
    for copy in 0, 1:
        with open("/crashes.%d" % copy, "wb") as f:
            f.write(b"PAIR rotten")
    assert scene.fails() == "a"
    assert crashes.begin()[0] == 1


def test_end_of_a_long_traceback_is_kept_in_ascii():
    scene = Scene("a")
    scene.fails(error="é" * 600)
    payload = Pair("/crashes").read()
    assert len(payload) == 6 + 512 and payload.endswith(b"???\n")
