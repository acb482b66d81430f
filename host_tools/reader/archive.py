"""Stored batches: files to batches with their profiles, devices and clocks, and these to tables of samples, each sample once.

Two passes: all files are read before the first sample is given out, so that a profile or a clock that comes late is known.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from host_tools.errors import InputError
from host_tools.reader import flash, recording
from host_tools.reader.account import Account, Totals
from host_tools.reader.bulk import Block, decode_all
from host_tools.reader.clocks import Clocks
from host_tools.reader.header import FORMAT_VERSION, Header, read_header
from host_tools.reader.inbox import ROOT, Inbox, ProfileSeen, Trouble
from host_tools.signals.pack import identity, pack
from host_tools.signals.profile import Profile

_SAMPLES_AT_ONCE = 1 << 20
_BATCHES_AT_ONCE = 1 << 13


class Stored(NamedTuple):
    """A batch, its header, and where it stands: the file and the byte in it."""

    device: str
    payload: bytes
    header: Header
    place: str


class Decoded(NamedTuple):
    """Some batches in their order with their profiles, and what they hold. `fresh` are the parts (first, stop) of the
    sequence of each that had not come before."""

    stored: Sequence[Stored]
    profiles: Sequence[Profile]
    block: Block
    fresh: Sequence[list[tuple[int, int]]]


class Archive:
    """The contents of files. `troubles` are what could not be read, `notes` what is worth telling; a line each."""

    def __init__(self, profile: Profile | None = None) -> None:
        """`profile`: of batches whose own is not in the files."""
        self.clocks = Clocks()
        self.troubles: list[str] = []
        self.notes: list[str] = []
        self._inbox = Inbox()
        self._stored: list[Stored] = []
        self._profiles: dict[int, Profile] = {}
        if profile is not None:
            self._profiles[identity(pack(profile))] = profile

    @property
    def totals(self) -> Totals:
        """The books over all devices, of what was decoded."""
        return sum((account.totals() for account in self._inbox.accounts.values()), Totals())

    def missing(self) -> Iterator[str]:
        """A line for each part of a stream that is neither in the files nor ledgered there."""
        yield from self._inbox.missing()

    def load(self, path: Path) -> None:
        """Reads a file of any kind that is known. Raises InputError where it cannot be read, or is of none."""
        try:
            data = path.read_bytes()
        except OSError as error:
            todo = "name the files in it" if path.is_dir() else "name a recording (pigtail listen --raw)"
            raise InputError(f"{path}: cannot be read: {error.strerror}; {todo}") from error
        if data.startswith(recording.MARK):
            self._recording(data, path)
        elif data and flash.is_dump(data):
            for kept in flash.batches(data):
                self._batch(path.stem, kept.payload, f"{path}, byte {kept.offset}")
        elif data[:1] == bytes([FORMAT_VERSION]):
            self._batch(path.stem, data, str(path))
        else:
            raise InputError(f"{path}: no recording (pigtail listen --raw), no dump of an outbox, and no batch")

    def _recording(self, data: bytes, path: Path) -> None:
        for found in recording.messages(data):
            place = f"{path}, byte {found.offset}"
            if isinstance(found, recording.Message):
                self._message(found.topic, found.payload, place)
            elif found.is_end:
                self.notes.append(f"{place}: the last record is cut; its {found.size} bytes are left out")
            else:
                self.troubles.append(f"{place}: {found.size} bytes are damaged")

    def _message(self, topic: str, payload: bytes, place: str) -> None:
        below = topic.removeprefix(f"{ROOT}/").split("/")
        if topic.startswith(ROOT) and below[1:] == ["telemetry"]:
            self._batch(below[0], payload, place)
            return
        for event in self._inbox.receive(topic, payload):
            if isinstance(event, ProfileSeen):
                self._profiles[event.profile_hash] = event.profile
            elif isinstance(event, Trouble):
                self.troubles.append(f"{place}: {event.reason}")

    def _batch(self, device: str, payload: bytes, place: str) -> None:
        try:
            self._stored.append(Stored(device, payload, read_header(payload), place))
        except InputError as error:
            self.troubles.append(f"{place}: {error}")

    def decoded(self) -> Iterator[Decoded]:
        """All batches, some at a time, decoded and booked. Those that cannot be are among the `troubles`."""
        ready = list(self._ready())
        for one, profile in ready:
            self.clocks.learn(one.device, one.header, profile.grid_ms)
        while ready:
            count = _share(ready)
            stored, profiles = [one for one, _ in ready[:count]], [profile for _, profile in ready[:count]]
            del ready[:count]
            block = decode_all([(one.payload, profile) for one, profile in zip(stored, profiles, strict=True)])
            wrong = dict(block.errors)
            self.troubles += [f"{stored[number].place}: {error}" for number, error in block.errors]
            fresh = [[] if number in wrong else self._booked(one) for number, one in enumerate(stored)]
            yield Decoded(stored, profiles, block, fresh)

    def _ready(self) -> Iterator[tuple[Stored, Profile]]:
        """The batches whose profile is known."""
        for stored in self._stored:
            profile = self._profiles.get(stored.header.profile_hash)
            if profile:
                yield stored, profile
            else:
                name = f"{stored.header.profile_hash:08x}"
                self.troubles.append(f"{stored.place}: its profile {name} is not in the files; name it with --profile")

    def _booked(self, stored: Stored) -> list[tuple[int, int]]:
        """What of a batch is new."""
        header, account = stored.header, self._inbox.accounts.setdefault(stored.device, Account())
        at = header.boot, header.stream, header.first, header.count
        fresh = account.fresh(*at)
        account.add(*at)
        return fresh


def _share(ready: Sequence[tuple[Stored, Profile]]) -> int:
    """How many batches are decoded at once."""
    samples = 0
    for number, (stored, _) in enumerate(ready[:_BATCHES_AT_ONCE]):
        samples += stored.header.count
        if samples >= _SAMPLES_AT_ONCE:
            return number + 1
    return min(len(ready), _BATCHES_AT_ONCE)
