"""power/states and power/sleep: what keeps the device awake, and what does not; what it does before it sleeps."""
# heap: 256k

import asyncio
from fakes import Time
from pigtail import app
from pigtail.power import sleep, states

LOW, CHARGING, QUIET, PARKED, WAKE = 11800, 13200, 100, 0, 21600
POWER_ON, DEEP_SLEEP = 1, 4


class Events:
    def __init__(self):
        self.waiting = []

    def add(self, kind, text):
        self.waiting.append((kind, text))


class Machine:
    cause = POWER_ON

    def reset_cause(self):
        return self.cause


class Scene:
    """Looks second after second; `falls` are the reasons for which it would have slept."""

    def __init__(self, cause=POWER_ON, quiet=QUIET, parked=PARKED, unheard=True):
        states.machine = Machine()
        states.machine.cause = cause
        self.events, self.falls = Events(), []
        self.silent = 0
        states.once = self
        states.asyncio = self
        parts = None, None, None, self.events, None
        self.power = states.Power([LOW, CHARGING, quiet, parked, WAKE], parts, unheard)

    def call(self, module, function, power, is_on, wake_s, *parts):
        assert (module, function, wake_s) == ("pigtail.power.sleep", "enter", WAKE)
        self.falls.append(power.reason)

    def create_task(self, entering):
        return self

    def done(self):
        return True

    def look(self, seconds=1, is_on=None, mv=None, bus=False):
        """What it is worth remembering at the end."""
        kept = None
        for _ in range(seconds):
            self.silent = 0 if bus else self.silent + 1
            kept = self.power.look(is_on, mv, self.silent)
        return kept

    def told(self):
        return [text for _, text in self.events.waiting]


def test_bus_that_goes_silent_parks_and_then_sends_to_sleep():
    scene = Scene()
    assert scene.look(20, bus=True) is False and scene.power.state == "driving"
    scene.look(9)
    assert scene.power.state == "driving"
    assert scene.look(1) and scene.power.state == "parked"
    scene.look(QUIET - 11)
    assert scene.falls == []
    scene.look(1)
    assert scene.falls == ["quiet"] and scene.power.state == "asleep"
    assert scene.told() == ["parked", "asleep: quiet"]


def test_peers_latched_driving_flag_must_not_prevent_sleep():
    scene = Scene()
    scene.look(QUIET * 6 - 1, is_on=True)  # the ignition that is for ever on
    assert scene.falls == [] and scene.power.state == "driving"
    scene.look(1, is_on=True)
    assert scene.falls == ["quiet"]


def test_a_12_v_that_for_ever_claims_to_be_charged_must_not_prevent_sleep():
    scene = Scene()
    scene.look(QUIET - 1, is_on=False, mv=14400)
    assert scene.power.state == "charging"
    scene.look(1, is_on=False, mv=14400)
    assert scene.falls == ["quiet"]


def test_a_bus_that_is_never_silent_must_not_prevent_sleep_where_that_is_limited():
    scene = Scene(parked=300)
    scene.look(299, is_on=False, bus=True)
    assert scene.falls == [] and scene.power.state == "parked"
    scene.look(1, is_on=False, bus=True)
    assert scene.falls == ["parked"]


def test_bus_that_goes_on_with_the_ignition_off_keeps_it_awake_unless_that_is_limited():
    scene = Scene()
    scene.look(100000, is_on=False, bus=True)
    assert scene.falls == []


def test_quiet_0_never_sleeps_for_silence():
    scene = Scene(quiet=0)
    scene.look(100000, is_on=False)
    assert scene.falls == [] and scene.power.state == "parked"


def test_the_12_v_battery_drains_no_further_than_its_limit():
    scene = Scene()
    scene.look(59, is_on=False, mv=LOW - 1, bus=True)
    assert scene.falls == []
    scene.look(1, is_on=False, mv=LOW - 1, bus=True)
    assert scene.falls == ["low battery"] and scene.told()[-1] == "asleep: low battery"


