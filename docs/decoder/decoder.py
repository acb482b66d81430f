"""A reference decoder: the bytes of a profile and of a batch in, samples out. To be read, ported and compared with.

It follows firmware/SPEC.md, sections 1 and 2, in their order, needs nothing but Python, and prefers plain to quick.
Whatever does not fit the format raises ValueError.

    python3 decoder.py PROFILE BATCH    prints the samples as JSON lines
"""

import json
import struct
import sys
import zlib

CLOCKS = ("none", "rtc", "ntp", "gnss")
QUALITIES = ("valid", "out_of_range", "stale", "bad_counter", "bad_checksum")
SOURCES = ("broadcast", "diagnostic", "oem_cloud", "companion")
ON_CHANGE = 8  # the period class of signals that are sampled when they change
MOST_BYTES, MOST_SAMPLES, MOST_SYMBOLS = 1 << 20, 65_535, 1_048_575  # of a batch; forged bytes could announce billions
YEAR_10000_MS = 253_402_300_800_000


def expect(condition, otherwise):
    if not condition:
        raise ValueError(otherwise)


# Numbers


def int32(number):
    """The signed 32-bit integer with the same low 32 bits."""
    return (number + 0x80000000 & 0xFFFFFFFF) - 0x80000000


def unzigzag(code):
    return code >> 1 ^ -(code & 1)


class Bytes:
    """Takes integers and runs of bytes from the front of `data`."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def left(self):
        return len(self.data) - self.at

    def take(self, size):
        expect(size <= self.left(), "the bytes end too early")
        self.at += size
        return self.data[self.at - size : self.at]

    def uint(self, size):
        return int.from_bytes(self.take(size), "little")

    def varint(self):
        value = 0
        for shift in (0, 7, 14, 21, 28):
            byte = self.uint(1)
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise ValueError("an integer is longer than five bytes")

    def text(self):
        return self.take(self.varint()).decode()

    def zigzag(self):
        code = self.varint()
        expect(code < 1 << 32, "a value is longer than 32 bits")
        return unzigzag(code)


class Bits:
    """Takes bits from `data`, the most significant of each byte first."""

    def __init__(self, data):
        self.data = data
        self.at = 0  # in bits

    def bit(self):
        expect(self.at < 8 * len(self.data), "the bits end too early")
        byte = self.data[self.at // 8]
        self.at += 1
        return byte >> (7 - (self.at - 1) % 8) & 1

    def bits(self, count):
        value = 0
        for _ in range(count):
            value = value << 1 | self.bit()
        return value

    def ones(self):
        """How many ones come before the next zero, which is taken as well; 16 ones have no zero behind them."""
        for count in range(16):
            if not self.bit():
                return count
        return 16

    def rice(self, k, escape):
        """A Golomb-Rice code with parameter k; 16 ones announce the value in `escape` plain bits."""
        ones = self.ones()
        return self.bits(escape) if ones == 16 else ones << k | self.bits(k)

    def end(self):
        rest = 8 * len(self.data) - self.at
        expect(rest < 8 and self.bits(rest) == 0, "bits are left over")


# 1. The packed profile


class Field:
    """What a descriptor stands for: a signal of up to 32 bits, or one half of a longer one."""

    def __init__(self, index, row, kind, is_signed, signal):
        self.index = index
        self.row = row  # number of its row
        self.period_class = kind & 15  # 0-7 a period, 8 on change, 9 never sampled
        self.is_low_half = bool(kind & 16)
        self.stream = kind >> 5  # number of its stream
        self.is_signed = is_signed
        self.quantum = 0  # N: the greatest error in raw units that the codec makes
        self.signal = signal  # the line of text: a dict
        self.length = signal["length"]


class Profile:
    """The parts of a packed profile that decoding needs."""

    def __init__(self, data):
        expect(len(data) >= 72 and data[:4] == b"PTPF" and data[4] == 2, "no profile of version 2")
        expect(zlib.crc32(data[:-4]) == int.from_bytes(data[-4:], "little"), "the profile's checksum is wrong")
        self.hash = zlib.crc32(data[:-4])
        messages, fields, self.grid_ms, text_size = struct.unpack_from("<HHHI", data, 6)
        self.periods = struct.unpack_from("<8I", data, 16)
        branches, conditions, limits, rules = struct.unpack_from("<4H", data, 48)
        self.streams = list(data[56:64])
        quanta, _ = struct.unpack_from("<HH", data, 64)
        tables = Bytes(data[68:-4])
        rows = [struct.unpack("<IHHBBH", tables.take(12)) for _ in range(messages + branches)]
        descriptors = [tables.take(4) for _ in range(fields)]
        classes = tables.take((fields + 3) // 4 * 4)[:fields]
        tables.take(8 * conditions + 16 * limits + 12 * rules)
        quanta = [struct.unpack("<HH", tables.take(4)) for _ in range(quanta)]
        lines = zlib.decompress(tables.take(text_size)).decode().split("\n")
        expect(tables.left() == 0, "the profile's length is not what its header says")
        head, *meanings = [json.loads(line) for line in lines]
        self.purposes = head["purposes"]
        self.row_count = len(rows)
        self.fields = self.described(rows, descriptors, classes, meanings)
        for index, quantum in quanta:
            self.fields[index].quantum = quantum

    def described(self, rows, descriptors, classes, meanings):
        row_of = [number for number, (_, _, count, *_) in enumerate(rows) for _ in range(count)]
        expect(len(row_of) == len(descriptors), "rows and descriptors do not fit each other")
        fields, line = [], 0
        for index, (descriptor, kind) in enumerate(zip(descriptors, classes, strict=True)):
            is_signed = bool(descriptor[3] & 0x40)
            period = self.periods[kind & 15] if kind & 15 < ON_CHANGE else self.grid_ms
            expect(self.grid_ms and period and period % self.grid_ms == 0, "the periods do not fit the grid")
            expect(line < len(meanings), "descriptors and lines of text do not fit each other")
            fields.append(Field(index, row_of[index], kind, is_signed, meanings[line]))
            line += not kind & 16  # the high half has the same line
        expect(line == len(meanings), "descriptors and lines of text do not fit each other")
        return fields


# 2. The batch


class Header:
    """A batch's header; it leaves `source` at the first part."""

    def __init__(self, source):
        version, flags = source.uint(1), source.uint(1)
        expect(version == 2, f"format version {version}")
        self.clock, self.stream, self.priority, self.purpose = flags & 3, flags >> 2, flags >> 2 & 3, flags >> 4
        self.profile_hash = source.uint(4)
        self.configuration, self.consent, self.boot, self.first = (source.varint() for _ in range(4))
        self.start, self.first_row = source.varint(), source.varint()
        self.boot_utc_ms = source.uint(6) if self.clock else None
        source.take(source.varint())  # reserved
        expect(self.boot > 0 and self.priority < 3, "boot 0, or a priority class that there is not")


