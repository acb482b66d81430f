"""What is wrong with this machine, a device, its broker and its car, and what to do about it: `pigtail doctor`.

    for words, step in steps(case): ...   # `words` say what is being looked at; `step()` gives its findings
"""

from collections.abc import Callable, Iterator

from host_tools.doctor import broker, device, machine
from host_tools.doctor.finding import LEVELS, Case, Finding

__all__ = ["LEVELS", "Case", "Finding", "steps"]


def steps(case: Case) -> Iterator[tuple[str, Callable[[], Iterator[Finding]]]]:
    """What is to be looked at, in this order: each step knows what those before it have found."""
    yield "looking at this machine", lambda: machine.look(case)
    yield "looking at the device, whose firmware stops meanwhile", lambda: device.look(case)
    yield "looking at the broker", lambda: broker.look(case)
    if case.address is not None:
        yield "waiting for the device's status", lambda: broker.status(case)
