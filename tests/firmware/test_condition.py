"""can/condition and can/recovery: what the bus suffers is counted, told, and answered with less and less sending."""

import asyncio
from fakes import Can, stopped
from mcp2515_model import LISTEN_ONLY, NORMAL, Chip
from pigtail.can import mcp2515
from pigtail.can.bus import Bus
from pigtail.can.condition import STATES, Condition
from pigtail.can.mcp2515 import MCP2515
from pigtail.outbox.ledger import Ledger
from runner import raises

ACTIVE, WARNING, PASSIVE, BUS_OFF = 1, 2, 3, 4
MINUTE = 60_000


class Controller(Can):
    """Frames come when the test says so; states and counters are what it says."""

    MODE_NORMAL, MODE_SILENT = 0, 4

    def __init__(self):
        super().__init__([(0x123, b"12345678")])
        self._next = 1
        self.now = ACTIVE
        self.starts = []
        self.wedged = False

    def init(self, rate, mode):
        self.starts.append((rate, mode))
        self.now = ACTIVE
        self.overruns = 0
        self.wedged = False

    def deinit(self):
        pass

    def state(self):
        return self.now

    def comes(self, bus, frames):
        for _ in range(0 if self.wedged else frames):
            self._next = 0
            bus.drain()


class Scene:
    def __init__(self, silent=True):
        self.can = Controller()
        self.bus = Bus(self.can, 500_000)
        self.bus.open()
        self.bus.silent = silent
        self.said = []
        self.ledger = Ledger()
        self.condition = Condition(self.bus, lambda kind, text: self.said.append((kind, text)), self.ledger, 7)
        self.now = 0
        self.condition.check(0)

    def passes(self, ms, frames=10, step=1000):
        """Lets time pass, with so many frames in each step."""
        end = self.now + ms
        while self.now < end:
            self.now += step
            self.can.comes(self.bus, frames)
            self.condition.check(self.now)

    def bus_off(self, after_ms):
        self.passes(after_ms)
        self.can.now = BUS_OFF
        self.passes(1000)


def test_load_is_estimated_from_the_frames_that_were_heard():
    scene = Scene()
    scene.passes(3000, frames=2000)
    bits = (47 + 64) * 11 // 10
    assert scene.bus.frame_bits() == bits
    assert scene.condition.load == 100 * 2000 * bits // 500_000 == 48
    scene.passes(1000, frames=0)
    assert scene.condition.load == 0
    scene.passes(1000, frames=6000)
    assert scene.condition.load == 100


def test_longer_frames_of_29_bits_count_for_more():
    scene = Scene()
    scene.can._ids, scene.can._data, scene.can._flags = [1, 2], [memoryview(b""), memoryview(b"12345678")], [0, Can.FLAG_EXT_ID]
    scene.can.rewind()
    scene.bus.drain()
    assert scene.bus.frame_bits() == (47 + 47 + 64 + 20) * 11 // 20


def test_checks_between_two_seconds_do_nothing():
    scene = Scene()
    scene.passes(1000)
    scene.can.now = PASSIVE
    scene.passes(990, step=10)
    assert scene.condition.state == ACTIVE
    scene.passes(10, step=10)
    assert scene.condition.state == PASSIVE


def test_overruns_are_told_with_their_number_and_kept_over_a_fresh_start():
    scene = Scene()
    scene.passes(1000)
    scene.can.overruns = 17
    scene.passes(1000)
    assert scene.said == [("overrun", "17 more")]
    scene.passes(5000)
    scene.bus.listen()
    scene.can.overruns = 2
    scene.passes(50_000)
    assert len(scene.said) == 1, "not again within a minute"
    scene.passes(5000)
    assert scene.said[1:] == [("overrun", "2 more")]
    assert scene.bus.overruns() == 19


def test_fault_39_frames_that_the_controller_loses_stand_in_the_ledger_with_the_seconds_in_which_it_did():
    scene = Scene()
    scene.passes(1000)
    scene.can.overruns = 17
    scene.passes(1000)
    assert scene.ledger.peek() == (7, 0xFF, 1, 17, 1)
    scene.passes(70_000)
    scene.bus.listen()
    scene.can.overruns = 2
    scene.passes(1000)
    scene.can.overruns = 5
    scene.passes(5500, step=5500)  # the loop was busy with something else
    assert len(scene.ledger) == 2
    scene.ledger.acknowledge(scene.ledger.peek())
    assert scene.ledger.peek() == (7, 0xFF, 72, 5, 7)


def test_error_states_are_told_as_they_change():
    scene = Scene(silent=False)
    scene.passes(2000)
    for state in WARNING, PASSIVE, ACTIVE:
        scene.can.now = state
        scene.passes(2000)
        assert scene.condition.state == state
    assert scene.said == [("bus_state", name) for name in ("warning", "passive", "active")]
    assert STATES[PASSIVE] == "passive"


def test_bit_rate_is_unknown_until_frames_have_proved_it():
    scene = Scene()
    scene.passes(60_000, frames=0)
    assert scene.bus.bitrate == 0
    scene.passes(1000, frames=2)
    assert scene.bus.bitrate == 0
    scene.passes(1000, frames=1)
    assert scene.bus.bitrate == 500_000
    scene.bus.listen()
    assert scene.bus.bitrate == 500_000, "the same rate"
    scene.bus.listen(250_000)
    assert scene.bus.bitrate == 0


