"""uplink/link: says whether the Wi-Fi is up, counts losses, and asks again to join when nothing comes of it."""

import asyncio
from fakes import Time, stopped
from pigtail.uplink import link


class Wlan:
    IF_STA = 0

    def __init__(self):
        self.connected = False
        self.asked = []

    def active(self, on):
        self.asked.append(("active", on))

    def connect(self, ssid, key):
        self.asked.append(("connect", ssid, key))

    def disconnect(self):
        self.asked.append(("disconnect",))

    def isconnected(self):
        return self.connected


async def _running(password="pw"):
    time, wlan, beats = Time().into(link), Wlan(), []
    part = link.Link("car", password)
    part._wlan = wlan
    task = asyncio.create_task(part.run(lambda: beats.append(1)))
    await time.passes(100)
    return time, wlan, part, task


async def test_joins_at_once():
    time, wlan, part, task = await _running()
    assert wlan.asked == [("active", True), ("connect", "car", "pw")]
    assert not part.up
    wlan.connected = True
    await time.passes(300)
    assert part.up
    await stopped(task)


async def test_open_network_has_no_key():
    _, wlan, _, task = await _running(password="")
    assert wlan.asked[-1] == ("connect", "car", None)
    await stopped(task)


async def test_losses_are_counted_once_each():
    time, wlan, part, task = await _running()
    for up in True, True, False, False, True, False:
        wlan.connected = up
        await time.passes(400)
    assert (part.up, part.losses) == (False, 2)
    await stopped(task)


async def test_join_that_comes_to_nothing_is_asked_for_again():
    time, wlan, _, task = await _running()
    await time.passes(14000, step=100)
    assert len(wlan.asked) == 2
    await time.passes(18000, step=100)
    assert wlan.asked[2:] == [("disconnect",), ("connect", "car", "pw")] * 2
    await stopped(task)


async def test_driver_that_joins_again_by_itself_is_left_alone():
    time, wlan, _, task = await _running()
    for _ in range(5):
        wlan.connected = True
        await time.passes(20000, step=100)
        wlan.connected = False
        await time.passes(10000, step=100)
    assert len(wlan.asked) == 2
    await stopped(task)
