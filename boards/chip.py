"""What the boards with an ESP32, S3 or C3 have in common; what differs, the pins, is in each `board.py`.

On the device it lies beside `board.py`, outside the slots, and is put there before it: an older `board.py` must go on working.
"""

import esp32
import machine


def native(bitrate):
    """The chip's own CAN controller in listen-only mode: MODE_SILENT neither acknowledges nor sends. Its pins are those of the
    MicroPython build."""
    return machine.CAN(0, bitrate, mode=machine.CAN.MODE_SILENT)


def outbox_device():
    """The block device that the outbox has to itself; None where there is no such partition: then files on littlefs must do."""
    found = esp32.Partition.find(esp32.Partition.TYPE_DATA, label="outbox")
    return found[0] if found else None


class Chip:
    """`make_can(bitrate)` is the bus in listen-only mode; `led` a pin's number, or a function of its own; `ignition` and
    `battery` pins' numbers, the latter's behind a divider in kilohms. None: the board has no such thing."""

    def __init__(self, make_can, led=None, ignition=None, battery=None, upper_kohm=0, lower_kohm=1):
        self.make_can = make_can
        self.led = machine.Pin(led, machine.Pin.OUT, value=0).value if isinstance(led, int) else led or self._no_led
        self._ignition = None if ignition is None else machine.Pin(ignition, machine.Pin.IN, machine.Pin.PULL_DOWN)
        self._battery = None if battery is None else machine.ADC(machine.Pin(battery), atten=machine.ADC.ATTN_11DB)
        self._times = upper_kohm + lower_kohm
        self._by = 1000 * lower_kohm

    def functions(self):
        """What the firmware wants of `board`, in this order: make_can, outbox_device, ignition, battery_mv, led."""
        return self.make_can, outbox_device, self.ignition, self.battery_mv, self.led

    def ignition(self):
        """Whether the ignition is on, None where that is not sensed. Off is a warning: power may end shortly. To be polled;
        allocates nothing."""
        return None if self._ignition is None else self._ignition.value() == 1

    def battery_mv(self):
        """The car's 12 V, None where it is not measured."""
        return None if self._battery is None else self._battery.read_uv() * self._times // self._by

    def _no_led(self, on):
        pass
