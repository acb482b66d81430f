"""health/crashes: three in a row mean safe mode, each is told once, and five good minutes make up for them."""

import asyncio
import fallback
import os
from fakes import Machine
from pair import Pair
from pigtail.health import crashes
from pigtail.health.events import Events

POWER_ON, HARD, WATCHDOG, DEEP_SLEEP = 1, 2, 3, 4


class Clock:
    def __init__(self):
        self.now = 0

    def ms(self):
        return self.now


class Scene:
    """A device whose flash knows of no crash, in its boot 7."""

    def __init__(self):
        for name in os.listdir("/"):
            if name.startswith(("crashes.", "boots.")):
                os.remove("/" + name)
        Pair("/boots").write(b"\x07\0\0\0")
        self.slept = []
        self.clock, self.machine = Clock(), Machine()
        crashes.uptime, crashes.machine, crashes.sleep = self.clock, self.machine, self.slept.append

    def starts(self, cause=HARD):
        """A boot, and what it says of crashes."""
        self.events, self.heartbeats = Events(8, "t/event", None), []
        self.clock.now = 0
        if cause == WATCHDOG:
            fallback.bitten()  # as main.py does
        self.crashes = crashes.begin()
        if self.crashes[3]:
            crashes.tend(self.crashes, self.events, self.heartbeats)
        return self.crashes[:2]

    def crashes_and_starts(self, error="planted"):
        try:
            raise ValueError(error)
        except ValueError as caught:
            crashes.keep(caught)
        return self.starts()

    def lives(self, ms, step=1000):
        """Up to that uptime, its heartbeats called each second."""
        while self.clock.now < ms:
            self.clock.now += step
            for beat in list(self.heartbeats):
                beat()

    def told(self):
        """All events are acknowledged."""
        texts = [event[3] for event in self.events.waiting if event[2] == "crash"]
        self.events.waiting.clear()
        self.lives(self.clock.now + 1000)
        return texts


def test_device_that_never_crashed_has_nothing_to_tend():
    scene = Scene()
    assert scene.starts(POWER_ON) == [0, False]
    assert scene.crashes == [0, False, "", False]
    assert "crashes.0" not in os.listdir("/") and "crashes.1" not in os.listdir("/")


def test_crash_is_told_with_its_traceback_and_only_once():
    scene = Scene()
    assert scene.crashes_and_starts() == [1, False]
    assert scene.crashes[2] == "boot 7: ValueError: planted"
    (text,) = scene.told()
    assert text.startswith("boot 7: Traceback") and "crashes_and_starts" in text and text.strip().endswith("ValueError: planted")
    assert scene.starts(POWER_ON) == [1, False]
    assert scene.told() == []


def test_crash_that_nobody_acknowledged_is_told_again():
    scene = Scene()
    scene.crashes_and_starts()
    scene.lives(5000)
    scene.starts(POWER_ON)
    assert len(scene.told()) == 1


def test_crash_that_was_dropped_among_other_events_is_told_again():
    scene = Scene()
    scene.crashes_and_starts()
    for _ in range(20):
        scene.events.add("overrun")
    assert scene.told() == []
    scene.starts(POWER_ON)
    assert len(scene.told()) == 1


def test_long_traceback_is_cut_to_its_end():
    scene = Scene()
    scene.crashes_and_starts("x" * 600 + " the end")
    (text,) = scene.told()
    assert len(text) < 540 and text.strip().endswith("the end")


def test_watchdog_counts_as_a_crash_of_the_boot_before():
    scene = Scene()
    assert scene.starts(WATCHDOG) == [1, False]
    assert scene.told() == ["boot 7: watchdog"]


def test_third_crash_in_a_row_means_safe_mode():
    scene = Scene()
    assert [scene.crashes_and_starts() for _ in range(3)] == [[1, False], [2, False], [3, True]]


def test_two_crashes_and_a_watchdog_mean_safe_mode():
    scene = Scene()
    scene.crashes_and_starts()
    scene.crashes_and_starts()
    assert scene.starts(WATCHDOG) == [3, True]


def test_power_cuts_and_restarts_between_crashes_do_not_count_and_do_not_forgive():
    scene = Scene()
    for cause in POWER_ON, HARD, DEEP_SLEEP:
        scene.starts(cause)
    assert scene.crashes_and_starts() == [1, False]
    scene.starts(POWER_ON)
    assert scene.crashes_and_starts() == [2, False]
    scene.starts(DEEP_SLEEP)
    assert scene.crashes_and_starts() == [3, True]


