"""Client, session and uplink together, against a broker that fails at a chosen byte or moment: a new connection, each record kept
until it is acknowledged, and nothing taken from half a packet."""
# also with: umqtt_1_4 umqtt_newer
# heap: 256k
# Fakes and what they note need more than the firmware.

import asyncio
import errno
from fakes import Link, Network, Outbox, Socket, Time, steps, stopped
from pigtail.outbox.ledger import Ledger
from pigtail.uplink import mqtt, resolve, session, uplink
from pigtail.uplink.topics import Topics

CONNACK, PINGRESP, SUBACK, PUBLISH = b"\x20\2\0\0", b"\xd0\0", b"\x90\3\0\1\1", b"\x32\7\0\1t\0\1ab"
KEEPALIVE_S = 30


class Batch:
    was_given = False

    def __init__(self, payload):
        self.payload, self.size = payload, len(payload)

    def chunks(self):
        return iter((self.payload,))


class Near(Socket):
    """The device's end of a connection to a broker that answers each packet by `answer(near, packet)`."""

    def __init__(self, broker):
        super().__init__()
        self.broker = broker
        self.held = False  # half-open: what goes in either direction is kept
        self.ends = None  # after what is incoming: "fin" or "rst"
        self._packet = bytearray()

    def write(self, buf):
        n = super().write(buf)
        self._packet.extend(buf[: n or 0])
        self._hear()
        return n

    def readinto(self, buf):
        if self.held:
            return None
        n = super().readinto(buf)
        if n is None and self.ends == "rst":
            raise OSError(errno.ECONNRESET)
        return 0 if n is None and self.ends else n

    def heal(self):
        self.held = False
        self._hear()

    def _hear(self):
        while not self.held and len(self._packet) > 1:
            length, head = self._packet[1], 2
            if length > 127:
                if len(self._packet) < 3:
                    return
                length, head = length & 127 | self._packet[2] << 7, 3
            if len(self._packet) < head + length:
                return
            packet = bytes(self._packet[: head + length])
            self._packet = self._packet[head + length :]
            self.broker(self, packet, head)


def honest(near, packet, head):
    """Answers as a broker does."""
    op = packet[0]
    if op == 0x10:
        near.incoming.extend(CONNACK)
    elif op & 0xF6 == 0x32:
        topic = packet[head] << 8 | packet[head + 1]
        near.incoming.extend(b"\x40\2" + packet[head + 2 + topic : head + 4 + topic])
    elif op == 0xC0:
        near.incoming.extend(PINGRESP)


class Scene:
    """The uplink, online as soon as it can be; `broker` hears what connections made from now on say."""

    def __init__(self, broker=honest, keepalive_s=KEEPALIVE_S):
        self.time = Time().into(mqtt, resolve, session, uplink)
        self.broker = broker
        mqtt.socket = self.network = Network(lambda: Near(self.broker))
        mqtt.Client._connected = _connected
        resolve.socket, self.names = Names(), []
        self.client = mqtt.Client("dev", "10.0.0.1", 1883, keepalive=keepalive_s, size=512)
        self.outbox, self.beats = Outbox(Ledger(8)), []
        self.link = Link()
        text = session.Text(memoryview(bytearray(100)))
        topics = Topics("dev")
        self.uplink = uplink.Uplink(
            self.client, self.link, lambda: session.Session(self.client, topics, self.outbox, None, dict, text, 4)
        )
        self.task = asyncio.create_task(self.uplink.run(lambda: self.beats.append(self.time.now)))

    def batch(self, payload):
        self.outbox.waiting.append(Batch(payload))

    @property
    def near(self):
        return self.network.opened[-1] if self.network.opened else Near(None)

    async def until(self, condition, ms):
        """How long it took; fails when it takes longer than `ms`."""
        began = self.time.now
        while not condition():
            assert self.time.now - began <= ms, "not within %d ms" % ms
            await self.time.passes(20)
        return self.time.now - began


async def _connected(self, deadline):
    """In place of polling a real socket."""


class Names:
    """In place of the module `socket` in resolve: `address` is that of every name."""

    address = "10.0.0.1"

    def __init__(self):
        self.asked = 0

    def getaddrinfo(self, host, port):
        self.asked += 1
        return [(2, 1, 0, "", (self.address, port))]


