"""`pigtail config` on drafts: one schema, no secret in what is printed, one line for each bad value, which is never written."""

import contextlib
import json
import random
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from host_tools.bench import delivery
from host_tools.config import draft, firmware, ids, places, reference, secrets, text
from host_tools.config.keys import KEYS
from host_tools.errors import InputError
from host_tools.provision import work
from tests.data import __file__ as data

V1 = Path(data).with_name("config-v1.json")
SECRETS = "correct horse", "battery staple", "s3cret", "5a5a5a"  # those of V1
PIN = "0123456789abcdef" * 4
ITEMS = {"wifi.networks": ["home", ""], "mqtt.brokers": "broker"}


@pytest.fixture
def kona(tmp_path: Path) -> Path:
    """The draft of a device with everything set."""
    path = tmp_path / "kona.json"
    path.write_bytes(V1.read_bytes())
    return path


def test_host_describes_every_key_of_the_device_and_no_other() -> None:
    assert list(KEYS) == sorted(KEYS, key=list(KEYS).index) and KEYS.keys() == firmware.KEYS.keys()
    for name, key in KEYS.items():
        assert (key.kind, key.default, key.least, key.most) == firmware.KEYS[name] and key.text.endswith("."), name


def test_what_may_hold_a_secret_is_said_to() -> None:
    named = {name for name in KEYS if "password" in name or name == "command.key"}
    assert {name for name, key in KEYS.items() if key.is_secret} == named | {"wifi.networks"}


def test_page_of_all_keys_is_the_one_that_the_keys_make() -> None:
    written = reference.PAGE.read_text()
    assert reference.page(written) == written, "python -m host_tools.config.reference"
    assert all(written.count(f"\n| `{name}` |") == 1 for name in KEYS)


def bad_values() -> Iterator[tuple[str, str]]:
    """Of each key that a person may set: wrong types and what is just out of range."""
    for name, key in KEYS.items():
        if name in draft.COUNTED:
            continue
        wrong = {int: ["x", "1.5", "true", "null", "", "1e3", '"1"'], list: ["x", "{}", "1"], dict: ["x", "[]", "1"], str: ['"x']}
        yield from ((name, value) for value in wrong[key.kind])
        sizes = [key.most + 1] + ([key.least - 1] if key.least or key.kind is int else [])
        for size in sizes:
            if key.kind is int:
                yield name, str(size)
            elif key.kind is str:
                yield name, "x" * size
            elif key.kind is list:
                yield name, json.dumps([ITEMS[name]] * size)
            else:
                yield name, json.dumps({f"S{n}": 1000 for n in range(size)})


HOSTS = [("mqtt.host", "a\tb"), ("mqtt.host", " a"), ("clock.host", "a b"), ("mqtt.server_name", "a b")]
HOSTS += [("mqtt.brokers", '["a", "b c"]'), ("mqtt.host", "mqtt://broker"), ("mqtt.host", "me@broker"), ("clock.host", "a/b")]
HOSTS += [("device", value) for value in ("a/b", "+", "a#", "a b", "$a", '"a\\u0000"')]
HOSTS += [("mqtt.host", "192.0.2.7:1883"), ("mqtt.host", "broker:8883"), ("clock.host", "ntp.example:123")]
SERVICES = [("requests.services", value) for value in ("11", "0x22", "zz", "2", "22,19", "2204", "2 2")]
PROFILES = [("requests.profile", value) for value in ("xyz", "0badcaf", "0x1234", "0badcaf ")]
PREFIXES = [("homeassistant", value) for value in ("home/#", "+", " home", "home ", "50%s", '"a\\u0000"')]
ALMOST = [("can.bitrate", "5"), ("command.key", "abc"), ("mqtt.brokers", '["a:0"]')]


