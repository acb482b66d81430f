"""`--profile NAME|FILE`: a vehicle that the project knows, or a file of one's own."""

from pathlib import Path

from host_tools.errors import InputError
from host_tools.paths import VEHICLES
from host_tools.signals import database, obdb, vehicle
from host_tools.signals.convert import profile
from host_tools.signals.pack import unpack
from host_tools.signals.profile import Profile
from host_tools.signals.repair import Report

_PACKED = b"PTPF"


def find(name_or_path: Path | str, period_ms: int, report: Report) -> Profile:
    """The profile called so in firmware/vehicles; or in a file: a vehicle file, a signal database, a packed profile.

    A bare database says nothing of periods: all its signals are sampled every `period_ms`, 0 meaning on change.
    Repairs and what was left out go to `report`. Raises InputError.
    """
    path = Path(name_or_path)
    suffix = path.suffix.lower()
    if suffix in database.SUFFIXES:
        return profile(database.load(path, report), path.stem, period_ms, report, database.places(path))
    if suffix == ".json":
        return obdb.load(path, report)
    if suffix == ".toml":
        return vehicle.load(path, report)
    if str(name_or_path) in names():
        return vehicle.load(VEHICLES / f"{name_or_path}.toml", report)
    if packed := _packed(path):
        return unpack(packed)
    kinds = ", ".join((".toml", ".json", *database.SUFFIXES))
    raise InputError(
        f"no profile {name_or_path}: it takes a file ({kinds} or packed), or one of: {', '.join(names())}"
    )


def named(name_or_path: Path | str) -> frozenset[int]:
    """The keys (`Message.key`) of all messages in a signal database, also of those without signals; else none."""
    path = Path(name_or_path)
    if path.suffix.lower() not in database.SUFFIXES:
        return frozenset()
    messages = database.load(path, lambda _: None).messages
    return frozenset(message.frame_id | message.is_extended_frame << 29 for message in messages)


def names() -> list[str]:
    """The vehicles that the project knows."""
    return sorted(path.stem for path in VEHICLES.glob("*.toml"))


def _packed(path: Path) -> bytes:
    """The bytes of a packed profile, none where it is no such file."""
    try:
        with path.open("rb") as file:
            return file.read() if file.read(len(_PACKED)) == _PACKED and not file.seek(0) else b""
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
