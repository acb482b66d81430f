"""A device that runs, asked by its serial port: no broker, no key, and it goes on. `monitor`, `diag` and `command` by a cable."""

import binascii
import json
import os
import threading
import time
import tty
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from host_tools import cli
from host_tools.commands import monitor
from host_tools.control import NoReply
from host_tools.device import asking, connect, watching
from host_tools.device.asking import Asking
from host_tools.errors import InputError
from host_tools.paths import ROOT
from host_tools.reader import Reply, now
from host_tools.reader.overview import Overview
from host_tools.signals import find, pack
from host_tools.signals.merge import merge
from host_tools.signals.profile import Profile
from host_tools.sim import drive, image, scenario
from host_tools.sim.board import compiled
from host_tools.sim.ecus.file import load_all
from tests.device.virtual import FLASH_SIZE, Powered, powered, wait_for
from tests.host.test_reader_overview import GOOD

DEMO = ROOT / "host_tools" / "sim" / "ecus" / "demo.toml"
ALONE = {"device": "virtual", "mqtt.host": "127.0.0.1", "mqtt.port": 1, "clock.host": "", "batch_ms": 1000}


def asked_car() -> Profile:
    """The demo car, whose ECUs may be asked by hand."""
    profile = merge([find.find(name, 1000, print) for name in ("demo-ev", "demo-ev-diagnostics")], print)
    plain = find.find("demo-ev", 1000, print)
    return replace(plain, asking=replace(profile.asking, requests=()))


@contextmanager
def running(folder: Path, profile: Profile, **config: object) -> Iterator[Powered]:
    """A board whose firmware runs, with nobody at its broker."""
    folder.mkdir()
    image.make(folder / "flash.img", FLASH_SIZE, compiled()[0], pack.pack(profile), ALONE | config)
    with powered(folder, drive.frames(), load_all([DEMO])) as board:
        board.until_it_says('"state": "running"')
        yield board


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Powered]:
    with running(tmp_path / "board", find.find("demo-ev", 1000, print)) as board:
        yield board


def run(*words: str) -> object:
    with pytest.raises(SystemExit) as exit:
        cli.main([*words])
    return exit.value.code or 0


