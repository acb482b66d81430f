"""The simulated board: a CAN controller that hears the virtual car, a sensed ignition, perhaps a partition for the outbox."""

import machine
from _flash import Flash
from _map import mapped


def make_can(bitrate):
    """The bus in listen-only mode: MODE_SILENT neither acknowledges nor sends."""
    return machine.CAN(0, bitrate, mode=machine.CAN.MODE_SILENT)


def outbox_device():
    """The block device that the outbox has to itself; None where the board has none: then files on littlefs must do."""
    try:
        return Flash("/run/outbox.img")
    except OSError:
        return None


def _sensed():
    try:
        return mapped("/run/ignition")
    except OSError:
        return b"1"


_ignition = _sensed()


def ignition():
    """Whether the ignition is on. Off is a warning: power may end shortly. To be polled; allocates nothing."""
    return _ignition[0] == 49
