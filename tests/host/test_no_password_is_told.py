"""Malformed input never brings a password onto the screen: not in an error, not in a traceback."""

import json
from pathlib import Path
from typing import Any

import pytest

from host_tools.config.keys import KEYS

WORD = "hunter22"
BROKERS = (
    "mqtt://me:{}/9@broker", "mqtt://me:{}#9@broker", "mqtt://me:{}?9@broker", "mqtt://me:{}@broker:port", "mqtt://me:{}@bro:ker:1",
    "mqtt://me:{}@[broker", "mqtt://me:[{}@broker", "mqtt://me:{}]@broker", "mqtt://me:{}\u2100@broker",
    "mqtt://me:{}", "mqtt://me:{}@", "mqtt://{}:1x@", "mqtt:me:{}@broker", "me:{}@broker", "http://me:{}@broker",
    "mqtts://me:{}/9@broker", "mqtt://me:{}@broker:70000", "mqtt://me:{}@broker:0", "mqtt://me:{}@broker/topic",
    "mqtt://me:{}@bro..ker", "mqtt://me:{} 9@bro ker", "mqtt://me:{}\udcff/9@broker", "mqtt://me:9/{}@broker", "mqtt://me:9{}/@broker",
)  # fmt: skip
VERBS = (
    ["listen"], ["logs"], ["monitor"], ["listen", "--device", "kona"], ["sim", "--for", "1"],
    ["config", "show", "--device", "kona", "--command-key", "{key}"],
    ["config", "set", "--device", "kona", "--command-key", "{key}", "batch_ms=500"],
    ["diag", "--device", "kona", "--command-key", "{key}", "vin"],
    ["command", "--device", "kona", "--command-key", "{key}", "ping"],
    ["provision", "--offline", "--device", "kona", "--out", "{folder}", "--ca", "{key}"],
)  # fmt: skip
SETTINGS = (
    ["wifi.password=", WORD], ["wifi.password", WORD], ["wifi.password=home", f"x{WORD}=1"], [WORD, "wifi.password=home"],
    ["wifi.password=", f"--{WORD}"], ["wifi.password=", f"--{WORD}=1"], ["mqtt.password=", "my", WORD], [f"wifi.password:{WORD}"],
    [f"wifi.password {WORD}"], [f"wifi.networks=[[home,{WORD}]]"], [f'wifi.networks=[["home","{WORD}"]'],
    [f'wifi.networks=[["home","{WORD}","x"]]'], [f'wifi.networks=[["{"home" * 9}","{WORD}"]]'],
    [f'wifi.networks={{"home":"{WORD}"}}'], [f'wifi.password="{WORD}'],
    [f'wifi.password="{WORD}\\ud800"'], [f"wifi.password={WORD}\udcff"], [f"wifi.password={WORD * 9}"],
    [f"mqtt.password={WORD}"], [f"command.key={WORD}"], [f"command.key={WORD * 8}"], [f"mqtt.host=mqtt://me:{WORD}@broker"],
    [f"mqtt.host=me:{WORD} 9@broker"], [f'mqtt.brokers=["me:{WORD}@broker"]'], [f'mqtt.brokers=["mqtt://me:{WORD}@b c"]'],
    [f'mqtt.brokers="{WORD}"'], [f'wifi.password=["{WORD}"]', f"wifi.ssid={'x' * 40}"],
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where nothing is, but a command key."""
    (tmp_path / "key").write_text("5a" * 32)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("broker", BROKERS)
def test_password_in_a_broker_s_url_that_is_none(broker: str, pigtail: Any, folder: Path) -> None:
    for verb in VERBS:
        words = [word.format(key=folder / "key", folder=folder / "devices") for word in verb]
        status, out, err = pigtail(*words, "--broker", broker.format(WORD))
        assert status == 2 and err.startswith("pigtail: error: ") and err.count("\n") == 1, (words, err)
        assert WORD not in out + err, words


@pytest.mark.parametrize("settings", SETTINGS)
def test_password_in_a_setting_that_is_none(settings: list[str], pigtail: Any, folder: Path) -> None:
    for more in [], ["--json"], ["--device", "kona", "--command-key", folder / "key"]:
        place = [] if "--device" in more else ["--file", folder / "draft.json"]
        status, out, err = pigtail("config", "set", *place, *more, *settings)
        assert status == 2 and err.startswith("pigtail: error: ") and err.count("\n") == 1, (more, err)
        assert WORD not in out + err, more
    assert not (folder / "draft.json").exists()


@pytest.mark.parametrize("verb", ["get", "reset"])
@pytest.mark.parametrize("words", [[f"wifi.password={WORD}"], ["wifi.password=", WORD], [f"wifi.password:{WORD}"]])
def test_password_given_to_another_verb_than_set(verb: str, words: list[str], pigtail: Any, folder: Path) -> None:
    status, out, err = pigtail("config", verb, "--file", folder / "draft.json", *words)
    assert status == 2 and err.startswith("pigtail: error: ") and err.count("\n") == 1 and WORD not in out + err, err


def broken_files() -> list[bytes]:
    whole = {"wifi.password": WORD, "mqtt.password": WORD, "mqtt.insecure": 1, "wifi.networks": [["home", WORD]]}
    all_wrong = [WORD], {WORD: WORD}, WORD * 40, [[WORD, WORD, WORD]]
    texts = [json.dumps(whole | {key: wrong}) for key in KEYS for wrong in all_wrong]
    texts += [json.dumps(whole)[:size] for size in range(0, 200, 7)]
    return [text.encode() for text in texts]


def test_password_in_a_file_that_is_none(pigtail: Any, folder: Path) -> None:
    for content in broken_files():
        (folder / "draft.json").write_bytes(content)
        status, out, err = pigtail("config", "set", "--file", folder / "draft.json", "--dry-run", "batch_ms=500")
        assert status in (0, 2) and err.count("\n") == (status == 2), (content, err)
        named = f'"periods": {{"{WORD}"' in content.decode() or f'"state": {{"{WORD}"' in content.decode()  # a signal's name
        assert named or WORD not in out + err, (content, err)
