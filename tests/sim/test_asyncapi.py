"""docs/asyncapi.yaml against all that the firmware sends in drives with faults: everything is documented, and everything
documented is sent."""

import json
from collections import Counter

import pytest
from asyncapi_document import Document, load

from tests.sim.interface_run import Heard, everything, least


@pytest.fixture(scope="module")
def whole() -> Heard:
    return everything()


def test_asyncapi_documents_every_topic_and_every_field_and_none_that_is_not_sent(whole: Heard) -> None:
    document = Document(load())
    wrong = Counter(fault for topic, payload, _ in whole.messages for fault in document.judge(topic, payload))
    assert not wrong
    assert document.unseen == []


def test_asyncapi_documents_what_is_retained_and_at_which_qos(whole: Heard) -> None:
    document = Document(load())
    bindings = {name: document.bindings(name) for name in document.channels}
    assert {document.channel(topic) for topic in whole.retained} == {name for name in bindings if bindings[name]["retain"]}
    assert {(document.channel(topic), qos) for topic, _, qos in whole.messages} == {
        (name, binding["qos"]) for name, binding in bindings.items()
    }


def test_asyncapi_holds_for_a_device_without_commands_and_states() -> None:
    heard, document = least(), Document(load())
    assert not [fault for topic, payload, _ in heard.messages for fault in document.judge(topic, payload)]
    assert {document.channel(topic) for topic, _, _ in heard.messages} == {"status", "profile", "telemetry", "event"}
    statuses = [json.loads(payload) for topic, payload, _ in heard.messages if topic.endswith("/status") and payload]
    online = [status for status in statuses if status["state"] == "online"]
    assert online and all(status["commands"] is None and "states" not in status for status in online)


def test_every_message_is_of_this_device(whole: Heard) -> None:
    assert {topic.split("/")[2] for topic, _, _ in whole.messages} == {whole.device}
