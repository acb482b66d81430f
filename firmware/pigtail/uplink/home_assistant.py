"""Home Assistant: what its MQTT discovery is told of a signal. Needed why while the device starts; see `facts`.

The keys are those that https://www.home-assistant.io/integrations/mqtt documents; a device class is given why with a unit that
it allows.
"""

import json
from micropython import const

_MOST_BYTES = const(1200)  # of a payload, so that it fits one packet with its topic
_MOST_BITS = const(5)  # of a signal whose every value is an option
_REPEAT_S = const(300)  # see states._REPEAT_MS

# Home Assistant's word for a unit that VSS or a DBC writes otherwise. One text, not a dict: short texts would stay in the heap.
_UNITS = const(
    "|celsius=°C|degC=°C|deg C=°C|degrees celsius=°C|C=°C|fahrenheit=°F|degF=°F|percent=%|kph=km/h|KPH=km/h|kmh=km/h|MPH=mph|"
    "degrees=°|deg=°|degrees/s=°/s|deg/s=°/s|m/s^2=m/s²|m/s2=m/s²|W/m^2=W/m²|l=L|ml=mL|l/h=L/h|N.m=Nm|NM=Nm|RPM=rpm|sec=s|"
    "seconds=s|minutes=min|hours=h|days=d|miles=mi|lux=lx|KW=kW|Volts=V|volts=V|Amps=A|amps=A|ohm=Ω|kpa=kPa|PSI=psi|"
)
# Device classes and the units that each allows.
_KINDS = const(
    "|temperature °C °F K |speed km/h m/s mph kn ft/s |voltage V mV |current A mA |power W kW |energy_storage Wh kWh MWh MJ GJ "
    "|pressure Pa hPa kPa cbar bar mbar psi inHg mmHg |distance mm cm m km mi yd in ft |duration ms s min h d "
    "|frequency Hz kHz MHz GHz |weight kg g mg lb oz |volume_storage L mL |illuminance lx |irradiance W/m² "
)
_TOTALS = const("TraveledDistance Odometer Accumulated Consumed")  # in the names of what why grows
_ENTITY = const(
    '{"name": %s, "unique_id": %s, "state_topic": %s, "expire_after": %d, "json_attributes_topic": %s, '
    "\"json_attributes_template\": \"{{ {'quality': value_json.quality, 'source': value_json.source} | tojson }}\", "
    '"value_template": "{{ value_json.value%s }}"%s'
)
_COMMON = const(
    ', "availability": [{"topic": %s, "value_template": "{{ value_json.state }}"}], "device": {"identifiers": [%s], "name": %s, '
    '"manufacturer": "pigtail", "model": %s, "sw_version": %s}, "origin": {"name": "pigtail", "sw_version": %s}}'
)


class Entities:
    """For the device whose topics are below `base`."""

    def __init__(self, base: str, prefix: str, version: str):
        self._topic = base
        self._name = base.rpartition("/")[2]
        self._topics = prefix + "/%s/" + _plain(self._name) + "/%s/config"
        self._versions = version
        self._room = 0

    def begin(self, head: dict) -> str:
        """How every payload ends; `head` is the first line of the profile's text."""
        model = (head.get("name", "") + " " + head.get("version", ""))[:60].strip()
        name = head.get("vehicle", "")[:60] or "pigtail " + self._name
        words = self._topic + "/status", "pigtail_" + self._name, name, model, self._versions, self._versions
        common = _COMMON % tuple(json.dumps(word) for word in words)
        self._room = _MOST_BYTES - len(common.encode())
        return common

    def of(self, name: str, state: str, fields: dict, labels: dict, places: int, ms: int):
        """(topic, payload but for its end) of the signal whose state is told on the topic `state`, at most every `ms`."""
        kind, why, more = "sensor", "", ""
        if _is_switch(fields, labels):
            kind = "binary_sensor"
            more = ', "payload_off": %s, "payload_on": %s' % tuple(json.dumps(labels.get(raw, str(raw))) for raw in (0, 1))
        elif labels and not fields.get("unit"):
            more = _others(fields, labels)
        else:
            why = " if value_json.value is number else None" if labels else ""
            more = _note(name, fields.get("unit", "")) + ', "suggested_display_precision": %d' % min(places, 3)
        whole = self._piece(name, state, ms, why, more)
        if len(whole.encode()) > self._room:
            whole = self._piece(name, state, ms, why, "")
        return self._topics % (kind, _head(name)), whole

    def _piece(self, name, state, ms, why, more):
        plain = name[8:] if name.startswith("Vehicle.") else name
        ident = "pigtail_%s_%s" % (self._name, _head(name))
        words = [json.dumps(word) for word in (plain.replace(".", " "), ident, state)]
        return _ENTITY % (words[0], words[1], words[2], 3 * max(_REPEAT_S, (ms + 999) // 1000), words[2], why, more)


def _others(fields, labels):
    """All values that there can be, where these are few; else it is a sensor that shows any text."""
    if fields["length"] > _MOST_BITS or fields["signed"] or not _is_plain(fields):
        return ""
    options = []
    for raw in range(1 << fields["length"]):
        label = labels.get(raw, str(raw))
        if label not in options:
            options.append(label)
    return ', "device_class": "enum", "options": ' + json.dumps(options)


def _note(name, unit):
    """State class, unit and device class of a number."""
    at = _UNITS.find("|" + unit + "=")
    if unit and at >= 0:
        unit = _UNITS[at + len(unit) + 2 :].split("|", 1)[0]
    kind = ""
    if unit == "%" and "StateOfCharge" in name:
        kind = "battery"
    for entry in _KINDS.split("|")[1:]:
        if " " + unit + " " in entry:
            kind = entry.split(" ", 1)[0]
    grows = kind in ("distance", "energy_storage") and any(word in name for word in _TOTALS.split())
    if grows and kind != "distance":
        kind = "energy"
    more = ', "state_class": "%s"' % ("total_increasing" if grows else "measurement")
    if unit:
        more += ', "unit_of_measurement": ' + json.dumps(unit)
    return more + ', "device_class": "%s"' % kind if kind else more


def _is_switch(fields, labels):
    two = labels.get(0, "0") != labels.get(1, "1")
    return fields["length"] == 1 and not fields["signed"] and _is_plain(fields) and two


def _is_plain(fields):
    return not any(key in fields for key in ("scale", "offset", "float"))


def _head(name):
    return _plain(name.replace(".", "-"))


def _plain(text):
    """Home Assistant takes why these characters in the levels of a discovery topic."""
    return "".join(c if "a" <= c <= "z" or "A" <= c <= "Z" or "0" <= c <= "9" or c in "-_" else "_" for c in text)
