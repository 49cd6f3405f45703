"""`provgate token`: publish credentials as governed identities: narrow, short-lived, owned, revocable."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

import click
from rich.table import Table

from gateway.cli.options import as_json, settings_file, table_console, you
from gateway.config import Settings, load_settings
from gateway.credentials import mint, new_id
from gateway.model.case import Action, Grant, GrantKind
from gateway.model.codec import plain
from gateway.service.compose import now
from gateway.store import KnownGrant, Store, load_or_create_key

_DURATION: Final = re.compile(r"([1-9][0-9]{0,4})(m|h|d)")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}


@click.group()
def token() -> None:
    """Make, list and revoke tokens."""


@token.command()
@settings_file
@click.option("--registry", required=True, help="The one registry the token is for.")
@click.option("--packages", required=True, multiple=True, help="Pattern over purls, e.g. pkg:pypi/acme-*; repeatable.")
@click.option("--actions", default="publish,attach", show_default=True, help="Of publish, attach, mutate, read.")
@click.option("--expires", default="30d", show_default=True, help="Its life: 15m, 8h, 30d.")
@click.option("--owner", default=None, help="Who answers for it (default: you).")
@as_json
def create(
    config: Path,
    registry: str,
    packages: tuple[str, ...],
    actions: str,
    expires: str,
    owner: str | None,
    *,
    as_json: bool,
) -> None:
    """Make a token and print it, once; the store keeps a keyed hash of it."""
    settings = load_settings(config)
    known = [one.name for one in settings.registries]
    if registry not in known:
        raise click.BadParameter(f"no such registry; the settings have {', '.join(known)}", param_hint="--registry")
    at = now()
    grant = Grant(
        id=new_id(secrets.token_bytes),
        kind=GrantKind.TOKEN,
        owner=owner or you(),
        registry=registry,
        packages=_packages(packages),
        actions=_actions(actions),
        not_before=at,
        expires=at + _duration(expires),
    )
    minted = asyncio.run(_add(settings, grant))
    if as_json:
        click.echo(json.dumps({"token": minted, "grant": plain(grant)}))
        return
    click.echo(minted)
    scope = f"{', '.join(grant.packages)} in {registry}; {', '.join(sorted(grant.actions))}"
    click.echo(f"{scope}; until {grant.expires:%Y-%m-%d %H:%M} UTC; owner {grant.owner}. Shown only now.", err=True)


@token.command("list")
@settings_file
@as_json
def list_(config: Path, *, as_json: bool) -> None:
    """List tokens: what each may do, until when, and who answers for it."""
    known = asyncio.run(_all(load_settings(config)))
    if as_json:
        click.echo(json.dumps([plain(one) for one in known]))
        return
    table = Table(box=None, pad_edge=False)
    for column in ("id", "registry", "packages", "actions", "owner", "expires", "state"):
        table.add_column(column, overflow="fold")
    at = now()
    for one in known:
        grant = one.grant
        state = "revoked" if one.revoked else "expired" if grant.expires <= at else "active"
        expires = f"{grant.expires:%Y-%m-%d %H:%M}"
        table.add_row(
            grant.id,
            grant.registry,
            ", ".join(grant.packages),
            ", ".join(sorted(grant.actions)),
            grant.owner,
            expires,
            state,
        )
    table_console().print(table)


@token.command()
@settings_file
@click.argument("grant_id", metavar="ID")
def revoke(config: Path, grant_id: str) -> None:
    """Revoke the token with this ID at once; a gateway that is serving refuses it from now on."""
    wanted = grant_id.removeprefix("pvg_").partition("_")[0]
    if not asyncio.run(_revoke(load_settings(config), wanted)):
        raise click.ClickException(f"no token has the id {wanted}; provgate token list shows them")
    click.echo(f"revoked {wanted}")


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Store]:
    """Open the store of these settings, beside a gateway that may be serving from it."""
    async with await Store.open(settings.store, load_or_create_key(settings.key_file)) as store:
        yield store


async def _add(settings: Settings, grant: Grant) -> str:
    minted = mint(grant, load_or_create_key(settings.key_file), secrets.token_bytes)
    async with opened(settings) as store:
        await store.add_grant(grant, minted.keyed_hash)
    return minted.token


async def _all(settings: Settings) -> tuple[KnownGrant, ...]:
    async with opened(settings) as store:
        return await store.grants()


async def _revoke(settings: Settings, grant_id: str) -> bool:
    async with opened(settings) as store:
        return await store.revoke_grant(grant_id, now())


def _duration(text: str) -> timedelta:
    match = _DURATION.fullmatch(text)
    if match is None:
        raise click.BadParameter("expected a number and m, h or d, e.g. 15m", param_hint="--expires")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _actions(text: str) -> frozenset[Action]:
    try:
        return frozenset(Action(word.strip()) for word in text.split(","))
    except ValueError as error:
        raise click.BadParameter(f"{error}; expected of {', '.join(Action)}", param_hint="--actions") from error


def _packages(patterns: tuple[str, ...]) -> tuple[str, ...]:
    split = tuple(one.strip() for pattern in patterns for one in pattern.split(","))
    for pattern in split:
        if not pattern.startswith("pkg:"):
            raise click.BadParameter(f"{pattern!r} is no purl pattern like pkg:pypi/acme-*", param_hint="--packages")
    return split
