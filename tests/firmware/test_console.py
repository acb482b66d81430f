"""control/console: commands that come at the serial port; what else comes there is dropped and counted."""
# heap: 256k

import asyncio
import json
import os
import sys
from array import array
from binascii import a2b_base64
from fakes import Time, stopped
from packed import Signal, pack, put
from pigtail.control import console as module
from pigtail.control import hearing, running, typed
from pigtail.outbox import keeper
from pigtail.signals.profile import Profile
from pigtail.signals.values import Values
from runner import raises
from time import ticks_ms

BEGIN = b"\x10"
LOOK_MS, SILENT_MS = 100, 2500


class Terminal:
    """Both ends of the serial port, and the poll that says whether something has come."""

    POLLIN = 1

    def __init__(self):
        self.incoming = bytearray()
        self.said = ""
        self.at = []  # when something was said
        self.looks = self.reads = 0
        self.is_over = self.is_watched = False
        self.stdin = self.stdout = self.buffer = self
        self.poll = lambda: self

    def register(self, stream, flags):
        self.is_watched = True

    def unregister(self, stream):
        self.is_watched = False

    def ipoll(self, timeout):
        assert timeout == 0, "nobody waits here"
        self.looks += 1
        return [(self, 1)] if self.is_watched and (self.incoming or self.is_over) else []

    def readinto(self, buffer):
        self.reads += 1
        if not self.incoming:
            return 0
        byte = self.incoming[0]
        self.incoming = self.incoming[1:]
        if byte == 3:  # a chip makes it an interrupt wherever the firmware is
            raise KeyboardInterrupt
        buffer[0] = byte
        return 1

    def write(self, text):
        self.said += text
        self.at.append(self.time.now)


class Parts:
    """An outbox and a keeper that note what they are asked."""

    boot = 7
    bytes = 77

    def __init__(self):
        self.asked = []

    def close(self):
        self.asked.append("close")

    def hold(self, now):
        self.asked.append("hold")

    def reset(self):
        self.asked.append("reset")


class Scene:
    def __init__(self, profile=None, values=None):
        self.time = Time().into(module, typed, hearing)
        self.terminal = module.sys = module.select = typed.sys = hearing.sys = Terminal()
        self.terminal.time = self.time
        module.print = lambda text: self.terminal.write(text + "\n")
        self.parts = keeper.machine = Parts()
        self.console = module.Console(self.parts, profile, values, self.parts, self.parts)
        self.console.status = lambda: {"state": "online", "note": "é" * 40}
        self.beats = 0
        self.task = None

    def beat(self):
        self.beats += 1

    async def types(self, text, ms=LOOK_MS + 100):
        self.terminal.incoming.extend(text)
        if self.task is None:
            self.task = asyncio.create_task(self.console.listen(self.beat))
        await self.time.passes(ms, 4)

    async def asks(self, command="ping", arguments=None, ms=3000):
        """The reply."""
        self.terminal.said = ""
        body = json.dumps({"id": "a1", "command": command, "arguments": arguments or {}})
        await self.types(BEGIN + body.encode() + b"\n", ms)
        return self.reply

    @property
    def replies(self):
        """What was told, line by line, without leave to go on."""
        told, pieces = [], ""
        for line in self.terminal.said.split("\n")[:-1]:
            if line[:2] in ("\x10-", "\x10."):
                pieces += line[2:]
            if line == "\x10!":
                pieces = ""
            if line[:2] == "\x10.":
                told.append(json.loads(pieces))
                pieces = ""
        assert not pieces, "a reply has no end"
        return told

    @property
    def reply(self):
        assert len(self.replies) == 1, self.terminal.said
        return self.replies[0]


async def test_good_command_is_run_and_answered_and_nothing_of_it_stays():
    loaded = [name for name in sys.modules if name.startswith("pigtail.control.") and name != "pigtail.control.console"]
    kept = {name: sys.modules.pop(name) for name in loaded}
    scene = Scene()
    try:
        scene.terminal.incoming.extend(BEGIN + b'{"id": "a1", "command": "ping", "arguments": {}}\n')
        task = asyncio.create_task(scene.console.listen(scene.beat))
        for _ in range(200):
            scene.time.now += 4
            await asyncio.sleep_ms(1)  # what is loaded anew has the real time and the real console
        await stopped(task)
    finally:
        left = [name for name in sys.modules if name.startswith("pigtail.control.")]
        sys.modules.update(kept)
    assert left == ["pigtail.control.console"] and scene.console.run == 1


