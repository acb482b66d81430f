"""An ESP32-C3 with a transceiver: its own CAN controller, ignition, 12 V, an LED, perhaps a partition for the outbox."""

from chip import Chip, native

_chip = Chip(native, led=5, ignition=10, battery=3, upper_kohm=100, lower_kohm=15)
make_can, outbox_device, ignition, battery_mv, led = _chip.functions()
