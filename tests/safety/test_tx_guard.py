"""The gate as a safety box. Every test takes the gate as `gate`, so that `mutants.py` can run it on mutants, too."""

from typing import Any

import pytest
from safety.gate import FLOW_CONTROL, Gate, load, single

READ_VIN = single(0x22, 0xF1, 0x90)
# What the default setting lets through, written down anew: service -> lengths.
DEFAULT = {
    0x01: {2, 3, 4, 5, 6, 7}, 0x02: {3, 5, 7}, 0x03: {1}, 0x07: {1}, 0x09: {2}, 0x0A: {1},
    0x19: {2, 3, 4, 5, 6}, 0x22: {3, 5, 7}, 0x3E: {2},
}  # fmt: skip
MORE = {0x05: {3}, 0x06: {2, 3, 4, 5, 6, 7}, 0x12: {2, 3, 4, 5}, 0x13: {1, 3}, 0x17: {3}, 0x18: {4}, 0x1A: {2}, 0x21: {2, 3}}
SECONDS = {0x19: {1, 2, 3, 4, 6, 10}, 0x3E: {0, 0x80}}  # the second byte, where it matters
NEVER = bytes.fromhex("08 11 23 27 28 29 2C 2E 2F 31 34 35 36 37 38 3D 83 84 85 86 87")


@pytest.fixture
def gate() -> Gate:
    return load()


def may(allowed: dict[int, set[int]], data: bytes) -> bool:
    """Whether a frame with the length and service in front is one of `allowed`."""
    return data[0] in allowed.get(data[1], ()) and data[2] in SECONDS.get(data[1], range(256))


def attempt(gate: Gate, guard: Any, ecu: Any, data: bytes, arbitration_id: int | None = None) -> bool:
    """Whether it got to the bus, in a second of its own and with nothing under way."""
    gate.now += 1000
    guard.ended(ecu)
    guard.beat()
    before = len(gate.bus)
    told = guard.send(ecu.tx_id if arbitration_id is None else arbitration_id, ecu.is_extended_id, data)
    assert (told == "") == (len(gate.bus) == before + 1)
    return len(gate.bus) > before


def test_every_service_length_and_subfunction_against_the_allow_list(gate: Gate) -> None:
    ecu = gate.m.Ecu(0x7E0)
    guard = gate.guard(ecu)
    passed = set()
    for service in range(256):
        for length in [*range(10), 0x10, 0x12, 0x1F, 0x20, 0x21, 0x40, 0x82, 0xF2]:
            for second in (0, 1, 2, 3, 4, 5, 6, 7, 10, 0x7F, 0x80, 0x81, 0x90, 0xFF):
                data = bytes([length, service, second, 0xF1, 0x90, 0, 0, 0])
                if attempt(gate, guard, ecu, data):
                    passed.add(data)
                    assert may(DEFAULT, data), data.hex()
                else:
                    assert not may(DEFAULT, data), data.hex()
    assert {data[1] for data in passed} == set(DEFAULT)
    assert {frame[2] for frame in gate.bus} == {0}


def test_all_that_may_be_set_to_read(gate: Gate) -> None:
    ecu = gate.m.Ecu(0x7E0)
    guard = gate.guard(ecu, services=bytes(MORE | DEFAULT))
    for service in range(256):
        for length in range(9):
            data = bytes([length, service, 1, 0xF1, 0x90, 0, 0, 0])
            assert attempt(gate, guard, ecu, data) == may(MORE | DEFAULT, data), data.hex()


def test_what_is_never_allowed_cannot_be_set(gate: Gate) -> None:
    for service in [*NEVER, 0x04, 0x10, 0x14]:
        with pytest.raises(ValueError, match=f"service {service:02x} may never be allowed"):
            gate.guard(services=gate.m.DEFAULT + bytes([service]))


