"""Network and mount namespaces: a test that asks for them is run once more, alone, in a process that has its own."""

import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys

import pytest

from host_tools.errors import SetupError
from host_tools.paths import CACHE, ROOT
from host_tools.toolchain import debian

TIME_LIMIT_S = 240
_INSIDE = "PIGTAIL_TEST_NAMESPACE"
_UNSHARE = ["unshare", "--map-root-user", "--net", "--mount"]
_FETCHED = CACHE / "nftables"
_SET_FLAGS, _UP = 0x8914, 0x41  # SIOCSIFFLAGS; IFF_UP, IFF_RUNNING


def is_inside() -> bool:
    """Whether this process is the one in the namespaces."""
    return _INSIDE in os.environ


def prepare() -> None:
    """Puts the loopback interface up: a new namespace has nothing else, and that is down."""
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sh", b"lo", _UP))


def run(node: str) -> None:
    """The outcome of a test inside: nothing, a failure with all it said, or a skip with the reason."""
    if not shutil.which("unshare"):
        pytest.skip("there is no `unshare` on this machine")
    allowed = subprocess.run([*_UNSHARE, "true"], capture_output=True, text=True)
    if allowed.returncode:
        pytest.skip(f"no namespaces are permitted here: {allowed.stderr.strip()}")
    done = subprocess.run(
        [*_UNSHARE, sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", node], cwd=ROOT,
        env=os.environ | {_INSIDE: "1", "LOGNAME": "root", "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        timeout=TIME_LIMIT_S,
    )  # fmt: skip
    if "1 skipped" in done.stdout:
        pytest.skip(next(line for line in done.stdout.splitlines() if line.startswith("SKIPPED")))
    assert done.returncode == 0, done.stdout + done.stderr


def nft() -> list[str]:
    """The nftables command; brings it where it is not here, outside of the namespaces. Skips where it cannot be had."""
    own = shutil.which("nft", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if own:
        return [own]
    try:
        if not _FETCHED.exists():
            debian.fetch_missing("nftables", _FETCHED)
    except SetupError as error:
        pytest.skip(f"there is no nftables, and fetching it failed: {error}")
    libraries = ":".join(sorted({str(library.parent) for library in _FETCHED.glob("**/*.so.*")}))
    return ["env", f"LD_LIBRARY_PATH={libraries}", str(_FETCHED / "usr/sbin/nft")]
