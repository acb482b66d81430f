"""`pigtail provision`: gives a device an identity and keys of its own."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from host_tools.config import draft, ids
from host_tools.config.places import OnDevice
from host_tools.errors import InputError
from host_tools.provision import certificates, identity, label
from host_tools.provision.identity import Identity
from host_tools.provision.work import CA_FILE, CERT_FILE, KEY_FILE, Plan, is_same, owned, owner_copy, tell
from host_tools.reader import connection

EXAMPLES = """\b
Examples:
  pigtail provision --broker mqtts://broker.example --ca ca.pem
  pigtail provision --device kona --broker mqtts://broker.example --authority my-ca --new-authority
  pigtail provision --offline --device kona --broker mqtts://broker.example --ca ca.pem
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
@click.option("--authority", metavar="FOLDER", type=_A_FILE,
              help="A CA, ca.pem and ca.key, that signs the device's certificate; the broker's too, without --ca.")
@click.option("--new-authority", is_flag=True, help="Make that CA first.")
@click.option("--days", type=click.IntRange(1, 7000), default=3650, show_default=True, help="How long the certificate is good.")
@click.option("--insecure", is_flag=True, help="Allow mqtt://, where anyone can read the password.")
@click.option("--replace", is_flag=True, help="Make a new identity in place of the one that there is.")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
def command(
    port: str | None, offline: bool, device: str | None, owner: Path, broker: str, ca: Path | None, authority: Path | None,
    new_authority: bool, days: int, insecure: bool, replace: bool, as_json: bool,
) -> None:  # fmt: skip
    """Give a device its id, its password at the broker, its keys and a claim code, all made for it alone.

    The owner's copy is FOLDER/ID, which only you can read: keep it, nobody can make it again. Its label (text, PNG, SVG) bears no
    password. A device or a folder that has an identity keeps it; run it again to take up what was interrupted.
    """
    if offline and (device is None or port is not None):
        raise InputError("--offline: give --device, and no --port")
    if device is not None:
        identity.checked(device)
    plan = _plan(broker, ca, authority, new_authority, days, insecure)
    if offline:
        assert device is not None
        made, is_new = owner_copy(device, owner, plan, replace)
        _tell(made, owner, "made" if is_new else "was there", None, as_json)
        return
    with OnDevice(port) as place:
        before = place.read()
        name = device or ids.of(place.device, before)
        known = identity.kept(owner / identity.checked(name))
        if owned(before) and not replace:
            if not is_same(before, known):
                raise InputError(f"{place.name} has an identity ({before.get('device') or 'no id'}): --replace makes a new one")
            assert known is not None
            _tell(known, owner, "was there", place.name, as_json)
            return
        made, _ = owner_copy(name, owner, plan, replace)
        trouble = tell(place, before, made, owner / name, plan)
    _tell(made, owner, "made", place.name, as_json, trouble)
    sys.exit(1 if trouble else 0)


def _plan(broker: str, ca: Path | None, authority: Path | None, is_new: bool, days: int, insecure: bool) -> Plan:
    """Raises InputError before anything is made."""
    address = connection.parse(broker)
    if address.user is not None or address.password is not None:
        raise InputError("--broker: give no user, the device gets one of its own")
    if not address.tls and not insecure:
        raise InputError("--broker: anyone could read the device's password: give mqtts://, or --insecure")
    if is_new and authority is None:
        raise InputError("--new-authority: give --authority FOLDER, where it is to be")
    settings: dict[str, Any] = {"mqtt.host": address.host, "mqtt.port": address.port}
    settings |= dict.fromkeys(["mqtt.tls", "mqtt.insecure", "mqtt.ca_file", "mqtt.cert_file", "mqtt.key_file"])
    if not address.tls:
        if ca or authority:
            raise InputError("--ca and --authority are for mqtts://")
        return Plan(settings | {"mqtt.insecure": 1, "mqtt.pin": None, "mqtt.server_name": None}, None, None, days)
    if ca is None and authority is None:
        raise InputError("--broker mqtts://: give --ca FILE, or --authority FOLDER, or the device knows no broker")
    signer = None
    if authority is not None:
        if is_new:
            identity.folder(authority)
        signer = certificates.Authority.new(authority) if is_new else certificates.Authority(authority)
    settings |= {"mqtt.tls": 1, "mqtt.ca_file": CA_FILE}
    settings |= {"mqtt.cert_file": CERT_FILE, "mqtt.key_file": KEY_FILE} if signer else {}
    draft.changed({}, settings)  # a host or a port that no device takes
    return Plan(settings, certificates.certificate(ca) if ca else signer.pem if signer else None, signer, days)


def _tell(made: Identity, owner: Path, how: str, port: str | None, as_json: bool, trouble: str | None = None) -> None:
    folder = owner / made.device
    if as_json:
        click.echo(json.dumps({
            "device": made.device, "folder": str(folder), "identity": how, "port": port, "trouble": trouble,
            "claim": made.claim, "label": label.address(made),
        }))  # fmt: skip
        return
    click.echo(label.text(made) + label.terminal(made))
    click.echo(f"identity of {made.device}: {how}; the owner's copy is {folder}, keep it" + (f"; {port} has it" if port else ""))
    if trouble:
        click.echo(f"{port}: {trouble}", err=True)