def test_fault_33_every_id_with_a_profile(gate: Gate) -> None:
    plain, wide, prefixed = gate.m.Ecu(0x7E0), gate.m.Ecu(0x18DA10F1, True), gate.m.Ecu(0x6F1, prefix=0x12)
    guard = gate.guard(plain, wide, prefixed)
    wide_ids = {0x18DB33F1, *range(0x18DA00F1, 0x18DB00F1, 0x100), *range(0x18DA10E0, 0x18DA1100), 0x7E0, 0x6F1, 0}
    for arbitration_id in [*range(0x800), 0x18DA10F1]:
        assert attempt(gate, guard, plain, READ_VIN, arbitration_id) == (arbitration_id == 0x7E0), arbitration_id
    for arbitration_id in wide_ids:
        assert attempt(gate, guard, wide, READ_VIN, arbitration_id) == (arbitration_id == 0x18DA10F1), arbitration_id
    for first in range(256):
        assert attempt(gate, guard, prefixed, bytes([first]) + READ_VIN[:7]) == (first == 0x12)
    assert [(frame[0], frame[2]) for frame in gate.bus] == [(0x7E0, 0), (0x18DA10F1, 2), (0x6F1, 0)]


def test_fault_33_exhaustive_every_id_and_service(gate: Gate) -> None:
    ecu, wide = gate.m.Ecu(0x7E0, interval_ms=0), gate.m.Ecu(0x18DA10F1, True, interval_ms=0)
    guard = gate.guard(ecu, wide)
    ids = [(n, False) for n in range(0x800)] + [(0x18DA00F1 | n << 8, True) for n in range(256)]
    ids += [(0x18DB0000 | n, True) for n in range(0, 0x10000, 257)]
    passed = set()
    for arbitration_id, is_extended_id in ids:
        for service in range(256):
            for length in 1, 2, 3:
                gate.now += 100
                guard.beat()
                if guard.send(arbitration_id, is_extended_id, bytes([length, service, 1, 0, 0, 0, 0, 0])) == "":
                    passed.add((arbitration_id, service, length))
                    guard.ended(ecu)
                    guard.ended(wide)
    allowed = {(s, n) for s, lengths in DEFAULT.items() for n in lengths & {1, 2, 3} if s != 0x3E}
    assert passed == {(i, *a) for i in (0x7E0, 0x18DA10F1) for a in allowed}


def test_fault_33_shut_or_without_a_profile_nothing_gets_through(gate: Gate) -> None:
    for guard in gate.guard(gate.m.Ecu(0x7E0), opened=False), gate.guard():
        for arbitration_id in range(0x800):
            for service in 0x01, 0x22, 0x3E, 0x11, 0x04:
                assert guard.send(arbitration_id, False, single(service, 0, 0))
    assert gate.bus == []


def test_opened_and_shut_again(gate: Gate) -> None:
    guard = gate.guard(gate.m.Ecu(0x7E0), opened=False)
    assert not guard.is_open
    assert guard.send(0x7E0, False, READ_VIN) == "shut"
    gate.now += 60_000
    guard.watch(0, 0)
    guard.beat()
    guard.open(gate)
    assert guard.is_open
    assert guard.send(0x7E0, False, READ_VIN) == ""
    guard.shut()
    gate.now += 1000
    assert not guard.is_open
    assert guard.send(0x7E0, False, READ_VIN) == "shut"
    assert guard.refused == {"shut": 2}
    assert guard.sent == 1


def test_wrong_lengths_of_frame(gate: Gate) -> None:
    ecu = gate.m.Ecu(0x7E0)
    guard = gate.guard(ecu)
    for length in *range(8), 9, 12, 64:
        assert guard.send(0x7E0, False, (READ_VIN + bytes(64))[:length]) == "form", length
    assert gate.bus == []


def test_prefixed_request_has_one_byte_less(gate: Gate) -> None:
    ecu = gate.m.Ecu(0x6F1, prefix=0)
    guard = gate.guard(ecu)
    for length in range(9):
        data = bytes([0, length, 0x01, 0, 0, 0, 0, 0])
        assert attempt(gate, guard, ecu, data) == (2 <= length <= 6), length
    assert attempt(gate, guard, ecu, bytes([0, 3, 0x22, 0xF1, 0x90, 0, 0, 0]))
    assert attempt(gate, guard, ecu, bytes([0, 2, 0x3E, 0x80, 1, 0, 0, 0]))
    assert not attempt(gate, guard, ecu, bytes([0, 2, 0x3E, 1, 0x80, 0, 0, 0]))
    guard.permit_clear(ecu, 0x04)
    assert attempt(gate, guard, ecu, bytes([0, 1, 0x04, 0x22, 0, 0, 0, 0]))
    assert not attempt(gate, guard, ecu, bytes([0, 1, 0x04, 0x22, 0, 0, 0, 0]))
    gate.now += 1000
    guard.ended(ecu)
    assert not attempt(gate, guard, ecu, bytes([0, 2, 0x22, 0x22, 0xF1, 0x90, 0, 0]))
    guard.send(0x6F1, False, bytes([0, 3, 0x22, 0xF1, 0x90, 0, 0, 0]))
    assert guard.send(0x6F1, False, bytes([0, 0x30, 0, 0, 0, 0, 0, 0])) == ""
    assert guard.send(0x6F1, False, bytes([0, 0, 0x30, 0, 0, 0, 0, 0])) == "form"


