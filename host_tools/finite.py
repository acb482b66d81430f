"""Numbers that people write: finite, on the command line and in files."""

import math
import sys
from typing import Any, TypeGuard

import click


def is_number(said: Any) -> TypeGuard[int | float]:
    """Whether a file says a number here, one that a float can hold: TOML and JSON have integers of any length."""
    return isinstance(said, int | float) and not isinstance(said, bool) and abs(said) <= sys.float_info.max


class Finite(click.FloatRange):
    """As FloatRange, for which nan lies within every range; a default may be infinite, since nobody typed it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number."""
        number: float = super().convert(value, param, ctx)
        if isinstance(value, str) and not math.isfinite(number):
            self.fail(f"{value} is no number that can be used: give a finite one", param, ctx)
        return number