class Parts:
    """The parts of a batch, joined: how far it is coded, and its four sections."""

    def __init__(self, source):
        self.v, self.q, self.p, self.e = b"", b"", b"", b""
        v_again = q_again = p_again = 0  # the last bytes of each, which the next part replaces
        while True:
            self.count, self.ticks, self.rows = source.varint(), source.varint(), source.varint()
            sizes = [source.varint() for _ in range(4)]
            again = source.uint(1)
            v, q, p, e = (source.take(size) for size in sizes)
            self.v = self.v[: len(self.v) - v_again] + v
            self.q = self.q[: len(self.q) - q_again] + q
            self.p = self.p[: len(self.p) - p_again] + p
            self.e += e
            v_again, q_again, p_again = again & 1, again >> 1 & 7, again >> 4 & 7
            good = v_again <= len(v) and q_again <= min(6, len(q)) and p_again <= min(6, len(p)) and again < 128
            expect(good, "a part has more provisional bytes than it may")
            if source.left() == 0:
                return


class Runs:
    """A stream in which runs of zeros stand between other things."""

    def __init__(self, bits):
        self.bits = bits
        self.r = 32
        self.zeros = None  # left of the run under way; None: the next run is as yet unread

    def zero(self):
        """Whether the next symbol is a zero. After one that is not, a new run begins."""
        if self.zeros is None:
            self.zeros = self.bits.rice((self.r >> 4).bit_length(), 20)
            self.r += ((self.zeros << 3) - self.r) >> 2
        if self.zeros:
            self.zeros -= 1
            return True
        self.zeros = None
        return False

    def end(self):
        expect(not self.zeros, "a run is longer than the batch")
        self.bits.end()


class Predictor:
    """One signal in a batch: predicts its next value from the last two, and how large the error will be."""

    def __init__(self, field, v):
        code = self.first_code(v)
        self.x1 = self.x2 = unzigzag(code) if field.is_signed else int32(code)
        self.step = 2 * field.quantum + 1
        self.mean = 16  # sixteen times the mean of |d|
        self.lead = 0  # below 0: the line through the last two values has been the better guess

    @staticmethod
    def first_code(v):
        """An Elias gamma code."""
        zeros = 0
        while not v.bit():
            zeros += 1
            expect(zeros <= 32, "a first value is longer than 32 bits")
        code = (1 << zeros | v.bits(zeros)) - 1
        expect(code < 1 << 32, "a first value is longer than 32 bits")
        return code

    def next(self, v, q):
        d = self.quiet(q) if self.mean < 6 else self.coded(v)
        line = int32(2 * self.x1 - self.x2)
        x = int32((line if self.lead < 0 else self.x1) + d * self.step)
        self.mean += (min(min(abs(d), 1 << 20) << 4, 8 * self.mean + 256) - self.mean) >> 2
        from_last = min(abs(int32(x - self.x1)), 1 << 20)
        from_line = min(abs(int32(x - line)), 1 << 20)
        self.lead += from_line - from_last - (self.lead >> 3)
        self.x2, self.x1 = self.x1, x
        return x

    def quiet(self, q):
        if q.zero():
            return 0
        is_negative = q.bits.bit()
        size = q.bits.rice(0, 32) + 1
        return -size if is_negative else size

    def coded(self, v):
        return unzigzag(v.rice((self.mean >> 4).bit_length(), 32))


