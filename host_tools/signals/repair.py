"""Repairs of DBC files: what real files get wrong and a parser refuses.

One small function per kind of fault. Each looks at all lines and yields what to change; line numbers stay those of the
file, so a repair can be reported by the line that it touched. Faults without a repair are left to the parser to refuse.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

Report = Callable[[str], None]

_EXTENDED = 1 << 31

_MESSAGE = re.compile(r"^\s*BO_\s+(?P<id>\d+)\s+(?P<name>\w+)")
_SIGNAL = re.compile(r"^\s*SG_\s+(?P<name>\w+)")
_ABOUT_MESSAGE = re.compile(r'^\s*(?:CM_\s+BO_|BA_\s+"[^"]*"\s+BO_|BO_TX_BU_|SIG_GROUP_)\s+(?P<id>\d+)')
_ABOUT_SIGNAL = re.compile(
    r'^\s*(?:CM_\s+SG_|BA_\s+"[^"]*"\s+SG_|VAL_|SIG_VALTYPE_|SG_MUL_VAL_)\s+(?P<id>\d+)\s+(?P<name>\w+)'
)
_VALUES = re.compile(r"^\s*VAL_\s+\d+\s+\w+\s")
_COMMENT_ON_ID = re.compile(r'^(?P<before>\s*CM_\s+)\d+\s+"')
_SECTION = re.compile(r"^\s*(?P<keyword>NS_|BS_|BU_)\s*:")


class Change(NamedTuple):
    """`text` is put in the place of a line, counted from 0; `why` is for the user."""

    line: int
    text: str
    why: str


def repair(text: str, report: Report) -> str:
    """`text` of a DBC with all repairs made. `report` gets one line each, beginning with the line's number."""
    lines = text.split("\n")
    for find in REPAIRS:
        for change in list(find(lines)):
            lines[change.line] = change.text
            report(f"line {change.line + 1}: {change.why}")
    return "\n".join(lines)


def _statements(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """The lines that begin outside a quoted text, with their indices."""
    quoted = False
    for index, line in enumerate(lines):
        if not quoted:
            yield index, line
        quoted ^= line.replace('\\"', "").count('"') % 2 == 1


def _missing_sections(lines: list[str]) -> Iterator[Change]:
    """Without `BS_:` or `BU_:` after it, the list of new symbols (`NS_ :`) has no end."""
    sections = {match["keyword"] for _, line in _statements(lines) if (match := _SECTION.match(line))}
    if "NS_" not in sections or sections & {"BS_", "BU_"}:
        return
    for index, line in _statements(lines):
        if _MESSAGE.match(line):
            yield Change(index, "BS_: BU_: " + line, "put the missing BS_ and BU_ before the first message")
            return


def _names_from_digits(lines: list[str]) -> Iterator[Change]:
    """A name that begins with a digit gets an underscore in front, wherever it stands."""
    for index, line in _statements(lines):
        match = _MESSAGE.match(line) or _SIGNAL.match(line) or _ABOUT_SIGNAL.match(line)
        if match and match["name"][0].isdigit():
            yield _replaced(index, match, "name", "_" + match["name"], "a name must not begin with a digit")


def _ids_without_bit_31(lines: list[str]) -> Iterator[Change]:
    """In a DBC a 29-bit id has bit 31 set; without it, only ids below 0x800 are possible."""
    for index, line in _statements(lines):
        match = _MESSAGE.match(line) or _ABOUT_MESSAGE.match(line) or _ABOUT_SIGNAL.match(line)
        if match and 0x7FF < int(match["id"]) < 1 << 29:
            yield _replaced(
                index, match, "id", str(int(match["id"]) | _EXTENDED), "a 29-bit id must have bit 31 set"
            )


def _comments_on_bare_ids(lines: list[str]) -> Iterator[Change]:
    """`CM_ 145 "text";` means `CM_ BO_ 145 "text";`."""
    for index, line in _statements(lines):
        if match := _COMMENT_ON_ID.match(line):
            text = f"{match['before']}BO_ {line[match.end('before') :]}"
            yield Change(index, text, "a comment on a message must say BO_")


def _missing_semicolons(lines: list[str]) -> Iterator[Change]:
    """A value table that stops without `;` where the next line begins something else."""
    for index, line in _statements(lines):
        after = lines[index + 1].strip() if index + 1 < len(lines) else ""
        if (
            _VALUES.match(line)
            and line.rstrip().endswith('"')
            and not (after[:1].isdigit() or after[:1] == ";")
        ):
            yield Change(index, line + " ;", "put the missing ; at the end")


def _replaced(index: int, match: re.Match[str], group: str, new: str, why: str) -> Change:
    line = match.string
    text = line[: match.start(group)] + new + line[match.end(group) :]
    return Change(index, text, f"{match[group]} is now {new}: {why}")


REPAIRS: tuple[Callable[[list[str]], Iterator[Change]], ...] = (
    _names_from_digits,
    _ids_without_bit_31,
    _comments_on_bare_ids,
    _missing_semicolons,
    _missing_sections,
)
