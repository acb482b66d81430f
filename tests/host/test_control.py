"""Commands as a person sends them: signed as SPEC section 4 has it, refused before they leave where no device would take them."""

import asyncio
import hashlib
import hmac
import json
import subprocess
import sys
from pathlib import Path

import pytest

from host_tools.control import Command, NoReply, message, read_key, send
from host_tools.control.arguments import parse
from host_tools.control.message import MOST_BODY, body, mac
from host_tools.errors import InputError
from host_tools.sim import broker
from tests.host.device_at_broker import HANGS_S, KEY, done, served

PIGTAIL = [sys.executable, "-c", "from host_tools.cli import main; main()"]


def test_mac_is_python_s_hmac_over_device_newline_and_body() -> None:
    for text in "", "x", '{"id":"ü"}', "y" * 500:
        assert mac(KEY, "kona", text) == hmac.new(KEY, b"kona\n" + text.encode(), hashlib.sha256).hexdigest()
    assert mac(KEY, "kona", "x") != mac(KEY, "konb", "x") != mac(bytes(32), "konb", "x")


def test_message_is_the_envelope_of_its_body() -> None:
    command = Command("set_period", "7", 1700, 1800, {"signal": "Drehmoment ä", "period_ms": 0})
    envelope = json.loads(message(KEY, "kona", command))
    assert envelope.keys() == {"mac", "body"} and envelope["mac"] == mac(KEY, "kona", envelope["body"])
    assert json.loads(envelope["body"]) == {
        "id": "7", "nonce": 1700, "expires_ms": 1800, "command": "set_period",
        "arguments": {"signal": "Drehmoment ä", "period_ms": 0},
    }  # fmt: skip


@pytest.mark.parametrize(
    "command",
    [
        Command("ping", "", 1, 1),
        Command("ping", "x" * 37, 1, 1),
        Command("ping", "x", -1, 1),
        Command("ping", "x", 1 << 63, 1),
        Command("snapshot", "x", 1, 1, {"signals": ["s" * 100] * 5}),
    ],
)
def test_what_no_device_takes_is_not_made(command: Command) -> None:
    with pytest.raises(InputError, match=r"^command "):
        body(command)


def test_body_of_the_greatest_size_is_made() -> None:
    room = MOST_BODY - len(body(Command("ping", "x", 1, 1, {"a": ""})).encode())
    assert len(body(Command("ping", "x", 1, 1, {"a": "y" * room})).encode()) == MOST_BODY
    with pytest.raises(InputError, match="513 bytes"):
        body(Command("ping", "x", 1, 1, {"a": "y" * (room + 1)}))


def test_arguments_as_a_person_writes_them() -> None:
    assert parse("ping", ()) == {}
    assert parse("set_period", ("period_ms=0", "signal=Vehicle.Speed")) == {"signal": "Vehicle.Speed", "period_ms": 0}
    assert parse("snapshot", ("signals=A,B",)) == {"signals": ["A", "B"]}


@pytest.mark.parametrize(
    ("command", "texts", "said"),
    [
        ("format", (), "there is no command 'format'"),
        ("ping", ("x=1",), "takes no arguments"),
        ("set_period", ("signal=A",), "an argument is missing"),
        ("set_period", ("signal=A", "signal=B"), "cannot take 'signal=B'"),
        ("set_period", ("signal=", "period_ms=1"), "signal takes"),
        ("set_period", ("signal=A", "period_ms=soon"), "period_ms takes"),
        ("set_period", ("signal=A", "period_ms=3600001"), "period_ms takes"),
        ("set_period", ("signal=A", "period_ms=-1"), "period_ms takes"),
        ("snapshot", ("signals",), "cannot take 'signals'"),
        ("snapshot", ("signals=A,,B",), "signals takes"),
        ("snapshot", (f"signals={','.join('abcdefghijklmnopq')}",), "signals takes"),
    ],
)
def test_arguments_that_a_command_does_not_take_are_one_line(command: str, texts: tuple[str, ...], said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        parse(command, texts)
    assert "\n" not in str(caught.value)


def test_key_is_64_hex_digits_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(KEY.hex().upper() + "\n")
    assert read_key(path) == KEY
    for wrong in "", KEY.hex()[:-1], KEY.hex() + "0", "g" * 64, "ü" * 64:
        path.write_text(wrong)
        with pytest.raises(InputError, match="key"):
            read_key(path)
    with pytest.raises(InputError, match="cannot read the key"):
        read_key(tmp_path / "none")


def test_reply_is_that_of_this_command_and_of_no_other(tmp_path: Path) -> None:
    async def use(running: broker.Broker) -> None:
        reply = await send(running.address, "kona", KEY, "ping", {})
        assert reply.ok and reply.result == {"uptime_ms": 5}

    served(lambda c: [done(c, id="other"), {"id": c["id"]}, done(c, result={"uptime_ms": 5})], tmp_path, use)


def test_device_that_does_not_answer_in_time(tmp_path: Path) -> None:
    async def use(running: broker.Broker) -> None:
        with pytest.raises(NoReply, match="no reply from kona within 0.3 s"):
            await send(running.address, "kona", KEY, "ping", {}, 0.3)

    served(lambda c: [], tmp_path, use)


def pigtail(running: broker.Broker | None, tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "key").write_text(KEY.hex())
    url = running.url if running else "mqtt://127.0.0.1:1"
    place = ["--broker", url, "--device", "kona", "--command-key", str(tmp_path / "key")]
    return subprocess.run([*PIGTAIL, "command", *place, *arguments], capture_output=True, text=True, timeout=HANGS_S)


def test_command_line_prints_the_reply_and_ends_with_0_1_or_2(tmp_path: Path) -> None:
    async def use(running: broker.Broker) -> None:
        ran = await asyncio.to_thread(pigtail, running, tmp_path, "set_period", "signal=A", "period_ms=100")
        assert (ran.returncode, ran.stdout) == (0, 'set_period done {"version": 4}\n'), ran.stderr
        ran = await asyncio.to_thread(pigtail, running, tmp_path, "--json", "flush")
        assert ran.returncode == 1 and json.loads(ran.stdout)["reason"] == "failed"
        ran = await asyncio.to_thread(pigtail, running, tmp_path, "--wait", "0.5", "ping")
        assert (ran.returncode, ran.stdout) == (1, "") and ran.stderr.startswith("pigtail: no reply from kona")

    def answers(command: dict[str, object]) -> list[dict[str, object]]:
        if command["command"] == "set_period":
            assert command["arguments"] == {"signal": "A", "period_ms": 100}
            return [done(command, result={"version": 4})]
        if command["command"] == "flush":
            return [{"id": command["id"], "command": "flush", "ok": False, "reason": "failed", "text": "no memory"}]
        return []

    served(answers, tmp_path, use)


@pytest.mark.parametrize(
    "arguments",
    [
        ["nothing"], ["ping", "x=1"], ["--command-key", "/none", "ping"], ["--ca", "/none", "ping"], ["--device", "a/b", "ping"],
        ["ping"],
    ],
)
def test_bad_input_is_one_line_and_status_2(arguments: list[str], tmp_path: Path) -> None:
    ran = pigtail(None, tmp_path, *arguments)  # the last one is good, but there is no broker
    assert ran.returncode == 2 and ran.stdout == ""
    assert ran.stderr.startswith("pigtail: error: ") and ran.stderr.count("\n") == 1
