"""uplink/mqtt against a socket that gives and takes what the test says: packets whole or in pieces, and every bad one."""
# also with: umqtt_1_4 umqtt_newer
# heap: 256k
# The packets that the tests prepare need more than the client, which has buffers of a fixed size.

import asyncio
import errno
from fakes import Network, Socket, Time
from pigtail.uplink import mqtt
from runner import raises

CONNACK = b"\x20\2\0\0"


def _client(keepalive=0, size=256, **kwargs):
    """A client that is connected, its socket, and the packet ids of the PUBACKs that it tells."""
    client = mqtt.Client("dev", "host", 1883, keepalive=keepalive, size=size, **kwargs)
    client.sock = Socket()
    client._connack = 0
    acknowledged = []
    client.on_puback = acknowledged.append
    return client, client.sock, acknowledged


def _under_way(client, *packet_ids):
    """As if packets with these ids had been sent."""
    client._under_way.update(packet_ids)


def _steps(client):
    """As many as it takes until all that has come is read."""
    left = -1
    while left != len(client.sock.incoming):
        left = len(client.sock.incoming)
        client.step()


async def _open(answer, time=None, **kwargs):
    time = (time or Time()).into(mqtt)
    mqtt.socket = network = Network()
    client = mqtt.Client("dev", "host", 1883, size=256, **kwargs)
    opening = asyncio.create_task(client.open(("1.2.3.4", 1883), 1000))
    await time.passes(20)
    if answer is not None:
        network.opened[0].incoming.extend(answer)
    await time.passes(1200)
    await opening
    return client, network.opened[0]


async def test_open_says_connect_and_waits_for_connack():
    client, sock = await _open(CONNACK, keepalive=30)
    assert sock.address == ("1.2.3.4", 1883)
    assert bytes(sock.sent) == b"\x10\x0f\0\4MQTT\4\2\0\x1e\0\3dev"
    assert client.writable


async def test_connect_carries_last_will_user_and_password():
    time = Time().into(mqtt)
    mqtt.socket = network = Network()
    client = mqtt.Client("dev", "host", 1883, "me", "pw", 30, size=256)
    client.set_last_will("t", b"gone", True, 1)
    opening = asyncio.create_task(client.open(("1.2.3.4", 1883), 1000))
    await time.passes(20)
    network.opened[0].incoming.extend(CONNACK)
    await time.passes(20)
    await opening
    assert bytes(network.opened[0].sent) == b"\x10\x20\0\4MQTT\4\xee\0\x1e\0\3dev\0\1t\0\4gone\0\2me\0\2pw"


async def test_user_without_a_password():
    _, sock = await _open(CONNACK, user="me")
    assert bytes(sock.sent) == b"\x10\x13\0\4MQTT\4\x82\0\0\0\3dev\0\2me"


async def test_fault_26_connack_that_refuses():
    for code in 1, 5, 255:
        with raises(mqtt.MQTTException) as caught:
            await _open(bytes([0x20, 2, 0, code]))
        assert caught.error.args[0] == code


async def test_fault_26_connack_that_refuses_and_the_end_behind_it_are_a_refusal():
    time = Time().into(mqtt)
    mqtt.socket = network = Network()
    client = mqtt.Client("dev", "host", 1883, size=256)
    opening = asyncio.create_task(client.open(("1.2.3.4", 1883), 1000))
    await time.passes(20)
    network.opened[0].incoming.extend(b"\x20\2\0\5")
    network.opened[0].over = True
    await time.passes(40)
    with raises(mqtt.MQTTException) as caught:
        await opening
    assert caught.error.args[0] == 5


async def test_fault_26_session_present_is_taken():
    await _open(b"\x20\2\1\0")


async def test_connack_that_never_comes():
    with raises(OSError) as caught:
        await _open(None)
    assert caught.error.errno == errno.ETIMEDOUT


async def test_fault_29_http_answer_of_a_captive_portal_is_told_apart():
    for answer in b"HTTP", b"HTTP/1.1 302 Found\r\nLocation: http://portal/\r\nConnection: close\r\n\r\n" * 5:
        with raises(mqtt.Portal):
            await _open(answer)


async def test_first_packet_that_is_no_connack_is_refused_at_once():
    for answer in b"\xd0\0", b"\x40\2\0\1", b"\x30\3\0\1t", b"HTML", b"\0", b"\x21\2\0\0":
        with raises(mqtt.MQTTException) as caught:
            await _open(answer)
        assert type(caught.error) is mqtt.MQTTException


