"""uplink/session: what is said and in which order, what an acknowledgement frees, and what comes again when none does."""

import asyncio
import errno
import json
from fakes import Link, Outbox, Time, stopped
from pigtail.outbox.ledger import Ledger
from pigtail.uplink import session
from pigtail.uplink.topics import Topics
from runner import raises


class FakeClient:
    """Notes what is published; `answers` acknowledges it at the next step."""

    def __init__(self, answers=True):
        self.writable = True
        self.answers = answers
        self.published = []
        self.unanswered = []
        self.on_puback = None
        self.idle_ms = 10
        self.repeated = []  # payloads that may have come before
        self._id = 0

    def publish(self, topic, msg, retain, qos):
        assert qos == 1
        self._id += 1
        self.published.append((topic, json.loads(bytes(msg)) if bytes(msg[:1]) == b"{" else bytes(msg), retain))
        self.unanswered.append(self._id)
        return self._id

    def publish_chunks(self, topic, size, chunks, retain=False, dup=False):
        payload = b"".join(chunks)
        assert len(payload) == size or "profile" in topic
        if dup:
            self.repeated.append(payload)
        return self.publish(topic, payload, retain, 1)

    def step(self):
        while self.answers and self.unanswered:
            self.on_puback(self.unanswered.pop(0))


class FakeProfile:
    identity = 0xABC
    size = 6

    def chunks(self):
        return iter((b"pro", b"fil", b"e")[:2])


class FakeBatch:
    def __init__(self, payload):
        self.payload = payload
        self.size = len(payload)
        self.was_given = False

    def chunks(self):
        return iter((self.payload[:2], self.payload[2:]))


class Speaker:
    """Says each of `words` once; notes what it is told."""

    def __init__(self, name, *words):
        self.topic = name
        self.words = list(words)
        self.heard = []

    def next(self, now):
        if self.words:
            return self.topic, self.words[0], True

    def told(self):
        self.heard.append(self.words.pop(0))

    def rewind(self):
        self.heard.append("rewind")


class Scene:
    def __init__(self, answers=True, window=3, urgent=(), speakers=()):
        self.time = Time().into(session)
        self.client = FakeClient(answers)
        self.outbox = Outbox(Ledger(8))
        self.ledger = self.outbox.ledger
        self.link = Link()
        self.window = window
        self.urgent = urgent
        self.speakers = speakers
        self.status = {"state": "online"}
        self.task = None

    def start(self):
        """A new session with a new connection."""
        self.client = FakeClient(self.client.answers)
        text = session.Text(memoryview(bytearray(200)))
        new = session.Session(
            self.client, Topics("d"), self.outbox, FakeProfile(), lambda: self.status, text, self.window,
            self.urgent, self.speakers,
        )  # fmt: skip
        self.task = asyncio.create_task(new.run(self.link, lambda: None))
        return self

    def batch(self, text):
        self.outbox.waiting.append(FakeBatch(text))

    @property
    def topics(self):
        return [topic[12:] for topic, _, _ in self.client.published]

    @property
    def batches(self):
        return [payload for topic, payload, _ in self.client.published if topic.endswith("telemetry")]


async def test_status_comes_first_then_the_profile_then_gaps_then_batches():
    scene = Scene()
    scene.batch(b"one")
    scene.ledger.add(1, 8, 5, 2, "flash_full")
    scene.start()
    await scene.time.passes(50)
    assert scene.client.published == [
        ("pigtail/v1/d/status", {"state": "online"}, True),
        ("pigtail/v1/d/profile/00000abc", b"profil", True),
        ("pigtail/v1/d/gap", {"boot": 1, "stream": 8, "first": 5, "count": 2, "reason": "flash_full"}, False),
        ("pigtail/v1/d/telemetry", b"one", False),
    ]
    await stopped(scene.task)


async def test_profile_is_told_once_in_a_session_and_status_every_ten_seconds():
    scene = Scene().start()
    await scene.time.passes(35000, step=50)
    assert scene.topics == ["/status", "/profile/00000abc", "/status", "/status", "/status"]
    await stopped(scene.task)
    scene.start()
    await scene.time.passes(50)
    assert scene.topics == ["/status", "/profile/00000abc"]
    await stopped(scene.task)


