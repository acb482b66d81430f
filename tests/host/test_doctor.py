"""What `pigtail doctor` finds: each fault gets its line, its level and what to do. The way of a device that is well is in
tests/device/test_first_device.py."""

import asyncio
import json
import shutil
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from host_tools import boards
from host_tools.commands import doctor
from host_tools.device.release import Found, Release, digest, modules
from host_tools.device.serial import DeviceError
from host_tools.doctor import Case, Finding, broker, chip, device, machine
from host_tools.errors import InputError, SetupError
from host_tools.reader import Status
from host_tools.reader.connection import Connection, Trust
from host_tools.signals import find
from host_tools.signals.pack import identity, pack
from host_tools.sim import broker as brokers
from host_tools.sim.certificates import Authority
from tests.host.test_reader_overview import GOOD, worse

DEMO = pack(find.find("demo-ev", 1000, lambda line: None))


def told(findings: Iterator[Finding]) -> dict[str, Finding]:
    return {finding.check: finding for finding in findings}


def raises(error: Exception) -> Callable[..., Any]:
    def act(*_: object) -> None:
        raise error

    return act


def test_machine_with_all_it_needs_is_ok() -> None:
    assert {finding.level for finding in machine.look(Case())} == {"ok"}


@pytest.mark.parametrize(
    ("what", "error", "check", "level"),
    [
        ("version", PackageNotFoundError("esptool"), "tools", "error"),
        ("umqtt.find", SetupError("no index"), "umqtt", "error"),
        ("micropython.find", SetupError("no MicroPython"), "simulator", "warning"),
    ],
)
def test_tool_that_is_missing_is_said(
    what: str, error: Exception, check: str, level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"host_tools.doctor.machine.{what}", raises(error))
    found = told(machine.look(Case()))[check]
    assert found.level == level and "make setup" in found.todo


def test_steps_are_told_where_there_is_no_terminal_and_findings_as_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    def step() -> Iterator[Finding]:
        yield Finding("port", "ok", "it is there")
        told.append("second is looked at")
        yield Finding("clock", "warning", "it is slow", "wind it up")

    monkeypatch.setattr(doctor, "steps", lambda case: [("looking at the device", step)])
    monkeypatch.setattr(doctor, "_tell", lambda finding: told.append(finding.check))
    done = CliRunner().invoke(doctor.command, [])
    assert (done.exit_code, done.stderr) == (0, "looking at the device\n")
    assert told == ["port", "second is looked at", "clock"]


class Board:
    """A device that answers from what it was given: values by a word of the expression, files by path."""

    port = "/dev/ttyUSB0"

    def __init__(self, values: dict[str, object] | None = None, files: dict[str, bytes] | None = None) -> None:
        self._values, self._files = values or {}, files or {}

    def eval(self, expression: str, like: object = None) -> object:
        return next(value for word, value in self._values.items() if word in expression)

    def exec(self, code: str) -> str:
        return str(self.eval(code))

    def get(self, path: str) -> bytes | None:
        return self._files.get(path)

    def hashes(self, paths: Sequence[str]) -> dict[str, str]:
        return {path: digest(self._files[path]) for path in paths if path in self._files}


@pytest.mark.parametrize(("known", "checks"), [(None, ["start"]), (7, ["start", "profile"])])
def test_profile_is_told_once(known: int | None, checks: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "started", lambda *_: {"firmware": "0.1.0", "boot": 1, "profile_error": "/profile.bin: ENOENT"})
    case = Case(identity=known)  # None: there was none to be read, as was told
    assert [finding.check for finding in device._starts(Board(), case)] == checks  # type: ignore[arg-type]


def test_old_micropython_is_an_error() -> None:
    found = told(device._micropython(Board({"implementation": ((1, 24, 1), "ESP32")}), Case()))["MicroPython"]  # type: ignore[arg-type]
    assert found.level == "error" and "1.24.1 on ESP32" in found.text and "pigtail flash" in found.todo


