"""diag/tester: the gate on a bus. It is shut until the rate is certain, and a mute lasts until the owner says otherwise."""

import asyncio
import os
from binascii import hexlify
from ecus import segmented
from fakes import Can, Time
from pair import Pair
from pigtail import uptime
from pigtail.can import bus as bus_module
from pigtail.can import tx_guard
from pigtail.can.bus import Bus
from pigtail.can.condition import Condition
from pigtail.control import questions
from pigtail.diag import isotp, tester, uds
from pigtail.diag.isotp import Failure
from runner import raises

ACTIVE, PASSIVE, BUS_OFF = 1, 3, 4
NORMAL, SILENT = 0, 4
ECUS = (
    {"name": "battery", "tx_id": 0x7E4, "rx_id": 0x7EC}, {"name": "motor", "tx_id": 0x7E2, "rx_id": 0x7EA},
    {"name": "all", "tx_id": 0x7DF, "functional": True},
)  # fmt: skip
VIN = b"\x49\x02\x01PGT00000000000042"


class Controller(Can):
    """A controller with ECUs: `answers` is request → frames that come in return, with their ids. `reached` counts who reached for
    `send`, `on_wire` what was sent with it."""

    MODE_NORMAL, MODE_SILENT = NORMAL, SILENT

    def __init__(self):
        super().__init__([])
        self.modes = [SILENT]
        self.now = ACTIVE
        self.tec = 0
        self.answers = {}
        self.reached = 0
        self.on_wire = []
        self.waiting = []

    def init(self, rate, mode):
        self.modes.append(mode)
        self.now = ACTIVE

    def deinit(self):
        pass

    def state(self):
        return self.now

    def get_counters(self, counters):
        counters[0], counters[7] = self.tec, 0
        return counters

    def recv(self, frame):
        if not self.waiting:
            return None
        frame[0], data = self.waiting.pop(0)
        frame[1], frame[2] = memoryview(data), 0
        return frame

    def __getattr__(self, name):
        if name != "send":
            raise AttributeError(name)
        self.reached += 1
        return self.put

    def put(self, ident, data, flags):
        if self.modes[-1] != NORMAL or self.now == BUS_OFF:
            raise OSError("this controller does not transmit now")
        self.on_wire.append((ident, bytes(data)))
        self.waiting += self.answers.get(bytes(data[1 : 1 + data[0]]) if data[0] < 8 else b"\x30", [])
        return 0


class Scene:
    def __init__(self, ecus=ECUS, ignition=True, fresh=True):
        for name in os.listdir("/") if fresh else ():
            if name.startswith("mute."):
                os.remove("/" + name)
        self.time = Time(1000).into(tx_guard, isotp, uds, tester, bus_module, questions, uptime)
        uptime._last, uptime._ms = self.time.now, 0
        self.can = Controller()
        self.said = []
        self.taken = 0
        self.bus = Bus(self.can, 500_000)
        senses = lambda: ignition, lambda: None, 11_800, 13_200
        self.tester = tester.Tester(self.bus, None, (ecus, {}, []), "", senses, self._hear_of, self._take)
        self.bus.open(None, self.tester.ids())
        self.task = None

    def _take(self, slots, filled):
        self.taken += filled

    def _hear_of(self, kind, text):
        self.said.append((kind, text))

    def hears(self, *frames):
        self.can.waiting += frames
        self.bus.drain()

    def runs(self, steps):
        """`steps(scene)` is a coroutine function; the tester and the bus run beside it."""

        async def all_of_it():
            tasks = [asyncio.create_task(self.tester.run(lambda: None)), asyncio.create_task(self._drains())]
            try:
                return await steps(self)
            finally:
                for task in tasks:
                    task.cancel()

        return asyncio.run(all_of_it())

    async def _drains(self):
        while True:
            self.bus.drain()
            self.tester.beat()
            await asyncio.sleep_ms(0)

    async def idle(self):
        pass

    async def opens(self):
        self.hears(*[(0x100, b"12345678")] * 3)
        await self.time.passes(1100)

    async def clears(self, name, request):
        return await self.does("clear", {"ecu": name, "request": hexlify(request)})

    async def does(self, command, given):
        """What a command came to."""
        running = questions.run(self, command, given)
        try:
            while True:
                next(running)
                await self.time.passes(10)
        except StopIteration as end:
            return end.value
        except OSError as error:
            return str(error)

    async def asks(self, name, request):
        """The answer, or the failure as text."""
        done = []

        async def ask():
            try:
                done.append(await questions.ask(self.tester, name, request))
            except Failure as failure:
                done.append(str(failure))

        asyncio.create_task(ask())
        for _ in range(1000):
            await self.time.passes(10)
            if done:
                return done[0]