def test_five_minutes_without_a_crash_make_up_for_those_before():
    scene = Scene()
    scene.crashes_and_starts()
    scene.crashes_and_starts()
    scene.told()
    scene.lives(299000)
    assert scene.crashes[0] == 2 and scene.heartbeats
    scene.lives(301000)
    assert scene.crashes[0] == 0 and not scene.heartbeats
    assert scene.crashes_and_starts() == [1, False]


def test_crash_that_comes_just_before_five_minutes_counts():
    scene = Scene()
    for _ in range(2):
        scene.crashes_and_starts()
        scene.lives(299000)
    assert scene.crashes_and_starts() == [3, True]


def test_any_restart_but_a_crash_ends_safe_mode_and_another_crash_brings_it_back_at_once():
    for cause in POWER_ON, HARD, DEEP_SLEEP:
        scene = Scene()
        for _ in range(3):
            scene.crashes_and_starts()
        assert scene.crashes[1]
        assert scene.starts(cause) == [3, False]
        assert scene.crashes_and_starts() == [4, True]
        assert scene.starts(cause) == [4, False]
        scene.lives(301000)
        assert scene.starts(cause) == [0, False]


def test_safe_mode_tries_all_again_after_six_hours_and_not_before():
    scene = Scene()
    for _ in range(3):
        scene.crashes_and_starts()
    scene.lives(6 * 3600 * 1000 - 60000, 60000)
    assert scene.machine.resets == 0 and scene.crashes[0] == 3
    scene.lives(6 * 3600 * 1000 + 60000, 60000)
    assert scene.machine.resets > 0


def test_crashes_in_safe_mode_come_ever_more_slowly():
    scene = Scene()
    for _ in range(14):
        scene.crashes_and_starts()
    assert scene.crashes[1] and scene.slept[:3] == [4, 8, 16] and scene.slept[-1] == 60


def test_crashes_in_a_row_stay_counted_when_they_are_too_many_to_count():
    scene = Scene()
    for _ in range(300):
        scene.crashes_and_starts()
    assert scene.crashes[:2] == [255, True]


def test_flash_is_written_once_for_a_crash_once_when_it_was_told_and_once_when_healthy():
    scene = Scene()
    writes = []
    inner = crashes.Pair.write
    crashes.Pair.write = lambda pair, payload: writes.append(inner(pair, payload))
    try:
        scene.crashes_and_starts()
        scene.lives(60000)
        assert len(writes) == 1
        scene.told()
        scene.lives(250000)
        assert len(writes) == 2
        scene.lives(400000)
        assert len(writes) == 3
    finally:
        crashes.Pair.write = inner


def test_power_cut_while_a_crash_is_written_leaves_the_one_before():
    scene = Scene()
    scene.crashes_and_starts("first")
    with open("/crashes.1", "rb") as f:
        older = f.read()
    scene.crashes_and_starts("second")
    with open("/crashes.0", "rb") as f:
        whole = f.read()
    for size in range(0, len(whole), 7):
        with open("/crashes.0", "wb") as f:
            f.write(whole[:size])
        assert scene.starts(POWER_ON) == [1, False] and "first" in scene.crashes[2]
    assert older


def test_flash_that_refuses_does_not_keep_the_device_from_starting():
    scene = Scene()
    inner = crashes.Pair

    class Refusing(inner):
        def write(self, payload):
            raise OSError(28)

    crashes.Pair = fallback.Pair = Refusing
    try:
        assert scene.crashes_and_starts() == [0, False]
        assert scene.starts(WATCHDOG) == [0, False]
    finally:
        crashes.Pair = fallback.Pair = inner


def test_rotten_or_foreign_content_counts_as_none():
    scene = Scene()
    Pair("/crashes").write(b"abc")
    assert scene.starts(POWER_ON) == [0, False] and not scene.crashes[3]


def test_parts_of_a_crashed_application_are_forgotten_so_that_there_is_memory_to_keep_it():
    scene = Scene()

    async def part():
        pass

    asyncio.create_task(part())
    scene.crashes_and_starts()
    assert asyncio.core._task_queue.peek() is None
