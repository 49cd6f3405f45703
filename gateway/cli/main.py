"""The commands, put together; a fault of the operator's files ends with its lines and status 1, never a traceback."""

from __future__ import annotations

import sys

import click

from gateway.cli.attach import attach
from gateway.cli.check import check
from gateway.cli.decisions import decisions
from gateway.cli.demo import demo
from gateway.cli.holds import holds
from gateway.cli.npm import npm
from gateway.cli.sandbox import sandbox
from gateway.cli.schema import policy, settings
from gateway.cli.serve import serve
from gateway.cli.token import token
from gateway.cli.verify import verify
from gateway.errors import ConfigurationError, GatewayError
from gateway.reasons import ascii_text


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="provenance-gateway")
def commands() -> None:
    """The gate in front of a package registry: a release passes only when its provenance proves who built it."""


for command in (attach, check, decisions, demo, holds, npm, policy, sandbox, serve, settings, token, verify):
    commands.add_command(command)


def main() -> None:
    """Run the command that the arguments name."""
    try:
        commands.main(prog_name="provgate")
    except ConfigurationError as error:
        for problem in error.problems:
            click.echo(f"error: {problem}", err=True)
        sys.exit(1)
    except GatewayError as error:
        click.echo(f"error: {ascii_text(str(error))}", err=True)
        sys.exit(1)