def frames(rx_id, payload):
    return [(rx_id, frame) for frame in segmented(payload, pad=0)]


def test_fault_40_before_the_rate_is_certain_it_neither_acknowledges_nor_asks():
    async def steps(scene):
        await scene.time.passes(5000)
        assert await scene.asks("battery", b"\x09\x02") == "shut"
        scene.hears((0x100, b"1"), (0x100, b"2"))
        await scene.time.passes(5000)
        assert scene.can.modes == [SILENT] and scene.can.reached == 0
        scene.hears((0x100, b"3"))
        await scene.time.passes(1100)
        assert scene.can.modes[-1] == NORMAL and scene.tester.guard.is_open
        assert scene.said == [("gate", "open")]

    Scene().runs(steps)


def test_vin_is_asked_and_nobody_but_the_gate_reaches_for_send():
    async def steps(scene):
        first, *others = frames(0x7EC, VIN)
        scene.can.answers = {b"\x09\x02": [first], b"\x30": others}
        await scene.opens()
        assert await scene.asks("battery", b"\x09\x02") == VIN
        assert [ident for ident, _ in scene.can.on_wire] == [0x7E4, 0x7E4]  # the request and a flow control
        assert scene.can.reached == 1 and scene.tester.guard.sent == 2
        assert [ident for _, ident, _ in scene.tester.guard.log] == [0x7E4, 0x7E4]

    Scene().runs(steps)


def test_age_of_a_frame_is_right_for_months():
    async def steps(scene):
        scene.can.answers = {b"\x09\x02": frames(0x7EC, VIN)[:1]}
        await scene.opens()
        await scene.asks("battery", b"\x09\x02")
        sent_at = scene.time.now
        for day in range(1, 200):  # ticks wrap after six days
            scene.time.now += 86_400_000
            uptime.ms()
            if day in (6, 7, 13, 199):
                ages = [age for age, _, _ in (await scene.does("gate", {"skip": 0}))["log"]]
                assert all(0 <= age - (scene.time.now - sent_at) <= 2000 for age in ages) and ages, (day, ages)

    Scene().runs(steps)


def test_extended_addressing_has_the_ecus_address_on_the_way_there_and_ours_on_the_way_back():
    body = {"name": "body", "tx_id": 0x6F1, "rx_id": 0x660, "prefix": 0x60, "rx_prefix": 0xF1}

    async def steps(scene):
        await scene.opens()
        server = scene.tester.servers["body"]
        assert (server.ecu.prefix, server.rx_prefix) == (0x60, 0xF1)
        assert scene.tester.servers["mixed"].rx_prefix == 0x12

    Scene((body, {"name": "mixed", "tx_id": 0x6F2, "rx_id": 0x662, "prefix": 0x12})).runs(steps)


def test_settings_of_an_ecu_reach_the_wire():
    slow = {"name": "slow", "tx_id": 0x7E3, "rx_id": 0x7EB, "block_size": 8, "st_min": 0xF5, "pad": 0xAA, "timeout_ms": 300}

    async def steps(scene):
        first, *others = frames(0x7EB, VIN)
        scene.can.answers = {b"\x09\x02": [first], b"\x30": others}
        await scene.opens()
        assert await scene.asks("slow", b"\x09\x02") == VIN
        assert scene.can.on_wire == [(0x7E3, b"\x02\x09\x02" + b"\xaa" * 5), (0x7E3, b"\x30\x08\xf5" + b"\xaa" * 5)]
        assert scene.tester.guard.refused == {}
        for name, ms in ("slow", 300), ("battery", 1000):
            scene.can.answers = {}
            await scene.time.passes(1000)
            began = scene.time.now
            assert await scene.asks(name, b"\x09\x02") == "no_answer"
            assert ms <= scene.time.now - began <= ms + 30

    Scene(ECUS + (slow,)).runs(steps)


