"""`provgate decisions`: the record: what was decided, why, and what became of it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import click
from rich.table import Table

from gateway.cli.options import as_json, settings_file, table_console
from gateway.cli.token import opened
from gateway.config import Settings, load_settings
from gateway.console import decision_json
from gateway.model.decision import Check, Outcome, Result
from gateway.reasons import ascii_text
from gateway.store import Query, Written

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
@click.option("--digest", help="Only the file of this sha256.")
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
        sha256=digest.removeprefix("sha256:") if digest else None,
        grant=grant,
        before=before,
        limit=limit,
    )
    found = asyncio.run(_records(load_settings(config), query))
    if as_json:
        click.echo(json.dumps([decision_json(one.record, one.intent) for one in found]))
        return
    table = Table(box=None, pad_edge=False)
    for column in ("time (UTC)", "outcome", "file", "reasons", "id"):
        table.add_column(column, overflow="fold")
    for one in found:
        table.add_row(*_row(one))
    table_console().print(table)


@decisions.command()
@settings_file
@click.argument("record_id", metavar="ID", required=False)
@click.option("--digest", help="The newest decision on the file of this sha256.")
@as_json
def show(config: Path, record_id: str | None, digest: str | None, *, as_json: bool) -> None:
    """Show one decision with every check."""
    if (record_id is None) == (digest is None):
        raise click.UsageError("give the ID of a decision, or --digest")
    found = asyncio.run(_one(load_settings(config), record_id, digest))
    if found is None:
        raise click.ClickException("no such decision; provgate decisions list shows them")
    if as_json:
        click.echo(json.dumps(decision_json(found.record, found.intent), indent=1))
        return
    _print(found)


def _row(one: Written) -> tuple[str, ...]:
    record = one.record
    outcome = record.decision.outcome
    files = ", ".join(file.name for file in record.case.upload.files) if record.case else "(not readable)"
    settled = f" ({one.intent.settlement or one.intent.step})" if one.intent else ""
    reasons = ", ".join(sorted({reason.code.value for reason in record.decision.reasons}))
    coloured = f"[{_COLOUR[outcome]}]{outcome.value}[/]{settled}"
    return f"{record.at:%Y-%m-%d %H:%M:%S}", coloured, ascii_text(files).replace("[", r"\["), reasons, record.id


def _print(one: Written) -> None:
    record, decision = one.record, one.record.decision
    click.secho(f"{decision.outcome.value}  {record.id}", fg=_COLOUR[decision.outcome], bold=True)
    rows = [("time", f"{record.at:%Y-%m-%d %H:%M:%S} UTC"), ("registry", record.registry), ("token", record.grant)]
    rows += [("rule", decision.rule or "(none)"), ("policy", decision.policy)]
    if record.case:
        rows.append(("package", f"{record.case.upload.purl} {record.case.upload.version}"))
        rows += [("file", f"{file.name}  {file.size} bytes  sha256:{file.sha256}") for file in record.case.upload.files]
    if one.intent:
        rows.append(("publish", f"{one.intent.settlement or one.intent.step}  {one.intent.problem}".rstrip()))
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


async def _records(settings: Settings, query: Query) -> tuple[Written, ...]:
    async with opened(settings) as store:
        return await store.records(query)


async def _one(settings: Settings, record_id: str | None, digest: str | None) -> Written | None:
    async with opened(settings) as store:
        if record_id is not None:
            return await store.record(record_id)
        found = await store.records(Query(sha256=(digest or "").removeprefix("sha256:"), limit=1))
        return found[0] if found else None
