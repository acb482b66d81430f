"""A sign of life for whoever waits at a terminal."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner


@contextmanager
def working(words: str) -> Iterator[None]:
    """Turns a spinner with these words on stderr as long as the block runs, nothing where that is no terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with Live(Spinner("dots", words), console=console, transient=True, redirect_stdout=False, redirect_stderr=False):
        yield
