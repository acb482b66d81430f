"""What is needed only while the device starts: loaded, used, and given back to the heap."""

import sys


def shed(*parts) -> None:
    """Gives back what made these parts: no other of their kinds is ever made. `START_ONLY` of their class names what else is
    never called again."""
    for part in parts:
        if part is not None:
            kind = type(part)
            for name in getattr(kind, "START_ONLY", ()) + ("__init__",):
                setattr(kind, name, None)


def call(name: str, function: str, *args):
    """`function(*args)` of the module `name`, which is forgotten afterwards with all of its package that came with it."""
    package, _, leaf = name.rpartition(".")
    before = set(sys.modules)
    try:
        return getattr(__import__(name, None, None, (leaf,)), function)(*args)
    finally:
        for other in set(sys.modules) - before:
            parent, _, leaf = other.rpartition(".")
            if parent == package:
                del sys.modules[other]
                delattr(sys.modules[parent], leaf)
