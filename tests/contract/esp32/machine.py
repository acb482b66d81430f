"""An ESP32's `machine` as the boards use it. `pins`: those made, by number; the test sets what they show."""

import esp32

pins = {}
latched = {}  # number to level, of those that are held: it shows until the hold ends
adcs = []
log = []  # outputs that were set, controllers that left the bus, and a sleep with its time, in order
made = []  # controllers and SPI buses, with how they were asked for
spi = None  # what the next SPI bus is: a model of the chip on it


class Pin:
    IN, OUT = 1, 3
    PULL_DOWN, PULL_UP = 1, 2
    IRQ_FALLING = 2

    def __init__(self, id, mode=-1, pull=-1, value=None, hold=None):
        self.id, self.mode, self.pull, self.level = id, mode, pull, value or 0
        self.of_chip = None  # the model's line that this pin is
        if mode == Pin.OUT:
            if esp32.chip == "esp32" and id >= 34:
                raise ValueError("pin can only be input")
            log.append((id, self.level))
        if hold is not None:
            latched.pop(id, None)
            if hold:
                latched[id] = self.level
        pins[id] = self

    def value(self, level=None):
        if self.of_chip:
            return self.of_chip.value(*(() if level is None else (level,)))
        if level is not None:
            self.level = int(level)
        return self.level

    def irq(self, handler=None, trigger=0):
        self.of_chip.irq(handler, trigger)


class ADC:
    ATTN_11DB = 3
    uv = 0

    def __init__(self, pin, atten=None):
        self.pin, self.atten = pin, atten
        adcs.append(self)

    def read_uv(self):
        return ADC.uv


class CAN:
    MODE_NORMAL, MODE_SILENT = 0, 4

    def __init__(self, id, bitrate, mode=0):
        made.append((id, bitrate, mode))

    def deinit(self):
        log.append("off the bus")


class Asleep(Exception):
    """There is no way back from a deep sleep."""


def deepsleep(*ms):
    if ms == (0,):
        raise ValueError("a timer of 0 wakes it at once")
    log.append(("asleep", ms[0] if ms else None))
    raise Asleep


def SPI(id, baudrate=0, polarity=0, phase=0, sck=None, mosi=None, miso=None):
    made.append((id, baudrate, polarity, phase, sck.id, mosi.id, miso.id))
    return spi
