"""An ESP32's `esp32` as the boards use it, of the chip that `become` names: `table` holds the partitions by label, `wakes` what
may wake it. What a chip refuses, or takes and does not do, raises ValueError; what its build does not have is not there."""

WAKEUP_ALL_LOW, WAKEUP_ANY_HIGH = False, True
RTC_PINS = {
    "esp32": (0, 2, 4, 12, 13, 14, 15, 25, 26, 27, 32, 33, 34, 35, 36, 37, 38, 39),
    "esp32s3": tuple(range(22)),
    "esp32c3": tuple(range(6)),
}
table = {}
wakes = {}  # name of the source: (numbers of its pins, level)
held = []  # whether pins that are not RTC's keep their levels, as it was told
chip = ""


def become(name, has_switch=True):
    """Only some builds can switch the holding of pins that are not RTC's; the others always hold them."""
    global chip
    chip = name
    for name in ("wake_on_ext0", "wake_on_ext1") if chip == "esp32c3" else ():
        del globals()[name]
    if not has_switch:
        del globals()["gpio_deep_sleep_hold"]


def _wake(source, pins, level):
    if level not in (WAKEUP_ALL_LOW, WAKEUP_ANY_HIGH):
        raise ValueError("level")
    if source in wakes:
        raise ValueError("the second takes the place of the first")
    if [pin for pin in pins if pin.id not in RTC_PINS[chip] or pin.mode != pin.IN]:
        raise ValueError("invalid pin")
    if pins:
        wakes[source] = [pin.id for pin in pins], level


def wake_on_ext0(pin, level):
    _wake("ext0", [pin], level)


def wake_on_ext1(pins, level):
    if len(pins) > 1 and level == WAKEUP_ALL_LOW and chip == "esp32":
        raise ValueError("all of them must be low")
    _wake("ext1", pins, level)


def wake_on_gpio(pins, level):
    if chip != "esp32c3":
        raise ValueError("DEEPSLEEP with gpio pins not supported on this chip")
    _wake("gpio", pins, level)


def gpio_deep_sleep_hold(enable):
    held.append(enable)


class Partition:
    TYPE_APP, TYPE_DATA = 0, 1

    @staticmethod
    def find(type=0, subtype=0xFF, label=None, block_size=4096):
        return [table[label]] if type == Partition.TYPE_DATA and label in table else []
