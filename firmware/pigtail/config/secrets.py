"""Which keys hold secrets, and what may be told of them: whether they are set. Device and host tools read this one table."""

SECRET = "wifi.password", "wifi.networks", "mqtt.password", "command.key"


def shown(key: str, value):
    """The value as it may be told."""
    if key not in SECRET:
        return value
    if isinstance(value, list):
        return [[item[0], _word(item[1])] if isinstance(item, list) and len(item) == 2 else "?" for item in value]
    return _word(value)


def _word(value):
    return "set" if value else "not set"