@pytest.mark.parametrize(("off_s", "level"), [(0, "ok"), (-3600, "warning"), (90, "warning")])
def test_clock_that_is_wrong_is_a_warning(off_s: int, level: str) -> None:
    now = tuple(time.gmtime(time.time() + off_s)[:6])
    assert device._clock(Board({"gmtime": now})).level == level  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("free_blocks", "own", "levels"),
    [(400, True, ("ok", "ok")), (3, True, ("warning", "ok")), (400, False, ("ok", "warning"))],
)
def test_flash_that_is_nearly_full_or_has_no_outbox_is_a_warning(free_blocks: int, own: bool, levels: tuple[str, str]) -> None:
    board = Board({"statvfs": (free_blocks * 4096, 512 * 4096), "outbox_device": own, "import board": ""})
    found = told(chip.look(board, Case()))  # type: ignore[arg-type]
    assert (found["flash"].level, found["outbox"].level) == levels


MODULES = modules(boards.load("esp32-mcp2515"))


@pytest.mark.parametrize(
    ("files", "arch", "level", "words"),
    [
        ({}, "xtensawin", "ok", "no file of ours"),
        (MODULES, "xtensawin", "ok", "esp32-mcp2515, ESP32 + MCP2515"),
        (MODULES | {"/chip.mpy": b"old"}, "xtensawin", "warning", "esp32-mcp2515, with a chip.mpy that is not this checkout's"),
        (MODULES | {"/board.mpy": b"own"}, "xtensawin", "warning", "none of this checkout's boards"),
        (MODULES, "rv32imc", "warning", "none of this checkout's boards"),
    ],
)
def test_board_is_told_by_its_module(files: dict[str, bytes], arch: str, level: str, words: str) -> None:
    found = chip._board(Board(files=files), Case(arch=arch))  # type: ignore[arg-type]
    assert (found.check, found.level) == ("board", level) and words in found.text
    assert ("deploy --board" in found.todo) == (level == "warning")


@pytest.mark.parametrize("missing", ["board", "chip"])
def test_chip_without_its_boards_module_is_an_error_and_the_advice_names_the_board(missing: str) -> None:
    class Chip(Board):
        def exec(self, code: str) -> str:
            raise DeviceError("", f"Traceback (most recent call last):\nImportError: no module named '{missing}'")

    board, case = Chip({"statvfs": (1 << 20, 1 << 21)}), Case(arch="xtensawin")
    found = told(chip.look(board, case))["board"]  # type: ignore[arg-type]
    assert found.level == "error" and f"no module named '{missing}'" in found.text and "pigtail deploy --board NAME" in found.todo
    assert "pigtail deploy --board NAME --vehicle NAME" in told(device._profile(board, case))["profile"].todo  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("written", "level", "words"),
    [
        (None, "warning", "the defaults are in force"),
        (b'{"device": "kona"', "error", "is not JSON"),
        (b"[]", "error", "not a JSON object"),
        (b'{"mqtt.host": "h", "mqtt.password": "hush"}', "error", "anyone could read it"),
        (b'{"mqtt.host": "h", "mqtt.password": "hush", "mqtt.insecure": 1}', "ok", "3 keys set, broker h"),
    ],
)
def test_config_that_is_damaged_is_an_error_and_no_secret_is_told(written: bytes | None, level: str, words: str) -> None:
    found = device._config(Board(files={} if written is None else {"/config.json": written}), Case())  # type: ignore[arg-type]
    assert found.level == level and words in found.text and "hush" not in found.text + found.todo


@pytest.mark.parametrize(
    ("packed", "vehicle", "level", "words"),
    [
        (None, None, "error", "nothing is sampled"),
        (DEMO[:-1], None, "error", "/profile.bin"),
        (DEMO, None, "ok", "51 signals"),
        (DEMO, "demo-ev", "ok", "51 signals"),
        (DEMO, "kona-ev", "error", "not kona-ev's"),
    ],
)
def test_profile_that_is_missing_damaged_or_another_cars_is_an_error(
    packed: bytes | None, vehicle: str | None, level: str, words: str
) -> None:
    board = Board(files={} if packed is None else {"/profile.bin": packed})
    found = told(device._profile(board, Case(vehicle=vehicle)))["profile"]  # type: ignore[arg-type]
    assert found.level == level and words in found.text and (level == "ok") == (not found.todo)


