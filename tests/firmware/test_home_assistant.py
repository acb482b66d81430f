"""uplink/home_assistant: what is announced has only keys that Home Assistant documents, with values that it takes.

The tables are those of its documentation: https://www.home-assistant.io/integrations/sensor.mqtt, …/binary_sensor.mqtt and
https://developers.home-assistant.io/docs/core/entity/sensor. `make test-home-assistant` asks a real one.
"""

# heap: 512k

import json
from pigtail.uplink.home_assistant import Entities

BASE = "pigtail/v1/d"
COMMON = {
    "name", "unique_id", "state_topic", "value_template", "expire_after", "json_attributes_topic", "json_attributes_template",
    "availability", "device", "origin",
}  # fmt: skip
OWN = {
    "sensor": {"device_class", "state_class", "unit_of_measurement", "suggested_display_precision", "options"},
    "binary_sensor": {"payload_on", "payload_off"},
}
UNITS = {
    "battery": "%", "current": "A mA", "distance": "km m cm mm mi yd in ft", "duration": "d h min s ms",
    "energy": "Wh kWh MWh MJ GJ", "energy_storage": "Wh kWh MWh MJ GJ", "frequency": "Hz kHz MHz GHz", "illuminance": "lx",
    "irradiance": "W/m²", "power": "W kW", "pressure": "Pa hPa kPa bar cbar mbar mmHg inHg psi",
    "speed": "ft/s km/h kn m/s mph", "temperature": "°C °F K", "voltage": "V mV", "volume_storage": "L mL",
    "weight": "kg g mg lb oz",
}  # fmt: skip
TOTALS = ("distance", "energy")  # classes that may be total_increasing
MEASUREMENTS = set(UNITS) - {"energy"}  # and those that may be a measurement
NAME = "Vehicle.Cabin.Thing"


def entities():
    made = Entities(BASE, "homeassistant", "1.2.3")
    return made, made.begin({"name": "demo", "version": "1", "vehicle": "a car"})


def announced(name=NAME, labels=None, places=1, ms=1000, **fields):
    """(topic, fields) of the entity of a signal."""
    made, end = entities()
    for key, value in ("signed", False), ("length", 16):
        fields.setdefault(key, value)
    topic, payload = made.of(name, BASE + "/state/" + name.replace(".", "/"), fields, labels or {}, places, ms)
    return topic, _checked(topic, json.loads(payload + end))


def _checked(topic, fields):
    _, kind, node, thing, end = topic.split("/")
    assert end == "config" and all(c.isalpha() or c.isdigit() or c in "-_" for c in node + thing)
    assert set(fields) <= COMMON | OWN[kind] and COMMON <= set(fields)
    unit, of = fields.get("unit_of_measurement"), fields.get("device_class")
    if of == "enum":
        assert "options" in fields and not unit and "state_class" not in fields
    elif of:
        assert unit in UNITS[of].split()
        assert of in (TOTALS if fields["state_class"] == "total_increasing" else MEASUREMENTS)
    assert set(fields["device"]) <= {"identifiers", "name", "manufacturer", "model", "sw_version"}
    assert set(fields["origin"]) <= {"name", "sw_version"}
    for source in fields["availability"]:
        assert set(source) <= {"topic", "value_template"}
    return fields


def test_home_assistant_is_told_all_of_an_entity():
    assert announced(unit="celsius") == (
        "homeassistant/sensor/d/Vehicle-Cabin-Thing/config",
        {
            "name": "Cabin Thing",
            "unique_id": "pigtail_d_Vehicle-Cabin-Thing",
            "state_topic": "pigtail/v1/d/state/Vehicle/Cabin/Thing",
            "value_template": "{{ value_json.value }}",
            "expire_after": 900,
            "json_attributes_topic": "pigtail/v1/d/state/Vehicle/Cabin/Thing",
            "json_attributes_template": "{{ {'quality': value_json.quality, 'source': value_json.source} | tojson }}",
            "state_class": "measurement",
            "unit_of_measurement": "°C",
            "device_class": "temperature",
            "suggested_display_precision": 1,
            "availability": [{"topic": "pigtail/v1/d/status", "value_template": "{{ value_json.state }}"}],
            "device": {
                "identifiers": ["pigtail_d"], "name": "a car", "manufacturer": "pigtail", "model": "demo 1",
                "sw_version": "1.2.3",
            },
            "origin": {"name": "pigtail", "sw_version": "1.2.3"},
        },
    )  # fmt: skip


