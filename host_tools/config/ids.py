"""Which device is at which serial port: by the id in its configuration, or else its chip's own number."""

from contextlib import ExitStack

from host_tools.config.draft import Config
from host_tools.config.places import in_force
from host_tools.device import Device, all_ports, connect
from host_tools.errors import InputError
from host_tools.reader.lines import printable

_LATER = "over the air comes with signed updates"


def of(device: Device, config: Config) -> str:
    """The id of a device with this configuration, as the firmware has it."""
    chip = device.eval("__import__('machine').unique_id()")
    return str(config.get("device") or (chip.hex() if isinstance(chip, bytes) else ""))


def connected(wanted: str) -> Device:
    """The device of this id, stopped. Every board at a serial port is asked: it stops for that, and runs again before the next
    one is asked. Raises InputError where none has the id, or more than one."""
    found: list[Device] = []
    others: list[str] = []
    with ExitStack() as opened:
        for port in [port.path for port in all_ports() if port.board]:
            with ExitStack() as asked:
                try:
                    device = asked.enter_context(connect(port))
                    name = of(device, in_force(device)[0])
                except InputError as error:
                    others.append(str(error))
                    continue
                if name == wanted:
                    found.append(device)
                    opened.push(asked.pop_all())
                else:
                    others.append(f"{printable(name)} at {port}")
            for device in found:
                device.exec("")  # its watchdog, too, waits for it
        if len(found) > 1:
            ports = " and ".join(device.port for device in found)
            raise InputError(f"--device {wanted}: at {ports} there is one each: say which with --port")
        if not found:
            there = f"there are: {'; '.join(others)}" if others else "there is no board at any"
            raise InputError(f"--device {wanted}: at no serial port; {there}; {_LATER}")
        opened.pop_all()
    return found[0]
