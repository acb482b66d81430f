"""`--profile NAME|FILE`: a vehicle that the project knows, or a file of one's own."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from host_tools.errors import InputError
from host_tools.paths import VEHICLES
from host_tools.signals import database, vehicle
from host_tools.signals.convert import profile
from host_tools.signals.pack import unpack
from host_tools.signals.profile import Message, Profile
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
    if suffix == ".toml":
        return vehicle.load(path, report)
    if str(name_or_path) in names():
        return vehicle.load(VEHICLES / f"{name_or_path}.toml", report)
    if packed := _packed(path):
        return unpack(packed)
    kinds = ", ".join((".toml", *database.SUFFIXES))
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


def merge(profiles: Sequence[Profile], report: Report) -> Profile:
    """One profile of several. An id that is taken already is left out and reported; so are names changed that are taken."""
    if len(profiles) == 1:
        return profiles[0]
    messages: dict[int, Message] = {}
    names: set[str] = set()
    for part in profiles:
        for message in part.messages:
            if message.key in messages:
                report(f"message {message.name} of {part.name} left out: its id {message.arbitration_id:X} is taken")
                continue
            messages[message.key] = own = _renamed(message, names, report)
            names.update(signal.name for signal in own.signals)
    name, version, car = (
        _joined(getattr(part, key) for part in profiles) for key in ("name", "version", "vehicle")
    )
    return Profile(name, version, car, tuple(messages.values()))


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


def _renamed(message: Message, taken: set[str], report: Report) -> Message:
    """`message` with its id in the names that are taken."""
    new = {s.name: f"{s.name}_{message.arbitration_id:X}" for s in message.signals if s.name in taken}
    for old, name in new.items():
        report(f"signal {old} of id {message.arbitration_id:X} is now {name}: the name is taken")
    signals = []
    for signal in message.signals:
        selection = signal.selection
        if selection and selection.selector in new:
            selection = replace(selection, selector=new[selection.selector])
        signals.append(replace(signal, name=new.get(signal.name, signal.name), selection=selection))
    counter, checksum = (
        replace(rule, signal=new.get(rule.signal, rule.signal)) if rule else None
        for rule in (message.counter, message.checksum)
    )
    return replace(message, signals=tuple(signals), counter=counter, checksum=checksum)  # type: ignore[arg-type]


def _joined(texts: Iterable[str]) -> str:
    return " + ".join(dict.fromkeys(text for text in texts if text))
