"""The power-cut harness: a scripted session, cut at every program and erase, and what must hold after each cut.

`micropython harness.py BACK_END SEED EVERY [BUG]`: back end `sectors`, `files` or `pair`; every n-th operation is cut, in each
way in which a cut can tear it; with a bug seeded it prints what was caught. The session runs once and its operations are
noted; the flash as each cut leaves it is made from these.
"""

import random
import sys
import vfs

import bugs
from nor import Nor, apply, torn
from pair import Pair
from pigtail.outbox import files
from pigtail.outbox import outbox as module
from pigtail.outbox.files import Files
from pigtail.outbox.outbox import Outbox
from sources import Samples, Source, drained, ledgered, spans

STREAMS = (0, 1, 2, 6)  # alerts, diagnostics, telemetry of two purposes
_SECTORS, _SIZE = 16, 512
_BLOCKS = 96  # of the littlefs
_STEPS = 150
_RESERVED = 64  # for 4096: sets of samples stay small
_MOST = 150  # samples taken at a time


class Cut(Exception):
    """A power cut after which something does not hold that must."""


class Sectors:
    """The outbox on a block device of its own."""

    checkpoints = 50  # of a hundred steps

    def new(self):
        return Nor(_SECTORS, _SIZE)

    def mount(self, nor, boot):
        return Outbox(boot, STREAMS, nor, 1500, (3, 3), thin=(1, 1, 2))

    def unmount(self):
        pass


class LittleFs:
    """The outbox in files: batches are short, and due together."""

    checkpoints = 20

    def new(self):
        nor = Nor(_BLOCKS, _SIZE)
        vfs.VfsLfs2.mkfs(nor)
        return nor

    def mount(self, nor, boot):
        vfs.mount(vfs.VfsLfs2(nor), "/f")
        files.Files = lambda name, count: Files(name, count, _SIZE)
        self._outbox = Outbox(boot, STREAMS, None, 1500, (3, 3), 14, (1, 1, 2), "/f/outbox")
        self._outbox.bound_ms = 800
        return self._outbox

    def unmount(self):
        for log in self._outbox.logs:
            log.segments._close()
        vfs.umount("/f")


class Session:
    """The script, and the facts that hold once it has come so far: (operations so far, kind, what)."""

    def __init__(self, back_end):
        self._back_end = back_end
        self.nor = back_end.new()
        self.start = bytes(self.nor.data)
        self.nor.journal = []
        self.facts = []
        self._boot = 0
        self._now = 0

    def _fact(self, kind, *what):
        self.facts.append((len(self.nor.journal), kind, what))

    def run(self):
        for boot in range(1, 4):
            self._fact("boot", boot)
            self._boot = boot
            self.outbox = self._back_end.mount(self.nor, boot)
            self._sources = {stream: Source(self.outbox, boot, stream) for stream in STREAMS}
            self._under_way = []
            for step in range(_STEPS):
                self._step(step, boot)
            if boot == 2:
                self._shut_down()
            self._back_end.unmount()

    def _step(self, step, boot):
        self._now += random.randrange(400)
        up = boot == 2 or step > 110  # the link; flash is full before
        kind = random.randrange(100)
        stream = random.choice((2, 2, 2, 6, 6, 1))
        if kind < self._back_end.checkpoints:
            self._do(stream, lambda source: source.checkpoint(random.randint(16, 90)))
        elif kind < 50:
            self._do(stream, lambda source: source.close(random.randint(16, 90)))
        elif kind < 62:
            self._do(stream, lambda source: source.close(random.randint(16, 300)))
        elif kind < 67:
            self._do(0, lambda source: source.close(30))
        elif kind < 78:
            self.outbox.tidy(self._now)
        elif kind == 78:
            self.outbox.rewind()
            self._under_way = []
        elif up:
            self._talk()
        self._note_flash()

    def _do(self, stream, what):
        source = self._sources[stream]
        count = _MOST if not random.randrange(30) else random.randint(0, 9)
        self.outbox.reserve(stream, source.first + source.count + count)
        self._fact("taken", self._boot, stream, source.first + source.count + count)
        source.take(count, self._now)
        what(source)

    def _talk(self):
        while len(self._under_way) < 4 and (batch := self.outbox.next()):
            self._under_way.append(batch)
        if self._under_way:
            batch = self._under_way.pop(random.randrange(len(self._under_way)))
            self.outbox.acknowledge(batch)
            self._fact("arrived", batch.boot, batch.stream, batch.first, batch.count)
        told = self.outbox.ledger.peek()
        if told:
            self._fact("told", *told)
            self.outbox.ledger.acknowledge(told)

    def _note_flash(self):
        for stream in STREAMS:
            on_flash = self.outbox.stream(stream).on_flash
            if on_flash:
                self._fact("flash", self._boot, stream, on_flash)

    def _shut_down(self):
        for source in self._sources.values():
            source.close(50)
        self.outbox.flush_all()
        self._fact("clean", self._boot)