async def test_fault_21_half_open_for_15_s_heals_on_the_same_connection():
    scene = Scene()
    scene.batch(b"one")
    await scene.until(lambda: scene.outbox.acknowledged == [b"one"], 2000)
    scene.near.held = True
    scene.batch(b"two")
    await scene.time.passes(15000, step=50)
    assert scene.outbox.acknowledged == [b"one"]
    scene.near.heal()
    await scene.until(lambda: scene.outbox.acknowledged == [b"one", b"two"], 1000)
    assert (len(scene.network.opened), scene.uplink.failures) == (1, 0)
    await stopped(scene.task)


async def test_fault_21_half_open_for_good_is_left_within_one_and_a_half_keepalives():
    for keepalive_s in 5, 10, 19, KEEPALIVE_S:
        for waiting in [], [b"one"]:
            await _half_open(keepalive_s, waiting)


async def test_fault_21_half_open_while_batch_after_batch_is_sent_is_left_within_one_and_a_half_keepalives():
    for keepalive_s in 5, 10, 19, KEEPALIVE_S:
        await _half_open(keepalive_s, [b"%d" % i for i in range(4)])


async def test_fault_21_half_open_that_takes_no_more_is_left_within_one_and_a_half_keepalives():
    for keepalive_s in 5, 10, 19, KEEPALIVE_S:
        await _half_open(keepalive_s, [b"one", b"two"], takes=20)


async def _half_open(keepalive_s, waiting, takes=4096):
    scene = Scene(keepalive_s=keepalive_s)
    await scene.until(lambda: scene.uplink.state == "online", 2000)
    await scene.time.passes(3000, step=50)
    scene.near.held, scene.near.takes = True, takes
    began = scene.time.now
    for payload in waiting:
        scene.batch(payload)
        await scene.time.passes(keepalive_s * 250 if len(waiting) > 1 else 0, step=50)
    left = began + keepalive_s * 1500 - scene.time.now
    await scene.until(lambda: len(scene.network.opened) == 2 and scene.uplink.state == "online", left)
    await scene.until(lambda: scene.outbox.acknowledged == waiting, 1000)
    assert max(steps(scene.beats)) <= 200
    await stopped(scene.task)


async def test_fault_22_end_or_reset_at_each_byte_of_each_packet_makes_a_new_connection_and_acknowledges_nothing():
    for name, whole in ("CONNACK", CONNACK), ("PUBACK", None), ("PINGRESP", PINGRESP), ("SUBACK", SUBACK), ("PUBLISH", PUBLISH):
        for at in range(len(whole or CONNACK)):
            for ends in "fin", "rst":
                await _cut(name, whole, at, ends)


async def _cut(name, whole, at, ends):
    def broker(near, packet, head):
        before = len(near.incoming)
        honest(near, packet, head)
        answer = bytes(near.incoming[before:])
        if near is not scene.network.opened[0] and packet[0] == 0x10:
            before_it.extend(scene.outbox.acknowledged)
        if near is not scene.network.opened[0] or (name == "CONNACK") != (packet[0] == 0x10):
            return
        if name != "CONNACK" and packet[0] != 0x32:
            return  # the batch: not the status, which is retained
        near.incoming = near.incoming[:before] + (whole or answer)[:at]
        near.ends = ends

    before_it = []  # acknowledged when the second connection was made
    scene = Scene(broker)
    scene.batch(b"one")
    await scene.until(lambda: len(scene.network.opened) == 2, 3000)
    assert scene.network.opened[0].closed
    assert scene.uplink.reason.endswith("ECONNRESET"), (name, at, ends, scene.uplink.reason)
    await scene.until(lambda: scene.outbox.acknowledged == [b"one"], 2000)
    assert before_it == [], (name, at, ends)
    assert scene.network.opened[1].sent.count(b"one") == 1
    await stopped(scene.task)


async def test_fault_23_zero_window_ends_the_connection_and_all_else_goes_on():
    scene = Scene()
    await scene.until(lambda: scene.uplink.state == "online", 2000)
    await scene.time.passes(500)
    scene.near.takes = 10
    scene.batch(b"one" * 30)
    await scene.until(lambda: len(scene.network.opened) == 2, 22000)
    assert max(steps(scene.beats)) <= 200
    await scene.until(lambda: len(scene.outbox.acknowledged) == 1, 2000)
    await stopped(scene.task)


