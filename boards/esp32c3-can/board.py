"""An ESP32-C3 with a transceiver: its own CAN controller, ignition, 12 V, an LED, perhaps a partition for the outbox."""

from chip import Chip, native

_chip = Chip(
    native, wake=4, outputs=((7, 0, 1),), led=10, ignition=5, ignition_low=True, battery=3, upper_kohm=100, lower_kohm=15
)
make_can, outbox_device, ignition, battery_mv, led = _chip.functions()
sleep = _chip.sleep
