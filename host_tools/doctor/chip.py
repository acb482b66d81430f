"""The chip and its board: how much flash is free, whose module knows the pins, where the outbox is."""

from collections.abc import Iterator

from host_tools import boards
from host_tools.device.release import board_trouble, digest, modules
from host_tools.device.serial import Device, DeviceError
from host_tools.doctor.finding import ERROR, OK, WARNING, Case, Finding

LITTLE = 64 << 10  # bytes of flash


def look(device: Device, case: Case) -> Iterator[Finding]:
    """The firmware is stopped. Raises InputError."""
    free, whole = device.eval("(lambda s: (s[0] * s[3], s[0] * s[2]))(__import__('os').statvfs('/'))", like=(0, 0))
    words = f"{free >> 10:,} of {whole >> 10:,} KiB free"
    if free < LITTLE:
        yield Finding("flash", WARNING, words, "remove files that are not the firmware's: `pigtail repl`")
    else:
        yield Finding("flash", OK, words)
    trouble = board_trouble(device)
    if trouble:
        case.deploy = f"{case.deploy} --board NAME"
        todo = f"`{case.deploy}`, once: `pigtail boards` lists them"
        yield Finding("board", ERROR, f"nothing there knows the board's pins ({trouble}): no firmware starts", todo)
        return
    yield _board(device, case)
    try:
        own = device.exec("import board\nprint(board.outbox_device() is not None)").strip() == "True"
    except DeviceError as error:
        yield Finding("outbox", ERROR, str(error), f"`{case.deploy} --board NAME`, once: `pigtail boards` lists them")
        return
    if own:
        yield Finding("outbox", OK, "a partition of its own")
    else:
        yield Finding("outbox", WARNING, "keeps files beside the firmware", "`pigtail flash` a partition table with room for it")


def _board(device: Device, case: Case) -> Finding:
    """Whose modules lie there."""
    there = device.hashes(["/chip.mpy", "/board.mpy"])
    if "/board.mpy" not in there:
        return Finding("board", OK, "its module is no file of ours: MicroPython's own, or a board.py")
    for board in boards.load_all():
        if not case.arch or board.arch != case.arch:
            continue
        ours = {path: digest(content) for path, content in modules(board).items()}
        if there == ours:
            return Finding("board", OK, f"{board.name}, {board.title}")
        if there["/board.mpy"] == ours["/board.mpy"]:
            words = f"{board.name}, with a chip.mpy that is not this checkout's"
            return Finding("board", WARNING, words, f"`pigtail deploy --board {board.name}`")
    todo = "`pigtail deploy --board NAME`, if it is not one of your own"
    return Finding("board", WARNING, "its module is of none of this checkout's boards", todo)
