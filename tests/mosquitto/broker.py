"""A real mosquitto on 127.0.0.1 that can be killed, stopped, started again and given other rules."""

import base64
import getpass
import hashlib
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from host_tools.errors import SetupError
from host_tools.sim.certificates import Certificate
from host_tools.sim.child import bound
from host_tools.toolchain import mosquitto

START_S = 20.0
HOST = "127.0.0.1"


class Mosquitto:
    """With `persistence` it keeps every change on disk before it turns to the next packet. `tls` is its certificate on
    `port`; then `plain_port` is another. `accounts` (users and passwords) are all that may use it; without, everybody may.
    `more` are lines of its configuration behind all others."""

    def __init__(
        self, folder: Path, persistence: bool = False, tls: Certificate | None = None, accounts: dict[str, str] | None = None,
        more: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self.port = _free_port()
        self.plain_port = _free_port() if tls else self.port
        self._folder = folder
        self._persistence = persistence
        self._tls = tls
        self._more = more
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "kept").mkdir(parents=True, exist_ok=True)
        if accounts:
            self.allow(accounts)

    def start(self) -> None:
        """Starts it, or starts it again, and waits until it takes connections."""
        found = mosquitto.find()
        assert found
        command, environment = found
        (self._folder / "mosquitto.conf").write_text("\n".join(self._lines()) + "\n")
        with (self._folder / "mosquitto.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*bound(command), "-c", str(self._folder / "mosquitto.conf")], env=os.environ | environment,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        deadline = time.monotonic() + START_S
        while not self._answers():
            assert self._process.poll() is None and time.monotonic() < deadline, self.log()
            time.sleep(0.01)

    def _lines(self) -> list[str]:
        lines = [f"user {getpass.getuser()}", "max_queued_messages 0", "log_type all", "set_tcp_nodelay true"]
        lines.append(f"persistence {str(self._persistence).lower()}")
        if self._persistence:
            lines += [f"persistence_location {self._folder}/kept/", "autosave_interval 1", "autosave_on_changes true"]
        accounts = self._folder / "accounts"
        lines.append(f"password_file {accounts}" if accounts.exists() else "allow_anonymous true")
        lines.append(f"listener {self.port} {HOST}")
        if self._tls:
            lines += [f"certfile {self._tls.certificate}", f"keyfile {self._tls.key}", f"listener {self.plain_port} {HOST}"]
        return [*lines, *self._more]

    def _answers(self) -> bool:
        try:
            socket.create_connection((HOST, self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def allow(self, accounts: dict[str, str]) -> None:
        """From now on these users with these passwords may use it, and nobody else."""
        rows = []
        for user, password in accounts.items():
            salt = os.urandom(12)
            digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, 101)
            rows.append(f"{user}:$7$101${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}\n")
        path = self._folder / "accounts"
        path.touch(mode=0o600)
        path.write_text("".join(rows))
        if self._process:
            self._process.send_signal(signal.SIGHUP)

    def kill(self) -> None:
        """As a crash: what it has in memory is gone."""
        if self._process:
            self._process.kill()
            self._process.wait()

    def restart(self, tls: Certificate | None = None) -> None:
        """Killed and started again, perhaps with another certificate."""
        self.kill()
        self._tls = tls or self._tls
        self.start()

    def stop(self) -> None:
        """It does nothing any more; its sockets stay as they are."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """It works again after `stop`."""
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    def log(self) -> str:
        """What it said in all its lives."""
        return (self._folder / "mosquitto.log").read_text(errors="replace")


def bring() -> None:
    """Brings mosquitto where it is not here; fails with one clear line where it cannot be had."""
    try:
        mosquitto.fetch()
    except SetupError as error:
        pytest.fail(f"these tests need a mosquitto: install one (Debian: mosquitto); fetching it failed: {error}", pytrace=False)


def _free_port() -> int:
    """Below those that the kernel gives to outgoing connections: it stays free while the broker is away."""
    while True:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            port = random.randrange(20_000, 32_000)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
