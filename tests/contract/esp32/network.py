"""MicroPython's `network`, as far as boards use it."""

import machine

STA_IF = 0


class WLAN:
    def __init__(self, interface):
        self._interface = interface

    def active(self, on):
        if not on and self._interface == STA_IF:
            machine.log.append("off the air")
