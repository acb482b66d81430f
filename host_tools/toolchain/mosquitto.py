"""The mosquitto broker: the machine's own, or Debian's, fetched. Without it the project uses amqtt."""

import functools
import os
import shutil
import subprocess
from pathlib import Path

from host_tools.errors import SetupError
from host_tools.paths import CACHE
from host_tools.toolchain import debian

_SYSTEM = "/usr/sbin"  # where Debian puts it, which is not on a plain user's PATH
_FETCHED = CACHE / "mosquitto"


@functools.cache
def find() -> tuple[list[str], dict[str, str]] | None:
    """(Command prefix, what to add to the environment) of a mosquitto that runs; None when there is none.

    Looks only at what is there: `fetch` brings one.
    """
    own = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:{_SYSTEM}")
    if own and _runs([own], {}):
        return [own], {}
    libraries = sorted({str(library.parent) for library in _FETCHED.glob("**/*.so.*")})
    fetched = [str(_FETCHED / "usr/sbin/mosquitto")], {"LD_LIBRARY_PATH": ":".join(libraries)}
    return fetched if _runs(*fetched) else None


def fetch() -> None:
    """Brings Debian's mosquitto and the libraries that this machine lacks. Raises SetupError."""
    if find():
        return
    debian.fetch_missing("mosquitto", _FETCHED)
    find.cache_clear()
    if not find():
        raise SetupError("Debian's mosquitto does not run on this machine")


def _runs(command: list[str], environment: dict[str, str]) -> bool:
    """Whether it starts; `-h` exits with status 3 but names itself."""
    if not Path(command[0]).exists():
        return False
    try:
        done = subprocess.run(
            [*command, "-h"], env=os.environ | environment, capture_output=True, text=True, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return "mosquitto version" in done.stdout
