"""A name server for tests in a namespace: it answers, denies, fails or says nothing, as it is told."""

import socket
import struct
import subprocess
import threading
from pathlib import Path

ANSWER, DENY, FAIL, HANG = range(4)
_CODES = {ANSWER: 0, DENY: 3, FAIL: 2}
_A = 1


class NameServer:
    """On 127.0.0.1:53, where the machine's resolver is sent; every name has the one `address`."""

    def __init__(self, folder: Path, timeout_s: int) -> None:
        self.does = ANSWER
        self.address = "127.0.0.1"
        self.silent_on = ""  # a label; names with it get no answer
        self.asked = 0
        resolver = folder / "resolv.conf"
        resolver.write_text(f"nameserver 127.0.0.1\noptions timeout:{timeout_s} attempts:1\n")
        subprocess.run(["mount", "--bind", str(resolver), "/etc/resolv.conf"], check=True)
        self._socket = socket.socket(type=socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            query, client = self._socket.recvfrom(512)
            self.asked += 1
            if self.does != HANG and not (self.silent_on and self.silent_on.encode() in query):
                self._socket.sendto(self._reply(query), client)

    def _reply(self, query: bytes) -> bytes:
        """RFC 1035, section 4."""
        question = query[12 : query.index(b"\0", 12) + 5]
        has = self.does == ANSWER and struct.unpack("!H", question[-4:-2])[0] == _A
        head = query[:2] + struct.pack("!HHHHH", 0x8180 | _CODES[self.does], 1, has, 0, 0)
        answer = b"\xc0\x0c" + struct.pack("!HHIH", _A, 1, 0, 4) + socket.inet_aton(self.address)
        return head + question + (answer if has else b"")
