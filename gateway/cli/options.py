"""Options that several commands share, so that they are spelled and explained alike."""

from __future__ import annotations

import sys
from getpass import getuser
from pathlib import Path
from typing import Final

import click
from rich.console import Console

from gateway.errors import Malformed
from gateway.model.digest import Digest

WIDTH: Final = 160  # columns, where there is no terminal that has its own

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


def sha256(_: click.Context, option: click.Parameter, given: str | None) -> str | None:
    """Read a digest as a client prints it, `sha256:...` or its value alone."""
    if given is None:
        return None
    try:
        return Digest.parse(f"sha256:{given.removeprefix('sha256:')}").value
    except Malformed:
        raise click.BadParameter("expected sha256: and 64 lower-case hexadecimal digits", param=option) from None


def table_console() -> Console:
    """Where tables go: a terminal's own width, and enough for whole names in a pipe."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
