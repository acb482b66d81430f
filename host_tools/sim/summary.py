"""The report in words, for a person."""

from collections.abc import Iterator

from host_tools.sim.report import Report

MOST_RANGES = 4  # of time in which frames were lost: more than these are added up


def lines(report: Report) -> Iterator[str]:
    """One line a subject; figures as in the JSON report."""
    r = report
    yield (
        f"frames   {r.frames_offered:,} offered, {r.frames_received:,} received, {r.frames_dropped:,} dropped; "
        f"{r.frames_unknown:,} with ids that the profile does not know"
    )
    yield (
        f"samples  {r.samples_taken:,} taken, {r.samples_delivered:,} delivered, {r.samples_accounted_lost:,} accounted lost, "
        f"{r.samples_missing:,} missing, {r.duplicates:,} duplicates"
    )
    if r.frames_sent or r.acknowledging_from is not None:
        ids = ", ".join(f"{count:,} as {identity}" for identity, count in sorted(r.frames_sent_by_id.items()))
        since = f"acknowledging from {r.acknowledging_from:.1f} s on" if r.acknowledging_from is not None else "not acknowledging"
        yield f"sent     {r.frames_sent:,} frames ({ids or 'none'}), {r.frames_answered:,} in answer; {since}"
    for name, counts in r.ecus.items():
        yield f"ecu      {name}: " + ", ".join(f"{count:,} {what}" for what, count in counts.items() if count or what == "asked")
    if r.alarms:
        yield f"alarms   {r.alarms:,}: ECUS WERE ASKED WHILE THAT SETS OFF THE ALARM"
    per_sample = f"{r.bytes_per_sample:.2f} bytes per sample" if r.bytes_per_sample else "no sample"
    yield f"wire     {r.bytes_published:,} bytes of batches, {per_sample}, broker {r.broker}"
    yield f"device   heap peak {r.heap_peak:,} bytes, boot {r.boot_ms} ms, {r.restarts} restarts, {r.device_seconds:g} s"
    for reason, count in sorted(r.lost_by_reason.items()):
        yield f"lost     {count:,} samples: {reason}, as the device's ledger says"
    times = len(r.frames_ledgered_ranges)
    if times > MOST_RANGES:
        yield f"lost     {r.frames_ledgered:,} frames, at {times:,} times: overrun, as the device's ledger says"
    for number, from_ms, to_ms, frames in r.frames_ledgered_ranges if times <= MOST_RANGES else ():
        when = f"between {from_ms / 1000:g} and {to_ms / 1000:g} s of boot {number}"
        yield f"lost     {frames:,} frames {when}: overrun, as the device's ledger says"
    if r.lost_after_ack:
        yield f"lost     {r.lost_after_ack:,} samples: lost_after_ack, the broker acknowledged them and did not hand them on"
    for death in r.deaths:
        dark = f"dark for {death.dark_s:g} s" if death.dark_s is not None else "nothing came after it"
        lost = f"{death.samples_lost:,} samples of {death.lost_s:.1f} s lost with the RAM"
        boot = f"boot {death.boot}" if death.boot else "a boot before its first batch"
        yield f"{death.cause:<8} at {death.at:g} s ended {boot}: {lost}, {dark}"
    if r.deaths:
        yield f"at most  {r.most_samples_lost:,} samples and {r.most_seconds_lost:.1f} s lost at one of them"
    if r.power_s:
        yield "power    " + ", ".join(f"{seconds:g} s {state}" for state, seconds in r.power_s.items())
    for chip, wear in r.flash.items():
        erases = f"{wear['erases']:,} erasures of {wear['blocks']:,} blocks, {wear['most_erases_of_a_block']:,} of one at most"
        faults = f"; {wear['faults']:,} PROGRAMS OF BITS NOT ERASED" if wear["faults"] else ""
        yield f"flash    {chip}: {wear['bytes_programmed']:,} bytes programmed, {erases}{faults}"
        busy = f"a chip of 45 ms an erase, 0.7 ms a page would be busy for {wear['busy_ms'] / 1000:.1f} s"
        yield f"         {busy}, for {wear['longest_stall_ms']:,} ms at a time at most (estimated)"
    if r.frames_while_off:
        yield f"off      {r.frames_while_off:,} frames went by while the device was off"
    if r.reader_reconnects:
        yield f"reader   {r.reader_reconnects:,} times its connection to the broker broke"
    if r.frames_fd:
        yield f"CAN FD   {r.frames_fd:,} frames of the log left out: the controller is a classic one"
    for reason in r.undecodable:
        yield f"trouble  {reason}"
