"""One finding, and what is known of the case."""

from dataclasses import dataclass, field
from typing import Any

from host_tools.reader.connection import Address, Trust

OK, WARNING, ERROR = LEVELS = ("ok", "warning", "error")


@dataclass(frozen=True)
class Finding:
    """`check` is what was looked at, `level` one of LEVELS, `todo` what to do where it is not ok."""

    check: str
    level: str
    text: str
    todo: str = ""


@dataclass
class Case:
    """What the user has named, and what the steps find out."""

    port: str | None = None
    broker: str | None = None
    trust: Trust = field(default_factory=Trust)
    device: str | None = None
    vehicle: str | None = None
    config: dict[str, Any] | None = None  # what is in force on the device; it has secrets in it
    files: dict[str, bytes] = field(default_factory=dict, repr=False)  # that it names for TLS, by its keys; secrets, too
    identity: int | None = None  # of the profile that the device or the vehicle has
    deploy: str = "pigtail deploy"  # the verb, with what it needs for this device
    arch: str = ""  # of the device
    slot: str = ""  # where its firmware lies
    boot: int | None = None  # number of the boot that we have caused
    address: Address | None = None  # of a broker that answers

    @property
    def is_remote(self) -> bool:
        """Whether the user asks about a device that is not at this machine."""
        return self.port is None and (self.broker is not None or self.device is not None)