@pytest.mark.parametrize(("key", "value"), [*bad_values(), *ALMOST, *HOSTS, *SERVICES, *PROFILES, *PREFIXES])
def test_bad_value_of_every_key_is_one_line_and_status_2_and_nothing_is_written(
    key: str, value: str, pigtail: Any, tmp_path: Path
) -> None:
    path = tmp_path / "draft.json"
    status, out, err = pigtail("config", "set", "--file", path, f"{key}={value}")
    assert (status, out) == (2, "") and err.startswith(f"pigtail: error: {key}: "), err
    assert err.count("\n") == 1 and not path.exists()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("mqtt.host", value) for value in ("192.0.2.7", "broker.example", "2001:db8::7", "[2001:db8::7]:1883", "fe80::1")),
        ("mqtt.brokers", ["192.0.2.7:1883"]),
        *(("requests.services", value) for value in ("", "22", "0a1A", "22 3e\t19", "010203050607090A121317181A2119223E")),
        *(("requests.profile", value) for value in ("", "0badcafe", "0BADCAFE")),
        *(("homeassistant", value) for value in ("", "homeassistant", "my/home", "a b", "häuser")),
    ],
)
def test_value_that_a_device_can_use_is_taken(key: str, value: str | list[str], pigtail: Any, tmp_path: Path) -> None:
    path = tmp_path / "draft.json"
    status, _, err = pigtail("config", "set", "--file", path, f"{key}={value if isinstance(value, str) else json.dumps(value)}")
    assert (status, json.loads(path.read_bytes())[key]) == (0, value), err


def test_port_in_a_host_is_told_its_key_and_services_those_that_there_are(pigtail: Any, tmp_path: Path) -> None:
    for pair, says in (
        ("mqtt.host=192.0.2.7:1883", "mqtt.host: takes no port: give that as mqtt.port"),
        ("clock.host=ntp:123", "clock.host: takes no port: give that as clock.port"),
        ("requests.services=2211", "requests.services: 11 may never be asked; those that may are 01 02"),
    ):
        assert says in pigtail("config", "set", "--file", tmp_path / "draft.json", pair)[2]


USELESS = {"mqtt.host": "192.0.2.7:1883", "requests.services": "11", "requests.profile": "xyz", "homeassistant": "home/#"}


