"""MicroPython's side of test_vectors.py and test_diag_recordings.py: frames through `diag/isotp`, one by one, in lines of JSON.

In: {"channels": [[rx_id, is_extended, prefix or null], …], "request": hex or null, "frames": [[tick, id with bit 29, hex], …]}.
Out: "all", every message as [tick, rx_id, hex]; "failed", [tick, rx_id, code]; with a request "answers", for each channel the
answer in hex or how it failed, and the "counts" meanwhile.
"""

import json
import struct
import sys

from pigtail.can.tx_guard import Ecu
from pigtail.diag import isotp, uds

FAR = 0x3FFFFFF  # ms: nothing is late that did not begin


class Gate:
    def send(self, identifier, is_extended_id, data):
        return ""


class Clock:
    now = 0

    def ticks_ms(self):
        return self.now


def fed(clock, receiver, frames):
    for tick, ident, data in frames:
        while clock.now < tick:  # so that what is late is late in its time
            clock.now = min(tick, clock.now + 50)
            receiver.take(b"", 0)
            yield clock.now
        data = bytes.fromhex(data)
        receiver._flows.clear()  # whoever asked did not keep to four flow controls a second
        receiver.take(struct.pack("<II8s", ident, len(data) << 28, data), 1)
        yield tick


def everything(clock, case):
    """Every message, whoever asked for it: each channel is opened again as soon as it is over."""
    channels = [isotp.Channel(Ecu(0, wide), rx, prefix) for rx, wide, prefix in case["channels"]]
    receiver = isotp.Isotp(Gate(), channels, len(channels))
    messages, failed = [], []
    clock.now = 0
    for channel in channels:
        opened(receiver, channel, 0)
    for tick in fed(clock, receiver, case["frames"] + [[case["frames"][-1][0] + 2000, 0, ""]]):
        for channel in channels:
            if channel.is_over:
                try:
                    messages.append([tick, channel.rx_id, channel.payload().hex()])
                except isotp.Failure as failure:
                    failed.append([tick, channel.rx_id, failure.code])
                opened(receiver, channel, tick)
    return messages, failed


def opened(receiver, channel, now):
    receiver.open(channel, FAR)
    channel.until = channel.deadline = now + FAR


def answers(clock, case):
    """What the client would get for its request."""
    servers = [uds.Server(Ecu(0, wide), rx, prefix) for rx, wide, prefix in case["channels"]]
    receiver = isotp.Isotp(Gate(), servers, len(servers))
    clock.now = 0
    for server in servers:
        server.expect(bytes.fromhex(case["request"]))
        receiver.open(server, 1000)
    for _ in fed(clock, receiver, case["frames"] + [[2000, 0, ""]]):
        pass
    return [outcome(server) for server in servers], receiver.counts


def outcome(server):
    try:
        return server.answer().hex()
    except isotp.Failure as failure:
        return str(failure)


def main(cases_path, out_path):
    clock = isotp_clock()
    with open(cases_path) as cases, open(out_path, "w") as out:
        for line in cases:
            case = json.loads(line)
            result = {}
            result["all"], result["failed"] = everything(clock, case)
            if case["request"]:
                result["answers"], result["counts"] = answers(clock, case)
            out.write(json.dumps(result) + "\n")


def isotp_clock():
    clock = Clock()
    isotp.ticks_ms = clock.ticks_ms
    return clock


main(*sys.argv[1:])