async def test_open_closes_the_connection_before():
    client, first = await _open(CONNACK)
    first.takes = 5
    client.publish_chunks("t", 10, [b"x" * 10])
    opening = asyncio.create_task(client.open(("1.2.3.4", 1883), 1000))
    await asyncio.sleep_ms(0)
    assert first.closed
    assert client.sock is not first
    opening.cancel()


def test_publish_is_one_packet():
    client, sock, _ = _client()
    assert client.publish("a/b", b"xyz", True, 1) == 1
    assert bytes(sock.sent) == b"\x33\x0a\0\3a/b\0\1xyz"
    assert client.publish("a", "", False, 0) == 0
    assert bytes(sock.sent[12:]) == b"\x30\3\0\1a"


def test_message_made_in_the_output_buffer_is_sent_as_it_was_made():
    for topic in "t", "t" * 119, "t" * 120, "t" * 200:
        for size in 1, 50, 300:
            client, sock, _ = _client(size=600)
            message = bytes([i & 255 for i in range(size)])
            client.scratch[:size] = message
            client.publish(topic, client.scratch[:size], True, 1)
            rest = bytes([0, len(topic)]) + topic.encode() + b"\0\1" + message
            assert bytes(sock.sent) == b"\x33" + mqtt.remaining_length(len(rest)) + rest, (len(topic), size)
    assert len(mqtt.Client("dev", "host").scratch) == 1408


def test_packet_longer_than_the_buffer_is_a_valueerror():
    client, sock, _ = _client(size=64)
    with raises(ValueError):
        client.publish("t", bytes(64), False, 1)
    assert bytes(sock.sent) == b""


def test_packet_id_wraps_from_65535_to_1():
    client, sock, _ = _client()
    client.pid = 65534
    assert [client.publish("t", b"", False, 1) for _ in range(3)] == [65535, 1, 2]
    assert bytes(sock.sent[5:7]) == b"\xff\xff"
    assert bytes(sock.sent[12:14]) == b"\0\1"


def test_packet_is_written_as_the_socket_takes_it():
    client, sock, _ = _client()
    sock.takes = 3
    client.publish("topic", b"payload", False, 1)
    assert not client.writable
    for _ in range(30):
        sock.takes = 1
        client.step()
    assert client.writable
    assert bytes(sock.sent) == b"\x32\x10\0\5topic\0\1payload"


def test_chunks_are_written_as_the_socket_takes_them():
    client, sock, _ = _client()
    sock.takes = 20
    assert client.publish_chunks("t", 300, (bytes([i]) * 100 for i in range(3)), True) == 1
    while not client.writable:
        sock.takes = 7
        client.step()
    assert bytes(sock.sent) == b"\x33\xb1\2\0\1t\0\1" + b"\0" * 100 + b"\1" * 100 + b"\2" * 100


def test_puback_one_byte_at_a_time():
    client, sock, acknowledged = _client()
    _under_way(client, 0x1234)
    for byte in b"\x40\2\x12\x34":
        assert acknowledged == []
        sock.incoming.append(byte)
        client.step()
    assert acknowledged == [0x1234]


def test_many_pubacks_cut_at_any_byte():
    stream = b"".join([b"\x40\2\0" + bytes([i]) for i in range(1, 101)])
    for gives in 1, 3, 7, 255, 256, 4096:
        client, sock, acknowledged = _client()
        _under_way(client, *range(1, 101))
        sock.gives = gives
        sock.incoming.extend(stream)
        _steps(client)
        assert acknowledged == list(range(1, 101)), gives


def test_fault_24_pubacks_in_any_order_each_free_their_own():
    client, sock, acknowledged = _client()
    for _ in range(4):
        client.publish("t", b"", False, 1)
    sock.incoming.extend(b"\x40\2\0\3\x40\2\0\1\x40\2\0\4\x40\2\0\2")
    client.step()
    assert acknowledged == [3, 1, 4, 2]
    assert client.unknown_pubacks == 0


def test_fault_24_unknown_or_repeated_puback_is_counted_and_told_to_nobody():
    client, sock, acknowledged = _client()
    client.publish("t", b"", False, 1)
    sock.incoming.extend(b"\x40\2\xff\xff\x40\2\0\0\x40\2\0\1\x40\2\0\1")
    client.step()
    assert acknowledged == [1]
    assert client.unknown_pubacks == 3


def test_fault_24_puback_before_its_packet_is_written_acknowledges_nothing():
    client, sock, acknowledged = _client()
    sock.takes = 5
    client.publish("t", b"payload", False, 1)
    sock.incoming.extend(b"\x40\2\0\1")
    client.step()
    assert (acknowledged, client.unknown_pubacks) == ([], 1)
    sock.takes = 100
    client.step()
    sock.incoming.extend(b"\x40\2\0\1")
    client.step()
    assert (acknowledged, client.unknown_pubacks) == ([1], 1)


