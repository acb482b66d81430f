"""The boot number: counted on flash before the first sample of a boot is taken, so that no two boots share identities."""

import struct
from pair import Pair


def next_boot() -> int:
    """Counts this boot; raises OSError when the flash cannot keep it, for then no sample may be numbered."""
    pair = Pair("/boots")
    before = pair.read()
    boot = 1 + (struct.unpack("<I", before)[0] if before and len(before) == 4 else 0)
    if pair.damaged:
        boot += 1  # the copy that cannot be read may have held this number
    pair.write(struct.pack("<I", boot))
    return boot


def go_on(boot: int) -> None:
    """Counts on from the higher number that the outbox knows. Where flash does not take it the outbox tells it again."""
    try:
        Pair("/boots").write(struct.pack("<I", boot))
    except OSError:
        pass
