"""One device with MicroPython on a serial port: code run on it, files put there, its console read.

mpremote's transport speaks the raw REPL. Here stand what it leaves open: errors of one line, time limits, a watchdog that goes
on, and files that are there whole or not at all.
"""

import ast
import binascii
import contextlib
import hashlib
import io
import math
import os
import re
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any

import serial
from mpremote.transport import TransportError
from mpremote.transport_serial import SerialTransport

from host_tools.errors import InputError

BAUD = 115200
ANSWER_S = 10.0  # longest silence of a device that runs a piece of code
PROMPT_S = 5.0  # longest silence of one that has nothing to do
CODE_S = 60.0  # longest run of a piece of code, also of one that goes on talking
READY_S = 10.0  # until a prompt must be there, also amid other talk
SETTLED_S = 0.3  # of silence, after which no more is on its way
START_S = 30.0  # longest that a console is read for the start of the firmware
WRITE_S = 10.0  # until a piece must have been taken
QUIET_S = 1.0  # longest silence amid what mpremote reads byte by byte
INTERRUPT_S = 1.0  # until it must have stopped what it runs; more with each attempt
ATTEMPTS = 3  # a chip that is booting does not hear
PIECE = 1536  # bytes of a file that one piece of code carries
LINE = 65_536  # bytes after which a line is told as it is; the firmware's have a few thousand
WATCHDOG_MS = 120_000  # while we talk to it, or compile for it

_FEED = f"import machine\nmachine.WDT(timeout={WATCHDOG_MS}).feed()\n"
_FUNCTIONS = """
import os
from binascii import a2b_base64 as _b, hexlify as _x
from hashlib import sha256 as _s
def _w(name, mode, text):
    with open(name, mode) as f:
        f.write(_b(text))
def _h(name):
    h, b = _s(), memoryview(bytearray(512))
    with open(name, 'rb') as f:
        n = f.readinto(b)
        while n:
            h.update(b[:n])
            n = f.readinto(b)
    return str(_x(h.digest()), 'ascii')
def _t(name):
    try:
        is_folder = os.stat(name)[0] & 0x4000
    except OSError:
        return
    if not is_folder:
        print(repr((name, _h(name))), end=',')
        return
    for entry in os.ilistdir(name):
        _t(name + '/' + entry[0])
def _d(name):
    at = name.find('/', 1)
    while at > 0:
        try:
            os.mkdir(name[:at])
        except OSError:
            pass
        at = name.find('/', at + 1)
"""

_PROMPT = b"raw REPL; CTRL-B to exit\r\n"  # and a `>`, which mpremote reads with the next piece of code
_NEVER = b"\0"
_RESTARTED = re.compile(rb"rst:0x|MicroPython v\d")  # the chip's loader, the REPL's banner

Progress = Callable[[int], None]


class DeviceError(InputError):
    """Code on the device ended with an exception; `traceback` is what it printed."""

    def __init__(self, message: str, traceback: str) -> None:
        super().__init__(message)
        self.traceback = traceback


def connect(port: str) -> "Device":
    """The device at `port`, stopped and at the raw REPL, all its heap free. Raises InputError, of one line."""
    device = Device(port)
    try:
        device.stop()
    except BaseException:
        device.close()
        raise
    return device