async def test_reply_comes_in_short_lines_one_a_turn_and_leave_to_go_on_before():
    scene = Scene()
    reply = await scene.asks("status")
    assert reply["ok"] and reply["id"] == "a1" and reply["command"] == "status" and reply["result"] == scene.console.status()
    lines = scene.terminal.said.split("\n")
    assert lines[0] == "\x10>" and len(lines) > 4 and all([len(line) <= 34 for line in lines])
    at = scene.terminal.at[1:]
    assert all([at[i + 1] - at[i] >= 4 for i in range(len(at) - 1)]), "a chip's wire takes no more at once"


async def test_what_others_say_meanwhile_gets_between_the_lines_of_a_reply_and_not_into_them():
    scene = Scene()
    await scene.types(BEGIN + b'{"id": "a1", "command": "status", "arguments": {}}\n', LOOK_MS)
    for _ in range(30):
        scene.terminal.write("Traceback\n")
        await scene.time.passes(4, 4)
    assert scene.reply["result"] == scene.console.status()


async def test_leave_is_given_again_for_every_128_bytes():
    scene = Scene()
    await scene.types(BEGIN)
    assert scene.terminal.said == "\x10>\n"
    await scene.types(b" " * 127)
    assert scene.terminal.said.count(">") == 1
    await scene.types(b" ")
    assert scene.terminal.said.count(">") == 2


async def test_fault_31_noise_at_the_console_is_dropped_and_counted():
    scene = Scene()
    noise = bytes([byte for byte in range(256) if byte not in (3, 16)])
    await scene.types(noise, 500)
    assert scene.console.dropped == len(noise) and scene.terminal.said == ""
    assert (scene.console.run, scene.console.refused) == (0, {})
    assert (await scene.asks())["ok"]


async def test_fault_31_flood_of_noise_at_the_console_takes_256_bytes_at_a_look():
    scene = Scene()
    await scene.types(b"x" * 2000, 40)
    assert scene.console.dropped == 256
    await scene.types(b"", 1000)
    assert scene.console.dropped == 2000


async def test_fault_31_command_at_the_console_that_is_too_long_is_drained_and_counted():
    scene = Scene()
    scene.terminal.said = ""
    await scene.types(BEGIN + b"{" + b"x" * 5000 + b"\n", 2000)
    assert scene.reply["reason"] == "too_long" and scene.reply["id"] == ""
    assert (scene.console.refused, scene.console.dropped) == ({"too_long": 1}, 5001)
    assert (await scene.asks())["ok"]


async def test_command_at_the_console_of_512_bytes_is_taken_and_of_513_is_not():
    for size, reason in (512, None), (513, "too_long"):
        scene = Scene()
        body = b'{"id": "a1", "command": "ping", "arguments": {}}'
        await scene.types(BEGIN + body + b" " * (size - len(body)) + b"\n", 2000)
        assert scene.reply.get("reason") == reason, size


async def test_fault_31_command_at_the_console_without_a_newline_is_given_up():
    scene = Scene()
    await scene.types(BEGIN + b'{"id": "a1"', SILENT_MS)
    assert scene.reply["reason"] == "malformed" and scene.console.refused == {"malformed": 1} and scene.console.dropped == 11
    before = scene.beats
    await scene.types(BEGIN, 1500)
    assert scene.beats > before + 100, "the supervisor would take it for stalled"


