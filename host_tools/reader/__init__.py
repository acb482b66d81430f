"""The reader: what a device publishes, decoded. A library of its own and the base of `pigtail listen`."""

from host_tools.reader.account import Account, Totals
from host_tools.reader.batch import Batch, Occurrence, Sample, decode
from host_tools.reader.clocks import Clock, Clocks
from host_tools.reader.connection import Trust
from host_tools.reader.events import Mark
from host_tools.reader.header import Header, read_header
from host_tools.reader.inbox import BatchEvent, FramesLost, Gap, Happened, ProfileSeen, Reply, Status, Trouble
from host_tools.reader.readings import Reading, readings, samples
from host_tools.reader.stream import Listener, Subscribed, listen

__all__ = [
    "Account",
    "Batch",
    "BatchEvent",
    "Clock",
    "Clocks",
    "FramesLost",
    "Gap",
    "Happened",
    "Header",
    "Listener",
    "Mark",
    "Occurrence",
    "ProfileSeen",
    "Reading",
    "Reply",
    "Sample",
    "Status",
    "Subscribed",
    "Totals",
    "Trouble",
    "Trust",
    "decode",
    "listen",
    "read_header",
    "readings",
    "samples",
]
