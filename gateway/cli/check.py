"""`provgate check`: settings, policy, trust roots and upstreams, without serving."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import click

from gateway.cli.options import as_json, settings_file
from gateway.config import Level, Problem, RegistrySettings, Settings, check_settings, load_settings
from gateway.errors import UpstreamError
from gateway.service.compose import now, trust_of
from gateway.upstream import Answer, Upstream


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


@dataclass(frozen=True, slots=True)
class _Probe:
    """What is asked of an upstream: a read that its credential opens, and a write that must not work without it.

    Who would not take the write from a stranger says 401 or 403; whoever would finds nothing in it to keep.
    """

    read: str
    write: tuple[str, str]
    taken: str
    media_type: str = "application/octet-stream"
    body: bytes = b""


_PROBES: Final = {
    "pypi": _Probe("/simple/", ("POST", "/"), "uploads", "application/x-www-form-urlencoded"),
    "npm": _Probe("/-/ping", ("PUT", "/provgate-check"), "uploads", "application/json", b"{}"),
    "oci": _Probe("/v2/", ("POST", "/v2/provgate-check/blobs/uploads/"), "blobs"),
}


async def _upstreams(settings: Settings) -> list[Problem]:
    return [problem for registry in settings.registries for problem in await _upstream(registry)]


async def _upstream(registry: RegistrySettings) -> list[Problem]:
    """Ask one upstream whether it answers with our credential, and whether it takes a write without it (A.8)."""
    credential, probe = registry.upstream_credential, _PROBES[registry.ecosystem]
    about = f"registry {registry.name}"
    problems = []
    async with Upstream(registry.name, registry.upstream, credential.reveal() if credential else None) as upstream:
        try:
            answer = await upstream.document(probe.read, {})
        except UpstreamError as error:
            return [Problem(Level.ERROR, f"{about}: {registry.upstream} does not answer: {error.problem}")]
        if answer.status != 200:
            said = f"{answer.status} for {probe.read}: is upstream_credential right?"
            problems.append(Problem(Level.ERROR, f"{about}: {registry.upstream} answers {said}"))
    async with Upstream(registry.name, registry.upstream, None) as stranger:
        sent = {"Content-Type": probe.media_type}
        try:
            answer = await stranger.write(*probe.write, sent, _once(probe.body), len(probe.body))
            await _take_back(stranger, answer)
        except UpstreamError as error:
            return [*problems, Problem(Level.WARNING, f"{about}: could not be probed: {error.problem}")]
    if answer.status not in {401, 403} and not registry.upstream_reachable_only_here:
        problems.append(
            Problem(
                Level.ERROR,
                f"{about}: {registry.upstream} takes {probe.taken} without our credential, so the gate can "
                "be walked around; give it a password, or state upstream_reachable_only_here: true",
            )
        )
    return problems


async def _take_back(stranger: Upstream, answer: Answer) -> None:
    """Give up an upload that the probe has opened."""
    parts = urlsplit(answer.headers.get("Location", ""))
    path = parts.path if not parts.netloc else stranger.within(parts.geturl())
    if answer.status == 202 and path:
        await stranger.write("DELETE", f"{path}?{parts.query}", {}, _once(b""), 0)


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body
