"""uplink/uplink: reconnecting, with a back-off that grows, is jittered and is cut short by a link that returns."""

import asyncio
from fakes import Link, Time, steps, stopped
from pigtail.uplink import resolve, uplink
from umqtt.simple import MQTTException


class FakeClient:
    server, port = "10.0.0.1", 1883

    def __init__(self, time):
        self._time = time
        self.opened = []
        self.closes = 0
        self.error = None

    async def open(self, address, timeout_ms):
        self.opened.append(self._time.now)
        if self.error:
            raise self.error

    def close(self):
        self.closes += 1


class Scene:
    def __init__(self, up=True):
        self.time = Time().into(uplink, resolve)
        self.client, self.link, self.beats = FakeClient(self.time), Link(up), []
        self.session_error = OSError(104)
        self.session_ms = 0
        self.uplink = uplink.Uplink(self.client, self.link, lambda: self)
        self.task = asyncio.create_task(self.uplink.run(lambda: self.beats.append(self.time.now)))

    async def run(self, link, beat):
        """In place of Session.run."""
        for _ in range(self.session_ms // 100):
            beat()
            await self.time.sleep_ms(100)
        raise self.session_error


async def test_nothing_is_opened_while_the_link_is_down():
    scene = Scene(up=False)
    await scene.time.passes(5000, step=100)
    assert scene.client.opened == []
    scene.link.up = True
    await scene.time.passes(200, step=100)
    assert len(scene.client.opened) == 1
    await stopped(scene.task)


async def test_refusal_and_broken_connection_are_counted_and_closed():
    for error in MQTTException(5), OSError(111):
        scene = Scene()
        scene.client.error = error
        await scene.time.passes(100)
        assert (scene.uplink.failures, scene.uplink.connects) == (1, 0)
        assert scene.client.closes == 1
        assert scene.uplink.reason == repr(error)
        await stopped(scene.task)


async def test_back_off_grows_to_a_minute_and_never_stops_the_beat():
    scene = Scene()
    scene.client.error = OSError(111)
    await scene.time.passes(400000, step=100)
    waits = steps(scene.client.opened)
    for i, longest in enumerate((500, 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000)):
        assert longest // 2 <= waits[i] <= longest + 200
    assert max(steps(scene.beats)) <= 200
    await stopped(scene.task)


async def test_back_off_is_jittered():
    waits = set()
    for _ in range(8):
        scene = Scene()
        scene.client.error = OSError(111)
        await scene.time.passes(30000, step=100)
        waits.add(scene.client.opened[5] - scene.client.opened[4])
        await stopped(scene.task)
    assert len(waits) > 2


async def test_steady_session_starts_the_back_off_anew():
    scene = Scene()
    scene.client.error = OSError(111)
    await scene.time.passes(60000, step=100)
    scene.client.error = None
    scene.session_ms = 31000
    await scene.time.passes(120000, step=100)
    connected = scene.client.opened[-2:]
    assert connected[1] - connected[0] <= 31000 + 900
    await stopped(scene.task)


async def test_link_that_returns_cuts_the_back_off_short():
    scene = Scene()
    scene.client.error = OSError(111)
    await scene.time.passes(100000, step=100)
    scene.link.up = False
    await scene.time.passes(1000, step=100)
    tries = len(scene.client.opened)
    scene.link.up = True
    await scene.time.passes(300, step=100)
    assert len(scene.client.opened) == tries + 1
    await stopped(scene.task)


async def test_session_that_ends_by_itself_is_followed_by_another():
    scene = Scene()
    scene.session_error = asyncio.CancelledError()

    async def ends(link, beat):
        await scene.time.sleep_ms(100)

    scene.run = ends
    await scene.time.passes(2500, step=50)
    assert scene.uplink.connects >= 2
    assert scene.uplink.failures == 0
    await stopped(scene.task)
