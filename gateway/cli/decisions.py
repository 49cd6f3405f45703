"""`provgate decisions`: the record: what was decided, why, and what became of it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import click
from rich.table import Table

from gateway.cli.options import as_json, settings_file, sha256, table_console
from gateway.cli.token import opened
from gateway.config import Settings, load_settings
from gateway.console import decision_json, shown_hold
from gateway.model.content import Hold
from gateway.model.decision import Check, Outcome, Result
from gateway.reasons import ascii_text
from gateway.store import Query, Store, Written

_COLOUR = {Outcome.ACCEPT: "green", Outcome.HOLD: "yellow", Outcome.REJECT: "red"}
_MARK = {
    Result.PASSED: "passed",
    Result.FAILED: "FAILED",
    Result.LIFTED: "lifted",
    Result.WAIVED: "waived",
    Result.SKIPPED: "skipped",
}


@click.group()
def decisions() -> None:
    """Look into the record of decisions."""


@decisions.command("list")
@settings_file
@click.option("--registry", help="Only this registry.")
@click.option("--package", "purl", help="Only this package, e.g. pkg:pypi/acme-lib.")
@click.option("--version", help="Only this version.")
@click.option("--outcome", type=click.Choice([o.value for o in Outcome]), help="Only this outcome.")
@click.option("--digest", callback=sha256, help="Only the file or manifest of this sha256.")
@click.option("--token", "grant", help="Only what was published with the token of this id.")
@click.option("--before", help="Only what is older than the decision of this id (to page on).")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000))
@as_json
def list_(
    config: Path,
    registry: str | None,
    purl: str | None,
    version: str | None,
    outcome: str | None,
    digest: str | None,
    grant: str | None,
    before: str | None,
    limit: int,
    *,
    as_json: bool,
) -> None:
    """List decisions, newest first."""
    query = Query(
        registry=registry,
        purl=purl,
        version=version,
        outcome=Outcome(outcome) if outcome else None,
        sha256=digest,
        grant=grant,
        before=before,
        limit=limit,
    )
    found = asyncio.run(_records(load_settings(config), query))
    if as_json:
        click.echo(json.dumps([decision_json(one.record, one.intent, hold) for one, hold in found]))
        return
    table = Table(box=None, pad_edge=False)
    for column in ("time (UTC)", "outcome", "file", "reasons", "id"):
        table.add_column(column, overflow="fold")
    for one, hold in found:
        table.add_row(*_row(one, hold))
    table_console().print(table)


@decisions.command()
@settings_file
@click.argument("record_id", metavar="ID", required=False)
@click.option("--digest", callback=sha256, help="The newest decision on the file or manifest of this sha256.")
@as_json
def show(config: Path, record_id: str | None, digest: str | None, *, as_json: bool) -> None:
    """Show one decision with every check."""
    if (record_id is None) == (digest is None):
        raise click.UsageError("give the ID of a decision, or --digest")
    found = asyncio.run(_one(load_settings(config), record_id, digest))
    if found is None:
        raise click.ClickException("no such decision; provgate decisions list shows them")
    if as_json:
        click.echo(json.dumps(decision_json(found[0].record, found[0].intent, found[1]), indent=1))
        return
    _print(*found)


def _row(one: Written, hold: Hold | None) -> tuple[str, ...]:
    record = one.record
    outcome = record.decision.outcome
    what = ", ".join(file.name for file in record.case.upload.files) if record.case else "(not readable)"
    if record.mutation:
        what = record.mutation.what
    settled = f" ({one.intent.settlement or one.intent.step})" if one.intent else ""
    if hold is not None:
        settled = f" ({hold.ending or 'waits'})"
    reasons = ", ".join(sorted({reason.code.value for reason in record.decision.reasons}))
    coloured = f"[{_COLOUR[outcome]}]{outcome.value}[/]{settled}"
    return f"{record.at:%Y-%m-%d %H:%M:%S}", coloured, ascii_text(what).replace("[", r"\["), reasons, record.id


def _print(one: Written, hold: Hold | None) -> None:
    record, decision = one.record, one.record.decision
    click.secho(f"{decision.outcome.value}  {record.id}", fg=_COLOUR[decision.outcome], bold=True)
    rows = [("time", f"{record.at:%Y-%m-%d %H:%M:%S} UTC"), ("registry", record.registry), ("token", record.grant)]
    rows += [("rule", decision.rule or "(none)"), ("policy", decision.policy)]
    if record.case:
        rows.append(("package", f"{record.case.upload.purl} {record.case.upload.version}"))
        rows += [("file", f"{file.name}  {file.size} bytes  sha256:{file.sha256}") for file in record.case.upload.files]
    if record.mutation:
        rows += [("package", record.mutation.purl), ("mutation", record.mutation.what)]
    if one.intent:
        rows.append(("publish", f"{one.intent.settlement or one.intent.step}  {one.intent.problem}".rstrip()))
    if hold:
        rows.append(("hold", f"{shown_hold(hold).words}  {hold.problem}".rstrip()))
    for label, text in rows:
        click.echo(f"  {label:<10} {ascii_text(text)}")
    click.echo("checks")
    for check in decision.checks:
        _print_check(check)


def _print_check(check: Check) -> None:
    colour = {Result.PASSED: "green", Result.FAILED: "red"}.get(check.result, "yellow")
    click.secho(f"  {_MARK[check.result]:<8}", fg=colour, nl=False)
    click.echo(f"{ascii_text(check.name)}: {ascii_text(check.about)}")
    for label, text in (("expected", check.expected), ("got", check.got)):
        if text:
            click.echo(f"           {label:<9} {ascii_text(text)}")
    if check.reason:
        click.echo(f"           {'to mend':<9} {ascii_text(check.reason.remedy)}  [{check.reason.code.value}]")


async def _records(settings: Settings, query: Query) -> list[tuple[Written, Hold | None]]:
    async with opened(settings) as store:
        return [await _with_hold(store, one) for one in await store.records(query)]


async def _one(settings: Settings, record_id: str | None, digest: str | None) -> tuple[Written, Hold | None] | None:
    async with opened(settings) as store:
        if record_id is not None:
            found = await store.record(record_id)
        else:
            found = next(iter(await store.records(Query(sha256=digest, limit=1))), None)
        return None if found is None else await _with_hold(store, found)


async def _with_hold(store: Store, one: Written) -> tuple[Written, Hold | None]:
    held = one.record.decision.outcome is Outcome.HOLD
    return one, await store.contents.hold_of(one.record.id) if held else None
