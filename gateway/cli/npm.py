"""`provgate npm`: the keys that npm registries sign with, and signatures for what was there before the gate."""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import click
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway import limits
from gateway.cli.options import as_json, settings_file, you
from gateway.cli.token import opened
from gateway.config import RegistrySettings, Settings, load_settings
from gateway.ecosystems import npm_packument
from gateway.ecosystems.npm_routes import SEARCH
from gateway.errors import Malformed, UpstreamError
from gateway.model.names import npm_name
from gateway.publish.existing import Asked, Looked, State, vouch_existing
from gateway.publish.served import Served
from gateway.reasons import ascii_text
from gateway.service.compose import now, served_of, upstream_of
from gateway.signing import read_key
from gateway.store import Store


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


@npm.command("sign-existing")
@settings_file
@click.option("--registry", help="The registry; needed where the settings have several npm registries with keys.")
@click.option("--owner", default=None, help="Who answers for it (default: you).")
@click.option("--dry-run", is_flag=True, help="Fetch and compare everything, and write nothing.")
@click.option("--all", "every", is_flag=True, help="Every package that the registry's search lists.")
@as_json
@click.argument("packages", metavar="[PACKAGE...]", nargs=-1)
def sign_existing(
    config: Path,
    registry: str | None,
    owner: str | None,
    packages: tuple[str, ...],
    *,
    dry_run: bool,
    every: bool,
    as_json: bool,
) -> None:
    """Sign what a registry held before the gate: every version of each PACKAGE that is not signed yet.

    Each tarball is fetched and must be what the registry itself states. A gateway that is serving signs it within a
    second. Exit 1 when a version was refused.
    """
    settings = load_settings(config)
    chosen = _registry(settings, registry)
    if every == bool(packages):
        raise click.UsageError("name packages, or say --all")
    for name in packages:
        try:
            npm_name(name)
        except Malformed as error:
            raise click.BadParameter(f"{name!r}: {error.problem}", param_hint="PACKAGE") from error
    asked = Asked(owner or you(), now(), dry_run)
    found = asyncio.run(_sign(settings, chosen, packages, asked))
    if as_json:
        plain = [{"version": one.canonical, "state": one.state.value, "problem": one.problem} for one in found]
        click.echo(json.dumps({"registry": chosen.name, "dryRun": dry_run, "versions": plain}))
    else:
        click.echo(("would be " if dry_run else "") + _counted(found))
    if any(one.state is State.REFUSED for one in found):
        raise click.exceptions.Exit(1)


def _registry(settings: Settings, name: str | None) -> RegistrySettings:
    signing = [one for one in settings.registries if one.signing_keys and name in {None, one.name}]
    if len(signing) == 1:
        return signing[0]
    known = ", ".join(one.name for one in settings.registries if one.signing_keys)
    if name is None and signing:
        raise click.UsageError(f"say with --registry which one: {known}")
    raise click.UsageError(f"no such registry with signing_keys; the settings have {known or 'none'}")


async def _sign(settings: Settings, chosen: RegistrySettings, names: tuple[str, ...], asked: Asked) -> list[Looked]:
    found: list[Looked] = []
    async with _reached(settings, chosen) as (served, store):
        for name in names or await _all(served):
            try:
                looked = [one async for one in vouch_existing(served, store, name, asked)]
            except UpstreamError as error:
                looked = [Looked(name, State.REFUSED, error.problem)]
            looked = looked or [Looked(name, State.REFUSED, "the registry has no version of it")]
            click.echo(f"{name}: {_counted(looked)}", err=True)
            for one in looked:
                if one.problem:
                    click.echo(f"  {one.canonical}: {ascii_text(one.problem)}", err=True)
            found += looked
    return found


async def _all(served: Served) -> list[str]:
    """Every package that the registry's search lists; raises `UpstreamError` where there may be more of them."""
    names: dict[str, None] = {}
    for start in range(0, limits.SEARCH_LONGEST, limits.SEARCH_PAGE):
        path = f"{SEARCH}?text=&size={limits.SEARCH_PAGE}&from={start}"
        answer = await served.upstream.document(path, {"Accept": "application/json"})
        if answer.status != 200:
            raise UpstreamError(served.registry.name, f"its search answered {answer.status}; name the packages")
        try:
            page = tuple(npm_packument.found(answer.body))
        except Malformed as error:
            raise UpstreamError(served.registry.name, f"its search: {error.problem}; name the packages") from error
        names |= dict.fromkeys(page)
        if not page:
            return list(names)
    raise UpstreamError(served.registry.name, f"its search lists {len(names)} packages or more; name the packages")


@asynccontextmanager
async def _reached(settings: Settings, chosen: RegistrySettings) -> AsyncIterator[tuple[Served, Store]]:
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(upstream_of(chosen))
        store = await stack.enter_async_context(opened(settings))
        yield served_of(chosen, upstream, settings.public_url, chosen.public_url), store


def _counted(found: list[Looked]) -> str:
    counts = Counter(one.state for one in found)
    return ", ".join(f"{counts[state]} {state.value}" for state in State if counts[state])
