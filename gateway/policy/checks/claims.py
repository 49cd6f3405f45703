"""Checks that everything which is claimed of an upload agrees with what was measured and with itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gateway.errors import Malformed
from gateway.model import names
from gateway.model.case import Case
from gateway.model.decision import Check
from gateway.model.pattern import ascii_lower
from gateway.model.upload import Claim, Upload
from gateway.policy.checks.results import judged
from gateway.reasons import Code

_NORMAL: Final[dict[str, tuple[Callable[[str], str], Callable[[str], str]]]] = {
    "pypi": (names.pypi_name, names.pypi_version),
}


def claims_agree(case: Case) -> tuple[Check, ...]:
    """File name, metadata and form name one package and one version, and state the digests the file has."""
    upload = case.upload
    return tuple(_claim(upload, claim) for claim in upload.claims)


def _claim(upload: Upload, claim: Claim) -> Check:
    about, said = claim.about, f"{claim.value} ({claim.source})"
    name, version = _NORMAL.get(upload.registry.ecosystem, (str, str))
    if claim.field == "name":
        agrees = _normal(name, claim.value) == upload.name
        return judged("package-name", about, Code.PACKAGE_METADATA_MISMATCH, f"name {upload.name}", said, holds=agrees)
    if claim.field == "version":
        agrees = _normal(version, claim.value) == upload.canonical_version
        return judged(
            "package-version", about, Code.PACKAGE_METADATA_MISMATCH, f"version {upload.version}", said, holds=agrees
        )
    algorithm = claim.field.removeprefix("digest:")
    measured = next((file.digest(algorithm) for file in upload.files if file.name == about), None)
    return judged(
        "form-digest",
        about,
        Code.FORM_DIGEST_MISMATCH,
        f"{algorithm}:{claim.value}",
        f"{algorithm}:{measured}" if measured else f"no {algorithm} of this file",
        holds=measured is not None and ascii_lower(claim.value) == measured,
    )


def _normal(normalise: Callable[[str], str], text: str) -> str | None:
    try:
        return normalise(text)
    except Malformed:
        return None
