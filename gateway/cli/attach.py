"""`provgate attach`: send evidence to the locker before the artifact, keyed by the artifact's digest."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path

import aiohttp
import click

from gateway import limits
from gateway.reasons import ascii_text


@click.command()
@click.argument("artifact", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("bundle", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--gateway", "gateway_url", required=True, envvar="PROVGATE_URL", help="The gateway's public address.")
@click.option("--token", required=True, envvar="PROVGATE_TOKEN", help="A token that may attach.")
@click.option("--json", "as_json", is_flag=True, help="Print the gateway's answer as JSON.")
def attach(artifact: Path, bundle: Path, gateway_url: str, token: str, *, as_json: bool) -> None:
    """Send BUNDLE, which speaks for ARTIFACT, to the gateway's locker. Publish ARTIFACT afterwards with any client."""
    digests = [f"{name}:{_hash(artifact, name)}" for name in ("sha256", "sha512")]
    status, body = asyncio.run(_post(gateway_url.rstrip("/"), token, digests, bundle.read_bytes()))
    if as_json:
        click.echo(json.dumps({"status": status, "answer": body.strip(), "digests": digests}))
    elif status == 201:
        click.echo(f"kept for {digests[0]}: {ascii_text(body.strip())}")
    else:
        click.echo("\n".join(ascii_text(line) for line in body.splitlines()), err=True)
    if status != 201:
        raise click.exceptions.Exit(1)


def _hash(path: Path, algorithm: str) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, algorithm).hexdigest()


async def _post(gateway_url: str, token: str, digests: list[str], body: bytes) -> tuple[int, str]:
    timeout = aiohttp.ClientTimeout(total=limits.UPSTREAM_IDLE_SECONDS)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.post(
            f"{gateway_url}/-/evidence", params=[("digest", d) for d in digests], data=body, headers=headers
        ) as response,
    ):
        return response.status, (await response.content.read(limits.REPLY_BODY)).decode(errors="replace")
