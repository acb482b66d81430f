"""`make bench`: prints the table and writes build/bench.json; ends with status 1 when a goal is missed."""

import json
import sys

from rich.console import Console
from rich.table import Table

from host_tools.bench import aside, decode, delivery, deploy, pipeline, speed, store, wire
from host_tools.bench.row import Row
from host_tools.paths import BUILD


def table(rows: list[Row]) -> Table:
    """All rows, as they are printed."""
    result = Table("figure", "value", "unit", "goal", "holds", "measured by")
    for row in rows:
        holds = {True: "yes", False: "[red]NO[/red]", None: ""}[row.holds]
        result.add_row(row.name, f"{row.value:,}", row.unit, row.goal or "", holds, row.command)
    return result


def main() -> None:
    """Measures everything."""
    rows = [
        *decode.rows(), *aside.rows(), *speed.rows(), *wire.rows(), *store.rows(), *delivery.rows(), *deploy.rows(),
        *pipeline.rows(),
    ]  # fmt: skip
    Console(width=None if sys.stdout.isatty() else 160).print(table(rows))
    BUILD.mkdir(exist_ok=True)
    (BUILD / "bench.json").write_text(json.dumps([row.as_dict() for row in rows], indent=2) + "\n", encoding="utf-8")
    sys.exit(any(row.holds is False for row in rows))


main()
