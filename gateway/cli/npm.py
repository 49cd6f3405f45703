"""`provgate npm`: the keys that npm registries sign with."""

from __future__ import annotations

import os
from pathlib import Path

import click
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.signing import read_key


@click.group()
def npm() -> None:
    """Sign for npm audit signatures."""


@npm.command("new-key")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def new_key(file: Path) -> None:
    """Make a signing key and write it to FILE, which must not be there yet; only its owner can read it."""
    made = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    try:
        with os.fdopen(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600), "wb") as handle:
            handle.write(made)
            handle.flush()
            os.fsync(handle.fileno())
    except OSError as error:
        raise click.ClickException(f"{file}: {error.strerror}") from error
    click.echo(read_key(made).keyid)
    click.echo(f"Put it first under the registry's signing_keys, as {{key: file:{file}}}, and restart.", err=True)
