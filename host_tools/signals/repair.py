"""Repairs of DBC files: what real files get wrong and a parser refuses.

One function per kind of statement, which writes it anew where it is not in order. Each repair is told by the line that it
touches. No value is guessed: what cannot be repaired stays as it is, for `salvage` to leave out.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from math import isfinite

from host_tools.signals.statements import Statement

Report = Callable[[str], None]
Note = Callable[[str], None]

_EXTENDED = 1 << 31
_NOBODY = "Vector__XXX"

_N = r"[-+]?\d+\.?\d*(?:[eE][-+]?\d+)?"
_WORD = r"[A-Za-z_]\w*"
_REST = r"[\w\s,;.-]*"
_REMARK = r"\s*(?://.*)?"
_INTEGER = r"-?(?:0[xX][0-9a-fA-F]+|[\d.]+)"

_NUMBER = re.compile(_N, re.ASCII)
_NAME = re.compile(_WORD, re.ASCII)
_SIGNAL_IN_ORDER = re.compile(
    rf"\s*SG_\s+{_WORD}(?:\s+(?:M|m\d+M?))?\s*:\s*\d+\s*\|\s*\d+\s*@\s*[01]\s*[-+]\s*\(\s*{_N}\s*,\s*{_N}\s*\)"
    rf'\s*\[\s*{_N}\s*\|\s*{_N}\s*\]\s*"[^"]*"\s*{_WORD}(?:\s*,\s*{_WORD})*{_REMARK}',
    re.ASCII,
)
_SIGNAL = re.compile(
    r"\s*SG_\s+(?P<name>[^:\"]+?)(?P<mux>\s+(?:M|m\d+M?))?\s*:\s*(?P<bits>\d+\s*\|\s*\d+\s*@\s*[01]\s*[-+])"
    r"\s*\((?P<scale>[^,()]*),(?P<offset>[^,()]*)\)\s*(?:\[(?P<low>[^|\]]*)\|(?P<high>[^|\]]*)\])?"
    rf'\s*(?:"(?P<unit>.*)")?(?P<receivers>{_REST}){_REMARK}'
)
_MESSAGE_IN_ORDER = re.compile(rf"\s*BO_\s+\d+\s+{_WORD}\s*:\s*(?:0|[1-9]\d*)\s+{_WORD}{_REMARK}", re.ASCII)
_MESSAGE = re.compile(
    rf'\s*BO_\s+(?P<id>0[xX][0-9a-fA-F]+|\d+)\s+(?P<name>[^:"]+?)\s*:\s*(?P<length>\d+)(?P<sender>{_REST}){_REMARK}'
)
_ABOUT_MESSAGE = re.compile(
    r'\s*(?:BO_|CM_\s+(?:BO_|SG_)|BA_\s+"[^"]*"\s+(?:BO_|SG_)|VAL_|SIG_VALTYPE_|SG_MUL_VAL_|BO_TX_BU_|SIG_GROUP_)'
    r"\s+(?P<id>\d+)"
)
_ABOUT_SIGNAL = re.compile(
    r'\s*(?:CM_\s+SG_|BA_\s+"[^"]*"\s+SG_|VAL_|SIG_VALTYPE_|SG_MUL_VAL_)\s+\d+\s+'
    r'(?P<name>[^\s:";](?:[^:";]*?[^\s:";])??)(?=\s*[:";]|\s+-?[\d.]+\s*[";]|\s+\S+\s+\d+\s*-)'
)
_SELECTED = re.compile(
    r"(?P<before>\s*SG_MUL_VAL_\s+\d+\s+\w+\s+)(?P<selector>\S(?:.*?\S)??)\s+(?P<ranges>\d+\s*-\s*\d+[\d\s,-]*);?\s*"
)
_TYPE = re.compile(r"(?P<before>\s*SIG_VALTYPE_\s+\d+\s+\w+)\s*:?\s*(?P<type>\d+)\s*;?\s*")
_VALUES = re.compile(rf'(?P<before>\s*VAL_\s+\d+\s+\w+)(?P<pairs>(?:\s+{_INTEGER}\s*".*)?)', re.DOTALL)
_VALUES_IN_ORDER = re.compile(rf'\s*VAL_\s+\d+\s+\w+(?:\s+-?\d+\s*"[^"\\]*")*\s*;{_REMARK}', re.DOTALL)
_PAIR = re.compile(rf'({_INTEGER})\s*"(.*?)"(?=\s*(?:{_INTEGER}\s*"|;|$))', re.DOTALL)
_COMMENT_ON_ID = re.compile(r'\s*CM_\s+(?P<id>\d+)\s+"')
_TEXT = re.compile(rf'(?P<before>[^"]*)"(?P<text>.*)"\s*;?{_REMARK}', re.DOTALL)
_NODE = re.compile(r'\s*(?:CM_|BA_\s+"[^"]*")\s+BU_\s+(?P<name>[^\s":;]+)')


def repair(statements: Iterable[Statement], report: Report) -> Iterator[Statement]:
    """The statements with all repairs made. `report` gets one line each, beginning with the line's number."""
    for statement in statements:
        text = statement.text
        for mend in (*REPAIRS.get(statement.keyword, ()), _extended_id):
            text = mend(text, partial(_note, report, statement.line))
        lost = statement.text.count("\n") - text.count("\n")
        yield statement._replace(text=text + "\n" * lost)


