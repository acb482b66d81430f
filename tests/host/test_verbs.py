"""What holds for every verb: an example in its help, one line and status 2 for what it does not know; and completion in bash."""

import os
import pty
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import click
import pytest

from host_tools import cli
from host_tools.commands import completion, flash
from host_tools.device import ports
from host_tools.paths import ROOT


def every(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """All verbs and verbs of verbs, by their words."""
    if path:
        yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from every(inner, (*path, name))


VERBS = dict(every(cli.pigtail))


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[object, str, str]:
    """Status, stdout and stderr."""
    with pytest.raises(SystemExit) as exit:
        cli.main([*words])
    return exit.value.code or 0, *capsys.readouterr()


@pytest.mark.parametrize("path", VERBS, ids=" ".join)
def test_help_has_an_example_of_the_verb_whose_options_it_knows(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = said(capsys, *path, "--help")
    assert status == 0
    examples = [line.split()[1:] for line in out.splitlines() if line.lstrip().startswith("pigtail ")]
    own = [words for words in examples if words[: len(path)] == [*path]]
    assert own, "no example"
    options = {option for parameter in VERBS[path].params for option in parameter.opts}
    if not isinstance(VERBS[path], click.Group):
        assert {word for words in own for word in words if word.startswith("--")} <= options


@pytest.mark.parametrize("path", VERBS, ids=" ".join)
def test_unknown_option_is_one_line_and_status_2(path: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = said(capsys, *path, "--nonesuch")
    assert (status, out) == (2, "") and err.startswith("pigtail: error: No such option '--nonesuch'") and err.count("\n") == 1


@pytest.mark.parametrize("path", [path for path in VERBS if isinstance(VERBS[path], click.Group)], ids=" ".join)
def test_group_alone_names_its_verbs_in_one_line(path: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    names = ", ".join(sorted(verb[-1] for verb in VERBS if verb[:-1] == path))
    assert said(capsys, *path) == (2, "", f"pigtail: error: {path[-1]}: name one of {names}, or --help\n")


@pytest.mark.parametrize("path", VERBS, ids=" ".join)
def test_json_is_a_switch_or_takes_a_file(path: tuple[str, ...]) -> None:
    for parameter in VERBS[path].params:
        if "--json" in parameter.opts:
            assert isinstance(parameter, click.Option) and (parameter.is_flag or isinstance(parameter.type, click.Path))


FLOATS = [
    (path, parameter.opts[0])
    for path, verb in VERBS.items()
    for parameter in verb.params
    if isinstance(parameter.type, click.types.FloatParamType)
]


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "1e999"])
@pytest.mark.parametrize(("path", "option"), FLOATS, ids=lambda given: " ".join(given) if isinstance(given, tuple) else given)
def test_number_that_is_not_finite_is_refused_in_one_line(
    path: tuple[str, ...], option: str, number: str
) -> None:
    with pytest.raises(click.BadParameter) as refused:
        VERBS[path].make_context(path[-1], [option, number])
    said = refused.value.format_message()
    assert f"'{option}'" in said and "\n" not in said


def test_verbs_have_numbers_to_refuse() -> None:
    assert len(FLOATS) >= 10


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["doctor", "--vehicle", "nofile"], "no profile nofile: "),
        (["doctor", "--json", "--vehicle", "rubbish.dbc"], "rubbish.dbc: not a DBC"),
        (["board", "new", "--heap", "1k"], "heap '1k': the firmware takes 64k at least"),
        (["board", "new", "--heap", "65535"], "heap '65535': "),
        (["board", "new", "--heap", "65m"], "heap '65m': "),
        (["board", "new", "--heap", "k"], "heap 'k': "),
        (["board", "new", "--device", "a/b c"], "'a/b c' cannot be a device's id"),
    ],
)
def test_what_would_only_show_later_is_refused_at_once(
    words: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rubbish.dbc").write_text("rubbish")
    status, out, err = said(capsys, *words)
    assert (status, out) == (2, "") and err.startswith(f"pigtail: error: {says}") and err.count("\n") == 1, err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("verb", ["logs", "monitor"])
def test_port_that_is_not_there_is_one_line_and_nothing_before_it(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = said(capsys, verb, "--port", "/dev/nonexistent")
    assert (status, out) == (2, "") and err.startswith("pigtail: error: ") and err.count("\n") == 1, err


BESIDES_PORT = {
    "command": ["ping"], "config push": ["draft.json"], "config pull": ["pulled.json"],
    "config set": ["batch_ms=2000"], "config get": ["batch_ms"], "config reset": ["batch_ms"], "diag": ["dtcs"],
    "flash": ["--board", "esp32-mcp2515", "--image", "draft.json", "--yes"],
    "provision": ["--broker", "mqtt://192.0.2.7", "--insecure"],
}  # fmt: skip


@pytest.mark.parametrize("verb", [" ".join(path) for path, verb in VERBS.items() if any("--port" in p.opts for p in verb.params)])
def test_fault_45_port_of_an_unset_variable_is_no_port_though_there_is_a_board(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    somebody = SimpleNamespace(device="/dev/somebody", vid=0x303A, pid=0x1001, serial_number=None)
    monkeypatch.setattr(ports.list_ports, "comports", lambda: [somebody])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "draft.json").write_text('{"batch_ms": 3000}')
    monkeypatch.setattr(flash, "image", SimpleNamespace(read=lambda *_: None))
    monkeypatch.setattr(flash, "_warnings", lambda *_: [])
    with pytest.raises(SystemExit) as exit:
        cli.main([*verb.split(), "--port", "", *BESIDES_PORT.get(verb, [])])
    said, error = capsys.readouterr()
    assert exit.value.code == (1 if verb == "doctor" else 2)
    refused = "no port '': is a variable unset? `pigtail devices` lists those that there are\n"
    assert refused in (said if verb == "doctor" else error)
    assert "somebody" not in said + error


def test_readme_has_a_line_for_every_verb() -> None:
    rows = re.findall(r"^\| `(\w+)` \| \S", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(rows) == sorted({path[0] for path in VERBS})


def completed(line: str, folder: Path) -> list[str]:
    """What bash offers at the end of this line, our script loaded."""
    here = folder / "pigtail"
    here.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -c "from host_tools.cli import main; main()" "$@"\n')
    here.chmod(0o755)
    words = shlex.split(line) + ([""] if line.endswith(" ") else [])
    script = f"""
source <(pigtail completion bash)
COMP_WORDS=({shlex.join(words)}) COMP_CWORD={len(words) - 1}
compopt() {{ echo "compopt $*"; }}
$(complete -p pigtail | sed 's/.*-F \\([^ ]*\\).*/\\1/') pigtail
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, timeout=60,
        env={"PATH": f"{folder}:/usr/bin:/bin", "PYTHONPATH": ":".join(filter(None, sys.path))},
    )  # fmt: skip
    assert not done.stderr, done.stderr
    return done.stdout.split()


@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash here")
def test_bash_completes_verbs_options_choices_and_files(tmp_path: Path) -> None:
    assert completed("pigtail do", tmp_path) == ["doctor"]
    assert completed("pigtail signals ch", tmp_path) == ["check"]
    assert completed("pigtail listen --form", tmp_path) == ["--format"]
    assert completed("pigtail listen --format js", tmp_path) == ["jsonl"]
    assert completed("pigtail config get mqtt.ho", tmp_path) == ["mqtt.host"]
    assert completed("pigtail config reset batch_ms clock.", tmp_path) == ["clock.host", "clock.port"]
    assert completed("pigtail decode ", tmp_path)[:3] == ["compopt", "-o", "default"]


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_completion_script_asks_pigtail(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = said(capsys, "completion", shell)
    assert status == 0 and not err and f"_PIGTAIL_COMPLETE={shell}_complete" in out


def test_completing_a_verb_imports_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli.importlib, "import_module", lambda name: pytest.fail(f"{name} is imported"))
    found = cli.pigtail.shell_complete(click.Context(cli.pigtail), "de")
    assert [item.value for item in found] == ["decode", "demo", "deploy", "devices"] and found[0].help


def test_who_waits_at_a_terminal_sees_a_sign_of_life_and_a_pipe_gets_none() -> None:
    waits = "import time; from host_tools.progress import working\nwith working('waiting'): time.sleep(0.3)"
    script = [sys.executable, "-c", waits]
    assert subprocess.run(script, capture_output=True).stderr == b""
    master, slave = pty.openpty()
    done = subprocess.run(script, stdout=subprocess.PIPE, stderr=slave)
    assert done.stdout == b"" and b"waiting" in os.read(master, 65536)
    os.close(slave)
    os.close(master)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize(
    "words",
    [
        "--help",
        "signals show demo-ev",
        "signals draw demo-ev Vehicle.Speed",
        "boards --json",
        "completion bash",
        "config show --file draft.json",
        "provision --offline --device kona --broker mqtts://broker.example --authority ca --new-authority",
    ],
)
def test_full_disk_is_one_line_and_status_2(words: str, tmp_path: Path) -> None:
    (tmp_path / "draft.json").write_text("{}")
    script = "from host_tools.cli import main; main()"
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", script, *words.split()], stdout=full, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == "pigtail: error: cannot write the output: No space left on device; make room, or write elsewhere\n"
