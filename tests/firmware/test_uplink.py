"""uplink/uplink: reconnecting, with a back-off that grows, is jittered and is cut short by a link that returns; several brokers
in order; what the state and the reason say; when TLS may begin."""
# also with: umqtt_1_4 umqtt_newer

import asyncio
import errno
from fakes import Link, Time, steps, stopped
from pigtail.uplink import resolve, uplink
from pigtail.uplink.mqtt import Portal
from runner import raises
from umqtt.simple import MQTTException


class FakeTls:
    """What uplink.tls.Tls is for an Uplink."""

    def __init__(self):
        self.ready, self.outdated, self.trust = True, False, "pin"

    @staticmethod
    def reason(error):
        return "certificate " + str(error.args[0]) if error.args[0] else ""

    def judge(self, error):
        return ("portal", "web") if error.errno == -0x7200 else ("untrusted", self.reason(error))


class FakeClient:
    server, port = "10.0.0.1", 1883

    def __init__(self, time):
        self._time = time
        self.ssl = None
        self.errors = {}  # of some brokers
        self.servers = []
        self.opened = []
        self.closes = 0
        self.error = None

    async def open(self, address, timeout_ms):
        self.opened.append(self._time.now)
        self.servers.append((self.server, self.port))
        error = self.errors.get(self.server, self.error)
        if error:
            raise error

    def close(self):
        self.closes += 1


