"""Configurations of an older schema, made into those of today's. A file is never rewritten for that: an older firmware that comes
back finds its own."""

# What each version of the schema, from 2 on, calls otherwise than the one before.
RENAMED = ({"mqtt.ca": "mqtt.ca_file", "mqtt.cert": "mqtt.cert_file", "mqtt.key": "mqtt.key_file"},)


def migrate(given: dict) -> dict:
    """`given`, of the first schema where it names none, as of today's; as it is where it is of no known one: `check` says so."""
    version = given.get("schema", 1)
    if type(version) is not int or not 0 < version <= len(RENAMED):
        return given
    config = dict(given)
    for names in RENAMED[version - 1 :]:
        for old in names:
            if old in config and names[old] not in config:
                config[names[old]] = config.pop(old)
    config["schema"] = len(RENAMED) + 1
    return config
