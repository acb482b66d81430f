"""can/mcp2515 on a register-level model of the chip: what it costs, what it loses and says so, and what it never does."""

import micropython
from mcp2515_model import CNF1, CNF2, CNF3, CONFIGURATION, EXT, LISTEN_ONLY, NORMAL, RTR, SLEEP, WAKFIL, Chip
from pigtail.can import mcp2515
from pigtail.can.mcp2515 import MCP2515, bit_timing
from runner import raises

RATES = (10_000, 20_000, 33_333, 50_000, 83_333, 95_238, 100_000, 125_000, 250_000, 500_000, 800_000, 1_000_000)
FRAME_US = 250  # 4,000 frames a second


def made(chip, interrupt=True, filters=None, **more):
    """The driver on this chip, listening."""
    mcp2515.sleep_ms = chip.sleep_ms
    can = MCP2515(chip, chip.cs, more.pop("bitrate", 500_000), interrupt=chip.int if interrupt else None, **more)
    can.set_filters(filters)
    chip.passes(1000)
    chip.transactions = chip.bytes = 0
    return can


def count(can):
    """How many frames the driver has."""
    n = 0
    while can.recv():
        n += 1
    return n


def exact(*ids):
    return [(ident, 0x7FF, 0) for ident in ids]


def frames(chip, *what, every_us=FRAME_US):
    """Puts these on the bus, one after another from now on."""
    chip.hears([(chip.now + 10 * every_us * (i + 1), f[0], f[2] if len(f) > 2 else 0, f[1]) for i, f in enumerate(what)])


def pull(can):
    got = []
    while True:
        frame = can.recv([0, None, 0, 0])
        if frame is None:
            return got
        got.append((frame[0], bytes(frame[1]), frame[2]))


def full_bus(chip, count, every_us=FRAME_US):
    """Frames with 40 ids in turn that carry their number; every tenth is one of the wanted 0x100 to 0x103."""
    began = chip.now
    for n in range(count):
        ident = 0x100 + n // 10 % 4 if n % 10 == 0 else 0x400 + n % 40
        yield began + 10 * every_us * (n + 1), ident, 0, n.to_bytes(4, "little") + b"\x55\x55\x55\x55"


WANTED = exact(0x100, 0x101, 0x102, 0x103)


def test_reset_leaves_the_chip_deaf_until_the_filters_are_set():
    chip = Chip()
    mcp2515.sleep_ms = chip.sleep_ms
    can = MCP2515(chip, chip.cs, 500_000)
    assert chip.mode == CONFIGURATION
    assert can.state() == can.STATE_ACTIVE
    can.set_filters([])
    assert chip.mode == CONFIGURATION
    can.set_filters(None)
    chip.passes(100)
    assert (chip.mode, chip.ignored) == (LISTEN_ONLY, [])


def test_no_chip_and_a_wrong_mode_are_refused():
    class Nothing(Chip):
        def _read(self, address):
            return 0xFF

    chip = Nothing()
    mcp2515.sleep_ms = chip.sleep_ms
    with raises(OSError):
        MCP2515(chip, chip.cs, 500_000)
    with raises(ValueError):
        made(Chip(), mode=7)


def test_every_usual_rate_is_met_with_its_sample_point_near_80():
    for crystal_hz in 8_000_000, 16_000_000:
        for rate in RATES:
            if crystal_hz == 8_000_000 and rate > 500_000:
                continue
            chip = Chip(bitrate=rate, crystal_hz=crystal_hz)
            made(chip, bitrate=rate, crystal_hz=crystal_hz)
            assert abs(chip.rate - rate) * 1000 <= rate * 5, (crystal_hz, rate, chip.rate)
            assert 75 <= chip.sample_point <= 85, (crystal_hz, rate, chip.sample_point)


def test_registers_are_those_worked_out_by_hand():
    chip = Chip()
    made(chip)
    assert [chip.register(r) for r in (CNF1, CNF2, CNF3)] == [0x40, 0xAD, 0x02]  # 16 quanta: 1 + 6 + 6 + 3, SJW 2
    assert bit_timing(500_000, 8_000_000) == (0x00, 0x91, 0x01)  # 8 quanta: 1 + 2 + 3 + 2, SJW 1


