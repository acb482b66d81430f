"""What TLS costs a device: the GC heap, and the process around it, for one connection to a server on this machine."""

import json
import os
import socket
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from host_tools.errors import InputError
from host_tools.paths import BOARDS
from host_tools.sim.certificates import Authority
from host_tools.toolchain import micropython

_SCRIPT = """
import asyncio, gc, json, os, socket, vfs
vfs.mount(vfs.VfsPosix(os.getenv("RUN")), "/run")
from pigtail.uplink.clock import NTP
from pigtail.uplink.mqtt import Client
def sizes():
    gc.collect()
    with open("/proc/self/statm") as f: pages = int(f.read().split()[1])
    return gc.mem_alloc(), pages * 4096
class Clock: quality = NTP
config = {"mqtt.ca_file": "/run/ca.pem", "mqtt.cert_file": "", "mqtt.key_file": "", "mqtt.server_name": "", "mqtt.pin": ""}
client = Client("dev", "127.0.0.1", int(os.getenv("PORT")))
address = socket.getaddrinfo("127.0.0.1", client.port)[0][-1]
async def main():
    before = sizes()
    from pigtail.uplink.tls import Tls
    loaded = sizes()
    client.ssl = Tls(config, Clock)
    await client.open(address, 10000)
    connected = sizes()
    print(json.dumps([loaded[0] - before[0], connected[0] - loaded[0], connected[1] - before[1]]))
asyncio.run(main())
"""
TIME_LIMIT_S = 60


@dataclass(frozen=True)
class TlsSize:
    """Bytes: GC heap for the module, GC heap for a connection, growth of the process (mbedTLS allocates outside the GC heap)."""

    module: int
    connection: int
    process: int


def measure(interpreter: micropython.Micropython, tree: Path) -> TlsSize:
    """One connection of the compiled firmware in `tree`. Raises SetupError without openssl, InputError when there is none."""
    with tempfile.TemporaryDirectory(prefix="pigtail-tls-") as folder:
        run = Path(folder)
        (run / "link").write_text("1")
        authority = Authority(run)
        certificate = authority.issue("broker", "IP:127.0.0.1")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.certificate, certificate.key)
        with _server(context) as port:
            argv, clock = interpreter.argv(["-c", _SCRIPT])
            path = f"{BOARDS / 'unix'}:{tree / 'slot'}:{tree / 'root'}:.frozen"
            environment = os.environ | clock | {"MICROPYPATH": path, "RUN": folder, "PORT": str(port)}
            done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=TIME_LIMIT_S)
    if done.returncode:
        reason = (done.stdout + done.stderr).strip().splitlines()[-1]
        raise InputError(f"the firmware makes no TLS connection: {reason}")
    return TlsSize(*json.loads(done.stdout))


@contextmanager
def _server(context: ssl.SSLContext) -> Iterator[int]:
    """A broker that accepts one connection and says no more than CONNACK; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(TIME_LIMIT_S)

        def serve() -> None:
            with suppress(OSError):
                raw, _ = listener.accept()
                raw.settimeout(TIME_LIMIT_S)
                with context.wrap_socket(raw, server_side=True) as connection:
                    connection.recv(4096)
                    connection.sendall(b"\x20\2\0\0")
                    connection.recv(4096)

        server = threading.Thread(target=serve, daemon=True)
        server.start()
        yield listener.getsockname()[1]
        server.join(TIME_LIMIT_S)
