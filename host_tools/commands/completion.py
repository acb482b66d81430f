"""`pigtail completion`: what makes a shell complete verbs, options and files."""

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

SHELLS: dict[str, type[ShellComplete]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}
EXAMPLES = """\b
Examples:
  pigtail completion bash > ~/.local/share/bash-completion/completions/pigtail
  pigtail completion zsh > ~/.zfunc/_pigtail
  pigtail completion fish > ~/.config/fish/completions/pigtail.fish
"""


@click.command("completion", epilog=EXAMPLES)
@click.argument("shell", type=click.Choice(list(SHELLS)))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print a shell's completion script.

    Write it where the shell looks, as below (zsh: a folder that is in fpath before compinit), or try it at once in bash:
    source <(pigtail completion bash)
    """
    root = context.find_root()
    script = SHELLS[shell](root.command, {}, "pigtail", "_PIGTAIL_COMPLETE")
    click.echo(script.source_template % script.source_vars())
