"""`pigtail provision` with a virtual board: the device has what the owner's folder has, once and for all."""

import json
from pathlib import Path
from typing import Any

import pytest

from host_tools import cli
from host_tools.config import ids
from host_tools.device import Device, release
from host_tools.device.release import PROFILE
from host_tools.errors import InputError
from host_tools.provision.certificates import Authority
from host_tools.signals import find
from host_tools.signals.pack import pack
from host_tools.sim import image
from host_tools.sim.board import compiled
from tests.device.releases import files
from tests.device.virtual import FLASH_SIZE, flash, powered

FILES = "ca.pem", "cert.pem", "key.pem"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def provision(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    """Runs the command; (status, what it says as JSON, stderr)."""

    def run(port: str, *words: str) -> tuple[int, dict[str, Any], str]:
        with pytest.raises(SystemExit) as ended:
            where = ["--out", str(tmp_path / "devices")]
            broker = ["--broker", "mqtts://broker.example", "--authority", str(tmp_path / "ca")]
            given = [] if "--broker" in words else broker
            cli.main(["provision", "--port", port, "--json", *where, *given, *words])
        said = capsys.readouterr()
        return int(ended.value.code or 0), json.loads(said.out or "{}"), said.err

    return run


def test_device_has_what_the_owner_has_and_keeps_it(provision: Any, tmp_path: Path) -> None:
    flash(tmp_path / "board", {"/boot.py": b"", "/config.json": b'{"wifi.ssid": "home", "mqtt.ca": "", "version": 3}'})
    with powered(tmp_path / "board") as board:
        status, said, _ = provision(board.port, "--new-authority")
        assert status == 1 and "no firmware runs" in said["trouble"]  # nobody says that it is in force
        folder = tmp_path / "devices" / b"virtual".hex()
        owner = json.loads((folder / "identity.json").read_bytes())
        config = json.loads(image.read(board.flash, "/config.json"))
        assert config == {
            "wifi.ssid": "home", "schema": 2, "version": 4, "device": owner["device"], "mqtt.user": owner["device"],
            "mqtt.password": owner["password"], "command.key": owner["command_key"], "mqtt.host": "broker.example",
            "mqtt.port": 8883, "mqtt.tls": 1, "mqtt.ca_file": "/ca.pem", "mqtt.cert_file": "/cert.pem",
            "mqtt.key_file": "/key.pem",
        }  # fmt: skip
        for name in "ca.pem", "cert.pem", "key.pem":
            assert image.read(board.flash, f"/{name}") == (folder / name).read_bytes()
        status, said, _ = provision(board.port)
        assert (status, said["identity"], said["device"]) == (0, "was there", owner["device"]) and not said["changes"]
        assert json.loads(image.read(board.flash, "/config.json")) == config

        (folder / "identity.json").rename(tmp_path / "lost")
        status, _, err = provision(board.port)
        assert status == 2 and f"has an identity ({owner['device']}): --replace makes a new one" in err and err.count("\n") == 1
        assert json.loads(image.read(board.flash, "/config.json")) == config
        status, said, err = provision(board.port, "--replace", "--device", "kona")
        assert (status, said["device"]) == (1, "kona"), err
        fresh = json.loads(image.read(board.flash, "/config.json"))
        assert fresh["device"] == "kona"
        assert not [key for key in ("mqtt.password", "command.key") if fresh[key] == config[key]]


def test_other_broker_ca_and_certificate_are_taken_over_and_told_and_the_identity_stays(provision: Any, tmp_path: Path) -> None:
    flash(tmp_path / "board", {"/boot.py": b""})
    folder = tmp_path / "devices" / "kona"
    with powered(tmp_path / "board") as board:
        ca, second = str(tmp_path / "ca"), str(tmp_path / "second")
        provision(board.port, "--new-authority", "--device", "leaf")  # makes the CA; whoever has the folder can sign by hand
        kona = "--device", "kona"
        plain = "--broker", "mqtts://broker.example", "--ca", f"{ca}/ca.pem", *kona
        assert provision(board.port, "--replace", *plain)[0] == 1
        config = json.loads(image.read(board.flash, "/config.json"))
        assert "mqtt.cert_file" not in config
        owner = (folder / "identity.json").read_bytes()

        (folder / "cert.pem").write_bytes(Authority(Path(ca)).issue((folder / "request.csr").read_bytes(), 30))
        status, said, _ = provision(board.port, *plain)
        changes = [{"key": f"mqtt.{name}_file", "before": None, "after": f"/{name}.pem"} for name in ("cert", "key")]
        changes += [{"key": f"/{name}.pem", "before": "there", "after": "another"} for name in ("cert", "key")]
        assert (status, said["identity"], said["changes"]) == (1, "was there", changes)
        assert image.read(board.flash, "/cert.pem") == (folder / "cert.pem").read_bytes()
        assert image.read(board.flash, "/key.pem") == (folder / "key.pem").read_bytes()

        other = "--broker", "mqtts://other.example:8884", "--authority", second, *kona
        status, said, _ = provision(board.port, *other, "--new-authority")
        assert (status, said["identity"]) == (1, "was there") and said["changes"] == [
            *({"key": f"{folder}/{name}.pem", "before": "there", "after": "another"} for name in ("cert", "ca")),
            {"key": "mqtt.host", "before": "broker.example", "after": "other.example"},
            {"key": "mqtt.port", "before": 8883, "after": 8884},
            *({"key": f"/{name}.pem", "before": "there", "after": "another"} for name in ("ca", "cert")),
        ]
        after = json.loads(image.read(board.flash, "/config.json"))
        taken = {"mqtt.host": "other.example", "mqtt.port": 8884, "mqtt.cert_file": "/cert.pem", "mqtt.key_file": "/key.pem"}
        assert after == config | taken | {"version": config["version"] + 2}
        assert image.read(board.flash, "/ca.pem") == (Path(second) / "ca.pem").read_bytes()
        assert (folder / "identity.json").read_bytes() == owner and provision(board.port, *other)[0] == 0


@pytest.mark.parametrize("arrived", [0, 1, 2, 3])
def test_what_was_interrupted_at_any_file_is_taken_up_with_the_same_identity(
    arrived: int, provision: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flash(tmp_path / "board", {"/boot.py": b""})
    put, left = Device.put, [arrived]

    def cut(self: Device, path: str, content: bytes) -> None:
        if not left[0]:
            raise InputError("the cable was pulled")
        left[0] -= 1
        put(self, path, content)

    with powered(tmp_path / "board") as board:
        monkeypatch.setattr(Device, "put", cut)
        status, _, err = provision(board.port, "--new-authority", "--device", "kona")
        assert status == 2 and "the cable was pulled" in err
        monkeypatch.setattr(Device, "put", put)
        owner = contents(tmp_path / "devices" / "kona")
        assert provision(board.port, "--device", "kona")[1]["identity"] == "made"
        assert contents(tmp_path / "devices" / "kona") == owner
        config = json.loads(image.read(board.flash, "/config.json"))
        assert config["command.key"] == json.loads(owner["identity.json"])["command_key"]
        assert [image.read(board.flash, f"/{name}") for name in FILES] == [owner[name] for name in FILES]


def test_two_devices_never_get_the_same_identity(provision: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flash(tmp_path / "board", {"/boot.py": b""})
    folder = tmp_path / "devices" / "kona"
    with powered(tmp_path / "board") as board:
        provision(board.port, "--new-authority", "--device", "kona")
        owner = contents(folder)
    flash(tmp_path / "board", {"/boot.py": b""})
    with powered(tmp_path / "board") as board:
        monkeypatch.setattr(ids, "chip", lambda device: "c0ffee")
        status, _, err = provision(board.port, "--device", "kona")
        says = f"its identity is that of another device, with the chip {b'virtual'.hex()}, and this is c0ffee: "
        assert status == 2 and says in err and err.count("\n") == 1
        assert contents(folder) == owner
        with pytest.raises(FileNotFoundError):
            image.read(board.flash, "/config.json")
        assert provision(board.port, "--device", "kona", "--replace")[0] == 1
        fresh = contents(folder)
        assert fresh["chip"] == b"c0ffee\n" and not [name for name in owner if owner[name] == fresh[name] and name != "ca.pem"]


def test_device_that_runs_says_that_all_is_well_with_it(provision: Any, tmp_path: Path) -> None:
    profile = pack(find.find("demo-ev", 1000, print))
    flash(tmp_path / "board", files(release.read(compiled()[0])) | {PROFILE: profile}, FLASH_SIZE)
    with powered(tmp_path / "board") as board:
        board.until_it_says('"state": "running"')
        status, said, err = provision(board.port, "--new-authority")
        assert (status, said["trouble"]) == (0, None), err
        assert json.loads(image.read(board.flash, "/config.json"))["mqtt.tls"] == 1
