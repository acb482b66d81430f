"""`pigtail config show|get|pull|push --device`: the device's own code tells its configuration at a real broker, and no secret."""

import asyncio
import json
import random
import stat
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiomqtt
import pytest

from host_tools.config import draft, firmware, remote, secrets
from host_tools.config.keys import KEYS
from host_tools.firmware_modules import Modules
from host_tools.reader.connection import Connection
from host_tools.sim import broker
from tests.data import __file__ as data
from tests.host.device_at_broker import HANGS_S, KEY, Answers, done, served
from tests.host.test_config import editor

PIGTAIL = [sys.executable, "-c", "from host_tools.cli import main; main()"]
V1 = Path(data).with_name("config-v1.json")
SECRETS = "correct horse", "battery staple", "s3cret", "5a5a5a"  # those of V1
Ran = subprocess.CompletedProcess[str]


def telling(config: Mapping[str, object]) -> Callable[[int], dict[str, Any]]:
    """firmware/pigtail/config/telling.read of a device with this configuration."""
    pair = SimpleNamespace(Pair=lambda path: SimpleNamespace(read=lambda: json.dumps(config).encode()))
    modules = Modules({"json": json, "os": SimpleNamespace(listdir=lambda path: []), "pair": pair})
    read: Callable[[int], dict[str, Any]] = modules.module("pigtail.config.telling").read
    return read


def tells(config: Mapping[str, object], sent: list[str]) -> Answers:
    """A device that answers `settings` alone; `sent` gets what it says."""
    read = telling(config)

    def answer(command: dict[str, Any]) -> list[dict[str, object]]:
        assert command["command"] == "settings"
        reply = done(command, result=read(command["arguments"]["skip"]))
        sent.append(json.dumps(reply))
        return [reply]

    return answer


def run(running: broker.Broker, folder: Path, *words: object) -> Ran:
    (folder / "key").write_text(KEY.hex())
    place = ["--device", "kona", "--broker", running.url, "--command-key", str(folder / "key")]
    command = [*PIGTAIL, "config", str(words[0]), *place, *map(str, words[1:])]
    return subprocess.run(command, capture_output=True, text=True, timeout=HANGS_S)


def ran(answers: Answers, folder: Path, *calls: tuple[object, ...]) -> list[Ran]:
    """The command, called once for each of `calls` beside that device."""
    found: list[Ran] = []

    async def use(running: broker.Broker) -> None:
        for words in calls:
            found.append(await asyncio.to_thread(run, running, folder, *words))

    served(answers, folder, use)
    return found


def test_show_and_get_tell_what_the_device_has_and_no_secret_leaves_it(tmp_path: Path, pigtail: Any) -> None:
    config, sent = json.loads(V1.read_bytes()), list[str]()
    calls = ("show",), ("show", "--json"), ("get", "wifi.networks"), ("get", "mqtt.host", "--json")
    told = ran(tells(config, sent), tmp_path, *calls)
    assert [call.returncode for call in told] == [0] * 4, told
    lines = pigtail("config", "show", "--file", V1)[1].splitlines()
    assert [line for line in told[0].stdout.splitlines() if line not in lines][1:] == []  # `periods` come in another order
    assert json.loads(told[1].stdout) == json.loads(pigtail("config", "show", "--file", V1, "--json")[1])
    assert told[2].stdout == '[["phone", "set"], ["guests", "not set"]]\n' and told[3].stdout == '"broker.example"\n'
    said = "".join(sent) + "".join(call.stdout + call.stderr for call in told)
    assert sent and not [secret for secret in SECRETS if secret in said]


