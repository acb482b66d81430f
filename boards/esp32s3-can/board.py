"""An ESP32-S3 with a transceiver: its own CAN controller, ignition, 12 V, an LED, perhaps a partition for the outbox."""

from chip import Chip, native

_chip = Chip(native, wake=5, outputs=((8, 0, 1),), led=2, ignition=6, battery=7, upper_kohm=100, lower_kohm=15)
make_can, outbox_device, ignition, battery_mv, led = _chip.functions()
sleep = _chip.sleep