def clocked(monkeypatch: pytest.MonkeyPatch, clock: Callable[[], float]) -> None:
    """`monitor` goes by this clock."""
    monkeypatch.setattr(monitor, "time", SimpleNamespace(monotonic=clock, time=time.time))


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What `monitor` asks for, whose clock shows how many statuses it has."""
    asked: list[str] = []

    class Counted(Asking):
        def ask(self, name: str, arguments: Mapping[str, object], wait_s: float = 10.0) -> Reply:
            reply = super().ask(name, arguments, wait_s)
            asked.append(name)
            return reply

    monkeypatch.setattr(monitor, "Asking", Counted)
    clocked(monkeypatch, lambda: asked.count("status"))
    return asked


def test_monitor_by_a_cable_shows_the_same_picture_as_over_mqtt(
    board: Powered, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = counted(monkeypatch)
    assert run("monitor", "--port", board.port, "--for", "2", "--json") == 0
    told = [json.loads(line)["devices"][board.port] for line in capsys.readouterr().out.splitlines()]
    assert len(told) == len(asked) and asked[-1] == "status"
    values_of = [len(seen["values"]) for seen in told]
    assert values_of[0] == 0 and values_of == sorted(values_of) and told[0]["status"] and told[0]["frames_per_s"] is None
    seen = told[-1]
    assert seen["status"]["state"] == "online" and seen["status"]["boot"] == 1 and seen["frames_per_s"] > 100
    assert [row["name"] for row in seen["health"]][:5] == ["bus", "queue", "link", "clock", "device"]
    values = {value["name"]: value for value in seen["values"]}
    speed = values["Vehicle.Speed"]
    assert speed["source"] == "broadcast" and speed["quality"] == "valid" and speed["unit"] == "km/h" and speed["age_s"] < 60
    assert speed["value"] == pytest.approx(speed["raw"] * 0.01, abs=0.001) and speed["clock"] == "host"
    known = [signal.name for signal in find.find("demo-ev", 1000, print).signals]
    assert len(values) > 40 and list(values) == [name for name in known if name in values]
    assert not [life.death for life in board.board.lives if life.death] and board.board.console().count("running") == 1


class Told:
    """A device that tells its status, its profile and its values, each page in 1.1 s of `now_s`; every value is 500 ms old."""

    port = "/dev/told"

    def __init__(self) -> None:
        self.now_s, self.asked, self.listened_s = 0.0, list[str](), 0.0
        self.profile = find.find("demo-ev", 1000, print)
        self._packed = pack.pack(self.profile)
        self.known_as = f"{pack.identity(self._packed):08x}"

    def __enter__(self) -> "Told":
        return self

    def __exit__(self, *error: object) -> None:
        """Has nothing to close."""

    def listen(self, seconds: float) -> None:
        """Says nothing."""
        self.listened_s += max(0, seconds)
        self.now_s += max(0, seconds)

    def ask(self, name: str, arguments: Mapping[str, int], wait_s: float = 10.0) -> Reply:
        """A page."""
        self.now_s += 1.1
        self.asked.append(name)
        skip = arguments.get("skip", 0)
        if name == "status":
            told: dict[str, object] = {**GOOD, "profile": self.known_as, "uptime_ms": 60_000 + round(self.now_s * 1000)}
        elif name == "profile":
            data = binascii.b2a_base64(self._packed[skip : skip + 384], newline=False).decode()
            told = {"profile": self.known_as, "size": len(self._packed), "data": data}
        else:
            counts = [len(row.fields) for row in self.profile.rows][skip : skip + 6]
            rows = [[skip + n, 500, [0] * count, [0] * count] for n, count in enumerate(counts)]
            told = {"profile": self.known_as, "boot": 2, "rows": rows, "next": skip + 6 if skip < 12 else None}
        return Reply(self.port, "x", name, True, told, "", "")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    device = Told()
    monkeypatch.setattr(monitor, "Asking", lambda port, note: device)
    clocked(monkeypatch, lambda: device.now_s)
    monkeypatch.setattr(now, "time", SimpleNamespace(time=lambda: device.now_s))
    return device


FIRST = ["status", *["profile"] * 5, *["values"] * 3]  # a look of one who does not know the profile


@pytest.mark.parametrize(("seconds", "pages"), [("1", 1), ("1.2", 2), ("6.5", 6), ("8", 8), ("12", 11)])
def test_monitor_by_a_cable_tells_each_page_and_ends_with_the_one_under_way(
    seconds: str, pages: int, told: Told, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("monitor", "--port", told.port, "--for", seconds, "--json") == 0
    assert told.asked == [*FIRST, "status", "values"][:pages] and told.listened_s == 0
    seen = [json.loads(line)["devices"][told.port] for line in capsys.readouterr().out.splitlines()]
    assert len(seen) == pages and all(picture["status"]["state"] == "online" for picture in seen)
    counts = [len(picture["values"]) for picture in seen]
    assert counts[:6] == [0] * min(pages, 6) and counts[6:] == [20, 39, 51, 51, 51][: max(0, pages - 6)]


def test_values_by_a_cable_are_as_old_as_the_device_says_though_its_profile_is_read_first(told: Told) -> None:
    overview = Overview()
    for _ in watching.Watching(told).look(overview):  # type: ignore[arg-type]
        pass
    at = [sample.utc for _, sample in overview._latest.of(told.port)]
    assert at[0] == pytest.approx(7 * 1.1 - 0.5) and at[-1] == pytest.approx(9 * 1.1 - 0.5)


def test_picture_by_a_cable_comes_at_once_then_every_ten_seconds_and_at_the_end(
    told: Told, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("monitor", "--port", told.port, "--for", "13") == 0
    drawn = capsys.readouterr().out
    first, second, third = drawn.split(f"{told.port}\n")[1:]
    assert "of 16 messages heard" in first and "km/h" not in first
    for picture in second, third:
        assert "km/h" in picture and "broadcast" in picture


def test_look_that_took_less_than_a_second_is_followed_by_a_pause(told: Told) -> None:
    told.known_as = ""  # no profile: a status is all there is
    asked = told.ask

    def at_once(name: str, arguments: Mapping[str, int], wait_s: float = 10.0) -> Reply:
        reply = asked(name, arguments, wait_s)
        told.now_s -= 1.0
        return reply

    told.ask = at_once  # type: ignore[method-assign]
    assert run("monitor", "--port", told.port, "--for", "3", "--json") == 0
    assert told.asked == ["status"] * 4 and told.listened_s == pytest.approx(3 - 3 * 0.1)


def test_profile_that_changes_amid_a_look_is_told_and_the_next_look_has_it(told: Told) -> None:
    overview, watched = Overview(), watching.Watching(told)  # type: ignore[arg-type]
    for page, _ in enumerate(watched.look(overview)):
        if page == 6:
            before, told.known_as = told.known_as, "0badcafe"
    assert told.asked == FIRST[:-1] and "no values: its profile has just changed" in overview._notes[0]
    told.known_as = before
    assert sum(1 for _ in watched.look(overview)) == 4 and len(list(overview._latest.of(told.port))) == 51


def test_command_by_a_cable_needs_no_key_and_no_time(board: Powered, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("command", "--port", board.port, "--json", "ping") == 0
    assert json.loads(capsys.readouterr().out)["result"]["uptime_ms"] > 0
    assert run("command", "--port", board.port, "snapshot", "signals=Vehicle.Speed") == 0
    assert "Vehicle.Speed" in capsys.readouterr().out
    assert run("command", "--port", board.port, "snapshot", "signals=Vehicle.Sped") == 1
    assert "the profile has no Vehicle.Sped" in capsys.readouterr().out
    assert run("command", "--port", board.port, "set_period", "signal=Vehicle.Speed", "period_ms=500") == 0
    board.until_it_says('"boot": 2')
    assert run("command", "--port", board.port, "--json", "status") == 0
    status = json.loads(capsys.readouterr().out.splitlines()[-1])["result"]
    assert (status["boot"], status["config"], status["console"]) == (2, 1, {"run": 0, "refused": {}, "dropped": 0})
    assert status["commands"] is None


def test_diag_by_a_cable_reads_what_a_mechanic_expects(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    profile = asked_car()
    with running(tmp_path / "board", profile) as board:
        way = "diag", "--port", board.port
        assert run(*way, "dtcs") == 1
        assert "its owner must allow it first" in capsys.readouterr().err
        assert run(*way, "allow") == 0
        board.until_it_says('"boot": 2')
        wait_for(lambda: gate_is_open(board.port), "it may not ask")
        capsys.readouterr()
        assert run(*way, "dtcs") == 0
        assert "P0420" in (codes := capsys.readouterr().out) and "catalyst system efficiency below threshold" in codes
        assert run(*way, "vin") == 0
        assert capsys.readouterr().out == "PIGTAIL0DEMO00001  from battery (7E4)\n"
        assert run(*way, "--ecu", "battery", "--json", "read", "F190") == 0
        assert b"PIGTAIL0DEMO00001".hex() in capsys.readouterr().out.lower().replace(" ", "")
        assert run(*way, "--ecu", "motor", "snapshot") == run(*way, "--ecu", "motor", "supported") == 0
        capsys.readouterr()
        assert run(*way, "--yes", "--ecu", "motor", "clear") == 0
        assert "P0420" in (codes := capsys.readouterr().out) and "permanent" in codes and "confirmed" not in codes
        assert run(*way, "gate") == 0
        assert "04 14 FF FF FF" in capsys.readouterr().out


def gate_is_open(port: str) -> bool:
    with Asking(port) as device:
        gate = device.ask("status", {}).result["gate"]
    return bool(gate and gate["open"])


def test_console_is_answered_beside_a_command_key_and_the_gate_judges_as_ever(tmp_path: Path) -> None:
    with running(tmp_path / "board", find.find("demo-ev", 1000, print), **{"command.key": "5a" * 32}) as board:
        with Asking(board.port) as device:
            assert device.ask("ping", {}).ok
            told = device.ask("ask", {"ecu": "motor", "request": "22f190"})
            assert (told.ok, told.text) == (False, "requests are not allowed")
            told = device.ask("config", {"set": {"command.key": "00" * 32}})
            assert (told.ok, told.reason) == (False, "bad_arguments")
            status = device.ask("status", {}).result
        assert status["commands"]["run"] == 0 and status["console"]["run"] == 1
        assert status["console"]["refused"] == {"bad_arguments": 2} and status["restarts"] == {}


def test_long_command_goes_in_pieces(board: Powered) -> None:
    with Asking(board.port) as device:
        names = [f"Vehicle.{'x' * 20}.{n}" for n in range(13)]
        told = device.ask("snapshot", {"signals": names})
        assert told.text == f"the profile has no {names[0]}"
        with pytest.raises(InputError, match="name fewer signals"):
            device.ask("snapshot", {"signals": names * 2})
        told = device.ask("pong", {})
        assert (told.reason, told.command) == ("unknown_command", "pong")


def test_ctrl_c_amid_a_command_stops_the_firmware_and_a_restart_hears_again(board: Powered) -> None:
    with Asking(board.port) as device:
        device._put(b'noise\x10{"id": "a1", "comm')
        time.sleep(0.3)
    with connect(board.port) as stopped:
        assert stopped.eval("1 + 1") == 2
    board.until_it_says('"boot": 2')
    with Asking(board.port) as device:
        assert device.ask("status", {}).result["boot"] == 2


def test_fault_45_firmware_that_is_stopped_is_one_line_that_says_what_to_do(
    board: Powered, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(asking, "HEARS_S", 1.5)
    device = connect(board.port)
    device.close()
    for verb in ("monitor",), ("diag", "--wait", "1", "dtcs"), ("command", "--wait", "1", "ping"):
        assert run(*verb, "--port", board.port) == 2
        complaint = capsys.readouterr().err
        assert "it is stopped, or older than this tool" in complaint and "pigtail deploy --port" in complaint


def test_fault_45_power_that_goes_amid_a_watch(board: Powered, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "HEARS_S", 1.5)
    with Asking(board.port) as device:
        assert device.ask("ping", {}).ok
        board.cut_power()
        with pytest.raises(InputError, match="no firmware hears commands there"):
            device.ask("ping", {}, 1.0)
        board.restore_power()
        wait_for(lambda: board.board.console().count('"state": "running"') == 2, "it does not start again")
        assert device.ask("ping", {}).ok


class Firmware(threading.Thread):
    """The other end of a wire: for each line that comes it says what it is given."""

    def __init__(self, *says: bytes) -> None:
        super().__init__(daemon=True)
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        self._says = [*says]
        self.heard = b""

    def run(self) -> None:
        while self._says:
            self.heard += os.read(self._master, 4096)
            if self.heard.endswith(b"\x10"):
                os.write(self._master, b"\x10>\r\n")
            elif self.heard.endswith(b"\n"):
                os.write(self._master, self._says.pop(0))

    def ident(self) -> str:
        return str(json.loads(self.heard.rsplit(b"\x10", 1)[-1])["id"])


@pytest.mark.parametrize(
    ("says", "kind", "words"),
    [
        (b"\x10.[1]\r\n", InputError, "no JSON object"),
        (b"\x10-{\x10.}\r\nx\r\n\x10.\xff\r\n", InputError, "no JSON"),
        (b'\x10.{"id": 1}\r\n', InputError, "name id and command"),
        (b'\x10.{"id": "other", "command": "ping", "ok": true, "result": {}}\r\n', NoReply, "no reply from"),
        (b"Traceback\r\n", NoReply, "no reply from"),
    ],
)
def test_fault_45_reply_that_is_none(says: bytes, kind: type[Exception], words: str) -> None:
    firmware = Firmware(says)
    firmware.start()
    with Asking(firmware.port) as device, pytest.raises(kind, match=words):
        device.ask("ping", {}, 0.5)


def test_command_that_the_wire_garbled_is_refused_as_malformed() -> None:
    void, first = b'\x10-{"result\r\n\x10!\r\n', b'\x10-{"id":"","command":"","ok":\r\nlog\r\n'
    firmware = Firmware(void + first + b'\x10.false,"reason":"malformed","text":""}\r\n')
    firmware.start()
    noted: list[str] = []
    with Asking(firmware.port, noted.append) as device:
        told = device.ask("ping", {}, 2.0)
    assert (told.ok, told.reason, told.command, told.id) == (False, "malformed", "ping", firmware.ident())
    assert noted == ["log"]


@pytest.mark.parametrize(
    "words",
    [
        ("--port", "/dev/x", "--device", "kona"), ("--port", "/dev/x", "--command-key", "k"),
        ("--port", "/dev/x", "--broker", "mqtt://b"),
    ],
)  # fmt: skip
def test_cable_and_mqtt_at_once_are_refused(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    for verb in ("diag", "dtcs"), ("command", "ping"):
        assert run(*verb, *words) == 2
        assert "name one of the two" in capsys.readouterr().err


@pytest.mark.parametrize("words", [("--device", "kona"), ("--command-key", "k"), ("--broker", "mqtt://b")])
def test_mqtt_without_device_or_key_is_refused(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run("diag", *words, "dtcs") == 2
    assert "give --device and --command-key; or --port" in capsys.readouterr().err


def test_device_that_asks_by_a_schedule_has_room_to_be_asked_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    counted(monkeypatch)
    profile = merge([find.find(name, 1000, print) for name in ("demo-ev", "demo-ev-diagnostics")], print)
    with running(tmp_path / "board", profile, **scenario.permission(profile)) as board:
        wait_for(lambda: gate_is_open(board.port), "it may not ask")
        for verb in ("dtcs",), ("vin",), ("--ecu", "battery", "read", "F190"), ("gate",):
            assert run("diag", "--port", board.port, *verb) == 0, verb
        capsys.readouterr()
        assert run("monitor", "--port", board.port, "--for", "2", "--json") == 0
        seen = json.loads(capsys.readouterr().out.splitlines()[-1])["devices"][board.port]
        assert {value["source"] for value in seen["values"]} == {"broadcast", "diagnostic"}
        assert seen["status"]["gate"]["answered"] > 0 and seen["status"]["restarts"] == {}


def test_fault_8_device_without_room_says_so_and_watching_goes_on() -> None:
    firmware = Firmware()
    answered = []

    def run() -> None:
        while len(answered) < 2:
            if os.read(firmware._master, 4096).endswith(b"\x10"):
                os.write(firmware._master, b'\x10.{"id":"","command":"","ok":false,"reason":"failed","text":"no memory"}\r\n')
                answered.append(1)

    threading.Thread(target=run, daemon=True).start()
    with Asking(firmware.port) as device:
        for _ in range(2):
            with pytest.raises(NoReply, match="no memory left for commands"):
                device.ask("ping", {}, 2.0)