async def test_acknowledgement_frees_the_batch():
    scene = Scene()
    scene.batch(b"one")
    scene.batch(b"two")
    scene.start()
    await scene.time.passes(50)
    assert scene.batches == [b"one", b"two"]
    assert scene.outbox.waiting == []
    await stopped(scene.task)


async def test_no_more_batches_than_the_window_wait_for_acknowledgement():
    scene = Scene(answers=False)
    for i in range(10):
        scene.batch(b"%d" % i)
    scene.start()
    await scene.time.passes(100)
    assert scene.batches == [b"0", b"1", b"2"]
    scene.client.on_puback(4)  # the packet with batch 1; 1 and 2 are status and profile
    await scene.time.passes(50)
    assert scene.batches == [b"0", b"1", b"2", b"3"]
    assert len(scene.outbox.waiting) == 9
    await stopped(scene.task)


async def test_nothing_is_published_while_a_packet_is_being_written():
    scene = Scene().start()
    await scene.time.passes(50)
    scene.client.writable = False
    scene.batch(b"one")
    await scene.time.passes(100)
    assert scene.batches == []
    scene.client.writable = True
    await scene.time.passes(20)
    assert scene.batches == [b"one"]
    await stopped(scene.task)


async def test_new_session_sends_again_what_was_not_acknowledged():
    scene = Scene(answers=False)
    for i in range(4):
        scene.batch(b"%d" % i)
    scene.start()
    await scene.time.passes(50)
    scene.client.on_puback(4)  # batch 1
    await stopped(scene.task)
    scene.client.answers = True
    scene.start()
    await scene.time.passes(100)
    assert scene.batches == [b"0", b"2", b"3"]
    assert scene.client.repeated == [b"0", b"2"]  # the window was three: the last one had not been sent
    assert len(scene.outbox.waiting) == 0
    await stopped(scene.task)


async def test_gap_stays_in_the_ledger_until_it_is_acknowledged():
    scene = Scene(answers=False)
    scene.ledger.add(1, 8, 5, 2, "flash_full")
    scene.start()
    await scene.time.passes(50)
    assert scene.topics[2:] == ["/gap"]
    assert len(scene.ledger) == 1
    await stopped(scene.task)
    scene.client.answers = True
    scene.start()
    await scene.time.passes(50)
    assert scene.topics[2:] == ["/gap"]
    assert len(scene.ledger) == 0
    await stopped(scene.task)


async def test_gap_that_grew_under_way_is_told_again():
    scene = Scene(answers=False)
    scene.ledger.add(1, 8, 5, 2, "flash_full")
    scene.start()
    await scene.time.passes(50)
    scene.ledger.add(1, 8, 7, 1, "flash_full")
    scene.client.answers = True
    await scene.time.passes(50)
    gaps = [payload["count"] for topic, payload, _ in scene.client.published if topic.endswith("gap")]
    assert gaps == [2, 3]
    assert len(scene.ledger) == 0
    await stopped(scene.task)


async def test_acknowledgement_that_is_unknown_or_comes_twice_changes_nothing():
    scene = Scene(answers=False)
    scene.batch(b"one")
    scene.batch(b"two")
    scene.start()
    await scene.time.passes(50)
    for packet_id in 99, 0, 3, 3, 3:
        scene.client.on_puback(packet_id)
    assert len(scene.outbox.waiting) == 1
    for i in range(5):
        scene.batch(b"%d" % i)
    await scene.time.passes(50)
    assert scene.batches == [b"one", b"two", b"0", b"1"]  # the window did not grow
    await stopped(scene.task)


async def test_silent_broker_ends_the_session():
    scene = Scene(answers=False).start()
    await scene.time.passes(21000, step=100)
    with raises(OSError) as caught:
        await scene.task
    assert caught.error.errno == errno.ETIMEDOUT


async def test_one_puback_that_never_comes_ends_the_session_though_others_come():
    scene = Scene()
    scene.start()
    await scene.time.passes(100)
    scene.client.answers = False
    scene.batch(b"one")
    await scene.time.passes(50)
    scene.client.unanswered.clear()  # this one is lost, the next are answered
    scene.client.answers = True
    for _ in range(31):
        scene.batch(b"more")
        await scene.time.passes(1000, step=50)
    assert scene.task.done()
    with raises(OSError):
        await scene.task
    scene.start()
    await scene.time.passes(50)
    assert scene.batches[0] == b"one"
    await stopped(scene.task)