def _note(report: Report, line: int, why: str) -> None:
    report(f"line {line}: {why}")


def identifier(name: str) -> str:
    """`name` as a DBC must have it: of ASCII letters, digits and _, none of them a digit in front."""
    word = re.sub(r"\W", "_", name.strip(), flags=re.ASCII)
    return word if _NAME.fullmatch(word) else "_" + word


def _name(name: str, note: Note) -> str:
    word = identifier(name)
    if word != name:
        why = "begin with a digit" if word == "_" + name else "hold other signs than letters, digits and _"
        note(f"{name} is now {word}: a name must not {why}")
    return word


def _renamed(pattern: re.Pattern[str]) -> Callable[[str, Note], str]:
    def mend(text: str, note: Note) -> str:
        match = pattern.match(text)
        return _replaced(match, "name", _name(match["name"], note)) if match else text

    return mend


def _replaced(match: re.Match[str], group: str, new: str) -> str:
    return match.string[: match.start(group)] + new + match.string[match.end(group) :]


def _extended_id(text: str, note: Note) -> str:
    """In a DBC a 29-bit id has bit 31 set; without it, only ids below 0x800 are possible."""
    match = _ABOUT_MESSAGE.match(text)
    if match is None or not 0x7FF < int(match["id"]) < 1 << 29:
        return text
    ident = str(int(match["id"]) | _EXTENDED)
    note(f"{match['id']} is now {ident}: a 29-bit id must have bit 31 set")
    return _replaced(match, "id", ident)


def _message(text: str, note: Note) -> str:
    match = _MESSAGE.fullmatch(text)
    if match is None or _MESSAGE_IN_ORDER.fullmatch(text):
        return text
    name, sender = _name(match["name"], note), (_words(match["sender"]) or [_NOBODY])[0]
    if sender != match["sender"].strip():
        note(f"{name}: the sender is no name, now {sender}")
    ident, length = int(match["id"], 16 if "x" in match["id"].lower() else 10), int(match["length"])
    for old, new in ((match["id"], ident), (match["length"], length)):
        if old != str(new):
            note(f"{old} is now {new}: a number must be decimal, without a 0 in front")
    return f"BO_ {ident} {name}: {length} {sender}"


def _signal(text: str, note: Note) -> str:
    match = _SIGNAL.fullmatch(text)
    if match is None or _SIGNAL_IN_ORDER.fullmatch(text):
        return text
    scale, offset = _number(match["scale"], note), _number(match["offset"], note)
    if scale is None or offset is None:
        return text
    name, receivers = _name(match["name"], note), _words(match["receivers"])
    if not re.fullmatch(rf"\s*{_WORD}(?:\s*,\s*{_WORD})*\s*", match["receivers"], re.ASCII):
        note(f"{name}: the receivers are no list of names, now {', '.join(receivers) or _NOBODY}")
    unit = (match["unit"] or "").replace('"', "'")
    if unit != match["unit"]:
        note(f"{name}: the unit is not one text in quotation marks, now \"{unit}\"")
    return (
        f" SG_ {name}{match['mux'] or ''} : {match['bits']} ({scale},{offset})"
        f' [{_limits(match, note)}] "{unit}" {",".join(receivers) or _NOBODY}'
    )