class Known:
    """What is known when the power goes at an operation."""

    def __init__(self, facts):
        self._facts = iter(facts)
        self._next = next(self._facts)
        self.taken, self.arrived, self.told, self.flash = Samples(), Samples(), Samples(), Samples()
        self.boot = self.clean = 0

    def at(self, n):
        """Takes in what happened before the n-th operation began."""
        while self._next and self._next[0] <= n:
            _, kind, what = self._next
            self._next = next(self._facts, None)
            if kind == "boot":
                self.boot = what[0]
            elif kind == "clean":
                self.clean = what[0]
            elif kind == "told":
                self.told.add(*what[:4])
            elif kind == "arrived":
                self.arrived.add(*what)
            elif kind == "taken":
                self.taken.add(what[0], what[1], 0, what[2])
            else:
                self.flash.add(what[0], what[1], 0, what[2])

    def check(self, outbox):
        _, readable = drained(outbox)
        ledger = ledgered(outbox.ledger)
        lost = Samples()
        for samples in ledger.values():
            for key, mask in samples.masks.items():
                lost.masks[key] = lost.masks.get(key, 0) | mask
        nothing = Samples()
        cut = ledger.get("power_cut_unflushed", nothing)
        _none(self.taken.without(readable, self.arrived, lost, self.told), "neither readable nor arrived nor ledgered")
        _none(readable.without(self.taken), "readable and never taken")
        _none(ledger.get("corrupt", nothing).masks, "ledgered as corrupt")
        _none(cut.within(self.flash), "on flash, and ledgered as unflushed")
        full, several = ledger.get("flash_full", nothing), ledger.get("several", nothing)
        _none(self.flash.without(readable, self.arrived, full, several, self.told), "was on flash and is gone")
        _none(full.without(self.taken), "never taken, and ledgered as flash_full")
        _none(full.within(readable), "readable, and ledgered as flash_full")
        for (boot, stream), mask in cut.masks.items():
            limit = _bit_length(self.taken.masks.get((boot, stream), 0)) + 17 * _RESERVED + _MOST
            _none({(boot, stream): mask >> limit} if mask >> limit else {}, "ledgered beyond what was reserved")
            if boot == self.clean:
                raise Cut("a clean shutdown is ledgered as a power cut: " + spans({(boot, stream): mask}))


def _none(found, what):
    if found:
        raise Cut("%s: %s" % (what, spans(found)))


def _bit_length(mask):
    n = 0
    while mask:
        mask >>= 1
        n += 1
    return n


