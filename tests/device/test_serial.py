"""A device on a serial port: code, files, hashes, the console; and the ways in which a port or a device fails, in one line."""

import hashlib
import os
import threading
import tty
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest
import serial

from host_tools.device import Device, DeviceError, connect
from host_tools.device import serial as device_serial
from host_tools.errors import InputError
from host_tools.sim import image
from tests.device.virtual import Powered, flash, powered

SAYS = b"import sys\nprint('it runs')\n"


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Powered]:
    folder = tmp_path_factory.mktemp("board")
    flash(folder, {"/boot.py": b"", "/main.py": SAYS, "/a/b/c.mpy": b"c", "/a/d.mpy": b"d"})
    with powered(folder) as board:
        yield board


def test_code_is_run_and_its_words_and_values_come_back(board: Powered) -> None:
    with connect(board.port) as device:
        assert device.exec("print('é')\nprint(2)") == "é\n2\n"
        assert device.eval("{'a': [1, b'\\x00\\xff', None]}") == {"a": [1, b"\x00\xff", None]}
        device.exec("x = 1")
        assert device.eval("x") == 1
        with pytest.raises(DeviceError, match="the device says ZeroDivisionError: divide by zero") as caught:
            device.exec("def f():\n    1 / 0\nf()")
        assert "in f" in caught.value.traceback
        assert device.eval("2") == 2


@pytest.mark.parametrize("size", [0, 1, device_serial.PIECE, device_serial.PIECE + 1, 9000])
def test_file_comes_back_as_it_was_put(board: Powered, size: int) -> None:
    content, told = os.urandom(size), []
    with connect(board.port) as device:
        device.put("/new/folder/file.bin", b"old")
        device.put("/new/folder/file.bin", content, told.append)
        assert device.get("/new/folder/file.bin") == content
        assert device.get("/new/folder/file.bin.new") is None
    assert sum(told) == size


def test_hashes_are_of_files_and_of_all_in_folders(board: Powered) -> None:
    with connect(board.port) as device:
        found = device.hashes(["/main.py", "/a", "/nothing"])
    contents = {"/main.py": SAYS, "/a/b/c.mpy": b"c", "/a/d.mpy": b"d"}
    assert found == {path: hashlib.sha256(content).hexdigest() for path, content in contents.items()}


def test_firmware_starts_and_its_console_is_read(board: Powered) -> None:
    with connect(board.port) as device:
        assert "it runs" in list(device.start(0.3))
        device.stop()
        assert device.eval("1") == 1
    at = len(board.board.console())
    with connect(board.port):
        pass
    board.until_it_says("it runs", at)  # whoever is done leaves it running


def test_file_damaged_on_the_way_leaves_the_old_one(board: Powered, monkeypatch: pytest.MonkeyPatch) -> None:
    with connect(board.port) as device:
        device.put("/kept", b"old")
        encode = device_serial._base64
        monkeypatch.setattr(device_serial, "_base64", lambda content: encode(content.replace(b"e", b"3")))
        with pytest.raises(InputError, match="did not arrive as it was sent"):
            device.put("/kept", b"newer")
        assert device.get("/kept") == b"old"


GARBLED = ["", "(1, 2", "[1,\x01]", "1\n2", "('/a',),", "('/a', 7),", "{'a': 1", "f(x)", "*", "\ufffd" * 9]


