"""Recovery: mounts the file system at power-on, or says why it cannot and leaves the flash as it is.

Frozen into a board's MicroPython, since it is needed when nothing on flash can be read. The board's `_boot.py` calls `mount`
where MicroPython's own formats a flash whose first block is blank, or says for ever that it is damaged.
"""

import vfs

reason = ""  # why this board is in recovery mode; empty when it is not


def mount(device, place: str = "/") -> bool:
    """Mounts the littlefs on `device` and writes nothing. False: recovery mode, there is nothing to run but the REPL."""
    global reason
    try:
        vfs.mount(vfs.VfsLfs2(device), place)
    except OSError as error:
        found = _found(device, 0), _found(device, 1)
        told = (error,) + found
        reason = "no file system can be mounted (error %s): block 0 is %s, block 1 is %s; nothing was changed" % told
        print("recovery: " + reason)
        return False
    return True


def _found(device, block):
    """Of one of the two blocks with which littlefs begins."""
    content = bytearray(device.ioctl(5, 0))
    try:
        device.readblocks(block, content)
    except OSError:
        return "not readable"
    return "damaged" if content.strip(b"\xff") else "blank"