def cuts(back_end, seed, every):
    """Runs the session, cuts it; returns how many cuts were survived, and how many of them came in the recovery from another.
    Raises Cut at the first that was not."""
    random.seed(seed)
    session = Session(back_end)
    try:
        session.run()
    except AssertionError as error:
        raise Cut("the session itself: %s" % error)  # noqa: B904 (MicroPython has no chaining)
    image, operations = bytearray(session.start), session.nor.journal
    offset, count, second = random.randrange(every), 0, 0
    known = Known(session.facts)
    for n, operation in enumerate(operations):
        if n % every == offset:
            known.at(n)
            for way in range(4):
                left = bytearray(image)
                torn(left, session.nor.size, operation, way)
                try:
                    again = _survives(back_end, left, known, session.nor.size, way == n // every % 4)
                except (Cut, AssertionError, OSError, ValueError, IndexError) as error:
                    raise Cut("seed %d, operation %d of %d, way %d: %s" % (seed, n, len(operations), way, error))  # noqa: B904 (MicroPython has no chaining)
                count, second = count + 1 + again, second + again
        apply(image, session.nor.size, operation)
    return count, second


def _survives(back_end, left, known, size, again):
    """Mounts what the cut left and looks; with `again` goes on after it, and cuts that recovery at each operation, too: gives how
    many times."""
    nor = Nor(len(left) // size, size, left)
    nor.journal = []
    outbox = back_end.mount(nor, known.boot + 1)
    try:
        known.check(outbox)
        recovery = nor.journal
        nor.journal = None
        if again:
            _goes_on(outbox, known)
    finally:
        back_end.unmount()
    count = 0
    if again:
        for operation in recovery:
            twice = bytearray(left)
            torn(twice, size, operation, random.randrange(4))
            second = back_end.mount(Nor(len(left) // size, size, twice), known.boot + 2)
            try:
                known.check(second)
            finally:
                back_end.unmount()
            apply(left, size, operation)
            count += 1
    return count


def _goes_on(outbox, known):
    """The next boot works: what it takes is readable, and no number of an old boot comes again."""
    outbox.rewind()
    source = Source(outbox, known.boot + 1, 2)
    for _ in range(4):
        source.take(5, 0)
        source.checkpoint(60)
    source.close(60)
    outbox.rewind()
    _, readable = drained(outbox)
    if not readable.has(known.boot + 1, 2, 0, 20):
        raise Cut("what the boot after the cut wrote is not readable")


def pair_cuts(seed):
    """The same for `pair.Pair`: the value before or the value after, never neither."""
    random.seed(seed)
    nor = Nor(24, _SIZE)
    vfs.VfsLfs2.mkfs(nor)
    start, nor.journal, facts = bytearray(nor.data), [], [(0, None)]
    vfs.mount(vfs.VfsLfs2(nor), "/f")
    for i in range(40):
        payload = bytes([i]) * random.choice((1, 40, 300, 900))
        Pair("/f/config").write(payload)
        facts.append((len(nor.journal), payload))
    vfs.umount("/f")
    for n, operation in enumerate(nor.journal):
        written = [payload for operations, payload in facts if operations <= n]
        after = facts[len(written)][1] if len(written) < len(facts) else written[-1]
        for way in range(4):
            left = bytearray(start)
            torn(left, _SIZE, operation, way)
            vfs.mount(vfs.VfsLfs2(Nor(24, _SIZE, left)), "/f")
            read = Pair("/f/config").read()
            vfs.umount("/f")
            if read != written[-1] and read != after:
                raise Cut("pair, operation %d, way %d: reads %r" % (n, way, read))
        apply(start, _SIZE, operation)
    return 4 * len(nor.journal)


def main(back_end, seed, every, bug=None):
    module.RESERVED = _RESERVED
    if bug:
        getattr(bugs, bug)()
    try:
        if back_end == "pair":
            print("%d cuts survived" % pair_cuts(int(seed)))
        else:
            found = cuts(Sectors() if back_end == "sectors" else LittleFs(), int(seed), int(every))
            print("%d cuts survived, %d of them in the recovery from another" % found)
    except Cut as error:
        print("caught: %s" % error)


if __name__ == "__main__":
    main(*sys.argv[1:])
