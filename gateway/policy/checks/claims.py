"""Checks that everything which is claimed of an upload agrees with what was measured and with itself.

Name, version and digests are held against the upload. Of any other field several sources may speak: the first one's
word counts (a protocol lists the artifact's own first), and every other must say the very same.
"""

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
    "npm": (names.npm_name, names.npm_version),
}
_SHOWN: Final = 160  # characters of a claim in a reason


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
    if not claim.field.startswith("digest:"):
        return _agrees(upload, claim)
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


def _agrees(upload: Upload, claim: Claim) -> Check:
    first = next(one for one in upload.claims if one.field == claim.field)
    expected, got = _parted(first.value, claim.value)
    return judged(
        f"package-{claim.field}",
        claim.about,
        Code.PACKAGE_METADATA_MISMATCH,
        f"{claim.field} {expected} ({first.source})",
        f"{got} ({claim.source})",
        holds=claim.value == first.value,
    )


def _parted(one: str, other: str) -> tuple[str, str]:
    """Two texts, cut to where they begin to differ when they are long."""
    pairs = enumerate(zip(one, other, strict=False))
    same = next((at for at, (left, right) in pairs if left != right), min(len(one), len(other)))
    start = max(0, same - _SHOWN // 4)

    def cut(text: str) -> str:
        return "..." * (start > 0) + text[start : start + _SHOWN] + "..." * (len(text) > start + _SHOWN)

    return cut(one), cut(other)


def _normal(normalise: Callable[[str], str], text: str) -> str | None:
    try:
        return normalise(text)
    except Malformed:
        return None
