"""health/events: told in their order, numbered in each boot, and of more than can be kept the oldest is dropped and counted."""

import json
from fakes import Time
from pigtail import uptime
from pigtail.health.events import Events
from pigtail.uplink.session import Text


def _events():
    return Events(7, "t/event", Text(memoryview(bytearray(300))))


def _said(events):
    topic, payload, retain = events.next(0)
    assert (topic, retain) == ("t/event", False)
    return json.loads(bytes(payload))


def test_event_says_boot_number_uptime_kind_and_text():
    time = Time(5000).into(uptime)
    uptime._last, uptime._ms = 0, 0
    events = _events()
    assert events.next(0) is None
    events.add("started", "power_on")
    time.now = 9000
    assert _said(events) == {"boot": 7, "number": 0, "uptime_ms": 5000, "kind": "started", "text": "power_on"}


def test_event_leaves_when_it_is_told_and_not_before():
    events = _events()
    events.add("started")
    events.add("clock_set", "ntp")
    assert _said(events)["kind"] == "started"
    events.rewind()
    assert _said(events)["kind"] == "started"
    events.told()
    assert (_said(events)["kind"], _said(events)["number"]) == ("clock_set", 1)
    events.told()
    assert events.next(0) is None


def test_of_more_than_eight_the_oldest_is_dropped_and_counted():
    events = _events()
    for i in range(11):
        events.add("part_restarted", str(i))
    assert events.lost == 3
    numbers = []
    while events.next(0):
        numbers.append(_said(events)["number"])
        events.told()
    assert numbers == [3, 4, 5, 6, 7, 8, 9, 10]


def test_event_that_was_dropped_while_it_was_under_way_takes_no_other_with_it():
    events = _events()
    for _ in range(8):
        events.add("part_restarted")
    assert _said(events)["number"] == 0
    events.add("part_restarted")
    events.told()
    assert _said(events)["number"] == 1


def test_text_is_cut_short():
    events = _events()
    events.add("part_restarted", "\n" * 1000)
    assert _said(events)["text"] == "\n" * 80