def test_clearing_is_for_a_single_use(gate: Gate) -> None:
    for service, payload in (0x14, (0x14, 0xFF, 0xFF, 0xFF)), (0x04, (0x04,)):
        ecu, other = gate.m.Ecu(0x7E0), gate.m.Ecu(0x7E1)
        guard = gate.guard(ecu, other)
        assert not attempt(gate, guard, ecu, single(*payload))
        guard.permit_clear(ecu, service)
        assert not attempt(gate, guard, other, single(*payload)), "allowed for another"
        swapped = single(0x04) if service == 0x14 else single(0x14, 0xFF, 0xFF, 0xFF)
        assert not attempt(gate, guard, ecu, swapped), "allowed for the other service"
        assert not attempt(gate, guard, ecu, single(*payload, 0)), "longer"
        assert not attempt(gate, guard, ecu, bytes([len(payload) - 1 or 2]) + single(*payload)[1:]), "shorter"
        assert attempt(gate, guard, ecu, single(0x3E, 0))
        assert attempt(gate, guard, ecu, single(*payload))
        assert not attempt(gate, guard, ecu, single(*payload)), "twice"
        with pytest.raises(ValueError, match="service 11 does not clear trouble codes"):
            guard.permit_clear(ecu, 0x11)


def test_sessions_are_those_of_the_profile(gate: Gate) -> None:
    plain, reading = gate.m.Ecu(0x7E0), gate.m.Ecu(0x7E1, sessions=b"\x03\x40")
    guard = gate.guard(plain, reading)
    for session in range(256):
        assert not attempt(gate, guard, plain, single(0x10, session))
        assert attempt(gate, guard, reading, single(0x10, session)) == (session in (1, 3, 0x40)), session
        assert not attempt(gate, guard, reading, single(0x10, session, 0))
    assert not attempt(gate, guard, reading, bytes([1, 0x10, 3, 0, 0, 0, 0, 0]))
    with pytest.raises(ValueError, match="ecu 7e0: the programming session may never be allowed"):
        gate.m.Ecu(0x7E0, sessions=b"\x03\x02")


def test_flow_control_only_while_an_answer_may_come(gate: Gate) -> None:
    ecu, other, all_of_them = gate.m.Ecu(0x7E0), gate.m.Ecu(0x7E1), gate.m.Ecu(0x7DF, functional=True)
    guard = gate.guard(ecu, other, all_of_them)
    assert guard.send(0x7E0, False, FLOW_CONTROL) == "not_under_way"
    assert guard.send(0x7E0, False, READ_VIN) == ""
    for status in range(16):
        gate.passes(guard, 500)
        guard.beat()
        told = guard.send(0x7E0, False, bytes([0x30 | status, 8, 0x7F, 0, 0, 0, 0, 0]))
        assert told == ("" if status <= 2 else "form"), status
    for kind in 0x10, 0x20, 0x40, 0x50, 0x80, 0xB0, 0xF0:
        assert guard.send(0x7E0, False, bytes([kind]) + FLOW_CONTROL[1:]) == "form", kind
    assert guard.send(0x7E1, False, FLOW_CONTROL) == "not_under_way"
    assert guard.send(0x7DF, False, FLOW_CONTROL) == "not_under_way"
    guard.ended(ecu)
    assert guard.send(0x7E0, False, FLOW_CONTROL) == "not_under_way"


