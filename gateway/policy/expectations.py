"""What a rule expects of a predicate, from its text: of the build in provenance, of the findings in a summary."""

from __future__ import annotations

import re
from typing import Final

from gateway.errors import Malformed
from gateway.model.digest import STRONG, Digest
from gateway.model.identity import repository_of
from gateway.policy.rules import PROVENANCE, SUMMARY, ProvenanceRule, SummaryRule
from gateway.policy.schema import ProvenanceText, SummaryText
from gateway.policy.spot import Spot, exact_problem

RESOURCE: Final = "{purl}@{version}"
_PLACEHOLDERS: Final = re.compile(r"\{(?:purl|version|file)\}")
_LEVEL: Final = re.compile(r"SLSA_([A-Z]+)_LEVEL_([1-9])")


def read_provenance(spot: Spot, text: ProvenanceText | None, predicate: tuple[str, ...] | None) -> ProvenanceRule:
    """Read what provenance must say; it stands with provenance alone."""
    if text is None:
        spot.wrong_if_null()
        return ProvenanceRule()
    if predicate is None or not set(predicate) <= PROVENANCE:
        spot.wrong(f"only provenance says how it was built; write predicate: {max(PROVENANCE)}")
    given = text.model_fields_set
    if not given:
        spot.wrong("asks for nothing; write builder, build_type, source or allow_parameters, or remove the key")
    checks = {name: _source_problem if name == "source" else exact_problem for name in given}
    values = {name: (spot / name).texts(getattr(text, name), check) for name, check in checks.items()}
    return ProvenanceRule(
        values.get("builder", ()),
        values.get("build_type", ()),
        values.get("source", ()),
        frozenset(values.get("allow_parameters", ())),
    )


def read_summary(spot: Spot, text: SummaryText | None, predicate: tuple[str, ...] | None) -> SummaryRule | None:
    """Read what a summary must say; without it a summary that says FAILED would do."""
    wanted = predicate == (SUMMARY,)
    if text is None:
        spot.wrong_if_null()
        if predicate is not None and SUMMARY in predicate:
            spot.wrong("a verification summary could say anything; write summary with verifier and min_level")
        return None
    if not wanted:
        spot.wrong(f"only a verification summary says what was found; write predicate: {SUMMARY} and no other")
    given = text.model_fields_set
    (spot / "verifier").texts(text.verifier, exact_problem)
    resource: tuple[str, ...] = (RESOURCE,)
    if "resource" in given:
        resource = (spot / "resource").texts(text.resource, _resource_problem)
    level = _LEVEL.fullmatch(text.min_level)
    if level is None:
        (spot / "min_level").wrong(f"{text.min_level!r} is no level; write one like SLSA_BUILD_LEVEL_3")
        return None
    asked = {"policy": exact_problem, "policy_digest": _digest_problem}
    values = {name: (spot / name).texts(getattr(text, name), check) for name, check in asked.items() if name in given}
    return SummaryRule(text.verifier, resource, level[1], int(level[2]), **values)


def _digest_problem(text: str) -> str:
    try:
        known = Digest.parse(text).algorithm in STRONG
    except Malformed:
        known = False
    return "" if known else f"{text!r} is no digest; write sha256: and its value in small letters"


def _resource_problem(text: str) -> str:
    if re.search(r"[{}]", _PLACEHOLDERS.sub("", text)):
        return f"{text!r} holds a brace that stands for nothing; there are {{purl}}, {{version}} and {{file}}"
    return exact_problem(text)


def _source_problem(text: str) -> str:
    found = exact_problem(text)
    if found or (repository_of(text) != (None, None) and not text.endswith(".git")):
        return found
    return f"{text!r} is no repository with its server; write https://github.com/owner/name"
