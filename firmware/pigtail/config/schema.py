"""What can be set: every key with its type, its range and its default. The device and the host tools read this one table."""

# key: (type, default, least, most); for text and lists the range is that of their length. Which are secret: `secrets`.
KEYS = {
    "schema": (int, 2, 2, 2),  # of this table; `migrations` takes what is older
    "version": (int, 0, 0, 0xFFFF),  # counts the changes
    "device": (str, "", 0, 32),  # a level of a topic
    "wifi.ssid": (str, "pigtail", 1, 32),
    "wifi.password": (str, "", 0, 63),
    "wifi.networks": (list, [], 0, 8),  # more of them: [name, password]
    "mqtt.host": (str, "127.0.0.1", 1, 253),
    "mqtt.port": (int, 1883, 1, 65535),
    "mqtt.user": (str, "", 0, 64),
    "mqtt.password": (str, "", 0, 128),
    "mqtt.keepalive_s": (int, 30, 5, 3600),
    "mqtt.window": (int, 16, 1, 32),
    "mqtt.brokers": (list, [], 0, 4),  # to try after mqtt.host: "host" or "host:port"
    "mqtt.tls": (int, 0, 0, 1),
    "mqtt.ca_file": (str, "", 0, 64),  # files: the CA's certificate, the device's own certificate and key
    "mqtt.cert_file": (str, "", 0, 64),
    "mqtt.key_file": (str, "", 0, 64),
    "mqtt.server_name": (str, "", 0, 253),  # in the broker's certificate, where it is not its host's
    "mqtt.pin": (str, "", 0, 64),  # SHA-256 of the broker's public key, hex
    "mqtt.insecure": (int, 0, 0, 1),  # user name and password may travel in plain text
    "command.key": (str, "", 0, 64),  # of those who may command the device, hex; secret; "": nobody may
    "clock.host": (str, "pool.ntp.org", 0, 253),
    "clock.port": (int, 123, 1, 65535),
    "can.bitrate": (int, 500000, 0, 1000000),  # 0: found by listening; else 10000 at least
    "profile": (str, "/profile.bin", 1, 64),
    "requests.profile": (str, "", 0, 8),  # identity (hex) of the profile whose ECUs may be asked; "": nothing is ever sent
    "requests.services": (str, "", 0, 40),  # what may be asked, hex; "": OBD 01 02 03 07 09 0A, UDS 19 22 3E
    "periods": (dict, {}, 0, 64),
    "state": (dict, {}, 0, 64),  # signal, or "*" for all: its latest value on a topic of its own, at most this often
    "homeassistant": (str, "", 0, 64),  # discovery prefix of a Home Assistant that the states are announced to; "" = none
    "power.quiet_s": (int, 1800, 0, 86400),  # without a frame, then it sleeps; 0: never for that
    "power.parked_s": (int, 0, 0, 604800),  # with the ignition off, then it sleeps though the bus goes on; 0: never for that
    "power.wake_s": (int, 21600, 0, 604800),  # asleep, then it wakes to say that it is well; 0: never for that
    "power.low_mv": (int, 11800, 0, 30000),  # of the car's 12 V: below, it sleeps; 0: never for that
    "power.charging_mv": (int, 13200, 0, 30000),  # from there on somebody charges it
    "batch_ms": (int, 10000, 100, 60000),
    "outbox.bytes": (int, 0, 0, 1048576),  # of RAM; flash stands behind it. 0: 4096, or as many as there is room for
    "outbox.alert_segments": (int, 4, 3, 1024),  # of flash, 4 KiB each; telemetry has the rest
    "outbox.diagnostic_segments": (int, 8, 3, 1024),
    "outbox.files": (int, 64, 12, 1024),  # segments in all where the outbox has no partition of its own
    "outbox.alert_thin": (int, 1, 1, 1000),  # when flash is full, every n-th new batch is kept
    "outbox.diagnostic_thin": (int, 1, 1, 1000),
    "outbox.telemetry_thin": (int, 1, 1, 1000),
}
# Keys that must agree with others, or have more in them than a length.
_NETWORK = (
    "wifi.networks", "mqtt.user", "mqtt.password", "mqtt.brokers", "mqtt.tls", "mqtt.ca_file", "mqtt.cert_file", "mqtt.key_file",
    "mqtt.server_name", "mqtt.pin", "command.key",
)  # fmt: skip


class ConfigError(Exception):
    """One line: which key is wrong and what it takes."""


def check(given) -> dict:
    """The whole configuration, defaults filled in. Raises ConfigError on an unknown key, a wrong type or a value out of range."""
    if not isinstance(given, dict):
        raise ConfigError("not a JSON object")
    schema, newest = given.get("schema"), KEYS["schema"][1]
    if type(schema) is int and schema > newest:  # said first: it may have keys that are unknown here
        raise ConfigError("schema: %d is newer than %d, which this firmware knows" % (schema, newest))
    for key in given:
        if key not in KEYS:
            raise ConfigError("unknown key " + repr(key))
    config = {key: KEYS[key][1] for key in KEYS}
    for key in given:
        config[key] = _value(key, given[key])
    for key, least in ("can.bitrate", 10000), ("outbox.bytes", 1024):
        if 0 < config[key] < least:
            raise ConfigError("%s: %d is not 0 or %d to %d" % (key, config[key], least, KEYS[key][3]))
    if any(config[key] for key in _NETWORK):
        from pigtail.config.network import fault  # here: most configurations do without

        found = fault(config)
        if found:
            raise ConfigError(found)
    return config


def _value(key, value):
    kind, _, least, most = KEYS[key]
    if type(value) is not kind:
        raise ConfigError("%s: takes %s" % (key, kind.__name__))
    if kind is dict:
        low, zero = (100, "0 (off) or 100") if key == "state" else (0, "0 (on change)")
        for name in value:
            ms = value[name]
            if type(name) is not str or type(ms) is not int or (ms and not low <= ms <= 3600000):
                raise ConfigError("%s: %s takes %s to 3600000 ms" % (key, name, zero))
    extent = value if kind is int else len(value)
    if not least <= extent <= most:
        raise ConfigError("%s: %d is not in %d to %d" % (key, extent, least, most))
    if key == "device" and (value[:1] == "$" or any(c <= " " or c in "/+#\x7f" for c in value)):
        raise ConfigError("device: takes no blank and none of / + #, and no $ in front")
    return value
