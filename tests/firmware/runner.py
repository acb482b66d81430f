"""Runs the tests of one file inside MicroPython and prints a line of JSON for each: [name, state, text].

Started by tests/micropython_plugin.py. The tests of a file see a littlefs of their own as `/`, the modules of the board
`unix`, the compiled firmware, tests/data as `/data`, and the host's files below `/host`. `SkipTest` and `raises` are for
the tests to import.
"""

import asyncio
import gc
import json
import micropython
import os
import sys
import vfs

_FLASH_SIZE = 512 * 1024

class SkipTest(Exception):
    """Raised by a test that cannot run here; says why."""


class raises:
    """`with raises(ValueError) as caught:` passes when the block raises it; the exception is `caught.error`."""

    def __init__(self, kind):
        self._kind = kind
        self.error = None

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        if kind is None:
            raise AssertionError("did not raise " + self._kind.__name__)
        self.error = error
        return issubclass(kind, self._kind)


def _mount(facts):
    run = os.getenv("PIGTAIL_SIM")
    places = [("/" + name, facts[name]) for name in ("board", "tests", "data", "slot", "root")]
    places += [("/run", run), ("/host", "/")]
    parts = [(vfs.VfsPosix(folder), place) for place, folder in places]
    for part, place in parts:
        vfs.mount(part, place)
    sys.path[:] = ["/board", "/tests", "/slot", "/root", ".frozen"]
    vfs.mount(_flash("/run/flash.img"), "/")
    os.chdir("/")


def _flash(image):
    from _flash import Flash

    with open(image, "wb") as f:
        f.seek(_FLASH_SIZE - 1)
        f.write(b"\xff")
    flash = Flash(image)
    vfs.VfsLfs2.mkfs(flash)
    return vfs.VfsLfs2(flash)


def _report(name, state, text):
    print("\x02" + json.dumps([name, state, text]))


def _unlock():
    """A test that fails under `micropython.heap_lock()` leaves the heap locked."""
    try:
        bytearray(16)
    except MemoryError:
        micropython.heap_unlock()


def _run(name, test):
    gc.collect()
    try:
        result = test()
        if hasattr(result, "send"):
            asyncio.run(result)
    except SkipTest as skip:
        _report(name, "skipped", str(skip))
    except BaseException as error:
        sys.stdout.write("\x03")  # a traceback follows; it needs no heap, which may be full or locked
        sys.print_exception(error)
        _unlock()
        _report(name, "failed", "")
    else:
        _report(name, "passed", "")


def main():
    facts = json.loads(os.getenv("PIGTAIL_TEST"))
    _mount(facts)
    if facts["before"]:
        __import__(facts["before"])
    module = __import__(facts["module"])
    for name in facts["names"]:
        _run(name, getattr(module, name))


main()
