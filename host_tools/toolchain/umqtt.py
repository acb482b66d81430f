"""umqtt.simple, the MQTT client that the firmware's uplink extends, from the Python package index.

Its sdist has no setup.py, so pip refuses it; unearth finds and unpacks it where pip would look.
"""

import tempfile
from pathlib import Path

from httpx2 import HTTPError
from pip._internal.commands import create_command
from unearth import PackageFinder
from unearth.errors import HashMismatchError, UnpackError

from host_tools.errors import SetupError
from host_tools.paths import CACHE

VERSION = "1.3.4"
SHA256 = "b6a2520239e3992c63a7de9370ee9b3d9d27819a90359c521f1c0f7ccab8d12f"
_NAME = f"micropython-umqtt.simple=={VERSION}"
_FETCHED = CACHE / "umqtt" / VERSION / "simple.py"


def find() -> Path:
    """Path of simple.py; fetches it on the first call. Raises SetupError."""
    if not _FETCHED.exists():
        fetch(_FETCHED)
    return _FETCHED


def fetch(into: Path, sha256: str = SHA256) -> None:
    """Brings simple.py of the sdist with this SHA-256 to the path `into`; raises SetupError."""
    finder = _finder()
    into.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=into.parent) as folder:
        try:
            match = finder.find_best_match(_NAME).best
            if match is None:
                raise SetupError(f"{_NAME} is on no package index that pip is set up for")
            unpacked = finder.download_and_unpack(match.link, folder, folder, hashes={"sha256": [sha256]})
        except HashMismatchError:
            raise SetupError(f"{_NAME} was downloaded, but its SHA-256 is not the known one") from None
        except (UnpackError, HTTPError) as error:
            raise SetupError(f"{_NAME} could not be fetched: {error}") from None
        next(Path(unpacked).glob("**/umqtt/simple.py")).replace(into)


def _finder() -> PackageFinder:
    """A finder with pip's own settings: its files, its environment, its default index."""
    options, _ = create_command("download").parse_args([])
    indexes = [] if options.no_index else [options.index_url, *options.extra_index_urls]
    return PackageFinder(
        index_urls=indexes, find_links=options.find_links, trusted_hosts=options.trusted_hosts
    )
