"""Requests to stop: Ctrl-C, SIGTERM and SIGHUP all end the running verb by a KeyboardInterrupt, and none of them is lost.

Python raises that wherever the main thread happens to be. In a weakref's callback or a `__del__` it is printed as
"ignored" and goes no further, and within an import any `except:` may take it for something that is not installed.
"""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_ENDINGS = signal.SIGTERM, signal.SIGHUP
_AGAIN_S = 0.01  # from a request that was lost to the next attempt


@contextmanager
def heeded() -> Iterator[None]:
    """Within the block every request to stop is raised, again and again where it gets lost."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job begins with it ignored
    for ending in _ENDINGS:
        signal.signal(ending, _stop)
    before = sys.unraisablehook

    def unraisable(lost: "sys.UnraisableHookArgs") -> None:
        if issubclass(lost.exc_type, KeyboardInterrupt):
            signal.signal(signal.SIGALRM, _again)
            signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)
        else:
            before(lost)

    sys.unraisablehook = unraisable
    try:
        yield
    finally:
        sys.unraisablehook = before
        if signal.getsignal(signal.SIGALRM) is _again:
            signal.setitimer(signal.ITIMER_REAL, 0)


@contextmanager
def put_off() -> Iterator[None]:
    """Puts a request that comes within the block off until its end."""
    asked: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: asked.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if asked:
            signal.raise_signal(signal.SIGINT)


def _stop(_: int, __: FrameType | None) -> None:
    """Ends as Ctrl-C does, so that whatever was started is stopped; a second such signal changes nothing."""
    for ending in _ENDINGS:
        signal.signal(ending, signal.SIG_IGN)
    signal.raise_signal(signal.SIGINT)


def _again(_: int, __: FrameType | None) -> None:
    signal.raise_signal(signal.SIGINT)