def test_frames_that_wait_when_the_mode_changes_are_taken():
    async def steps(scene):
        scene.hears(*[(0x100, b"12345678")] * 3)
        while scene.can.modes == [SILENT]:
            scene.can.waiting = [(0x100, b"12345678")] * 5
            scene.tester.guard.beat()
            scene.time.now += 100
            await asyncio.sleep_ms(0)
            await asyncio.sleep_ms(0)
        assert scene.taken == 5
        scene.taken = 0
        scene.can.waiting = [(0x100, b"12345678")] * 70
        scene.tester.guard.mute("test")
        assert scene.taken == 70 and scene.can.modes[-1] == SILENT

    scene = Scene()
    scene._drains = scene.idle
    scene.runs(steps)


def test_functional_request_is_answered_by_whom_it_reaches():
    async def steps(scene):
        scene.can.answers = {b"\x03": frames(0x7EC, b"\x43\x01\x04\x20") + frames(0x7EA, b"\x43\x00")}
        await scene.opens()
        assert await scene.asks("all", b"\x03") == {"battery": b"\x43\x01\x04\x20", "motor": b"\x43\x00"}
        silent = await scene.asks("all", b"\x07")
        assert [str(silent[name]) for name in ("battery", "motor")] == ["no_answer", "no_answer"]

    Scene().runs(steps)


def test_functional_request_waits_until_none_is_asked_by_itself():
    async def steps(scene):
        answer = frames(0x7EC, b"\x43\x00") + frames(0x7EA, b"\x43\x00")
        scene.can.answers = {b"\x03": answer}
        await scene.opens()
        battery, motor = scene.tester.servers["battery"], scene.tester.servers["motor"]
        motor.is_asked = True
        asked = asyncio.create_task(scene.asks("all", b"\x03"))
        await scene.time.passes(500)
        battery.is_asked, motor.is_asked = True, False  # by the schedule, while the other was waited for
        await scene.time.passes(500)
        assert scene.can.on_wire == []
        battery.is_asked = False
        assert await asked == {"battery": b"\x43\x00", "motor": b"\x43\x00"} and scene.tester.guard.refused == {}

    Scene().runs(steps)


def test_locked_vehicle_is_not_asked():
    async def steps(scene):
        await scene.opens()
        assert await scene.asks("battery", b"\x09\x02") == "vehicle"
        assert scene.can.on_wire == [] and scene.tester.guard.refused == {"vehicle": 1}

    Scene(ignition=False).runs(steps)


def _mutes(reason, happens):
    async def steps(scene):
        await scene.opens()
        happens(scene.can)
        await scene.time.passes(1100)
        assert scene.can.modes[-1] == SILENT and scene.bus.muted
        assert scene.said[-1] == ("gate", "muted: " + reason)
        scene.bus.listen(silent=False)  # what the bus's recovery would do
        assert scene.can.modes[-1] == SILENT
        assert await scene.asks("battery", b"\x09\x02") == "muted" and scene.can.on_wire == []

    Scene().runs(steps)
    return Pair("/mute").read()


def test_fault_34_bus_off_silences_it_for_good():
    def bus_off(can):
        can.now = BUS_OFF

    assert _mutes("bus_off", bus_off) == b"bus_off"

    async def steps(scene):
        await scene.opens()
        assert scene.can.modes == [SILENT] and scene.tester.guard.muted == "bus_off"
        assert await scene.asks("battery", b"\x09\x02") == "muted"
        scene.tester.unmute()
        await scene.opens()
        assert scene.can.modes[-1] == NORMAL and Pair("/mute").read() == b""

    Scene(fresh=False).runs(steps)  # after a restart


def test_fault_34_bus_off_silences_it_even_where_the_bus_hears_again_before_it_looks():
    async def steps(scene):
        await scene.opens()
        condition = Condition(scene.bus)
        scene.can.now = BUS_OFF
        condition.check(10_000)
        assert scene.can.modes[-1] == SILENT and scene.can.now == ACTIVE and not scene.tester.guard.muted
        await scene.time.passes(1100)
        assert scene.tester.guard.muted == "bus_off" and scene.bus.bus_offs == 1
        condition.check(20_000)
        assert scene.can.modes[-1] == SILENT, "the wait after bus-off is over, the mute is not"

    Scene().runs(steps)