def test_the_12_v_battery_drains_while_the_bus_or_the_ignition_is_on():
    for is_on in None, True:
        scene = Scene()
        scene.look(60, is_on=is_on, mv=LOW - 1, bus=True)
        assert scene.falls == ["low battery"]


def test_cranking_is_no_low_battery():
    scene = Scene()
    for _ in range(20):
        scene.look(30, is_on=True, mv=9000, bus=True)
        scene.look(1, is_on=True, mv=13800, bus=True)
    assert scene.falls == []


def test_low_battery_is_off_at_0():
    scene = Scene()
    scene.power._limits[0] = 0
    scene.look(1000, is_on=False, mv=3000, bus=True)
    assert scene.falls == []


def test_falling_asleep_for_a_low_battery_ends_only_well_above_the_limit():
    scene = Scene()
    scene.look(60, mv=LOW - 1, bus=True)
    scene.look(1, mv=LOW + 199, bus=True)
    assert scene.power.reason
    assert scene.look(1, mv=LOW + 200, bus=True) is False
    assert scene.power.state == "driving"


def test_charging_has_hysteresis_in_time_and_voltage():
    scene = Scene(quiet=0)
    scene.look(9, is_on=False, mv=CHARGING)
    assert scene.power.state == "parked"
    scene.look(1, is_on=False, mv=CHARGING)
    assert scene.power.state == "charging"
    scene.look(50, is_on=False, mv=CHARGING - 200)
    assert scene.power.state == "charging"
    scene.look(9, is_on=False, mv=CHARGING - 201)
    assert scene.power.state == "charging"
    scene.look(1, is_on=False, mv=CHARGING - 201)
    assert scene.power.state == "parked"
    assert scene.told() == ["parked", "charging", "parked"]


def test_ignition_tells_driving_from_parked_where_it_is_sensed():
    scene = Scene()
    scene.look(1, is_on=False, bus=True)
    assert scene.power.state == "parked"
    assert scene.look(1, is_on=True, bus=True) is False
    assert scene.told() == ["parked", "driving"]


def test_device_that_only_the_timer_has_woken_sleeps_again_after_a_minute():
    scene = Scene(cause=DEEP_SLEEP)
    scene.look(59)
    assert scene.falls == []
    scene.look(1)
    assert scene.falls == ["quiet"]


def test_device_that_the_bus_has_woken_waits_for_the_whole_silence():
    scene = Scene(cause=DEEP_SLEEP)
    scene.look(1, bus=True)
    scene.look(QUIET - 1)
    assert scene.falls == []
    scene = Scene(cause=DEEP_SLEEP, unheard=False)
    scene.look(QUIET - 1)
    assert scene.falls == []


def test_battery_that_is_still_low_after_a_sleep_has_ten_seconds_to_be_charged():
    scene = Scene(cause=DEEP_SLEEP)
    scene.look(10, mv=LOW + 199)
    assert scene.falls == ["low battery"]
    scene = Scene(cause=DEEP_SLEEP)
    scene.look(5, mv=LOW + 199)
    scene.look(5, mv=LOW + 200)
    assert scene.falls == []


def test_battery_that_was_low_is_judged_anew_when_the_car_is_used():
    scene = Scene(cause=DEEP_SLEEP)
    scene.look(59, mv=LOW - 1, bus=True)
    assert scene.falls == []


class Outbox:
    def __init__(self):
        self.bytes = 100
        self.ledger = []
        self.flushed = 0

    def flush_all(self):
        self.flushed += 1


class Entering:
    """`sleep.enter`, with everything it does in the order of its doing."""

    def __init__(self, reason="quiet", state="online"):
        self.reason, self.state = reason, state
        self.done = []
        self.time = Time().into(sleep)
        self.outbox, self.events = Outbox(), Events()
        self.holding = False
        sleep.board = self
        self.sampler = self.keeper = self

    def close(self):
        self.done.append("close")

    def hold(self, now):
        self.done.append("hold")

    def sleep(self, ms, on_bus, on_ignition):
        self.done.append(("sleep", ms, on_bus, on_ignition))

    async def run(self, ms, is_on=None, wake_s=WAKE):
        parts = self.sampler, self.keeper, self.outbox, self.events, self
        task = asyncio.create_task(sleep.enter(self, is_on, wake_s, *parts))
        await self.time.passes(ms)
        return task.done()


