"""The `pigtail` command: finds the verbs, and the only place that turns an error into an exit status.

0 all is well, 1 a check failed, 2 bad input or a machine that lacks something, 130 stopped by Ctrl-C.
"""

import importlib
import pkgutil
import sys

import click

from host_tools import __version__, commands
from host_tools.errors import PigtailError


class Verbs(click.Group):
    """A click group whose verbs are the modules of `host_tools.commands`, imported when asked for."""

    def list_commands(self, context: click.Context) -> list[str]:
        """Names of all verbs, in alphabetical order."""
        return sorted(module.name for module in pkgutil.iter_modules(commands.__path__))

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """The verb `name`, or None when there is no such module."""
        if name not in self.list_commands(context):
            return None
        verb = importlib.import_module(f"{commands.__name__}.{name}").command
        assert isinstance(verb, click.Command)
        return verb


@click.command(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="pigtail")
def pigtail() -> None:
    """Read a vehicle's CAN signals with a MicroPython dongle, and lose nothing silently."""


def main(arguments: list[str] | None = None) -> None:
    """Runs one verb and exits with its status; never returns."""
    try:
        sys.exit(pigtail.main(arguments, prog_name="pigtail", standalone_mode=False))
    except click.ClickException as error:
        fail(error.format_message())
    except PigtailError as error:
        fail(str(error))


def fail(message: str) -> None:
    """Prints the one line that an error is, and exits with status 2."""
    print(f"pigtail: error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(2)
