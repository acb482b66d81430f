"""A number on the command line: in its range, and finite."""

import math
from typing import Any

import click


class Finite(click.FloatRange):
    """As FloatRange, for which nan lies within every range; a default may be infinite, since nobody typed it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number."""
        number: float = super().convert(value, param, ctx)
        if isinstance(value, str) and not math.isfinite(number):
            self.fail(f"{value} is no number that can be used: give a finite one", param, ctx)
        return number