def _limits(match: re.Match[str], note: Note) -> str:
    """A range is for people: one that is missing or cannot be read is none."""
    low, high = (_number(match[key] or "", note) for key in ("low", "high"))
    if low is None or high is None:
        note(f"[{match['low']}|{match['high']}] is no range, now [0|0]" if match["high"] else "no range given, now [0|0]")
        return "0|0"
    return f"{low}|{high}"


def _number(text: str, note: Note) -> str | None:
    text = text.strip()
    if _NUMBER.fullmatch(text):
        return text
    try:
        value = float(text)
    except ValueError:
        return None
    if not isfinite(value):
        return None
    note(f"{text} is now {value!r}: a number must begin with a digit")
    return repr(value)


def _words(text: str) -> list[str]:
    return [identifier(word) for word in re.split(r"[\s,;]+", text) if word]


def _values(text: str, note: Note) -> str:
    match = _VALUES.match(text)
    if match is None or _VALUES_IN_ORDER.fullmatch(text):
        return text
    pairs = []
    for number, label in _PAIR.findall(match["pairs"]):
        value = _number(number, lambda _: None)
        whole = int(number, 16) if "x" in number.lower() else int(float(value)) if value else None
        if whole is None:
            return text
        pairs.append(f'{whole} "{_quotable(label)}"')
    mended = f"{match['before']} {' '.join(pairs)} ;"
    if mended.split() != text.split():
        has_end = text.rstrip().endswith(";")
        note("the values are not whole numbers with plain texts" if has_end else "put the missing ; at the end")
    return mended


def _comment(text: str, note: Note) -> str:
    if on_id := _COMMENT_ON_ID.match(text):
        note("a comment on a message must say BO_")
        text = _replaced(on_id, "id", f"BO_ {on_id['id']}")
    match = _TEXT.fullmatch(text)
    if match is None:
        return text
    inside = _quotable(match["text"])
    if inside != match["text"]:
        note("a quotation mark within a text, now '")
    elif not text.rstrip().endswith(";") and "//" not in text:
        note("put the missing ; at the end")
    return f'{match["before"]}"{inside}" ;'


def _quotable(text: str) -> str:
    """`text` such that no quotation mark ends it early; those that are escaped stay."""
    plain = re.sub(r'(?<!\\)"', "'", text)
    return plain + " " if plain.endswith("\\") else plain


def _selected(text: str, note: Note) -> str:
    match = _SELECTED.fullmatch(text)
    if match is None:
        return text
    selector = _name(match["selector"], note)
    ranges = ", ".join(f"{low}-{high}" for low, high in re.findall(r"(\d+)\s*-\s*(\d+)", match["ranges"]))
    return f"{match['before']}{selector} {ranges} ;"


def _type(text: str, note: Note) -> str:
    match = _TYPE.fullmatch(text)
    if match and ":" not in text:
        note("put the missing : before the type")
    return f"{match['before']} : {match['type']} ;" if match else text


def _nodes(text: str, note: Note) -> str:
    before, colon, names = text.partition(":")
    if colon and re.fullmatch(r"[^:\"]*", names) and names.split() != (words := _words(names)):
        note("a node's name must be of letters, digits and _, without a digit in front")
        return f"{before}: {' '.join(words)}"
    return text


REPAIRS: dict[str, tuple[Callable[[str, Note], str], ...]] = {
    "BO_": (_message,),
    "SG_": (_signal,),
    "VAL_": (_renamed(_ABOUT_SIGNAL), _values),
    "CM_": (_renamed(_ABOUT_SIGNAL), _renamed(_NODE), _comment),
    "BA_": (_renamed(_ABOUT_SIGNAL), _renamed(_NODE)),
    "SIG_VALTYPE_": (_renamed(_ABOUT_SIGNAL), _type),
    "SG_MUL_VAL_": (_renamed(_ABOUT_SIGNAL), _selected),
    "BU_": (_nodes,),
}
