"""`provgate check`: settings, policy, trust roots and upstreams, without serving."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import click

from gateway.cli.options import as_json, settings_file
from gateway.config import Level, Problem, RegistrySettings, Settings, check_settings, load_settings
from gateway.errors import UpstreamError
from gateway.service.compose import now, trust_of
from gateway.upstream import Upstream


@click.command()
@settings_file
@click.option("--offline", is_flag=True, help="Do not ask the upstreams.")
@as_json
def check(config: Path, *, offline: bool, as_json: bool) -> None:
    """Check everything that serving would need; exit 1 when something must be mended first."""
    settings = load_settings(config)
    trust = trust_of(settings)
    problems = list(check_settings(settings, {root.name: root for root in trust.roots}, trust.policy, now()))
    if not offline:
        problems += asyncio.run(_upstreams(settings))
    failed = any(problem.level is Level.ERROR for problem in problems)
    if as_json:
        listed = [{"level": problem.level.value, "text": problem.text} for problem in problems]
        click.echo(json.dumps({"ok": not failed, "problems": listed}))
    else:
        for problem in problems:
            click.secho(
                f"{problem.level.value}: {problem.text}", fg="red" if problem.level is Level.ERROR else "yellow"
            )
        rules = len(trust.policy.rules)
        counted = f"{len(settings.registries)} registries, {rules} rules, {len(trust.roots)} trust roots"
        click.secho(f"{'failed' if failed else 'ok'}: {counted}", fg="red" if failed else "green")
    if failed:
        raise click.exceptions.Exit(1)


async def _upstreams(settings: Settings) -> list[Problem]:
    return [problem for registry in settings.registries for problem in await _upstream(registry)]


async def _upstream(registry: RegistrySettings) -> list[Problem]:
    """Ask one upstream whether it answers with our credential, and whether it takes a write without it (A.8)."""
    credential = registry.upstream_credential
    problems = []
    async with Upstream(registry.name, registry.upstream, credential.reveal() if credential else None) as upstream:
        try:
            answer = await upstream.document("/simple/", {})
        except UpstreamError as error:
            return [
                Problem(Level.ERROR, f"registry {registry.name}: {registry.upstream} does not answer: {error.problem}")
            ]
        if answer.status != 200:
            said = f"{answer.status} for its index: is upstream_credential right?"
            problems.append(Problem(Level.ERROR, f"registry {registry.name}: {registry.upstream} answers {said}"))
    async with Upstream(registry.name, registry.upstream, None) as stranger:
        # An upload form without an action: who would take it from a stranger says 400, who would not says 401 or 403.
        sent = {"Content-Type": "application/x-www-form-urlencoded"}
        try:
            answer = await stranger.write("POST", "/", sent, _nothing(), 0)
        except UpstreamError as error:
            return [
                *problems,
                Problem(Level.WARNING, f"registry {registry.name}: could not be probed: {error.problem}"),
            ]
    if answer.status not in {401, 403} and not registry.upstream_reachable_only_here:
        problems.append(
            Problem(
                Level.ERROR,
                f"registry {registry.name}: {registry.upstream} takes uploads without our credential, so the gate can "
                "be walked around; give it a password, or state upstream_reachable_only_here: true",
            )
        )
    return problems


async def _nothing() -> AsyncIterator[bytes]:
    yield b""
