"""MicroPython's console on a chip: boot.py, main.py, and then the REPL, friendly, raw and raw paste (shared/runtime/pyexec.c).

Loaded only where the host gives the board a console, PIGTAIL_CONSOLE: `friendly`, or `raw` after a soft reset from the raw REPL.
While code runs that Ctrl-C may interrupt, /run/interruptible holds 1, and the host turns that byte into a signal; otherwise it
comes as a byte. A soft reset starts the process anew in its own place: the heap is fresh, the watchdog goes on.
"""

import ffi
import os
import sys
import vfs
from micropython import const

from _map import mapped

_WINDOW = const(128)  # bytes of raw paste that the host may send ahead
_FDS = const(64)
_PASTE = b"\x05A"

_stdin, _out = sys.stdin.buffer, sys.stdout.buffer.write
_interruptible = mapped("/run/interruptible", 1)
_main = {"__name__": "__main__"}
_libc = ffi.open("libc.so.6")


def run(mode, is_mounted):
    """Does not return. `mode`: that of the REPL, as PIGTAIL_CONSOLE has it."""
    is_raw = mode == "raw"
    is_over = is_mounted and (_script("boot.py") or not is_raw and _script("main.py"))
    while not is_over:
        try:
            is_over = (_raw if is_raw else _friendly)()
            is_raw = is_raw == is_over
        except KeyboardInterrupt:  # it came when the code had just ended
            pass
        except MemoryError:
            _out("MemoryError\r\n")
            bytearray(_WINDOW)  # where there is not even room for that, it ends, as by a chip's watchdog
    _soft_reset("raw" if is_raw else "friendly")


def _script(name):
    """Whether the script ended with SystemExit, which is a soft reset."""
    try:
        with open(name) as file:
            source = file.read()
    except OSError:
        return False
    return _execute(source, name, "exec", "")


def _execute(source, name, kind, end):
    """Whether it asks for a soft reset; `end` is put after what it says and after what it dies of."""
    failure = None
    try:
        code = compile(source, name, kind)
        _interruptible[0] = 1
        exec(code, _main)
    except BaseException as error:
        failure = error
    _interruptible[0] = 0
    _out(end)
    if failure is not None and not isinstance(failure, SystemExit):
        sys.print_exception(failure)
    _out(end)
    return isinstance(failure, SystemExit)


def _byte():
    c = _stdin.read(1)
    if not c:
        sys.exit()  # the host has gone
    return c[0]


def _raw():
    """Whether it ends by a soft reset; else the friendly REPL was asked for."""
    _out("raw REPL; CTRL-B to exit\r\n>")
    line = bytearray()
    while True:
        c = _byte()
        if c == 1:
            if line != _PASTE:
                _out("raw REPL; CTRL-B to exit\r\n")
            elif _execute_pasted():
                return True
        elif c == 2:
            _out("\r\n")
            return False
        elif c == 4:
            _out("OK")
            if not line:
                _out("\r\n")
                return True
            if _execute(bytes(line), "<stdin>", "exec", "\x04"):
                return True
        elif c != 3:
            line.append(c)
            continue
        line = bytearray()
        if c != 3:
            _out(">")


def _execute_pasted():
    _out(bytes((82, 1, _WINDOW, 0, 1)))
    source, window = bytearray(), _WINDOW
    while True:
        c = _byte()
        if c == 3 or c == 4:
            break
        source.append(c)
        window -= 1
        if not window:
            _out("\x01")
            window = _WINDOW
    _out("\x04")
    if c == 3:
        source = b"raise KeyboardInterrupt"
    return _execute(bytes(source), "<stdin>", "exec", "\x04")


def _friendly():
    """Whether it ends by a soft reset; else the raw REPL was asked for."""
    banner = "%s; %s\r\nType \"help()\" for more information.\r\n" % (sys.version.split("; ")[1], sys.platform)
    _out(banner)
    lines, line = "", b""
    _out(">>> ")
    while True:
        c = _byte()
        if c >= 32 and c != 127:
            line += bytes((c,))
            _out(line[-1:])
            continue
        if c in (8, 127):
            if line:
                line = line[:-1]
                _out("\b \b")
            continue
        if not line and not lines and c in (1, 4):
            _out("\r\n")
            return c == 4
        if c == 2:
            _out("\r\n" + banner)
        elif c == 13:
            _out("\r\n")
            text = str(line, "utf8")
            lines += text + "\n"
            line = b""
            if lines.strip() and (text.endswith(":") or text and "\n" in lines[:-1]):
                _out("... ")
                continue
            if lines.strip() and _execute(lines, "<stdin>", "single", ""):
                return True
        elif c == 3:
            _out("\r\n")
        else:
            continue
        lines, line = "", b""
        _out(">>> ")


def _soft_reset(mode):
    """Starts this process anew. Open files and sockets are closed, as on a chip."""
    from array import array
    from uctypes import addressof

    _out("MPY: soft reboot\r\n")
    os.putenv("PIGTAIL_RESET_CAUSE", "5")
    os.putenv("PIGTAIL_CONSOLE", mode)
    with vfs.VfsPosix("/proc/self").open("/cmdline", "rb") as file:
        words = [word + b"\0" for word in file.read().split(b"\0")[:-1]]
    argv = array("L", [addressof(word) for word in words] + [0])
    close = _libc.func("i", "close", "i")
    for fd in range(3, _FDS):
        close(fd)
    _libc.func("i", "execv", "pp")(words[0], argv)
