"""What must be known of a signal to tell its state: written to flash once for each choice of signals, read when it is told.

Needed only while the device starts; see `once`. The file, `states.PATH`: a line that all entities have in common; for each signal
its facts; then of the entries u16 signal, u16 row, u16 least time between two in 100 ms and u32 where its facts begin, each as a
table; u16 entries, u32 identity of what it was made from, CRC-32. The high half of a long signal is an entry behind its low half.
Facts are lines: topic below `state/`; unit as JSON; source; kind (i signed, u unsigned, or f with the format of an IEEE number),
factor, offset, places, places shown (see `states.decimal`); labels, each raw value and text as JSON; an empty one; topic and
payload of its entity (see `home_assistant`), both empty where there is none.

/announced has every topic, line by line, that may have been left retained below `state/` and the discovery prefix; /withdrawn has
those that are to be taken off again.
"""

import deflate
import json
import os
import struct
from array import array
from binascii import crc32
from micropython import const
from pigtail import once
from pigtail.signals.profile import CLASS_MASK, LOW_HALF, UNSAMPLED
from pigtail.uplink.states import HIGH, PATH, TAIL

_ANNOUNCED = const("/announced")
_WITHDRAWN = const("/withdrawn")
_LONGEST = const(100)  # characters of a name or a label, so that all fits one packet
_DIGITS = const(32)  # of a number, and of its power of ten: more makes no unit, but integers that fill the heap
_EXACT = const(9)  # places; a scale that needs more is shown with four digits of a step
_BITS = const(0x3FFFFFFF)
_RESIDUE = 0x2144DF1C  # CRC-32 of anything followed by its own CRC-32


def prepare(profile, given: dict, base: str, prefix: str, version: str):
    """(whether the file holds the facts of what is `given`, signal or "*" to least ms between two; what is wrong, or None)."""
    fault = None
    if any(c in prefix for c in "+#\0"):
        fault, prefix = "homeassistant: %r cannot begin a topic" % prefix, ""
    ident = crc32(repr((profile.identity, sorted(given.items()), base, prefix, version)).encode())
    if _identity() == ident:
        return True, fault
    try:
        others = once.call("pigtail.uplink.home_assistant", "Entities", base, prefix, version) if prefix else None
        return True, _Facts(profile, given, base, others).put(ident) or fault
    except (OSError, MemoryError, ValueError, KeyError) as error:
        return False, "state: " + repr(error)


def _identity():
    """What the file was made from; None where there is none or it is damaged."""
    crc = 0
    try:
        with open(PATH, "rb") as f:
            piece = f.read(256)
            while piece:
                crc = crc32(piece, crc)
                piece = f.read(256)
            f.seek(-TAIL, 2)
            ident = struct.unpack("<HII", f.read(TAIL))[1]
    except (OSError, ValueError):
        return None
    return ident if crc == _RESIDUE else None


