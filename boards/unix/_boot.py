"""Power-on of the simulated board: what ROM and MicroPython's own `_boot.py` do on an ESP32.

Run by the host as a script, with PIGTAIL_BOARD naming the folder of these modules and PIGTAIL_SIM the folder of this
run (flash image, link, trace). Mounts the flash image at `/`, then runs its `boot.py` and `main.py`. Where it cannot be mounted
it ends with status 43: recovery mode, in which an ESP32 has nothing but its REPL. With PIGTAIL_CONSOLE there is a REPL here too.
"""

import os
import sys
import vfs

_board = os.getenv("PIGTAIL_BOARD")
_run = os.getenv("PIGTAIL_SIM")
_console = os.getenv("PIGTAIL_CONSOLE")
sys.path.insert(0, _board)

import recovery  # noqa: E402
from _flash import Flash  # noqa: E402

_RECOVERY = 43

_flash = Flash(_run + "/flash.img")
_posix = vfs.VfsPosix(_board), vfs.VfsPosix(_run)
_is_mounted = recovery.mount(_flash)
if not _is_mounted:
    if not _console:
        sys.exit(_RECOVERY)
    vfs.umount("/")  # what is there is the host's
del recovery, sys.modules["recovery"]
vfs.mount(_posix[0], "/board")
vfs.mount(_posix[1], "/run")
if _is_mounted:
    os.chdir("/")
sys.path[:] = ["/board", "", ".frozen", "/lib"]

if _console:
    import _repl

    _repl.run(_console, _is_mounted)

for _script in "boot.py", "main.py":
    with open("/" + _script) as _file:
        _source = _file.read()
    if _script == "main.py":
        import _trace

        _trace.install()
    exec(_source, {"__name__": "__main__"})