class Scene:
    def __init__(self, up=True, others=(), tls=None):
        self.time = Time().into(uplink, resolve)
        self.client, self.link, self.beats = FakeClient(self.time), Link(up), []
        self.client.ssl = tls
        self.session_error = OSError(104)
        self.session_ms = 0
        self.uplink = uplink.Uplink(self.client, self.link, lambda: self, others)
        self.task = asyncio.create_task(self.uplink.run(lambda: self.beats.append(self.time.now)))

    async def run(self, link, beat):
        """In place of Session.run."""
        for _ in range(self.session_ms // 100):
            if not link.up:
                return
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


async def test_state_is_never_online_without_a_connection():
    scene = Scene()
    scene.session_ms = 5000
    scene.uplink._wait_ms = 60_000  # as after a long outage
    await scene.time.passes(1000, step=100)
    assert scene.uplink.state == "online"
    scene.link.up = False
    for _ in range(20):
        await scene.time.passes(1000, step=100)
        assert scene.uplink.state in ("lost", "no_link")
    await stopped(scene.task)


async def test_session_that_breaks_down_is_closed_before_its_part_begins_anew():
    scene = Scene()
    scene.session_error = MemoryError()
    await scene.time.passes(500, step=100)
    assert scene.task.done() and (scene.uplink.state, scene.client.closes) == ("lost", 1)
    with raises(MemoryError):
        await scene.task


async def test_error_with_a_text_in_place_of_a_number_is_noted_under_tls_too():
    scene = Scene(tls=FakeTls())
    scene.client.error = OSError("can't create thread")
    await scene.time.passes(500, step=100)
    assert not scene.task.done() and scene.uplink.state == "unreachable" and "can't create thread" in scene.uplink.reason
    await stopped(scene.task)


async def test_refusal_and_broken_connection_are_counted_and_closed():
    for error in MQTTException(5), OSError(111):
        scene = Scene()
        scene.client.error = error
        await scene.time.passes(100)
        assert (scene.uplink.failures, scene.uplink.connects) == (1, 0)
        assert scene.client.closes == 1
        await stopped(scene.task)


async def test_faults_26_to_29_state_and_reason_say_what_failed():
    cases = (
        (OSError(errno.ECONNREFUSED), None, "unreachable", "ECONNREFUSED"),
        (OSError(9999), None, "unreachable", "9999"),
        (OSError(-0x7780, "words"), FakeTls(), "untrusted", "certificate -30592"),
        (OSError(-0x7200), FakeTls(), "portal", "web"),
        (MQTTException(4), None, "refused", "wrong user name or password"),
        (MQTTException(5), None, "refused", "not authorised"),
        (MQTTException(255), None, "refused", "code 255"),
        (MQTTException("packet type 72"), None, "refused", "packet type 72"),
        (Portal("HTTP"), None, "portal", "a web server answers"),
        (ValueError("expired"), FakeTls(), "untrusted", "certificate expired"),
        (ValueError(None), FakeTls(), "untrusted", ""),
    )
    for error, tls, state, told in cases:
        scene = Scene(tls=tls)
        scene.client.error = error
        await scene.time.passes(100)
        assert scene.uplink.state == state
        assert scene.uplink.reason == "10.0.0.1: %s, %s" % (state, told)
        await stopped(scene.task)


async def test_connection_that_breaks_is_lost_not_unreachable():
    scene = Scene()
    scene.session_error, scene.session_ms = OSError(errno.ECONNRESET), 1000
    await scene.time.passes(500)
    assert scene.uplink.state == "online"
    await scene.time.passes(700)
    assert (scene.uplink.state, scene.uplink.reason) == ("lost", "10.0.0.1: lost, ECONNRESET")
    await stopped(scene.task)


async def test_link_that_is_down_is_told_apart_from_a_broker_that_is_away():
    scene = Scene(up=False)
    await scene.time.passes(200)
    assert scene.uplink.state == "no_link"
    scene.link.up = True
    scene.session_ms = 60000
    await scene.time.passes(1000)
    assert scene.uplink.state == "online"
    scene.link.up = False
    await scene.time.passes(1000)
    assert scene.uplink.state == "no_link"
    await stopped(scene.task)


async def test_brokers_are_tried_in_order_without_waiting_then_all_over_again():
    scene = Scene(others=["10.0.0.2", "10.0.0.3:8883"])
    scene.client.error = OSError(111)
    await scene.time.passes(2000, step=50)
    order = [("10.0.0.1", 1883), ("10.0.0.2", 1883), ("10.0.0.3", 8883)]
    assert scene.client.servers[:6] == order * 2
    waits = steps(scene.client.opened)
    assert max(waits[0], waits[1], waits[3]) <= 50
    assert waits[2] >= 250
    await stopped(scene.task)


async def test_second_broker_serves_while_the_first_is_away_and_the_first_comes_first_again():
    scene = Scene(others=["10.0.0.2", "10.0.0.3"])
    scene.client.errors["10.0.0.1"] = OSError(111)
    scene.session_ms = 31000
    await scene.time.passes(20000, step=100)
    assert scene.client.servers == [("10.0.0.1", 1883), ("10.0.0.2", 1883)]
    assert scene.uplink.state == "online"
    scene.client.errors.clear()
    await scene.time.passes(14000, step=100)
    assert scene.client.servers[2:] == [("10.0.0.1", 1883)]
    await stopped(scene.task)


async def test_broker_that_accepts_and_breaks_off_gives_way_to_the_next():
    scene = Scene(others=["10.0.0.2"])
    scene.session_ms = 1000
    await scene.time.passes(1500, step=50)
    assert [server for server, _ in scene.client.servers] == ["10.0.0.1", "10.0.0.2"]
    await stopped(scene.task)


async def test_fault_28_nothing_is_opened_until_the_time_is_known_or_need_not_be():
    tls = FakeTls()
    tls.ready = False
    scene = Scene(tls=tls)
    await scene.time.passes(5000, step=100)
    assert (scene.client.opened, scene.uplink.state, scene.uplink.failures) == ([], "no_time", 0)
    tls.ready = True
    await scene.time.passes(200, step=100)
    assert len(scene.client.opened) == 1
    await stopped(scene.task)


async def test_connection_on_a_pinned_key_is_made_anew_when_the_clock_is_known():
    tls = FakeTls()
    scene = Scene(tls=tls)
    scene.session_ms = 60000
    await scene.time.passes(1000, step=100)
    assert (scene.uplink.up, scene.uplink.trust) == (True, "pin")
    tls.outdated = True
    assert not scene.uplink.up
    await scene.time.passes(300, step=50)
    tls.outdated, tls.trust = False, "ca"
    await scene.time.passes(2000, step=100)
    assert (len(scene.client.opened), scene.uplink.failures) == (2, 0)
    assert (scene.uplink.state, scene.uplink.trust) == ("online", "ca")
    await stopped(scene.task)


async def test_valueerror_of_a_session_is_not_taken_for_a_certificate():
    scene = Scene(tls=FakeTls())
    scene.session_error = ValueError("packet of 9999 bytes")
    await scene.time.passes(200)
    assert scene.task.done()  # and is the supervisor's
    try:
        await scene.task
    except ValueError as error:
        assert "9999" in str(error)


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