def test_flow_control_goes_to_the_physical_id_after_a_functional_request(gate: Gate) -> None:
    ecu, all_of_them = gate.m.Ecu(0x7E0), gate.m.Ecu(0x7DF, functional=True)
    guard = gate.guard(ecu, all_of_them)
    assert guard.send(0x7DF, False, single(0x09, 0x02)) == ""
    assert guard.send(0x7E0, False, FLOW_CONTROL) == ""
    assert guard.send(0x7DF, False, FLOW_CONTROL) == "not_under_way"
    gate.passes(guard, 9_999)
    assert guard.send(0x7E0, False, FLOW_CONTROL) == ""
    gate.now += 1
    assert guard.send(0x7E0, False, FLOW_CONTROL) == "not_under_way"


def test_flow_control_is_no_request(gate: Gate) -> None:
    ecu = gate.m.Ecu(0x7E0, interval_ms=100)
    guard = gate.guard(ecu)
    guard.permit_clear(ecu, 0x04)
    assert guard.send(0x7E0, False, READ_VIN) == ""
    gate.passes(guard, 9_999)
    assert guard.send(0x7E0, False, bytes([0x31, 0x04, 0x04, 0, 0, 0, 0, 0])) == ""
    gate.now += 1
    assert guard.send(0x7E0, False, single(0x04)) == "", "the permission is still there, and so is the time of the request"


def test_one_request_under_way_for_each_ecu(gate: Gate) -> None:
    ecu, other = gate.m.Ecu(0x7E0), gate.m.Ecu(0x7E1)
    guard = gate.guard(ecu, other)
    assert guard.send(0x7E0, False, READ_VIN) == ""
    assert guard.send(0x7E1, False, READ_VIN) == ""
    gate.passes(guard, 9_999)
    assert guard.send(0x7E0, False, READ_VIN) == "under_way"
    gate.now += 1
    assert guard.send(0x7E0, False, READ_VIN) == ""
    guard.ended(other)
    assert guard.send(0x7E1, False, READ_VIN) == ""


def test_functional_request_is_under_way_for_every_ecu(gate: Gate) -> None:
    ecu, other = gate.m.Ecu(0x7E4), gate.m.Ecu(0x7E2)
    everyone, wide = gate.m.Ecu(0x7DF, functional=True), gate.m.Ecu(0x18DB33F1, True, functional=True)
    guard = gate.guard(ecu, everyone, other, wide)
    assert guard.send(0x7E4, False, READ_VIN) == guard.send(0x7E2, False, READ_VIN) == ""
    for last in ecu, other:
        gate.now += 1000
        assert guard.send(0x7DF, False, single(0x09, 0x02)) == "under_way"
        guard.ended(last)
    assert guard.send(0x7DF, False, single(0x09, 0x02)) == ""
    gate.now += 1000
    assert guard.send(0x18DB33F1, True, single(0x09, 0x02)) == "under_way"
    assert guard.send(0x7E4, False, READ_VIN) == guard.send(0x7E2, False, READ_VIN) == "under_way"
    assert guard.send(0x7E4, False, FLOW_CONTROL) == guard.send(0x7E2, False, FLOW_CONTROL) == ""
    guard.ended(everyone)
    assert guard.send(0x7E4, False, READ_VIN) == ""


def test_budget_of_an_ecu(gate: Gate) -> None:
    ecu = gate.m.Ecu(0x7E0, interval_ms=700)
    guard = gate.guard(ecu)
    assert guard.send(0x7E0, False, READ_VIN) == ""
    guard.ended(ecu)
    gate.now += 699
    assert guard.send(0x7E0, False, READ_VIN) == "ecu_budget"
    gate.now += 1
    assert guard.send(0x7E0, False, READ_VIN) == ""
    assert gate.m.Ecu(1).interval_ms == 100


def test_budget_of_all(gate: Gate) -> None:
    ecus = [gate.m.Ecu(0x700 + n) for n in range(22)]
    guard = gate.guard(*ecus)
    told = []
    for n in range(12):
        told.append(guard.send(0x700 + n, False, READ_VIN))
        gate.now += 10
    assert told == [""] * 10 + ["budget"] * 2
    gate.now += 1000 - 120 - 1
    assert guard.send(0x70A, False, READ_VIN) == "budget"
    gate.now += 1
    assert guard.send(0x70A, False, READ_VIN) == ""
    assert guard.send(0x70B, False, READ_VIN) == "budget"
    assert guard.send(0x700, False, FLOW_CONTROL) == "budget"
    gate.now += 10
    assert guard.send(0x70B, False, READ_VIN) == ""
    assert guard.refused == {"budget": 5}