def test_port_that_is_not_there_is_an_error_but_not_where_mqtt_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "only", raises(InputError("no board found")))
    assert [found.level for found in device.look(Case())] == ["error"]
    assert [found.level for found in device.look(Case(broker="mqtt://192.0.2.7"))] == ["warning"]
    assert [found.level for found in device.look(Case(port="/dev/nothing", device="kona"))] == ["error"]


def test_firmware_of_another_checkout_is_a_warning_and_none_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "made", lambda arch: Release({}, {"p.mpy": b"new"}))
    for there, level in (({}, "error"), ({"/a/p.mpy": "old"}, "warning")):
        found = Found(there, "a" if there else None, 1, 1 << 20)
        monkeypatch.setattr(device, "survey", lambda *_, found=found: found)
        case = Case(arch="x86")
        assert told(device._firmware(Board(), case))["firmware"].level == level  # type: ignore[arg-type]
        assert bool(case.slot) == bool(there)


def test_broker_that_is_not_there_is_an_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        found = told(broker.look(Case(broker=f"mqtt://127.0.0.1:{taken.getsockname()[1]}")))
    assert list(found) == ["broker"] and found["broker"].level == "error" and "refused" in found["broker"].text
    assert told(broker.look(Case(broker="http://h")))["broker"].level == "error"
    assert told(broker.look(Case()))["broker"].level == "warning"


def test_server_that_speaks_no_mqtt_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            for _ in range(2):
                server.accept()[0].close()

        threading.Thread(target=hang_up, daemon=True).start()
        url = f"mqtt://127.0.0.1:{server.getsockname()[1]}"
        found = told(broker.look(Case(broker=url)))
    assert found["broker"].level == "error" and found["TLS"].level == "ok"


@asynccontextmanager
async def secure(folder: Path, days: int) -> AsyncIterator[tuple[str, Path]]:
    """A broker with TLS whose certificate is good for so many days more; the CA to trust."""
    authority = Authority(folder / "ca")
    certificate = authority.issue("broker", "IP:127.0.0.1", last=timedelta(days=days))
    async with brokers.start(None, directory=folder, certificate=certificate) as server:
        yield f"mqtts://127.0.0.1:{server.device_port}", authority.certificate


@pytest.mark.skipif(not shutil.which("openssl"), reason="certificates are made by openssl, which is not here")
@pytest.mark.parametrize(
    ("days", "trusted", "level", "words"),
    [(30, True, "ok", "good for 30 days"), (3, True, "warning", "good for 3 days"), (30, False, "error", "not trusted")],
)
def test_tls_certificate_that_is_not_trusted_is_an_error_and_one_that_ends_a_warning(
    tmp_path: Path, days: int, trusted: bool, level: str, words: str
) -> None:
    async def examined() -> dict[str, Finding]:
        async with secure(tmp_path, days) as (url, ca):
            return await asyncio.to_thread(lambda: told(broker.look(Case(broker=url, trust=Trust(ca if trusted else None)))))

    found = asyncio.run(examined())
    assert found["TLS"].level == level and words in found["TLS"].text
    assert ("broker" in found) == trusted


@pytest.mark.parametrize(
    ("fields", "level", "words"),
    [
        (GOOD, "ok", "16 of its 16"),
        (worse("profile", "00000000"), "error", "not the one that lies there"),
        (worse("messages.heard", 0), "error", "another car's profile"),
        (worse("messages.heard", 7), "warning", "7 of its 16"),
        (worse("frames.received", 0), "warning", "silent"),
    ],
)
def test_profile_that_does_not_fit_the_car_is_told(fields: dict[str, Any], level: str, words: str) -> None:
    found = told(broker._match(Case(identity=int(GOOD["profile"], 16)), Status("kona", fields)))["match"]
    assert found.level == level and words in found.text


