"""Services that a request may be of: what the device's gate lets pass, and of that what is answered with values."""

from functools import cache

from host_tools.firmware_modules import Modules

# Bytes of a request behind the service that its answer repeats: what is read. The others read trouble codes, or nothing.
REPEATED = {0x01: 1, 0x02: 2, 0x05: 2, 0x06: 1, 0x09: 1, 0x1A: 1, 0x21: 1, 0x22: 2}
_BY_IDENTIFIER = 0x22  # of ISO 14229-1: takes several identifiers in one request, and ECUs leave out what they do not have
_OPTIONAL = {0x21: 1}  # bytes that may follow and that the answer does not repeat


@cache
def reads() -> dict[int, tuple[int, ...]]:
    """The gate's own table: service to the lengths that a request may have."""
    return {service: tuple(lengths) for service, lengths in Modules().module("pigtail.can.tx_guard").READS.items()}


def fault(request: bytes) -> str:
    """Why a request of values cannot be asked; "" where it can."""
    service = request[0] if request else 0
    if service not in reads():
        return "its service is none that the device's gate lets pass"
    if service not in REPEATED:
        return "its service reads no values"
    one = 1 + REPEATED[service]
    if service == _BY_IDENTIFIER and len(request) in reads()[service]:
        several = identifiers(request)
        return "it has an identifier twice" if len(set(several)) < len(several) else ""
    if not one <= len(request) <= one + _OPTIONAL.get(service, 0) or len(request) not in reads()[service]:
        return f"service {service:02X} takes one identifier of {REPEATED[service]} bytes at a time"
    return ""


def identifiers(request: bytes) -> list[bytes]:
    """What is read by identifier of ISO 14229-1, where that is several at once; else nothing."""
    several = [request[at : at + 2] for at in range(1, len(request), 2)]
    return several if request[0] == _BY_IDENTIFIER and len(several) > 1 else []


def values_at(request: bytes) -> int:
    """Where the values begin in the positive answer to a request of one thing, counted from its first byte."""
    return 1 + REPEATED[request[0]]
