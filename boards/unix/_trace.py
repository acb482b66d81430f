"""The witness: how many samples of each stream the firmware has taken, kept outside its flash, as exact as the instant of a kill.

/run/taken.bin, of this life: u32 boot (0 before the outbox is made), ms of uptime at the sampler's last turn, rises written, 0;
how many samples each of the 64 streams has taken; the last 4096 rises as (stream, samples taken, ms of uptime). A rise is noted
after the sampler's turn, and before the outbox gets to see what was taken: what may be delivered is always in the trace.

/run/acked.bin, of all lives: u32 boot, stream, first, count of each batch whose PUBACK the firmware took, noted before the outbox
lets go of it.
"""

import gc
import micropython
import struct
from micropython import const

from _map import mapped

_STREAMS = const(64)
_RISES = const(4096)
_SIZE = const(4 * (4 + _STREAMS + 3 * _RISES))


@micropython.viper
def _note(trace: ptr32, stream: int, taken: int):
    if trace[4 + stream] >= taken:
        return
    rise = 4 + 64 + 3 * (trace[2] & 4095)
    trace[rise] = stream
    trace[rise + 1] = taken
    trace[rise + 2] = trace[1]
    trace[4 + stream] = taken
    trace[2] += 1


@micropython.viper
def _turn(trace: ptr32, now_ms: int):
    trace[1] = now_ms


@micropython.viper
def _booted(trace: ptr32, boot: int):
    trace[0] = boot


def install():
    gc.threshold(4096)  # as main.py does before it loads the same
    try:
        from pigtail.outbox.batch import Batch
        from pigtail.outbox.outbox import Outbox
        from pigtail.policy.sampling import Sampler
    except ImportError:
        return  # another firmware: what it delivers will have been taken by nobody
    watch(Batch, Sampler, Outbox)


def watch(Batch, Sampler, Outbox):
    trace = mapped("/run/taken.bin", _SIZE)
    batches = []
    acked, entry = open("/run/acked.bin", "ab"), bytearray(16)
    make, begin, run = Batch.__init__, Outbox.__init__, Sampler.run
    acknowledge = Outbox.acknowledge

    def noted_make(self, *args):
        make(self, *args)
        batches.append(self)

    def noted_begin(self, boot, *args, **named):
        begin(self, boot, *args, **named)
        _booted(trace, self.boot)

    def noted_run(self, now_ms):
        _turn(trace, now_ms)
        run(self, now_ms)
        for batch in batches:
            _note(trace, batch.stream, batch.sequence + batch.count)

    def noted(taking):
        def take(self, stream, payload, boot, first, count, *args, **named):
            _note(trace, stream, first + count)
            return taking(self, stream, payload, boot, first, count, *args, **named)

        return take

    def noted_acknowledge(self, batch):
        struct.pack_into("<IIII", entry, 0, batch.boot, batch.stream, batch.first, batch.count)
        acked.write(entry)
        acknowledge(self, batch)

    Batch.__init__, Sampler.run, Outbox.__init__ = noted_make, noted_run, noted_begin
    Outbox.acknowledge = noted_acknowledge
    Outbox.append, Outbox.checkpoint = noted(Outbox.append), noted(Outbox.checkpoint)
