"""What the statements of a DBC say about each other: multiplexed signals need a selector, floats a length.

cantools would take a multiplexed signal without a selector for one that is always there; its values would be wrong.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from host_tools.signals.repair import Report
from host_tools.signals.statements import Statement

_MESSAGE = re.compile(r"\s*BO_\s+(\d+)")
_SIGNAL = re.compile(r"\s*SG_\s+(?P<name>\w+)(?:\s+(?P<mux>M|m\d+M?))?\s*:\s*\d+\s*\|\s*(?P<length>\d+)")
_SELECTED = re.compile(r"(?P<before>\s*SG_MUL_VAL_\s+(?P<id>\d+)\s+(?P<name>\w+)\s+(?P<selector>\w+)\s)(?P<ranges>[^;]*)")
_TYPE = re.compile(r"\s*SIG_VALTYPE_\s+(?P<id>\d+)\s+(?P<name>\w+)\s*:\s*(?P<type>\d+)")
_ABOUT = re.compile(r'\s*(?:VAL_|SIG_VALTYPE_)\s+(?P<id>\d+)\s+(?P<name>\w+)')
_ATTRIBUTE = re.compile(r'\s*(?:BA_|BA_REL_)\s+"(?P<name>[^"]*)"')
_DEFINITION = re.compile(r'\s*(?:BA_DEF_|BA_DEF_REL_)\s[^"]*"(?P<name>[^"]*)"')
_NO_MESSAGE = "VECTOR__INDEPENDENT_SIG_MSG"  # CANdb++ keeps signals there that are in no message
_FLOATS = {"1": (16, 32), "2": (64,)}
_MAX_VALUES = 1 << 16  # cantools keeps every value of a selector's range in a list


class Declared(NamedTuple):
    """An SG_ statement: its place among the statements, its mark (M, m3, m3M or nothing) and its length in bits."""

    place: int
    name: str
    mark: str
    length: int


def settle(statements: Iterable[Statement], report: Report) -> list[Statement]:
    """The statements without signals that cannot be told when they count. `report` gets a line for each."""
    settled = list(statements)
    messages = declared(settled)
    selected: dict[str, set[str]] = defaultdict(set)
    doubts = [*_ranges(settled, messages, selected), *_floats(settled, messages)]
    for ident, signals in messages.items():
        doubts += _unselected(ident, signals, selected[ident], settled)
    for place, text, why in doubts:
        statement = settled[place]
        settled[place] = statement._replace(text=text + "\n" * (statement.text.count("\n") - text.count("\n")))
        report(f"line {statement.line}: {why}")
    return settled


def without_absent(statements: Iterable[Statement], report: Report) -> Iterator[Statement]:
    """The statements without those about signals and attributes that are not there, which cantools refuses."""
    kept = list(statements)
    names = {(ident, signal.name) for ident, signals in declared(kept).items() for signal in signals}
    independent = {match[1] for s in kept if (match := _MESSAGE.match(s.text)) and _NO_MESSAGE in s.text}
    defined = {match["name"] for s in kept if (match := _DEFINITION.match(s.text))}
    for statement in kept:
        about, attribute = _ABOUT.match(statement.text), _ATTRIBUTE.match(statement.text)
        why = ""
        if about and (about["id"] in independent or (about["id"], about["name"]) not in names):
            why = f"left out: there is no signal {about['name']} in a message {about['id']}"
        elif attribute and attribute["name"] not in defined:
            why = f"left out: there is no attribute {attribute['name']}"
        if why and not (about and about["id"] in independent):
            report(f"line {statement.line}: {why}")
        yield statement._replace(text="\n" * statement.text.count("\n")) if why else statement


def declared(statements: Sequence[Statement]) -> dict[str, list[Declared]]:
    """Signals by message id, as it is written."""
    messages: dict[str, list[Declared]] = {}
    own: list[Declared] = []
    for place, statement in enumerate(statements):
        if message := _MESSAGE.match(statement.text):
            own = messages.setdefault(message[1], [])
        elif statement.keyword == "SG_" and (match := _SIGNAL.match(statement.text)):
            own.append(Declared(place, match["name"], match["mux"] or "", int(match["length"])))
    return messages


_Doubt = tuple[int, str, str]  # the place of a statement, what to put there, why


def _ranges(
    statements: list[Statement], messages: dict[str, list[Declared]], selected: dict[str, set[str]]
) -> Iterator[_Doubt]:
    """Cuts ranges to what the selector can be; notes in `selected` which signals have one."""
    for place, statement in enumerate(statements):
        if statement.keyword != "SG_MUL_VAL_" or not (match := _SELECTED.match(statement.text)):
            continue
        lengths = {signal.name: signal.length for signal in messages.get(match["id"], [])}
        if match["name"] not in lengths or match["selector"] not in lengths:
            yield place, "", f"left out: the message has no {match['name']} with a selector {match['selector']}"
            continue
        top = (1 << lengths[match["selector"]]) - 1
        pairs = [(int(low), min(int(high), top)) for low, high in re.findall(r"(\d+)\s*-\s*(\d+)", match["ranges"])]
        if sum(high - low + 1 for low, high in pairs if low <= high) > _MAX_VALUES:
            yield place, "", f"left out: {match['name']} has more than {_MAX_VALUES} values of its selector"
            continue
        selected[match["id"]].add(match["name"])
        ranges = ", ".join(f"{low}-{high}" for low, high in pairs)
        statements[place] = statement._replace(text=f"{match['before']}{ranges} ;" + "\n" * statement.text.count("\n"))


def _floats(statements: list[Statement], messages: dict[str, list[Declared]]) -> Iterator[_Doubt]:
    for statement in statements:
        match = _TYPE.match(statement.text) if statement.keyword == "SIG_VALTYPE_" else None
        if match is None or match["type"] not in _FLOATS:
            continue
        for signal in messages.get(match["id"], []):
            if signal.name == match["name"] and signal.length not in _FLOATS[match["type"]]:
                yield signal.place, "", f"{signal.name} left out: no IEEE float has {signal.length} bits"


def _unselected(
    ident: str, signals: list[Declared], selected: set[str], statements: list[Statement]
) -> Iterator[_Doubt]:
    selectors = [signal for signal in signals if signal.mark.endswith("M")]
    roots = [signal for signal in selectors if signal.mark == "M"]
    if len(selectors) == 1:
        return
    for signal in signals:
        if signal.mark in ("", "M") or signal.name in selected:
            continue
        text, number = statements[signal.place].text, signal.mark.strip("mM")
        if len(roots) == 1:
            why = f"{signal.name} does not say by what it is selected, taken as by {roots[0].name}"
            added = f"SG_MUL_VAL_ {ident} {signal.name} {roots[0].name} {number}-{number} ;"
            statements.append(Statement(0, "SG_MUL_VAL_", added))
            yield signal.place, text, why
        else:
            yield signal.place, "", f"{signal.name} left out: its message has {'no' if not roots else 'more than one'} selector"