@pytest.mark.parametrize("says", GARBLED)
@pytest.mark.parametrize(
    "asks",
    [
        lambda device: device.eval("x", like=0),
        lambda device: device.eval("x", like=((0, 0, 0), "")),
        lambda device: device.hashes(["/a"]) or device.eval("x", like=b""),
        lambda device: device.get("/a") or device.eval("x", like=b""),
    ],
)
def test_fault_45_answer_that_is_garbled_on_the_way(
    wire: tuple[int, str], says: str, asks: Callable[[Device], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Device(wire[1])
    monkeypatch.setattr(device, "exec", lambda code, silence_s=0.0: says)
    assert "arrives garbled" in refusal(lambda: asks(device))
    device.close()


def test_flash_that_is_full_is_said(board: Powered) -> None:
    with connect(board.port) as device:
        device.exec("with open('/full', 'wb') as f:\n    for _ in range(45):\n        f.write(bytes(4096))")
        with pytest.raises(DeviceError, match="No space left"):
            device.put("/big", os.urandom(100_000))
        device.exec("import os\nos.remove('/big.new')\nos.remove('/full')")


FEEDS = b"""
import machine, sys, time
sys.modules['pigtail.app'] = 1
dog = machine.WDT(timeout=2000)
print('guarded')
while True:
    dog.feed()
    time.sleep_ms(50)
"""


def test_watchdog_of_a_firmware_that_was_stopped_is_fed_meanwhile(tmp_path: Path) -> None:
    flash(tmp_path, {"/main.py": FEEDS})
    with powered(tmp_path) as board:
        board.until_it_says("guarded")
        with connect(board.port) as device:
            device.exec("import time\ntime.sleep(2.5)")
            assert device.eval("1") == 1
        assert [life.death for life in board.board.lives] == [""]


COLLECTS = b"""
import gc, time
kept = [bytearray(16) for _ in range(1500)]
print('collects')
while True:
    for _ in range(20):
        gc.collect()
    time.sleep_ms(1)
"""


def test_firmware_that_is_stopped_amid_a_garbage_collection_has_its_heap(tmp_path: Path) -> None:
    flash(tmp_path, {"/main.py": COLLECTS})
    with powered(tmp_path) as board:
        at = 0
        for _ in range(5):
            board.until_it_says("collects", at)
            with connect(board.port) as device:
                assert device.eval("len(bytearray(5000))") == 5000
                at = len(board.board.console())


FOREIGN = b"""
import machine, time
def main():
    dog = machine.WDT(timeout=2000)
    print('guarded')
    while True:
        dog.feed()
        time.sleep_ms(50)
main()
"""


def test_fault_45_watchdog_of_a_foreign_firmware_is_fed_where_that_is_asked_for(tmp_path: Path) -> None:
    flash(tmp_path, {"/main.py": FOREIGN})
    with powered(tmp_path) as board:
        board.until_it_says("guarded")
        with connect(board.port) as device:
            device.guard()
            device.exec("import time\ntime.sleep(2.5)")
        assert [life.death for life in board.board.lives] == [""]


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        act()
    said = str(caught.value)
    assert "\n" not in said
    return said


def test_fault_45_no_such_port() -> None:
    assert refusal(lambda: connect("/dev/nothing")) == "no port /dev/nothing: `pigtail devices` lists those that there are"


@pytest.mark.parametrize("url", ["loop://", "socket://localhost:1", "rfc2217://localhost:1"])
def test_fault_45_address_in_place_of_a_port(url: str) -> None:
    assert refusal(lambda: connect(url)) == f"{url} is an address, no serial port: `pigtail devices` lists those that there are"


def test_fault_45_port_that_is_no_port(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert "cannot be opened" in refusal(lambda: connect(str(tmp_path / "file")))


def test_fault_45_port_that_another_program_has(board: Powered) -> None:
    with serial.Serial(board.port, exclusive=True):
        assert "is busy" in refusal(lambda: connect(board.port))


def test_fault_45_port_without_permission(board: Powered, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise device_serial.TransportError("failed to access")

    monkeypatch.setattr(device_serial, "_Transport", refused)
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "no permission" in refusal(lambda: connect(board.port))


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, str]]:
    """A pseudo-terminal with nobody at its other end."""
    monkeypatch.setattr(device_serial, "INTERRUPT_S", 0.2)
    master, slave = os.openpty()
    tty.setraw(slave)
    yield master, os.ttyname(slave)
    os.close(slave)
    os.close(master)


def test_fault_45_device_that_says_nothing(wire: tuple[int, str]) -> None:
    assert "does not answer" in refusal(lambda: connect(wire[1]))


def test_fault_45_device_that_is_no_micropython(wire: tuple[int, str]) -> None:
    def modem() -> None:
        while b"\x01" not in os.read(wire[0], 100):
            pass
        os.write(wire[0], b"\r\nERROR\r\n")

    threading.Thread(target=modem, daemon=True).start()
    assert "not as MicroPython" in refusal(lambda: connect(wire[1]))


def test_fault_45_device_that_never_stops_talking(wire: tuple[int, str]) -> None:
    is_over = threading.Event()

    def receiver() -> None:
        while not is_over.wait(0.01):
            os.write(wire[0], b"$GPGGA,,,,,,0,,,,,,,,*66\r\n")

    thread = threading.Thread(target=receiver)
    thread.start()
    try:
        assert "not as MicroPython" in refusal(lambda: connect(wire[1]))
    finally:
        is_over.set()
        thread.join()


@pytest.mark.parametrize("words", ["print('x' * 99)", "print(end='x')"])
def test_fault_45_code_that_never_stops_talking(board: Powered, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_serial, "CODE_S", 0.5)
    with connect(board.port) as device:
        code = f"import time\nwhile True:\n    {words}\n    time.sleep_ms(1)"
        assert "talks without end" in refusal(lambda: device.exec(code))
    with connect(board.port) as device:
        assert device.eval("1") == 1


def test_fault_45_line_that_never_ends_is_told_in_pieces(wire: tuple[int, str]) -> None:
    said = [b"x" * 1000] * (device_serial.LINE // 400) + [b"\n"]
    device = Device(wire[1])
    thread = threading.Thread(target=lambda: [os.write(wire[0], piece) for piece in said])
    thread.start()
    told = list(islice(device.lines(), 3))
    thread.join()
    device.close()
    assert max(map(len, told)) < 2 * device_serial.LINE and "".join(told) + "\n" == b"".join(said).decode()


def test_prompts_that_earlier_attempts_called_forth_are_behind_us(wire: tuple[int, str]) -> None:
    prompt = b"raw REPL; CTRL-B to exit\r\n>"

    def hears_late() -> None:
        heard = b""
        while heard.count(b"\x01") < 2:
            heard += os.read(wire[0], 100)
        os.write(wire[0], 2 * prompt)
        while b"\x01" not in os.read(wire[0], 100):
            pass
        os.write(wire[0], prompt)

    threading.Thread(target=hears_late, daemon=True).start()
    device = device_serial.Device(wire[1])
    device._enter(soft_reset=False)
    assert device._transport.serial.read(9) == b">"  # else the answer to a piece of code is looked for in them
    device.close()


@pytest.mark.parametrize("words", [b"$GPGGA,,,,,,0,,,,,,,,*66\r\n", b"no line ever ends "])
def test_fault_45_board_that_never_stops_talking_once_it_was_connected(
    wire: tuple[int, str], words: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_serial, "READY_S", 0.5)
    device, is_over = device_serial.Device(wire[1]), threading.Event()

    def receiver() -> None:
        while not is_over.wait(0.01):
            os.write(wire[0], words)

    thread = threading.Thread(target=receiver)
    thread.start()
    try:
        assert "talks without end" in refusal(lambda: device.exec("print(1)"))
        assert bool(list(device.start(whole_s=0.5))) == words.endswith(b"\n")
    finally:
        is_over.set()
        thread.join()
        device.close()


def test_fault_45_device_that_hangs(board: Powered) -> None:
    device = connect(board.port)
    assert "stopped answering" in refusal(lambda: device.exec("import time\ntime.sleep(2)", silence_s=0.2))
    device.close()
    with connect(board.port) as device:
        assert device.eval("1") == 1


@pytest.mark.parametrize("words", ["print(1)", "import machine; machine.reset()"])
def test_fault_45_device_that_goes_off(tmp_path: Path, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    flash(tmp_path, {})
    with powered(tmp_path) as board:
        device = connect(board.port)
        monkeypatch.setattr(device_serial, "PROMPT_S", 0.5)
        if "reset" not in words:
            board.cut_power()
        monkeypatch.setattr(device._transport.serial, "timeout", 0.1)
        said = refusal(lambda: device.exec(words, silence_s=0.5))
        assert ("restarted by itself" if "reset" in words else "stopped answering") in said
        device.close()


def test_fault_45_port_that_is_pulled_out(tmp_path: Path) -> None:
    flash(tmp_path, {})
    with powered(tmp_path) as board:
        device = connect(board.port)
    assert "the connection broke" in refusal(lambda: device.exec("print(1)"))
    device.close()


def test_file_is_whole_whenever_power_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the pieces of a long file; what the chip does within one is for the tests of deploying."""
    monkeypatch.setattr(device_serial, "PROMPT_S", 1.0)
    flash(tmp_path, {"/kept": b"old"})
    content = os.urandom(4 * device_serial.PIECE)
    with powered(tmp_path) as board:
        for pieces in 0, 3:
            with connect(board.port) as device:
                said: list[int] = []

                def cut(n: int, after: int = pieces, said: list[int] = said) -> None:
                    said.append(n)
                    if len(said) > after:
                        board.cut_power()

                with pytest.raises(InputError):
                    device.put("/kept", content, cut)
            assert image.read(board.flash, "/kept") == b"old"
            board.restore_power()