def periodic(profile, header, parts):
    """[(field, time in ms since boot, raw)] of the sampled signals, in the order of their numbers."""
    v, q, p = Bits(parts.v), Runs(Bits(parts.q)), Runs(Bits(parts.p))
    sampled, predictors, absent, symbols = [], {}, {}, 0
    rows = rows_of(profile, header.stream)
    expect(max(header.first_row, parts.rows) <= profile.row_count, "more rows than the profile has")
    for tick, first_row, end_row in ticks(profile, header, parts):
        for row in range(first_row, end_row):
            seen = set()
            for field in rows.get(row, ()):
                period = field.period_class
                if tick * profile.grid_ms % profile.periods[period]:
                    continue
                if period not in seen:
                    seen.add(period)
                    symbols += 1
                    expect(symbols <= MOST_SYMBOLS, "more ticks than a batch can have")
                    absent[row, period] = absent.get((row, period), False) ^ (not p.zero())
                if absent[row, period]:
                    continue
                expect(len(sampled) < parts.count, "more samples than are announced")
                if field.index in predictors:
                    raw = predictors[field.index].next(v, q)
                else:
                    predictors[field.index] = Predictor(field, v)
                    raw = predictors[field.index].x1
                sampled.append((field, tick * profile.grid_ms, raw))
    v.end()
    q.end()
    p.end()
    return sampled


def rows_of(profile, stream):
    """The periodic fields of a stream, by row."""
    rows = {}
    for field in profile.fields:
        if field.period_class < ON_CHANGE and profile.streams[field.stream] == stream:
            rows.setdefault(field.row, []).append(field)
    return rows