def test_fault_24_packet_id_under_way_is_not_given_again():
    client, sock, acknowledged = _client()
    client.publish("t", b"", False, 1)
    client.publish("t", b"", False, 1)
    client.pid = 65534
    assert [client.publish("t", b"", False, 1) for _ in range(3)] == [65535, 3, 4]
    sock.incoming.extend(b"\x40\2\0\1")
    client.step()
    client.pid = 65535
    assert client.publish("t", b"", False, 1) == 1


def test_dup_is_said_of_what_may_have_come_before():
    client, sock, _ = _client()
    client.publish("t", b"x", False, 1, True)
    client.publish_chunks("t", 1, [b"x"], True, True)
    assert sock.sent[0] == 0x3A
    assert sock.sent[8] == 0x3B


def test_fault_25_packet_types_that_have_no_place_here_0_and_15_among_them():
    for op in 0x00, 0x0F, 0x10, 0x41, 0x50, 0x60, 0x70, 0x80, 0x90, 0xC0, 0xE0, 0xF0:
        client, sock, _ = _client()
        sock.incoming.extend(bytes([op, 2, 0, 1]))
        with raises(mqtt.MQTTException):
            client.step()


def test_acknowledgements_of_a_wrong_length():
    for packet in b"\x40\0", b"\x40\3\0\1\2", b"\xd0\1\0", b"\x20\2\0\0":
        client, sock, acknowledged = _client()
        sock.incoming.extend(packet)
        with raises(mqtt.MQTTException):
            client.step()
        assert acknowledged == []


def test_fault_25_remaining_length_of_five_bytes():
    for op in 0x30, 0x40:
        client, sock, _ = _client()
        sock.incoming.extend(bytes([op]) + b"\xff\xff\xff\xff\x7f")
        with raises(mqtt.MQTTException):
            client.step()


def test_fault_25_packet_of_268_megabytes_ends_the_connection():
    for op in 0x30, 0x32, 0x40, 0xD0:
        client, sock, _ = _client()
        sock.incoming.extend(bytes([op]) + b"\xff\xff\xff\x7f")
        with raises(mqtt.MQTTException):
            client.step()


def test_fault_25_topic_longer_than_its_packet():
    for packet in b"\x30\0", b"\x30\1\0", b"\x30\3\0\2t", b"\x30\3\xff\xfft", b"\x32\4\0\1t\0":
        client, sock, _ = _client()
        sock.incoming.extend(packet)
        with raises(mqtt.MQTTException):
            client.step()
        assert client.ignored == 0


def test_fault_25_empty_publish_at_the_very_end_of_the_buffer():
    client, sock, _ = _client()
    sock.incoming.extend(b"\xd0\0" * 127 + b"\x30\0")
    with raises(mqtt.MQTTException):
        client.step()


def test_fault_25_publish_of_qos_3():
    for op in 0x36, 0x37, 0x3E:
        for rest in b"\7\0\1t\0\1ab", b"\xac\2\0\1t\0\1ab":
            client, sock, _ = _client()
            sock.incoming.extend(bytes([op]) + rest)
            with raises(mqtt.MQTTException):
                client.step()


def test_publish_that_nobody_asked_for_is_dropped_and_counted():
    for op in 0x30, 0x33, 0x34, 0x3A:
        client, sock, acknowledged = _client()
        _under_way(client, 7)
        sock.incoming.extend(bytes([op]) + b"\5\0\1tab\x40\2\0\7")
        client.step()
        assert (client.ignored, acknowledged) == (1, [7])


