"""Deploying to a virtual board: interrupted, it boots the old firmware or the new one, whole; what does not start is undone."""

import json
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from littlefs import LittleFS

from host_tools import cli
from host_tools.commands import deploy as deploy_verb
from host_tools.device import Device, connect, pairs, release
from host_tools.device import deploy as deploying
from host_tools.device import serial as device_serial
from host_tools.device.deploy import apply, deploy, started
from host_tools.device.release import PROFILE, Found, Plan, Release, plan, survey
from host_tools.errors import InputError
from host_tools.sim import image
from host_tools.sim.board import compiled
from tests.device.releases import APP, files, said_by, small
from tests.device.virtual import FLASH_SIZE, SMALL, Powered, flash, powered
from tests.host.test_board_image import said as said_at_boot

JOURNAL = """
import struct, vfs
from _flash import Flash
journal = open('/run/journal', 'wb')
class Journalled(Flash):
    def writeblocks(self, block, buf, offset):
        journal.write(struct.pack('<II', block * 4096 + offset, len(buf)))
        journal.write(buf)
        return super().writeblocks(block, buf, offset)
    def ioctl(self, op, arg):
        if op == 6:
            journal.write(struct.pack('<II', arg, 0))
        return super().ioctl(op, arg)
vfs.umount('/')
vfs.mount(vfs.VfsLfs2(Journalled('/run/flash.img')), '/')
"""


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Release, Release]:
    folder = tmp_path_factory.mktemp("releases")
    return small(folder, 1), small(folder, 2)


@pytest.fixture
def board(tmp_path: Path, versions: tuple[Release, Release]) -> Iterator[Powered]:
    """One with version 1 in slot a."""
    flash(tmp_path, files(versions[0]) | {PROFILE: b"old profile"})
    with powered(tmp_path) as board:
        yield board


def boots(flash_image: bytes, folder: Path) -> dict[str, object]:
    """What the firmware of this flash says on a board of its own."""
    folder.mkdir(exist_ok=True)
    (folder / "flash.img").write_bytes(flash_image)
    said = said_at_boot(folder)
    assert said, "it does not boot"
    status: dict[str, object] = json.loads(said[-1])
    return status


class Told:
    """What is told of a deploy; `parts` are (bytes sent, of how many)."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.parts: list[tuple[int, int]] = []

    def step(self, what: str) -> None:
        self.steps.append(what)

    def written(self, done: int, total: int) -> None:
        self.parts.append((done, total))


def test_bare_board_gets_the_firmware_and_starts_it(tmp_path: Path, versions: tuple[Release, Release]) -> None:
    flash(tmp_path / "bare", {"/boot.py": b"# stock"})
    with powered(tmp_path / "bare") as board, connect(board.port) as device:
        done = deploy(device, versions[0], b"profile")
        assert done.status == said_by(1) and done.is_healthy
        assert (done.slot, done.sent, done.copied) == ("a", 5 + 4 + 1, 0)
    assert image.read(board.flash, PROFILE) == b"profile"


def test_change_sends_only_what_changed_and_the_next_one_nothing(board: Powered, versions: tuple[Release, Release]) -> None:
    with connect(board.port) as device:
        told = Told()
        done = deploy(device, versions[1], watcher=told)
        assert done.status == said_by(2)
        assert (done.slot, done.sent, done.copied, done.flipped) == ("b", 4, 1, True)
        assert told.parts == sorted(told.parts) and len(told.parts) >= 4 and told.parts[-1] == (done.bytes, done.bytes)
        assert [step.split()[0] for step in told.steps] == ["comparing", "sending", "comparing", "waiting"]
        assert f"sending 4 files, {done.bytes:,} bytes" in told.steps
        device.stop()
        told = Told()
        again = deploy(device, versions[1], watcher=told)
        assert [step.split()[0] for step in told.steps] == ["comparing", "waiting"] and not told.parts
        assert again.status == said_by(2)
        assert (again.slot, again.sent, again.bytes, again.copied, again.removed, again.flipped) == ("b", 0, 0, 0, 0, False)
        device.stop()
        back = deploy(device, versions[0])
        assert back.status == said_by(1) and (back.slot, back.sent) == ("a", 0)


def test_deploy_of_what_is_there_asks_a_few_questions_writes_nothing_and_starts_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is why it is quick: one with nothing to send takes some seconds, whatever the firmware's size."""
    whole = release.read(compiled()[0])
    flash(tmp_path / "whole", files(whole) | {PROFILE: b"profile"}, FLASH_SIZE)
    asked: list[str] = []
    flashes: list[bytes] = []
    run, reboot = Device._run, Device.reboot

    def told(self: Device, code: str, *more: float) -> str:
        asked.append(code)
        return run(self, code, *more)

    def again(self: Device) -> None:
        flashes.append(board.flash.read_bytes())
        reboot(self)

    with powered(tmp_path / "whole") as board, connect(board.port) as device:
        before = board.flash.read_bytes()
        monkeypatch.setattr(Device, "_run", told)
        monkeypatch.setattr(Device, "reboot", again)
        done = deploy(device, whole, b"profile")
        assert flashes == [before]
    assert done.is_healthy and len(whole.slot) > 50
    assert (done.sent, done.bytes, done.copied, done.removed, done.flipped) == (0, 0, 0, 0, False)
    assert len(asked) <= 6 and sum(map(len, asked)) < 3000
    assert [life.death for life in board.board.lives if life.death] == []


