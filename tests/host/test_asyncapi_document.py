"""docs/asyncapi.yaml is sound, and says what docs/interface.md says; and whoever breaks it, or what is sent, is told."""

import copy
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from asyncapi_document import DOCS, Document, Tree, load

GAP = {"boot": 1, "stream": 2, "first": 0, "count": 4, "reason": "overrun"}
PAGE = (DOCS / "interface.md").read_text(encoding="utf-8")


def test_document_is_sound() -> None:
    assert list(Document(load()).faults()) == []


def gap(tree: Tree) -> Tree:
    found: Tree = tree["components"]["schemas"]["gap"]
    return found


BREAKAGES: list[tuple[Callable[[Tree], Any], str]] = [
    (lambda t: t.update(asyncapi="2.6.0"), "'3.0.0' was expected"),
    (lambda t: t["info"].pop("version"), "'version' is a required property"),
    (lambda t: t["channels"]["gap"].update(publish={}), "'publish' was unexpected"),
    (lambda t: t["operations"]["tellGap"].update(action="publish"), "'publish' is not one of"),
    (lambda t: t["operations"].pop("tellGap"), "not every channel is used"),
    (lambda t: t["channels"]["gap"].pop("parameters"), "gap: the parameters are not those of the address"),
    (lambda t: t["components"]["schemas"].pop("gap"), "#/components/schemas/gap is not there"),
    (lambda t: t["components"]["schemas"].update(more={}), "components/schemas/more is used by nobody"),
    (lambda t: gap(t)["required"].append("more"), "it requires what it does not have"),
    (lambda t: gap(t).pop("additionalProperties"), "it does not say that there is nothing else in it"),
    (lambda t: gap(t)["properties"]["boot"].pop("description"), "boot is not described"),
    (lambda t: gap(t)["properties"]["boot"].update(type="whole"), "'whole'"),
    (lambda t: gap(t)["properties"]["boot"].update({"a comma": None}), "'a comma' was unexpected"),
    (lambda t: gap(t)["properties"].update(late_ms={"description": "-"}), "late_ms must have the x-unit ms"),
]


@pytest.mark.parametrize(("breaks", "told"), BREAKAGES, ids=[told for _, told in BREAKAGES])
def test_fault_of_the_document_is_told(breaks: Callable[[Tree], Any], told: str) -> None:
    tree = copy.deepcopy(load())
    breaks(tree)
    assert any(told in fault for fault in Document(tree).faults())


def judged(fields: object, topic: str = "pigtail/v1/kona/gap") -> str:
    return "; ".join(Document(load()).judge(topic, json.dumps(fields).encode()))


def test_message_as_documented_is_sound_and_seen() -> None:
    document = Document(load())
    before = document.unseen
    assert document.judge("pigtail/v1/kona/gap", json.dumps(GAP).encode()) == []
    gone = set(before) - set(document.unseen)
    assert gone == {"gap: gap", *(f"#/components/schemas/gap/properties/{name}" for name in GAP)}


def test_lost_frames_are_a_gap_of_their_own() -> None:
    lost = {"boot": 1, "frames": 17, "from_ms": 1000, "to_ms": 2000, "reason": "overrun"}
    assert judged(lost) == ""
    assert judged(lost | {"stream": 2}) and judged(lost | {"frames": 0}) and judged(lost | {"reason": "flash_full"})


def test_topic_field_type_and_word_that_are_not_documented_are_told() -> None:
    assert "no channel has this topic" in judged(GAP, "pigtail/v1/kona/gaps")
    assert "no channel has this topic" in judged(GAP, "pigtail/v2/kona/gap")
    assert "no channel has this topic" in judged(GAP, "pigtail/v1/kona/gap/more")
    assert "'more' was unexpected" in judged(GAP | {"more": 1})
    assert "'count' is a required property" in judged({name: GAP[name] for name in GAP if name != "count"})
    assert "0 is less than the minimum of 1" in judged(GAP | {"count": 0})
    assert "'4' is not of type 'integer'" in judged(GAP | {"count": "4"})
    assert "'tired' is not one of" in judged(GAP | {"reason": "tired"})


def test_message_is_told_by_what_is_next_to_it() -> None:
    topic = "pigtail/v1/kona/reply"
    pong = {"id": "1", "command": "ping", "ok": True, "result": {"uptime_ms": 5}}
    assert judged(pong, topic) == ""
    assert "'more' was unexpected" in judged(pong | {"result": {"uptime_ms": 5, "more": 1}}, topic)
    assert judged(pong | {"command": "dance"}, topic)


def test_text_that_holds_json_is_judged_as_well() -> None:
    topic, body = "pigtail/v1/kona/command", {"id": "1", "nonce": 1, "expires_ms": 1, "command": "ping", "arguments": {}}
    assert judged({"mac": "0" * 64, "body": json.dumps(body)}, topic) == ""
    assert "'more' was unexpected" in judged({"mac": "0" * 64, "body": json.dumps(body | {"more": 1})}, topic)
    assert "not valid under any" in judged({"mac": "0" * 64, "body": json.dumps(body | {"arguments": {"a": 1}})}, topic)
    assert "more than 512 bytes" in judged({"mac": "0" * 64, "body": json.dumps(body) + 500 * " "}, topic)


def test_binary_and_empty_payloads() -> None:
    document = Document(load())
    assert document.judge("pigtail/v1/kona/telemetry", b"\x02\0") == []
    assert "does not begin with" in document.judge("pigtail/v1/kona/telemetry", b"\x03\0")[0]
    assert document.judge("pigtail/v1/kona/state/Vehicle/Speed", b"") == [], "it was taken off"
    assert "empty" in document.judge("pigtail/v1/kona/gap", b"")[0]


def test_page_names_every_topic_with_what_is_retained() -> None:
    document = Document(load())
    rows = dict(re.findall(r"^\| `([^`]+)` \|(?:[^|\n]*\|){2} (yes|no) \|", PAGE, re.MULTILINE))
    told = {channel["address"].removeprefix("pigtail/v1/{device}/"): name for name, channel in document.channels.items()}
    assert rows == {topic: "yes" if document.bindings(name)["retain"] else "no" for topic, name in told.items()}


def test_page_has_the_history_up_to_this_version() -> None:
    versions = re.findall(r"^\| (\d+\.\d+\.\d+) \|", PAGE, re.MULTILINE)
    assert versions[0] == load()["info"]["version"]
