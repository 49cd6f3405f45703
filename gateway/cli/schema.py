"""`provgate policy` and `provgate settings`: the JSON Schemas of the operator's files, for an editor to check them."""

from __future__ import annotations

import json

import click

from gateway.config import settings_schema
from gateway.policy import policy_schema


@click.group()
def policy() -> None:
    """Work with policy files."""


@click.group()
def settings() -> None:
    """Work with the settings file."""


@policy.command("schema")
def policy_schema_() -> None:
    """Print the JSON Schema of a policy file."""
    click.echo(json.dumps(policy_schema(), indent=1))


@settings.command("schema")
def settings_schema_() -> None:
    """Print the JSON Schema of the settings file."""
    click.echo(json.dumps(settings_schema(), indent=1))
