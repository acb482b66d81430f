"""uplink/mqtt's reader against anything: random bytes, packets with something wrong, any fragmentation. Whatever comes, it ends
the connection or is taken, in bounded memory and a bounded number of reads, and acknowledges nothing that was not sent."""
# also with: umqtt_1_4 umqtt_newer
# heap: 256k
# The streams that the tests prepare need more than the client.

import gc
import random
from fakes import Socket, Time
from pigtail.uplink import mqtt
from pigtail.uplink.subscriber import Subscriber

ROUNDS = 400
GOOD = (b"\x40\2\0\1", b"\x40\2\0\2", b"\x40\2\xff\xff", b"\xd0\0", b"\x30\3\0\1t", b"\x32\7\0\1t\0\1ab")
LONG = b"\x30\x90\x03\0\1t" + bytes(397)


class Pieces(Socket):
    """Gives a random number of bytes at a time, and now and then none."""

    def __init__(self, stream):
        super().__init__()
        self._stream = stream
        self._at = 0
        self.reads = 0

    def readinto(self, buf):
        self.reads += 1
        left = len(self._stream) - self._at
        if not left:
            return 0
        n = min(random.choice((0, 1, 1, 2, 3, 7, 100, 300)), left, len(buf))
        buf[:n] = self._stream[self._at : self._at + n]
        self._at += n
        return n or None


def _bytes(size):
    return bytes([random.getrandbits(8) for _ in range(size)])


def _stream():
    """Valid packets."""
    return b"".join([random.choice(GOOD) if random.getrandbits(3) else LONG for _ in range(random.randrange(1, 30))])


def _mutated():
    """Valid packets with a few bytes changed, left out or put in, and often an end in the middle."""
    stream = bytearray(_stream())
    for _ in range(random.randrange(1, 4)):
        at = random.randrange(len(stream))
        what = random.getrandbits(2)
        if what == 0:
            stream[at] ^= 1 << random.getrandbits(3)
        elif what == 1:
            stream[at] = random.choice((0, 0x7F, 0x80, 0xFF))
        elif what == 2:
            stream = stream[:at] + stream[at + random.randrange(1, 4) :] or bytearray(1)
        else:
            stream = stream[:at] + _bytes(random.randrange(1, 6)) + stream[at:]
    return bytes(stream[: random.randrange(1, len(stream) + 1)] if random.getrandbits(1) else stream)


def _take(stream, connack=0, client=None):
    """What the client makes of a stream: (acknowledged, ignored, unknown, error). Fails when it does anything else than end."""
    client = client or mqtt.Client("dev", "host", 1883, keepalive=30, size=64)
    client.sock = sock = Pieces(stream)
    client._connack = connack
    client._under_way.update((1, 2))
    acknowledged = []
    client.on_puback = acknowledged.append
    error = None
    for _ in range(8 * len(stream) + 50):
        try:
            client.step()
        except (OSError, mqtt.MQTTException) as caught:
            error = caught
            break
    assert error is not None, "it did not notice the end of the stream"
    assert sock.reads <= 8 * (len(stream) + 8), "reads without end"
    assert (len(client._in), len(client._out)) == ((1024, 140) if isinstance(client, Subscriber) else (256, 64))
    assert set(acknowledged) <= {1, 2}
    assert len(acknowledged) == len(set(acknowledged)), "acknowledged twice"
    return acknowledged, client.ignored, client.unknown_pubacks, error


def _memory_is_bounded(make, connack=0, client=lambda: None, most=1500):
    Time().into(mqtt)
    random.seed(5)
    longest = 0
    for _ in range(ROUNDS):
        stream = make()
        gc.collect()
        before = gc.mem_alloc()
        outcome = _take(stream, connack, client())
        gc.collect()
        longest = max(longest, gc.mem_alloc() - before)
        del outcome
    assert longest < most, longest


def test_fault_25_random_bytes():
    _memory_is_bounded(lambda: _bytes(random.randrange(1, 400)))


def test_fault_25_random_bytes_in_place_of_a_connack():
    _memory_is_bounded(lambda: _bytes(random.randrange(1, 400)), connack=-1)


def test_fault_25_packets_with_something_wrong():
    _memory_is_bounded(_mutated)


def test_fault_25_random_bytes_after_each_type_of_packet():
    def make():
        return bytes([random.getrandbits(8), random.choice((0, 1, 2, 3, 0x7F, 0x80, 0xFF))]) + _bytes(random.randrange(0, 300))

    _memory_is_bounded(make)


def test_fault_25_subscriber_hears_bounded_messages_of_its_topic_and_nothing_else():
    heard = [0]

    def hear(topic, message):
        assert topic == b"t" and (message is None or len(message) < 1024)
        heard[0] += 1

    def subscriber():
        client = Subscriber("dev", "host", 1883, keepalive=30, size=140)
        client.subscribe("t", 1)
        client.set_callback(hear)
        return client

    for make in _mutated, lambda: _bytes(random.randrange(1, 400)):
        _memory_is_bounded(make, client=subscriber, most=2600)  # its buffer alone has 1024
    assert heard[0] > ROUNDS


def test_any_fragmentation_of_messages_comes_to_the_same_for_a_subscriber():
    Time().into(mqtt)
    random.seed(7)
    for _ in range(ROUNDS // 4):
        stream = _stream()
        for _ in range(4):
            client = Subscriber("dev", "host", 1883, keepalive=30, size=140)
            client.subscribe("t", 1)
            heard = []
            client.set_callback(lambda topic, message, to=heard: to.append(message))
            _take(stream, client=client)
            assert heard == _messages(stream)


def _messages(stream):
    """The same by other means."""
    found = []
    while stream:
        packet = next(packet for packet in GOOD + (LONG,) if stream.startswith(packet))
        stream = stream[len(packet) :]
        if packet[0] & 0xF0 == 0x30:
            found.append(packet[7:] if packet[0] == 0x32 else packet[6:] if packet == LONG else packet[5:])
    return found


def test_any_fragmentation_of_valid_packets_comes_to_the_same():
    Time().into(mqtt)
    random.seed(6)
    for _ in range(ROUNDS // 4):
        stream = _stream()
        whole = _expected(stream)
        for _ in range(4):
            acknowledged, ignored, unknown, error = _take(stream)
            assert isinstance(error, OSError)
            assert (acknowledged, ignored, unknown) == whole


def _expected(stream):
    """The same by other means: packet by packet."""
    acknowledged, ignored, unknown = [], 0, 0
    while stream:
        packet = next(packet for packet in GOOD + (LONG,) if stream.startswith(packet))
        stream = stream[len(packet) :]
        if packet[0] == 0x40:
            packet_id = packet[2] << 8 | packet[3]
            if packet_id in (1, 2) and packet_id not in acknowledged:
                acknowledged.append(packet_id)
            else:
                unknown += 1
        elif packet[0] != 0xD0:
            ignored += 1
    return acknowledged, ignored, unknown
