"""Commands to a device that runs, by its serial port: the firmware hears them at its console and goes on (firmware/SPEC.md,
section 4). Whatever else it says there comes to `note`, line by line."""

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from host_tools.control.message import typed
from host_tools.control.send import NoReply
from host_tools.device.serial import Device
from host_tools.errors import InputError
from host_tools.reader.inbox import Reply, json_object, reply

BEGIN = b"\x10"
WINDOW = 128  # bytes that may be sent before the device gives leave again
LEAVE_S = 1.0  # until leave is asked for again: who opens a port may have reset the board, and a boot takes its time
HEARS_S = 12.0  # until the firmware must have given it
_NO_ROOM = '"no memory"'
_LEAVE, _VOID, _LAST = ">", "!", "."  # and "-" for a piece that is not the last


class Asking(Device):
    """A device at `port` whose firmware runs. As a context manager it leaves it so. Raises InputError as Device does."""

    def __init__(self, port: str, note: Callable[[str], None] = lambda line: None) -> None:
        super().__init__(port)
        self._note = note
        self._unread = b""

    def __enter__(self) -> "Asking":
        return self

    def ask(self, name: str, arguments: Mapping[str, object], wait_s: float = 10.0) -> Reply:
        """The reply to a command, with `port` as its device. Raises NoReply, and InputError where nobody hears commands or for
        what no device takes."""
        ident = secrets.token_hex(4)
        line = typed(ident, name, arguments) + b"\n"
        self._hear(0)  # what has waited is nobody's answer
        self._begin(wait_s)
        for at in range(0, len(line), WINDOW):
            if at:
                self._until(_LEAVE, wait_s)
            self._put(line[at : at + WINDOW])
        until = time.monotonic() + wait_s
        while True:
            told = self._reply(until)
            if told.id in (ident, ""):  # it could not be read there
                return replace(told, id=ident, command=name)

    def listen(self, seconds: float) -> None:
        """Hears what it says by itself for so long."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._hear(until - time.monotonic())

    def _begin(self, wait_s: float) -> None:
        """Returns with leave to send. Another one may be at work still, for `wait_s` perhaps."""
        until = time.monotonic() + max(HEARS_S, wait_s)
        while time.monotonic() < until:
            self._put(BEGIN)
            again = time.monotonic() + LEAVE_S
            while (left := again - time.monotonic()) > 0:
                for kind, text in self._hear(left):
                    if kind == _LEAVE:
                        return
                    if kind == _LAST and _NO_ROOM in text:
                        raise NoReply(f"{self.port}: the device has no memory left for commands: try again, or restart it")
        raise InputError(
            f"{self.port}: no firmware hears commands there: it is stopped, or older than this tool: reset the board, or "
            f"`pigtail deploy --port {self.port}`; one with a key that may ask the car hears them over MQTT alone"
        )

    def _until(self, kind: str, wait_s: float) -> None:
        until = time.monotonic() + wait_s
        while time.monotonic() < until:
            if any(told == kind for told, _ in self._hear(until - time.monotonic())):
                return
        raise NoReply(f"{self.port}: the device fell silent amid a command")

    def _reply(self, until: float) -> Reply:
        text = ""
        while (left := until - time.monotonic()) > 0:
            for kind, piece in self._hear(left):
                if kind == _LEAVE:
                    continue
                text = "" if kind == _VOID else text + piece
                if kind == _LAST:
                    return reply(self.port, json_object(text.encode()))
        raise NoReply(f"no reply from {self.port} in time: is the cable good? else try again, with a longer --wait")

    def _hear(self, seconds: float) -> list[tuple[str, str]]:
        """What is for us of what has come, once something has or the time is over: (kind, rest) of each line."""
        ours = []
        for line in self._lines(seconds):
            if line.startswith(BEGIN.decode()):
                ours.append((line[1:2], line[2:]))
            else:
                self._note(line)
        return ours

    def _lines(self, seconds: float) -> Iterator[str]:
        until = time.monotonic() + min(seconds, 1.0)
        while True:
            *whole, self._unread = (self._unread + self._got()).split(b"\n")
            yield from (line.decode(errors="replace").rstrip("\r") for line in whole)
            if whole or time.monotonic() >= until:
                return

    def _got(self) -> bytes:
        """What has come, within a tenth of a second."""
        with self._connected():
            said: bytes = self._transport.serial.read(max(1, self._transport.serial.in_waiting))
        return said

    def _put(self, piece: bytes) -> None:
        with self._connected():
            self._transport.serial.write(piece)

    @contextmanager
    def _connected(self) -> Iterator[None]:
        try:
            yield
        except OSError:  # SerialException is one
            raise InputError(f"{self.port}: the connection broke: is it plugged in, is the board on?") from None