def test_pulled_over_mqtt_changed_and_pushed_back_sets_what_changed_and_keeps_secrets(tmp_path: Path) -> None:
    config = json.loads(V1.read_bytes())
    target = tmp_path / "kona.json"
    pulled, whole = ran(tells(config, []), tmp_path, ("pull", target), ("pull", "--secrets", tmp_path / "x"))
    assert pulled.returncode == 0 and stat.S_IMODE(target.stat().st_mode) == 0o600, pulled.stderr
    assert whole.returncode == 2 and "no device tells them over MQTT" in whole.stderr and not (tmp_path / "x").exists()
    assert draft.parse(target.read_bytes(), "") == secrets.masked(firmware.migrated(config))
    same, *_ = ran(tells(config, []), tmp_path, ("push", target))
    assert (same.returncode, same.stdout) == (0, "nothing changes\n"), same.stderr
    given = json.loads(target.read_bytes()) | {"batch_ms": 800}
    del given["wifi.password"]
    target.write_text(json.dumps(given))
    pushed, *_ = ran(tells(config, []), tmp_path, ("push", target, "--dry-run"))
    assert (pushed.returncode, pushed.stdout) == (0, "wifi.password: set -> default\nbatch_ms: 5000 -> 800\n"), pushed.stderr
    given["wifi.networks"] = [*given["wifi.networks"], ["home", "new"]]
    target.write_text(json.dumps(given))
    pushed, *_ = ran(tells(config, []), tmp_path, ("push", target))
    assert pushed.returncode == 2 and "wifi.networks: <secret> stands for what only the device has" in pushed.stderr


GOOD = {"boot": 3, "state": "online", "config": 8, "commands": {"granted": True}}


@pytest.mark.parametrize(
    ("first", "result", "later", "says"),
    [
        ({"boot": "x"}, {"version": 8}, GOOD, "what kona tells of itself is no status, so nothing is changed"),
        ({"boot": None}, {"version": 8}, GOOD, "what kona tells of itself is no status, so nothing is changed"),
        ({"boot": 1e400}, {"version": 8}, GOOD, "what kona tells of itself is no status, so nothing is changed"),
        ({"boot": 2}, {}, GOOD, "what kona answers names no version"),
        ({"boot": 2}, {"version": "x"}, GOOD, "what kona answers names no version"),
        ({"boot": 2}, {"version": [8]}, GOOD, "what kona answers names no version"),
        ({"boot": 2}, {"version": 8}, GOOD | {"boot": "x"}, "what kona tells of itself is no status, so nobody knows"),
        ({"boot": 2}, {"version": 8}, GOOD | {"boot": [3]}, "what kona tells of itself is no status, so nobody knows"),
        ({"boot": 2}, {"version": 8}, GOOD | {"commands": [1]}, "what kona tells of itself is no status, so nobody knows"),
        ({"boot": 2}, {"version": 8}, GOOD | {"commands": "granted"}, "what kona tells of itself is no status, so nobody knows"),
        ({"boot": 2}, {"version": 8}, GOOD | {"config": 7, "config_error": "a\n\x1b[2Jb"}, "is in force: a\ufffd\ufffd[2Jb"),
        ({"boot": 2}, {"version": 8}, GOOD | {"config": "8"}, "the old configuration is in force: the device does not say why"),
    ],
)
def test_status_or_reply_that_no_device_gives_ends_a_change_in_one_line(
    first: dict[str, object], result: dict[str, object], later: dict[str, object], says: str, tmp_path: Path
) -> None:
    found: list[Ran] = []

    async def use(running: broker.Broker) -> None:
        async with Connection(running.address) as client:
            await client.publish("pigtail/v1/kona/status", json.dumps(first), qos=1, retain=True)
            await client.subscribe("pigtail/v1/kona/reply", qos=1)
            setting = asyncio.create_task(asyncio.to_thread(run, running, tmp_path, "set", "batch_ms=800"))
            telling = asyncio.create_task(tells_later(client))
            found.append(await setting)
            telling.cancel()

    async def tells_later(client: aiomqtt.Client) -> None:
        async for _ in client.messages:
            for odd in b"\xff", b"[" * 100_000, b"[]":
                await client.publish("pigtail/v1/kona/status", odd, qos=1)
            await client.publish("pigtail/v1/kona/status", json.dumps(later), qos=1, retain=True)

    served(lambda command: [done(command, result=result)], tmp_path, use)
    (call,) = found
    waits, error = call.stderr.splitlines()
    assert (call.returncode, call.stdout) == (1, "batch_ms: 800\n") and "seven minutes" in waits
    assert error.startswith("pigtail: ") and says in error


