"""The reader: what a device publishes, decoded. A library of its own and the base of `pigtail listen`."""

from host_tools.reader.account import Account, Totals
from host_tools.reader.batch import Batch, Header, Sample, decode, read_header
from host_tools.reader.inbox import BatchEvent, Gap, ProfileSeen, Status, Trouble
from host_tools.reader.sections import Mark
from host_tools.reader.stream import Listener, Subscribed, listen

__all__ = [
    "Account",
    "Batch",
    "BatchEvent",
    "Gap",
    "Header",
    "Listener",
    "Mark",
    "ProfileSeen",
    "Sample",
    "Status",
    "Subscribed",
    "Totals",
    "Trouble",
    "decode",
    "listen",
    "read_header",
]
