"""uplink/subscriber: what is asked for on each connection, messages whole or not at all, and each acknowledged once."""
# also with: umqtt_1_4 umqtt_newer
# heap: 256k
# The packets that the tests prepare need more than the client, which has buffers of a fixed size.

import asyncio
import errno
from fakes import Network, Socket, Time
from pigtail.uplink import mqtt
from pigtail.uplink.subscriber import Subscriber
from runner import raises

TOPIC = b"d/command"
SUBSCRIBE = b"\x82\x0e\0\1\0\x09d/command\1"
GRANTED = b"\x90\3\0\1\1"


def _subscribed(sent=SUBSCRIBE, answer=GRANTED):
    """A client that is connected and has subscribed, its socket, and what its callback is given."""
    client = Subscriber("dev", "host", 1883, size=256)
    client.sock = Socket()
    client._connack = 0
    client.on_puback = lambda packet_id: None
    heard = []
    client.set_callback(lambda topic, message: heard.append((topic, message)))
    client.subscribe(TOPIC, 1)
    client.step()
    assert bytes(client.sock.sent) == sent
    client.sock.sent = bytearray()
    client.sock.incoming.extend(answer)
    client.step()
    return client, client.sock, heard


def _message(payload, packet_id=7, topic=TOPIC, op=0x32):
    rest = bytes([0, len(topic)]) + topic + (bytes([packet_id >> 8, packet_id & 255]) if op & 6 else b"") + payload
    return bytes([op]) + mqtt.remaining_length(len(rest)) + rest


def _steps(client):
    """As many as it takes until all that has come is read, and answered."""
    left = -1
    while left != len(client.sock.incoming):
        left = len(client.sock.incoming)
        client.step()
    client.step()


def test_subscription_is_asked_for_once_and_granted():
    client, sock, _ = _subscribed()
    assert client.granted
    client.step()
    assert bytes(sock.sent) == b""
    assert not client._under_way


def test_subscription_that_the_broker_refuses_is_noted():
    client, sock, _ = _subscribed(answer=b"\x90\3\0\1\x80")
    assert not client.granted
    client.step()
    assert bytes(sock.sent) == b""


def test_suback_of_another_subscription_grants_nothing():
    for answer in b"\x90\3\0\2\1", b"\x90\3\1\1\1", b"":
        client, _, _ = _subscribed(answer=answer)
        assert not client.granted


def test_second_subscription_asks_for_both():
    client, sock, heard = _subscribed()
    client.subscribe("e", 0)
    assert client._asked == 0
    client.step()
    both = b"\0\1e\0\0\x09d/command\1", b"\0\x09d/command\1\0\1e\0"  # in either order
    assert bytes(sock.sent[:4]) == b"\x82\x12\0\2" and bytes(sock.sent[4:]) in both
    sock.incoming.extend(b"\x90\4\0\2\1\x80")
    client.step()
    assert not client.granted
    sock.incoming.extend(b"\x90\4\0\2\1\0" + _message(b"x", topic=b"e", op=0x30))
    client.step()
    assert client.granted and heard == [(b"e", b"x")]


async def test_fault_26_subscribes_again_on_every_connection_session_present_or_not():
    time = Time().into(mqtt)
    mqtt.socket = network = Network()
    client = Subscriber("dev", "host", 1883, size=256)
    client.subscribe(TOPIC, 1)
    for connack in b"\x20\2\0\0", b"\x20\2\1\0", b"\x20\2\0\0":
        opening = asyncio.create_task(client.open(("1.2.3.4", 1883), 1000))
        await time.passes(20)
        network.opened[-1].incoming.extend(connack)
        await time.passes(20)
        await opening
        client.step()
        assert not client.granted
        sent = bytes(network.opened[-1].sent)
        assert sent[:1] == b"\x10" and sent[17:] == SUBSCRIBE[:3] + bytes([len(network.opened)]) + SUBSCRIBE[4:], connack
        network.opened[-1].incoming.extend(GRANTED[:3] + bytes([len(network.opened), 1]))
        client.step()
        assert client.granted


def test_nothing_is_asked_for_while_a_packet_is_being_written():
    client = Subscriber("dev", "host", 1883, size=256)
    client.sock, client._connack = Socket(), 0
    client.sock.takes = 3
    client.publish("t", b"x", False, 0)
    client.subscribe(TOPIC, 1)
    client.step()
    client.sock.takes = 100
    client.step()
    assert bytes(client.sock.sent) == b"\x30\4\0\1tx" + SUBSCRIBE


def test_message_is_delivered_whole_and_acknowledged():
    client, sock, heard = _subscribed()
    sock.incoming.extend(_message(b"hello", 0x1234))
    client.step()
    assert heard == [(TOPIC, b"hello")]
    assert bytes(sock.sent) == b"\x40\2\x12\x34"
    assert client.ignored == 0


def test_message_at_qos_0_is_delivered_and_not_acknowledged():
    client, sock, heard = _subscribed()
    sock.incoming.extend(_message(b"hello", op=0x31) + _message(b"", op=0x30))
    _steps(client)
    assert heard == [(TOPIC, b"hello"), (TOPIC, b"")]
    assert bytes(sock.sent) == b""


