"""Who a device is and what it proves it by. Everything is drawn from the system's random source; nothing has a default."""

import json
import os
import re
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from host_tools.config.places import private
from host_tools.errors import InputError

FILE = "identity.json"
_CHIP = "chip"  # of the device that has it
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")
_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's: none is taken for another
_GROUPS, _GROUP = 3, 4


@dataclass(frozen=True)
class Identity:
    """`command_key` is 64 hex digits; `claim`, 60 random bits, is for the label: whoever reads it has the device in hand."""

    device: str
    user: str
    password: str
    command_key: str
    claim: str

    def __repr__(self) -> str:
        return f"Identity({self.device!r})"

    def settings(self) -> dict[str, object]:
        """Its part of the device's configuration."""
        return {"device": self.device, "mqtt.user": self.user, "mqtt.password": self.password, "command.key": self.command_key}


def checked(device: str) -> str:
    """`device` again. Raises InputError where it cannot be a device's id, a topic's level and a folder's name."""
    if not _ID.fullmatch(device):
        raise InputError(f"{device!r} cannot be a device's id: give 1 to 32 letters, digits, - _ or . that begin with no mark")
    return device


def new(device: str) -> Identity:
    """A fresh one."""
    claim = "-".join("".join(secrets.choice(_LETTERS) for _ in range(_GROUP)) for _ in range(_GROUPS))
    return Identity(checked(device), device, secrets.token_urlsafe(24), secrets.token_hex(32), claim)


def folder(path: Path) -> None:
    """Makes the folder, for its owner alone. Raises InputError."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.chmod(path, 0o700)
    except OSError as error:
        raise InputError(f"{path}: cannot be made: {error.strerror}; name another folder") from None


def keep(identity: Identity, path: Path) -> None:
    """Writes the owner's copy: all of it, and the two that tools ask for."""
    private(path / "command.key", identity.command_key.encode() + b"\n")
    private(path / "mqtt.password", identity.password.encode() + b"\n")
    private(path / FILE, json.dumps(asdict(identity), indent=1).encode() + b"\n")


def kept(path: Path) -> Identity | None:
    """The one whose owner's copy is in this folder, None where there is none. Raises InputError for what is none."""
    try:
        fields = json.loads((path / FILE).read_bytes())
        identity = Identity(**fields)
        if not all(isinstance(value, str) and value for value in fields.values()):
            raise ValueError
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"{path / FILE}: cannot be read: {error.strerror}; name another folder with --out") from None
    except (ValueError, TypeError):
        raise InputError(f"{path / FILE} is damaged: bring it back from a copy, or make a new identity with --replace") from None
    return identity


def check_chip(path: Path, chip: str) -> None:
    """Raises InputError where the identity in this folder was given to a device with another chip: no two shall have the same."""
    try:
        given = (path / _CHIP).read_text(encoding="ascii", errors="replace").strip()
    except FileNotFoundError:
        return
    except OSError as error:
        raise InputError(f"{path / _CHIP}: cannot be read: {error.strerror}; name another folder with --out") from None
    if given != chip:
        other = "give this one another --device, or --replace makes a new identity"
        raise InputError(f"{path}: its identity is that of another device, with the chip {given}, and this is {chip}: {other}")


def give(path: Path, chip: str) -> None:
    """Notes that the identity in this folder is that of the device with this chip. Raises InputError."""
    private(path / _CHIP, chip.encode() + b"\n")


def put_aside(path: Path) -> Path | None:
    """Moves the folder of an old identity out of the way: its device may still have it. Its new name. Raises InputError."""
    if not path.exists():
        return None
    number = 1
    while (old := path.with_name(f"{path.name}.old{number}")).exists():
        number += 1
    try:
        path.rename(old)
    except OSError as error:
        raise InputError(f"{path}: cannot be put aside as {old.name}: {error.strerror}; name another folder with --out") from None
    return old
