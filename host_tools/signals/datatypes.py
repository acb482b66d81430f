"""VSS's datatypes: what a signal must be to be of one."""

from collections.abc import Callable

from host_tools.signals.signal import Signal
from host_tools.signals.typed import FaultError

_MUST_BE: dict[str, Callable[[Signal], bool]] = {
    "boolean": lambda signal: signal.length == 1,
    "string": lambda signal: bool(signal.labels),
    **dict.fromkeys(("float", "double"), lambda signal: True),
    **dict.fromkeys(
        ("uint8", "uint16", "uint32", "uint64"), lambda signal: _is_whole(signal) and not signal.is_signed
    ),
    **dict.fromkeys(("int8", "int16", "int32", "int64"), lambda signal: _is_whole(signal)),
}


def check(signal: Signal, path: str, datatype: str, source: str) -> None:
    """Raises FaultError where the signal, as `source` has it, is not of that type, or there is no such type."""
    if datatype not in _MUST_BE:
        raise FaultError(f'"{datatype}" is no datatype; known are {", ".join(_MUST_BE)}')
    if not _MUST_BE[datatype](signal):
        raise FaultError(f"{path} is no {datatype} by {source}")


def _is_whole(signal: Signal) -> bool:
    return not signal.is_float and signal.scale.is_integer() and signal.offset.is_integer()
