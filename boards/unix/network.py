"""`network.WLAN` of a board whose link the host can cut: /run/link holds `1` or `0`."""

STA_IF = 0
AP_IF = 1
STAT_IDLE = 1000
STAT_CONNECTING = 1001
STAT_GOT_IP = 1010
STAT_NO_AP_FOUND = 201
STAT_WRONG_PASSWORD = 202


def link_up():
    with open("/run/link", "rb") as f:
        return f.read(1) == b"1"


class WLAN:
    IF_STA, IF_AP = STA_IF, AP_IF

    def __init__(self, interface=STA_IF):
        self._active = False
        self._joined = False

    def active(self, on=None):
        if on is None:
            return self._active
        self._active = bool(on)
        self._joined = self._joined and self._active
        return self._active

    def connect(self, ssid=None, key=None, **kwargs):
        if not self._active:
            raise OSError("Wifi Not Started")
        self._joined = True

    def disconnect(self):
        self._joined = False

    def scan(self):
        """One access point is in the air as long as the link is up: (ssid, bssid, channel, RSSI, security, hidden)."""
        if not self._active:
            raise OSError("Wifi Not Started")
        return [(b"pigtail", b"\2\0\0\0\0\1", 6, -60, 3, False)] if link_up() else []

    def isconnected(self):
        return self._joined and link_up()

    def status(self, param=None):
        if param == "rssi":
            return -60
        if not self._joined:
            return STAT_IDLE
        return STAT_GOT_IP if link_up() else STAT_CONNECTING
