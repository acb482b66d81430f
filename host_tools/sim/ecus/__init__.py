"""The virtual car answers: ECUs made of TOML files, from the frames of a request to those of the answer, well or badly."""

from collections.abc import Sequence

import can

from host_tools.sim.ecus.ecu import VirtualEcu
from host_tools.sim.ecus.facts import Facts


class Ecus:
    """All ECUs of a car."""

    def __init__(self, facts: Sequence[Facts]) -> None:
        self.ecus = [VirtualEcu(each) for each in facts]

    def answer(self, frame: can.Message) -> list[can.Message]:
        """What they send upon a frame, in order of time; its time stamp and theirs are s since the car started."""
        sent = [message for ecu in self.ecus for message in ecu.take(frame)]
        return sorted(sent, key=lambda message: message.timestamp)

    @property
    def alarms(self) -> int:
        """How often one was asked while that sets off the alarm."""
        return sum(ecu.counts["alarms"] for ecu in self.ecus)
