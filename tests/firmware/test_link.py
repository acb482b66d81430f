"""uplink/link: says whether the Wi-Fi is up and if not why, counts losses, asks again to join when nothing comes of it, and takes
the strongest of several networks."""

import asyncio
from fakes import Time, stopped
from pigtail.uplink import air, link
from runner import raises


class Wlan:
    IF_STA = 0

    def __init__(self, air=()):
        self.connected = False
        self.asked = []
        self.air = air
        self.code = 1001

    def scan(self):
        """Rows as the ESP32 gives them."""
        self.asked.append(("scan",))
        if self.air is None:
            raise OSError("Wifi Internal State Error")
        return [(ssid, b"\0" * 6, 6, rssi, 3, False) for ssid, rssi in self.air]

    def status(self):
        return self.code

    @property
    def joined(self):
        """The names that were asked for."""
        return [row[1] for row in self.asked if row[0] == "connect"]

    def active(self, on):
        self.asked.append(("active", on))

    def connect(self, ssid, key):
        self.asked.append(("connect", ssid, key))

    def disconnect(self):
        self.asked.append(("disconnect",))

    def isconnected(self):
        return self.connected


class AtOnce:
    """In place of `_thread`: runs it here and now."""

    def start_new_thread(self, function, args):
        function(*args)


class Never:
    """In place of `_thread`: a scan that hangs."""

    def __init__(self):
        self.started = []

    def start_new_thread(self, function, args):
        self.started.append((function, args))


async def _running(password="pw", networks=(), heard=(), thread=None):
    time, wlan, beats = Time().into(link, air), Wlan(heard), []
    air._thread = thread or AtOnce()
    part = link.Link("car", password, networks)
    part._wlan = wlan
    if part._air:
        part._air._wlan = wlan
    part.beats = beats
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


async def test_single_network_is_joined_without_a_scan():
    assert link.Link("car", "pw")._air is None
    _, wlan, _, task = await _running(heard=[(b"car", -50)])
    assert ("scan",) not in wlan.asked
    await stopped(task)


async def test_strongest_known_network_comes_first_then_the_others_heard_then_the_hidden():
    heard = [(b"home", -70), (b"stranger", -20), (b"work", -45), (b"home", -80), (b"car", -75), (b"", -30)]
    time, wlan, _, task = await _running(networks=[["home", "h"], ["work", ""], ["yard", "y"]], heard=heard)
    await time.passes(62000, step=100)
    assert wlan.joined[:5] == ["work", "home", "car", "yard", "work"]
    assert wlan.asked[:3] == [("active", True), ("scan",), ("connect", "work", None)]
    assert wlan.asked.count(("scan",)) == 2  # once a round
    await stopped(task)


async def test_loss_is_followed_by_a_new_scan():
    time, wlan, _, task = await _running(networks=[["home", "h"]], heard=[(b"car", -40)])
    wlan.connected = True
    await time.passes(400)
    wlan.air = [(b"home", -40)]
    wlan.connected = False
    await time.passes(16000, step=100)
    assert wlan.joined == ["car", "home"]
    assert wlan.asked.count(("scan",)) == 2
    await stopped(task)


async def test_scan_that_fails_leaves_the_order_of_the_configuration():
    time, wlan, _, task = await _running(networks=[["home", "h"]], heard=None)
    await time.passes(16000, step=100)
    assert wlan.joined == ["car", "home"]
    await stopped(task)


async def test_scan_that_hangs_is_given_up_never_started_twice_and_holds_nobody():
    thread = Never()
    time, wlan, part, task = await _running(networks=[["home", "h"]], thread=thread)
    assert part.state == "scanning"
    await time.passes(60000, step=100)
    assert wlan.joined[:2] == ["car", "home"]
    assert len(thread.started) == 1
    assert len(part.beats) > 200
    function, args = thread.started[0]
    wlan.air = [(b"home", -40)]
    function(*args)  # it ends after all
    wlan.asked.clear()
    await time.passes(60000, step=100)
    assert len(thread.started) == 2
    await stopped(task)


async def test_scan_that_could_not_be_started_is_tried_again():
    class Full:
        def start_new_thread(self, function, args):
            raise OSError("can't create thread")

    heard = Wlan([(b"home", -40)])
    heard_by = air.Air(heard, ["car", "home"])
    air._thread = Full()
    with raises(OSError):
        await heard_by.by_strength(lambda: None)
    air._thread = AtOnce()
    assert await heard_by.by_strength(lambda: None) == [1, 0]


async def test_state_says_why_the_link_is_down():
    time, wlan, part, task = await _running()
    for code, word in (1001, "joining"), (link.network.STAT_WRONG_PASSWORD, "wrong_password"), (201, "no_network"):
        wlan.code = code
        await time.passes(300)
        assert part.state == word
    wlan.connected = True
    await time.passes(300)
    assert part.state == "up"
    await stopped(task)


async def test_board_without_a_name_for_wrong_passwords_is_joining():
    time, wlan, part, task = await _running()
    wlan.code = 1001
    link._WRONG_PASSWORD, kept = None, link._WRONG_PASSWORD
    await time.passes(300)
    link._WRONG_PASSWORD = kept
    assert part.state == "joining"
    await stopped(task)
