"""Bugs to seed: each makes the store wrong in a way that the power-cut harness must catch."""

from pigtail.outbox import files, log, outbox, records, sectors


def flush_that_lies():
    """A write returns before it is on flash: it gets there with the next one."""
    inner, held = sectors.Sectors.write, []

    def write(self, segment, offset, header, payload):
        journal = self._device.journal
        if journal is None:
            return inner(self, segment, offset, header, payload)
        begin = len(journal)
        inner(self, segment, offset, header, payload)
        late = journal[begin:]
        while len(journal) > begin:
            journal.pop()
        journal.extend(held)
        held.clear()
        held.extend(late)

    sectors.Sectors.write = write


def common_flush_that_lies():
    """What was written for it gets there with the next one, or when the file is closed."""

    def release(self):
        self.holds = False
        return True

    files.Files.release = release


def missing_crc_check():
    records.crc32 = lambda data, value=0: 0


def crc_of_the_header_alone():
    """No bug as long as the header is written last: the control for the next one."""
    inner = records.crc32
    records.crc32 = lambda data, value=0: inner(data, value) if len(data) == 16 and type(data) is memoryview else value


def header_before_payload():
    """As in a design whose header alone is checked, being written last: but it is not."""

    def write(self, segment, offset, header, payload):
        self._device.writeblocks(self._first + segment, header, offset)
        if payload:
            self._device.writeblocks(self._first + segment, payload, offset + len(header))

    sectors.Sectors.write = write
    crc_of_the_header_alone()


def erase_before_the_journal_is_saved():
    inner = log.Log.prepare

    def prepare(self):
        number, count = (self.end + self.size - 1) // self.size, self.segments.count
        limit = (number + 1 - count) * self.size
        if self.is_erased or self.saved_tail >= limit:
            return inner(self)
        save, outbox.Outbox.save = outbox.Outbox.save, lambda *rest: None  # the next occasion will do
        self._make_room(self, limit)
        outbox.Outbox.save = save
        self.saved_tail = self.tail
        return inner(self)

    log.Log.prepare = prepare


def no_reservation():
    def reserve(self, stream, end):
        self.stream(stream).reserved = end

    outbox.Outbox.reserve = reserve


def tail_that_is_not_saved():
    """What was acknowledged is erased while the journal still sends the reader there."""
    inner = log.Log.prepare

    def prepare(self):
        self.saved_tail = max(self.saved_tail, self.tail)
        return inner(self)

    log.Log.prepare = prepare
