"""A device that runs, looked at by its serial port: its status and its latest values, for an overview."""

import binascii
from collections.abc import Iterator

from host_tools.device.asking import Asking
from host_tools.errors import InputError
from host_tools.reader import now
from host_tools.reader.inbox import Reply, Status
from host_tools.reader.overview import Overview
from host_tools.signals.pack import identity, unpack
from host_tools.signals.profile import Profile

MOST_BYTES = 1 << 20  # of a packed profile


class Watching:
    """Asks `device` for an overview; its profile is asked for once."""

    def __init__(self, device: Asking) -> None:
        self._device = device
        self._known: dict[str, Profile] = {}  # by identity
        self._size = 0

    def look(self, overview: Overview) -> Iterator[None]:
        """Puts into `overview` what is so now; a reply takes a second, and after each of them its caller has the word. Raises
        NoReply, and InputError where the device tells what none does."""
        port, told = self._device.port, self._ask("status")
        if not told.ok:
            overview.note(f"{port}: no status: {told.reason} {told.text}".rstrip())
            yield
            return
        status = told.result
        overview.take(Status(port, status))
        yield
        if not status.get("profile"):
            return
        known_as = str(status["profile"])
        yield from self._learn(known_as)
        skip: int | None = 0
        while skip is not None:
            page = self._ask("values", skip)
            if not page.ok or page.result.get("profile") != known_as:
                why = f"{page.reason} {page.text}" if not page.ok else "its profile has just changed"
                overview.note(f"{port}: no values: {why}".rstrip())
                yield
                return
            uptime_ms, boot = status.get("uptime_ms"), page.result.get("boot")
            if type(uptime_ms) is not int or type(boot) is not int:
                raise InputError(f"{port}: a status and values of no device")
            overview.values(port, boot, now.samples(self._known[known_as], page.result, uptime_ms))
            before, skip = skip, page.result.get("next")
            if skip is not None and (type(skip) is not int or skip <= before):
                raise InputError(f"{port}: values without an end")
            yield

    def _learn(self, known_as: str) -> Iterator[None]:
        """Asks for the profile in force where it is not known: values that waited for it would look newer than they are."""
        packed = b""
        while known_as not in self._known:
            packed += self._piece(self._ask("profile", len(packed)))
            if len(packed) >= self._size:
                if f"{identity(packed):08x}" != known_as:
                    raise InputError(f"{self._device.port}: its profile did not arrive whole: try again")
                self._known[known_as] = unpack(packed)
            yield

    def _piece(self, page: Reply) -> bytes:
        """The bytes of a page, and in `_size` how many there are in all."""
        try:
            self._size, piece = page.result["size"], binascii.a2b_base64(page.result["data"])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{self._device.port}: no profile: {page.reason} {page.text}".strip()) from error
        if not piece or type(self._size) is not int or self._size > MOST_BYTES:
            raise InputError(f"{self._device.port}: no profile: it is cut short")
        return piece

    def _ask(self, command: str, skip: int | None = None) -> Reply:
        return self._device.ask(command, {} if skip is None else {"skip": skip})
