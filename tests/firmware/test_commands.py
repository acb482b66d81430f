"""control: every refusal by its name, each command's effect, and that one which comes twice runs once."""
# heap: 256k
# The messages that the tests prepare need more than the device.

import asyncio
import json
import os
import struct
import sys
from array import array
from binascii import hexlify
from configured import FILES, forget
from fakes import Time
from packed import Signal, get, pack, put, wide
from packed import text as packed_text
from pigtail import uptime
from pigtail.config import store
from pigtail.control import commands as control
from pigtail.control import judging, listing, nonces, snapshot
from pigtail.diag.isotp import Failure
from pigtail.outbox import keeper
from pigtail.signals.profile import Profile
from pigtail.signals.values import Values
from pigtail.uplink.session import Text
from time import ticks_ms

KEY = bytes([i for i in range(32)])
UTC = 1700000000000


class Clock:
    quality = 2
    utc_of_boot_ms = UTC


class Parts:
    """An outbox, a sampler and a keeper that note what they are asked."""

    def __init__(self):
        self.asked = []
        self.bytes = 77

    def close(self):
        self.asked.append("close")

    def hold(self, now):
        self.asked.append("hold")


class Machine:
    def __init__(self, asked):
        self.reset = lambda: asked.append("reset")


class Scene:
    """Commands for the device `kona`, with a network that takes and acknowledges each reply at once."""

    def __init__(self, profile=None, values=None, size=1408):
        forget(FILES + ("/nonces.0", "/nonces.1"))
        self.parts = Parts()
        self.profile = profile
        self.values = values
        self.size = size
        self.clock = Clock()
        self.replies = []
        self.now = 0
        self.nonce = 1000
        self.boot()

    def boot(self):
        """As after a restart: only the flash is what it was."""
        keeper.machine = Machine(self.parts.asked)
        p, text = self.parts, Text(memoryview(bytearray(self.size)))
        self.commands = control.Commands(
            "kona", "t", text, hexlify(KEY).decode(), self.clock, p, self.profile, self.values, p, p, p
        )  # fmt: skip

    def send(self, command="ping", key=KEY, device="kona", **changes):
        """Makes a message, good but for `changes`, gives it to the device and returns it."""
        self.nonce += 1
        fields = {"id": "i%d" % self.nonce, "nonce": self.nonce, "expires_ms": UTC + 100000, "command": command, "arguments": {}}
        fields.update(changes)
        message = sealed(json.dumps(fields), key, device)
        self.hear(message)
        return message

    def hear(self, message):
        self.commands.heard(b"t/command", message)
        self.turns()

    def turns(self, n=60):
        for _ in range(n):
            self.now += 100
            said = self.commands.next(self.now)
            if said:
                assert said[0] == "t/reply" and said[2] is False
                self.replies.append(json.loads(bytes(said[1])))
                self.commands.told()

    @property
    def reasons(self):
        return [reply.get("reason") for reply in self.replies]


def sealed(body, key=KEY, device="kona"):
    mac = hexlify(judging.hmac(key, device.encode() + b"\n" + body.encode())).decode()
    return json.dumps({"mac": mac, "body": body}).encode()


def _refuses(reason, answered, scene, message=None, **changes):
    """The device counts it by this reason, runs nothing, and answers or does not."""
    before = scene.commands.run, len(scene.replies)
    if message is None:
        scene.send(**changes)
    else:
        scene.hear(message)
    assert scene.commands.refused == {reason: 1}
    assert (scene.commands.run, len(scene.replies)) == (before[0], before[1] + answered)
    if answered:
        assert scene.replies[-1]["ok"] is False and scene.replies[-1]["reason"] == reason
    return scene


