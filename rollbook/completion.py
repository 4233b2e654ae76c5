"""`rollbook completion`: the script by which a shell completes commands, options and their values.

click's own scripts, which ask the program at each press of the key: so it completes what this version takes.
"""

from __future__ import annotations

from typing import Any, Final

import click

from rollbook.genesys.program import console

# shell → the class of click's that knows it
_SHELLS: Final = {"bash": "BashComplete", "zsh": "ZshComplete", "fish": "FishComplete"}


@click.command()
@click.argument("shell", type=click.Choice(list(_SHELLS)))
def completion(shell: str) -> None:
    """Print what lets SHELL complete the commands rollbook and reconcile, their options and values.

    \b
    bash: eval "$(rollbook completion bash)" in ~/.bashrc
    zsh:  eval "$(rollbook completion zsh)" in ~/.zshrc, after compinit
    fish: rollbook completion fish > ~/.config/fish/completions/rollbook.fish
    """
    console.run(lambda: click.echo(script(shell), nl=False))


def script(shell: str) -> str:
    """The script for both commands."""
    from click import shell_completion

    from reconcile.commands.options import reconcile
    from rollbook.commands import cli

    made: Any = getattr(shell_completion, _SHELLS[shell])
    programs = {"rollbook": cli, "reconcile": reconcile}
    # The base's `source`: bash's own looks for a bash on this machine first, which the script need not be for.
    scripts = (
        shell_completion.ShellComplete.source(made(command, {}, name, f"_{name.upper()}_COMPLETE"))
        for name, command in programs.items()
    )
    # In fish's, a comma ends the line about a command; only the first one is meant.
    return "\n".join(scripts).replace('(string split "," ', '(string split -m 1 "," ')
