"""`provgate attach`: send evidence to the locker before the artifact, keyed by the artifact's digest."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import aiohttp
import click

from gateway import limits
from gateway.cli.evidence import read_pieces
from gateway.reasons import ascii_text


@click.command()
@click.argument("artifact", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("bundle", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--gateway", "gateway_url", required=True, envvar="PROVGATE_URL", help="The gateway's public address.")
@click.option("--token", required=True, envvar="PROVGATE_TOKEN", help="A token that may attach.")
@click.option("--json", "as_json", is_flag=True, help="Print the gateway's answer as JSON.")
def attach(artifact: Path, bundle: Path, gateway_url: str, token: str, *, as_json: bool) -> None:
    """Send BUNDLE, which speaks for ARTIFACT, to the gateway's locker. Publish ARTIFACT afterwards with any client.

    Of a .jsonl file each line is sent by itself; exit 1 where one of them is refused.
    """
    digests = [f"{name}:{_hash(artifact, name)}" for name in ("sha256", "sha384", "sha512")]
    if not asyncio.run(_send(gateway_url.rstrip("/"), token, digests, read_pieces(bundle), as_json=as_json)):
        raise click.exceptions.Exit(1)


async def _send(gateway_url: str, token: str, digests: list[str], pieces: Sequence[bytes], *, as_json: bool) -> bool:
    """Send every piece and print each answer as it comes; return whether all were kept."""
    kept = True
    async for status, body in _post(gateway_url, token, digests, pieces):
        kept = kept and status == 201
        if as_json:
            click.echo(json.dumps({"status": status, "answer": body.strip(), "digests": digests}))
        elif status == 201:
            click.echo(f"kept for {digests[0]}: {ascii_text(body.strip())}")
        else:
            click.echo("\n".join(ascii_text(line) for line in body.splitlines()), err=True)
    return kept


def _hash(path: Path, algorithm: str) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, algorithm).hexdigest()


async def _post(
    gateway_url: str, token: str, digests: list[str], pieces: Sequence[bytes]
) -> AsyncIterator[tuple[int, str]]:
    timeout = aiohttp.ClientTimeout(total=limits.UPSTREAM_IDLE_SECONDS)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    query = [("digest", digest) for digest in digests]
    async with aiohttp.ClientSession(timeout=timeout) as session:
        for body in pieces:
            async with session.post(f"{gateway_url}/-/evidence", params=query, data=body, headers=headers) as answer:
                yield answer.status, (await answer.content.read(limits.REPLY_BODY)).decode(errors="replace")
