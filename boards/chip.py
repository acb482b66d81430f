"""What the boards with an ESP32, S3 or C3 have in common; what differs, the pins, is in each `board.py`.

On the device it lies beside `board.py`, outside the slots, and is put there before it: an older `board.py` must go on working.
"""

import esp32
import machine
import network


def native(bitrate):
    """The chip's own CAN controller in listen-only mode: MODE_SILENT neither acknowledges nor sends. Its pins are those of the
    MicroPython build."""
    return machine.CAN(0, bitrate, mode=machine.CAN.MODE_SILENT)


def outbox_device():
    """The block device that the outbox has to itself; None where there is no such partition: then files on littlefs must do."""
    found = esp32.Partition.find(esp32.Partition.TYPE_DATA, label="outbox")
    return found[0] if found else None


def _hold(on):
    """Whether all pins keep in deep sleep what they are held at, not only the RTC's. A build that has no such switch needs none
    (github.com/micropython/micropython/issues/19208)."""
    if hasattr(esp32, "gpio_deep_sleep_hold"):
        esp32.gpio_deep_sleep_hold(on)


def _no_led(on):
    pass


class Chip:
    """`controller(bitrate)` is the bus in listen-only mode; `wake` the pin that goes low with its first frame; `outputs` are
    pins that are high or low for good: number, level awake, level asleep. `led` is a pin's number, or a function of its own;
    `ignition`, low or high while it is on, and `battery`, behind a divider in kilohms, are pins' numbers. None: there is none."""

    def __init__(
        self, controller, wake=None, outputs=(), led=None, ignition=None, ignition_low=False,
        battery=None, upper_kohm=0, lower_kohm=1,
    ):  # fmt: skip
        pin = machine.Pin
        self._controller, self._can = controller, None
        self._outputs = outputs
        for number, level, _ in outputs:
            pin(number, pin.OUT, value=level, hold=False)
        _hold(False)
        self._wake = None if wake is None else pin(wake, pin.IN)  # taken back from the RTC, which watched it during a sleep
        self.led = pin(led, pin.OUT, value=0).value if isinstance(led, int) else led or _no_led
        self._on = 0 if ignition_low else 1
        self._ignition = None if ignition is None else pin(ignition, pin.IN, pin.PULL_UP if ignition_low else pin.PULL_DOWN)
        self._battery = None if battery is None else machine.ADC(pin(battery), atten=machine.ADC.ATTN_11DB)
        self._times, self._by = upper_kohm + lower_kohm, 1000 * lower_kohm

    def functions(self):
        """What the firmware wants of any `board`, in this order: make_can, outbox_device, ignition, battery_mv, led."""
        return self.make_can, outbox_device, self.ignition, self.battery_mv, self.led

    def make_can(self, bitrate):
        """The bus in listen-only mode. OSError where no controller answers."""
        self._can = self._controller(bitrate)
        return self._can

    def ignition(self):
        """Whether the ignition is on, None where that is not sensed. Off is a warning: power may end shortly. To be polled;
        allocates nothing."""
        return None if self._ignition is None else self._ignition.value() == self._on

    def battery_mv(self):
        """The car's 12 V, None where it is not measured."""
        return None if self._battery is None else self._battery.read_uv() * self._times // self._by

    def sleep(self, ms, on_bus, on_ignition):
        """Deep sleep: ends this boot. The next begins after `ms` (0: never), or when bus or ignition wakes it, if they may."""
        network.WLAN(network.STA_IF).active(False)
        self.led(False)
        self._rest(on_bus)
        for number, _, level in self._outputs:
            machine.Pin(number, machine.Pin.OUT, value=level, hold=True)
        _hold(True)
        bus = [self._wake] if on_bus else []
        ignition = self._ignition if on_ignition else None
        if hasattr(esp32, "wake_on_ext1"):
            esp32.wake_on_ext1(bus, esp32.WAKEUP_ALL_LOW)
            if ignition is not None:  # keeps the RTC's pins in power, and with it what pulls this one
                esp32.wake_on_ext0(ignition, esp32.WAKEUP_ANY_HIGH if self._on else esp32.WAKEUP_ALL_LOW)
        else:  # C3: any of these pins, by one level
            esp32.wake_on_gpio(bus if ignition is None else bus + [ignition], esp32.WAKEUP_ALL_LOW)
        machine.deepsleep(*([ms] if ms else []))

    def _rest(self, on_bus):
        """The controller leaves the bus alone: what it sends while the chip goes would stay there."""
        try:
            if hasattr(self._can, "sleep"):
                self._can.sleep(on_bus)
            elif self._can is not None:
                self._can.deinit()
        except OSError:
            pass  # it does not answer: the timer and the ignition are left
