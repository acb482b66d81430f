"""The `pigtail` command: finds the verbs, and the only place that turns an error into an exit status.

0 all is well, 1 a check failed, 2 bad input or something is lacking, 130 stopped by Ctrl-C.
"""

import ast
import errno
import importlib
import pkgutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from host_tools import __version__, commands, stopping
from host_tools.errors import PigtailError

VERBS = Path(commands.__file__).parent
_FULL = errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO  # of these a write can die


class Verbs(click.Group):
    """The modules of `host_tools.commands`, each with a `command`; imported when it is asked for, not before."""

    def list_commands(self, context: click.Context) -> list[str]:
        """Names of all verbs, in alphabetical order."""
        return sorted(module.name for module in pkgutil.iter_modules([str(VERBS)]))

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """The verb `name`, or None when there is no such module."""
        if name not in self.list_commands(context):
            return None
        with stopping.put_off():
            verb: click.Command = importlib.import_module(f"{commands.__name__}.{name}").command
        return verb

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Lists the verbs from their source, without importing what they need to run."""
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, summary(VERBS / f"{name}.py")) for name in self.list_commands(context)]
            )

    def shell_complete(self, context: click.Context, incomplete: str) -> list[CompletionItem]:
        """Verbs and options that begin so; nothing is imported, since a shell waits."""
        verbs = [name for name in self.list_commands(context) if name.startswith(incomplete)]
        found = [CompletionItem(name, help=summary(VERBS / f"{name}.py")) for name in verbs]
        return [*found, *click.Command.shell_complete(self, context, incomplete)]

    def invoke(self, context: click.Context) -> Any:
        """Runs the verb; a reader that went away (`| head`) shows here, where click is quiet about it."""
        status = super().invoke(context)
        sys.stdout.flush()
        return status


def summary(source: Path) -> str:
    """First line of the docstring of the module's click command."""
    for node in ast.parse(source.read_text()).body:
        if isinstance(node, ast.FunctionDef) and any(
            "command(" in ast.unparse(d) for d in node.decorator_list
        ):
            return (ast.get_docstring(node) or "").split("\n")[0]
    return ""


@click.command(
    cls=Verbs,
    invoke_without_command=True,
    subcommand_metavar="COMMAND [ARGS]...",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="pigtail")
@click.pass_context
def pigtail(context: click.Context) -> None:
    """Read a vehicle's CAN signals with a MicroPython dongle, and lose nothing silently."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def main(arguments: list[str] | None = None) -> None:
    """Runs one verb and exits with its status; never returns."""
    try:
        with stopping.heeded():
            sys.exit(pigtail.main(arguments, prog_name="pigtail", standalone_mode=False))
    except (click.Abort, KeyboardInterrupt):
        print("stopped", file=sys.stderr)
        sys.exit(130)
    except click.exceptions.NoArgsIsHelpError as error:
        group = error.ctx.command if error.ctx else pigtail
        names = group.list_commands(click.Context(group)) if isinstance(group, click.Group) else []
        fail(f"{group.name}: name one of {', '.join(names)}, or --help")
    except click.ClickException as error:
        fail(error.format_message())
    except PigtailError as error:
        fail(str(error))
    except OSError as error:
        if error.errno not in _FULL:
            raise
        with suppress(OSError):
            sys.stdout.close()  # with what it could not write, or Python would try again at its end
        fail(f"cannot write {error.filename or 'the output'}: {error.strerror}; make room, or write elsewhere")


def fail(message: str) -> None:
    """Prints the one line that an error is, and exits with status 2."""
    print(f"pigtail: error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(2)
