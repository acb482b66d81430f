"""What must be true of the network's keys beyond type and length. Who asks for security gets it, or is told why not; who has a
password says so when it may be overheard."""


def fault(config):
    """One line that says which key is wrong and what it takes; None when all is well."""
    for ssid, password in _pairs(config["wifi.networks"]):
        if ssid is None or not 1 <= len(ssid) <= 32 or len(password) > 63:
            return "wifi.networks: takes pairs [name of 1 to 32 characters, password of at most 63]"
    for text in config["mqtt.brokers"]:
        if not _is_endpoint(text):
            return "mqtt.brokers: takes host or host:port"
    if config["command.key"] and not _is_hash(config["command.key"]):
        return "command.key: takes 64 hex digits"
    return _tls_fault(config) if config["mqtt.tls"] else _plain_fault(config)


def _pairs(items):
    """The pairs of texts, (None, None) for what is none."""
    for item in items:
        pair = type(item) is list and len(item) == 2 and type(item[0]) is str and type(item[1]) is str
        yield item if pair else (None, None)


def _is_endpoint(text):
    if type(text) is not str:
        return False
    host, colon, port = text.partition(":")
    return 1 <= len(host) <= 253 and (not colon or (port.isdigit() and 0 < int(port) < 65536))


def _is_hash(text):
    return len(text) == 64 and all(c in "0123456789abcdefABCDEF" for c in text)


def _plain_fault(config):
    for key in "mqtt.ca_file", "mqtt.cert_file", "mqtt.key_file", "mqtt.pin", "mqtt.server_name":
        if config[key]:
            return key + ": is for TLS; set mqtt.tls to 1"
    if (config["mqtt.user"] or config["mqtt.password"]) and not config["mqtt.insecure"]:
        return "mqtt.password: anyone could read it; set mqtt.tls to 1, or mqtt.insecure to 1"
    return None


def _tls_fault(config):
    pin = config["mqtt.pin"]
    if not config["mqtt.ca_file"] and not pin:
        return "mqtt.tls: needs mqtt.ca_file or mqtt.pin to know the broker by"
    if pin and not _is_hash(pin):
        return "mqtt.pin: takes 64 hex digits"
    if bool(config["mqtt.cert_file"]) != bool(config["mqtt.key_file"]):
        return "mqtt.cert_file: needs mqtt.key_file, and mqtt.key_file needs it"
    if not config["clock.host"] and not pin:
        return "mqtt.tls: needs clock.host, for a certificate's dates, or mqtt.pin"
    return None
