"""can/autobaud: finds the rate by listening, on the MCP2515's model and on a controller whose error counters stand still."""

import asyncio
import struct
from fakes import Time, stopped
from mcp2515_model import CONFIGURATION, LISTEN_ONLY, Chip
from packed import get, put
from pair import Pair
from pigtail import once
from pigtail.can import mcp2515
from pigtail.can.bus import Bus
from pigtail.can.mcp2515 import MCP2515
from runner import raises

EVERY = 2_500  # 0.1 us between two frames of a busy bus


def traffic(chip, count, every=EVERY):
    began = chip.now
    for n in range(count):
        yield began + every * (n + 1), 0x100 + n % 7, 0, b"\1\2\3\4"


class Scene:
    """The driver on the model, in a time of their own: one ms of it for one of the search's."""

    def __init__(self, bitrate, frames=2_000_000, every=EVERY, crystal_hz=16_000_000, keep=False):
        if not keep:
            Pair("/bitrate").write(b"none")
        self.chip = Chip(bitrate=bitrate, crystal_hz=crystal_hz)
        mcp2515.sleep_ms = self.chip.sleep_ms
        self.chip.hears(traffic(self.chip, frames, every))
        self.bus = Bus(MCP2515(self.chip, self.chip.cs, 500_000, interrupt=self.chip.int, crystal_hz=crystal_hz))
        self.modes = set()
        self.said = []
        self.beats = 0

    async def sleep_ms(self, ms):
        for _ in range(ms):
            self.chip.passes(1000)
            self.modes.add(self.chip.mode)
        await asyncio.sleep_ms(0)

    def beat(self):
        self.beats += 1

    def rates(self):
        """The rates that are tried from now on."""
        tried = []
        listen = self.bus.listen
        self.bus.listen = lambda rate: (tried.append(rate), listen(rate))
        return tried

    def search(self):
        from pigtail.can import autobaud

        autobaud.sleep_ms = self.sleep_ms
        return autobaud.search(self.bus, self.beat, lambda kind, text: self.said.append((kind, text)))

    async def gives_up(self, ms):
        """Searches for so long; whether it is still at it."""
        task = asyncio.create_task(self.search())
        end = self.chip.now + ms * 10_000
        while self.chip.now < end and not task.done():
            await asyncio.sleep_ms(0)
        searching = not task.done()
        await stopped(task)
        assert self.bus.rate == 0, "it would not be searched for again"
        return searching