def _ids(near):
    """The packet ids of the batches that a connection was given."""
    return [near.sent[i - 2] << 8 | near.sent[i - 1] for i in range(len(near.sent)) if bytes(near.sent[i : i + 5]) == b"batch"]


async def test_fault_24_missing_puback_brings_its_record_again_and_no_other():
    def forgetful(near, packet, head):
        if near is not scene.network.opened[0] or b"batch2" not in packet:
            honest(near, packet, head)

    scene = Scene(forgetful)
    for i in range(4):
        scene.batch(b"batch%d" % i)
    await scene.until(lambda: len(scene.outbox.acknowledged) == 3, 2000)
    assert [batch.payload for batch in scene.outbox.waiting] == [b"batch2"]
    await scene.until(lambda: len(scene.outbox.acknowledged) == 4, 30000)
    assert scene.network.opened[1].sent.count(b"batch") == 1
    await stopped(scene.task)


async def test_fault_24_pubacks_late_out_of_order_doubled_and_unknown_free_each_record_once():
    def mute(near, packet, head):
        if b"batch" not in packet:
            honest(near, packet, head)

    scene = Scene(mute)
    scene.client.pid = 65532  # the ids wrap within these
    for i in range(4):
        scene.batch(b"batch%d" % i)
    await scene.until(lambda: len(_ids(scene.near)) == 4, 2000)
    ids = _ids(scene.near)
    assert ids == [65534, 65535, 1, 2]
    await scene.time.passes(15000, step=50)  # late, but in time
    for packet_id in ids[2], ids[0], 0x1234, ids[0], ids[3], ids[3], ids[1]:
        scene.near.incoming.extend(b"\x40\2" + packet_id.to_bytes(2, "big"))
    await scene.until(lambda: scene.outbox.waiting == [], 1000)
    assert scene.outbox.acknowledged == [b"batch2", b"batch0", b"batch3", b"batch1"]
    assert (scene.client.unknown_pubacks, len(scene.network.opened)) == (3, 1)
    await stopped(scene.task)


async def test_fault_24_puback_of_the_connection_before_acknowledges_nothing_on_the_next():
    def mute(near, packet, head):
        if b"batch" not in packet:
            honest(near, packet, head)

    scene = Scene(mute)
    scene.batch(b"batch0")
    await scene.until(lambda: len(_ids(scene.near)) == 1, 2000)
    old = _ids(scene.near)[0]
    scene.near.ends = "rst"
    await scene.until(lambda: len(scene.network.opened) == 2 and len(_ids(scene.near)) == 1, 3000)
    assert _ids(scene.near) != [old]
    scene.near.incoming.extend(b"\x40\2" + old.to_bytes(2, "big"))
    await scene.time.passes(1000)
    assert (scene.outbox.acknowledged, scene.client.unknown_pubacks) == ([], 1)
    await stopped(scene.task)


async def test_fault_26_session_present_once_and_not_again_changes_nothing():
    def broker(near, packet, head):
        honest(near, packet, head)
        if packet[0] == 0x10 and near is scene.network.opened[0]:
            near.incoming[2] = 1

    scene = Scene(broker)
    scene.batch(b"one")
    await scene.until(lambda: scene.outbox.acknowledged == [b"one"], 2000)
    scene.near.ends = "rst"
    scene.batch(b"two")
    await scene.until(lambda: scene.outbox.acknowledged == [b"one", b"two"], 3000)
    assert len(scene.network.opened) == 2
    await stopped(scene.task)


async def test_fault_27_address_is_resolved_anew_for_each_connection():
    scene = Scene()
    await scene.until(lambda: scene.uplink.state == "online", 2000)
    scene.near.ends = "rst"
    resolve.socket.address = "10.0.0.2"
    await scene.until(lambda: len(scene.network.opened) == 2, 3000)
    assert [near.address for near in scene.network.opened] == [("10.0.0.1", 1883), ("10.0.0.2", 1883)]
    await stopped(scene.task)
