"""What is needed only while the device starts: loaded, used, and given back to the heap."""

import sys


def shed(*parts) -> None:
    """Gives back what made these parts: no other of their kinds is ever made."""
    for part in parts:
        if part is not None:
            type(part).__init__ = None


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
                setattr(sys.modules[parent], leaf, None)  # what is only deleted stays in the table, and alive
                delattr(sys.modules[parent], leaf)
                sys.modules[other] = None
                del sys.modules[other]