class Device:
    """Opened with `connect`. As a context manager it leaves a device that it has stopped with its firmware booting."""

    def __init__(self, port: str) -> None:
        self.port = port
        self._transport = _open(port)
        self._feed = ""
        self._is_stopped = False
        self._knows_functions = False

    def __enter__(self) -> "Device":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with contextlib.suppress(InputError, OSError):
            if self._is_stopped:
                self.reboot()
        self.close()

    def close(self) -> None:
        """Leaves the device as it is."""
        with contextlib.suppress(OSError):
            self._transport.close()

    def stop(self) -> None:
        """Stops what runs and soft-resets into the raw REPL: main.py does not run, the heap is free."""
        self._enter(soft_reset=False)
        watched = self._run("import sys\nprint('pigtail.app' in sys.modules)").strip() == "True"
        self._feed = _FEED if watched else ""
        self.exec("")  # feeds it: the soft reset takes a moment
        self._enter(soft_reset=True)
        self._knows_functions = False

    def guard(self) -> None:
        """Sets and feeds a watchdog from now on: another firmware may have left one that is shorter and that nobody feeds. It
        outlives a soft reset: for who puts a firmware there that feeds it."""
        self._feed = _FEED
        self.exec("")

    def exec(self, code: str, silence_s: float = ANSWER_S) -> str:
        """What `code` printed. DeviceError when it raised; InputError when the device was silent for `silence_s`,
        or was not done after CODE_S."""
        return self._run(self._feed + code, silence_s)

    def eval(self, expression: str, like: object = None) -> Any:
        """The value of an expression on the device, one that has a literal; as `like` in its types and its tuples' lengths, where
        that is given."""
        value = self._literal(self.exec(f"print(repr({expression}))"))
        if like is not None and not _is_like(value, like):
            raise self._garbled()
        return value

    def put(self, path: str, content: bytes, progress: Progress = lambda n: None) -> None:
        """Makes `content` the file `path`: at no time is there a part of it. `progress` is told of each piece's bytes."""
        fresh = f"{path}.new"
        self.send(fresh, content, progress)
        if self.hashes([fresh]).get(fresh) != hashlib.sha256(content).hexdigest():
            raise InputError(f"{self.port}: {path} did not arrive as it was sent; the old one stays: try again")
        self.exec(f"os.rename({fresh!r}, {path!r})")

    def send(self, path: str, content: bytes, progress: Progress = lambda n: None) -> None:
        """Writes `content` to `path` piece by piece, and its folders; nobody has looked whether it arrived."""
        self.make_folders(path)
        self._define()
        for at in range(0, max(1, len(content)), PIECE):
            piece = content[at : at + PIECE]
            self.exec(f"_w({path!r}, {'ab' if at else 'wb'!r}, {_base64(piece)!r})")
            progress(len(piece))

    def make_folders(self, path: str) -> None:
        """Those that the file `path` lies in."""
        if "/" in path[1:]:
            self._define()
            self.exec(f"_d({path!r})")

    def get(self, path: str) -> bytes | None:
        """Content of the file `path`, None where there is none."""
        code = "from binascii import b2a_base64 as _e\n"
        code += f"try:\n with open({path!r}, 'rb') as f:\n  b = f.read(768)\n  while b:\n   print(str(_e(b), 'ascii'), end='')\n"
        code += "   b = f.read(768)\nexcept OSError as e:\n if e.errno != 2:\n  raise\n print('None')"
        said = self.exec(code).split()
        try:
            return None if said == ["None"] else b"".join(map(_from_base64, said))
        except ValueError:
            raise self._garbled() from None

    def hashes(self, paths: Sequence[str]) -> dict[str, str]:
        """SHA-256 in hex of each of these files, and of all files in folders among them; what is missing is left out."""
        self._define()
        said = self.exec("".join(f"_t({path!r})\n" for path in paths))
        found = self._literal(f"[{said}]")
        if not all(_is_like(pair, ("", "")) for pair in found):
            raise self._garbled()
        return dict(found)

    def start(self, silence_s: float = ANSWER_S, whole_s: float = START_S) -> Iterator[str]:
        """Soft-resets into boot.py and main.py; what the console says, line by line, until it is silent for `silence_s`, for
        `whole_s` at most."""
        self.reboot()
        yield from self.lines(silence_s, time.monotonic() + whole_s)

    def reboot(self) -> None:
        """Soft-resets into boot.py and main.py."""
        with _heard(self.port):
            self._transport.serial.write(b"\r\x03\x02\x04")
        self._is_stopped = False

    def lines(self, silence_s: float = ANSWER_S, until: float = math.inf) -> Iterator[str]:
        """What the console says, line by line, until it is silent for `silence_s`, or time.monotonic() is `until`."""
        rest, heard = b"", time.monotonic()
        while time.monotonic() < min(heard + silence_s, until):
            with _heard(self.port):
                said = self._transport.serial.read(max(1, self._transport.serial.in_waiting))
            if said:
                heard = time.monotonic()
            *whole, rest = (rest + said).split(b"\n")
            if len(rest) >= LINE:
                whole, rest = [*whole, rest], b""
            yield from (line.decode(errors="replace").rstrip("\r") for line in whole)

    def _literal(self, text: str) -> Any:
        try:
            return ast.literal_eval(text.strip())
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            raise self._garbled() from None

    def _garbled(self) -> InputError:
        return InputError(f"{self.port}: what the device says arrives garbled: try again, else with another cable or USB port")

    def _define(self) -> None:
        if not self._knows_functions:
            self.exec(_FUNCTIONS)
            self._knows_functions = True

    def _enter(self, soft_reset: bool) -> None:
        said = io.StringIO()
        for attempt in range(ATTEMPTS):
            with contextlib.redirect_stdout(said):  # mpremote prints what it did not expect
                try:
                    with _heard(self.port):
                        self._transport.enter_raw_repl(soft_reset=soft_reset, timeout_overall=INTERRUPT_S * (attempt + 1))
                        if attempt:
                            self._transport.settle()
                except TransportError:
                    continue
            self._is_stopped = True
            return
        if said.getvalue().replace("b''", "").strip():
            raise InputError(f"{self.port} answers, but not as MicroPython does: is it the right port? else `pigtail flash` it")
        raise InputError(f"{self.port} does not answer: is it the right port, is the board on? reset it and try again")

    def _run(self, code: str, silence_s: float = ANSWER_S) -> str:
        with _heard(self.port), contextlib.redirect_stdout(io.StringIO()):
            try:
                said, failed = self._transport.exec_raw(code, timeout=silence_s)
            except TransportError:
                raise InputError(f"{self.port}: {self._transport.why_not()}") from None
        if failed:
            traceback = failed.decode(errors="replace").strip()
            words = re.sub(r"^OSError: (\d+)$", _errno, traceback.splitlines()[-1])
            raise DeviceError(f"{self.port}: the device says {words}", traceback)
        return bytes(said).decode(errors="replace").replace("\r\n", "\n")


