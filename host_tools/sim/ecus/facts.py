"""What there is to know of one virtual ECU before anything is asked: its addresses, its data, its manners."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

from host_tools.sim.ecus.trouble import Code
from host_tools.sim.ecus.values import Value

Spans = tuple[tuple[float, float], ...]  # s since the car started


@dataclass(frozen=True)
class Behaviour:
    """What is done with requests that begin like `request`, beside answering them, or instead. Times in ms but for `since` and
    `until`; consecutive frames are counted from 1."""

    request: bytes = b""
    after: int = 0  # so many of them are answered as usual before
    times: float = inf  # and so many of the next are done this to
    since: float = 0.0  # s
    until: float = inf
    silent: bool = False
    answer: bytes | None = None  # in place of the true one
    nrc: int | None = None  # as a negative answer
    pending: int = 0  # so many response pending (0x78) before it
    pending_ms: float = 100.0  # between them
    delay_ms: float | None = None
    copies: int = 1
    copies_ms: float = 50.0  # between them
    answer_id: int | None = None
    wrong_sequence: int | None = None  # that consecutive frame has the number after its own
    lost_frame: int | None = None
    split_ms: float = 0.0  # a pause in the middle of the consecutive frames
    stop_after: int | None = None  # nothing comes after so many consecutive frames
    interleaved: bytes | None = None  # another message, in a single frame between the consecutive ones
    first_frame_length: int | None = None  # told in the first frame in place of the true one
    flow_controls: int = 0  # so many before the answer, 1 ms apart
    frames: tuple[bytes, ...] = ()  # in place of an answer, 1 ms apart


@dataclass(frozen=True)
class Facts:
    """One ECU. The addressing is normal, or extended or mixed with a `prefix` before requests and `rx_prefix` before answers."""

    name: str
    tx_id: int  # at which it is asked
    rx_id: int  # at which it answers
    is_extended_id: bool = False
    prefix: int | None = None
    rx_prefix: int | None = None
    functional: tuple[int, ...] = ()  # ids at which it and others are asked
    pad: int | None = 0  # what fills its frames up to eight bytes; None: they are as short as they can be
    delay_ms: float = 5.0  # until it answers
    block_size: int = 0  # asked of testers, when requests are long
    st_min: int = 0
    services: frozenset[int] = frozenset()
    sessions: frozenset[int] = frozenset({1})
    dids: Mapping[int, Value] = field(default_factory=dict)
    pids: Mapping[int, Value] = field(default_factory=dict)
    freeze: Mapping[int, Value] = field(default_factory=dict)
    infos: Mapping[int, Value] = field(default_factory=dict)
    locals: Mapping[int, Value] = field(default_factory=dict)
    codes: Sequence[Code] = ()
    behaviours: Sequence[Behaviour] = ()
    alarm: Spans = ()  # a request then sets off the alarm
    asleep: Spans = ()  # nothing is answered then
