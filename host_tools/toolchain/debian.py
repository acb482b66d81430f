"""Debian packages without root: apt with lists and state of its own; unpacked into a folder, not installed.

The site is the one that the machine's apt is set up for. apt checks the archive's signature and every hash; of files that a
lock names it checks the lock's hashes, and needs no lists.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from host_tools.errors import SetupError

_HELPER = "/usr/lib/apt/apt-helper"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_TIMEOUT_S = 300
_CONFIG = """\
Dir::State "{folder}";
Dir::State::status "{status}";
Dir::Cache "{folder}/cache";
Dir::Etc::sourcelist "{folder}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
APT::Sandbox::User "root";
APT::Install-Recommends "false";
Acquire::Languages "none";
Acquire::Retries "2";
"""


def fetch(packages: list[str], architecture: str, suite: str, into: Path) -> Path:
    """Downloads exactly these packages and unpacks them into the folder `into`, all or nothing.

    Raises SetupError with apt's own last words when there is no apt, no network or no such package.
    """
    with tempfile.TemporaryDirectory(prefix="apt-") as folder:
        apt = _Apt(Path(folder), architecture, suite, status=None)
        apt.unpack(packages, into)
    return into


def fetch_locked(lock: Path, into: Path) -> Path:
    """The same for the files that `lock` names by SHA-256 and path in the archive, as sha256sum writes them.

    Raises SetupError as well when the archive has none of a file any more, or another.
    """
    with tempfile.TemporaryDirectory(prefix="apt-") as folder:
        for line in lock.read_text().splitlines():
            sha256, path = line.split()
            target = str(Path(folder) / Path(path).name)
            _run([_HELPER, "download-file", f"{_site().rstrip('/')}/{path}", target, f"SHA256:{sha256}"])
        _unpack(Path(folder), into)
    return into


def fetch_missing(package: str, into: Path) -> Path:
    """The same for `package` and what it needs that this machine lacks, from the machine's own suite."""
    architecture = _run(["dpkg", "--print-architecture"]).strip()
    with tempfile.TemporaryDirectory(prefix="apt-") as folder:
        apt = _Apt(Path(folder), architecture, own_suite(), status=Path("/var/lib/dpkg/status"))
        apt.unpack(apt.missing(package), into)
    return into


def own_suite() -> str:
    """The code name of the machine's Debian, from /etc/os-release; raises SetupError elsewhere."""
    release = Path("/etc/os-release")
    lines = release.read_text().splitlines() if release.exists() else []
    words = dict(line.split("=", 1) for line in lines if "=" in line)
    if words.get("ID") != "debian" or "VERSION_CODENAME" not in words:
        raise SetupError("this machine is not a Debian release")
    return words["VERSION_CODENAME"].strip('"')


class _Apt:
    """apt-get on one suite of one architecture; `status` says what counts as installed, None for nothing."""

    def __init__(self, folder: Path, architecture: str, suite: str, status: Path | None) -> None:
        for part in ("lists/partial", "cache/archives/partial", "debs"):
            (folder / part).mkdir(parents=True)
        (folder / "status").touch()
        if not KEYRING.exists():
            raise SetupError("no Debian archive keys (package debian-archive-keyring)")
        source = f"deb [arch={architecture} signed-by={KEYRING}] {_site()} {suite} main\n"
        (folder / "sources.list").write_text(source)
        status = status or folder / "status"
        config = _CONFIG.format(folder=folder, status=status, architecture=architecture)
        (folder / "apt.conf").write_text(config)
        self._folder = folder
        self._environment = os.environ | {"APT_CONFIG": str(folder / "apt.conf"), "LC_ALL": "C"}
        self._get("update", "-q", "--error-on=any")

    def missing(self, package: str) -> list[str]:
        """What apt would install now to make `package` work: a list of package names."""
        plan = self._get("install", "--simulate", "-q", package)
        return [line.split()[1] for line in plan.splitlines() if line.startswith("Inst ")]

    def unpack(self, packages: list[str], into: Path) -> None:
        """Downloads the packages and puts their files below `into`, which appears only when complete."""
        self._get("download", "-q", *packages)
        _unpack(self._folder / "debs", into)

    def _get(self, *words: str) -> str:
        return _run(["apt-get", *words], cwd=self._folder / "debs", environment=self._environment)


def _unpack(debs: Path, into: Path) -> None:
    """Puts the files of all packages in the folder `debs` below `into`, all or nothing."""
    into.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=into.parent, prefix="unpack-") as folder:
        root = Path(folder) / "root"
        for deb in sorted(debs.glob("*.deb")):
            _run(["dpkg-deb", "--extract", str(deb), str(root)])
        shutil.rmtree(into, ignore_errors=True)
        root.rename(into)


def _site() -> str:
    """The address of the Debian archive that the machine's own apt uses."""
    targets = ["apt-get", "indextargets", "--format", "$(RELEASE) $(REPO_URI)"]
    lines = _run([*targets, "Created-By: Packages", "Component: main"]).splitlines()
    rows = [line.split() for line in lines if "security" not in line]
    suite = own_suite()
    sites = [uri for release, uri in rows if release == suite] + [uri for _, uri in rows if "/debian" in uri]
    if not sites:
        raise SetupError("apt has no Debian archive in its sources")
    return sites[0]


def _run(command: list[str], cwd: Path | None = None, environment: dict[str, str] | None = None) -> str:
    """What the command printed; SetupError with its first line of an error, else its last, when it failed."""
    try:
        done = subprocess.run(
            command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=_TIMEOUT_S
        )
    except FileNotFoundError:
        raise SetupError(f"this machine has no {command[0]}") from None
    except subprocess.TimeoutExpired:
        raise SetupError(f"{' '.join(command[:2])} took more than {_TIMEOUT_S} s") from None
    if done.returncode:
        words = (done.stderr or done.stdout).strip().splitlines() or [f"status {done.returncode}"]
        reason = next((line for line in words if line.startswith("E: ")), words[-1])
        raise SetupError(f"{' '.join(command[:2])} failed: {reason}")
    return done.stdout
