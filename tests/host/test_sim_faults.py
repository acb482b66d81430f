"""The simulation's faults: parsed, struck at their time and undone, and refused in one line where they make no sense."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from host_tools import cli
from host_tools.errors import InputError
from host_tools.reader import Trust
from host_tools.reader.connection import Address, parse
from host_tools.sim import faults, scenario, security, soak
from host_tools.sim.broker import Broker
from host_tools.sim.faults import Fault, Faults


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("reset@5", Fault("reset", 5, 5)),
        ("silence@5:7.5", Fault("silence", 5, 7.5)),
        ("broker-kill@0:1", Fault("broker-kill", 0, 1)),
    ],
)
def test_fault_is_parsed(text: str, fault: Fault) -> None:
    assert faults.parse(text) == fault


@pytest.mark.parametrize("text", ["", "reset", "reset@5:6", "silence@5", "silence@5:5", "silence@7:5", "rest@5", "dns-hang@a:b"])
def test_text_that_is_no_fault_is_one_line(text: str) -> None:
    with pytest.raises(InputError, match=r"give KIND@START:END in seconds, such as silence@10:20, or reset@10"):
        faults.parse(text)


def test_faults_that_last_must_not_overlap_and_are_put_in_order() -> None:
    assert [f.kind for f in faults.parse_all(["reset@6", "silence@5:7", "dns-hang@7:8"])] == ["silence", "reset", "dns-hang"]
    with pytest.raises(InputError, match=r"silence@5:7 and dns-hang@6:8 overlap"):
        faults.parse_all(["dns-hang@6:8", "silence@5:7"])
    with pytest.raises(InputError, match=r"outage 6:9 and silence@5:7 overlap"):
        scenario.check_air([(6.0, 9.0)], faults.parse_all(["silence@5:7"]))
    scenario.check_air([(7.0, 9.0)], faults.parse_all(["silence@5:7", "dns-fail@7:9"]))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("sim --for 2 --fault reset@9999", "reset at 9999 s: the drive ends at 2 s"),
        ("sim --for 2 --fault reset@1 --fault silence@2:3", "silence at 2 s: the drive ends at 2 s"),
        ("sim --for 2 --outage 5:9", "outage at 5 s: the drive ends at 2 s"),
        ("sim --fault reset@60", "reset at 60 s: the drive ends at 60 s"),
        ("demo --fault reset@45", "reset at 45 s: the drive ends at 30 s"),
    ],
)
def test_fault_that_would_never_strike_is_refused(words: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(words.split())
    expected = f"pigtail: error: {said}; give an earlier time or a longer --for\n"
    assert (ended.value.code, capsys.readouterr().err) == (2, expected)


class Ends:
    """Everything that a fault is done to; notes what was done."""

    def __init__(self) -> None:
        self.done: list[object] = []

    def __getattr__(self, name: str) -> Any:
        def note(*values: object) -> Any:
            self.done.append((name, *values))
            return asyncio.sleep(0) if name in ("kill", "start") else None

        return note


@pytest.mark.parametrize(
    ("text", "done"),
    [
        ("reset@5", [("until", 5), ("reset",)]),
        ("silence@5:7", [("until", 5), ("cut",), ("until", 7), ("restore",)]),
        ("dns-hang@5:7", [("until", 5), ("names", "?"), ("until", 7), ("names", "1")]),
        ("dns-fail@5:7", [("until", 5), ("names", "0"), ("until", 7), ("names", "1")]),
        ("broker-stall@5:7", [("until", 5), ("stop", True), ("until", 7), ("stop", False)]),
        ("broker-kill@5:7", [("until", 5), ("kill",), ("until", 7), ("start",)]),
        ("bus-off@5", [("until", 5), ("throw_off_the_bus",)]),
        ("no-ack@5:7", [("until", 5), ("wire", 1), ("until", 7), ("wire", 0)]),
        ("error-passive@5:7", [("until", 5), ("wire", 2), ("until", 7), ("wire", 0)]),
    ],
)
def test_fault_is_struck_and_undone(text: str, done: list[object]) -> None:
    ends = Ends()

    async def until(at: float) -> None:
        ends.done.append(("until", at))

    broker = Broker("", "mosquitto", Address("x"), 1, cast(Any, ends))
    asyncio.run(Faults(cast(Any, ends), cast(Any, ends), broker).strike(faults.parse(text), until))
    assert ends.done == done


def test_broker_that_is_not_ours_cannot_be_stopped() -> None:
    external = Broker("", "external", Address("x"), 1)
    faults.check(faults.parse_all(["reset@1", "silence@2:3"]), external)
    with pytest.raises(InputError, match="broker-stall@2:3: needs a mosquitto of our own, and this broker is external"):
        faults.check(faults.parse_all(["broker-stall@2:3"]), external)


def test_tls_is_for_a_broker_of_our_own() -> None:
    assert [scenario.check_tls(tls, None) for tls in ("", "server", "mutual")] == ["", "server", "mutual"]
    for tls, broker in ("yes", None), ("server", "mqtt://broker"):
        with pytest.raises(InputError, match="--tls"):
            scenario.check_tls(tls, broker)


def test_device_is_given_the_ca_of_a_broker_that_runs_already() -> None:
    assert security.of_another(parse("mqtt://broker"), Trust()) == security.Security()
    with pytest.raises(InputError, match="the device trusts no CA by itself: name that of mqtts://broker:8883 with --ca"):
        security.of_another(parse("mqtts://broker"), Trust())


@pytest.mark.parametrize("seed", range(20))
def test_soak_strikes_each_fault_once_and_then_one_after_another_and_leaves_both_looks_calm(seed: int) -> None:
    struck = list(soak.events(36_000, seed))
    assert len(struck) > 60 and {fault.kind for fault in struck} == {kind for kind, _ in soak.KINDS}
    ends = [soak.CALM_S, *(fault.end for fault in struck)]
    starts = [*(fault.start for fault in struck), 36_000 - soak.LOOK_S]
    pauses = [round(start - end) for end, start in zip(ends, starts, strict=True)]
    assert min(pauses[1:]) >= soak.LEAST_PAUSE_S
    first = struck[: len(soak.WARM)]
    assert {fault.kind for fault in first} == {kind for kind, _ in soak.KINDS}
    assert pauses[len(first)] >= soak.LEAST_PAUSE_S + soak.LOOK_S
    assert first[-1].kind == struck[-1].kind == "reset"
    assert struck == list(soak.events(36_000, seed))


def test_soak_fails_for_a_leak_or_a_sample_that_is_missing() -> None:
    def holds(leak: int, once: int = 0, **counts: int) -> bool:
        report = {"samples_missing": 0, "lost_after_ack": 0, "duplicates": 0, "undecodable": [], "restarts": 0} | counts
        heaps = [soak.Heap(100_000 + more, 1, 1) for more in (0, once, once + leak)]
        return soak.Soak(cast(Any, SimpleNamespace(**report)), cast(Any, {}), *heaps).holds

    assert holds(0) and holds(soak.LEAK) and holds(-1000)
    assert not holds(soak.LEAK + 1)
    assert holds(0, once=soak.ONCE) and not holds(0, once=soak.ONCE + 1)
    assert not any(holds(0, **{name: 1}) for name in ("samples_missing", "lost_after_ack", "duplicates", "restarts"))
