"""Which device is at which serial port: by the id in its configuration, or else its chip's own number."""

from contextlib import ExitStack

from host_tools.config.draft import Config
from host_tools.config.places import in_force
from host_tools.device import Device, all_ports, connect, only
from host_tools.errors import InputError
from host_tools.progress import working
from host_tools.reader.lines import printable

_LATER = "over the air comes with signed updates"


def of(device: Device, config: Config) -> str:
    """The id of a device with this configuration, as the firmware has it."""
    return str(config.get("device") or chip(device))


def chip(device: Device) -> str:
    """Its chip's own number, in hex; empty where it has none."""
    number = device.eval("__import__('machine').unique_id()")
    return number.hex() if isinstance(number, bytes) else ""


def connected(port: str | None, wanted: str | None) -> Device:
    """The device of this id, stopped; without one that at this port, or at the only one with a board. Raises InputError."""
    if wanted is None:
        path = only(port)
        with working(f"stopping the firmware at {path}"):
            return connect(path)
    if port is not None:
        raise InputError("give one of --port and --device")
    return _found(wanted)


def port(named: str | None, wanted: str | None) -> str:
    """The same, but for its port; the device runs on, or again. Raises InputError."""
    if wanted is None:
        return only(named)
    with connected(named, wanted) as device:
        return device.port


def _found(wanted: str) -> Device:
    """Every board at a serial port is asked: it stops for that, and runs again before the next one is asked. Raises InputError
    where none has the id, or more than one."""
    found: list[Device] = []
    others: list[str] = []
    with ExitStack() as opened:
        for path in [known.path for known in all_ports() if known.board]:
            with working(f"asking who is at {path}"), ExitStack() as asked:
                try:
                    device = asked.enter_context(connect(path))
                    name = of(device, in_force(device)[0])
                except InputError as error:
                    others.append(str(error))
                    continue
                if name == wanted:
                    found.append(device)
                    opened.push(asked.pop_all())
                else:
                    others.append(f"{printable(name)} at {path}")
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
