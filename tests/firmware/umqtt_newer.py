"""A stand-in for the umqtt.simple that ESP32 builds of MicroPython 1.25 and later freeze: that one's constructor (`ssl` an
SSLContext, `ssl_params`), attributes and last will, and nothing that sends or receives, which ours does itself. Importing it puts
it in place; tests/host/test_umqtt_versions.py holds it to the published signatures."""

import sys


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


sys.modules["umqtt.simple"] = Newer
