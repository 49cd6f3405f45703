"""Evidence as files on the command line: one piece each, or a `.jsonl` file with one a line."""

from __future__ import annotations

from pathlib import Path

import click

from gateway import limits
from gateway.errors import TooLarge
from gateway.verification import pieces


def read_pieces(path: Path) -> tuple[bytes, ...]:
    """Read a file's pieces of evidence; too many of them, or too many bytes, is the caller's mistake."""
    with path.open("rb") as handle:
        body = handle.read(limits.EVIDENCE_FILE_BYTES + 1)
    if len(body) > limits.EVIDENCE_FILE_BYTES:
        raise click.UsageError(f"{path}: more than {limits.EVIDENCE_FILE_BYTES} bytes")
    try:
        return pieces(body)
    except TooLarge as error:
        raise click.UsageError(f"{path}: more than {error.limit}") from None