def test_rate_that_the_crystal_cannot_make_is_refused_in_one_line():
    for rate, crystal_hz in (
        (1_000_000, 8_000_000), (800_000, 8_000_000), (5_000, 16_000_000), (460_000, 16_000_000), (470_000, 8_000_000),
    ):  # fmt: skip
        with raises(ValueError) as caught:
            bit_timing(rate, crystal_hz)
        assert str(caught.error) == "%d bit/s cannot be had from a crystal of %d Hz" % (rate, crystal_hz)


def test_frames_of_both_widths_and_remote_ones_are_read_as_they_are():
    what = [
        (0x7FF, b"", 0), (0, b"\1", 0), (0x555, b"12345678", 0), (0x1FFFFFFF, b"abcdefgh", EXT), (0x1234567, b"\2\3", EXT),
        (0x321, b"\0\0\0", RTR), (0x18DAF110, b"\0" * 8, RTR | EXT),
    ]  # fmt: skip
    for interrupt in True, False:
        chip = Chip()
        can = made(chip, interrupt)
        frames(chip, *what)
        got = []
        for _ in range(8 * FRAME_US // 50):
            chip.passes(50)
            got += pull(can)
        assert got == what


def test_length_code_above_8_means_8_bytes():
    chip = Chip()
    can = made(chip)
    frames(chip, (1, b"123456789abcdef"))
    chip.passes(1000)
    assert pull(can) == [(1, b"12345678", 0)]


def test_received_frame_costs_two_transactions_at_most():
    chip = Chip(host_us=20)
    can = made(chip, filters=WANTED)
    chip.hears(full_bus(chip, 1000))
    got = 0
    for _ in range(1010 * FRAME_US // 2000):
        chip.passes(2000)  # the bus task's turn
        got += count(can)
    assert got == 100
    assert chip.transactions == 200, "only frames cost anything: INT says that there is one"


def test_without_the_pin_a_question_is_the_only_cost_besides():
    chip = Chip()
    can = made(chip, interrupt=False, filters=WANTED)
    chip.hears(full_bus(chip, 1000))
    got = asked = 0
    for _ in range(260):
        chip.passes(1000)
        got += count(can)
        asked += 1
    assert got == 100
    assert chip.transactions <= 2 * got + asked


def test_two_buffers_are_taken_with_one_status_and_in_order():
    chip = Chip()
    can = made(chip, interrupt=False)
    frames(chip, (1, b"a"), (2, b"b"))
    chip.passes(1000)
    assert pull(can) == [(1, b"a", 0), (2, b"b", 0)]
    assert chip.transactions == 4  # status, two buffers, and the question that finds none
    assert chip.lost == 0


def test_receiving_allocates_nothing():
    chip = Chip()
    can = made(chip)
    arg = [0, None, 0, 0]
    frames(chip, (0x123, b"12345678"), (0x1FFFFFFF, b"1234", EXT), (0x7, b"", RTR))
    chip.int.handler = None
    chip.passes(10 * FRAME_US)  # the third overflows

    class Quiet:  # answers as the chip would, without the model's own allocations
        def __init__(self):
            self.answers = []
            self.next = 0

        def record(self, command, answer):
            chip.write_readinto(command, answer)
            self.answers.append(bytes(answer))

        def replay(self, command, answer):
            told = self.answers[self.next]
            for i in range(len(answer)):
                answer[i] = told[i]
            self.next += 1

    quiet = Quiet()
    can._transfer = quiet.record
    assert (can.recv(arg)[0], can.recv(arg)[0], can.recv(arg)) == (0x123, 0x1FFFFFFF, None)
    assert can._overruns == 1
    can._transfer, can._high = quiet.replay, lambda: quiet.next == len(quiet.answers)
    can._select = lambda level: None
    can.recv(arg)
    can.recv(arg)
    quiet.next = 0
    micropython.heap_lock()
    try:
        first = can.recv(arg)[0]
        second = can.recv(arg)[0]
        third = can.recv(arg)
    finally:
        micropython.heap_unlock()
    assert (first, second, third) == (0x123, 0x1FFFFFFF, None)
    assert can._overruns == 3


def test_peers_open_acceptance_masks_overflow_the_two_buffers_and_every_overrun_is_told():
    chip = Chip(host_us=40)
    can = made(chip, interrupt=False)  # and the bus task comes every 2 ms: six of eight frames are too many
    chip.hears(full_bus(chip, 4000))
    got = flagged = 0
    for _ in range(505):
        chip.passes(2000)
        while True:
            frame = can.recv()
            if frame is None:
                break
            got += 1
            flagged += bool(frame[3] & can.RECV_ERR_OVERRUN)
    assert chip.lost > 2000
    assert got + chip.lost == 4000
    assert can.get_counters()[7] == chip.overflows > 400
    assert 400 < flagged <= chip.overflows
    assert chip.overflows * 2 < chip.lost, "the chip's flag stands for any number of frames"


def test_profiles_ids_as_filters_keep_the_buffers_free():
    chip = Chip(host_us=40)
    can = made(chip, filters=WANTED)
    chip.hears(full_bus(chip, 4000))
    awaited = 0
    for _ in range(505):
        chip.passes(2000)
        for _, data, _ in pull(can):
            assert int.from_bytes(data[:4], "little") == awaited
            awaited += 10
    assert awaited == 4000
    assert (chip.lost, can.get_counters()[7]) == (0, 0)


def test_full_bus_without_filters_is_kept_up_with_by_spi_alone():
    chip = Chip(host_us=0)  # 18 bytes at 10 MHz: 14.4 us of the 250 us to the next frame
    can = made(chip)
    chip.hears(full_bus(chip, 4000))
    got = 0
    for _ in range(505):
        chip.passes(2000)
        got += count(can)
    assert (got, chip.lost) == (4000, 0)
    assert chip.bytes == 4000 * 18


def test_slow_processor_loses_frames_and_counts_it():
    chip = Chip(host_us=250)  # around each transaction: two frames, of three, take longer than the next two need to come
    can = made(chip)
    chip.hears(full_bus(chip, 2000))
    got = 0
    for _ in range(500):
        chip.passes(2000)
        got += count(can)
    assert got + chip.lost == 2000
    assert chip.lost > 100
    assert can.get_counters()[7] == chip.overflows > 100


def test_interrupt_while_the_chip_is_selected_waits_for_its_turn():
    chip = Chip(host_us=100)
    can = made(chip)
    chip.hears(full_bus(chip, 400))
    got = 0
    for _ in range(60):
        chip.passes(1500)
        can.get_counters()  # the model calls the handler inside these transactions, and refuses a second CS
        can.state()
        got += count(can)
    assert got == chip.accepted
    assert got + chip.lost == 400


def test_ring_that_nobody_empties_stops_the_reading_and_goes_on_afterwards():
    chip = Chip()
    can = made(chip)
    chip.hears(full_bus(chip, 100))
    chip.passes(101 * FRAME_US)
    first = [data[0] for _, data, _ in pull(can)]
    assert first[:31] == list(range(31))
    assert len(first) + chip.lost == 100
    frames(chip, (5, b"again"))
    chip.passes(1000)
    assert pull(can) == [(5, b"again", 0)]
    assert can.get_counters()[7] == chip.overflows


def test_filters_admit_the_wanted_ids_and_the_chip_keeps_the_others_out():
    chip = Chip()
    can = made(chip, filters=WANTED + [(0x18DAF110, 0x1FFFFFFF, EXT)])
    frames(chip, (0x100, b"\1\2"), (0x104, b""), (0x18DAF110, b"\3", EXT), (0x18DAF111, b"", EXT), (0x103, b"\xff" * 8))
    chip.passes(3000)
    assert [frame[0] for frame in pull(can)] == [0x100, 0x18DAF110, 0x103]
    can.set_filters(exact(0x104))
    frames(chip, (0x100, b""), (0x104, b"\xff\xff"))
    chip.passes(3000)
    assert [frame[0] for frame in pull(can)] == [0x104]
    assert chip.ignored == []


def test_listen_only_sends_nothing_whatever_is_asked_of_it():
    chip = Chip()
    can = made(chip)
    with raises(OSError):
        can.send(0x7DF, b"\2\1\x0c")
    chip.hears(full_bus(chip, 50))
    chip.passes(51 * FRAME_US)
    assert len(pull(can)) >= 31
    assert (chip.dominant, chip.sent) == (0, [])
    assert MCP2515.MODE_SILENT == 4  # and it is the default: `made` named no mode


def test_wrong_rate_in_listen_only_mode_disturbs_nobody_and_is_told_by_the_error_counter():
    chip = Chip(bitrate=250_000)
    can = made(chip)
    chip.hears(full_bus(chip, 40))
    for _ in range(40):
        chip.passes(FRAME_US)
        assert pull(can) == []
        can.get_counters()
    assert can.get_counters()[1] >= 30
    assert chip.dominant == 0


def test_normal_mode_acknowledges_and_a_wrong_rate_there_would_disturb_the_bus():
    for bitrate in 500_000, 250_000:
        chip = Chip(bitrate=bitrate)
        made(chip, mode=MCP2515.MODE_NORMAL)
        chip.hears(full_bus(chip, 10))
        chip.passes(20 * FRAME_US)
        assert (chip.mode, chip.dominant) == (NORMAL, 10)


def test_sent_frames_arrive_as_they_were_given():
    chip = Chip()
    can = made(chip, mode=MCP2515.MODE_NORMAL)
    assert can.send(0x7DF, b"\2\1\x0c") == 0
    assert can.send(0x18DB33F1, b"12345678", EXT) == 0
    assert can.send(0x123, b"abc", RTR) == 0
    assert chip.sent == [(0x7DF, b"\2\1\x0c", 0), (0x18DB33F1, b"12345678", EXT), (0x123, b"\0\0\0", RTR)]
    for ident, data, flags in (0x800, b"", 0), (-1, b"", 0), (1, b"123456789", 0), (1 << 29, b"", EXT):
        with raises(ValueError):
            can.send(ident, data, flags)


def test_frame_that_nobody_acknowledges_is_aborted():
    chip = Chip()
    chip.acknowledged = False
    can = made(chip, mode=MCP2515.MODE_NORMAL)
    assert can.send(0x7E0, b"\1") == 0
    assert can.send(0x7E0, b"\2") is None, "the chip keeps no order among equal ids"
    assert [can.send(0x7E1, b""), can.send(0x7E2, b""), can.send(0x7E3, b"")] == [1, 2, None]
    assert can.get_counters()[5] == 3
    assert [can.cancel_send(n) for n in range(3)] == [True] * 3
    assert can.cancel_send(0) is False
    assert can.get_counters()[5] == 0
    chip.acknowledged = True
    chip.passes(1000)
    assert chip.sent == []


def test_abort_that_comes_too_late_is_no_abort():
    chip = Chip()
    chip.acknowledged = False
    can = made(chip, mode=MCP2515.MODE_NORMAL)
    can.send(0x7E0, b"\1")
    chip.is_on_wire = True

    def sleep_ms(ms):
        chip.acknowledged = True
        chip.sleep_ms(ms)

    mcp2515.sleep_ms = sleep_ms
    assert can.cancel_send(0) is False
    assert chip.sent == [(0x7E0, b"\1", 0)]


def test_int_line_that_is_stuck_low_hangs_nothing():
    chip = Chip()
    can = made(chip)
    can._high = lambda: 0
    assert can.recv() is None
    frames(chip, (1, b"a"))
    chip.passes(1000)
    assert pull(can) == [(1, b"a", 0)]


def test_error_states_and_bus_off_are_told_and_restart_ends_it():
    chip = Chip()
    chip.broken = True
    can = made(chip, mode=MCP2515.MODE_NORMAL)
    seen = [can.state()]
    can.send(0x7E0, b"\1")
    for _ in range(40):
        chip.passes(10)
        if can.state() != seen[-1]:
            seen.append(can.state())
    assert seen == [can.STATE_ACTIVE, can.STATE_WARNING, can.STATE_PASSIVE, can.STATE_BUS_OFF]
    assert can.get_counters()[2:5] == [1, 1, 1]
    with raises(OSError):
        can.send(0x7E0, b"\1")
    chip.broken = False
    can.restart()
    assert (can.state(), can.get_counters()[:6], chip.sent) == (can.STATE_ACTIVE, [0, 0, 0, 0, 0, 0], [])
    frames(chip, (3, b"x"))
    chip.passes(1000)
    assert pull(can) == [(3, b"x", 0)]


def test_deinit_stops_and_init_begins_again_at_another_rate():
    chip = Chip(bitrate=125_000)
    can = made(chip)
    can.deinit()
    assert (chip.mode, can.state(), can.recv()) == (CONFIGURATION, can.STATE_STOPPED, None)
    can.init(125_000)
    can.set_filters(None)
    chip.passes(1000)
    frames(chip, (9, b"\7"))
    chip.passes(1000)
    assert pull(can) == [(9, b"\7", 0)]


def test_start_that_fails_leaves_it_in_configuration_mode_until_one_succeeds():
    chip = Chip()
    can = made(chip)
    reset, mode = can._reset, can._mode

    def fails():
        raise OSError("no MCP2515 answers")

    can.deinit()
    can._reset = fails
    with raises(OSError):
        can.init(500_000)
    for starts in can.set_filters, can.admit_all, lambda _: can.restart():
        try:
            starts(None)
        except OSError as error:
            assert "is not set up" in str(error)
        assert (chip.mode, can.state()) == (CONFIGURATION, 0)
    can._reset = reset
    can.init(500_000, mode)
    can.set_filters(None)
    assert chip.mode == LISTEN_ONLY and can.state() == 1


def test_asleep_int_goes_low_for_the_first_frame_and_for_nothing_before_it():
    for before in [], [(1, b"\1"), (2, b"\2"), (3, b"\3")]:  # what was not taken must not wake it
        chip = Chip()
        can = made(chip, interrupt=False)
        frames(chip, *before)
        chip.passes(1000)
        can.sleep(True)
        chip.passes(1_000_000)
        assert (chip.mode, chip.int.value()) == (SLEEP, 1)
        assert chip.register(CNF3) & WAKFIL
        frames(chip, (9, b"\7"))
        chip.passes(1000)
        assert (chip.mode, chip.int.value(), chip.dominant, chip.ignored) == (LISTEN_ONLY, 0, 0, [])


def test_asleep_without_leave_to_wake_the_bus_changes_nothing():
    chip = Chip()
    can = made(chip)
    can.sleep(False)
    frames(chip, (9, b"\7"), (9, b"\7"))
    chip.passes(1000)
    assert (chip.mode, chip.int.value(), can.recv(), can.state()) == (SLEEP, 1, None, can.STATE_STOPPED)


def test_asleep_it_no_longer_calls_its_driver():
    chip = Chip()
    can = made(chip)
    can.sleep(True)
    chip.transactions = 0
    frames(chip, (9, b"\7"))
    chip.passes(1000)
    assert (chip.int.value(), chip.transactions) == (0, 0)


def test_next_boot_ends_the_sleep_and_hears():
    chip = Chip()
    made(chip).sleep(True)
    frames(chip, (9, b"\7"))
    chip.passes(1000)
    can = made(chip)
    frames(chip, (9, b"\7"))
    chip.passes(1000)
    assert pull(can) == [(9, b"\7", 0)]


def test_what_waits_to_be_sent_does_not_keep_it_awake():
    chip = Chip()
    can = made(chip, mode=MCP2515.MODE_NORMAL)
    chip.acknowledged = False
    can.send(9, b"\7")
    can.sleep(True)
    assert chip.mode == SLEEP