def test_edit_over_mqtt_tries_what_was_changed_and_keeps_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, sent = json.loads(V1.read_bytes()), list[str]()
    seen = editor(monkeypatch, tmp_path, ("batch_ms = 5000", "batch_ms = 600"), ("mqtt.keepalive_s = 60", "# none"))
    told, refused = ran(tells(config, sent), tmp_path, ("edit", "--dry-run"), ("edit", "--dry-run", "--port", "tty"))
    assert (told.returncode, told.stdout) == (0, "mqtt.keepalive_s: 60 -> default\nbatch_ms: 5000 -> 600\n"), told.stderr
    assert refused.returncode == 2 and "give one of --file, --port and --device" in refused.stderr
    assert not [secret for secret in SECRETS if secret in seen.read_text() + told.stdout + told.stderr]
    editor(monkeypatch, tmp_path, ('device = "kona"', 'device = "leaf"'))
    (refused,) = ran(tells(config, sent), tmp_path, ("edit", "--yes"))
    assert refused.returncode == 2 and "device: not over the air" in refused.stderr and refused.stderr.count("\n") == 1
    assert {json.loads(reply)["command"] for reply in sent} == {"settings"}


@pytest.mark.parametrize("agrees", [True, False])
def test_edit_over_mqtt_asks_back(agrees: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pigtail: Any) -> None:
    asked, sent = list[str](), list[object]()

    async def read(*_: object) -> dict[str, object]:
        return {"batch_ms": 5000}

    async def change(*given: object) -> int:
        sent.append(given[3])
        return 9

    monkeypatch.setattr(remote, "read", read)
    monkeypatch.setattr(remote, "change", change)
    monkeypatch.setattr("click.confirm", lambda words, **_: asked.append(words) or agrees)
    editor(monkeypatch, tmp_path, ("batch_ms = 5000", "batch_ms = 600"))
    (tmp_path / "key").write_text(KEY.hex())
    status, out, _ = pigtail("config", "edit", "--device", "kona", "--command-key", tmp_path / "key")
    in_force = "kona: configuration 9 is in force\n" if agrees else ""
    assert (status, out) == (0, "batch_ms: 5000 -> 600\n" + in_force)
    assert asked == ["Try this on kona?"] and sent == [{"batch_ms": 600}] * agrees


@pytest.mark.parametrize("kept", [True, False])
def test_trial_as_json_says_what_came_of_it(kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pigtail: Any) -> None:
    async def change(*_: object) -> int:
        if not kept:
            raise remote.NotKept("the old configuration is in force: no broker")
        return 9

    async def read(*_: object) -> dict[str, object]:
        return {"batch_ms": 5000}

    monkeypatch.setattr(remote, "change", change)
    monkeypatch.setattr(remote, "read", read)
    (tmp_path / "key").write_text(KEY.hex())
    words = ["--device", "kona", "--command-key", tmp_path / "key", "--json", "batch_ms=800"]
    status, out, err = pigtail("config", "set", *words)
    told = {"place": "kona", "changes": [{"key": "batch_ms", "after": 800}], "written": kept, "trouble": None}
    expected = told | ({"version": 9} if kept else {"trouble": "the old configuration is in force: no broker"})
    assert (status, json.loads(out)) == (0 if kept else 1, expected) and "seven minutes" in err
    status, out, _ = pigtail("config", "set", *words, "--dry-run")
    changes = [{"key": "batch_ms", "before": 5000, "after": 800}]
    assert (status, json.loads(out)) == (0, told | {"written": False, "changes": changes})


def test_dry_run_over_mqtt_shows_what_would_change_and_no_secret_and_sends_nothing(tmp_path: Path) -> None:
    config, sent = json.loads(V1.read_bytes()), list[str]()
    dry = "set", "--dry-run"
    changed, same, reset, wrong = ran(
        tells(config, sent), tmp_path,
        (*dry, "batch_ms=800", "power.wake_s=60"), (*dry, "batch_ms=5000", "mqtt.host=broker.example"),
        ("reset", "--dry-run", "wifi.password", "wifi.networks", "batch_ms"), ("reset", "--dry-run", "mqtt.ca_file", "mqtt.pin"),
    )  # fmt: skip
    assert (changed.returncode, changed.stdout) == (0, "batch_ms: 5000 -> 800\npower.wake_s: default -> 60\n"), changed.stderr
    assert (same.returncode, same.stdout) == (0, "nothing changes\n"), same.stderr
    networks = 'wifi.networks: [["phone", "set"], ["guests", "not set"]] -> default'
    lines = ["wifi.password: set -> default", networks, "batch_ms: 5000 -> default"]
    assert (reset.returncode, reset.stdout.splitlines()) == (0, lines)
    assert wrong.returncode == 2 and "mqtt.tls: needs mqtt.ca_file or mqtt.pin" in wrong.stderr and wrong.stderr.count("\n") == 1
    assert {json.loads(reply)["command"] for reply in sent} == {"settings"}