def ticks(profile, header, parts):
    """(tick, first row, row after the last) of each grid tick at which some signal of the stream is due."""
    steps = {
        profile.periods[field.period_class] // profile.grid_ms
        for fields in rows_of(profile, header.stream).values()
        for field in fields
    }
    last = header.start + parts.ticks
    tick = header.start
    while steps and tick <= last:
        first_row = header.first_row if tick == header.start else 0
        yield tick, first_row, parts.rows if tick == last else profile.row_count
        tick = min((tick // step + 1) * step for step in steps)


def events(profile, header, section):
    """The records of the event section: (what, field or None, time, content). What: "sample", with the raw value as content,
    "mark" with quality and source, or "told", a text or an occurrence, with name and value."""
    source, records, previous = Bytes(section), [], {}
    time_ms = header.start * profile.grid_ms
    while source.left():
        index, kind = divmod(source.varint(), 4)
        time_ms += source.zigzag()
        expect(time_ms >= 0, "an event before boot")
        if kind < 2:
            expect(index < len(profile.fields), "an event of a signal that is not in the profile")
            field = profile.fields[index]
            if kind == 1:
                records.append(("mark", field, time_ms, mark(source.uint(1), field)))
                continue
            is_own = field.period_class == ON_CHANGE and profile.streams[field.stream] == header.stream
            expect(is_own, "an event of a signal that is not sampled on change in this stream")
            previous[index] = int32(previous.get(index, 0) + source.zigzag())
            records.append(("sample", field, time_ms, previous[index]))
        elif kind == 2:
            expect(index == 0, "a text with a number")
            path = source.text()
            records.append(("told", None, time_ms, (path, source.text())))
        else:
            records.append(("told", None, time_ms, occurrence(source, index)))
    return records


def mark(code, field):
    quality, origin = code & 15, code >> 4
    expect(quality < len(QUALITIES) and origin < len(SOURCES), "a mark of unknown quality or source")
    return QUALITIES[quality], SOURCES[origin] if origin else source_of(field)


def source_of(field):
    """What its descriptor names."""
    source = field.signal.get("source", SOURCES[0])
    expect(source in SOURCES, "a signal of unknown source")
    return source


def occurrence(source, which):
    if which == 0:
        return "alert", {"code": source.varint(), "text": source.text()}
    if which == 1:
        ecu, (high, low, failure), status = source.varint(), source.take(3), source.uint(1)
        return "dtc", {"ecu": ecu, "code": f"{'PCBU'[high >> 6]}{high & 0x3F:02X}{low:02X}-{failure:02X}", "status": status}
    expect(which == 2, "an occurrence of an unknown kind")
    latitude, longitude, altitude, accuracy = source.zigzag(), source.zigzag(), source.zigzag(), source.varint()
    expect(abs(latitude) <= 900_000_000 and abs(longitude) <= 1_800_000_000, "a position that is not on earth")
    degrees = {"latitude": latitude / 1e7, "longitude": longitude / 1e7}
    return "position", degrees | {"altitude": altitude / 10, "accuracy": accuracy / 10}


# Samples


def decode(profile, payload):
    """The header and the samples of a batch, each a dict, in the order of their numbers."""
    expect(len(payload) <= MOST_BYTES, "too long")
    source = Bytes(payload)
    header = Header(source)
    expect(header.profile_hash == profile.hash, "the batch was made with another profile")
    expect(header.purpose < len(profile.purposes), "a purpose that the profile has not")
    parts = Parts(source)
    expect(parts.count <= MOST_SAMPLES and header.start + parts.ticks < 1 << 32, "longer than a batch can be")
    values = [("sample", *value) for value in periodic(profile, header, parts)]
    records = events(profile, header, parts.e)
    marks = marks_of(values, records)
    values += [record for record in records if record[0] != "mark"]
    expect(len(values) == parts.count, f"{parts.count} samples announced, {len(values)} found")
    samples, number = [], 0
    while number < len(values):
        sample, numbers = finished(profile, values, number, marks[number])
        utc_ms = None if header.boot_utc_ms is None else header.boot_utc_ms + sample["time_ms"]
        expect(utc_ms is None or utc_ms < YEAR_10000_MS, "a sample beyond the year 9999")
        samples.append({"sequence": header.first + number, "utc_ms": utc_ms} | sample)
        number += numbers
    return header, samples


def marks_of(periodic_values, records):
    """(quality, source) of each sample: those of the last mark of its signal. What is sampled periodically goes by time, a mark
    at the same ms included; what stands among the events goes by order."""
    marks = sorted((record for record in records if record[0] == "mark"), key=lambda record: record[2])
    found = []
    for _, field, time_ms, _ in periodic_values:
        known = [content for _, of, at, content in marks if of is field and at <= time_ms]
        found.append(known[-1] if known else (QUALITIES[0], source_of(field)))
    current = {}
    for what, field, _, content in records:
        if what == "mark":
            current[field.index] = content
        else:
            known = current.get(field.index, (QUALITIES[0], source_of(field))) if field else (None, None)
            found.append(known)
    return found


def finished(profile, values, number, mark):
    """The sample at this place, and how many numbers it takes: the two halves of a long signal make one."""
    what, field, time_ms, content = values[number]
    if what == "told":
        return {"time_ms": time_ms, "name": content[0], "value": content[1]}, 1
    raw, numbers = content, 1
    if field.length > 32:
        expect(field.is_low_half and number + 1 < len(values), "half a value")
        _, high, high_time_ms, high_raw = values[number + 1]
        expect(high is profile.fields[field.index + 1] and high_time_ms == time_ms, "half a value")
        raw, numbers = high_raw << 32 | raw & 0xFFFFFFFF, 2
    signal, raw = field.signal, in_range(raw, field)
    value = as_float(raw, field.length) if signal.get("float") else raw
    sample = {
        "time_ms": time_ms, "name": signal["name"], "raw": raw,
        "value": value * float(signal.get("scale", 1)) + float(signal.get("offset", 0)), "unit": signal.get("unit", ""),
        "label": signal.get("labels", {}).get(str(raw)), "quality": mark[0], "source": mark[1],
    }  # fmt: skip
    return sample, numbers


def in_range(raw, field):
    """The raw value as the signal means it, signed or not. What the quantiser rounded out of range comes back."""
    if field.signal["signed"] and not field.signal.get("float"):
        low, high = -(1 << field.length - 1), (1 << field.length - 1) - 1
    else:
        low, high = 0, (1 << field.length) - 1
        if not field.quantum:
            raw &= (1 << (64 if field.length > 32 else 32)) - 1
    expect(low - field.quantum <= raw <= high + field.quantum, "a value that is longer than its signal")
    return min(max(raw, low), high)


def as_float(raw, length):
    code = {16: "<e", 32: "<f", 64: "<d"}[length]
    return struct.unpack(code, raw.to_bytes(length // 8, "little"))[0]


def main():
    with open(sys.argv[1], "rb") as profile, open(sys.argv[2], "rb") as batch:
        header, samples = decode(Profile(profile.read()), batch.read())
    for sample in samples:
        print(json.dumps({"boot": header.boot} | sample))


if __name__ == "__main__":
    main()