@pytest.mark.parametrize("key", USELESS)
def test_value_that_no_device_can_use_is_refused_in_edit_and_push_too(
    key: str, kona: Path, pigtail: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, device = kona.read_bytes(), Slow(monkeypatch)
    editor(monkeypatch, kona.parent, (f"{key} = ", f"{key} = {json.dumps(USELESS[key])} # "))
    status, _, err = pigtail("config", "edit", "--file", kona, "--yes")
    assert (status, kona.read_bytes()) == (2, content), err
    assert err.startswith(f"pigtail: error: {key}: ") and err.count("\n") == 1
    kona.write_text(json.dumps({key: USELESS[key]}))
    status, _, err = pigtail("config", "push", "--port", "tty", kona)
    assert (status, device.files) == (2, {}), err
    assert err.startswith(f"pigtail: error: {key}: ") and err.count("\n") == 1


def test_device_that_has_what_no_device_can_use_is_shown_pulled_changed_and_mended(
    kona: Path, pigtail: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Slow(monkeypatch)
    device.files["/config.json"] = draft.content(USELESS)
    assert pigtail("config", "get", "--port", "tty", "mqtt.host") == (0, "192.0.2.7:1883\n", "")
    assert pigtail("config", "pull", "--port", "tty", kona)[0] == 0
    assert pigtail("config", "push", "--port", "tty", kona)[:2] == (0, "nothing changes\n")
    assert pigtail("config", "set", "--file", kona, "batch_ms=600")[0] == 0
    editor(monkeypatch, kona.parent, ("batch_ms = 600", "batch_ms = 700"))
    assert pigtail("config", "edit", "--file", kona, "--yes")[0] == 0
    assert pigtail("config", "push", "--port", "tty", kona)[0] == 0
    assert pigtail("config", "set", "--port", "tty", "mqtt.host=192.0.2.7")[0] == 0
    after = json.loads(device.files["/config.json"])
    assert (after["mqtt.host"], after["batch_ms"], after["homeassistant"]) == ("192.0.2.7", 700, "home/#")


@pytest.mark.parametrize("value", ["{},5", "{},000", '"{},5"'])
@pytest.mark.parametrize("key", [name for name, key in KEYS.items() if key.kind is int and name not in draft.COUNTED])
def test_peers_comma_for_a_decimal_point_in_a_setting_is_refused(key: str, value: str, pigtail: Any, tmp_path: Path) -> None:
    path = tmp_path / "draft.json"
    status, out, err = pigtail("config", "set", "--file", path, f"{key}={value.format(KEYS[key].default)}")
    assert (status, out) == (2, "") and err.startswith(f"pigtail: error: {key}: ") and err.count("\n") == 1, err
    assert not path.exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["set", "nope=1"], "unknown key 'nope'"),
        (["set", "mqtt.ca=/x"], "unknown key 'mqtt.ca'"),
        (["set", "batch_ms"], "batch_ms: give KEY=VALUE"),
        (["set", "version=9"], "version: is counted"),
        (["set", "mqtt.tls=1"], "mqtt.tls: needs mqtt.ca_file or mqtt.pin"),
        (["reset"], "reset: give the keys, or --all"),
        (["reset", "--all", "batch_ms"], "reset: give the keys, or --all"),
        (["reset", "nope"], "unknown key 'nope'"),
        (["reset", "schema"], "schema: is counted"),
        (["get", "nope"], "unknown key 'nope'"),
        (["get", "--port", "/dev/x", "batch_ms"], "give one of --file, --port and --device"),
        (["set", "--device", "kona", "batch_ms=500"], "give one of --file, --port and --device"),
    ],
)
def test_bad_arguments_are_one_line_and_status_2(words: list[str], says: str, pigtail: Any, tmp_path: Path) -> None:
    status, _, err = pigtail("config", words[0], "--file", tmp_path / "draft.json", *words[1:])
    assert status == 2 and err.startswith(f"pigtail: error: {says}") and err.count("\n") == 1, err


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b'{"batch_ms": NaN}', "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[1]", "not a JSON object"),
        (b'{"batch_ms": 1}', "batch_ms: 1 is not in 100 to 60000"),
        (b'{"schema": 3, "x": 1}', "schema: 3 is newer than 2"),
    ],
)
def test_bad_file_is_one_line_and_status_2(content: bytes, says: str, pigtail: Any, tmp_path: Path) -> None:
    path = tmp_path / "draft.json"
    path.write_bytes(content)
    for words in ["show"], ["get", "batch_ms"], ["set", "batch_ms=500"], ["reset", "--all"], ["edit"]:
        status, _, err = pigtail("config", words[0], "--file", path, *words[1:])
        assert status == 2 and str(path) in err and says in err and err.count("\n") == 1, err
    assert path.read_bytes() == content


HALVES = 'wifi.ssid="\\ud800"', 'wifi.networks=[["\\udc00", ""]]', 'state={"\\udfff": 500}', "wifi.ssid=caf\udce9"


@pytest.mark.parametrize("said", HALVES)
def test_character_that_is_none_is_one_line_and_nothing_is_written(said: str, pigtail: Any, tmp_path: Path) -> None:
    path = tmp_path / "draft.json"
    for words in ["--file", path], ["--file", path, "--json"]:
        status, out, err = pigtail("config", "set", *words, said)
        key, _, value = said.partition("=")
        assert (status, out, err) == (2, "", f"pigtail: error: {key}: has a character that is none: give it in UTF-8\n")
        assert not path.exists()
    path.write_text(json.dumps({key: value if "caf" in value else json.loads(value)}))
    status, out, err = pigtail("config", "show", "--file", path)
    assert (status, out) == (2, "") and f"{path}: {key}: has a character that is none" in err and err.count("\n") == 1


def test_file_whose_name_is_in_latin_1_is_written_and_named(pigtail: Any, tmp_path: Path) -> None:
    path = tmp_path / "caf\udce9.json"
    status, out, err = pigtail("config", "set", "--file", path, "batch_ms=500")
    assert (status, err) == (0, "") and out.endswith("caf\ufffd.json: written\n")
    assert json.loads(path.read_bytes())["batch_ms"] == 500


