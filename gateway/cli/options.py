"""Options that several commands share, so that they are spelled and explained alike."""

from __future__ import annotations

import sys
from getpass import getuser
from pathlib import Path

import click
from rich.console import Console

settings_file = click.option(
    "-c",
    "--config",
    "config",
    type=click.Path(dir_okay=False, path_type=Path),
    default="gateway.yaml",
    show_default=True,
    envvar="PROVGATE_CONFIG",
    help="The settings file.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


def you() -> str:
    """The name of who runs the command."""
    try:
        return getuser()
    except (KeyError, OSError):  # a container's user without a name
        raise click.UsageError("this user has no name; say with --owner who answers for it") from None


def table_console() -> Console:
    """Where tables go: a terminal's own width, and enough for whole names in a pipe."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else 160)
