"""uplink/states and what goes with it: the latest value of each signal, its entity, and what is taken off again."""

# heap: 512k

import json
import os
import struct
from fakes import Time
from packed import Signal, described, load, put, slots, wide
from pigtail import uptime
from pigtail.signals.table import Table
from pigtail.signals.values import Values
from pigtail.uplink.discovery import Discovery
from pigtail.uplink import facts
from pigtail.uplink.facts import prepare
from pigtail.uplink.session import Text
from pigtail.uplink.states import PATH, States, decimal
from pigtail.uplink.withdrawn import Withdrawn

BASE = "pigtail/v1/d"
SPEED = '{"name":"Vehicle.Speed","signed":false,"length":16,"unit":"km/h","scale":0.1}'
OPEN = '{"name":"Vehicle.IsOpen","signed":false,"length":1}'
UTC = 1700000000000


class Clock:
    quality = 2
    utc_of_boot_ms = UTC


class BrokenOs:
    """The module `os` on a flash that fails at the `cut`-th renaming."""

    stat, remove = os.stat, os.remove

    def __init__(self, cut):
        self.left = cut

    def rename(self, old, new):
        self.left -= 1
        if not self.left:
            raise OSError(5)
        os.rename(old, new)


class BrokenFile:
    def seek(self, at):
        raise OSError(5)


