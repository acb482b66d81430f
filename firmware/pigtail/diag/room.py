"""What who asks the car takes of the heap: loaded at the start and forgotten. tests/host/test_room.py measures these figures
anew, and fails when they hold no longer."""

from micropython import const

_TESTER = const(17024)  # `diag.tester` and all that it imports, with two ECUs
_SCHEDULE = const(5568)  # `diag.poller` and `diag.watch`, which ask by themselves
_REQUEST = const(105)  # each of the schedule's
# What must be left then. Drives of the demo car take 4.75 KB more in their first seconds, for the tasks, a connection and the
# status, and three more for a moment when what an outage left goes out; a command that asks needs 6 KB for a moment, in pieces
# as they are (at 132 KB beside a schedule it failed, at 136 KB not); TLS takes 3 KB while it connects.
_FREE, _BACKLOG, _COMMAND, _TLS = const(5376), const(3 * 1024), const(6 * 1024), const(3 * 1024)
CONSOLE = const(1152)  # `control.console`, while nobody types


def needed(requests) -> int:
    """Bytes for the tester and a schedule of these requests."""
    return _TESTER + (_SCHEDULE + _REQUEST * len(requests) if requests else 0)


def fitting(free: int, requests, has_commands: bool, has_tls: bool):
    """(what of `requests` may be asked on schedule; why it is not all). Without any: None where nothing may be asked at all."""
    if free - _FREE - ((_COMMAND if has_commands else 0) + (_TLS if has_tls else 0) or _BACKLOG) >= needed(requests):
        return requests, None
    if requests:
        return [], "requests: no room for the schedule, only to ask by hand"
    return None, "requests: no room for who asks"


def is_enough_for_console(free: int) -> bool:
    """Whether there may be commands at the serial port beside those over MQTT: both may ask at the same time."""
    return free >= CONSOLE + _FREE + 2 * _COMMAND