def test_fault_34_question_in_bus_off_fails_before_anybody_has_seen_it():
    async def steps(scene):
        await scene.opens()
        scene.can.now = BUS_OFF
        assert await scene.asks("battery", b"\x09\x02") == "muted"
        refused = scene.tester.guard.refused
        assert refused["queue"] >= 1 and refused["muted"] == 1 and scene.can.on_wire == []

    Scene().runs(steps)


def _has_a_flow_control_refused(happens):
    async def steps(scene):
        await scene.opens()
        asked = asyncio.create_task(scene.asks("battery", b"\x09\x02"))
        while not scene.can.on_wire:
            await scene.time.passes(10)
        happens(scene)
        received = scene.bus.received
        scene.hears(frames(0x7EC, VIN)[0])
        assert scene.bus.received == received + 1 and scene.tester.guard.refused == {"queue": 1}
        assert await asked in ("shut", "no_room") and len(scene.can.on_wire) == 1

    Scene().runs(steps)


def test_fault_34_flow_control_that_is_due_in_bus_off_does_not_stop_the_bus():
    def bus_off(scene):
        scene.can.now = BUS_OFF

    _has_a_flow_control_refused(bus_off)


def test_fault_34_flow_control_that_is_due_in_listen_only_mode_does_not_stop_the_bus():
    def listen_only(scene):  # as `can.condition` does when it sees bus-off before the gate
        scene.bus.listen()

    _has_a_flow_control_refused(listen_only)


def test_bus_off_that_the_gate_saw_first_is_counted_and_told():
    said = []

    async def steps(scene):
        await scene.opens()
        condition = Condition(scene.bus, lambda kind, text: said.append(kind))
        scene.can.now = BUS_OFF
        await scene.time.passes(1100)
        assert scene.tester.guard.muted == "bus_off"
        condition.check(10_000)

    Scene().runs(steps)
    assert said == ["bus_off"]


def test_fault_34_error_passive_silences_it():
    def passive(can):
        can.now = PASSIVE

    assert _mutes("transmit_errors", passive) == b"transmit_errors"


def test_transmit_errors_rising_silence_it():
    def errors(can):
        can.tec = 32

    assert _mutes("transmit_errors", errors) == b"transmit_errors"


def _no_memory(*args):
    raise MemoryError


def _mutes_though(breaks, mends, drains=True):
    """A mute in whose course memory ends: the controller listens at once, the rest follows when there is memory."""

    async def steps(scene):
        await scene.opens()
        breaks(scene)
        scene.can.tec = 200
        scene.tester._watch()
        assert scene.can.modes[-1] == SILENT and scene.tester.guard.muted == "transmit_errors"
        mends(scene)
        scene.can.tec = 0
        scene.tester._watch()
        assert scene.said[-1] == ("gate", "muted: transmit_errors")

    scene = Scene()
    if not drains:
        scene._drains = scene.idle
    scene.runs(steps)
    assert Scene(fresh=False).tester.guard.muted == "transmit_errors"  # after a restart


def test_fault_8_memory_that_ends_while_a_mute_is_kept_or_told_loses_none_of_it():
    kept = tester.Pair.write
    _mutes_though(lambda scene: setattr(tester.Pair, "write", _no_memory), lambda scene: setattr(tester.Pair, "write", kept))

    def told(tell):
        def set_it(scene):
            scene.tester._tell = tell or scene._hear_of

        return set_it

    _mutes_though(told(_no_memory), told(None))

    def waits(scene):
        scene.can.waiting = [(0x100, b"12345678")] * 3
        scene.tester._put = _no_memory

    _mutes_though(waits, lambda scene: None, drains=False)


