"""Several profiles made one."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from host_tools.errors import InputError
from host_tools.signals import answer, asking
from host_tools.signals.asking import Asking, Ecu
from host_tools.signals.profile import Message, Profile
from host_tools.signals.repair import Report
from host_tools.signals.requests import AWAKE, Request


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
    whom = _whom(profiles, report)
    ecus = tuple(dict.fromkeys(whom.values()))
    if why := asking.conflict(ecus):
        raise InputError(f"{name}: {why}")
    requests, windows = answer.renumbered(_asked(profiles, whom, names, report))
    states = {name: state for part in reversed(profiles) for name, state in part.asking.states.items()}
    return Profile(name, version, car, (*messages.values(), *windows), Asking(ecus, states, requests))


def _whom(profiles: Sequence[Profile], report: Report) -> dict[tuple[int, str], Ecu]:
    """By number of the profile and name there the ECU that is asked: of two at one address the first. Raises InputError where two
    of one name or address differ."""
    by_name: dict[str, Ecu] = {}
    by_address: dict[tuple[int, bool, int | None], Ecu] = {}
    whom = {}
    for number, part in enumerate(profiles):
        for ecu in part.asking.ecus:
            if by_name.setdefault(ecu.name, ecu) != ecu:
                raise InputError(f"the ECU {ecu.name} of {part.name} is another one before it; call one of them otherwise")
            whom[number, ecu.name] = first = by_address.setdefault(ecu.asked_at, ecu)
            if first.answers_from != ecu.answers_from:
                raise InputError(f"the ECU {ecu.name} of {part.name} has {first.name}'s tx_id and another rx_id; leave one out")
            if first.name != ecu.name:
                report(f"ECU {ecu.name} of {part.name} is {first.name} before it, and asked as that says")
    return whom


def _asked(
    profiles: Sequence[Profile], whom: Mapping[tuple[int, str], Ecu], names: set[str], report: Report
) -> Iterator[tuple[Request, list[Message]]]:
    """Each request once, with the messages of its windows; names that are taken are changed."""
    seen = set()
    for number, part in enumerate(profiles):
        windows = {message.arbitration_id: message for message in part.messages if message.is_window}
        for request in part.asking.requests:
            ecu = whom[number, request.ecu]
            text = f"request {ecu.name} {request.request.hex().upper()} of {part.name} left out"
            if (ecu.name, request.request) in seen:
                report(f"{text}: it is asked already")
                continue
            if unsafe := set(request.states) - {AWAKE, *ecu.safe}:
                report(f"{text}: {ecu.name} is not said to be safe to ask while {', '.join(sorted(unsafe))}")
                continue
            seen.add((ecu.name, request.request))
            own = [_renamed(windows[window.virtual_id], names, report) for window in request.windows]
            names.update(signal.name for message in own for signal in message.signals)
            yield replace(request, ecu=ecu.name), own


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
