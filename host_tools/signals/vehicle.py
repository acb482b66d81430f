"""Vehicle files: which signals of a database make up a profile, under which names and how often (TOML).

[vehicle]               the car: name, version, vehicle, dbc; for people: model_years, source, tried
[[signals]]             one signal each
dbc = "Message.Signal"  where the bits are
path = "Vehicle.Speed"  its name from then on: a path of COVESA's Vehicle Signal Specification (VSS)
unit = "km/h"           VSS's unit, which must be the database's too; left out where there is none
datatype = "float"      VSS's
period_ms = 100         or: on_change = true, with deadband = 0.5 for changes that are told only above that
range = [0, 250]        beyond it the device marks a value out_of_range
purpose = "driving"     what the owner's consent goes by
priority = "diagnostic" alert goes out before diagnostic, that before telemetry, which it is when nothing is said
max_error = 0.5         values may be off by as much, and cost less; left out, they are exact; with period_ms only
[[messages]]            one message each that guards itself
dbc = "Message"
counter = "Counter"     its signal that goes up by counter_step (1) modulo counter_modulo (as many values as its bits have)
checksum = "Checksum"   its signal that checks the frame by checksum_rule, one of message.CHECKSUM_RULES
[[ecus]], [states]      whom the device may ask, see asking
[[requests]]            what it asks for by itself, see polling

What selects a signal, counts or checks is decoded with it, under the name "Message.Signal", and not sampled.
"""

import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from cantools.database import Database
from cantools.database import Message as DbcMessage
from cantools.database import Signal as DbcSignal

from host_tools.errors import InputError
from host_tools.signals import answer, asking, convert, database, datatypes, entries, obd, polling
from host_tools.signals.entries import Pick, Rules
from host_tools.signals.overlap import overlaps
from host_tools.signals.profile import UNSAMPLED, Checksum, Counter, Message, Profile, Signal
from host_tools.signals.repair import Report
from host_tools.signals.typed import FaultError


def load(path: Path, report: Report) -> Profile:
    """The profile in a vehicle file; its database's path is relative to it, whose repairs go to `report`.

    Raises InputError that names the file and what in it is unknown, missing or contradicts the database.
    """
    content = _parse(path)
    try:
        head, picks, rules = entries.file(content)
        messages = list(_messages(database.load(path.parent / head.dbc, report), picks, rules)) if head.dbc else []
        whom, windows = _asking(content)
        return Profile(head.name, head.version, head.vehicle, (*messages, *windows), whom)
    except FaultError as fault:
        raise InputError(f"{path}: {fault}") from fault


def _asking(content: dict[str, Any]) -> tuple[asking.Asking, list[Message]]:
    """Whom the device may ask and for what, and the messages by which it reads the answers."""
    whom = asking.read(content)
    polling.parameters(content)
    requests, windows = answer.compiled(polling.read(content, whom.ecus, obd.catalogue))
    for window in windows:
        for one, other in overlaps(window.signals):
            raise FaultError(f"{other.name} overlaps {one.name} in the answer {window.name}")
    return replace(whom, requests=requests), windows


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not TOML: {error}") from error


def _messages(source: Database, picks: list[Pick], rules: list[Rules]) -> Iterator[Message]:
    """The messages of which a signal was picked, in the order of their first one."""
    by_name = {message.name: message for message in source.messages}
    picked: dict[str, dict[str, Pick]] = {}
    for number, pick in enumerate(picks, 1):
        try:
            _check_pick(by_name.get(pick.message), pick)
            if pick.signal in picked.setdefault(pick.message, {}):
                raise FaultError(f'"{pick.message}.{pick.signal}" is picked twice')
        except FaultError as fault:
            raise FaultError(f"signal {number}: {fault}") from fault
        picked[pick.message][pick.signal] = pick
    guards = {rule.message: rule for rule in rules}
    for name in guards.keys() - picked.keys():
        raise FaultError(f"no signal of the message {name} is picked")
    for name, own in picked.items():
        try:
            yield _message(by_name[name], own, guards.get(name))
        except InputError as error:
            raise FaultError(str(error)) from error


def _check_pick(message: DbcMessage | None, pick: Pick) -> None:
    if message is None or pick.signal not in {signal.name for signal in message.signals}:
        raise FaultError(f'the DBC has no signal "{".".join(filter(None, (pick.message, pick.signal)))}"')
    if reason := convert.reasons_to_leave_out(message).get(pick.signal):
        raise FaultError(f'"{pick.message}.{pick.signal}" cannot be sampled: {reason}')
    found = next(signal for signal in message.signals if signal.name == pick.signal)
    signal = convert.convert(found, pick.path, pick.period_ms)
    if pick.unit != signal.unit:
        raise FaultError(f'{pick.path} is in "{pick.unit}" here and in "{signal.unit}" in the DBC')
    datatypes.check(signal, pick.path, pick.datatype, "the DBC")


def _message(message: DbcMessage, picked: dict[str, Pick], guard: Rules | None) -> Message:
    found = {signal.name: signal for signal in message.signals}
    guards = [name for name in (guard.counter, guard.checksum) if name] if guard else []
    for name in guards:
        if name not in found:
            raise FaultError(f'the DBC has no signal "{message.name}.{name}"')
    needed = dict.fromkeys([*picked, *guards, *(s for name in picked for s in _selectors(name, found))])
    names = {name: picked[name].path if name in picked else f"{message.name}.{name}" for name in needed}
    signals = tuple(_signal(found[name], names, picked.get(name)) for name in needed)
    for one, other in overlaps(signals):
        raise FaultError(f"{other.name} overlaps {one.name} in the message {message.name}")
    plain = Message(message.frame_id, message.is_extended_frame, message.name, signals)
    return replace(plain, **_guards(guard, found, names)) if guard else plain


def _signal(signal: DbcSignal, names: dict[str, str], pick: Pick | None) -> Signal:
    selected = convert.selection(signal, names)
    if pick is None:
        return convert.convert(signal, names[signal.name], UNSAMPLED, selected)
    return pick.sampled(convert.convert(signal, pick.path, pick.period_ms, selected))


def _selectors(name: str, found: dict[str, DbcSignal]) -> Iterator[str]:
    """What selects a signal, what selects that, and so on; reasons_to_leave_out has found them to end."""
    signal = found[name]
    while signal.multiplexer_ids and signal.multiplexer_signal is not None:
        yield signal.multiplexer_signal
        signal = found[signal.multiplexer_signal]


def _guards(guard: Rules, found: dict[str, DbcSignal], names: dict[str, str]) -> dict[str, Any]:
    rules: dict[str, Any] = {}
    if guard.counter:
        modulo = guard.modulo or 1 << found[guard.counter].length
        rules["counter"] = Counter(names[guard.counter], modulo, guard.step)
    if guard.checksum:
        rules["checksum"] = Checksum(names[guard.checksum], guard.rule)
    return rules