def test_edit_with_an_editor_that_writes_latin_1_is_one_line(kona: Path, pigtail: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    content = kona.read_bytes()
    script = kona.parent / "editor.py"
    script.write_text("import sys; open(sys.argv[1], 'wb').write(b'wifi.ssid = \"caf\\xe9\"\\n')")
    monkeypatch.setenv("EDITOR", f"python3 {script}")
    status, _, err = pigtail("config", "edit", "--file", kona, "--yes")
    assert status == 2 and "is not UTF-8" in err and err.count("\n") == 1 and kona.read_bytes() == content


def test_damaged_drafts_never_end_in_anything_but_one_line(kona: Path) -> None:
    whole, rng, good = kona.read_bytes(), random.Random(1), 0
    texts = [whole[:size] for size in range(len(whole))]
    for _ in range(2000):
        broken = bytearray(whole)
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(broken))
            broken[at : at + rng.randint(0, 9)] = rng.randbytes(rng.randint(0, 3))
        texts.append(bytes(broken))
    for broken_text in texts:
        try:
            firmware.check(draft.parse(broken_text, "kona.json"))
            good += 1
        except InputError as error:
            assert str(error).startswith("kona.json") and not any(secret in str(error) for secret in SECRETS)
    assert 0 < good < 1000


def test_show_tells_every_key_and_no_secret(kona: Path, pigtail: Any) -> None:
    status, out, _ = pigtail("config", "show", "--file", kona)
    assert status == 0 and [line[2:].split()[0] for line in out.splitlines()] == list(KEYS)
    assert "* wifi.password               set\n" in out and '[["phone", "set"], ["guests", "not set"]]' in out
    told = json.loads(pigtail("config", "show", "--file", kona, "--json")[1])
    assert told.keys() == KEYS.keys() and told["command.key"] == "set" and told["batch_ms"] == 5000
    fresh = json.loads(pigtail("config", "show", "--file", kona.with_name("none.json"), "--json")[1])
    assert fresh["command.key"] == "not set" and fresh["wifi.networks"] == []


@pytest.mark.parametrize("words", [["show"], ["show", "--json"], ["get", "batch_ms"]])
def test_draft_that_there_is_not_is_said_to_be_none(words: list[str], kona: Path, pigtail: Any) -> None:
    none = kona.with_name("none.json")
    status, out, err = pigtail("config", words[0], "--file", none, *words[1:])
    assert status == 0 and out and err.startswith(f"{none}: there is no such file; ") and err.count("\n") == 1
    assert pigtail("config", words[0], "--file", kona, *words[1:])[2] == ""