def test_bus_off_is_answered_by_listening_and_sending_comes_back_after_a_wait():
    scene = Scene(silent=False)
    scene.bus_off(1000)
    assert scene.can.starts == [(500_000, Controller.MODE_SILENT)]
    received = scene.bus.received
    scene.passes(4000)
    assert scene.bus.received == received + 40
    assert scene.bus.silent
    scene.passes(1000)
    assert scene.can.starts == [(500_000, Controller.MODE_SILENT), (500_000, Controller.MODE_NORMAL)]
    scene.bus_off(MINUTE)
    scene.passes(9000)
    assert scene.bus.silent, "the second wait is twice as long"
    scene.passes(1000)
    assert not scene.bus.silent


def test_fault_34_bus_off_three_times_in_ten_minutes_silences_for_good_and_receiving_resumes():
    scene = Scene(silent=False)
    for _ in range(3):
        scene.bus_off(3 * MINUTE)
    assert scene.bus.muted
    assert scene.bus.bus_offs == 3
    assert scene.said[-1] == ("bus_off", "3 times in ten minutes: silent until the owner says otherwise")
    received = scene.bus.received
    scene.passes(60 * MINUTE)
    assert scene.bus.received == received + 36_000
    scene.bus.listen(silent=False)  # whoever asks
    assert scene.can.starts[-1] == (500_000, Controller.MODE_SILENT)
    assert scene.bus.silent
    scene.bus.muted = False  # the owner
    scene.bus.listen(silent=False)
    assert scene.can.starts[-1] == (500_000, Controller.MODE_NORMAL)


def test_fault_34_bus_off_that_a_listening_controller_tells_by_mistake_never_ends_in_sending():
    scene = Scene()
    for _ in range(2):
        scene.bus_off(MINUTE)
        assert scene.said[-1] == ("bus_off", "listening only")
        scene.passes(MINUTE)
    assert scene.can.starts == [(500_000, Controller.MODE_SILENT)] * 2


def test_bus_off_now_and_then_does_not_silence():
    scene = Scene(silent=False)
    for _ in range(5):
        scene.bus_off(6 * MINUTE)
    assert (scene.bus.bus_offs, scene.bus.muted) == (5, False)
    scene.passes(MINUTE)
    assert not scene.bus.silent


def test_reception_that_stalls_is_begun_anew_and_counted():
    scene = Scene()
    scene.passes(5000)
    scene.can.wedged = True
    scene.passes(9000)
    assert scene.can.starts == []
    scene.passes(1000)
    assert scene.can.starts == [(500_000, Controller.MODE_SILENT)]
    scene.passes(1000)
    assert scene.condition.stalls == 1
    assert scene.said == [("stall", "hears again, started anew")]


def test_bus_that_is_silent_is_no_stall_and_is_left_alone_more_and_more():
    scene = Scene()
    scene.passes(5000)
    scene.passes(60 * MINUTE, frames=0)
    assert scene.condition.stalls == 0
    assert len(scene.can.starts) == 10
    scene.passes(5000)
    assert (scene.condition.stalls, scene.said) == (0, [])


def test_condition_without_a_listener_only_counts():
    scene = Scene(silent=False)
    scene.condition._on_event = None
    scene.bus_off(1000)
    assert scene.bus.bus_offs == 1


def test_chip_in_bus_off_listens_again():
    chip = Chip()
    mcp2515.sleep_ms = chip.sleep_ms
    bus = Bus(MCP2515(chip, chip.cs, 500_000, MCP2515.MODE_NORMAL), 500_000)
    bus.open()
    bus.silent = False
    condition = Condition(bus)
    condition.check(0)
    chip.broken = True
    bus._can.send(0x7DF, b"\2\1\0")  # tests may
    chip.passes(1000)
    for _ in range(40):
        chip.passes(10)
    assert bus.state() == BUS_OFF
    condition.check(1000)
    chip.broken = False
    chip.passes(1000)
    assert (chip.mode, bus.bus_offs) == (LISTEN_ONLY, 1)
    chip.hears([(chip.now + 1000, 0x100, 0, b"\1\2\3\4")])
    chip.passes(1000)
    assert bus.drain() == 1
    condition.check(2000)
    condition.check(8000)
    chip.passes(1000)
    assert chip.mode == NORMAL


async def test_chip_that_was_not_there_for_its_fresh_start_is_heard_when_it_is_back():
    from pigtail.app import App

    class Without:  # a profile
        _sampler = _keeper = _profile = _tester = None

    chip = Chip()
    mcp2515.sleep_ms = chip.sleep_ms
    app = Without()
    app._bus = bus = Bus(MCP2515(chip, chip.cs, 500_000, interrupt=chip.int), 500_000)
    app._condition = Condition(bus)
    reset = bus._can._reset

    def fails():
        raise OSError("no MCP2515 answers")

    for is_there in False, True:
        bus._can._reset = reset if is_there else fails
        if not is_there:
            with raises(OSError):
                bus.listen()
            with raises(OSError):  # the part `bus` begins anew
                await App._read_bus(app, lambda: None)
    task = asyncio.create_task(App._read_bus(app, lambda: None))
    await asyncio.sleep_ms(10)
    chip.hears([(chip.now + 5000 * n, 0x100, 0, b"12345678") for n in range(1, 20)])
    for _ in range(20):
        chip.passes(1000)
        await asyncio.sleep_ms(5)
    await stopped(task)
    assert (bus.received, chip.mode) == (19, LISTEN_ONLY)
