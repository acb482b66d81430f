"""can/capture: the frames of some ids, bounded, in chunks, and what had no room counted."""

import struct
from fakes import Time
from pigtail import uptime
from pigtail.can import capture

EXTENDED = 0x20000000


class Clock:
    quality = 0
    utc_of_boot_ms = 0


class Bus:
    def __init__(self):
        self.lost = 5
        self.admits = []

    def overruns(self):
        return self.lost

    def admit_all(self, is_on):
        self.admits.append(is_on)
        self.lost += 1


class Scene:
    def __init__(self, ids=(), ms=10_000, frames=1000):
        self.bus = Bus()
        self.time = Time(5).into(uptime)
        uptime._last, uptime._ms = 5, 5
        self.clock = Clock()
        self.capture = capture.Capture(self.bus, "t/capture", 7, self.clock, 3, ids, ms, frames)
        self.chunks = []

    def hears(self, *frames):
        slots = bytearray(64 * 16)
        for i, (ident, data) in enumerate(frames):
            struct.pack_into("<II", slots, 16 * i, ident, len(data) << 28 | self.time.now)
            slots[16 * i + 8 : 16 * i + 8 + len(data)] = data
        self.capture.take(slots, len(frames))

    def tells(self):
        """Sends the chunk that is due, if there is one."""
        said = self.capture.next(self.time.now)
        if said is None:
            return None
        topic, payload, retain = said
        assert (topic, retain) == ("t/capture", False)
        chunk = Chunk(bytes(payload))
        self.chunks.append(chunk)
        self.capture.told()
        return chunk


class Chunk:
    def __init__(self, payload):
        head = struct.unpack_from("<BBHIIIIIQQ", payload)
        self.version, self.flags, count, self.boot, self.number, self.place, self.dropped, self.tick, self.uptime, self.utc = head
        assert len(payload) == 40 + 16 * count
        self.frames = [struct.unpack_from("<II8s", payload, 40 + 16 * i) for i in range(count)]
        self.ids = [frame[0] for frame in self.frames]


def test_frames_of_some_ids_are_told_whole():
    scene = Scene((0x7E8, 0x123 | EXTENDED))
    scene.time.now = 105
    scene.hears((0x7E8, b"\1\2"), (0x7E0, b"\3"), (0x123, b"\4"), (0x123 | EXTENDED, b"\xff" * 8))
    assert scene.tells() is None, "more may come"
    scene.time.now = 505
    chunk = scene.tells()
    assert chunk.frames == [
        (0x7E8, 2 << 28 | 105, b"\1\2\0\0\0\0\0\0"), (0x123 | EXTENDED, (8 << 28 | 105), b"\xff" * 8),
    ]  # fmt: skip
    assert (chunk.version, chunk.flags, chunk.boot, chunk.number, chunk.place, chunk.dropped) == (1, 0, 7, 3, 0, 0)
    assert (chunk.tick, chunk.uptime, chunk.utc) == (505, 505, 0)
    scene.clock.quality, scene.clock.utc_of_boot_ms = 2, 1_700_000_000_000
    scene.hears((0x7E8, b""))
    scene.time.now = 10_005
    chunk = scene.tells()
    assert (chunk.flags, chunk.place, chunk.utc, len(chunk.frames)) == (3, 1, 1_700_000_000_000, 1)
    assert scene.capture.is_over


def test_all_ids():
    scene = Scene()
    scene.hears(*((n, b"") for n in range(64)))
    assert scene.tells().ids == list(range(64))


def test_what_has_no_room_is_counted():
    scene = Scene((1,))
    for _ in range(3):
        scene.hears(*((1 + n % 2, b"") for n in range(60)))  # 30 of them, three times: one buffer and 26 of the other
    for _ in range(2):
        scene.hears(*((1, bytes([n])) for n in range(30)))  # 60: 38 of them fill it, 22 are lost
    assert [scene.tells().dropped, scene.tells().dropped] == [0, 22]
    scene.hears((1, b""))
    scene.time.now += 500
    assert scene.tells().dropped == 22
    assert [len(chunk.frames) for chunk in scene.chunks] == [64, 64, 1]
    assert [chunk.place for chunk in scene.chunks] == [0, 1, 2]


def test_ends_after_as_many_frames_lost_ones_among_them():
    scene = Scene((), 10_000, 130)
    for _ in range(4):
        scene.hears(*((n, b"") for n in range(50)))
    first = scene.tells()
    assert (len(first.frames), first.flags, scene.capture.is_over) == (64, 0, False)
    last = scene.tells()
    assert (len(last.frames), last.flags, last.dropped, scene.capture.is_over) == (64, 1, 2, True)


def test_chunk_that_was_not_acknowledged_comes_again_as_it_was():
    scene = Scene()
    scene.hears((1, b"\1"))
    scene.time.now += 600
    _, payload, _ = scene.capture.next(scene.time.now)
    before = bytes(payload)
    scene.capture.rewind()
    scene.hears((2, b"\2"))
    scene.time.now += 600
    assert bytes(scene.capture.next(scene.time.now)[1]) == before


def test_silent_bus_ends_with_an_empty_chunk():
    scene = Scene((), 1000)
    scene.time.now += 999
    assert scene.tells() is None
    scene.time.now += 1
    chunk = scene.tells()
    assert (chunk.flags, chunk.frames) == (1, [])
    assert scene.capture.is_over


def test_what_the_controller_lost_meanwhile_is_counted_with_it():
    scene = Scene(ms=1000)
    scene.hears((1, b""))
    scene.bus.lost += 3
    scene.time.now += 600
    assert scene.tells().dropped == 3
    scene.hears((1, b""))
    scene.bus.lost += 1
    scene.time.now += 400
    scene.hears((1, b""))
    scene.bus.lost += 7  # after its end
    last = scene.tells()
    assert (last.dropped, last.flags, scene.bus.admits) == (4, 1, [])


def test_filters_are_open_until_it_ends_and_no_longer_whether_that_can_be_told_or_not():
    for ended_by in "frames", "time":
        scene = Scene(ms=1000, frames=2 if ended_by == "frames" else 9)
        scene.capture.open_filters()
        scene.hears((1, b""))
        assert scene.bus.admits == [True]
        scene.time.now += 1000 if ended_by == "time" else 0
        scene.hears((1, b""))
        scene.hears((1, b""))
        assert scene.bus.admits == [True, False]
        chunk = scene.tells()
        assert (chunk.ids, chunk.flags, chunk.dropped) == ([1, 1], 1, 0), "opening and closing are no part of it"
    scene = Scene(ms=1000)
    scene.capture.open_filters()
    scene.time.now += 1000
    scene.tells()
    assert scene.bus.admits == [True, False], "a silent bus"
