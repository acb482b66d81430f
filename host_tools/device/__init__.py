"""Bytes to a device on a serial port, through mpremote's transport.

    from host_tools.device import connect

    with connect("/dev/ttyUSB0") as device:      # the firmware stops; its watchdog is fed with every call
        device.eval("1 + 1")                     # any Python value with a literal
        device.exec("print('words')")            # what it printed
        device.put("/config.json", content)      # whole or not at all, read back and compared
        device.get("/config.json")
        device.hashes(["/boot.py", "/a"])        # {path: SHA-256}, of folders all that is in them
        for line in device.start(): ...          # the firmware boots; its console, line by line

What can go wrong with a port or a device is an InputError of one line.
"""

from host_tools.device.ports import Port, all_ports, only
from host_tools.device.serial import Device, DeviceError, connect

__all__ = ["Device", "DeviceError", "Port", "all_ports", "connect", "only"]