@pytest.mark.parametrize(
    ("app", "why"),
    [
        ("def main():\n    raise KeyError('planted')", "KeyError: planted"),
        ("import nothing", "ImportError: no module named 'nothing'"),
        ("import time\n\ndef main():\n    time.sleep(60)", "it said nothing"),
    ],
)
def test_firmware_that_does_not_start_is_undone(
    board: Powered, versions: tuple[Release, Release], tmp_path: Path, app: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deploying, "START_S", 1.0)
    broken = small(tmp_path, 3, app)
    with connect(board.port) as device:
        done = deploy(device, broken)
    assert not done.is_healthy and done.status is None and why in str(done.error) and done.back == "a"
    board.cut_power()
    assert boots(board.flash.read_bytes(), tmp_path / "after") == said_by(1)


FOREIGN = b"""
import machine, time
dog = machine.WDT(timeout=5000)
print('guarded')
while True:
    dog.feed()
    time.sleep_ms(50)
"""


def test_fault_45_watchdog_of_a_foreign_firmware_does_not_end_a_deploy(
    tmp_path: Path, versions: tuple[Release, Release], monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly(*_: object) -> Release:
        time.sleep(5.5)
        return versions[0]

    monkeypatch.setattr(deploy_verb, "made", slowly)
    flash(tmp_path / "foreign", {"/main.py": FOREIGN})
    with powered(tmp_path / "foreign") as board:
        board.until_it_says("guarded")
        done = CliRunner().invoke(deploy_verb.command, ["--port", board.port, "--json"])
        assert done.exit_code == 0 and json.loads(done.stdout)["status"] == said_by(1)
        assert [line.split()[0] for line in done.stderr.splitlines()] == [
            "connecting", "compiling", "comparing", "sending", "comparing", "waiting",
        ]  # fmt: skip
        assert [life.death for life in board.board.lives] == [""]


def test_chip_without_its_boards_module_is_left_as_it_is_until_the_board_is_named(
    board: Powered, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Device._run
    monkeypatch.setattr(Device, "_run", lambda self, code, *more: run(self, code.replace("import board", "import bored"), *more))
    before = board.flash.read_bytes()
    with pytest.raises(SystemExit) as ended:
        cli.main(["deploy", "--port", board.port])
    assert ended.value.code == 2 and board.flash.read_bytes() == before
    said = capsys.readouterr().err
    assert "no module named 'bored'" in said and "name the board once with --board" in said


@pytest.mark.parametrize(
    ("when", "says", "slots"),
    [
        ("point", "not finished (the device stopped answering: reset it and try again): the old firmware boots, or", "a"),
        ("started", "the old one, in /a, could not be put back (", "b"),
    ],
)
def test_fault_45_board_that_goes_off_while_the_new_firmware_is_put_in_force_and_what_is_on_it_then(
    board: Powered, versions: tuple[Release, Release], when: str, says: str, slots: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    act = getattr(deploying, when)

    def cut(*arguments: object) -> object:
        board.cut_power()
        return act(*arguments)

    monkeypatch.setattr(deploying, when, cut)
    monkeypatch.setattr(deploying, "START_S", 1.0)
    monkeypatch.setattr(device_serial, "PROMPT_S", 1.0)
    monkeypatch.setattr(device_serial, "INTERRUPT_S", 0.2)
    monkeypatch.setattr(deploy_verb, "made", lambda *_: versions[1])
    done = CliRunner().invoke(deploy_verb.command, ["--port", board.port])
    assert done.exit_code == 1 and says in done.stdout and "is put back" not in done.stdout
    assert len(done.stdout.splitlines()) == 1 and done.stdout.count(f"{board.port}: ") == 1
    there = content(board.flash.read_bytes())
    assert pairs.newest(there.get("/slot.0"), there.get("/slot.1"))[1] == slots.encode()


def test_fault_45_connection_that_breaks_while_the_new_firmware_starts(
    board: Powered, versions: tuple[Release, Release], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise InputError(f"{board.port}: the connection broke")

    monkeypatch.setattr(deploying, "started", broken)
    with connect(board.port) as device:
        done = deploy(device, versions[1])
    assert (done.status, done.error, done.back, done.is_healthy) == (None, "the connection broke", None, False)
    assert done.left and "what is in /b is in force, and nobody has seen it run" in done.left


def test_firmware_that_runs_and_samples_nothing_says_what_to_do(
    board: Powered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking = small(tmp_path, 3, APP.replace('"restarts": {}', '"restarts": {}, "profile_error": "ENOENT"'))
    monkeypatch.setattr(deploy_verb, "made", lambda *_: lacking)
    done = CliRunner().invoke(deploy_verb.command, ["--port", board.port])
    assert done.exit_code == 0 and "nothing is sampled (ENOENT): `pigtail deploy --vehicle NAME`" in done.stdout


def test_parts_that_had_to_be_started_again_are_not_healthy(board: Powered, tmp_path: Path) -> None:
    limping = small(tmp_path, 3, APP.replace('"restarts": {}', '"restarts": {"bus": 1}'))
    with connect(board.port) as device:
        done = deploy(device, limping)
    assert done.status and not done.is_healthy


def test_what_is_damaged_on_the_way_is_not_put_in_force(
    board: Powered, versions: tuple[Release, Release], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = Device.send
    damaged = "/b/pigtail/parts/first.mpy"
    monkeypatch.setattr(
        Device, "send", lambda self, path, content, *more: send(self, path, content[:-1] if path == damaged else content, *more)
    )
    with connect(board.port) as device:
        with pytest.raises(InputError, match=f"{damaged} did not arrive as it was sent; the old firmware stays in force"):
            deploy(device, versions[1])
        assert started(device) == said_by(1)


def prepared(device: Device, release: Release) -> tuple[Plan, Found]:
    found = survey(device, release)
    return plan(release, found, b"new profile"), found


def test_interrupted_between_any_two_steps_it_boots_one_or_the_other(
    board: Powered, versions: tuple[Release, Release], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images: dict[bytes, None] = {}
    run = Device._run

    def seen(self: Device, code: str, *more: float) -> str:
        images[board.flash.read_bytes()] = None
        return run(self, code, *more)

    with connect(board.port) as device:
        todo, found = prepared(device, versions[1])
        monkeypatch.setattr(Device, "_run", seen)
        apply(device, todo, found)
        images[board.flash.read_bytes()] = None
    came_up = [boots(content, tmp_path / "again")["version"] for content in images]
    assert len(came_up) >= 10
    assert came_up == [1] * (len(came_up) - 1) + [2], "the last step alone puts it in force"


def cuts(before: bytes, journal: bytes) -> Iterator[bytes]:
    """The flash after each programming and erasing of the journal, and with each half done."""
    chip, at = bytearray(before), 0
    while at < len(journal):
        place, n = struct.unpack_from("<II", journal, at)
        data = journal[at + 8 : at + 8 + n]
        at += 8 + n
        if n:
            for done in {n // 2, n - 1, n} - {0}:
                new = bytes(old & fresh for old, fresh in zip(chip[place : place + done], data, strict=False))
                chip[place : place + done] = new
                yield bytes(chip)
        else:
            block = place * image.BLOCK_SIZE
            for done in image.BLOCK_SIZE // 2, image.BLOCK_SIZE:
                chip[block : block + done] = b"\xff" * done
                yield bytes(chip)


def content(flash_image: bytes) -> dict[str, bytes]:
    """All files of a flash, by path."""
    disk = LittleFS(block_size=image.BLOCK_SIZE, block_count=SMALL // image.BLOCK_SIZE, mount=False)
    disk.context.buffer[:] = flash_image  # type: ignore[attr-defined]
    disk.mount()
    found = {}
    for folder, _, names in disk.walk("/"):
        for name in names:
            path = f"{folder.rstrip('/')}/{name}"
            with disk.open(path, "rb") as file:
                found[path] = file.read()
    return found


def in_force(flash_image: bytes, versions: tuple[Release, Release]) -> int:
    """Which version boot.py finds, whole; fails where it is neither."""
    there = content(flash_image)
    _, named = pairs.newest(there.get("/slot.0"), there.get("/slot.1"))
    slot = "/b/" if named == b"b" else "/a/"
    inside = {path.removeprefix(slot): text for path, text in there.items() if path.startswith(slot)}
    assert there[PROFILE] in (b"old profile", b"new profile")
    assert {path: there[path] for path in versions[0].root} == versions[0].root
    return [release.slot for release in versions].index(inside) + 1


def test_power_cut_at_any_write_boots_one_or_the_other(
    board: Powered, versions: tuple[Release, Release], tmp_path: Path
) -> None:
    """The flash after every write, half done and whole, is judged by its files; some of them are booted."""
    with connect(board.port) as device:
        todo, found = prepared(device, versions[1])
        device.exec(JOURNAL)
        before = board.flash.read_bytes()
        apply(device, todo, found)
        after = board.flash.read_bytes()
    journal = (board.board.folder / "journal").read_bytes()
    states = list(dict.fromkeys(cuts(before, journal)))
    assert states[-1] == after and len(states) > 100, "the journal is not what happened"
    judged = [in_force(state, versions) for state in states]
    assert judged == sorted(judged) and set(judged) == {1, 2}
    turn = judged.index(2)
    for i in {0, len(states) // 2, turn - 1, turn, len(states) - 1}:
        assert boots(states[i], tmp_path / "again") == said_by(judged[i])


@pytest.mark.parametrize("pieces", [0, 2])
def test_deploy_that_power_ended_is_taken_up_again(
    board: Powered, versions: tuple[Release, Release], pieces: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_serial, "PROMPT_S", 1.0)

    class Cuts(Told):
        def written(self, done: int, total: int) -> None:
            super().written(done, total)
            if len(self.parts) > pieces:
                board.cut_power()

    with pytest.raises(InputError), connect(board.port) as device:
        deploy(device, versions[1], b"new profile", Cuts())
    at = len(board.board.console())
    board.restore_power()
    board.until_it_says('"version": 1', at)
    with connect(board.port) as device:
        done = deploy(device, versions[1], b"new profile")
        assert done.status == said_by(2) and done.sent == 4 - pieces
