"""What is needed only while the device starts: loaded, used, and given back to the heap."""

import sys


def shed(*parts) -> None:
    """Gives back what made these parts: no other of their kinds is ever made, nor of the kinds that these inherit from.
    `START_ONLY` of their class names what else is never called again."""
    kinds = [type(part) for part in parts if part is not None]
    for kind in kinds:
        for name in getattr(kind, "START_ONLY", ()) + ("__init__",):
            try:
                setattr(kind, name, None)
            except (AttributeError, TypeError):
                pass  # built in, or frozen into the firmware: it takes no heap
        kinds.extend(kind.__bases__)


def call(name: str, function: str, *args):
    """`function(*args)` of the module `name`, which is forgotten afterwards with all of its package that came with it."""
    package, _, leaf = name.rpartition(".")
    before, prefix = set(sys.modules), package + "."
    try:
        return getattr(__import__(name, None, None, (leaf,)), function)(*args)
    finally:
        while _forget(before, package, prefix):
            pass


def _forget(before, package, prefix):
    """Whether there was a module to forget. It takes no memory before it has given some back: loading may have failed for want
    of it."""
    for other in sys.modules:
        if other not in before and other.startswith(prefix) and other.find(".", len(prefix)) < 0:
            del sys.modules[other]
            try:
                delattr(sys.modules[package], other[len(prefix) :])
            except (AttributeError, KeyError):  # it was loaded half
                pass
            return True
    return False