async def test_fault_31_command_at_the_console_that_is_not_of_this_form():
    good = {"id": "a", "command": "ping", "arguments": {}}
    shapes = [b"", b"x", b"[]", b"1", b"{}", b"[" * 300, b"\xff\xfe", b'{"id": "a", "command": "ping"', b'"' + b"\\u0041" * 60]
    for name, value in ("id", 1), ("id", ""), ("id", "x" * 37), ("command", None), ("arguments", []), ("more", 1):
        shapes.append(json.dumps(dict(good, **{name: value})).encode())
    scene = Scene()
    for shape in shapes:
        scene.terminal.said = ""
        await scene.types(BEGIN + shape + b"\n", 400)
        assert scene.reply == {"id": "", "command": "", "ok": False, "reason": "malformed", "text": ""}, shape
    assert scene.console.refused == {"malformed": len(shapes)} and scene.console.run == 0


async def test_unknown_command_at_the_console_is_refused_by_name():
    scene = Scene()
    for name in "pong", "capture", "", "__init__":
        reply = await scene.asks(name)
        assert (reply["id"], reply["command"], reply["reason"]) == ("a1", name, "unknown_command")
    for name, arguments in ("ping", {"x": 1}), ("values", {}), ("values", {"skip": "0"}), ("gate", {"skip": 0}):
        assert (await scene.asks(name, arguments))["reason"] == "bad_arguments", name
    assert scene.console.refused == {"unknown_command": 4, "bad_arguments": 4}


async def test_command_while_another_runs_waits_and_both_are_answered():
    scene, ended = Scene(), []

    def slow(console, command):
        for _ in range(100):
            yield
        ended.append(command["id"])
        console.answer(command, "", "", {})

    kept, running.run = running.run, slow
    try:
        for ident in b"1", b"2":
            await scene.types(BEGIN + b'{"id": "' + ident + b'", "command": "ping", "arguments": {}}\n', 200)
            assert scene.replies == []
        await scene.types(b"", 2000)
    finally:
        running.run = kept
    assert [reply["id"] for reply in scene.replies] == ended == ["1", "2"]


async def test_flood_of_commands_leaves_the_bus_a_pause_after_each():
    scene = Scene()
    await scene.types(BEGIN + b'{"id": "a1", "command": "ping", "arguments": {}}\n' + BEGIN, LOOK_MS)
    await scene.types(b"", 1000)
    at = scene.terminal.at
    assert len(scene.replies) == 1 and 400 <= at[-1] - at[-2] < 600
    assert scene.terminal.said.count(">") == 2


async def test_half_a_command_and_then_another_is_the_other():
    scene = Scene()
    await scene.types(BEGIN + b'{"id": "a1", "comm')
    assert (await scene.asks())["ok"] and scene.console.dropped == 18 and scene.console.refused == {}


async def test_ctrl_c_ends_the_firmware_wherever_it_comes():
    for before in b"", b"noise", BEGIN, BEGIN + b'{"id": "a1", "comm':
        scene = Scene()
        scene.terminal.incoming.extend(before + b"\3")
        listening = scene.console.listen(scene.beat)
        with raises(KeyboardInterrupt):
            for _ in range(50):
                scene.time.now += 4
                listening.send(None)
        scene.terminal.said = ""
        assert (await scene.asks())["ok"], "a board that goes on must hear again"


async def test_console_that_is_not_there_is_looked_at_once():
    scene = Scene()
    scene.terminal.is_over = True
    await scene.types(b"", 5000)
    assert scene.terminal.reads == 1 and scene.terminal.looks < 60 and scene.beats > 20
    assert scene.console.dropped == 0


async def test_fault_8_command_at_the_console_that_has_no_room_fails_and_says_so():
    scene = Scene()

    def full(*args):
        raise MemoryError

    kept, typed.take = typed.take, full
    try:
        reply = await scene.asks()
    finally:
        typed.take = kept
    assert (reply["ok"], reply["reason"], reply["text"]) == (False, "failed", "no memory")
    assert scene.console.refused == {"failed": 1} and scene.beats > 10


async def test_fault_8_result_that_has_no_room_is_not_counted_as_run():
    scene = Scene()

    class Json:
        @staticmethod
        def dumps(value):
            if value == "full":
                raise MemoryError
            return json.dumps(value)

    scene.console.status = lambda: {"state": "online" * 20, "note": "full"}
    kept, typed.json = typed.json, Json
    try:
        reply = await scene.asks("status")
    finally:
        typed.json = kept
    assert "\x10!\n" in scene.terminal.said
    assert (reply["id"], reply["reason"]) == ("a1", "failed")
    assert (scene.console.run, scene.console.refused) == (0, {"failed": 1})


