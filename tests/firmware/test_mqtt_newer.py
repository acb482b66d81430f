"""uplink/mqtt on the newer umqtt.simple that ESP32 builds freeze: a stand-in with that one's constructor (`ssl=None` for an
SSLContext, `ssl_params`) and last will; tests/host/test_umqtt_versions.py holds the stand-in to the published signatures."""

import sys
from fakes import Socket
from runner import raises


class MQTTException(Exception):
    pass


class MQTTClient:
    def __init__(self, client_id, server, port=0, user=None, password=None, keepalive=0, ssl=None, ssl_params={}):  # noqa: B006
        self.client_id, self.server, self.port = client_id, server, port or (8883 if ssl else 1883)
        self.user, self.pswd, self.keepalive = user, password, keepalive
        self.ssl, self.ssl_params = ssl, ssl_params
        self.sock = self.cb = self.lw_topic = self.lw_msg = None
        self.pid = self.lw_qos = 0
        self.lw_retain = False

    def set_callback(self, f):
        self.cb = f

    def set_last_will(self, topic, msg, retain=False, qos=0):
        self.lw_topic, self.lw_msg, self.lw_qos, self.lw_retain = topic, msg, qos, retain


class Newer:
    MQTTClient, MQTTException = MQTTClient, MQTTException


class Context:
    """Enough of an SSLContext for a constructor."""

    def wrap_socket(self, *args, **kwargs):
        raise NotImplementedError


sys.modules["umqtt.simple"] = Newer
from pigtail.uplink import mqtt  # noqa: E402


def test_base_is_the_newer_one():
    assert mqtt.Client.__bases__ == (MQTTClient,)
    assert mqtt.MQTTException is MQTTException
    assert issubclass(mqtt.Portal, MQTTException)


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
