"""uplink/topics: the topics of SPEC section 4."""

from pigtail.uplink.topics import Topics


def test_topics_are_those_of_the_spec():
    topics = Topics("dev1")
    assert topics.status == "pigtail/v1/dev1/status"
    assert topics.telemetry == "pigtail/v1/dev1/telemetry"
    assert topics.gap == "pigtail/v1/dev1/gap"
    assert topics.profile(0xABC) == "pigtail/v1/dev1/profile/00000abc"
