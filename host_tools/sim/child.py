"""Child processes that end with us, however we end."""

import shutil


def bound(command: list[str]) -> list[str]:
    """`command` so that the kernel kills it when our process is gone, kill -9 included; as it is where setpriv is missing."""
    return ["setpriv", "--pdeathsig", "KILL", *command] if shutil.which("setpriv") else command
