"""The simulated board: one CAN controller that hears the virtual car."""

import machine


def make_can(bitrate):
    """The bus in listen-only mode: MODE_SILENT neither acknowledges nor sends."""
    return machine.CAN(0, bitrate, mode=machine.CAN.MODE_SILENT)