async def test_every_rate_is_found_and_no_dominant_bit_is_sent():
    for rate in 10_000, 33_333, 50_000, 83_333, 100_000, 125_000, 250_000, 500_000, 800_000, 1_000_000:
        scene = Scene(rate, every=max(EVERY, 1_300_000_000 // rate))
        await scene.search()
        assert abs(scene.bus.bitrate - rate) * 100 <= rate, (rate, scene.bus.bitrate)
        assert (scene.chip.dominant, scene.chip.sent, scene.chip.ignored) == (0, [], [])
        assert scene.modes <= {LISTEN_ONLY, CONFIGURATION}
        assert scene.said == [("bitrate", "%d bit/s" % scene.bus.bitrate)]
        assert scene.beats


async def test_fault_40_wrong_bit_rate_is_never_acknowledged_while_it_is_searched_for():
    scene = Scene(470_000)  # a rate that none of ours meets
    assert await scene.gives_up(6000)
    assert scene.bus.bitrate == 0
    assert scene.chip.dominant == 0
    assert scene.chip.arrived > 20_000
    assert scene.modes <= {LISTEN_ONLY, CONFIGURATION}


async def test_fault_40_silent_bus_stays_unknown_and_is_not_acknowledged():
    scene = Scene(500_000, frames=0)
    assert await scene.gives_up(20_000)
    assert scene.bus.bitrate == 0
    assert (scene.chip.dominant, scene.said) == (0, [])
    scene.chip.hears(traffic(scene.chip, 100_000))
    await scene.search()
    assert scene.bus.bitrate == 500_000


async def test_bus_that_hardly_speaks_is_waited_for():
    scene = Scene(125_000, frames=1000, every=7_000_000)  # a frame in 0.7 s
    await scene.search()
    assert scene.bus.bitrate == 125_000


async def test_search_that_dies_leaves_the_rate_to_be_searched_for():
    scene = Scene(125_000)
    reset = scene.bus._can._reset

    def dies():
        if scene.modes:
            raise OSError("no MCP2515 answers")
        reset()

    scene.bus._can._reset = dies
    with raises(OSError):
        await scene.search()
    assert scene.bus.rate == 0


async def test_rates_that_the_crystal_cannot_make_are_passed_over():
    scene = Scene(100_000, every=20_000, crystal_hz=8_000_000)
    await scene.search()
    assert scene.bus.bitrate == 100_000


async def test_rate_found_is_remembered_and_tried_first():
    await Scene(83_333, every=20_000).search()
    assert struct.unpack("<I", Pair("/bitrate").read())[0] == 83_333
    scene = Scene(83_333, every=20_000, keep=True)
    rates = scene.rates()
    await scene.search()
    assert rates == [83_333]


async def test_remembered_rate_that_is_no_longer_right_is_replaced():
    await Scene(250_000).search()
    scene = Scene(500_000, keep=True)
    await scene.search()
    assert scene.bus.bitrate == 500_000
    assert struct.unpack("<I", Pair("/bitrate").read())[0] == 500_000


async def test_damaged_memory_of_the_rate_only_costs_time():
    for content in b"", b"xyz", struct.pack("<I", 1234):
        Pair("/bitrate").write(content)
        scene = Scene(500_000, keep=True)
        rates = scene.rates()
        await scene.search()
        assert (scene.bus.bitrate, rates) == (500_000, [500_000])
    for copy in 0, 1:
        put("/bitrate.%d" % copy, b"\xff" + get("/bitrate.%d" % copy)[1:])
    scene = Scene(500_000, keep=True)
    await scene.search()
    assert scene.bus.bitrate == 500_000


class Frozen:
    """A native controller that hears at one rate only and whose error counters stand still in listen-only mode."""

    FLAG_RTR, FLAG_EXT_ID, MODE_NORMAL, MODE_SILENT = 1, 2, 0, 4

    def __init__(self, right, time):
        self.right = right
        self.time = time
        self.modes = []
        self.rate = None
        self._data = memoryview(b"\1\2")
        self._heard_at = 0

    def init(self, rate, mode):
        self.rate = rate
        self.modes.append(mode)

    def deinit(self):
        self.rate = None

    def set_filters(self, filters):
        assert filters is None

    def recv(self, frame):
        if self.rate != self.right or self.time.now == self._heard_at:
            return None
        self._heard_at = self.time.now
        frame[0], frame[1], frame[2] = 0x123, self._data, 0
        return frame

    def get_counters(self, counters):
        for i in range(8):
            counters[i] = None
        return counters


async def test_controller_without_error_counters_is_searched_by_valid_frames():
    from pigtail.can import autobaud

    time = Time().into(autobaud)
    Pair("/bitrate").write(b"")
    bus = Bus(Frozen(125_000, time))
    task = asyncio.create_task(autobaud.search(bus, lambda: None))
    await time.passes(4000)
    assert task.done()
    assert bus.bitrate == 125_000
    assert set(bus._can.modes) == {4}


class Noisy(Frozen):
    """One that also counts errors, more of them than frames."""

    def get_counters(self, counters):
        counters[1] = 20
        return counters


async def test_frames_among_many_errors_prove_no_rate():
    from pigtail.can import autobaud

    time = Time().into(autobaud)
    noisy = Noisy(500_000, time)
    bus = Bus(noisy)
    recv, left = bus._recv, [3]

    def few(frame):
        if not left[0]:
            return None
        got = recv(frame)
        left[0] -= bool(got)
        return got

    bus._recv = few
    task = asyncio.create_task(autobaud.search(bus, lambda: None))
    await time.passes(5000)
    assert (bus.rate, bus.received, bus.bitrate) == (500_000, 3, 0)
    await time.passes(9000)  # ten seconds at the rate at which a frame came
    assert len(noisy.modes) > 1
    assert (bus.bitrate, task.done()) == (0, False)
    await stopped(task)


async def test_search_is_forgotten_when_it_is_over():
    import sys
    from pigtail import can

    if "pigtail.can.autobaud" in sys.modules:
        del sys.modules["pigtail.can.autobaud"]
        delattr(can, "autobaud")
    scene = Scene(500_000)
    searching = once.call("pigtail.can.autobaud", "search", scene.bus, scene.beat)
    searching.close()
    assert "pigtail.can.autobaud" not in sys.modules