class _Facts:
    def __init__(self, profile, given, base, others):
        self._profile = profile
        self._given = given
        self._head = base + "/state/"
        self._others = others
        self._table = array("H"), array("H"), array("H"), array("I")
        self._next = self._at = 0  # CRC and size of what is written
        self._asked = set()  # what is left of each topic: a CRC, which takes no room
        self._knows = {"*"}
        self._note = None

    def put(self, ident):
        """Writes all three files, in an order in which a power cut costs nothing; what is wrong with what is given, or None."""
        with open(PATH + ".new", "wb") as self._out, open(_ANNOUNCED + ".new", "wb") as self._topics:
            self._write()
            for column in self._table:
                self._put(bytes(column))
            self._put(struct.pack("<HI", len(self._table[0]), ident))
            self._put(struct.pack("<I", self._next))
        self._drop()
        _keep(_WITHDRAWN)
        _keep(_ANNOUNCED)
        _keep(PATH)
        for name in self._given:
            if name not in self._knows:
                return "state: the profile has no " + name
        return self._note

    def _write(self):
        p = self._profile
        s = row = 0
        with open(p.path, "rb") as f:
            f.seek(p.text_at)
            with deflate.DeflateIO(f, deflate.ZLIB) as text:
                head = json.loads(text.readline())
                self._put((self._others.begin(head) if self._others else "").encode() + b"\n")
                while s < p.signals:
                    while s >= p.first(row) + p.count(row):
                        row += 1
                    self._row(s, row, text.readline())
                    s += 2 if p.classes[s] & LOW_HALF else 1

    def _row(self, s, row, text):
        fields = json.loads(text)
        name = fields["name"]
        sampled = self._profile.classes[s] & CLASS_MASK != UNSAMPLED
        ms = self._given.get(name, self._given.get("*") if sampled else None)
        self._knows.add(name if name in self._given else "*")
        if not ms:
            return
        if len(name) > _LONGEST or any(c in "+#" or c < " " for c in name):
            self._note = "state: %s cannot be a topic" % name[:_LONGEST]
            return
        try:
            kind, places = _kind(fields, text)
        except ValueError:
            self._note = "state: %s has a scale or an offset beyond all units" % name
            return
        self._entry(s, row, (ms + 99) // 100)
        if self._profile.classes[s] & LOW_HALF:
            self._entry(s + 1, HIGH, 0)
        self._line(name, fields, kind, places, ms)

    def _entry(self, s, row, limit):
        for column, value in zip(self._table, (s, row, limit, self._at)):  # noqa: B905
            column.append(value)

    def _line(self, name, fields, kind, places, ms):
        labels = {int(raw): label[:_LONGEST] for raw, label in fields.get("labels", {}).items()}
        tail = name.replace(".", "/")
        self._tell(self._head + tail)
        source = fields.get("source", "broadcast")
        self._put("\n".join((tail, json.dumps(fields.get("unit", "")[:_LONGEST]), source, kind, "")).encode())
        for raw in sorted(labels):
            self._put(("%d %s\n" % (raw, json.dumps(labels[raw]))).encode())
        topic = payload = ""
        if self._others:
            topic, payload = self._others.of(name, self._head + tail, fields, labels, places, ms)
            self._tell(topic)
        self._put("\n".join(("", topic, payload, "")).encode())

    def _put(self, piece):
        self._out.write(piece)
        self._next = crc32(piece, self._next)
        self._at += len(piece)

    def _tell(self, topic):
        topic = topic.encode() + b"\n"
        self._topics.write(topic)
        self._asked.add(crc32(topic) & _BITS)

    def _drop(self):
        """What was announced, or is not yet withdrawn, and is not announced any more."""
        with open(_WITHDRAWN + ".new", "wb") as out:
            for path in _WITHDRAWN, _ANNOUNCED:
                try:
                    with open(path, "rb") as f:
                        for topic in f:
                            if crc32(topic) & _BITS not in self._asked:
                                self._asked.add(crc32(topic) & _BITS)
                                out.write(topic)
                except OSError:
                    pass  # none yet


def _keep(path):
    """Puts the new file in place; an empty one is as good as none."""
    if os.stat(path + ".new")[6]:
        os.rename(path + ".new", path)
        return
    os.remove(path + ".new")
    try:
        os.remove(path)
    except OSError:
        pass  # there was none


def _kind(fields, text):
    """The line of facts that says how a raw value becomes a physical one; how many places of it are shown."""
    scale, offset = _number(text, b"scale", "1"), _number(text, b"offset", "0")
    if fields.get("float"):
        return "f%s %s %s" % ({16: "e", 32: "f", 64: "d"}[fields["length"]], scale, offset), _EXACT
    factor, places = _number_in(scale)
    plus, more = _number_in(offset)
    most = max(0, places, more)
    factor, plus = factor * 10 ** (most - places), plus * 10 ** (most - more)
    while most and not factor % 10 and not plus % 10:
        factor, plus, most = factor // 10, plus // 10, most - 1
    places = most if most <= _EXACT else max(0, 4 + most - len(str(abs(factor))))
    return "%s %d %d %d %d" % ("i" if fields["signed"] else "u", factor, plus, most, places), places


def _number(text, name, other):
    """A number in a line of JSON as it stands there: a float of single precision would spoil it. Raises ValueError where it is
    beyond all units."""
    quoted = b'"' + name + b'"'
    at = text.find(quoted)
    while at >= 0:
        rest = text[at + len(quoted) : at + len(quoted) + _DIGITS + 8].lstrip()
        if rest[:1] == b":":  # else it is somebody's text
            rest = rest[1:].lstrip()
            end = 0
            while end < len(rest) and rest[end] in b"+-.0123456789eE":
                end += 1
            found = rest[:end].decode()
            if end > _DIGITS or end == len(rest) or abs(int(found.lower().partition("e")[2] or 0)) > _DIGITS:
                raise ValueError
            return found
        at = text.find(quoted, at + 1)
    return other


def _number_in(text):
    """(integer, places) of a number: integer × 10^-places."""
    digits, _, power = text.lower().partition("e")
    whole, _, part = digits.partition(".")
    return int(whole + part), len(part) - int(power or 0)