async def test_idle_session_outlives_the_time_for_acknowledgements():
    scene = Scene().start()
    await scene.time.passes(60000, step=100)
    assert not scene.task.done()
    await stopped(scene.task)


async def test_link_that_goes_down_ends_the_session():
    scene = Scene().start()
    await scene.time.passes(50)
    scene.link.up = False
    await scene.time.passes(50)
    assert scene.task.done()
    await scene.task


async def test_status_too_long_for_its_buffer_is_told_as_such():
    scene = Scene()
    scene.status = {"state": "online", "errors": {"bus": "x" * 200}}
    scene.start()
    await scene.time.passes(50)
    assert scene.client.published[0][1] == {"state": "online", "errors": {"status": "too long"}}
    assert scene.topics == ["/status", "/profile/00000abc"]
    await stopped(scene.task)


async def test_urgent_speakers_come_before_gaps_and_the_others_after_batches():
    scene = Scene(urgent=[Speaker("a/b/c/reply", b"r")], speakers=[Speaker("a/b/c/state", b"s"), Speaker("a/b/c/found", b"f")])
    scene.batch(b"one")
    scene.ledger.add(1, 8, 5, 2, "flash_full")
    scene.start()
    await scene.time.passes(50)
    assert [topic.split("/")[3] for topic, _, _ in scene.client.published[2:]] == ["reply", "gap", "telemetry", "state", "found"]
    assert scene.client.published[2] == ("a/b/c/reply", b"r", True)
    await stopped(scene.task)


async def test_speaker_has_one_packet_under_way_and_is_told_of_its_puback():
    speaker, other = Speaker("s", b"1", b"2"), Speaker("o", b"x")
    scene = Scene(answers=False, speakers=[speaker, other]).start()
    await scene.time.passes(50)
    assert [payload for _, payload, _ in scene.client.published[2:]] == [b"1", b"x"]
    assert speaker.heard == ["rewind"]
    scene.client.on_puback(3)
    await scene.time.passes(50)
    assert speaker.heard == ["rewind", b"1"]
    assert [payload for _, payload, _ in scene.client.published[2:]] == [b"1", b"x", b"2"]
    await stopped(scene.task)


async def test_speaker_whose_packet_was_not_acknowledged_says_it_in_the_next_session():
    speaker = Speaker("s", b"1")
    scene = Scene(answers=False, urgent=[speaker]).start()
    await scene.time.passes(50)
    await stopped(scene.task)
    scene.start()
    await scene.time.passes(50)
    assert speaker.heard == ["rewind", "rewind"]
    assert scene.client.published[2] == ("s", b"1", True)
    await stopped(scene.task)


async def test_speaker_whose_puback_never_comes_ends_the_session():
    scene = Scene(speakers=[Speaker("s", b"1")])
    scene.start()
    scene.client.answers = False
    await scene.time.passes(21000, step=100)
    with raises(OSError):
        await scene.task


async def test_lost_frames_are_told_at_once_and_those_of_the_minute_after_together():
    scene = Scene().start()
    scene.ledger.overruns(4, 90, 91, 17)
    await scene.time.passes(50)
    gaps = [fields for topic, fields, _ in scene.client.published if topic.endswith("gap")]
    assert gaps == [{"boot": 4, "frames": 17, "from_ms": 90_000, "to_ms": 91_000, "reason": "overrun"}]
    for begin in range(91, 131):
        scene.ledger.overruns(4, begin, begin + 1, 1)
        await scene.time.passes(1000, step=50)
    assert scene.topics.count("/gap") == 1
    await scene.time.passes(21_000, step=50)
    gaps = [fields for topic, fields, _ in scene.client.published if topic.endswith("gap")]
    assert gaps[1:] == [{"boot": 4, "frames": 40, "from_ms": 91_000, "to_ms": 131_000, "reason": "overrun"}]
    assert len(scene.ledger) == 0
    await stopped(scene.task)


async def test_lost_frames_that_grow_do_not_keep_lost_samples_waiting():
    scene = Scene().start()
    for begin in 90, 100:
        scene.ledger.overruns(4, begin, begin + 1, 17)
        await scene.time.passes(50)
    scene.ledger.add(1, 8, 5, 2, "flash_full")
    await scene.time.passes(100)
    assert scene.topics.count("/gap") == 3
    assert len(scene.ledger) == 0
    await stopped(scene.task)
