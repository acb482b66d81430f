"""A stand-in for umqtt.simple 1.4, which ESP32 builds of MicroPython 1.23 and 1.24 freeze: `ssl` takes an SSLContext, and there
is no `ssl_params` (micropython-lib pull request 936 brought it back). Importing it puts it in place."""

import sys
import umqtt_newer


class MQTTClient(umqtt_newer.MQTTClient):
    def __init__(self, client_id, server, port=0, user=None, password=None, keepalive=0, ssl=None):
        super().__init__(client_id, server, port, user, password, keepalive, ssl)


class Version14:
    MQTTClient, MQTTException = MQTTClient, umqtt_newer.MQTTException


sys.modules["umqtt.simple"] = Version14
