"""A sign of life for whoever waits: drawn on a terminal, in plain lines elsewhere; on stderr."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import click
from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.spinner import Spinner


class Watcher(Protocol):
    """Told how far it is."""

    def step(self, what: str) -> None:
        """Something begins: "connecting", "erasing", …"""

    def written(self, done: int, total: int) -> None:
        """How much of this step is done."""


@contextmanager
def working(words: str) -> Iterator[None]:
    """Turns a spinner with these words as long as the block runs, nothing where there is no terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with Live(Spinner("dots", words), console=console, transient=True, redirect_stdout=False, redirect_stderr=False):
        yield


@contextmanager
def steps() -> Iterator[Watcher]:
    """Tells of what has several steps: a bar that fills, or a line for each where there is no terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines()
        return
    columns = TextColumn("{task.description}"), BarColumn(20), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        yield _Bar(progress)


class _Lines:
    def step(self, what: str) -> None:
        click.echo(what, err=True)

    def written(self, done: int, total: int) -> None:
        """Says nothing: there may be hundreds."""


class _Bar:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None

    def step(self, what: str) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(what, total=None)

    def written(self, done: int, total: int) -> None:
        if self._task is not None:
            self._progress.update(self._task, completed=done, total=total)