def test_fault_7_mute_of_which_one_copy_is_damaged_is_one():
    for unmuted_before in False, True:

        async def steps(scene, turns=1 + unmuted_before):
            await scene.opens()
            for turn in range(turns):
                if turn:
                    scene.can.tec = 0
                    scene.tester.unmute()
                    scene.tester._watch()
                    assert scene.tester.guard.is_open
                scene.can.tec = 200
                scene.tester._watch()

        Scene().runs(steps)
        with open("/mute.1", "r+b") as f:
            f.seek(13)
            f.write(b"\xff")
        scene = Scene(fresh=False)
        assert scene.tester.guard.muted == "damaged"
        scene.tester.unmute()
        assert Scene(fresh=False).tester.guard.muted == ""


class Endless(list):
    """A controller's queue that frames come to as fast as they are taken."""

    def __bool__(self):
        return True

    def pop(self, i):
        return 0x100, b"12345678"


def test_frames_without_end_do_not_hold_up_a_mute():
    async def steps(scene):
        await scene.opens()
        scene.can.waiting = Endless()
        scene.can.tec = 200
        scene.tester._watch()
        assert scene.can.modes[-1] == SILENT
        scene.can.waiting = []

    scene = Scene()
    scene._drains = scene.idle
    scene.runs(steps)


def _asks_for_a_while(scene_of):
    """How many of 50 questions, one a second, pass the gate while nobody looks after it; the supervisor is alive."""
    passed = []

    async def steps(scene):
        await scene.opens()
        scene.is_deaf = True
        for _ in range(50):
            passed.append(scene.tester.guard.send(0x7E4, False, b"\x02\x09\x02\0\0\0\0\0") == "")
            scene.tester.guard.ended(scene.tester.servers["battery"].ecu)
            await scene.time.passes(1000, step=100)

    scene = scene_of()
    scene.is_deaf = False
    scene.runs(steps)
    assert scene.tester.guard.muted == "heartbeat"
    return sum(passed)


def test_fault_35_gate_that_nobody_watches_any_more_mutes_itself():
    def unwatched():
        scene = Scene()

        async def run(beat):  # then it has died, and waits to be begun anew
            while not scene.is_deaf:
                scene.tester._watch()
                await tester.sleep_ms(100)

        scene.tester.run = run
        return scene

    assert 8 <= _asks_for_a_while(unwatched) <= 15


def test_fault_35_gate_of_a_bus_that_nobody_hears_any_more_mutes_itself():
    def unheard():
        scene = Scene()

        async def drains():
            while True:
                if not scene.is_deaf:
                    scene.bus.drain()
                scene.tester.beat()
                await asyncio.sleep_ms(0)

        scene._drains = drains
        return scene

    assert 8 <= _asks_for_a_while(unheard) <= 15


def test_fault_34_mute_is_kept_and_told_though_the_controller_does_not_answer():
    async def steps(scene):
        await scene.opens()
        scene.can.now = BUS_OFF

        def fails(rate, mode):
            raise OSError("no MCP2515 answers")

        scene.can.init = fails
        with raises(OSError):
            scene.tester._watch()
        assert scene.said[-1] == ("gate", "muted: bus_off") and scene.bus.muted

    Scene().runs(steps)
    assert Scene(fresh=False).tester.guard.muted == "bus_off"  # after a restart


def test_fault_40_gate_stays_shut_while_the_bit_rate_is_searched_for():
    async def steps(scene):
        scene.bus.searching = True
        scene.hears(*[(0x100, b"12345678")] * 7)
        await scene.time.passes(3000)
        assert scene.can.modes == [SILENT] and not scene.tester.guard.is_open and scene.bus.bitrate == 0
        scene.bus.searching = False
        await scene.time.passes(1100)
        assert scene.can.modes[-1] == NORMAL and scene.tester.guard.is_open

    Scene().runs(steps)


def test_silent_even_where_flash_does_not_keep_that_it_is():
    kept = tester.Pair.write

    def full(self, payload):
        raise OSError(28)

    async def steps(scene):
        await scene.opens()
        tester.Pair.write = full
        scene.can.now = BUS_OFF
        await scene.time.passes(1100)
        assert scene.can.modes[-1] == SILENT
        assert scene.said[-1] == ("gate", "muted: bus_off, till the next start: flash does not keep it")

    try:
        Scene().runs(steps)
    finally:
        tester.Pair.write = kept