def test_hmac_is_that_of_rfc_4231():
    vectors = (
        (b"\x0b" * 20, b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
        (b"Jefe", b"what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        (b"\xaa" * 20, b"\xdd" * 50, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
    )
    for key, message, mac in vectors:
        assert hexlify(judging.hmac(key, message)).decode() == mac


def test_good_command_runs_once_and_is_answered_once():
    scene = Scene()
    scene.send(id="first")
    assert len(scene.replies) == 1 and scene.commands.run == 1 and scene.commands.refused == {}
    reply = scene.replies[0]
    assert (reply["id"], reply["command"], reply["ok"]) == ("first", "ping", True) and reply["result"]["uptime_ms"] >= 0


def test_reply_that_was_not_acknowledged_is_told_again_and_the_command_does_not_run_again():
    scene = Scene()
    scene.commands.heard(b"t", scene.send("flush"))
    scene.commands.heard(b"t", sealed(json.dumps(_fields(scene, "flush"))))
    while scene.commands.next(scene.now) is None:
        scene.now += 100
    first = bytes(scene.commands.next(scene.now)[1])
    scene.commands.rewind()
    assert bytes(scene.commands.next(scene.now)[1]) == first
    assert scene.parts.asked == ["close", "close"]


def _fields(scene, command, **arguments):
    scene.nonce += 1
    return {"id": "x", "nonce": scene.nonce, "expires_ms": UTC + 100000, "command": command, "arguments": arguments}


def test_fault_31_command_replayed_runs_once():
    scene = Scene()
    message = scene.send("flush")
    _refuses("replayed", False, scene, message)
    assert scene.parts.asked == ["close"]


def test_fault_31_command_twice_by_qos_1_runs_once():
    scene = Scene()
    message = sealed(json.dumps(_fields(scene, "flush")))
    scene.commands.heard(b"t", message)
    scene.commands.heard(b"t", message)
    scene.turns()
    assert (scene.parts.asked, len(scene.replies)) == (["close"], 1)
    assert (scene.commands.run, scene.commands.refused) == (1, {"replayed": 1})


def test_fault_31_command_replayed_after_a_reboot_is_refused():
    scene = Scene()
    message = scene.send("flush")
    scene.boot()
    _refuses("replayed", False, scene, message)
    assert scene.parts.asked == ["close"]


def test_fault_31_command_expired():
    scene = _refuses("expired", True, Scene(), expires_ms=UTC - 1)
    scene.clock.utc_of_boot_ms = UTC - 1000000  # even were the clock set back, it is not new any more
    scene.commands.refused.clear()
    _refuses("replayed", False, scene, nonce=scene.nonce)


def test_fault_31_command_expires_at_its_millisecond():
    time = Time().into(uptime)
    uptime._last, uptime._ms = 0, 0
    scene = Scene()
    scene.send(expires_ms=UTC)
    assert scene.commands.run == 1
    time.now = 1
    _refuses("expired", True, scene, expires_ms=UTC)


def test_fault_31_command_for_another_device():
    _refuses("bad_mac", False, Scene(), device="other")


def test_fault_31_command_with_a_bad_mac():
    scene = Scene()
    _refuses("bad_mac", False, scene, key=KEY[:-1] + b"\0")
    good = scene.send()
    assert scene.commands.run == 1
    for at in 9, 40, len(good) - 5:  # in the MAC, at its end, in the body
        scene.commands.refused.clear()
        bad = bytearray(good)
        bad[at] = 0x30 if bad[at] != 0x30 else 0x31
        scene.hear(bytes(bad))
        assert scene.commands.run == 1 and scene.commands.refused.get("bad_mac") == 1, at


def test_fault_31_command_that_is_malformed():
    scene = Scene()
    shapes = [b"", b"x", b"[]", b"{}", b"1", b'{"mac": "00"}', b'{"mac": 1, "body": "x"}', b'{"mac": "zz", "body": "x"}']
    shapes += [b'{"mac": "' + b"0" * 64 + b'", "body": 1}', b'{"mac": "' + b"0" * 62 + b'", "body": "x"}', b"[" * 900]
    shapes += [b"\xff\xfe\0", b"[" + b'"",' * 290, b'{"mac": "' + b"0" * 64, b'{"mac": null, "body": null}']
    for shape in shapes:
        scene.hear(shape)
    assert scene.commands.refused == {"malformed": len(shapes)}
    assert scene.replies == []


def test_fault_31_command_made_to_take_memory_is_malformed():
    class Json:
        @staticmethod
        def loads(text):
            raise MemoryError

    scene = Scene()
    kept, judging.json = judging.json, Json
    try:
        scene.send()
    finally:
        judging.json = kept
    assert scene.commands.refused == {"malformed": 1}


def test_fault_31_body_that_is_malformed_though_its_mac_is_good():
    scene = Scene()
    for body in "", "[]", "1", "null", '{"id": "x"}', "{", '"text"':
        scene.hear(sealed(body))
    wrong = [
        {"id": ""}, {"id": "x" * 37}, {"id": 1}, {"id": None}, {"nonce": -1}, {"nonce": 1 << 63}, {"nonce": 1.5},
        {"nonce": "1"}, {"nonce": True}, {"expires_ms": "soon"}, {"expires_ms": 1e12}, {"command": 1}, {"arguments": []},
        {"arguments": None}, {"more": 1},
    ]  # fmt: skip
    for changes in wrong:
        scene.send(**changes)
    assert scene.commands.refused == {"malformed": 7 + len(wrong)}
    assert scene.replies == []


def test_fault_31_command_too_long():
    scene = Scene()
    filler = "x" * 500
    _refuses("too_long", False, scene, command=filler)
    scene.commands.refused.clear()
    fields = _fields(scene, "ping")
    fields["command"] = "p" * (512 - len(json.dumps(fields)) + 4)
    body = json.dumps(fields)
    assert len(body) == 512
    _refuses("unknown_command", True, scene, sealed(body))


def test_fault_31_command_of_which_the_client_kept_nothing_is_too_long():
    scene = Scene()
    scene.commands.heard(b"t/command", None)
    assert scene.commands.refused == {"too_long": 1}


def test_fault_31_command_that_is_unknown():
    for name in "", "Ping", "format", "__init__":
        _refuses("unknown_command", True, Scene(), command=name)


def test_fault_31_command_while_the_clock_is_unknown():
    scene = Scene()
    scene.clock.quality = 0
    _refuses("clock_unknown", True, scene)
    scene.clock.quality = 2
    scene.commands.refused.clear()
    _refuses("replayed", False, scene, nonce=scene.nonce)


def test_fault_31_nonce_too_old():
    scene = Scene()
    scene.send(nonce=5000)
    scene.send(nonce=4968)
    assert scene.commands.run == 2
    _refuses("replayed", False, scene, nonce=4967)


def test_fault_31_arguments_that_a_command_does_not_take():
    scene = Scene()
    wrong = [
        ("ping", {"x": 1}), ("set_period", {}), ("set_period", {"signal": "A", "period_ms": "1"}),
        ("set_period", {"signal": "A", "period": 1}), ("snapshot", {"signals": "A"}), ("reboot", {"now": True}),
    ]  # fmt: skip
    for command, arguments in wrong:
        scene.send(command, arguments=arguments)
    assert scene.reasons == ["bad_arguments"] * len(wrong)
    assert all([reply["text"] for reply in scene.replies])
    assert scene.commands.run == 0 and scene.parts.asked == []


def test_fault_31_flood_keeps_a_few_and_runs_one_in_half_a_second():
    scene = Scene()
    for _ in range(10):
        scene.commands.heard(b"t/command", sealed(json.dumps(_fields(scene, "flush"))))
    assert scene.commands.refused == {"busy": 6}
    scene.commands.next(0)
    scene.commands.told()
    for now in range(0, 500, 10):
        assert scene.commands.next(now) is None
    assert scene.parts.asked == ["close"]
    assert scene.commands.next(500)
    assert scene.parts.asked == ["close"] * 2


def test_flash_that_cannot_keep_the_nonce_runs_nothing():
    def full(pair, payload):
        raise OSError(28)

    scene = Scene()
    kept = nonces.Pair.write
    nonces.Pair.write = full
    try:
        _refuses("failed", False, scene, command="flush")
    finally:
        nonces.Pair.write = kept
    assert scene.parts.asked == []


def test_command_is_judged_at_once_however_long_ago_the_last_one_was():
    scene = Scene()
    scene.send()
    for days in 3, 7, 11:  # ticks come round after twelve, and their difference is negative after six
        scene.now += days * 86_400_000
        replies = len(scene.replies)
        scene.send(expires_ms=UTC + 10**12)
        assert len(scene.replies) == replies + 1, days


def test_nonces_are_new_once_in_any_order():
    Scene()
    order = [100, 99, 101, 150, 149, 118, 140, 151, 200, 183]
    assert [nonces.take(n) for n in order] == [True] * len(order)
    assert not any([nonces.take(n) for n in order])
    assert nonces.take(184) and nonces.take(168) and not nonces.take(167)
    assert nonces.take(210) and not nonces.take(200) and not nonces.take(183) and nonces.take(201) and not nonces.take(177)
    assert nonces.take((1 << 63) - 1) and not nonces.take((1 << 63) - 1) and not nonces.take(1 << 40)


def test_nonce_0_is_taken_once():
    Scene()
    assert nonces.take(0) and not nonces.take(0)


def test_change_of_the_configuration_is_tried_after_its_reply():
    scene = Scene()
    scene.send("config", arguments={"set": {"batch_ms": 900, "wifi.ssid": None}})
    assert scene.replies[-1]["result"] == {"version": 1} and scene.parts.asked == ["hold", "reset"]
    assert store.load()[0]["batch_ms"] == 900
    os.remove("/config.tried")


def test_change_of_the_configuration_that_is_no_object_or_not_allowed_is_refused():
    for given in {"set": [1]}, {}, {"set": {"device": "x"}}:
        scene = Scene()
        _refuses("bad_arguments", True, scene, command="config", arguments=given)
        assert scene.parts.asked == [] and "config.try" not in os.listdir("/")


def test_configuration_is_told_in_parts_without_its_secrets():
    scene = Scene()
    put("/config.json", json.dumps({"command.key": "c0" * 32, "state": {"Signal%d" % i: 1000 for i in range(64)}}))
    assert store.load()[1] is None
    scene.send("settings", arguments={"skip": 0})
    scene.send("settings", arguments={"skip": scene.replies[-1]["result"]["next"]})
    first, second = [reply["result"] for reply in scene.replies]
    assert first["config"]["command.key"] == "set" and len(first["config"]["state"]) + len(second["config"]["state"]) == 64
    assert second["next"] is None and scene.parts.asked == []


def test_configuration_of_which_one_entry_is_longer_than_a_packet_is_refused_and_told_so():
    scene = Scene()
    put("/config.json", json.dumps({"state": {"x" * 1400: 1000}}))
    assert store.load()[1] is None
    _refuses("too_long", True, scene, command="settings", arguments={"skip": 1})
    for skip in -1, "0":
        scene = Scene()
        _refuses("bad_arguments", True, scene, command="settings", arguments={"skip": skip})


def test_reboot_follows_the_acknowledgement_of_its_reply():
    scene = Scene()
    scene.commands.heard(b"t", sealed(json.dumps(_fields(scene, "reboot"))))
    while scene.commands.next(scene.now) is None:
        scene.now += 100
    assert scene.parts.asked == []
    scene.commands.told()
    assert scene.parts.asked == ["hold", "reset"]


# In order: a scaled byte, a signed one, two floats; signals of more than 32 bits; one that is never sampled; a 32-bit one.
MESSAGES = [
    (1, [Signal(0, 8, 100), Signal(8, 8, 1000, signed=True), Signal(16, 16, 1000), Signal(32, 32, 1000)]),
    (2, wide(0, 40)), (3, wide(0, 64, signed=True)), (4, wide(0, 64)), (5, [Signal(0, 8, -1)]), (6, [Signal(0, 32, 0)]),
]  # fmt: skip
TEXTS = (
    'Speed","signed":false,"length":8,"scale":0.5,"offset":-10,"unit":"km/h', 'Torque","signed":true,"length":8,"unit":"Speed',
    'Half","signed":false,"length":16,"float":true,"unit":"', 'Ratio","signed":false,"length":32,"float":true,"unit":"',
    'Odometer","signed":false,"length":40,"scale":2,"unit":"', 'Balance","signed":true,"length":64,"unit":"',
    'Double","signed":false,"length":64,"float":true,"unit":"', 'Hidden","signed":false,"length":8,"unit":"',
    'Counter","signed":false,"length":32,"unit":"',
)  # fmt: skip


def _car():
    put("/profile.bin", pack(MESSAGES, packed_text(TEXTS)))
    profile = Profile("/profile.bin")
    listing.make(profile)
    return Scene(profile, Values(profile))


def _snapshot(scene, *names):
    scene.send("snapshot", arguments={"signals": list(names)})
    assert scene.replies[-1]["ok"], scene.replies[-1]
    return scene.replies[-1]["result"]


def test_snapshot_tells_physical_values_of_every_kind():
    scene = _car()
    raw = struct.pack("<iiiiIiIiIiIi", 250, -3, 0xC500, 0, 7, 1, 5, -1, 0, 0x3FF80000, 9, -2)
    scene.values.raw[:] = array("i", raw)
    scene.values.raw[3] = struct.unpack("<i", struct.pack("<f", 1.5))[0]
    for row in range(6):
        scene.values.ticks[row] = 8 << 28 | 1
    found = _snapshot(scene, "Speed", "Torque", "Half", "Ratio", "Odometer", "Balance", "Double", "Hidden", "Counter")
    values = {name: found[name]["value"] for name in found}
    assert values == {
        "Speed": 115, "Torque": -3, "Half": -5, "Ratio": 1.5, "Odometer": 2 * ((1 << 32) + 7), "Balance": 5 - (1 << 32),
        "Double": 1.5, "Hidden": 9, "Counter": (1 << 32) - 2,
    }  # fmt: skip


def test_snapshot_tells_of_the_signals_that_were_asked_for_and_no_others():
    assert list(_snapshot(_car(), "Speed")) == ["Speed"]  # which is another one's unit, too


def test_snapshot_tells_age_and_quality_and_null_where_nothing_came():
    scene = _car()
    now = ticks_ms()
    scene.values.ticks[0] = 8 << 28 | now - 1000 & 0x0FFFFFFF
    scene.values.quality[1] = 4
    scene.values.ticks[1] = 15 << 28 | now - 70000 & 0x0FFFFFFF
    found = _snapshot(scene, "Speed", "Torque", "Odometer", "Balance")
    assert found["Balance"] is None
    assert [found[name]["quality"] for name in ("Speed", "Torque", "Odometer")] == ["valid", "bad_checksum", "stale"]
    assert 1000 <= found["Speed"]["age_ms"] < 3000 and 70000 <= found["Odometer"]["age_ms"] < 72000
    assert found["Speed"]["source"] == "broadcast"


def test_snapshot_of_what_json_has_no_number_for_is_null():
    scene = _car()
    scene.values.ticks[0] = 8 << 28
    for bits, half in (0x7F800000, 0x7C00), (-1, 0xFC00), (0x7FC00000, 0x7E00):
        scene.values.raw[3], scene.values.raw[2] = bits, half
        found = _snapshot(scene, "Ratio", "Half")
        assert (found["Ratio"]["value"], found["Half"]["value"]) == (None, None)


def test_half_precision_is_that_of_ieee_754():
    bits = 0, 0x8000, 1, 0x3FF, 0x400, 0x3C00, 0xC000, 0x7BFF, 0x3555
    assert [snapshot._float(b, 16) for b in bits] == [0, 0, 2.0**-24, 1023 * 2.0**-24, 2.0**-14, 1, -2, 65504, 1365 / 4096]


def test_snapshot_of_names_that_are_not_there_too_many_or_none_is_refused():
    for names in [], ["Nobody"], ["Spee"], ["Speed", "km/h"], ["Speed", 1], ["Speed"] * 17:
        scene = _car()
        scene.send("snapshot", arguments={"signals": names})
        assert scene.reasons == ["bad_arguments"], names
        assert scene.commands.run == 0


def test_snapshot_goes_on_while_the_bus_is_read():
    scene = _car()
    scene.commands.heard(b"t", sealed(json.dumps(_fields(scene, "snapshot", signals=["Speed"]))))
    assert scene.commands.next(0) is None  # after eight lines
    assert scene.commands.next(0) is not None


def test_snapshot_longer_than_a_packet_is_refused_and_told_so():
    scene = _car()
    scene.commands._text = Text(memoryview(bytearray(200)))
    for row in range(6):
        scene.values.ticks[row] = 8 << 28
    _refuses("too_long", True, scene, command="snapshot", arguments={"signals": ["Speed", "Torque", "Ratio", "Half"]})
    assert scene.commands.run == 0


def test_list_of_signals_is_made_once_for_each_profile():
    scene = _car()
    put("/signals", get("/signals")[:9] + b"untouched")
    listing.make(scene.profile)
    assert get("/signals")[9:] == b"untouched"
    for other in b"", b"00000000\n", get("/signals")[:8]:
        put("/signals", other)
        listing.make(scene.profile)
        assert list(_snapshot(scene, "Balance")) == ["Balance"]


def test_list_of_signals_that_is_missing_or_of_another_profile_is_a_failure():
    for other in None, b"00000000\n[0]\n":
        scene = _car()
        if other is None:
            os.remove("/signals")
        else:
            put("/signals", other)
        _refuses("failed", True, scene, command="snapshot", arguments={"signals": ["Speed"]})


def test_list_of_signals_whose_text_is_no_good_is_not_made():
    for texts in packed_text(['x","y":"']), packed_text([]), b"no text":
        _car()
        os.remove("/signals")
        put("/bad.bin", pack([(1, [Signal(0, 8, 100)])], texts))
        listing.make(Profile("/bad.bin"))
        assert "signals" not in os.listdir("/")


def test_command_about_signals_without_a_profile_is_refused():
    for command, arguments in ("snapshot", {"signals": ["Speed"]}), ("set_period", {"signal": "Speed", "period_ms": 100}):
        _refuses("bad_arguments", True, Scene(), command=command, arguments=arguments)


def _configured(text):
    """A car whose configuration is in force."""
    scene = _car()
    put("/config.json", text)
    assert store.load()[1] is None
    return scene


def _set(scene, signal, period_ms):
    scene.send("set_period", arguments={"signal": signal, "period_ms": period_ms})
    return scene.replies[-1]


def test_period_is_written_to_the_configuration_and_the_restart_is_orderly():
    scene = _configured(b'{"version": 3, "periods": {"Torque": 500}, "device": "kona"}')
    assert _set(scene, "Speed", 0)["result"] == {"version": 4}
    assert scene.parts.asked == ["hold", "reset"]
    config, error = store.load()
    assert (config["version"], config["periods"], config["device"], error) == (4, {"Torque": 500, "Speed": 0}, "kona", None)


def test_period_of_a_device_without_a_configuration_makes_one():
    scene = _car()
    assert _set(scene, "Speed", 200)["result"] == {"version": 1}
    assert store.load()[0]["periods"] == {"Speed": 200}


def test_period_that_cannot_be_is_refused_and_nothing_is_written():
    wrong = ("Nobody", 100), ("Hidden", 100), ("Speed", 7), ("Speed", -1), ("Speed", 3600001), ("Speed", 1 << 40)
    for signal, period_ms in wrong:
        scene = _configured(b"{}")
        assert _set(scene, signal, period_ms)["reason"] == "bad_arguments", (signal, period_ms)
        assert scene.replies[-1]["text"]
        with open("/config.json", "rb") as f:
            assert f.read() == b"{}"
        assert scene.parts.asked == []


def test_period_beside_a_configuration_that_is_not_in_force_is_refused_and_leaves_it():
    for other in b"{", b'{"device": 1}', b"[]", b'{"batch_ms": 500}':
        scene = _configured(b"{}")
        put("/config.json", other)
        assert _set(scene, "Speed", 200)["reason"] == "bad_arguments", other
        with open("/config.json", "rb") as f:
            assert f.read() == other


def test_period_of_more_signals_or_versions_than_there_can_be_is_refused():
    many = {"s%d" % i: 100 for i in range(64)}
    for config in {"version": 65535}, {"periods": many}:
        assert _set(_configured(json.dumps(config).encode()), "Speed", 200)["reason"] == "bad_arguments"
    many["Speed"] = many.pop("s0")
    scene = _configured(json.dumps({"version": 65534, "periods": many}).encode())
    assert _set(scene, "Speed", 200)["result"] == {"version": 65535}


def test_period_after_the_configuration_was_lost_builds_on_the_last_good_one():
    scene = _configured(b'{"device": "kona"}')
    os.remove("/config.json")
    assert _set(scene, "Speed", 200)["ok"]
    config, error = store.load()
    assert (config["device"], config["periods"], error) == ("kona", {"Speed": 200}, None)


def test_period_of_a_signal_of_two_halves_is_checked_for_both():
    scene = _car()
    assert _set(scene, "Odometer", 1000)["ok"]


def test_modules_of_a_command_are_forgotten():
    for name in list(sys.modules):
        if name.startswith("pigtail.control.") and name != "pigtail.control.commands":
            del sys.modules[name]
    scene = _car()
    scene.send("ping")
    _set(scene, "Speed", 200)
    scene.send("snapshot", arguments={"signals": ["Speed"]})
    assert scene.commands.run == 3
    assert [name for name in sys.modules if name.startswith("pigtail.control.")] == ["pigtail.control.commands"]
    assert "pigtail.signals.reschedule" not in sys.modules


class Bus:
    admit_all = None

    def __init__(self):
        self.taps = []

    def overruns(self):
        return 0


def _captures(scene, **arguments):
    given = {"ids": [0x123], "duration_ms": 1000, "frames": 10}
    given.update(arguments)
    scene.send("capture", arguments=given)
    return scene.replies[-1]


def test_capture_hears_the_bus_until_its_last_chunk_is_told():
    scene = _car()
    scene.parts.boot, bus = 7, Bus()
    scene.commands.bus = bus
    assert _captures(scene)["result"] == {"capture": 1}
    assert _captures(scene)["text"] == "one is under way"
    slots = bytearray((struct.pack("<II", 0x123, 8 << 28) + b"\1" * 8) * 64)
    bus.taps[0](slots, 10)
    topic, chunk, retain = scene.commands.next(scene.now)
    assert (topic, len(chunk), retain) == ("t/capture", 40 + 160, False)
    scene.commands.told()
    assert bus.taps == []
    assert _captures(scene)["result"] == {"capture": 2}


def test_capture_opens_the_filters_only_for_ids_that_they_would_keep_out():
    scene = _car()
    known = scene.commands.profile.message_id(0)

    class Asks:
        def ids(self):
            return [0x7E8, 0x3FFFFFF8]

    for ids, tester, opens in (
        ([known], None, []), ([], None, [True]), ([0x123, known], None, [True]), ([0x7EA], None, [True]),
        ([0x7EA, known], Asks(), []),
    ):  # fmt: skip
        bus, opened = Bus(), []
        bus.admit_all = opened.append
        scene.parts.boot, scene.commands.bus, scene.commands.tester, scene.commands.capture = 7, bus, tester, None
        assert _captures(scene, ids=ids)["ok"]
        assert opened == opens, ids


def test_capture_of_what_cannot_be_is_refused():
    for arguments in (
        {"ids": [1] * 17}, {"ids": ["1"]}, {"ids": [1 << 30]}, {"ids": [-1]}, {"duration_ms": 0}, {"duration_ms": 60001},
        {"frames": 0}, {"frames": 100001},
    ):  # fmt: skip
        scene = _car()
        scene.parts.boot, scene.commands.bus = 7, Bus()
        assert _captures(scene, **arguments)["reason"] == "bad_arguments"
        assert scene.commands.bus.taps == []


RAISES = {1: OSError("bus-off"), 2: KeyError("x"), 3: MemoryError(), 4: ValueError("y"), 5: asyncio.CancelledError()}
RAISED = {1: "bus-off", 2: "KeyError('x',)", 3: "no memory", 4: "y", 5: "CancelledError()"}


class Tester:
    """What commands ask of diag.tester."""

    def __init__(self):
        self.client = self
        self.is_asked = self.is_extended_id = False
        self.servers = {"battery": self, "motor": self}
        self.functional = {"all": self}
        self.ecu, self.tx_id, self.rx_id = self, 0x7E4, 0x7EC
        self.guard = self.isotp = self
        self.counts = {"unasked": 3, "pci": 0, "no_answer": 1}
        self.log = [(uptime.ms() // 10, 0x7E4, bytes([n])) for n in range(20)]
        self.asked = []

    def status(self):
        return {"open": True, "muted": "", "sent": 20, "refused": {}}

    def unmute(self):
        self.asked.append("unmute")

    async def ask(self, server, request):
        self.asked.append(("battery", request))
        if request[0] == 0x22:
            raise Failure("negative", 0x31)
        if request[0] in RAISES:
            raise RAISES[request[0]]
        return b"\x49\x02\x01"

    async def ask_all(self, ecu, servers, request):
        self.asked.append(("all", request))
        return [b"\x43\0", Failure("no_answer")]

    def permit_clear(self, ecu, service):
        if service not in (4, 0x14):
            raise ValueError("service %02x does not clear trouble codes" % service)
        self.asked.append("permitted")


def _asked(command, **arguments):
    """(the tester, the reply)."""
    scene = Scene()
    scene.commands.tester = Tester()

    async def run():
        scene.send(command=command, arguments=arguments)
        while not scene.replies:
            await asyncio.sleep_ms(0)
            scene.turns(1)

    asyncio.run(run())
    return scene.commands.tester, scene.replies[0]


def test_ecu_is_asked_and_its_answer_told():
    asking, reply = _asked("ask", ecu="battery", request="0902")
    assert asking.asked == [("battery", b"\x09\x02")] and reply["result"] == {"answer": "490201"}
    _, reply = _asked("ask", ecu="all", request="03")
    assert reply["result"] == {"answers": {"battery": "4300", "motor": {"failure": "no_answer"}}}


def test_failure_of_a_question_is_told():
    _, reply = _asked("ask", ecu="battery", request="22f190")
    assert (reply["reason"], reply["text"]) == ("failed", "negative 31")


def test_question_that_ends_with_any_error_is_answered_and_the_next_command_works():
    async def run(scene, request):
        scene.send(command="ask", arguments={"ecu": "battery", "request": request})
        for _ in range(5):
            await asyncio.sleep_ms(0)
            scene.turns(1)
        scene.send(command="ping")

    for number in RAISES:
        scene = Scene()
        scene.commands.tester = Tester()
        asyncio.run(run(scene, "%02x" % number))
        failed, next_one = scene.replies
        assert (failed["reason"], failed["text"]) == ("bad_arguments" if number == 4 else "failed", RAISED[number])
        assert next_one["ok"] and next_one["command"] == "ping"


def test_codes_are_cleared():
    asking, reply = _asked("clear", ecu="battery", request="14ffffff")
    assert asking.asked == ["permitted", ("battery", b"\x14\xff\xff\xff")] and reply["result"] == {"answer": "490201"}


def test_question_that_cannot_be_is_refused():
    for command, ecu, request in (
        ("ask", "radio", "0902"), ("ask", "battery", ""), ("ask", "battery", "9"), ("ask", "battery", "xy"),
        ("clear", "all", "04"), ("clear", "battery", "2e01"),
    ):  # fmt: skip
        asking, reply = _asked(command, ecu=ecu, request=request)
        assert reply["reason"] == "bad_arguments" and not asking.asked, (command, ecu, request)


def test_nothing_is_asked_where_nothing_may_be():
    for command, arguments in ("ask", {"ecu": "battery", "request": "0902"}), ("gate", {"skip": 0}), ("unmute", {}):
        _refuses("bad_arguments", True, Scene(), command=command, arguments=arguments)


def test_gate_tells_what_it_let_through():
    for skip, told in (0, range(12, 20)), (16, range(4)), (20, ()), (1000, ()):
        _, reply = _asked("gate", skip=skip)
        assert [int(data, 16) for _, _, data in reply["result"]["log"]] == list(told)
        assert all(age >= 0 and ident == 0x7E4 for age, ident, _ in reply["result"]["log"])
    ecus = [[name, 0x7E4, 0x7EC] for name in ("battery", "motor")] + [["all", 0x7E4, None]]
    assert reply["result"]["ecus"] == ecus and reply["result"]["open"]


def test_gate_tells_what_came_from_the_ecus_and_was_dropped():
    _, reply = _asked("gate", skip=0)
    assert reply["result"]["isotp"] == {"unasked": 3, "no_answer": 1}


def test_mute_is_taken_back():
    asking, reply = _asked("unmute")
    assert asking.asked == ["unmute"] and reply["result"] == {}


def test_requests_are_allowed_for_the_profile_in_force_and_forbidden_again():
    scene = _configured(b"{}")
    for requests, identity in (True, "%08x" % scene.commands.profile.identity), (False, ""):
        scene.boot()
        scene.send(command="allow", arguments={"requests": requests})
        assert scene.replies[-1]["ok"] and "reset" in scene.parts.asked
        config, error = store.load()
        assert (config["requests.profile"], error) == (identity, None)
    assert scene.replies[-1]["result"] == {"version": 2}
    _refuses("bad_arguments", True, Scene(), command="allow", arguments={"requests": True})


def test_chunk_of_a_capture_whose_session_ends_is_told_again_whatever_is_told_before_it():
    scene = Scene()
    scene.commands.bus, scene.parts.boot = Bus(), 1
    scene.send("capture", arguments={"ids": [], "duration_ms": 60_000, "frames": 1000})
    assert scene.replies[-1]["ok"]
    for _ in range(2):
        scene.commands.bus.taps[0](bytearray(16 * 64), 64)
    topic, chunk, _ = scene.commands.next(scene.now)
    assert topic == "t/capture"
    first = bytes(chunk)
    scene.nonce += 1
    fields = {"id": "x", "nonce": scene.nonce, "expires_ms": UTC + 100_000, "command": "ping", "arguments": {}}
    scene.commands.heard(b"t/command", sealed(json.dumps(fields)))
    scene.commands.rewind()  # a new session
    said = []
    for _ in range(20):
        scene.now += 100
        told = scene.commands.next(scene.now)
        if told:
            said.append((told[0], bytes(told[1])))
            scene.commands.told()
    assert [topic for topic, _ in said] == ["t/reply", "t/capture", "t/capture"] and said[1][1] == first
