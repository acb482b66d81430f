"""Several profiles made one."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from host_tools.errors import InputError
from host_tools.signals import answer
from host_tools.signals.asking import MOST_ECUS, Asking, Ecu
from host_tools.signals.profile import Message, Profile
from host_tools.signals.repair import Report
from host_tools.signals.requests import Request


def merge(profiles: Sequence[Profile], report: Report) -> Profile:
    """One profile of several. An id that is taken already is left out and reported; so are names changed that are taken."""
    if len(profiles) == 1:
        return profiles[0]
    messages: dict[int, Message] = {}
    names: set[str] = set()
    for part in profiles:
        for message in part.messages:
            if message.is_window:
                continue
            if message.key in messages:
                report(f"message {message.name} of {part.name} left out: its id {message.arbitration_id:X} is taken")
                continue
            messages[message.key] = own = _renamed(message, names, report)
            names.update(signal.name for signal in own.signals)
    name, version, car = (
        _joined(getattr(part, key) for part in profiles) for key in ("name", "version", "vehicle")
    )
    ecus = _ecus(profiles)
    requests, windows = answer.renumbered(_asked(profiles, names, report))
    states = {name: state for part in reversed(profiles) for name, state in part.asking.states.items()}
    return Profile(name, version, car, (*messages.values(), *windows), Asking(ecus, states, requests))


def _ecus(profiles: Sequence[Profile]) -> tuple[Ecu, ...]:
    """Those of all profiles, each once. Raises InputError where two of one name differ."""
    found: dict[str, Ecu] = {}
    for part in profiles:
        for ecu in part.asking.ecus:
            if found.setdefault(ecu.name, ecu) != ecu:
                raise InputError(f"the ECU {ecu.name} of {part.name} is another one before it; call one of them otherwise")
    if len(found) > MOST_ECUS:
        raise InputError(f"{len(found)} ecus; a device takes {MOST_ECUS}, choose among them")
    return tuple(found.values())


def _asked(
    profiles: Sequence[Profile], names: set[str], report: Report
) -> Iterator[tuple[Request, list[Message]]]:
    """Each request once, with the messages of its windows; names that are taken are changed."""
    seen = set()
    for part in profiles:
        windows = {message.arbitration_id: message for message in part.messages if message.is_window}
        for request in part.asking.requests:
            if (request.ecu, request.request) in seen:
                text = f"{request.ecu} {request.request.hex().upper()}"
                report(f"request {text} of {part.name} left out: it is asked already")
                continue
            seen.add((request.ecu, request.request))
            own = [_renamed(windows[window.virtual_id], names, report) for window in request.windows]
            names.update(signal.name for message in own for signal in message.signals)
            yield request, own


def _renamed(message: Message, taken: set[str], report: Report) -> Message:
    """`message` with its id in the names that are taken."""
    new = {s.name: f"{s.name}_{message.arbitration_id:X}" for s in message.signals if s.name in taken}
    for old, name in new.items():
        report(f"signal {old} of id {message.arbitration_id:X} is now {name}: the name is taken")
    signals = []
    for signal in message.signals:
        selection = signal.selection
        if selection and selection.selector in new:
            selection = replace(selection, selector=new[selection.selector])
        signals.append(replace(signal, name=new.get(signal.name, signal.name), selection=selection))
    counter, checksum = (
        replace(rule, signal=new.get(rule.signal, rule.signal)) if rule else None
        for rule in (message.counter, message.checksum)
    )
    return replace(message, signals=tuple(signals), counter=counter, checksum=checksum)  # type: ignore[arg-type]


def _joined(texts: Iterable[str]) -> str:
    return " + ".join(dict.fromkeys(text for text in texts if text))