def test_oversized_publish_is_drained_and_counted_in_bounded_memory():
    for size in 254, 255, 300, 4093:
        for gives in 1 if size < 1000 else 100, 256, 4096:
            client, sock, acknowledged = _client()
            _under_way(client, 1, 7)
            sock.gives = gives
            sock.incoming.extend(b"\x30" + bytes([size & 127 | 128, size >> 7]) + b"\0\1t")
            sock.incoming.extend(bytes(size % 4 + 1) + b"\x40\2\0\1" * (size // 4 - 1) + b"\x40\2\0\7")
            _steps(client)
            assert (client.ignored, acknowledged) == (1, [7]), (size, gives)


def test_packet_of_more_than_4_kb_ends_the_connection():
    client, sock, _ = _client()
    sock.incoming.extend(b"\x30\xfe\x1f\0\1t")  # 4097 bytes in all
    with raises(mqtt.MQTTException):
        client.step()


def test_flood_from_the_broker_does_not_hold_the_loop():
    client, sock, _ = _client()
    reads = []

    def readinto(buf):
        reads.append(1)
        buf[:8] = b"\x30\6\0\1tabc"
        return 8

    sock.readinto = readinto
    client.step()
    assert len(reads) <= 8


def test_chunks_without_end_do_not_hold_the_loop():
    client, _, _ = _client()
    asked = []

    def chunks():
        while True:
            asked.append(1)
            yield bytes(10)

    client.publish_chunks("t", 100000, chunks())
    assert len(asked) <= 8 * 8 + 8
    assert not client.writable


def test_fault_22_connection_closed_at_each_byte_of_each_packet():
    whole = b"\x40\2\0\1", b"\xd0\0", b"\x30\5\0\1tab", b"\x32\7\0\1t\0\1ab", b"\x30\x81\4\0\1t" + bytes(510)
    for packet in whole:
        for end in range(len(packet)):
            client, sock, acknowledged = _client()
            _under_way(client, 1)
            sock.incoming.extend(packet[:end])
            sock.over = True
            with raises(OSError):
                _steps(client)
                client.step()
            assert acknowledged == []
            assert client.ignored == (end > 2 and len(packet) > 256)  # told when its length is known


async def test_fault_22_connection_closed_at_each_byte_of_the_connack():
    for end in range(4):
        time = Time().into(mqtt)
        mqtt.socket = network = Network()
        client = mqtt.Client("dev", "host", 1883, size=256)
        opening = asyncio.create_task(client.open(("1.2.3.4", 1883), 1000))
        await time.passes(20)
        network.opened[0].incoming.extend(CONNACK[:end])
        network.opened[0].over = True
        await time.passes(40)
        with raises(OSError) as caught:
            await opening
        assert caught.error.errno == errno.ECONNRESET


def test_socket_error_while_writing_is_an_oserror():
    client, sock, _ = _client()

    def reset(buf):
        raise OSError(errno.ECONNRESET)

    sock.write = reset
    with raises(OSError):
        client.publish("t", b"", False, 1)


def test_close_forgets_what_was_under_way():
    client, sock, acknowledged = _client()
    sock.takes = 1
    client.publish_chunks("t", 100, iter([b"x" * 100]))
    sock.incoming.extend(b"\x40\2\0")
    client.step()
    client.close()
    client.close()
    client.sock, client._connack = Socket(), 0
    _under_way(client, 7)
    client.sock.incoming.extend(b"\x40\2\0\1\x40\2\0\7")
    client.step()
    assert (acknowledged, client.unknown_pubacks) == ([7], 1)
    assert bytes(client.sock.sent) == b""


def test_silence_is_pinged_and_the_answer_awaited():
    time = Time().into(mqtt)
    client, sock, _ = _client(keepalive=30)
    client.publish("t", b"", False, 0)
    sent = len(sock.sent)
    time.now += 14000
    client.step()
    assert len(sock.sent) == sent
    time.now += 2000
    client.step()
    client.step()
    assert bytes(sock.sent[sent:]) == b"\xc0\0"
    time.now += 14000
    sock.incoming.extend(b"\xd0\0")
    client.step()
    time.now += 16000
    client.step()
    assert bytes(sock.sent[sent:]) == b"\xc0\0\xc0\0"


def test_broker_that_talks_all_the_time_is_pinged_when_nothing_else_is_sent():
    time = Time().into(mqtt)
    client, sock, _ = _client(keepalive=30)
    while time.now < 16000:
        time.now += 1000
        sock.incoming.extend(b"\x30\3\0\1t")
        client.step()
    assert bytes(sock.sent) == b"\xc0\0"


def test_fault_21_missing_pingresp_within_one_and_a_half_keepalives_is_an_oserror():
    time = Time().into(mqtt)
    client, sock, _ = _client(keepalive=30)
    client.publish("t", b"", False, 0)
    with raises(OSError) as caught:
        while time.now < 45000:
            time.now += 100
            client.step()
    assert caught.error.errno == errno.ETIMEDOUT


def test_wait_before_the_next_step_is_none_while_bytes_move_and_short_while_an_answer_is_due():
    client, sock, _ = _client()
    client.step()
    assert client.idle_ms == 10
    client.publish("t", b"", False, 1)
    assert client.idle_ms == 0
    client.step()
    assert client.idle_ms == 2
    sock.incoming.extend(b"\x40\2\0\1")
    client.step()
    assert client.idle_ms == 0
    client.step()
    assert client.idle_ms == 10


def test_keepalive_of_0_never_pings():
    time = Time().into(mqtt)
    client, sock, _ = _client(keepalive=0)
    time.now += 10000000
    client.step()
    assert bytes(sock.sent) == b""


def test_fault_23_zero_window_hits_the_deadline():
    time = Time().into(mqtt)
    client, sock, _ = _client()
    sock.takes = 3
    client.publish("t", b"x" * 50, False, 1)
    time.now += 20050
    client.step()
    time.now += 10
    with raises(OSError) as caught:
        client.step()
    assert caught.error.errno == errno.ETIMEDOUT


def test_fault_23_packet_taken_one_byte_a_second_hits_the_deadline_of_the_whole():
    time = Time().into(mqtt)
    client, sock, _ = _client()
    sock.takes = 0
    client.publish("t", b"x" * 50, False, 1)
    with raises(OSError) as caught:
        while time.now < 40000:
            time.now += 1000
            sock.takes = 1
            client.step()
    assert caught.error.errno == errno.ETIMEDOUT
    assert time.now == 21000


def test_long_packet_has_a_millisecond_more_for_each_byte():
    time = Time().into(mqtt)
    client, sock, _ = _client()
    client.publish_chunks("t", 60000, (bytes(250) for _ in range(240)))
    for _ in range(65):
        time.now += 1000
        sock.takes = 800
        client.step()
    sock.takes = 100000
    for _ in range(100):
        client.step()
    assert client.writable
    assert len(sock.sent) == 60000 + 4 + 3 + 2


def test_chunks_that_are_fewer_or_more_than_said_end_the_connection():
    for chunks in [], [b"x" * 99], [b"x" * 99, b"xx"]:
        client, sock, _ = _client()
        with raises(OSError) as caught:
            client.publish_chunks("t", 100, chunks)
        assert caught.error.errno == errno.EIO
        assert len(sock.sent) <= 7 + 99


def test_broker_that_sends_one_byte_a_second_hits_the_deadline_of_the_packet():
    for packet in b"\x30\x7f\0\1t" + bytes(60), b"\x30\xff\2\0\1t" + bytes(60):  # kept, and drained
        time = Time().into(mqtt)
        client, sock, _ = _client(keepalive=3600)
        with raises(OSError) as caught:
            for byte in packet:
                sock.incoming.append(byte)
                client.step()
                time.now += 1000
        assert caught.error.errno == errno.ETIMEDOUT
        assert time.now == 21000


def test_slow_packets_one_after_the_other_each_have_their_own_deadline():
    time = Time().into(mqtt)
    client, sock, acknowledged = _client()
    _under_way(client, *range(1, 21))
    for byte in b"".join([b"\x40\2\0" + bytes([i]) for i in range(1, 21)]):
        sock.incoming.append(byte)
        client.step()
        time.now += 4000
    assert acknowledged == list(range(1, 21))


def test_slow_packets_that_are_drained_each_have_their_own_deadline():
    time = Time().into(mqtt)
    client, sock, _ = _client()
    for _ in range(3):
        sock.incoming.extend(b"\x30\xfd\2\0\1t")
        for _ in range(21):
            sock.incoming.extend(bytes(18))
            client.step()
            time.now += 700
    assert client.ignored == 3


async def test_tls_socket_that_failed_leaves_none_open():
    class Failed(Socket):
        def getpeercert(self, binary):
            return None

        def readinto(self, buf):
            raise ValueError("certificate")

    class Context:
        def wrap_socket(self, sock, do_handshake_on_connect, server_hostname):
            assert (do_handshake_on_connect, server_hostname) == (False, "host")
            return Failed()

    time = Time().into(mqtt)
    mqtt.socket = network = Network()
    client = mqtt.Client("dev", "host", ssl=Context(), size=256)
    opening = asyncio.create_task(client.open(("1.2.3.4", 8883), 1000))
    await time.passes(50)
    with raises(ValueError):
        await opening
    client.close()
    assert network.opened[0].closed
    assert bytes(network.opened[0].sent) == b""


def test_ssl_as_1_3_4_took_it_does_not_end_in_plain_text():
    with raises(ValueError):
        mqtt.Client("dev", "host", 8883, ssl=True)


def test_constructor_takes_what_its_base_takes_in_the_same_order():
    client = mqtt.Client("dev", "host", 1, "me", "pw", 30, None)
    assert (client.client_id, client.server, client.port, client.user, client.pswd) == ("dev", "host", 1, "me", "pw")
    assert (client.keepalive, client.ssl) == (30, None)
    assert mqtt.Client("dev", "host").port == 1883