async def test_fault_8_it_sleeps_though_flash_or_memory_fails():
    for error in MemoryError, OSError, ValueError:
        scene = Entering("low battery", "no_link")

        def hold(now, error=error):
            raise error

        scene.hold = hold
        await scene.run(1000)
        assert scene.done[-1][0] == "sleep", error


async def test_what_was_sampled_is_told_before_it_sleeps():
    scene = Entering()
    assert not await scene.run(5000)
    assert scene.done == ["close"]
    scene.outbox.bytes = 0
    await scene.time.passes(200)
    assert scene.done == ["close", "hold", ("sleep", 21600000, True, True)]


async def test_broker_that_does_not_answer_is_waited_for_twenty_seconds():
    scene = Entering()
    assert not await scene.run(19000)
    await scene.time.passes(2000)
    assert scene.done[1:] == ["hold", ("sleep", 21600000, True, True)]


async def test_device_without_a_connection_sleeps_at_once_with_all_on_flash():
    scene = Entering(state="no_link")
    await scene.run(100)
    assert scene.done[1:] == ["hold", ("sleep", 21600000, True, True)]


async def test_car_that_wakes_while_the_device_falls_asleep_keeps_it_awake():
    scene = Entering()
    await scene.run(3000)
    scene.reason = ""
    await scene.time.passes(30000)
    assert scene.done == ["close"]


async def test_device_without_a_profile_sleeps_too():
    scene = Entering(state="no_link")
    scene.sampler = scene.keeper = None
    await scene.run(100)
    assert scene.outbox.flushed == 1 and scene.done == [("sleep", 21600000, True, True)]


async def test_nothing_wakes_it_that_would_wake_it_at_once():
    for reason, is_on, wakes in (
        ("quiet", True, (True, False)), ("quiet", False, (True, True)), ("parked", False, (False, True)),
        ("low battery", False, (False, True)), ("low battery", True, (False, False)), ("low battery", None, (True, True)),
    ):  # fmt: skip
        scene = Entering(reason, "no_link")
        await scene.run(100, is_on)
        assert scene.done[-1][2:] == wakes, (reason, is_on)


async def test_low_battery_is_looked_at_twice_an_hour_at_least():
    for wake_s, ms in (21600, 1800000), (0, 1800000), (600, 600000):
        scene = Entering("low battery", "no_link")
        await scene.run(100, False, wake_s)
        assert scene.done[-1][1] == ms


class Looking:
    """What `app` looks at the power with."""

    def __init__(self, mv, ignition=True):
        self._bus = self._tester = self.isotp = self
        self._sampler = self._keeper = self.outbox = self._uplink = None
        self._events = Events()
        self.received = self.heard = self._silent = self._heard = 0
        self._limits = LOW, CHARGING, QUIET, PARKED, WAKE
        self._power = None
        app.board.ignition, app.board.battery_mv = lambda: ignition, lambda: mv

    def asks(self, seconds, others=0):
        """Each second two answers come, and so many other frames; how long nobody has said anything by himself."""
        for _ in range(seconds):
            self.received += 2 + others
            self.heard += 2
            app.App._look_at_power(self)
            self._power = None
        return self._silent


def test_answers_alone_keep_a_car_awake_only_while_its_battery_is_charged():
    for mv, others, silent in (None, 0, 20), (12_400, 0, 20), (12_400, 1, 0), (CHARGING, 0, 0):
        assert Looking(mv).asks(20, others) == silent, mv


def test_fault_8_power_without_memory_is_looked_at_again():
    class Full:
        def look(self, is_on, mv, silent):
            raise MemoryError

    looking = Looking(11_000)
    for power in Full(), None:
        looking._power = power
        app.App._look_at_power(looking)
    assert looking._power.state == "driving"
