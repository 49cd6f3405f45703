"""`provgate holds`: images that were pushed and wait for their evidence, and what became of those that waited."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import click
from rich.table import Table

from gateway.cli.options import as_json, settings_file, table_console
from gateway.cli.token import opened
from gateway.config import Settings, load_settings
from gateway.console import shown_hold
from gateway.model.codec import plain
from gateway.model.content import Ending, Hold
from gateway.reasons import ascii_text

_COLOUR = {None: "yellow", Ending.RELEASED: "green"}


@click.group()
def holds() -> None:
    """Look at what waits for its evidence."""


@holds.command("list")
@settings_file
@click.option("--registry", help="Only this registry.")
@click.option("--all", "every", is_flag=True, help="Those that have ended, too: the newest first.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000))
@as_json
def list_(config: Path, registry: str | None, limit: int, *, every: bool, as_json: bool) -> None:
    """List what waits, since when, until when and for what; oldest first."""
    found = asyncio.run(_holds(load_settings(config), registry, limit, every=every))
    if as_json:
        shown = [plain(shown_hold(hold)) | {"waiting_for": list(wanted)} for hold, wanted in found]
        click.echo(json.dumps(shown))
        return
    table = Table(box=None, pad_edge=False)
    for column in ("image", "since (UTC)", "until or end", "waits for", "id"):
        table.add_column(column, overflow="fold", no_wrap=column == "id")
    for hold, wanted in found:
        table.add_row(*_row(hold, wanted))
    table_console().print(table)


def _row(hold: Hold, wanted: tuple[str, ...]) -> tuple[str, ...]:
    image = f"{hold.place.registry}: {hold.place.repository}:{hold.tag}"
    state, at = ("waits", hold.deadline) if hold.ending is None else (hold.ending.value, hold.ended or hold.deadline)
    coloured = f"[{_COLOUR.get(hold.ending, 'red')}]{state}[/] {at:%m-%d %H:%M}"
    name, what = (ascii_text(text).replace("[", r"\[") for text in (image, ", ".join(wanted)))
    return name, f"{hold.opened:%m-%d %H:%M}", coloured, what, hold.id


async def _holds(
    settings: Settings, registry: str | None, limit: int, *, every: bool
) -> list[tuple[Hold, tuple[str, ...]]]:
    """Holds, each with what its decision found wanting."""
    async with opened(settings) as store:
        contents = store.contents
        found = await contents.holds(registry, limit) if every else (await contents.open_holds(registry))[:limit]
        written = [await store.record(hold.id) for hold in found]
    return [
        (hold, tuple(reason.expected or reason.entry.title for reason in one.record.decision.reasons) if one else ())
        for hold, one in zip(found, written, strict=True)
    ]
