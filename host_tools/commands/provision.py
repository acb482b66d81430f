"""`pigtail provision`: gives a device an identity and keys of its own."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from host_tools.config import draft, ids
from host_tools.config.places import OnDevice
from host_tools.config_changes import lines
from host_tools.errors import InputError
from host_tools.provision import certificates, identity, label
from host_tools.provision.identity import Identity
from host_tools.provision.work import CA, Plan, Rows, is_same, owned, owner_copy, tell
from host_tools.reader import connection
from host_tools.reader.lines import printable

EXAMPLES = """\b
Examples:
  pigtail provision --broker mqtts://broker.example --ca ca.pem
  pigtail provision --device kona --broker mqtts://broker.example --authority my-ca --new-authority
  pigtail provision --offline --device kona --broker mqtts://broker.example --ca ca.pem
  pigtail provision --device kona --broker mqtts://broker.example --ca ca.pem --cert signed.pem
"""
_A_FILE = click.Path(path_type=Path)


@click.command("provision", epilog=EXAMPLES)
@click.option("--port", metavar="PORT", help="The device's serial port.  [default: the only one with a board]")
@click.option("--offline", is_flag=True, help="Make the owner's folder only; needs --device.")
@click.option("--device", metavar="ID", help="The device's id.  [default: the chip's own number]")
@click.option("--out", "owner", metavar="FOLDER", type=_A_FILE, default=Path("devices"), show_default=True,
              help="Where the owner's copy goes, FOLDER/ID.")
@click.option("--broker", metavar="URL", required=True, help="mqtts://HOST[:PORT] that the device is to talk to.")
@click.option("--ca", metavar="FILE", type=_A_FILE, help="Certificate (PEM) of the CA that signs the broker's.")
@click.option("--cert", "certificate", metavar="FILE", type=_A_FILE,
              help="The device's own certificate (PEM), which somebody's CA made of request.csr.  [default: FOLDER/ID/cert.pem]")
@click.option("--authority", metavar="FOLDER", type=_A_FILE,
              help="A CA, ca.pem and ca.key, that signs the device's certificate; the broker's too, without --ca.")
@click.option("--new-authority", is_flag=True, help="Make that CA first.")
@click.option("--days", type=click.IntRange(1, 7000), default=3650, show_default=True, help="How long the certificate is good.")
@click.option("--insecure", is_flag=True, help="Allow mqtt://, where anyone can read the password.")
@click.option("--replace", is_flag=True, help="Make a new identity in place of the one that there is.")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
def command(
    port: str | None, offline: bool, device: str | None, owner: Path, broker: str, ca: Path | None,
    certificate: Path | None, authority: Path | None, new_authority: bool, days: int, insecure: bool, replace: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Give a device its id, its password at the broker, its keys and a claim code, all made for it alone.

    The owner's copy is FOLDER/ID, which only you can read: keep it, nobody can make it again. Its label (text, PNG, SVG) bears no
    password. A device or a folder that has an identity keeps it; run it again to take up what was interrupted, or with another
    broker, CA or certificate: what differs is taken over and told.
    """
    if offline and (device is None or port is not None):
        raise InputError("--offline: give --device, and no --port")
    if device is not None:
        identity.checked(device)
    if certificate and authority:
        raise InputError("give one of --cert and --authority: each brings the device's certificate")
    plan = _plan(broker, ca, certificate, authority, new_authority, days, insecure)
    if offline:
        assert device is not None
        made, is_new, rows = owner_copy(device, owner, plan, replace)
        _tell(made, owner, "made" if is_new else "was there", None, as_json, rows)
        return
    with OnDevice(port) as place:
        before = place.read()
        name = device or ids.of(place.device, before)
        is_kept = owned(before) and not replace
        if is_kept and not is_same(before, identity.kept(owner / identity.checked(name))):
            raise InputError(f"{place.name} has an identity ({before.get('device') or 'no id'}): --replace makes a new one")
        chip = ids.chip(place.device)
        if not replace:
            identity.check_chip(owner / name, chip)
        made, _, rows = owner_copy(name, owner, plan, replace)
        identity.give(owner / name, chip)
        changes, trouble = tell(place, before, made, owner / name, plan)
    rows = [*rows, *changes] if is_kept else []
    _tell(made, owner, "was there" if is_kept else "made", place.name, as_json, rows, trouble)
    sys.exit(1 if trouble else 0)


def _plan(
    broker: str, ca: Path | None, certificate: Path | None, authority: Path | None, is_new: bool, days: int, insecure: bool
) -> Plan:
    """Raises InputError before anything is made."""
    address = connection.parse(broker)
    if address.user is not None or address.password is not None:
        raise InputError("--broker: give no user, the device gets one of its own")
    if not address.tls and not insecure:
        raise InputError("--broker: anyone could read the device's password: give mqtts://, or --insecure")
    if is_new and authority is None:
        raise InputError("--new-authority: give --authority FOLDER, where it is to be")
    settings: dict[str, Any] = {"mqtt.host": address.host, "mqtt.port": address.port}
    settings |= dict.fromkeys(["mqtt.tls", "mqtt.insecure", "mqtt.ca_file"])
    if not address.tls:
        if ca or certificate or authority:
            raise InputError("--ca, --cert and --authority are for mqtts://")
        return Plan(settings | {"mqtt.insecure": 1, "mqtt.pin": None, "mqtt.server_name": None}, None, None, None, days)
    if ca is None and authority is None:
        raise InputError("--broker mqtts://: give --ca FILE, or --authority FOLDER, or the device knows no broker")
    settings |= {"mqtt.tls": 1, "mqtt.ca_file": f"/{CA}"}
    draft.changed({}, settings)  # a host or a port that no device takes
    trusted = certificates.certificate(ca) if ca else None
    signer = _authority(authority, is_new, days) if authority else None
    return Plan(settings, trusted or (signer.pem if signer else None), certificate, signer, days)


def _authority(folder: Path, is_new: bool, days: int) -> certificates.Authority:
    if is_new:
        identity.folder(folder)
    signer = certificates.Authority.new(folder) if is_new else certificates.Authority(folder)
    signer.check(days)
    return signer


def _tell(
    made: Identity, owner: Path, how: str, port: str | None, as_json: bool, rows: Rows, trouble: str | None = None
) -> None:
    """`rows`: what changed for an identity that was there."""
    folder = owner / made.device
    if as_json:
        click.echo(json.dumps({
            "device": made.device, "folder": str(folder), "identity": how, "port": port, "trouble": trouble,
            "claim": made.claim, "label": label.address(made), "changes": rows,
        }))  # fmt: skip
        return
    click.echo(label.text(made) + label.terminal(made))
    for line in lines(rows):
        click.echo(printable(line))
    has_it = f"; {port} has it" if port else ""
    click.echo(printable(f"identity of {made.device}: {how}; the owner's copy is {folder}, keep it{has_it}"))
    if trouble:
        click.echo(f"{port}: {trouble}", err=True)
