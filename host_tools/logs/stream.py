"""One stream of data frames from a log file: opens it, filters it, and turns whatever goes wrong into one clear line."""

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from string import ascii_letters

import can

from host_tools.errors import InputError
from host_tools.logs.formats import FORMATS, Source

_MAX_DATA = 64


def read(path: Path | str, channel: str | None = None) -> Iterator[can.Message]:
    """The data frames of a log in the order of the file, timestamps in seconds as the format has them.

    `channel` takes one bus of several: its name, or its number ("0" is also "can0"). The format goes by the file's
    extension, `.gz` after it is unpacked. CAN FD frames come as they are (`is_fd`); error and remote frames do not.
    Raises InputError at once where there is no such file, format, channel or frame at all, and later where the file
    turns out to be damaged. Frames are read as they are asked for.
    """
    frames = _frames(Path(path), channel)
    return chain([next(frames)], frames)


def _frames(path: Path, channel: str | None) -> Iterator[can.Message]:
    seen: set[str] = set()
    found = False
    for frame in _data_frames(path):
        if channel is None or _is(frame, channel, seen):
            found = True
            yield frame
    if not found and seen:
        raise InputError(f"{path}: no frame on channel {channel}; it has channel {', '.join(sorted(seen))}")
    if not found:
        raise InputError(f"{path}: no CAN data frame in it; is its extension right?")


def _is(frame: can.Message, channel: str, seen: set[str]) -> bool:
    name = "(unnamed)" if frame.channel is None else str(frame.channel)
    seen.add(name)
    return channel == name or (channel.isdigit() and channel == name.lstrip(ascii_letters))


def _data_frames(path: Path) -> Iterator[can.Message]:
    with ExitStack() as stack:
        source = Source(path, stack)
        try:
            for frame in _reader(source):
                if not (frame.is_error_frame or frame.is_remote_frame):
                    _check(frame)
                    yield frame
        except InputError:
            raise
        except OSError as error:
            # gzip's complaints are OSErrors without an errno
            raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
        except Exception as error:
            # the readers are others' code and meet foreign bytes: whatever they raise says that the file is damaged
            raise InputError(
                f"{path}{source.place()}: damaged, or not a {source.suffix} file ({_brief(error)})"
            ) from error


def _reader(source: Source) -> Iterator[can.Message]:
    if source.suffix not in FORMATS:
        raise InputError(
            f"{source.path}: unknown log format; known are {', '.join(FORMATS)}, each also with .gz"
        )
    return FORMATS[source.suffix](source)


def _check(frame: can.Message) -> None:
    if not 0 <= frame.arbitration_id < (1 << 29 if frame.is_extended_id else 1 << 11):
        raise ValueError(f"no arbitration id: {frame.arbitration_id:X}")
    if len(frame.data) != frame.dlc or frame.dlc > _MAX_DATA:
        raise ValueError(f"{len(frame.data)} bytes of data where {frame.dlc} are announced")


def _brief(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:100] if lines else type(error).__name__
