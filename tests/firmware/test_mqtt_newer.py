"""uplink/mqtt on the newer umqtt.simple, see umqtt_newer.py: that it is that one, and what follows from its constructor. The
other tests of delivery are run with it as well."""

import umqtt_newer
from fakes import Socket
from pigtail.uplink import mqtt
from runner import raises


class Context:
    """Enough of an SSLContext for a constructor."""

    def wrap_socket(self, *args, **kwargs):
        raise NotImplementedError


def test_base_is_the_newer_one():
    assert mqtt.Client.__bases__ == (umqtt_newer.MQTTClient,)
    assert mqtt.MQTTException is umqtt_newer.MQTTException
    assert issubclass(mqtt.Portal, umqtt_newer.MQTTException)


def test_port_follows_from_tls():
    assert mqtt.Client("dev", "host").port == 1883
    assert mqtt.Client("dev", "host", ssl=Context()).port == 8883
    with raises(ValueError):
        mqtt.Client("dev", "host", ssl=True)


def test_connect_carries_what_the_constructor_and_the_last_will_said():
    client = mqtt.Client("dev", "host", 1883, "me", "pw", 30, size=128)
    client.set_last_will("t", b"gone", True, 1)
    assert client._connect_packet() == b"\x10\x20\0\4MQTT\4\xee\0\x1e\0\3dev\0\1t\0\4gone\0\2me\0\2pw"


def test_publish_and_puback():
    client = mqtt.Client("dev", "host", size=128)
    client.sock, client._connack = Socket(), 0
    acknowledged = []
    client.on_puback = acknowledged.append
    client.pid = 65535
    assert client.publish("t", b"x", False, 1) == 1
    client.sock.incoming.extend(b"\x40\2\0\1")
    client.step()
    assert acknowledged == [1]
