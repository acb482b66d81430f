"""What a simulated flash chip went through, as boards/unix/_flash.py counts it out of the firmware's sight."""

import struct
from dataclasses import dataclass
from pathlib import Path

_COUNTERS = 6


@dataclass(frozen=True)
class Wear:
    """Since the image was made, through all restarts."""

    programs: int = 0
    bytes_programmed: int = 0  # modulo 2^32
    faults: int = 0  # programs that would have had to set a bit
    busy: int = 0  # 0.1 ms that a chip with a data sheet's typical times would have taken
    longest: int = 0  # 0.1 ms of it at a time, between two looks at the bus
    erases: tuple[int, ...] = ()  # of each 4 KiB block

    def summary(self) -> dict[str, int]:
        """For the report: the counts, the erasures in all and of the block that had most, and the chip's time as estimated."""
        return {
            "programs": self.programs,
            "bytes_programmed": self.bytes_programmed,
            "faults": self.faults,
            "blocks": len(self.erases),
            "erases": sum(self.erases),
            "most_erases_of_a_block": max(self.erases, default=0),
            "busy_ms": self.busy // 10,
            "longest_stall_ms": self.longest // 10,
        }


def read(image: Path) -> Wear:
    """The wear of the chip whose content is `image`; none while nobody has opened it."""
    try:
        data = image.with_name(image.name + ".wear").read_bytes()
    except FileNotFoundError:
        return Wear()
    programs, size, faults, busy, longest, _, *erases = struct.unpack(f"<{len(data) // 4}I", data)
    return Wear(programs, size, faults, busy, longest, tuple(erases)) if len(data) > 4 * _COUNTERS else Wear()
