"""Provisioning, step by step: the owner's copy first, then the device, its configuration last. What was interrupted is taken up
again with the same identity; one that is there is not overwritten unless that is asked for."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from host_tools.config import draft
from host_tools.config.places import OnDevice, private
from host_tools.errors import InputError
from host_tools.provision import certificates, identity, label
from host_tools.provision.identity import Identity

CA_FILE, CERT_FILE, KEY_FILE = "/ca.pem", "/cert.pem", "/key.pem"  # on the device
_OWN = "mqtt.password", "command.key"  # a device that has one of these has an identity


@dataclass(frozen=True)
class Plan:
    """What a device is told beside its identity. `ca` is the broker's, PEM; `authority` signs the device's own certificate."""

    settings: dict[str, Any]
    ca: bytes | None
    authority: certificates.Authority | None
    days: int


def owner_copy(device: str, owner: Path, plan: Plan, replace: bool) -> tuple[Identity, bool]:
    """The identity in the owner's folder, made where there is none, and whether it is new. Raises InputError."""
    folder = owner / identity.checked(device)
    known = None if replace else identity.kept(folder)
    if known and known.device != device:
        raise InputError(f"{folder} holds the identity of {known.device!r}: name another folder")
    if replace:
        identity.put_aside(folder)
    identity.folder(folder)
    if not known:
        key = certificates.new_key()
        private(folder / "key.pem", certificates.key_pem(key))
        private(folder / "request.csr", certificates.request(key, device))
    if plan.authority and not (known and (folder / "cert.pem").exists()):
        private(folder / "cert.pem", plan.authority.issue((folder / "request.csr").read_bytes(), plan.days))
    if plan.ca:
        private(folder / "ca.pem", plan.ca)
    if known:
        return known, False
    made = identity.new(device)
    label.write(made, folder)
    identity.keep(made, folder)  # last: what is interrupted before is made anew
    return made, True


def owned(config: draft.Config) -> bool:
    """Whether a device with this configuration has an identity."""
    return any(config.get(key) for key in _OWN)


def is_same(config: draft.Config, known: Identity | None) -> bool:
    """Whether it is this one."""
    return known is not None and all(config.get(key) == value for key, value in known.settings().items())


def tell(place: OnDevice, before: draft.Config, made: Identity, folder: Path, plan: Plan) -> str | None:
    """Gives a device its identity; what it says against it. Raises InputError."""
    files = {CA_FILE: "ca.pem"} if plan.settings.get("mqtt.ca_file") else {}
    files |= {CERT_FILE: "cert.pem", KEY_FILE: "key.pem"} if plan.settings.get("mqtt.cert_file") else {}
    after = draft.counted(draft.changed(before, {**plan.settings, **made.settings()}), before)
    for target, name in files.items():
        place.device.put(target, (folder / name).read_bytes())
    return place.write(after)