def test_device_that_is_not_heard_at_the_broker_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "STATUS_S", 0.5)

    async def examined() -> list[dict[str, Finding]]:
        async with brokers.start(None, directory=tmp_path) as server:
            async with Connection(server.address) as client:
                await client.publish("pigtail/v1/kona/status", json.dumps(worse("restarts", {"bus": 1})), qos=1, retain=True)
            cases = [Case(address=server.address, device=name) for name in ("kona", "zoe")]
            cases.append(Case(address=server.address, device="kona", boot=3))  # what is retained is of the boot before
            return [await asyncio.to_thread(lambda case=case: told(broker.status(case))) for case in cases]

    kona, zoe, rebooted = asyncio.run(examined())
    assert kona["online"].level == "ok" and kona["device"].level == "warning" and kona["match"].level == "ok"
    assert [zoe["online"].level, rebooted["online"].level] == ["error", "error"]


def test_broker_is_the_one_that_the_device_is_told_of_and_its_password_stays_untold() -> None:
    config = {"mqtt.host": "192.0.2.7", "mqtt.port": 1884, "mqtt.user": "kona", "mqtt.password": "hush", "mqtt.tls": 1}
    config |= {"mqtt.brokers": ["192.0.2.8", "spare.example:8883"], "mqtt.pin": 32 * "5a"}
    addresses = broker._addresses(Case(config=config))
    assert list(map(str, addresses)) == ["mqtts://192.0.2.7:1884", "mqtts://192.0.2.8:1884", "mqtts://spare.example:8883"]
    for address in addresses:
        assert (address.user, address.password) == ("kona", "hush") and "hush" not in repr(address)


@dataclass(frozen=True)
class Made:
    """Files by their paths on a device, the broker's pin, where it is."""

    files: dict[str, bytes]
    pin: str
    url: str


@asynccontextmanager
async def named(folder: Path, name: str, is_mutual: bool) -> AsyncIterator[Made]:
    """A broker with TLS at 127.0.0.1 whose certificate is made out to `name`."""
    authority, other = Authority(folder / "ca"), Authority(folder / "other")
    certificate, own = authority.issue("broker", name), authority.issue("own")
    paths = {"/ca.pem": authority.certificate, "/other.pem": other.certificate, "/own.pem": own.certificate, "/own.key": own.key}
    files = {path: file.read_bytes() for path, file in paths.items()} | {"/none.pem": b"-----BEGIN nothing"}
    files["/ca.der"] = ssl.PEM_cert_to_DER_cert(files["/ca.pem"].decode())
    wanted = authority.certificate if is_mutual else None
    async with brokers.start(None, directory=folder, certificate=certificate, client_ca=wanted) as server:
        yield Made(files, certificate.key_sha256, f"127.0.0.1:{server.device_port}")


@pytest.mark.skipif(not shutil.which("openssl"), reason="certificates are made by openssl, which is not here")
@pytest.mark.parametrize(
    ("keys", "name", "level", "words"),
    [
        ({"ca_file": "/ca.pem"}, "IP:127.0.0.1", "ok", "good for"),
        ({"ca_file": "/ca.der"}, "IP:127.0.0.1", "ok", "good for"),
        ({"ca_file": "/other.pem"}, "IP:127.0.0.1", "error", "not trusted"),
        ({"ca_file": "/ca.pem"}, "DNS:broker.example", "error", "IP address mismatch"),
        ({"ca_file": "/ca.pem", "server_name": "broker.example"}, "DNS:broker.example", "ok", "good for"),
        ({"ca_file": "/ca.pem", "server_name": "another.example"}, "DNS:broker.example", "error", "another.example"),
        ({"pin": "its"}, "DNS:broker.example", "ok", "the key is the pinned one"),
        ({"pin": 32 * "5a"}, "IP:127.0.0.1", "error", "its key is not the pinned one"),
        ({"ca_file": "/ca.pem", "pin": "its"}, "IP:127.0.0.1", "ok", "good for"),
        ({"ca_file": "/ca.pem", "pin": 32 * "5a"}, "IP:127.0.0.1", "warning", "as long as it does not know the time"),
        ({"ca_file": "/other.pem", "pin": "its"}, "IP:127.0.0.1", "error", "not trusted"),
    ],
)
def test_tls_is_looked_at_as_the_device_does(tmp_path: Path, keys: dict[str, str], name: str, level: str, words: str) -> None:
    found = asyncio.run(as_device(tmp_path, keys, name))
    tls = [finding for finding in found if finding.check == "TLS"][-1]
    assert tls.level == level and words in tls.text and bool(tls.todo) == (level != "ok")
    assert [finding.level for finding in found if finding.check == "broker"] == ([] if level == "error" else ["ok"])


