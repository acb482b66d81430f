"""When samples were: clocks that are not set, wrong, set late, stepped; batches in any order; several boots and devices."""

from batch_encoder import Encoder
from test_reader_inbox import HASH, PACKED, PROFILE, PROFILE_TOPIC, topic

from host_tools.reader import BatchEvent, Clock, Clocks, decode, read_header
from host_tools.reader.inbox import Inbox

NOW = 1_767_225_600_000
NONE, RTC, NTP, GNSS = range(4)


def batch(tick: int, clock: int = NONE, utc_ms: int = 0, boot: int = 1) -> bytes:
    """One sample at `tick` x 100 ms; its number is the tick."""
    encoder = Encoder(PROFILE, HASH, boot=boot, first=tick, start=tick, ticks=1, clock=clock, utc_ms=utc_ms)
    encoder.readings[tick, 0] = 7
    encoder.events.append(("text", 100 * tick, "Vehicle.X", ""))
    return encoder.encode()


def learnt(*payloads: bytes, device: str = "kona") -> Clocks:
    clocks = Clocks()
    for payload in payloads:
        clocks.learn(device, read_header(payload), PROFILE.grid_ms)
    return clocks


def placed(clocks: Clocks, payload: bytes, device: str = "kona") -> tuple[float | None, str]:
    """UTC and clock of the batch's records, which must be of one mind with its header."""
    found = clocks.placed(device, decode(payload, PROFILE))
    ((utc, clock),) = {(record.utc, record.clock) for record in found.records}
    assert found.header.clock == clock
    return utc, clock


def test_fault_6_clock_unknown_at_boot_is_placed_by_the_later_one():
    before, after = batch(10), batch(50, NTP, NOW)
    assert placed(learnt(before), before) == (None, "none")
    assert placed(learnt(before, after), before) == (NOW / 1000 + 1, "ntp")


def test_wrong_rtc_is_corrected_by_ntp_and_ntp_by_gnss():
    in_2000 = batch(10, RTC, 946_684_800_000)
    assert placed(learnt(in_2000), in_2000) == (946_684_801.0, "rtc")
    assert placed(learnt(in_2000, batch(50, NTP, NOW)), in_2000) == (NOW / 1000 + 1, "ntp")
    clocks = learnt(batch(50, NTP, NOW), batch(60, GNSS, NOW + 5), batch(70, NTP, NOW), in_2000, batch(80))
    assert clocks.of("kona", 1) == Clock("gnss", NOW + 5)


def test_fault_6_step_back_of_the_clock_counts_for_the_whole_boot():
    hour = 3_600_000
    first, second = batch(10, NTP, NOW + hour), batch(50, NTP, NOW)
    assert placed(learnt(first, second), first) == (NOW / 1000 + 1, "ntp")
    assert placed(learnt(first, second), second) == (NOW / 1000 + 5, "ntp")


def test_batch_that_was_recorded_before_and_comes_late_does_not_undo_a_step():
    assert learnt(batch(50, NTP, NOW), batch(10, NTP, NOW + 9)).of("kona", 1) == Clock("ntp", NOW)


def test_of_two_that_begin_at_the_same_time_the_one_that_comes_later_counts():
    assert learnt(batch(50, NTP, NOW), batch(50, NTP, NOW + 9)).of("kona", 1) == Clock("ntp", NOW + 9)


def test_late_batch_of_the_boot_before_keeps_its_own_clock():
    late = batch(10, boot=1)
    clocks = learnt(batch(5, NTP, NOW, boot=1), batch(20, GNSS, NOW + 60_000, boot=2), late)
    assert placed(clocks, late) == (NOW / 1000 + 1, "ntp")
    assert placed(clocks, batch(10, boot=2)) == (NOW / 1000 + 61, "gnss")
    assert placed(clocks, batch(10, boot=3)) == (None, "none")


def test_devices_do_not_share_a_clock():
    clocks = learnt(batch(10, NTP, NOW))
    clocks.learn("zoe", read_header(batch(10, RTC, NOW + 7)), PROFILE.grid_ms)
    assert placed(clocks, batch(10), "kona") == (NOW / 1000 + 1, "ntp")
    assert placed(clocks, batch(10), "zoe") == ((NOW + 7) / 1000 + 1, "rtc")


def test_time_that_cannot_be_written_is_not_known():
    assert Clock("gnss", 253_402_300_799_999).utc(0) is not None
    assert Clock("gnss", 253_402_300_799_999).utc(1) is None


def test_inbox_places_by_what_is_known_so_far():
    inbox = Inbox()
    list(inbox.receive(PROFILE_TOPIC, PACKED))
    found = []
    for payload in batch(10), batch(20, RTC, NOW), batch(30, NTP, NOW + 8), batch(40):
        (event,) = inbox.receive(topic("telemetry"), payload)
        assert isinstance(event, BatchEvent)
        found += [(sample.utc, sample.clock) for sample in event.batch.samples]
    seconds = NOW / 1000
    assert found == [(None, "none"), (seconds + 2, "rtc"), (seconds + 3.008, "ntp"), (seconds + 4.008, "ntp")]
