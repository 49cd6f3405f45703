"""`provgate sandbox`: a Sigstore to rehearse with; what it signs proves nothing, and a real gateway refuses it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import click

from gateway.model.identity import Identity
from gateway.sandbox import (
    Sandbox,
    github_identity,
    gitlab_identity,
    pep740,
    person,
    publish_attestation,
    slsa_provenance,
)
from gateway.service.compose import now


@click.group()
def sandbox() -> None:
    """Rehearse: sign as any CI identity against a sandbox Sigstore."""


@sandbox.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
def create(directory: Path) -> None:
    """Make a sandbox with fresh keys in DIRECTORY, which is a trust root for a gateway with `sandbox: true`."""
    if directory.exists() and any(directory.iterdir()):
        raise click.ClickException(f"{directory} is not empty")
    Sandbox.create(now()).save(directory)
    click.echo(f"a SANDBOX Sigstore is in {directory}; put it below trust_roots/ of a gateway with sandbox: true")


@sandbox.command()
@click.argument("artifact", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--sandbox",
    "directory",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The sandbox's directory.",
)
@click.option("--ci", type=click.Choice(["github", "gitlab"]), default="github", show_default=True)
@click.option("--repository", default="acme/libs", show_default=True)
@click.option("--workflow", help="Default: .github/workflows/release.yml, or .gitlab-ci.yml.")
@click.option("--ref", default="refs/tags/v1.0.0", show_default=True)
@click.option("--runner", help="Default: github-hosted, or gitlab-hosted.")
@click.option("--trigger", default="push", show_default=True)
@click.option("--person", "address", help="Sign as this person (an e-mail address) and not as a CI.")
@click.option("--issuer", help="The issuer that vouches for the person.")
@click.option("--predicate", type=click.Choice(["slsa", "publish"]), default="slsa", show_default=True)
@click.option("--name", help="The name the statement gives the file (default: its own).")
@click.option(
    "--format", "form", type=click.Choice(["bundle", "pep740"]), default="pep740", show_default=True,
    help="A Sigstore bundle, or a PEP 740 attestation for twine and uv.",
)  # fmt: skip
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Default: beside the artifact.")
def sign(
    artifact: Path,
    directory: Path,
    ci: str,
    repository: str,
    workflow: str | None,
    ref: str,
    runner: str | None,
    trigger: str,
    address: str | None,
    issuer: str | None,
    predicate: str,
    name: str | None,
    form: str,
    output: Path | None,
) -> None:
    """Attest ARTIFACT as the given identity, and write the attestation beside it, where twine and uv look for it."""
    build = _ci(ci, repository, workflow, ref, runner, trigger)
    signer = person(address, **({"issuer": issuer} if issuer else {})) if address else build
    with artifact.open("rb") as handle:
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
    subjects = [(name or artifact.name, {"sha256": digest})]
    statement = slsa_provenance(subjects, build) if predicate == "slsa" else publish_attestation(subjects)
    signing = Sandbox.load(directory)
    bundle = signing.sign_statement(statement, signer, now())
    signing.save(directory)  # its logs have grown by this entry
    ending = f".{predicate}.attestation" if form == "pep740" else ".sigstore.json"
    target = output or artifact.with_name(artifact.name + ending)
    target.write_bytes(pep740(bundle) if form == "pep740" else bundle)
    click.echo(f"SANDBOX attestation written to {target}")


def _ci(ci: str, repository: str, workflow: str | None, ref: str, runner: str | None, trigger: str) -> Identity:
    made = github_identity if ci == "github" else gitlab_identity
    defaults = made()
    return made(repository, workflow or defaults.workflow or "", ref, runner or defaults.runner or "", trigger)