def test_no_secret_is_ever_printed(kona: Path, pigtail: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDITOR", "true")
    said = ""
    for words in (
        ["show"], ["show", "--json"], *(["get", key] for key in KEYS), *(["get", "--json", key] for key in KEYS),
        ["set", "--dry-run", "wifi.password=hunter22", "mqtt.password=hunter22", 'wifi.networks=[["phone", "hunter22"]]'],
        ["set", "wifi.networks=[]", f"command.key={'6b' * 32}"], ["reset", "--dry-run", "--all"], ["edit", "--yes"],
        ["set", "wifi.password=" + "hunter22" * 10], ["set", "wifi.networks=[hunter22"], ["set", "command.key=hunter22"],
    ):  # fmt: skip
        said += "".join(map(str, pigtail("config", words[0], "--file", kona, *words[1:])))
    assert "wifi.password: set -> another" in said and "command.key: set -> another" in said
    assert not [secret for secret in (*SECRETS, "hunter22", "6b6b") if secret in said]


def test_set_writes_todays_schema_counts_up_and_keeps_the_rest(kona: Path, pigtail: Any) -> None:
    before = json.loads(kona.read_bytes())
    status, out, _ = pigtail("config", "set", "--file", kona, "batch_ms=700", "mqtt.host=other", 'periods={"Vehicle.Speed": 50}')
    assert (status, out.splitlines()[0]) == (0, "mqtt.host: broker.example -> other")
    after = json.loads(kona.read_bytes())
    for old, new in firmware.RENAMED[0].items():
        before[new] = before.pop(old)
    before |= {"batch_ms": 700, "mqtt.host": "other", "periods": {"Vehicle.Speed": 50}, "version": 8, "schema": 2}
    assert after == before
    assert stat.S_IMODE(kona.stat().st_mode) == 0o600


def test_dry_run_and_what_changes_nothing_write_nothing(kona: Path, pigtail: Any) -> None:
    content = kona.read_bytes()
    assert pigtail("config", "set", "--file", kona, "--dry-run", "batch_ms=700")[1] == "batch_ms: 5000 -> 700\n"
    assert pigtail("config", "set", "--file", kona, "batch_ms=5000")[1] == "nothing changes\n"
    assert pigtail("config", "reset", "--file", kona, "--dry-run", "batch_ms")[1] == "batch_ms: 5000 -> default\n"
    assert kona.read_bytes() == content and len(list(kona.parent.iterdir())) == 1


def test_changes_as_json_say_what_changes_and_whether_it_was_written(kona: Path, pigtail: Any) -> None:
    words = ["batch_ms=700", "wifi.password=hunter22"]
    changes = [
        {"key": "wifi.password", "before": "set", "after": "another"},
        {"key": "batch_ms", "before": 5000, "after": 700},
    ]
    told = {"place": str(kona), "changes": changes, "written": False, "trouble": None}
    status, out, _ = pigtail("config", "set", "--file", kona, "--json", "--dry-run", *words)
    assert (status, json.loads(out)) == (0, told)
    assert json.loads(pigtail("config", "set", "--file", kona, "--json", *words)[1]) == told | {"written": True}
    again = json.loads(pigtail("config", "set", "--file", kona, "--json", *words)[1])
    assert again == told | {"changes": []}
    reset = json.loads(pigtail("config", "reset", "--file", kona, "--json", "batch_ms")[1])
    assert reset == told | {"changes": [{"key": "batch_ms", "before": 700, "after": None}], "written": True}


class Slow:
    """A device at a port that is well; `shown` has what was said while it was spoken to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, error: str | None = None) -> None:
        self.shown: list[str] = []
        self.now = ""
        self.files: dict[str, bytes] = {}
        monkeypatch.setattr(places, "only", lambda port: port)
        monkeypatch.setattr(places, "connect", lambda port: self._spoken_to("connect") or self)
        monkeypatch.setattr(places, "started", lambda device: self._spoken_to("started") or {"config_error": error})
        monkeypatch.setattr(places, "working", self._working)

    @contextlib.contextmanager
    def _working(self, words: str) -> Iterator[None]:
        self.now = words
        yield
        self.now = ""

    def _spoken_to(self, what: str) -> None:
        self.shown.append(f"{what}: {self.now}")

    def get(self, path: str) -> bytes | None:
        self._spoken_to(f"get {path}")
        return self.files.get(path)

    def put(self, path: str, content: bytes) -> None:
        self._spoken_to(f"put {path}")
        self.files[path] = content

    def eval(self, _: str) -> bytes:
        return b"chip"

    def hashes(self, paths: Sequence[str]) -> dict[str, str]:
        self._spoken_to("hashes")
        return {}

    def start(self, _: float) -> Iterator[str]:
        self._spoken_to("start")
        yield "soft reboot"

    def close(self) -> None:
        pass


def test_who_waits_for_a_device_at_a_port_is_told_what_for(pigtail: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    device = Slow(monkeypatch)
    assert pigtail("config", "set", "--port", "tty", "batch_ms=700")[0] == 0
    assert pigtail("config", "show", "--port", "tty")[0] == 0
    steps = {line.split(":")[0] for line in device.shown}
    assert steps >= {"connect", "get /config.json", "put /config.json", "started", "start"}
    assert all(line.split(": ")[1] for line in device.shown), device.shown


def test_who_looks_for_a_device_by_its_id_is_told_where(monkeypatch: pytest.MonkeyPatch) -> None:
    device = Slow(monkeypatch)
    there = [SimpleNamespace(path=path, board="b") for path in ("tty1", "tty2")]
    monkeypatch.setattr(ids, "all_ports", lambda: there)
    monkeypatch.setattr(ids, "only", lambda port: port)
    monkeypatch.setattr(ids, "working", device._working)

    def asked(port: str) -> Slow:
        device.shown.append(f"{port}: {device.now}")
        raise InputError("busy")

    monkeypatch.setattr(ids, "connect", asked)
    with pytest.raises(InputError, match="there are: busy; busy"):
        ids.connected(None, "kona")
    with pytest.raises(InputError):
        ids.connected("tty3", None)
    whom = [f"tty{n}: asking who is at tty{n}" for n in (1, 2)]
    assert device.shown == [*whom, "tty3: stopping the firmware at tty3"]


def test_who_provisions_a_device_is_told_what_he_waits_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pigtail: Any) -> None:
    device = Slow(monkeypatch)
    monkeypatch.setattr(work, "working", device._working)
    where = ["--port", "tty", "--device", "kona", "--out", tmp_path, "--broker", "mqtts://b", "--authority", tmp_path / "ca"]
    status, _, err = pigtail("provision", *where, "--new-authority")
    assert status == 0, err
    steps = {line.split(":")[0] for line in device.shown}
    assert steps >= {"connect", "hashes", "put /ca.pem", "put /cert.pem", "put /key.pem", "put /config.json"}
    assert all(line.split(": ")[1] for line in device.shown), device.shown


def test_push_and_pull_as_json_with_what_the_device_says_against_it(
    pigtail: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kona: Path
) -> None:
    Slow(monkeypatch, "mqtt.pin: is of no use")
    (tmp_path / "one.json").write_text('{"batch_ms": 700}')
    status, out, _ = pigtail("config", "push", "--port", "tty", "--json", tmp_path / "one.json")
    changes = [{"key": "batch_ms", "before": None, "after": 700}]
    told = {"place": "tty", "changes": changes, "written": True, "trouble": "mqtt.pin: is of no use"}
    assert (status, json.loads(out)) == (1, told)
    target = tmp_path / "pulled.json"
    status, out, _ = pigtail("config", "pull", "--port", "tty", "--json", target)
    assert (status, json.loads(out)) == (0, {"place": "tty", "file": str(target), "keys": 3, "secrets": False})
    assert json.loads(target.read_bytes())["batch_ms"] == 700


def test_reset_of_one_key_and_of_all(kona: Path, pigtail: Any) -> None:
    assert pigtail("config", "reset", "--file", kona, "batch_ms", "wifi.password")[0] == 0
    after = json.loads(kona.read_bytes())
    assert "batch_ms" not in after and "wifi.password" not in after and after["wifi.ssid"] == "home"
    assert pigtail("config", "reset", "--file", kona, "--all")[0] == 0
    assert json.loads(kona.read_bytes()) == {"schema": 2, "version": 9}


def test_password_that_is_asked_for_stands_in_no_argument(pigtail: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("click.prompt", lambda name, **how: "hunter22" if how["hide_input"] else "")
    path = tmp_path / "draft.json"
    status, out, err = pigtail("config", "set", "--file", path, "wifi.password=-", "wifi.ssid=-")
    assert status == 0 and "hunter22" not in out + err
    assert (json.loads(path.read_bytes())["wifi.password"], json.loads(path.read_bytes())["wifi.ssid"]) == ("hunter22", "-")


def editor(monkeypatch: pytest.MonkeyPatch, folder: Path, *swaps: tuple[str, str]) -> Path:
    """$EDITOR replaces texts; the file returned has what it was given."""
    script = folder / "editor.py"
    seen = folder / "seen"
    script.write_text(
        f"import sys; p = sys.argv[1]; s = open(p).read(); open({str(seen)!r}, 'w').write(s)\n"
        f"for a, b in {swaps!r}: s = s.replace(a, b)\nopen(p, 'w').write(s)\n"
    )
    monkeypatch.setenv("EDITOR", f"python3 {script}")
    return seen


def test_edit_shows_every_key_without_secrets_and_keeps_them(kona: Path, pigtail: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = editor(monkeypatch, kona.parent, ("batch_ms = 5000", "batch_ms = 600"), ('"phone"', '"phone2"'), ("# x", "# y"))
    status, _, err = pigtail("config", "edit", "--file", kona, "--yes")
    assert status == 2 and "wifi.networks: <secret> stands for a password that is known, and none is for 'phone2'" in err
    editor(monkeypatch, kona.parent, ("batch_ms = 5000", "batch_ms = 600"), ("mqtt.pin =", "# mqtt.pin ="))
    before = draft.parse(kona.read_bytes(), "")
    status, out, _ = pigtail("config", "edit", "--file", kona, "--yes")
    assert status == 0 and out.splitlines()[1] == "batch_ms: 5000 -> 600" and out.startswith("mqtt.pin: ")
    after = json.loads(kona.read_bytes())
    before.pop("mqtt.pin")
    assert after == before | {"batch_ms": 600, "version": 8}
    shown = seen.read_text()
    assert not [secret for secret in SECRETS if secret in shown]
    assert all(f"{name} = " in shown for name in KEYS if name not in draft.COUNTED)


def test_edit_that_is_no_toml_or_has_a_bad_value_is_refused(kona: Path, pigtail: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    content = kona.read_bytes()
    for fresh, says in ("batch_ms =", "is not TOML"), ("batch_ms = 5", "batch_ms: 5 is not"):
        editor(monkeypatch, kona.parent, ("batch_ms = 5000", fresh))
        status, _, err = pigtail("config", "edit", "--file", kona, "--yes")
        assert status == 2 and says in err and err.count("\n") == 1
    editor(monkeypatch, kona.parent, ("batch_ms = 5000", "batch_ms = 600"))
    assert pigtail("config", "edit", "--file", kona, "--dry-run")[1] == "batch_ms: 5000 -> 600\n"
    assert kona.read_bytes() == content


def test_what_is_edited_comes_back_as_it_was_whatever_it_is() -> None:
    rng = random.Random(2)
    letters = 'aäß"\\\'\n\t\x7f =#[]{}.,0日'
    for _ in range(300):
        word = "".join(rng.choices(letters, k=rng.randint(1, 12)))
        config: draft.Config = {"wifi.ssid": word, "wifi.networks": [[word, word], ["x", ""]], "state": {word: 500, "*": 1000}}
        config |= {"mqtt.tls": 1, "mqtt.pin": PIN, "mqtt.password": word, "command.key": PIN, "schema": 2, "version": 4}
        came = draft.parse_toml("\n".join(text.lines(config)), "text")
        assert secrets.restored(came, config) == {key: value for key, value in config.items() if key != "version"}
        assert draft.parse(draft.content(config), "file") == config


def test_text_of_a_device_with_nothing_set_sets_nothing() -> None:
    assert draft.parse_toml("\n".join(text.lines({})), "text") == {"schema": 2}
    uncommented = "\n".join(line[2:] if line.startswith("# ") and " = " in line else line for line in text.lines({}))
    again = draft.parse_toml(uncommented.replace("wifi.password = ", "wifi.password ="), "text")
    assert {key: value for key, value in again.items() if KEYS[key].kind not in (list,)} == {
        key: value.default for key, value in KEYS.items() if key != "version" and value.kind is not list
    }


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["device=x"], "device: not over the air"),
        ([f"command.key={PIN}"], "command.key: not over the air"),
        (["wifi.password=hunter22"], "wifi.password: anyone could read it on the way to mqtt://127.0.0.1:1883: use mqtts://"),
        (["batch_ms=5"], "batch_ms: 5 is not in 100 to 60000"),
    ],
)
def test_what_must_not_go_over_the_air_does_not(words: list[str], says: str, pigtail: Any, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(PIN)
    status, out, err = pigtail("config", "set", "--device", "kona", "--command-key", tmp_path / "key", *words)
    assert status == 2 and err.startswith(f"pigtail: error: {says}") and "hunter22" not in out + err
    status, _, err = pigtail("config", "set", "--device", "kona", "batch_ms=500")
    assert status == 2 and "give --command-key FILE" in err
    status, _, err = pigtail("config", "reset", "--device", "kona", "--all")
    assert status == 2 and "reset --all: not over MQTT" in err


def test_window_as_shipped_is_the_one_that_make_bench_measures_and_can_reach_its_goal() -> None:
    """At a long round trip, the messages under way are how many times as fast as one at a time it is: the goal is 15."""
    assert delivery.WINDOW == firmware.KEYS["mqtt.window"][1] > 15