def test_message_in_any_fragments_comes_whole_or_not_at_all():
    for size in 0, 1, 100, 256, 700, 950:
        packet = _message(bytes([i & 255 for i in range(size)]))
        for gives in 1, 3, 100, 4096:
            client, sock, heard = _subscribed()
            sock.gives = gives
            for byte in range(0, len(packet), 7):
                assert heard == []
                sock.incoming.extend(packet[byte : byte + 7])
                _steps(client)
            assert len(heard) == 1 and heard[0][1] == packet[-size:] if size else heard == [(TOPIC, b"")], (size, gives)
            assert bytes(sock.sent) == b"\x40\2\0\7"


def test_fault_22_connection_closed_at_each_byte_of_a_message_delivers_nothing():
    for packet in _message(b"hello"), _message(bytes(400)), _message(bytes(1200)):
        for end in range(min(len(packet), 40)):
            client, sock, heard = _subscribed()
            sock.incoming.extend(packet[:end])
            sock.over = True
            with raises(OSError) as caught:
                _steps(client)
            assert caught.error.errno == errno.ECONNRESET
            assert all([message is None for _, message in heard])


def test_message_of_another_topic_is_ignored_and_acknowledged_all_the_same():
    client, sock, heard = _subscribed()
    sock.incoming.extend(_message(b"x", 5, b"other") + _message(b"x", 6, b"") + _message(b"x", 0, b"d/commando", 0x30))
    _steps(client)
    assert (heard, client.ignored) == ([], 3)
    assert bytes(sock.sent) == b"\x40\2\0\5\x40\2\0\6"


def test_message_at_qos_2_is_ignored():
    client, sock, heard = _subscribed()
    sock.incoming.extend(_message(b"x", op=0x34))
    _steps(client)
    assert (heard, client.ignored, bytes(sock.sent)) == ([], 1, b"")


def test_message_too_long_is_drained_reported_and_acknowledged():
    for size in 1024, 2000, 4070:
        for gives in 1 if size < 1500 else 50, 256, 4096:
            client, sock, heard = _subscribed()
            sock.gives = gives
            sock.incoming.extend(_message(bytes(size), 9) + _message(b"next", 10))
            _steps(client)
            assert heard == [(TOPIC, None), (TOPIC, b"next")]
            assert bytes(sock.sent) == b"\x40\2\0\x09\x40\2\0\x0a"
            assert client.ignored == 0


def test_long_message_of_another_topic_is_ignored_and_acknowledged():
    client, sock, heard = _subscribed()
    sock.incoming.extend(_message(bytes(1500), 9, b"t") + _message(bytes(1500), 0, b"t", 0x30) + _message(b"next", 10))
    _steps(client)
    assert (heard, client.ignored) == ([(TOPIC, b"next")], 2)
    assert bytes(sock.sent) == b"\x40\2\0\x09\x40\2\0\x0a"


def test_fault_25_topic_that_would_fill_the_buffer_is_drained():
    client, sock, heard = _subscribed()
    sock.incoming.extend(b"\x32" + mqtt.remaining_length(2000) + b"\x05\xdc" + bytes(1998) + _message(b"next", 10))
    _steps(client)
    assert (heard, client.ignored) == ([(TOPIC, b"next")], 1)


def test_fault_25_message_that_ends_before_its_topic_or_has_qos_3_or_is_longer_than_4_kb():
    for packet in b"\x32\4\0\1t\0", b"\x30\1\0", b"\x30\3\xff\xfft", b"\x36\7\0\1t\0\1ab", _message(bytes(5000)):
        client, sock, heard = _subscribed()
        sock.incoming.extend(packet)
        with raises(mqtt.MQTTException):
            _steps(client)
        assert heard == []


def test_acknowledgements_wait_until_a_packet_is_written_and_go_in_one_write():
    client, sock, heard = _subscribed()
    sock.takes = 10
    client.publish("topic", b"payload", False, 1)
    for i in range(3):
        sock.incoming.extend(_message(b"x", i + 1))
    _steps(client)
    assert len(heard) == 3 and len(sock.sent) == 10
    sock.takes = 1000
    writes = []
    write = sock.write

    def counted(buf):
        writes.append(len(buf))
        return write(buf)

    sock.write = counted
    client.step()
    assert writes == [8, 12]
    assert bytes(sock.sent[18:]) == b"\x40\2\0\1\x40\2\0\2\x40\2\0\3"


def test_more_messages_than_can_be_acknowledged_are_not_delivered():
    client, sock, heard = _subscribed()
    sock.takes = 0
    client.publish("t", b"x", False, 1)
    for i in range(40):
        sock.incoming.extend(_message(b"x", i + 1))
    _steps(client)
    assert (len(heard), client.ignored) == (32, 8)
    sock.takes = 1000
    _steps(client)
    assert len(sock.sent) == 8 + 4 * 32


def test_acknowledgements_of_a_connection_before_are_forgotten():
    client, sock, _ = _subscribed()
    sock.takes = 0
    client.publish("t", b"x", False, 1)
    sock.incoming.extend(_message(b"x"))
    client.step()
    client.close()
    client.sock, client._connack = Socket(), 0
    client._asked = 1
    client.step()
    assert bytes(client.sock.sent) == b""


def test_flood_of_messages_is_read_in_small_pieces():
    client, sock, _ = _subscribed()
    sizes = []
    readinto = sock.readinto

    def noted(buf):
        sizes.append(len(buf))
        return readinto(buf)

    sock.readinto = noted
    for i in range(200):
        sock.incoming.extend(_message(b"x" * 20, i + 1, op=0x30))
    client.step()
    assert max(sizes) <= 256 and len(sizes) <= 8
