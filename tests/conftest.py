"""What all tests share: the plugin that runs tests/firmware inside MicroPython, and the command run in this process."""

from collections.abc import Callable

import pytest

from host_tools import cli

pytest_plugins = ["micropython_plugin"]


@pytest.fixture
def pigtail(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs the command; (status, stdout, stderr)."""

    def run(*words: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            cli.main([*map(str, words)])
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run