class _Transport(SerialTransport):  # type: ignore[misc]  # mpremote has no type hints
    """mpremote's, that waits ten seconds for a prompt, and for ever on a device that never stops talking."""

    _is_late = False
    _last = b""

    def read_until(
        self, min_num_bytes: int, ending: bytes, timeout: float | None = None, data_consumer: None = None,
        timeout_overall: float | None = None,
    ) -> bytes:  # fmt: skip
        """What came until the ending did, or nothing for `timeout` seconds, or all of `timeout_overall` are over. With neither
        it is a prompt that is waited for, with a `timeout` alone the end of a piece of code."""
        said, heard = bytearray(), time.monotonic()
        until = heard + (timeout_overall or (READY_S if timeout is None else CODE_S))
        silence_s = PROMPT_S if timeout is None else timeout
        while not said.endswith(ending) and time.monotonic() < min(heard + silence_s, until):
            if byte := self.serial.read(1):
                said += byte
                heard = time.monotonic()
        self._is_late, self._last = time.monotonic() >= until, bytes(said)
        return self._last

    def settle(self) -> None:
        """At the raw REPL's prompt, with all behind us that earlier attempts called forth."""
        self.read_until(1, _NEVER, timeout=SETTLED_S)
        self.serial.write(b"\x01")
        if not self.read_until(1, _PROMPT).endswith(_PROMPT):
            raise TransportError("not at the prompt")

    def why_not(self) -> str:
        """Why what was waited for did not come."""
        if _RESTARTED.search(self._last):
            return "the board has restarted by itself (its power, or a watchdog?): try again, what has arrived is kept"
        if self._is_late:
            return "the device talks without end instead of answering: reset it and try again, else `pigtail flash` it"
        return "the device stopped answering: reset it and try again"


def _errno(match: "re.Match[str]") -> str:
    """MicroPython has not a word for each of them."""
    return f"{match[0]} ({os.strerror(int(match[1]))})"


def _open(port: str) -> _Transport:
    """The port, ours alone. Raises InputError."""
    if "://" in port:
        raise InputError(f"{port} is an address, no serial port: `pigtail devices` lists those that there are")
    if not os.path.exists(port) and os.name == "posix":
        raise InputError(f"no port {port}: `pigtail devices` lists those that there are")
    try:
        transport = _Transport(os.path.realpath(port), BAUD, timeout=QUIET_S)
        transport.serial.write_timeout = WRITE_S
    except TransportError:
        raise InputError(_why_not(port)) from None
    return transport


def _why_not(port: str) -> str:
    """mpremote keeps the reason to itself; the port tells it again."""
    if os.name == "posix" and not os.access(port, os.R_OK | os.W_OK):
        return f"no permission for {port}: join the group that owns it (Debian: sudo adduser $USER dialout), then log in again"
    try:
        serial.Serial(os.path.realpath(port), BAUD, exclusive=True).close()
    except serial.SerialException as error:
        if "lock" in str(error) or error.errno == 16:
            return f"{port} is busy: another program has it open; close that and try again"
        return f"{port} cannot be opened: {os.strerror(error.errno) if error.errno else error}; `pigtail devices` lists ports"
    return f"{port} was busy: try again"


@contextlib.contextmanager
def _heard(port: str) -> Iterator[None]:
    """A port that goes away, and an answer cut short, as an InputError."""
    try:
        yield
    except (OSError, struct.error, IndexError):  # SerialException is an OSError
        raise InputError(f"{port}: the connection broke: is it plugged in, is the board on?") from None


def _is_like(value: object, example: object) -> bool:
    if type(value) is not type(example):
        return False
    if not isinstance(example, tuple) or not isinstance(value, tuple):
        return True
    return len(value) == len(example) and all(map(_is_like, value, example))


def _base64(content: bytes) -> str:
    return binascii.b2a_base64(content, newline=False).decode()


def _from_base64(text: str) -> bytes:
    return binascii.a2b_base64(text, strict_mode=True)