async def as_device(folder: Path, keys: dict[str, str], name: str, is_mutual: bool = False) -> list[Finding]:
    """What is found where a device has these keys of its configuration."""
    async with named(folder, name, is_mutual) as made:
        host, _, port = made.url.partition(":")
        config = {f"mqtt.{key}": made.pin if value == "its" else value for key, value in keys.items()}
        case = Case(config={"mqtt.host": host, "mqtt.port": int(port), "mqtt.tls": 1, **config})
        told = list(device._tls_files(Board(files=made.files), case))  # type: ignore[arg-type]
        return told + await asyncio.to_thread(lambda: list(broker.look(case)))


@pytest.mark.skipif(not shutil.which("openssl"), reason="certificates are made by openssl, which is not here")
@pytest.mark.parametrize(
    ("keys", "level", "words"),
    [
        ({"ca_file": "/ca.pem", "cert_file": "/own.pem", "key_file": "/own.key"}, "ok", "takes MQTT sessions"),
        ({"ca_file": "/ca.pem"}, "error", "no connection to a broker"),
        ({"ca_file": "/gone.pem"}, "error", "trusts no broker while /gone.pem is not there"),
        ({"ca_file": "/none.pem"}, "error", "/none.pem on the device is no certificate"),
        ({"ca_file": "/ca.pem", "cert_file": "/own.pem", "key_file": "/none.pem"}, "error", "no certificate and its key"),
    ],
)
def test_devices_own_certificate_is_shown_and_files_that_are_missing_or_damaged_are_told(
    tmp_path: Path, keys: dict[str, str], level: str, words: str
) -> None:
    found = asyncio.run(as_device(tmp_path, keys, "IP:127.0.0.1", is_mutual=True))
    assert found[-1].check == "broker" and found[-1].level == level and words in found[-1].text
    assert ("config" in {finding.check for finding in found}) == ("/gone.pem" in keys.values())


def test_every_broker_that_the_device_may_try_is_looked_at(tmp_path: Path) -> None:
    async def examined() -> tuple[Case, list[Finding], int]:
        async with brokers.start(None, directory=tmp_path) as server:
            with socket.socket() as taken:
                taken.bind(("127.0.0.1", 0))
                port = server.device_port
                case = Case(config={"mqtt.port": taken.getsockname()[1], "mqtt.brokers": [f"127.0.0.1:{port}", "127.0.0.1"]})
                return case, await asyncio.to_thread(lambda: list(broker.look(case))), port

    case, found, port = asyncio.run(examined())
    told = [(finding.level, finding.text) for finding in found if finding.check == "broker"]
    assert [level for level, _ in told] == ["error", "ok", "error"]
    assert told[1][1].startswith(f"mqtt://127.0.0.1:{port}, to be tried then: ")
    assert case.address is not None and case.address.port == port


def test_identity_is_known_to_the_match() -> None:
    case = Case()
    told(device._profile(Board(files={"/profile.bin": DEMO}), case))  # type: ignore[arg-type]
    assert case.identity == identity(DEMO)
