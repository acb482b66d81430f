"""Provisioning, step by step: the owner's copy first, then the device, its configuration last. What was interrupted is taken up
again with the same identity; one that is there is not overwritten unless that is asked for. The broker, its CA and the device's
certificate are taken over from whoever asks last."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from host_tools.config import draft
from host_tools.config.places import OnDevice, private
from host_tools.errors import InputError
from host_tools.progress import working
from host_tools.provision import certificates, identity, keys, label
from host_tools.provision.identity import Identity

CA, CERTIFICATE = "ca.pem", "cert.pem"  # in the owner's folder, and at the device's root
_CLIENT = {"mqtt.cert_file": f"/{CERTIFICATE}", "mqtt.key_file": f"/{keys.KEY}"}
_OWN = "mqtt.password", "command.key"  # a device that has one of these has an identity
_THERE, _NOT_THERE, _ANOTHER = "there", "not there", "another"
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Plan:
    """What a device is told beside its identity. `ca` is the broker's, PEM, None where it is spoken to in plain text; the
    device's own certificate is in the file `certificate`, or `authority` signs it, or it is the one in the owner's folder."""

    settings: dict[str, Any]
    ca: bytes | None
    certificate: Path | None
    authority: certificates.Authority | None
    days: int

    def whole(self, folder: Path) -> dict[str, Any]:
        """The settings, with what the owner's folder has."""
        own = _CLIENT if self.ca and (folder / CERTIFICATE).exists() else dict.fromkeys(_CLIENT)
        return {**self.settings, **own}


def owner_copy(device: str, owner: Path, plan: Plan, replace: bool) -> tuple[Identity, bool, Rows]:
    """The identity in the owner's folder, made where there is none, whether it is new, and what else changed there. Raises
    InputError."""
    folder = owner / identity.checked(device)
    known = None if replace else identity.kept(folder)
    if known and known.device != device:
        raise InputError(f"{folder} holds the identity of {known.device!r}: name another folder")
    if plan.certificate and not known:
        first = f"provision it without, and have {folder / keys.REQUEST} signed"
        raise InputError(f"--cert: no certificate can fit a key that is still to be made: {first}")
    if replace:
        identity.put_aside(folder)
    identity.folder(folder)
    key = keys.kept(folder) if known else _key(folder)
    rows = _complete(folder, plan, {CERTIFICATE: _certificate(folder, key, device, plan), CA: plan.ca})
    if known:
        return known, False, rows
    made = identity.new(device)
    label.write(made, folder)
    identity.keep(made, folder)  # last: what is interrupted before is made anew
    return made, True, []


def _key(folder: Path) -> ec.EllipticCurvePrivateKey:
    key = keys.new()
    (folder / CERTIFICATE).unlink(missing_ok=True)  # of a key that was interrupted
    private(folder / keys.KEY, keys.pem(key))
    return key


def _certificate(folder: Path, key: ec.EllipticCurvePrivateKey, device: str, plan: Plan) -> bytes | None:
    """The device's own, which fits its key and is in its time; None where there is none, or none is of use."""
    asked = keys.request(key, folder, device)
    path = folder / CERTIFICATE
    if plan.certificate:
        return keys.fitting(plan.certificate, key)
    if not plan.authority:
        return keys.fitting(path, key) if plan.ca and path.exists() else None
    try:
        content = keys.fitting(path, key)
        if plan.authority.has_issued(content):
            return content
    except InputError:
        pass  # it is signed anew
    return plan.authority.issue(asked, plan.days)


def _complete(folder: Path, plan: Plan, files: Mapping[str, bytes | None]) -> Rows:
    rows = []
    for name, content in files.items():
        path = folder / name
        try:
            before = path.read_bytes() if path.exists() else None
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}; name another folder with --out") from None
        if content is not None and content != before:
            private(path, content)
            rows.append(_row(str(path), before is not None))
    return rows


def _row(name: str, was_there: bool) -> dict[str, Any]:
    """As `draft.difference` has them."""
    return {"key": name, "before": _THERE if was_there else _NOT_THERE, "after": _ANOTHER if was_there else _THERE}


def owned(config: draft.Config) -> bool:
    """Whether a device with this configuration has an identity."""
    return any(config.get(key) for key in _OWN)


def is_same(config: draft.Config, known: Identity | None) -> bool:
    """Whether it is this one."""
    return known is not None and all(config.get(key) == value for key, value in known.settings().items())


def tell(place: OnDevice, before: draft.Config, made: Identity, folder: Path, plan: Plan) -> tuple[Rows, str | None]:
    """Gives a device its identity, and all else that it lacks: what that changes, and what it says against it. Raises
    InputError."""
    settings = plan.whole(folder)
    wanted = draft.changed(before, {**settings, **made.settings()})
    paths = [settings[key] for key in ("mqtt.ca_file", *_CLIENT) if settings[key]]
    contents = {path: (folder / path[1:]).read_bytes() for path in paths}
    with working(f"looking at the keys and certificates at {place.name}"):
        there = place.device.hashes(paths)
    fresh = [path for path in paths if there.get(path) != hashlib.sha256(contents[path]).hexdigest()]
    rows = [*draft.difference(before, wanted), *(_row(path, path in there) for path in fresh)]
    if not rows:
        return [], None
    with working(f"writing keys and certificates to {place.name}"):
        for path in fresh:
            place.device.put(path, contents[path])
    return rows, place.write(draft.counted(wanted, before))