def test_vehicle_must_be_awake(gate: Gate) -> None:
    for state in "locked", "asleep", "charging", "unknown", "", "on fire":
        ecu = gate.m.Ecu(0x7E0)
        guard = gate.guard(ecu)
        gate.state = state
        assert guard.send(0x7E0, False, READ_VIN) == "vehicle"
        assert guard.send(0x7E0, False, single(0x11, 1)) == "service"
        gate.state = "awake"
        assert guard.send(0x7E0, False, READ_VIN) == ""
        gate.state = state
        assert guard.send(0x7E0, False, FLOW_CONTROL) == "vehicle"


def test_profile_may_say_which_states_are_safe(gate: Gate) -> None:
    charging, locked = gate.m.Ecu(0x7E0, safe=("charging",)), gate.m.Ecu(0x7E1, safe=("locked",))
    guard = gate.guard(charging, locked)
    for state, ecu, passes in [
        ("charging", charging, True), ("locked", charging, False), ("unknown", charging, False),
        ("locked", locked, True), ("unknown", locked, True), ("asleep", locked, False), ("awake", locked, True),
        ("zzz", locked, False),
    ]:  # fmt: skip
        gate.state = state
        assert attempt(gate, guard, ecu, READ_VIN) == passes, (state, ecu.tx_id)


def test_fault_34_bus_off_and_transmit_errors_mute_for_good(gate: Gate) -> None:
    for state, errors, reason in [
        (0, 31, ""), (1, 0, ""), (2, 31, ""), (2, 32, "transmit_errors"), (1, 33, "transmit_errors"),
        (3, 0, "transmit_errors"), (4, 0, "bus_off"), (5, 0, "bus_off"), (4, 255, "bus_off"),
    ]:  # fmt: skip
        gate.mutes.clear()
        ecu = gate.m.Ecu(0x7E0)
        guard = gate.guard(ecu)
        guard.watch(state, errors)
        assert guard.muted == reason
        assert gate.mutes == ([reason] if reason else [])
        assert guard.is_open == (not reason)
        guard.watch(1, 0)
        assert attempt(gate, guard, ecu, READ_VIN) == (not reason)
        guard.unmute()
        assert attempt(gate, guard, ecu, READ_VIN)


def test_errors_while_shut_are_not_ours(gate: Gate) -> None:
    guard = gate.guard(gate.m.Ecu(0x7E0), opened=False)
    guard.watch(4, 255)
    assert guard.muted == ""


def test_mute_of_before_is_kept_and_told_once(gate: Gate) -> None:
    ecu = gate.m.Ecu(0x7E0)
    guard = gate.guard(ecu, muted="dtc", opened=False)
    assert guard.send(0x7E0, False, READ_VIN) == "muted"
    guard.open(gate)
    guard.mute("bus_off")
    assert guard.muted == "dtc"
    assert gate.mutes == []
    assert guard.send(0x7E0, False, READ_VIN) == "muted"
    guard.unmute()
    guard.mute("dtc")
    guard.mute("bus_off")
    assert gate.mutes == ["dtc"]


def test_fault_35_supervisor_heartbeat_lost(gate: Gate) -> None:
    ecu = gate.m.Ecu(0x7E0)
    guard = gate.guard(ecu)
    gate.now += 4_999
    assert guard.send(0x7E0, False, READ_VIN) == ""
    guard.ended(ecu)
    gate.now += 1
    assert guard.send(0x7E0, False, READ_VIN) == "muted"
    assert gate.mutes == ["heartbeat"]
    guard.beat()
    gate.now += 100
    assert guard.send(0x7E0, False, READ_VIN) == "muted", "a heart that beats again says nothing of what happened meanwhile"
    gate.now += 60_000
    guard.unmute()
    assert guard.send(0x7E0, False, READ_VIN) == ""
    for _ in range(9):
        gate.now += 4_999
        guard.beat()
    assert guard.muted == ""
    gate.now += 5_000
    guard.beat()
    assert guard.muted == "heartbeat"


def test_fault_35_heartbeat_is_judged_while_nothing_is_sent(gate: Gate) -> None:
    guard = gate.guard(gate.m.Ecu(0x7E0))
    gate.now += 6_000
    guard.watch(1, 0)
    assert guard.muted == "heartbeat"