class Scene:
    """`messages` as for `packed.load`, `lines` the text of their signals; `wanted` is the configuration's "state"."""

    def __init__(self, messages, lines, wanted=None, prefix="", keep=False):
        if not keep:
            for name in "states", "announced", "withdrawn":
                if name in os.listdir("/"):
                    os.remove("/" + name)
        self.time = Time(0).into(uptime)
        uptime._last = uptime._ms = 0
        self.profile = load(messages, described(lines))
        self.values = Values(self.profile)
        self.table = Table(self.profile, self.values)
        wanted = {"*": 1000} if wanted is None else wanted
        self.usable, self.fault = prepare(self.profile, wanted, BASE, prefix, "1.2.3")
        self.states = States(self.values, Clock(), 7, BASE)
        self.discovery = Discovery(self.states, Text(memoryview(bytearray(1408))))

    def hear(self, ident, data):
        frames = slots((ident, data, self.time.now & 0xFFFFFFF))
        i, aside = 0, self.table.decode(frames, 1)
        while i < aside:
            i = self.table.aside.follow(frames, i, aside)

    def said(self, ms=0, speaker=None):
        """All (topic, fields, retained) that a speaker says in the next `ms`."""
        speaker = speaker or self.states
        result = []
        for _ in range(ms // 10 + 1):
            told = speaker.next(self.time.now)
            if told:
                topic, payload, retain = told
                payload = payload if isinstance(payload, str) else bytes(payload).decode()
                result.append((topic, json.loads(payload) if payload else None, retain))
                speaker.told()
            self.time.now += 10
        return result

    def value(self):
        """The value that is said next."""
        return self.said(1000)[0][1]["value"]


def speed(wanted=None, prefix="", keep=False):
    return Scene([(0x100, [Signal(0, 16)])], [SPEED], wanted, prefix, keep)


def test_value_is_told_with_all_its_fields():
    scene = speed()
    scene.time.now = 5000
    scene.hear(0x100, b"\x7b\0")
    scene.time.now = 5250
    assert scene.said() == [
        (
            "pigtail/v1/d/state/Vehicle/Speed",
            {
                "value": 12.3, "unit": "km/h", "time_ms": UTC + 5000, "boot": 7, "uptime_ms": 5000, "age_ms": 250,
                "source": "broadcast", "quality": "valid",
            },
            True,
        )
    ]  # fmt: skip


def test_value_that_was_asked_for_says_so():
    scene = Scene([(0x800, [Signal(0, 16)])], [SPEED[:-1] + ',"source":"diagnostic"}'])
    scene.hear(0x800, b"\x7b\0")
    told = scene.said()[0][1]
    assert (told["value"], told["source"], told["quality"]) == (12.3, "diagnostic", "valid")


def test_signal_without_a_value_is_not_told():
    scene = speed()
    assert scene.said(5000) == []


def test_unknown_clock_gives_no_time():
    scene = speed()
    scene.states._clock.quality = 0
    scene.hear(0x100, b"\x7b\0")
    assert scene.said()[0][1]["time_ms"] is None


def test_value_that_stands_still_is_told_once_and_again_after_five_minutes():
    scene = speed()
    scene.hear(0x100, b"\x7b\0")
    assert len(scene.said(1000)) == 1
    assert scene.said(298000) == []
    assert len(scene.said(2000)) == 1


def test_value_that_changes_all_the_time_is_told_as_often_as_is_wanted():
    scene = speed({"Vehicle.Speed": 500})
    told = 0
    for n in range(500):
        scene.hear(0x100, bytes([n & 255, n >> 8]))
        told += len(scene.said(10))
    assert 19 <= told <= 20  # in 10 s


def test_all_together_are_told_ten_times_a_second_at_most_and_each_in_its_turn():
    signals = [Signal(8 * i, 8) for i in range(8)]
    lines = ['{"name":"S%d","signed":false,"length":8}' % i for i in range(8)]
    scene = Scene([(0x100, signals)], lines, {"*": 100})
    told = []
    for n in range(200):
        scene.hear(0x100, bytes([n]) * 8)
        told += [topic[-1] for topic, _, _ in scene.said(0)]
    assert "".join(told) == "01234567" * 2 + "0123"


def test_new_session_tells_everything_again():
    scene = speed()
    scene.hear(0x100, b"\x7b\0")
    assert len(scene.said(1000)) == 1
    scene.states.rewind()
    assert len(scene.said(1000)) == 1


def test_silent_row_is_told_as_stale_with_the_age_of_its_last_frame():
    scene = speed()
    scene.time.now = 2000
    scene.hear(0x100, b"\x7b\0")
    scene.said(100)
    scene.time.now = 9000
    assert scene.values.next_silent(0, 9000) == 0
    (_, fields, _), = scene.said(500)
    assert (fields["quality"], fields["value"], fields["uptime_ms"], fields["age_ms"]) == ("stale", 12.3, 2000, 7000)
    assert scene.said(400000) == []  # what is stale is not repeated


def test_age_of_what_has_long_been_silent_does_not_begin_anew_after_three_days():
    scene = speed()
    scene.time.now = 2000
    scene.hear(0x100, b"\x7b\0")
    scene.said(100)
    for _ in range(4):  # 28 bits of ticks are 74.6 hours
        scene.time.now += 0xFFFFFFF // 3
        uptime.ms()
    scene.states.rewind()
    fields = scene.said()[0][1]
    assert (fields["uptime_ms"], fields["age_ms"]) == (2000, scene.time.now - 10 - 2000)


def test_change_of_quality_alone_is_told():
    scene = speed()
    scene.hear(0x100, b"\x7b\0")
    scene.said(2000)
    scene.values.quality[0] = 4
    assert [fields["quality"] for _, fields, _ in scene.said(1000)] == ["bad_checksum"]


def test_either_half_of_a_long_signal_is_told_when_it_changes():
    line = '{"name":"Long","signed":%s,"length":64}'
    for signed in False, True:
        scene = Scene([(0x100, wide(0, 64, signed=signed))], [line % ("true" if signed else "false")], {"Long": 100})
        scene.hear(0x100, b"\xff" * 8)
        assert scene.value() == (-1 if signed else (1 << 64) - 1)
        scene.hear(0x100, b"\xfe" + b"\xff" * 7)
        assert scene.value() == (-2 if signed else (1 << 64) - 2)
        scene.hear(0x100, b"\xfe" + b"\xff" * 6 + b"\x7f")
        assert scene.value() == (1 << 63) - 2


def test_numbers_are_told_without_the_noise_of_floats():
    for rest, data, value in (
        ('"signed":true,"scale":0.1', b"\x7b\0", "12.3"),
        ('"signed":true,"scale":0.1', b"\xff\xff", "-0.1"),
        ('"signed":true,"scale":0.1,"offset":-40', b"\x90\x01", "0"),
        ('"signed":false,"scale":0.0078125', b"\x01\0", "0.0078125"),
        ('"signed":false,"scale":1e-05,"offset":0.5', b"\x03\0", "0.50003"),
        ('"signed":false,"scale":0.0174532925199433', b"\x64\0", "1.74533"),
        ('"signed":false,"scale":-2.5e3', b"\x02\0", "-5000"),
        ('"signed":false,"scale": 0.25,"unit":"scale"', b"\x02\0", "0.5"),
        ('"unit":"scale","signed":false,"scale":0.001', b"\xff\xff", "65.535"),
    ):
        scene = Scene([(0x100, [Signal(0, 16, signed='"signed":true' in rest)])], ['{"name":"A","length":16,%s}' % rest])
        scene.hear(0x100, data)
        scene.time.now += 200
        payload = scene.states.next(scene.time.now)[1]
        assert payload.startswith('{"value": %s, ' % value), (rest, payload)


def test_number_that_no_unit_has_is_said_and_the_others_are_told():
    whole = "1" * 33, "1" * 38, "1" * 39, "-" + "1" * 38, "1" * 200
    told = [(BASE + "/state/Vehicle/IsOpen", 1)]
    for key in "scale", "offset":
        for number in whole + ("0." + "0" * 36 + "1", "1e99", "1e-99", "1e999999999", "1e" + "9" * 60):
            line = '{"name":"A","signed":false,"length":8,"%s":%s}' % (key, number)
            for text in line, line[:-1] + ' , "x":0}':
                scene = Scene([(0x100, [Signal(0, 8), Signal(8, 8)])], [text, OPEN])
                assert (scene.usable, scene.fault) == (True, "state: A has a scale or an offset beyond all units"), text
                scene.hear(0x100, b"\1\1")
                assert [(topic, fields["value"]) for topic, fields, _ in scene.said(1000)] == told
    for number, value in ("9" * 30, int("9" * 30)), ("0." + "0" * 28 + "1", 0), ("1e30", 10**30), ("1e-30", 0):
        scene = Scene([(0x100, [Signal(0, 8)])], ['{"name":"A","signed":false,"length":8,"scale":%s}' % number])
        scene.hear(0x100, b"\1")
        payload = scene.states.next(0)[1]
        assert scene.fault is None and (not value or payload.startswith('{"value": %d, ' % value)), payload


def test_unsigned_number_of_32_bits_is_told_as_such():
    scene = Scene([(0x100, [Signal(0, 32)])], ['{"name":"A","signed":false,"length":32,"scale":0.001}'])
    scene.hear(0x100, b"\xff" * 4)
    assert scene.states.next(0)[1].startswith('{"value": 4294967.295, ')


def test_decimal_rounds_what_is_not_shown():
    assert [decimal(value, 3, 1) for value in (0, 49, 50, -50, 12345, -12345)] == ["0", "0", "0.1", "0", "12.3", "-12.3"]


def test_ieee_numbers_are_told_and_what_json_has_no_word_for_is_null():
    for length, form in (32, "<f"), (64, "<d"), (16, "<e"):
        signals = wide(0, 64) if length == 64 else [Signal(0, length)]
        scene = Scene([(0x100, signals)], ['{"name":"A","signed":false,"length":%d,"float":true,"scale":2}' % length], {"A": 100})
        scene.hear(0x100, struct.pack(form, 0.75))
        assert scene.value() == 1.5
        scene.hear(0x100, struct.pack(form, float("inf")))
        assert scene.value() is None
        scene.hear(0x100, struct.pack(form, float("nan")))
        assert scene.value() is None


def test_label_is_told_where_there_is_one_and_the_number_where_not():
    line = '{"name":"A","signed":true,"length":8,"labels":{"-1":"none \\"yet\\"","1":"einschließlich","12":"twelve"}}'
    scene = Scene([(0x100, [Signal(0, 8, signed=True)])], [line], {"A": 100})
    for raw, value in (255, 'none "yet"'), (1, "einschließlich"), (2, 2), (12, "twelve"):
        scene.hear(0x100, bytes([raw]))
        assert scene.value() == value


def test_star_means_all_that_is_sampled_and_a_name_stands_above_it():
    signals = [Signal(0, 8), Signal(8, 8, -1), Signal(16, 8), Signal(24, 8, -1)]
    lines = ['{"name":"%s","signed":false,"length":8}' % name for name in "ABCD"]
    scene = Scene([(0x100, signals)], lines, {"*": 100, "C": 0, "D": 100})
    scene.hear(0x100, bytes(4))
    assert [topic[-1] for topic, _, _ in scene.said(2000)] == ["A", "D"]
    assert scene.fault is None


def test_name_that_is_not_in_the_profile_is_told_and_the_others_work():
    scene = speed({"Vehicle.Speed": 100, "Vehicle.Sped": 100})
    assert (scene.usable, scene.fault) == (True, "state: the profile has no Vehicle.Sped")
    scene.hear(0x100, b"\x7b\0")
    assert scene.value() == 12.3


def test_name_that_cannot_be_a_topic_is_left_out():
    scene = Scene([(0x100, [Signal(0, 8), Signal(8, 8)])], ['{"name":"A#","signed":false,"length":8}', OPEN])
    assert (scene.usable, scene.fault) == (True, "state: A# cannot be a topic")
    scene.hear(0x100, bytes(2))
    assert [topic for topic, _, _ in scene.said(1000)] == [BASE + "/state/Vehicle/IsOpen"]


def test_facts_are_written_once_for_each_choice_and_anew_when_they_are_damaged():
    first = speed()
    written = []
    for wanted, damage in ({"*": 1000}, False), ({"*": 1000}, True), ({"*": 2000}, False):
        if damage:
            with open(PATH, "r+b") as f:
                f.seek(3)
                f.write(b"?")
        os.rename(PATH, "/elsewhere")
        with open("/elsewhere", "rb") as f, open(PATH, "wb") as copy:
            before = f.read()
            copy.write(before)
        prepare(first.profile, wanted, BASE, "", "1.2.3")
        with open(PATH, "rb") as f:
            written.append(f.read() != before)
    assert written == [False, True, True]


def test_facts_that_are_there_are_not_written_again():
    first = speed()
    facts.os = BrokenOs(1)
    try:
        assert prepare(first.profile, {"*": 1000}, BASE, "", "1.2.3") == (True, None)
        assert not prepare(first.profile, {"*": 1000}, BASE, "", "1.2.4")[0]
    finally:
        facts.os = os


def test_text_of_the_profile_that_is_no_json_leaves_a_device_without_states():
    profile = load([(0x100, [Signal(0, 8)])], described(["no JSON"]))
    os.remove(PATH)
    usable, fault = prepare(profile, {"*": 1000}, BASE, "", "1.2.3")
    assert not usable and fault.startswith("state: ")
    assert "states" not in os.listdir("/")


def test_flash_that_cannot_be_read_costs_one_value_and_is_counted():
    scene = speed({"*": 100})
    for failed, broken in (1, BrokenFile()), (2, open("/profile.bin", "rb")):
        scene.hear(0x100, bytes([failed, 0]))
        scene.states.file = broken
        assert scene.said(1000) == []
        assert scene.states.failed == failed


def test_entity_is_announced_when_its_signal_has_a_value_and_in_each_session_once():
    scene = Scene([(0x100, [Signal(0, 16)]), (0x200, [Signal(0, 1)])], [SPEED, OPEN], prefix="homeassistant")
    assert scene.said(2000, scene.discovery) == []
    scene.hear(0x100, b"\x7b\0")
    (topic, fields, retain), = scene.said(2000, scene.discovery)
    assert topic == "homeassistant/sensor/d/Vehicle-Speed/config" and retain
    assert fields["state_topic"] == "pigtail/v1/d/state/Vehicle/Speed"
    scene.hear(0x200, b"\1")
    assert [topic for topic, _, _ in scene.said(2000, scene.discovery)] == ["homeassistant/binary_sensor/d/Vehicle-IsOpen/config"]
    scene.states.rewind()
    assert len(scene.said(2000, scene.discovery)) == 2


def test_entity_that_was_not_acknowledged_is_announced_again():
    scene = speed(prefix="ha")
    scene.hear(0x100, b"\x7b\0")
    topic = scene.discovery.next(0)[0]
    assert scene.discovery.next(10)[0] == topic
    scene.discovery.told()
    assert scene.discovery.next(20) is None


def test_weeks_without_a_session_keep_no_value_and_no_entity_back():
    scene = speed(prefix="ha")
    for days in 0, 7, 9:
        for _ in range(24 * days):
            scene.time.now += 3_600_000
            uptime.ms()
        scene.time.now &= 0x3FFFFFFF
        scene.hear(0x100, bytes((days + 1, 0)))
        for speaker in scene.states, scene.discovery:
            speaker.rewind()
            told = [speaker.next(scene.time.now + 10 * n) for n in range(100)]
            assert any(told), (days, speaker)
            speaker.told()


def test_fault_5_flipped_bit_in_what_is_to_be_taken_off_ends_no_session():
    put("/withdrawn", b"pigtail/v1/d/state/Sp\xe5ed\n")
    assert Withdrawn().next(0) is None


def test_what_is_wanted_no_more_is_taken_off_and_forgotten_when_that_is_acknowledged():
    signals = [(0x100, [Signal(0, 16)]), (0x200, [Signal(0, 1)])]
    Scene(signals, [SPEED, OPEN], prefix="ha")
    scene = Scene(signals, [SPEED, OPEN], {"Vehicle.IsOpen": 100}, "ha", keep=True)
    gone = [("pigtail/v1/d/state/Vehicle/Speed", None, True), ("ha/sensor/d/Vehicle-Speed/config", None, True)]
    speaker = Withdrawn()
    first = speaker.next(0)
    assert (first[0], bytes(first[1])) == (gone[0][0], b"")
    speaker.told()
    speaker.rewind()  # a new session, perhaps with another broker
    assert scene.said(100, speaker) == gone
    assert "withdrawn" not in os.listdir("/")
    assert scene.said(100, speaker) == []


def test_power_cut_between_the_files_forgets_nothing_that_is_to_be_taken_off():
    signals = [(0x100, [Signal(0, 16)]), (0x200, [Signal(0, 1)])]
    for cut in 1, 2, 3:
        Scene(signals, [SPEED, OPEN])
        facts.os = BrokenOs(cut)
        try:
            profile = load(signals, described([SPEED, OPEN]))
            assert not prepare(profile, {"Vehicle.IsOpen": 100}, BASE, "", "1.2.3")[0]
        finally:
            facts.os = os
        Scene(signals, [SPEED, OPEN], {"Vehicle.IsOpen": 100}, keep=True)
        with open("/withdrawn", "rb") as f:
            assert f.read() == b"pigtail/v1/d/state/Vehicle/Speed\n"


def test_nothing_wanted_takes_off_everything():
    speed(prefix="ha")
    scene = speed({}, "", keep=True)
    assert len(scene.said(100, Withdrawn())) == 2
    assert "announced" not in os.listdir("/")


def test_prefix_that_cannot_begin_a_topic_announces_nothing():
    scene = speed(prefix="ha/#")
    assert scene.fault == "homeassistant: 'ha/#' cannot begin a topic"
    scene.hear(0x100, b"\x7b\0")
    assert scene.said(1000, scene.discovery) == []
    assert scene.value() == 12.3
