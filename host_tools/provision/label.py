"""The label for a device's case: its id and the claim code, as text and as a QR code. No password or key stands on it."""

import io
from pathlib import Path
from urllib.parse import quote

import segno

from host_tools.config.places import private
from host_tools.provision.identity import Identity


def address(identity: Identity) -> str:
    """What the QR code says."""
    return f"pigtail:{quote(identity.device)}?claim={identity.claim}"


def text(identity: Identity) -> str:
    """The label in words."""
    return f"pigtail\ndevice  {identity.device}\nclaim   {identity.claim}\n"


def write(identity: Identity, folder: Path) -> None:
    """label.txt, label.png and label.svg, each for their owner alone: the claim code is on them."""
    code = segno.make(address(identity), error="m", micro=False)
    private(folder / "label.txt", text(identity).encode())
    for kind in "png", "svg":
        picture = io.BytesIO()
        code.save(picture, kind=kind, scale=8)
        private(folder / f"label.{kind}", picture.getvalue())


def terminal(identity: Identity) -> str:
    """The QR code in characters."""
    drawn = io.StringIO()
    segno.make(address(identity), error="m", micro=False).terminal(drawn, compact=True)
    return drawn.getvalue()
