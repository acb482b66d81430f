"""What can be saved of a DBC that the parser refuses: each statement is tried on its own, and those that fail are left out."""

import re
from collections.abc import Callable, Iterable, Iterator

from host_tools.signals.repair import Report
from host_tools.signals.statements import Statement

Parse = Callable[[str], str]  # what is wrong with a text in one line; empty where nothing is

_MESSAGE = "BO_ {} M: 8 X\n"
_SIGNAL = ' SG_ {} : 0|8@1+ (1,0) [0|0] "" X\n'
_ABOUT = re.compile(r'\s*(?:(?:CM_|BA_\s+"[^"]*")\s+(?:BO_|SG_)|VAL_|SIG_VALTYPE_)\s+(\d+)(?:\s+([A-Za-z_]\w*))?')
_SHOWN = 40


def salvage(statements: Iterable[Statement], parse: Parse, report: Report) -> Iterator[Statement]:
    """The statements that can be parsed, the others emptied and reported by line."""
    definitions = ""
    for block in _blocks(statements):
        kept = [_kept(statement, _context(statement, definitions), parse, report) for statement in block]
        if block[0].keyword == "BO_" and kept[0].text.strip():
            kept = _whole(kept, parse, report)
        elif block[0].keyword == "BO_":
            kept = [_emptied(statement) for statement in block]
        definitions += "".join(s.text + "\n" for s in kept if s.keyword.startswith("BA_DEF"))
        yield from kept


def _blocks(statements: Iterable[Statement]) -> Iterator[list[Statement]]:
    """A message with its signals, or one other statement."""
    block: list[Statement] = []
    for statement in statements:
        if block and not (block[0].keyword == "BO_" and statement.keyword in ("SG_", "")):
            yield block
            block = []
        block.append(statement)
    return (yield block) if block else None


def _context(statement: Statement, definitions: str) -> str:
    """What a statement needs before it to make sense: the message and signal that it names, the attributes."""
    if statement.keyword == "SG_":
        return _MESSAGE.format(0)
    context = definitions if statement.keyword.startswith("BA_") else ""
    if match := _ABOUT.match(statement.text):
        context += _MESSAGE.format(match[1]) + (_SIGNAL.format(match[2]) if match[2] else "")
    return context


def _kept(statement: Statement, context: str, parse: Parse, report: Report) -> Statement:
    # a statement that only makes sense with the next ones, or none at all
    if not statement.text.strip() or statement.keyword in ("NS_", "BS_"):
        return statement
    if not (why := parse(f"{context}{statement.text}\n")):
        return statement
    shown = " ".join(statement.text.split())
    short = shown if len(shown) <= _SHOWN else shown[: _SHOWN - 1] + "…"
    reason = "" if why.startswith("Invalid syntax") else f" ({why})"
    report(f"line {statement.line}: left out, cannot be read{reason}: {short}")
    return _emptied(statement)


def _whole(block: list[Statement], parse: Parse, report: Report) -> list[Statement]:
    why = parse("".join(statement.text + "\n" for statement in block))
    if not why:
        return block
    report(f"line {block[0].line}: message left out: {why}")
    return [_emptied(statement) for statement in block]


def _emptied(statement: Statement) -> Statement:
    return statement._replace(text="\n" * statement.text.count("\n"))

