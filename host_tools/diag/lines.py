"""What the verbs found out, as lines for people."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from host_tools.diag import descriptions
from host_tools.reader.lines import printable

Fields = dict[str, Any]
_SCHEDULE = {"answered": "answered", "failed": "not answered", "dropped": "given up", "rare": "asked seldom"}


def told(rows: Iterable[Fields], lines: Callable[[Fields], Iterator[str]]) -> Iterator[str]:
    """The lines of each ECU, or why it has none."""
    for row in rows:
        if "failure" in row:
            yield printable(f"{_which(row)}: {row['failure']}")
        else:
            yield from map(printable, lines(row))
            for unread in row.get("unread", ()):
                yield printable(f"  {unread['what']} could not be read: {unread['why']}")


def dtcs(row: Fields) -> Iterator[str]:
    """One line a code: what it is called, what it means, and whether it is there now."""
    count = _count(len(row["codes"]), "trouble code")
    yield f"{row['ecu']} ({row['id']}): {count}{' in what could be read' if row['unread'] else ''}"
    wide = max((len(code["description"]) for code in row["codes"]), default=0)
    for code in row["codes"]:
        states = ", ".join(code["states"]) or "stored"
        yield f"  {code['code']:<8}  {code['description']:<{wide}}  {states}"


def snapshot(row: Fields) -> Iterator[str]:
    """A code and what was kept with it."""
    if not row["snapshots"]:
        yield f"{row['ecu']} ({row['id']}): no snapshot{' in what could be read' if row['unread'] else ''}"
    for kept in row["snapshots"]:
        meaning = descriptions.code(kept["code"])
        yield f"{row['ecu']} ({row['id']}): {kept['code']}{meaning and '  '}{meaning}"
        for value in kept["values"]:
            yield f"  {value['name'] or 'PID ' + value['pid']:<28} {_value(value)}"
        for number, record in kept["records"].items():
            for part in record:
                yield f"  {' '.join(filter(None, ('record', number, part['did'])))}: {_hex(part['data'])}"
        if kept["extended"]:
            yield f"  extended data: {_hex(kept['extended'])}"
        if not (kept["values"] or kept["records"] or kept["extended"]):
            yield "  nothing was kept with it"


def supported(row: Fields) -> Iterator[str]:
    """One line a parameter."""
    yield f"{row['ecu']} ({row['id']}): {_count(len(row['parameters']), 'parameter')} of service 01"
    for parameter in row["parameters"]:
        yield f"  {parameter['pid']}  {', '.join(parameter['names']) or '-'}"


def vin(row: Fields) -> Iterator[str]:
    """The number, who told it, and its calibrations."""
    yield f"{row['vin']}  from {row['ecu']} ({row['id']})"
    for calibration in row["calibrations"]:
        yield f"  calibration {calibration}"


def read(row: Fields) -> Iterator[str]:
    """The bytes, what they are as a text, and the values in them."""
    text = row["text"]
    yield f"{_which(row)}: {_hex(row['data'])}" + ("" if text is None else f"  {text!r}")
    wide = max([28, *(len(value["name"]) for value in row["values"])])
    for value in row["values"]:
        yield f"  {value['name']:<{wide}} {_value(value)}"


def gate(told: Fields, now_s: float | None = None) -> Iterator[str]:
    """The state of the gate: who may be asked, what was refused since the start, and the last frames that went out."""
    now_s = time.time() if now_s is None else now_s
    state = "open" if told["open"] else "shut"
    muted = f", muted: {descriptions.MUTED.get(told['muted'], told['muted'])}" if told["muted"] else ""
    yield printable(f"gate {state}{muted}; {_count(told['sent'], 'frame')} sent since the device started")
    for name, tx_id, rx_id in told["ecus"]:
        yield printable(f"  may ask {name} at {tx_id:03X}, {'many answer' if rx_id is None else f'answers at {rx_id:03X}'}")
    by_schedule = [f"{_count(told[key], 'request')} {said}" for key, said in _SCHEDULE.items() if told.get(key)]
    if by_schedule:
        yield f"  by schedule: {', '.join(by_schedule)}"
    for reason, count in sorted(told["refused"].items()):
        yield printable(f"  refused {_count(count, 'time')}: {_why(reason)}")
    for reason, count in sorted(told.get("isotp", {}).items()):  # a firmware of before does not tell it
        yield printable(f"  answers, {_count(count, 'time')}: {_why(reason)}")
    if told.get("overwritten"):
        yield f"  newer ones overwrote {_count(told['overwritten'], 'frame')} before these while the log was read"
    for age_ms, identifier, data in told["log"]:
        yield f"  {_when(now_s, age_ms)}  {identifier:03X}  {_hex(data)}"


def _which(row: Fields) -> str:
    """The ECU, and what of it was read where that is one thing of several."""
    return " ".join([f"{row['ecu']} ({row['id']})", *(row[kind] for kind in ("did", "pid") if kind in row)])


def _when(now_s: float, age_ms: int) -> str:
    if age_ms < 0:  # a firmware of before, whose ticks wrapped after six days
        return "date unknown       "
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now_s - age_ms / 1000))


def _why(reason: str) -> str:
    return descriptions.NOT_ASKED.get(reason) or descriptions.DROPPED.get(reason, reason)


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"


def _hex(data: str) -> str:
    return bytes.fromhex(data).hex(" ").upper()


def _value(value: Fields) -> str:
    number = value["value"]
    told = f"{number:g} {value['unit']}".strip() if isinstance(number, int | float) else str(number)
    return told + ("  out of range" if value.get("quality") == "out_of_range" else "")
