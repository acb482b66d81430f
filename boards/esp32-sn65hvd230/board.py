"""An ESP32 with an SN65HVD230: its own CAN controller, ignition, 12 V, an LED, perhaps a partition for the outbox."""

from chip import Chip, native

_chip = Chip(native, wake=4, outputs=((32, 0, 1),), led=2, ignition=33, battery=34, upper_kohm=100, lower_kohm=15)
make_can, outbox_device, ignition, battery_mv, led = _chip.functions()
sleep = _chip.sleep
