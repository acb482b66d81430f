"""Where a configuration lies: in a file on this machine, or on a device at a serial port."""

import contextlib
import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Protocol

from host_tools.config import draft
from host_tools.config.draft import Config
from host_tools.device import Device, connect, only, pairs
from host_tools.device.deploy import NotStarted, safe_mode, started
from host_tools.errors import InputError
from host_tools.progress import working

ON_DEVICE = "/config.json"
_LAST_GOOD = "/config"
_RESET_S = 3.0


class Place(Protocol):
    """`name` is for people."""

    name: str

    def read(self) -> Config:
        """The keys that are set; none where there is nothing. Raises InputError."""

    def write(self, config: Config) -> str | None:
        """Puts it there, whole or not at all; what the device says against it. Raises InputError."""


class LocalFile:
    """A draft. It may hold secrets: nobody else can read it."""

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, str(path)

    def read(self) -> Config:
        try:
            return draft.parse(self.path.read_bytes(), self.name)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise InputError(f"{self.name}: cannot be read: {error.strerror}") from None

    def write(self, config: Config) -> str | None:
        private(self.path, draft.content(config))
        return None


class OnDevice:
    """A context manager: the device is stopped, and starts with what was written at the end."""

    def __init__(self, port: str | None) -> None:
        self.name, self._port = port or "", port
        self.trouble: str | None = None  # with the file, so that another one is in force
        self._device: Device | None = None
        self._is_stopped = True

    def __enter__(self) -> "OnDevice":
        self.name = only(self._port)
        with working(f"stopping the firmware at {self.name}"):
            self._device = connect(self.name)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._is_stopped:
            with contextlib.suppress(InputError), working(f"starting the firmware at {self.name}"):
                for line in self.device.start(_RESET_S):  # until it does: who comes next must not meet it in between
                    if "soft reboot" in line:
                        break
        self.device.close()

    @property
    def device(self) -> Device:
        """The one that is connected."""
        assert self._device, "not connected"
        return self._device

    def read(self) -> Config:
        """What is in force."""
        with working(f"reading the configuration at {self.name}"):
            config, self.trouble = in_force(self.device)
        return config

    def write(self, config: Config) -> str | None:
        """Waits until the firmware says what it makes of it."""
        try:
            with working(f"writing to {self.name}, and waiting until it runs"):
                self.device.put(ON_DEVICE, draft.content(config))
                self._is_stopped = False
                status = started(self.device)
        except NotStarted:
            return "no firmware runs that could say whether it is in force: `pigtail deploy`"
        error = status.get("config_error") or safe_mode(status)
        return str(error) if error else None


def in_force(device: Device) -> tuple[Config, str | None]:
    """What is in force on a device that is stopped, and what is wrong with its file: then it is the last one that was good."""
    text, trouble = device.get(ON_DEVICE), "config.json is missing"
    try:
        if text is not None:
            return draft.parse(text, "config.json"), None
    except InputError as error:
        trouble = str(error)
    _, kept = pairs.newest(*(device.get(f"{_LAST_GOOD}.{copy}") for copy in (0, 1)))
    if kept is None:
        return {}, None if text is None else trouble
    with contextlib.suppress(InputError):
        return draft.parse(kept, "the last good one"), trouble
    return {}, trouble


def private(path: Path, content: bytes) -> None:
    """Writes a file that its owner alone can read, whole or not at all. Raises InputError."""
    try:
        number, fresh = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600
        try:
            with os.fdopen(number, "wb") as file:
                file.write(content)
            os.replace(fresh, path)
        except BaseException:
            os.unlink(fresh)
            raise
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from None
