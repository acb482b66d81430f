"""A mosquitto of the simulation's own: plain on one port and, where it has a certificate, TLS on another; stopped and killed at
will. Where it is `durable` it keeps sessions and messages on disk, and has them again after it was killed."""

import asyncio
import getpass
import os
import signal
from dataclasses import dataclass
from pathlib import Path

from host_tools.errors import BrokerError
from host_tools.reader.connection import Address, Connection
from host_tools.sim.certificates import Certificate
from host_tools.sim.child import bound

START_S = 10.0
_DURABLE = "persistence true\npersistence_location {folder}/\nautosave_on_changes true\nautosave_interval 1\n"


@dataclass(frozen=True)
class TlsListener:
    """Where and with what TLS is spoken; `client_ca` is set where clients must have a certificate of it."""

    port: int
    certificate: Certificate
    client_ca: Path | None = None


class Mosquitto:
    """`command` and `environment` are what `toolchain.mosquitto.find` gives; its files lie in `folder`."""

    def __init__(
        self, address: Address, tls: TlsListener | None, command: list[str], environment: dict[str, str],
        folder: Path, durable: bool = False,
    ) -> None:  # fmt: skip
        self._address = address
        self._command = [*bound(command), "-c", str(folder / "mosquitto.conf")]
        self._environment = os.environ | environment
        self._log = folder / "mosquitto.log"
        self._process: asyncio.subprocess.Process | None = None
        (folder / "mosquitto.conf").write_text(
            f"user {getpass.getuser()}\n"  # as root it would become nobody, and forget that it is bound to us
            "allow_anonymous true\nmax_queued_messages 0\nset_tcp_nodelay true\nlog_dest stderr\n"
            + (_DURABLE.format(folder=folder) if durable else "persistence false\n")
            + f"listener {address.port} {address.host}\n"
            + (_tls(address.host, tls) if tls else "")
        )

    async def start(self) -> None:
        """Returns when it takes connections. Raises BrokerError with its last words when it does not."""
        with self._log.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, env=self._environment, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True,
            )  # fmt: skip
        deadline = asyncio.get_running_loop().time() + START_S
        while True:
            try:
                async with Connection(self._address):
                    return
            except BrokerError as error:
                if self._process.returncode is not None or asyncio.get_running_loop().time() > deadline:
                    words = self._log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
                    raise BrokerError(f"mosquitto did not start: {words[-1]}; see {self._log}") from error
            await asyncio.sleep(0.05)

    def stop(self, on: bool) -> None:
        """Stops it as it is: its connections stay, and nothing is answered. Off: it goes on."""
        if self._process and self._process.returncode is None:
            self._process.send_signal(signal.SIGSTOP if on else signal.SIGCONT)

    async def kill(self) -> None:
        """Ends it at once, with kill -9."""
        if self._process and self._process.returncode is None:
            self._process.kill()
        if self._process:
            await self._process.wait()


def _tls(host: str, tls: TlsListener) -> str:
    text = f"listener {tls.port} {host}\ncertfile {tls.certificate.certificate}\nkeyfile {tls.certificate.key}\n"
    return text + (f"cafile {tls.client_ca}\nrequire_certificate true\n" if tls.client_ca else "")
