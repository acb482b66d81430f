"""uplink/mqtt against a socket that gives and takes what the test says: packets whole or in pieces, and every bad one."""
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
    client = mqtt.Client("dev", "host", 1883, "me", "pw", 30, 256)
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


async def test_connack_that_refuses():
    for code in 1, 5, 255:
        with raises(mqtt.MQTTException) as caught:
            await _open(bytes([0x20, 2, 0, code]))
        assert caught.error.args[0] == code


async def test_session_present_is_taken():
    await _open(b"\x20\2\1\0")


async def test_connack_that_never_comes():
    with raises(OSError) as caught:
        await _open(None)
    assert caught.error.errno == errno.ETIMEDOUT


async def test_http_answer_of_a_captive_portal():
    with raises(mqtt.MQTTException):
        await _open(b"HTTP/1.1 302 Found\r\nLocation: http://portal/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" * 5)


async def test_open_closes_the_connection_before():
    client, first = await _open(CONNACK)
    client.publish_chunks("t", 100, [b"x" * 10])
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
    for byte in b"\x40\2\x12\x34":
        assert acknowledged == []
        sock.incoming.append(byte)
        client.step()
    assert acknowledged == [0x1234]


def test_many_pubacks_cut_at_any_byte():
    stream = b"".join([b"\x40\2\0" + bytes([i]) for i in range(100)])
    for gives in 1, 3, 7, 255, 256, 4096:
        client, sock, acknowledged = _client()
        sock.gives = gives
        sock.incoming.extend(stream)
        client.step()
        assert acknowledged == list(range(100)), gives


def test_puback_of_a_packet_never_sent_is_told_like_any_other():
    client, sock, acknowledged = _client()
    sock.incoming.extend(b"\x40\2\xff\xff\x40\2\0\0")
    client.step()
    assert acknowledged == [0xFFFF, 0]


def test_packet_types_that_have_no_place_here():
    for op in 0x00, 0x10, 0x50, 0x60, 0x70, 0x80, 0x90, 0xC0, 0xE0, 0xF0:
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


def test_remaining_length_of_five_bytes():
    for op in 0x30, 0x40:
        client, sock, _ = _client()
        sock.incoming.extend(bytes([op]) + b"\xff\xff\xff\xff\x7f")
        with raises(mqtt.MQTTException):
            client.step()


def test_acknowledgement_of_268_megabytes():
    client, sock, _ = _client()
    sock.incoming.extend(b"\x40\xff\xff\xff\x7f")
    with raises(mqtt.MQTTException):
        client.step()


def test_publish_that_nobody_asked_for_is_dropped_and_counted():
    for op in 0x30, 0x33, 0x36:  # QoS 3 among them
        client, sock, acknowledged = _client()
        sock.incoming.extend(bytes([op]) + b"\5\0\1tab\x40\2\0\7")
        client.step()
        assert (client.ignored, acknowledged) == (1, [7])


def test_oversized_publish_is_drained_and_counted_in_bounded_memory():
    for size in 254, 255, 300, 20000:
        for gives in 1 if size < 1000 else 100, 256, 4096:
            client, sock, acknowledged = _client()
            sock.gives = gives
            sock.incoming.extend(b"\x30" + bytes([size & 127 | 128, size >> 7 & 127 | 128, size >> 14]))
            sock.incoming.extend(b"\x40\2\0\1" * (size // 4) + bytes(size % 4) + b"\x40\2\0\7")
            client.step()
            assert (client.ignored, acknowledged) == (1, [7]), (size, gives)


def test_connection_closed_in_mid_packet():
    for packet in b"", b"\x40", b"\x40\2", b"\x40\2\0", b"\x30\xff\xff\xff\x7fabc":
        client, sock, acknowledged = _client()
        sock.incoming.extend(packet)
        sock.over = True
        with raises(OSError):
            client.step()
        assert acknowledged == []


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
    client.sock.incoming.extend(b"\x40\2\0\7")
    client.step()
    assert acknowledged == [7]
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


def test_missing_pingresp_within_one_and_a_half_keepalives_is_an_oserror():
    time = Time().into(mqtt)
    client, sock, _ = _client(keepalive=30)
    client.publish("t", b"", False, 0)
    with raises(OSError) as caught:
        while time.now < 45000:
            time.now += 100
            client.step()
    assert caught.error.errno == errno.ETIMEDOUT


def test_keepalive_of_0_never_pings():
    time = Time().into(mqtt)
    client, sock, _ = _client(keepalive=0)
    time.now += 10000000
    client.step()
    assert bytes(sock.sent) == b""


def test_socket_that_takes_no_byte_for_20_s_is_an_oserror():
    time = Time().into(mqtt)
    client, sock, _ = _client()
    sock.takes = 3
    client.publish("t", b"x" * 50, False, 1)
    time.now += 19000
    sock.takes = 1  # it moves, if slowly
    client.step()
    time.now += 20000
    client.step()
    time.now += 1000
    with raises(OSError) as caught:
        client.step()
    assert caught.error.errno == errno.ETIMEDOUT
