"""`provgate verify`: the gateway's decision, locally, before publishing."""

from __future__ import annotations

import hashlib
import json
import sys
from datetime import datetime, timedelta
from pathlib import Path

import click

from gateway.cli.evidence import read_pieces
from gateway.config import load_trust_roots, read_policy_files, shipped_trust_roots
from gateway.ecosystems import PACKAGES
from gateway.ecosystems.protocol import Refused
from gateway.errors import ConfigurationError
from gateway.model.case import Action, Case, Grant, GrantKind
from gateway.model.codec import plain
from gateway.model.decision import Decision, Outcome, Result
from gateway.model.evidence import Evidence, EvidenceRef, Format, Source
from gateway.model.upload import Registry, Upload
from gateway.policy import decide, load_policy, refuse
from gateway.publish.evidence import measure_covered, measure_signed, verify_one, verify_together
from gateway.publish.served import Trust
from gateway.reasons import ascii_text
from gateway.service.compose import now
from gateway.verification import detect


@click.command()
@click.argument("artifact", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--package", "purl", help="The purl it must be, e.g. pkg:pypi/acme-lib (default: what it says it is).")
@click.option(
    "--evidence",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A bundle, an attestation, or a .jsonl file with one a line; repeatable.",
)
@click.option("--policy", "policy_dir", type=click.Path(file_okay=False, path_type=Path), default="policy")
@click.option("--trust-roots", "roots_dir", type=click.Path(file_okay=False, path_type=Path), help="Default: shipped.")
@click.option("--registry", default="local", help="The registry's name, where rules name registries.")
@click.option("--ecosystem", type=click.Choice(sorted(PACKAGES)), default="pypi", show_default=True)
@click.option("--allow-sandbox", is_flag=True, help="Admit a sandbox Sigstore's certificates (rehearsals).")
@click.option("--json", "as_json", is_flag=True, help="Print the whole decision as JSON.")
def verify(
    artifact: Path,
    purl: str | None,
    evidence: tuple[Path, ...],
    policy_dir: Path,
    roots_dir: Path | None,
    registry: str,
    ecosystem: str,
    *,
    allow_sandbox: bool,
    as_json: bool,
) -> None:
    """Decide on ARTIFACT as the gateway would; exit 0 for accept, 1 for reject, 2 when the question is wrong.

    The token, the registry's history and the locker are the gateway's own and not looked at.
    """
    try:
        trust = _trust(policy_dir, roots_dir or shipped_trust_roots(), allow_sandbox=allow_sandbox)
    except ConfigurationError as error:
        for problem in error.problems:
            click.echo(f"error: {problem}", err=True)
        sys.exit(2)
    decision = _decide(artifact, Registry(registry, ecosystem), purl, evidence, trust)
    if as_json:
        click.echo(json.dumps(plain(decision), indent=1))
    else:
        _print(decision)
    sys.exit(0 if decision.outcome is Outcome.ACCEPT else 1)


def _trust(policy_dir: Path, roots_dir: Path, *, allow_sandbox: bool) -> Trust:
    roots = load_trust_roots(roots_dir)
    policy = load_policy(read_policy_files(policy_dir), trust_roots={name: root.kind for name, root in roots.items()})
    return Trust(policy, tuple(roots.values()), allow_sandbox)


def _decide(artifact: Path, registry: Registry, purl: str | None, evidence: tuple[Path, ...], trust: Trust) -> Decision:
    at = now()
    with artifact.open("rb") as handle:
        upload = PACKAGES[registry.ecosystem].local(registry, artifact.name, handle)
        if isinstance(upload, Refused):
            return refuse(upload.reasons, trust.policy.revision)
        if purl is not None and purl.partition("@")[0] != upload.purl:
            raise click.UsageError(f"--package is {purl}, but {artifact.name} is {upload.purl}")
        bodies = [body for path in evidence for body in read_pieces(path)]
        pieces = [_evidence(body, position) for position, body in enumerate(bodies)]
        upload = measure_signed(upload, pieces, handle)
        alone = [piece for piece in pieces if not piece.ref.format.judged_together]
        findings = [finding for piece in alone for finding in verify_one(piece, upload, trust, at)]
        links = [piece for piece in pieces if piece.ref.format.judged_together]
        findings += verify_together(links, upload, trust, at)
        upload = measure_covered(upload, findings, handle)
    return decide(Case(at, upload, _anybody(upload, at), tuple(findings)), trust.policy)


def _evidence(body: bytes, position: int) -> Evidence:
    kind = detect(body)
    # A PEP 740 object will travel inside the publish request, and is held to the protocol's rules there.
    source = Source.REQUEST if kind is Format.PEP740 else Source.ARGUMENT
    return Evidence(EvidenceRef(hashlib.sha256(body).hexdigest(), kind, source, position), body)


def _anybody(upload: Upload, at: datetime) -> Grant:
    """A grant that covers exactly this upload: whether the real one does, the gateway finds out."""
    return Grant(
        id="local",
        kind=GrantKind.TOKEN,
        owner="local",
        registry=upload.registry.name,
        packages=(upload.purl,),
        actions=frozenset({Action.PUBLISH}),
        not_before=at,
        expires=at + timedelta(hours=1),
    )


def _print(decision: Decision) -> None:
    for check in decision.checks:
        colour = {Result.PASSED: "green", Result.FAILED: "red"}.get(check.result, "yellow")
        click.secho(f"{check.result.value:<8}", fg=colour, nl=False)
        click.echo(f"{ascii_text(check.name)}: {ascii_text(check.about)}")
    for reason in decision.reasons:
        click.echo("")
        click.secho(reason.line(), fg="red")
        click.echo(f"  to mend: {ascii_text(reason.remedy)}")
    rule = f"rule {decision.rule}" if decision.rule else "no rule"
    accepted = decision.outcome is Outcome.ACCEPT
    click.echo("")
    click.secho(f"{decision.outcome.value}: {rule}, policy {decision.policy[:12]}", fg="green" if accepted else "red")
