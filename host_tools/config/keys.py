"""What the device does not keep of its configuration's keys: unit, and what they are for. A test holds the rows equal to the keys
of the device's schema, in both directions."""

from dataclasses import dataclass
from typing import Any

from host_tools.config import firmware


@dataclass(frozen=True)
class Key:
    """For numbers `least` and `most` are of the value, for all others of its length. `group` is a heading."""

    name: str
    group: str
    kind: type
    default: Any
    least: int
    most: int
    unit: str
    is_secret: bool
    text: str

    @property
    def takes(self) -> str:
        """What it takes, in words."""
        if self.kind is int:
            switch = (self.least, self.most) == (0, 1)
            if self.least == self.most:
                return str(self.least)
            return "0 or 1" if switch else f"{self.least} to {self.most} {self.unit}".rstrip()
        what = "characters" if self.kind is str else "entries" if self.kind is list else "signals"
        return f"{self.least} to {self.most} {what}" if self.least else f"up to {self.most} {what}"


# group: key: (unit, what it is for)
_ROWS: dict[str, dict[str, tuple[str, str]]] = {
    "The device": {
        "schema": ("", "Version of these keys. A file without it is of version 1; the device reads every older version."),
        "version": ("", "Number of this configuration, counted up with every change; batches and status name it."),
        "device": (
            "",
            "The device's id, a level of its topics: no blank, no / + #, no $ first. Empty: the chip's number, hex. "
            "What waits when it changes goes out under the new one.",
        ),
    },
    "Wi-Fi": {
        "wifi.ssid": ("", "Name of the network."),
        "wifi.password": ("", "Its password. Empty: an open network."),
        "wifi.networks": ("", 'More networks, as pairs ["name", "password"].'),
    },
    "The broker": {
        "mqtt.host": ("", "The broker, by name or address."),
        "mqtt.port": ("", "Its port: 1883 in plain text, 8883 with TLS, as a rule."),
        "mqtt.user": ("", "User name."),
        "mqtt.password": ("", "Password, sent with mqtt.user only. It needs mqtt.tls, or else mqtt.insecure."),
        "mqtt.keepalive_s": ("s", "Longest silence before the broker takes the device for gone."),
        "mqtt.window": ("messages", "How many may wait for the broker's acknowledgement; 3 at most where the car is asked."),
        "mqtt.brokers": ("", 'Brokers to try after mqtt.host: "host" or "host:port".'),
    },
    "Security": {
        "mqtt.tls": ("", "1: TLS on every broker. It needs mqtt.ca_file or mqtt.pin."),
        "mqtt.ca_file": ("", "File on the device: certificate of the CA that signs the broker's."),
        "mqtt.cert_file": ("", "File on the device: its own certificate, where the broker asks for one."),
        "mqtt.key_file": ("", "File on the device: the private key of mqtt.cert_file."),
        "mqtt.server_name": ("", "Name in the broker's certificate, where it is not mqtt.host."),
        "mqtt.pin": ("", "SHA-256 of the broker's public key, 64 hex digits: trusted while the time is not known."),
        "mqtt.insecure": ("", "1: user name and password may travel in plain text."),
        "command.key": ("", "Key of those who may command the device, 64 hex digits. Empty: nobody may."),
    },
    "Time": {
        "clock.host": ("", "Time server (SNTP). Empty: none is asked."),
        "clock.port": ("", "Its port."),
    },
    "The car": {
        "can.bitrate": ("bit/s", "Rate of the bus, 10000 at least. 0: found by listening."),
        "profile": ("", "File on the device: the packed profile that it decodes by."),
        "requests.profile": ("", "Identity (hex) of the profile whose control units may be asked. Empty: nothing is ever sent."),
        "requests.services": ("", "Services that may be asked, in hex. Empty: OBD 01 02 03 07 09 0A and UDS 19 22 3E."),
        "periods": ("ms", "By signal how often it is sampled, 0 (on change) to 3600000; the others as the profile says."),
    },
    "What is told": {
        "batch_ms": ("ms", "Longest time until a batch is closed and sent."),
        "state": ("ms", 'By signal, or "*" for all, how often its latest value is told on a topic of its own.'),
        "homeassistant": ("", "Discovery prefix of a Home Assistant that the states are announced to. Empty: none."),
    },
    "The outbox": {
        "outbox.bytes": ("B", "RAM for what waits, 1024 at least; flash stands behind it. 0: 4096, or what there is room for."),
        "outbox.alert_segments": ("segments", "Flash for alerts, 4 KiB each; telemetry has the rest."),
        "outbox.diagnostic_segments": ("segments", "Flash for diagnostics, 4 KiB each."),
        "outbox.files": ("segments", "Flash in all where the outbox has no partition of its own."),
        "outbox.alert_thin": ("", "When flash is full, every n-th new batch of alerts is kept."),
        "outbox.diagnostic_thin": ("", "When flash is full, every n-th new batch of diagnostics is kept."),
        "outbox.telemetry_thin": ("", "When flash is full, every n-th new batch of telemetry is kept."),
    },
    "Power": {
        "power.quiet_s": ("s", "Without a frame for so long it sleeps; 0: never for that."),
        "power.parked_s": ("s", "With the ignition off for so long it sleeps though the bus goes on; 0: never for that."),
        "power.wake_s": ("s", "Asleep for so long it wakes to say that it is well; 0: never for that."),
        "power.low_mv": ("mV", "Of the car's 12 V: below, it sleeps; 0: never for that."),
        "power.charging_mv": ("mV", "Of the car's 12 V: from there on somebody charges it."),
    },
}  # fmt: skip


def _all() -> dict[str, Key]:
    found = {}
    for group, rows in _ROWS.items():
        for name, (unit, text) in rows.items():
            kind, default, least, most = firmware.KEYS[name]
            found[name] = Key(name, group, kind, default, least, most, unit, name in firmware.SECRET, text)
    return found


KEYS: dict[str, Key] = _all()
EXAMPLES = {"wifi.networks": '[["phone", "its password"]]', "mqtt.brokers": '["192.168.1.2:1883"]'}


def of(name: str) -> Key:
    """The key; raises as `firmware.check_value` where there is none."""
    if name not in KEYS:
        firmware.check_value(name, None)
    return KEYS[name]