def test_fault_36_another_tester_pauses_for_five_minutes(gate: Gate) -> None:
    ecu, wide = gate.m.Ecu(0x7E0), gate.m.Ecu(0x18DA10F1, True)
    guard = gate.guard(ecu, wide)
    assert attempt(gate, guard, ecu, READ_VIN)
    guard.heard()
    for n in range(299):
        assert not attempt(gate, guard, wide if n % 2 else ecu, READ_VIN)
    gate.now += 999
    assert guard.send(0x7E0, False, READ_VIN) == guard.send(0x18DA10F1, True, READ_VIN) == "other_tester"
    gate.now += 1
    assert guard.send(0x7E0, False, READ_VIN) == guard.send(0x18DA10F1, True, READ_VIN) == ""


def test_fault_36_pause_begins_anew_with_each_request_of_the_other(gate: Gate) -> None:
    ecu = gate.m.Ecu(0x7E0)
    guard = gate.guard(ecu)
    for _ in range(3):
        guard.heard()
        gate.passes(guard, 299_000)
        assert guard.send(0x7E0, False, READ_VIN) == "other_tester"
    gate.passes(guard, 1_000)
    assert guard.send(0x7E0, False, READ_VIN) == ""


def test_fault_36_other_tester_before_the_gate_opens_counts(gate: Gate) -> None:
    ecu = gate.m.Ecu(0x7E0)
    guard = gate.guard(ecu, opened=False)
    guard.heard()
    guard.open(gate)
    assert guard.send(0x7E0, False, READ_VIN) == "other_tester"


def test_times_long_past_are_forgotten_before_ticks_wrap(gate: Gate) -> None:
    ecus = [gate.m.Ecu(0x700 + n) for n in range(10)]
    guard = gate.guard(*ecus)
    for ecu in ecus:
        assert guard.send(ecu.tx_id, False, READ_VIN) == ""
    guard.heard()
    for _ in range(120):
        gate.now += 4_999
        guard.beat()
        guard.watch(1, 0)
    for _ in range(2**29 // 4_999 + 200):
        gate.now += 4_999
        guard.beat()
    assert guard.send(0x700, False, READ_VIN) == ""


def test_full_queue_of_the_controller(gate: Gate) -> None:
    ecu = gate.m.Ecu(0x7E0)
    guard = gate.guard(ecu)
    guard.permit_clear(ecu, 0x04)
    gate.takes = False
    assert guard.send(0x7E0, False, single(0x04)) == "queue"
    assert guard.log == []
    gate.takes = True
    assert guard.send(0x7E0, False, single(0x04)) == "", "nothing is under way, and the permission is still there"


def test_fault_34_controller_that_raises_in_bus_off_or_listen_only_mode(gate: Gate) -> None:
    ecu = gate.m.Ecu(0x7E0)
    guard = gate.guard(ecu)
    gate.raises = True
    assert guard.send(0x7E0, False, READ_VIN) == "queue"
    assert (guard.refused, guard.sent) == ({"queue": 1}, 0)
    gate.raises = False
    assert guard.send(0x7E0, False, READ_VIN) == "", "nothing is under way"
    gate.raises = True
    assert guard.send(0x7E0, False, FLOW_CONTROL) == "queue"


def test_log_holds_the_latest_frames(gate: Gate) -> None:
    ecu = gate.m.Ecu(0x7E0)
    guard = gate.guard(ecu)
    for n in range(70):
        gate.now += 1000
        guard.ended(ecu)
        guard.beat()
        assert guard.send(0x7E0, False, bytearray(single(0x22, 0xF1, n))) == ""
        guard.send(0x7E0, False, single(0x11, 1))
        assert [data for _, _, data in guard.log] == [single(0x22, 0xF1, k) for k in range(max(0, n - 31), n + 1)]
    assert guard.log[-1] == (gate.now // 10, 0x7E0, single(0x22, 0xF1, 69))
    assert isinstance(guard.log[0][2], bytes)
    assert guard.sent == 70
    assert guard.refused == {"service": 70}


def test_log_has_ids_of_29_bits(gate: Gate) -> None:
    guard = gate.guard(gate.m.Ecu(0x18DA10F1, True))
    assert guard.send(0x18DA10F1, True, READ_VIN) == ""
    assert guard.log == [(gate.now // 10, 0x18DA10F1, READ_VIN)]
