"""The command line: verbs found, errors as one line, exit statuses."""

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from host_tools import cli, commands

VERBS = {
    "fine": "print('done')",
    "failed": "return 1",
    "refused": "raise InputError('no such log: x.log;\\n  name another')",
    "stopped": "raise KeyboardInterrupt",
    "endless": "[print('line', n) for n in range(1_000_000)]",
}


@pytest.fixture
def verbs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of planted verbs in place of the real ones."""
    for name, body in VERBS.items():
        text = f'import click\nfrom host_tools.errors import InputError\n@click.command()\ndef command():\n    """Is {name}."""\n'
        (tmp_path / f"{name}.py").write_text(f"{text}    {body}\n")
        monkeypatch.delitem(sys.modules, f"host_tools.commands.{name}", raising=False)
    monkeypatch.setattr(cli, "VERBS", tmp_path)
    monkeypatch.setattr(commands, "__path__", [str(tmp_path)])
    return tmp_path


def status(*arguments: str) -> object:
    with pytest.raises(SystemExit) as exit:
        cli.main(list(arguments))
    return exit.value.code or 0


def test_every_verb_loads_and_says_what_it_does() -> None:
    context = click.Context(cli.pigtail)
    names = cli.pigtail.list_commands(context)
    for name in names:
        command = cli.pigtail.get_command(context, name)
        assert isinstance(command, click.Command)
        assert cli.summary(cli.VERBS / f"{name}.py"), name


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help_lists_verbs_without_importing_them(
    verbs: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    (verbs / "broken.py").write_text(
        'import nothing_of_that_name\n@click.command()\ndef command():\n    """Is broken."""\n'
    )
    assert status(*arguments) == 0
    out = capsys.readouterr().out
    assert "broken" in out and "Is broken." in out and "Is fine." in out


def test_verb_that_returns_nothing_is_status_0(verbs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status("fine") == 0
    assert capsys.readouterr().out == "done\n"


def test_failed_check_is_status_1(verbs: Path) -> None:
    assert status("failed") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["refused"], "no such log: x.log; name another"),
        (["nonesuch"], "No such command 'nonesuch'."),
        (["fine", "--loud"], "No such option '--loud'."),
        (["fine", "extra"], "Got unexpected extra argument (extra)"),
    ],
)
def test_error_is_one_line_and_status_2(
    verbs: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert status(*arguments) == 2
    assert capsys.readouterr().err == f"pigtail: error: {words}\n"


def test_ctrl_c_is_status_130_without_traceback(verbs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status("stopped") == 130
    assert capsys.readouterr().err.strip() == "stopped"


@pytest.mark.parametrize("name", ["endless", "fine"])
def test_reader_that_goes_away_is_no_error(verbs: Path, name: str) -> None:
    script = (
        "import sys; from pathlib import Path; from host_tools import cli, commands;"
        f"commands.__path__ = [{str(verbs)!r}]; cli.VERBS = Path({str(verbs)!r}); cli.main([{name!r}])"
    )
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=buffered
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    process.wait()
