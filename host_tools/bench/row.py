"""One figure, with its goal where it has one."""

import operator
from dataclasses import asdict, dataclass

_COMPARE = {"=": operator.eq, "≤": operator.le, "≥": operator.ge}


@dataclass(frozen=True)
class Row:
    """`goal` is a comparison such as "≤ 131072"; None for a figure that is only told. `command` measures it again."""

    name: str
    value: float
    unit: str
    goal: str | None
    command: str

    @property
    def holds(self) -> bool | None:
        """Whether the goal is reached; None without a goal."""
        if self.goal is None:
            return None
        sign, bound = self.goal.split()
        return bool(_COMPARE[sign](self.value, float(bound)))

    def as_dict(self) -> dict[str, object]:
        """For bench.json."""
        return asdict(self) | {"holds": self.holds}