def _pauses(ident):
    async def steps(scene):
        await scene.opens()
        scene.hears((ident, b"\x02\x09\x02\0\0\0\0\0"))
        assert await scene.asks("battery", b"\x09\x02") == "other_tester"
        await scene.time.passes(299_000, step=500)
        assert await scene.asks("battery", b"\x09\x02") == "other_tester"
        await scene.time.passes(2000)
        assert await scene.asks("battery", b"\x09\x02") == "no_answer"

    Scene(ECUS[:2]).runs(steps)


def test_fault_36_another_tester_is_heard_and_pauses_it():
    _pauses(0x7E4)


def test_fault_36_scanner_that_begins_where_the_profile_does_not_ask_pauses_it():
    _pauses(0x7DF)
    _pauses(0x7E0)


def test_fault_36_answers_pause_nothing():
    async def steps(scene):
        await scene.opens()
        scene.hears((0x7E8, b"12345678"), (0x7EC, b"12345678"))
        for _ in range(3):
            assert await scene.asks("battery", b"\x09\x02") == "no_answer"
            await scene.time.passes(10_000, step=500)
        assert scene.tester.guard.refused == {} and len(scene.can.on_wire) == 3

    Scene().runs(steps)


def test_fault_36_filters_let_the_requests_of_any_tester_through():
    also = Scene(ECUS[:1]).tester.ids()
    passes = [also[i : i + 2] for i in range(0, len(also), 2)]
    for ident in (0x7DF, 0x7E0, 0x7E7, 0x38DB33F1, 0x38DA00F1, 0x38DAFFF1, 0x7E4, 0x7EC):
        assert any([(ident ^ wanted) & mask == 0 for wanted, mask in passes]), hex(ident)
    assert not any([(0x7E8 ^ wanted) & mask == 0 for wanted, mask in passes])


def test_codes_are_cleared_by_a_permission_for_once():
    async def steps(scene):
        scene.can.answers = {b"\x14\xff\xff\xff": frames(0x7EC, b"\x54")}
        await scene.opens()
        request = b"\x14\xff\xff\xff"
        assert await scene.asks("battery", request) == "service"
        scene.tester.guard.permit_clear(scene.tester.servers["battery"].ecu, request[0])
        assert await questions.ask(scene.tester, "battery", request) == b"\x54"
        await scene.time.passes(1000)
        assert await scene.asks("battery", request) == "service"
        assert await scene.asks("motor", request) == "service"

    async def with_time(scene):
        asyncio.create_task(scene.time.passes(60_000))
        await steps(scene)

    Scene().runs(with_time)


def test_fault_41_what_was_dropped_stands_in_the_reply_of_the_gate():
    async def steps(scene):
        await scene.opens()
        scene.hears(*frames(0x7EC, b"\x62\xf1\x90")[:1], (0x7EC, b"\x21" + bytes(7)))
        told = await scene.does("gate", {"skip": 0})
        assert told["isotp"] == {"unasked": 1, "consecutive": 1} and told["refused"] == {}

    Scene().runs(steps)


def test_permission_to_clear_ends_with_its_command_whatever_became_of_that():
    async def steps(scene):
        request = b"\x14\xff\xff\xff"
        battery = scene.tester.servers["battery"]
        assert await scene.clears("battery", request) == "shut"
        await scene.opens()
        assert await scene.asks("battery", request) == "service"
        battery.is_asked = True
        assert await scene.clears("battery", request) == "under_way"
        battery.is_asked = False
        assert await scene.asks("battery", request) == "service"
        assert scene.can.on_wire == []
        assert await scene.clears("battery", request) == "no_answer"
        scene.can.answers = {request: frames(0x7EC, b"\x54")}
        await scene.time.passes(1000)
        assert await scene.asks("battery", request) == "service"
        assert await scene.clears("battery", request) == {"answer": "54"} and len(scene.can.on_wire) == 2

    Scene().runs(steps)


def test_what_may_never_be_asked_cannot_be_configured():
    for services in "11", "2e", "xyz":
        try:
            senses = lambda: True, lambda: None, 0, 0
            tester.Tester(Bus(Controller(), 500_000), None, (ECUS, {}, []), services, senses, None, None)
            raise AssertionError(services)
        except ValueError:
            pass