async def test_restart_by_the_console_is_orderly_and_comes_after_the_reply():
    scene = Scene()
    await scene.types(BEGIN + b'{"id": "a1", "command": "reboot", "arguments": {}}\n', LOOK_MS + 8)
    while not scene.terminal.said.count("\x10."):
        assert scene.parts.asked == []
        await scene.time.passes(4, 4)
    await scene.time.passes(100, 4)
    assert scene.reply["ok"] and scene.parts.asked == ["hold", "reset"]


def _car():
    """Two rows on the bus and, far behind, one of 64 signals, one of 33 bits among them."""
    wide = [Signal(bit, 1) for bit in range(64)]
    put("/car.bin", pack([(1, [Signal(0, 8), Signal(8, 16, signed=True)]), (2, [Signal(0, 8)]), (3, wide)], b"text" * 400))
    profile = Profile("/car.bin")
    values = Values(profile)
    values.raw[:3] = array("i", [250, -3, 9])
    return profile, values


async def test_values_are_told_by_row_with_age_quality_and_raw_value():
    profile, values = _car()
    now = ticks_ms()
    values.ticks[0], values.quality[1] = 8 << 28 | now - 1000 & 0x0FFFFFFF, 4
    scene = Scene(profile, values)
    result = (await scene.asks("values", {"skip": 0}))["result"]
    assert (result["profile"], result["boot"], result["next"]) == ("%08x" % profile.identity, 7, 2)
    assert len(result["rows"]) == 1, "what was never heard has no value"
    row, age, qualities, raw = result["rows"][0]
    assert (row, qualities, raw) == (0, [0, 4], [250, -3]) and 1000 <= age < 3000


async def test_values_come_in_pages_and_those_gone_silent_are_stale():
    profile, values = _car()
    for row in range(3):
        values.ticks[row] = 15 << 28 | 1
    scene = Scene(profile, values)
    first = (await scene.asks("values", {"skip": 0}))["result"]
    assert [row[0] for row in first["rows"]] == [0, 1] and first["next"] == 2 and first["rows"][0][2] == [2, 2]
    last = (await scene.asks("values", {"skip": 2}))["result"]
    assert [(row[0], len(row[3])) for row in last["rows"]] == [(2, 64)] and last["next"] is None
    assert (await scene.asks("values", {"skip": 99}))["result"]["rows"] == []


async def test_values_are_judged_before_they_are_told():
    class Judge:
        def limits(self):
            values.quality[0] = 1

    profile, values = _car()
    values.judge, values.ticks[0] = Judge(), 1
    assert (await Scene(profile, values).asks("values", {"skip": 0}))["result"]["rows"][0][2] == [1, 0]


async def test_profile_is_told_whole_in_pages():
    profile, values = _car()
    scene, whole, pages = Scene(profile, values), b"", 0
    while True:
        pages += 1
        page = (await scene.asks("profile", {"skip": len(whole)}))["result"]
        assert page["profile"] == "%08x" % profile.identity
        whole += a2b_base64(page["data"])
        if len(whole) == page["size"]:
            break
        assert len(whole) == pages * 384
    assert pages == 6
    with open("/car.bin", "rb") as f:
        assert f.read() == whole
    assert a2b_base64((await scene.asks("profile", {"skip": 10_000}))["result"]["data"]) == b""


async def test_values_and_profile_of_a_device_without_one_or_before_the_first_are_refused():
    car = _car()
    for name in "values", "profile":
        assert (await Scene().asks(name, {"skip": 0}))["text"] == "there is no profile"
        assert (await Scene(*car).asks(name, {"skip": -1}))["text"] == "skip: takes 0 or more"
    os.remove("/car.bin")
    assert (await Scene(*car).asks("profile", {"skip": 0}))["reason"] == "failed"
