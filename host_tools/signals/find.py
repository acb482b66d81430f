"""`--profile NAME|FILE`: a vehicle that the project knows, or a file of one's own."""

from pathlib import Path

from host_tools.errors import InputError
from host_tools.paths import VEHICLES
from host_tools.signals import dbc, vehicle
from host_tools.signals.profile import Profile
from host_tools.signals.repair import Report


def find(name_or_path: Path | str, period_ms: int, report: Report) -> Profile:
    """The profile called so in firmware/vehicles, or in a `.toml` or `.dbc` file.

    A bare DBC says nothing of periods: all its signals are sampled every `period_ms`, 0 meaning on change.
    Repairs and what was left out go to `report`. Raises InputError.
    """
    path = Path(name_or_path)
    suffix = path.suffix.lower()
    if suffix == ".dbc":
        return dbc.profile(dbc.load(path, report), path.stem, period_ms, report)
    if suffix == ".toml":
        return vehicle.load(path, report)
    if str(name_or_path) not in names():
        raise InputError(
            f"no profile {name_or_path}: it takes a .dbc or .toml file, or one of: {', '.join(names())}"
        )
    return vehicle.load(VEHICLES / f"{name_or_path}.toml", report)


def names() -> list[str]:
    """The vehicles that the project knows."""
    return sorted(path.stem for path in VEHICLES.glob("*.toml"))