def test_home_assistant_gets_its_own_units_and_a_class_that_takes_them():
    for unit, own, kind in (
        ("degC", "°C", "temperature"), ("km/h", "km/h", "speed"), ("V", "V", "voltage"), ("A", "A", "current"), ("%", "%", None),
        ("percent", "%", None), ("kPa", "kPa", "pressure"), ("kW", "kW", "power"), ("kWh", "kWh", "energy_storage"),
        ("Nm", "Nm", None), ("rpm", "rpm", None), ("m", "m", "distance"), ("s", "s", "duration"), ("l", "L", "volume_storage"),
        ("m/s^2", "m/s²", None), ("widgets", "widgets", None), ("", None, None), ("C|F", "C|F", None), (" ", " ", None),
    ):  # fmt: skip
        _, fields = announced(unit=unit)
        assert (fields.get("unit_of_measurement"), fields.get("device_class")) == (own, kind), unit


def test_home_assistant_adds_up_only_what_grows():
    for name, unit, kind, of in (
        ("Vehicle.TraveledDistance", "km", "distance", "total_increasing"),
        ("Vehicle.FuelConsumed", "l", "volume_storage", "measurement"),
        ("Vehicle.Range", "km", "distance", "measurement"),
        ("Vehicle.AccumulatedChargedEnergy", "kWh", "energy", "total_increasing"),
        ("Vehicle.StateOfCharge.CurrentEnergy", "kWh", "energy_storage", "measurement"),
        ("Vehicle.StateOfCharge.Current", "percent", "battery", "measurement"),
    ):
        _, fields = announced(name, unit=unit)
        assert (fields["device_class"], fields["state_class"]) == (kind, of), name


def test_home_assistant_gets_a_switch_for_one_bit():
    topic, fields = announced(length=1)
    assert topic == "homeassistant/binary_sensor/d/Vehicle-Cabin-Thing/config"
    assert (fields["payload_off"], fields["payload_on"]) == ("0", "1")
    _, fields = announced(length=1, labels={0: "closed", 1: "open"})
    assert (fields["payload_off"], fields["payload_on"]) == ("closed", "open")
    for odd in {"length": 1, "scale": 2}, {"length": 1, "signed": True}, {"length": 1, "labels": {0: "1"}}:
        assert announced(**odd)[0].startswith("homeassistant/sensor/")


def test_home_assistant_gets_every_value_of_a_few_as_an_option():
    _, fields = announced(length=2, labels={0: "P", 1: "R", 3: "R"})
    assert (fields["device_class"], fields["options"]) == ("enum", ["P", "R", "2"])


def test_home_assistant_gets_any_text_where_the_values_are_many():
    for more in {"length": 6}, {"length": 3, "signed": True}, {"length": 3, "scale": 2}:
        _, fields = announced(labels={0: "off", 1: "on"}, **more)
        assert not {"device_class", "options", "state_class", "unit_of_measurement"} & set(fields)


def test_home_assistant_gets_no_text_where_it_takes_a_number():
    _, fields = announced(unit="V", labels={255: "not available"})
    assert fields["value_template"] == "{{ value_json.value if value_json.value is number else None }}"
    assert fields["state_class"] == "measurement"


def test_home_assistant_waits_three_times_as_long_as_a_value_may_take():
    assert announced(ms=1000)[1]["expire_after"] == 900
    assert announced(ms=3600000)[1]["expire_after"] == 10800


def test_home_assistant_payload_that_would_be_too_long_does_without_options():
    made, end = entities()
    labels = {raw: "ä" * 100 for raw in range(2)}
    labels.update({raw: "%d" % raw * 40 for raw in range(2, 32)})
    topic, payload = made.of("V" * 100, BASE, {"length": 5, "signed": False}, labels, 0, 1000)
    assert len(topic) + len((payload + end).encode()) <= 1500
    assert "options" not in _checked(topic, json.loads(payload + end))


def test_home_assistant_takes_only_some_characters_in_a_topic():
    made = Entities("pigtail/v1/ä car.1", "ha", "1")
    made.begin({})
    topic, _ = made.of("A.B_C/ü", "s", {"length": 8, "signed": False}, {}, 0, 1000)
    assert topic == "ha/sensor/__car_1/A-B_C__/config"
