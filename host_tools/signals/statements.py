"""The statements of a DBC's text, each with the line that it begins at: found by their keywords, whatever is wrong in them."""

import re
from collections.abc import Iterator
from typing import NamedTuple

# those that hold quoted texts and end with a semicolon, maybe some lines later
_QUOTED = """VAL_ VAL_TABLE_ CM_ BA_ BA_DEF_ BA_DEF_DEF_ BA_REL_ BA_DEF_REL_ BA_DEF_DEF_REL_ BA_DEF_SGTYPE_ BA_SGTYPE_
    CAT_ CAT_DEF_ EV_ FILTER""".split()
_OTHERS = """VERSION NS_ BS_ BU_ BO_ SG_ BO_TX_BU_ SIG_GROUP_ SIG_VALTYPE_ SIG_TYPE_REF_ SGTYPE_ SIGTYPE_VALTYPE_
    SGTYPE_VAL_ SG_MUL_VAL_ ENVVAR_DATA_ EV_DATA_""".split()
_KEYWORD = re.compile(rf"\s*({'|'.join(_QUOTED + _OTHERS)})(?!\w)")
_ONE_WORD = re.compile(r"\s*\w*\s*")
_END = re.compile(r";\s*(//.*)?$")
_END_AFTER_TEXT = re.compile(r'"\s*;\s*(//.*)?$')


class Statement(NamedTuple):
    """`text` is that of all its lines; `keyword` is empty where a line begins with none. Lines count from 1."""

    line: int
    keyword: str
    text: str


def split(text: str) -> Iterator[Statement]:
    """All lines of `text`, in order: joined by line ends, the statements are the text again."""
    lines = text.split("\n")
    index = 0
    while index < len(lines):
        keyword = _keyword(lines[index])
        end = _end(lines, index, keyword)
        yield Statement(index + 1, keyword, "\n".join(lines[index:end]))
        index = end


def _keyword(line: str) -> str:
    match = _KEYWORD.match(line)
    return match[1] if match else ""


def _end(lines: list[str], index: int, keyword: str) -> int:
    if keyword in _QUOTED:
        return _end_of_quoted(lines, index)
    end = index + 1
    if keyword == "NS_":
        while end < len(lines) and _ONE_WORD.fullmatch(lines[end]):
            end += 1
    elif keyword == "BU_":
        while end < len(lines) and lines[end].strip() and not _keyword(lines[end]):
            end += 1
    return end


def _end_of_quoted(lines: list[str], index: int) -> int:
    """Behind the semicolon. Quotes inside a text make their count odd, and semicolons may be missing."""
    is_open = False
    for end in range(index, len(lines)):
        if end > index and not is_open and _keyword(lines[end]):
            return end
        is_open ^= lines[end].replace('\\"', "").count('"') % 2 == 1
        if (_END if not is_open else _END_AFTER_TEXT).search(lines[end]):
            return end + 1
    return index + 1
