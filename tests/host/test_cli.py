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


def script(verbs: Path, name: str) -> str:
    """Python that runs the planted verb `name` as a process of its own."""
    return (
        "import sys; from pathlib import Path; from host_tools import cli, commands;"
        f"commands.__path__ = [{str(verbs)!r}]; cli.VERBS = Path({str(verbs)!r}); cli.main([{name!r}])"
    )


# Each asks to stop where Python, or whoever wrote it, lets the KeyboardInterrupt go no further.
LOSES = {
    "callback": "class A: pass\na = A()\nr = weakref.ref(a, lambda _: signal.raise_signal(ASKED))\ndel a",
    "del": "class A:\n    def __del__(self): signal.raise_signal(ASKED)\nA()",
    "del_twice": "class A:\n    def __del__(self): signal.raise_signal(ASKED)\nA()\n"
    "class B:\n    def __del__(self): time.sleep(0.2)\nB()",
    "except": "try: signal.raise_signal(ASKED)\nexcept: pass",
}
GOES_ON = {"sleep": "time.sleep(20)", "asyncio": "asyncio.run(asyncio.sleep(20))"}


@pytest.mark.parametrize(("asked", "goes_on"), [("SIGINT", "asyncio"), ("SIGTERM", "asyncio"), ("SIGHUP", "sleep")])
@pytest.mark.parametrize(
    ("place", "loses"), [("import", name) for name in LOSES] + [("verb", name) for name in LOSES if name != "except"]
)
def test_request_to_stop_that_gets_lost_is_heeded_all_the_same(
    verbs: Path, place: str, loses: str, goes_on: str, asked: str
) -> None:
    lines = {"import": "", "verb": ""} | {place: LOSES[loses]}
    body = f"{lines['verb']}\n{GOES_ON[goes_on]}\nprint('ran on')".replace("\n", "\n    ")
    (verbs / "losing.py").write_text(
        "import asyncio, signal, time, weakref\nimport click\n"
        f"ASKED = signal.{asked}\n{lines['import']}\n@click.command()\ndef command():\n    {body}\n"
    )
    background = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); "  # as a shell starts what & ends
    done = subprocess.run(
        [sys.executable, "-c", background + script(verbs, "losing")], capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout, done.stderr.split()) == (130, "", ["stopped"])


@pytest.mark.parametrize("name", ["endless", "fine"])
def test_reader_that_goes_away_is_no_error(verbs: Path, name: str) -> None:
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    process = subprocess.Popen(
        [sys.executable, "-c", script(verbs, name)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=buffered
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    process.wait()