def test_configuration_longer_than_a_message_comes_in_parts(tmp_path: Path) -> None:
    sent = list[str]()
    config = {"state": {f"Vehicle.Cabin.Thing{i}.IsOpen": 100 + i for i in range(64)}, "mqtt.brokers": ["a", "b"], "version": 9}
    shown, *_ = ran(tells(config, sent), tmp_path, ("show", "--json"))
    told = json.loads(shown.stdout)
    assert {key: told[key] for key in config} == config and len(sent) >= 3 and max(map(len, sent)) < 1408


@pytest.mark.parametrize(
    ("result", "status", "says"),
    [
        ({}, 1, "is no configuration"),
        ({"version": 0, "config": [], "next": None}, 1, "is no configuration"),
        ({"version": 0, "config": {}, "next": 0}, 1, "is no configuration"),
        ({"version": 0, "config": {}, "next": "1"}, 1, "is no configuration"),
        ({"version": 0, "config": {"batch_ms": 5}, "next": None}, 2, "what kona tells: batch_ms: 5 is not in 100 to 60000"),
        ({"version": 0, "config": {"schema": 3}, "next": None}, 2, "what kona tells: schema: 3 is newer than 2"),
        ({"version": 0, "config": {"wifi.ssid": "\ud800"}, "next": None}, 2, "wifi.ssid: has a character that is none"),
        ({"version": 0, "config": {"nope": 5}, "next": None}, 2, "what kona tells: unknown key 'nope'"),
    ],
)
def test_reply_that_no_device_gives_is_one_line(result: dict[str, object], status: int, says: str, tmp_path: Path) -> None:
    (call,) = ran(lambda command: [done(command, result=result)], tmp_path, ("show",))
    assert (call.returncode, call.stdout) == (status, "") and says in call.stderr and call.stderr.count("\n") == 1


def test_device_that_refuses_or_changes_meanwhile_is_one_line_and_status_1(tmp_path: Path) -> None:
    def refuses(reason: str) -> Answers:
        return lambda command: [{"id": command["id"], "command": "settings", "ok": False, "reason": reason, "text": "why"}]

    reasons = ("unknown_command", "its firmware cannot"), ("too_long", "longer than a message"), ("failed", "failed why")
    for reason, says in reasons:
        (call,) = ran(refuses(reason), tmp_path, ("get", "batch_ms"))
        assert (call.returncode, call.stdout) == (1, "") and says in call.stderr and call.stderr.count("\n") == 1

    def changes(command: dict[str, Any]) -> list[dict[str, object]]:
        skip = command["arguments"]["skip"]
        return [done(command, result={"version": skip, "config": {}, "next": skip + 1})]

    (call,) = ran(changes, tmp_path, ("show",))
    assert call.returncode == 1 and "changed while it was told: try again" in call.stderr


def test_no_secret_of_any_key_is_ever_told_whatever_it_is() -> None:
    rng = random.Random(1)
    letters = 'abcß"\\\n<>日'
    for _ in range(300):
        config: dict[str, Any] = {"mqtt.insecure": 1, "batch_ms": rng.randrange(100, 60001), "mqtt.host": "broker"}
        hidden = []
        for key in [name for name in KEYS if KEYS[name].is_secret]:
            words = ["§" + "".join(rng.choices(letters, k=rng.randrange(1, 40))) for _ in range(3)]
            config[key] = [["net", word] for word in words] if KEYS[key].kind is list else words[0]
            hidden += words
        read, skip, whole = telling(config), 0, ""
        while skip is not None:
            part = read(skip)
            whole, skip = whole + json.dumps(part, ensure_ascii=False), part["next"]
        assert "§" not in whole and not [word for word in hidden if json.dumps(word, ensure_ascii=False)[1:-1] in whole]
        assert '"broker"' in whole
