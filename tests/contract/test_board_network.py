"""The simulated board's WLAN and sockets keep the ESP32's contract where the Unix port's own would not."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from on_device import run

PRELUDE = """
import errno, os, vfs
vfs.mount(vfs.VfsPosix(os.getenv("RUN")), "/run")
import network, socket
from time import sleep_ms, ticks_diff, ticks_ms
PORT = int(os.getenv("PORT"))
def link(up):
    with open("/run/link", "w") as f: f.write("1" if up else "0")
def error_of(action):
    try:
        action()
        return "none"
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error.args[0]))
def connected():
    s = socket.socket()
    s.connect(socket.getaddrinfo("127.0.0.1", PORT)[0][-1])
    return s
link(True)
"""


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A server that accepts and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def said(folder: Path, script: str, port: int = 0) -> list[str]:
    return run(["-c", PRELUDE + script], RUN=folder, PORT=port).split()


def test_wlan_must_be_active_before_it_joins(tmp_path: Path) -> None:
    script = """
w = network.WLAN(network.STA_IF)
try:
    w.connect("net", "key"); print("joined")
except OSError as error:
    print("refused")
w.active(True); print(w.isconnected()); w.connect("net", "key"); print(w.isconnected(), w.status() == network.STAT_GOT_IP)
"""
    assert said(tmp_path, script) == ["refused", "False", "True", "True"]


def test_wlan_follows_the_link_and_comes_back_by_itself(tmp_path: Path) -> None:
    script = """
w = network.WLAN(); w.active(True); w.connect("net")
for up in (True, False, True):
    link(up); print(w.isconnected(), w.status() == network.STAT_GOT_IP)
w.disconnect(); print(w.isconnected()); w.connect("net"); print(w.isconnected()); w.active(False); print(w.isconnected())
"""
    states = ["True", "True", "False", "False", "True", "True", "False", "True", "False"]
    assert said(tmp_path, script) == states


def test_scan_tells_of_the_access_point_while_the_link_is_up(tmp_path: Path) -> None:
    script = """
w = network.WLAN()
try:
    w.scan(); print("scanned")
except OSError:
    print("refused")
w.active(True); row = w.scan()[0]; print(len(row), row[0] == b"pigtail", -127 <= row[3] < 0); link(False); print(len(w.scan()))
"""
    assert said(tmp_path, script) == ["refused", "6", "True", "True", "0"]


def test_no_connection_while_the_link_is_down(tmp_path: Path, silent_port: int) -> None:
    assert said(tmp_path, "link(False); print(error_of(connected))", silent_port) == ["EHOSTUNREACH"]


def test_refused_connection_is_an_oserror(tmp_path: Path, silent_port: int) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        assert said(tmp_path, "print(error_of(connected))", unused.getsockname()[1]) == ["ECONNREFUSED"]


def test_read_that_does_not_block_is_none(tmp_path: Path, silent_port: int) -> None:
    script = "s = connected(); s.setblocking(False); print(s.readinto(bytearray(4)), s.write(b'x'), s.fileno() > 0)"
    assert said(tmp_path, script, silent_port) == ["None", "1", "True"]


def test_time_out_ends_a_read(tmp_path: Path, silent_port: int) -> None:
    script = "s = connected(); s.settimeout(0.05); print(error_of(lambda: s.recv(4)))"
    assert said(tmp_path, script, silent_port)[0] in ("ETIMEDOUT", "EAGAIN")


def test_fault_32_setblocking_true_clears_the_time_out(tmp_path: Path, silent_port: int) -> None:
    """The Unix port keeps it; the ESP32 then waits for ever, and so must the simulator."""
    script = """
import _thread
s = connected(); s.settimeout(0.05); s.setblocking(True)
state = ["waits"]
def read():
    try:
        s.recv(4)
    except OSError:
        pass
    state[0] = "returned"
_thread.start_new_thread(read, ())
sleep_ms(400); print(state[0])
import machine; machine.reset()
"""
    with pytest.raises(AssertionError, match="waits"):  # the reset is the only way out of a read that waits
        said(tmp_path, script, silent_port)


def test_select_waits_for_a_wrapped_socket(tmp_path: Path, silent_port: int) -> None:
    script = """
import select
s = connected(); p = select.poll(); p.register(s, select.POLLIN)
print(len(p.poll(50))); p.modify(s, select.POLLOUT); print(len(p.poll(50)))
"""
    assert said(tmp_path, script, silent_port) == ["0", "1"]


def test_options_are_taken_as_integers(tmp_path: Path, silent_port: int) -> None:
    script = (
        "s = connected(); s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1); s.close(); print('closed')"
    )
    assert said(tmp_path, script, silent_port) == ["closed"]


NAMES = """
import _thread
def ask(host):
    try:
        return socket.getaddrinfo(host, PORT)[0][-1] == socket.getaddrinfo("127.0.0.1", PORT)[0][-1]
    except OSError:
        return "unknown"
def names(state):
    with open("/run/names", "r+") as f: f.write(state)
"""


def test_every_name_is_the_access_point_as_long_as_names_are_known(tmp_path: Path) -> None:
    (tmp_path / "names").write_text("1")
    script = NAMES + """
print(ask("broker.example")); names("0"); print(ask("broker.example"), ask("127.0.0.1"))
"""
    assert said(tmp_path, script) == ["True", "unknown", "True"]


def test_fault_27_name_server_that_hangs_keeps_only_its_own_thread_waiting(tmp_path: Path) -> None:
    (tmp_path / "names").write_text("?")
    script = NAMES + """
answers = []
_thread.start_new_thread(lambda: answers.append(ask("broker.example")), ())
sleep_ms(200); print(len(answers)); names("1"); sleep_ms(500); print(answers[0])
"""
    assert said(tmp_path, script) == ["0", "True"]
