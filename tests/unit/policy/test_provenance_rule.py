"""What a rule expects of provenance itself: builder, build type, source, and parameters that it allows by name."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.model.identity import Identity
from gateway.policy import CredentialRule, ProvenanceRule, ReleaseRule, Signer, decide
from tests.lab import cases as lab
from tests.lab.cases import attestation, finding, provenance

BUILD_TYPE = "https://actions.github.io/buildtypes/workflow/v1"
BUILDER = f"https://github.com/acme/libs/{lab.WORKFLOW}@refs/tags/v1.0.0"
SOURCE = "https://github.com/acme/libs"
WANTED = {"builder": (BUILDER,), "build_type": (BUILD_TYPE,), "source": (SOURCE,)}


def codes(said: dict[str, Any], wanted: dict[str, Any]) -> set[str]:
    """The codes that key-signed provenance is refused with: there, no certificate says what was built."""
    proved = attestation(signer=None, key="release", provenance=provenance(**said))
    asked = lab.asked(signers=(Signer(key=("release",)),), provenance=ProvenanceRule(**wanted))
    rule = lab.rule(attestations=(asked,), credential=CredentialRule(), release=ReleaseRule())
    decision = decide(lab.case(findings=[finding(proved)]), lab.policy(rule))
    return {reason.code.value for reason in decision.reasons}


def built(repository: str | None, server: str | None = "https://github.com") -> Identity:
    return Identity(server=server, repository=repository)


NEAR: dict[str, tuple[dict[str, Any], dict[str, Any], set[str]]] = {
    "as the rule says": ({}, WANTED, set()),
    "one of several": ({}, {"build_type": ("x", BUILD_TYPE), "source": ("https://x.example/a/b", SOURCE)}, set()),
    "another build type": ({"build_type": BUILD_TYPE[:-1] + "2"}, WANTED, {"build-type-mismatch"}),
    "no build type": ({"build_type": None}, WANTED, {"build-type-mismatch"}),
    "another builder": ({"builder": BUILDER[:-1] + "1"}, WANTED, {"builder-mismatch"}),
    "no builder": ({"builder": None}, WANTED, {"builder-mismatch"}),
    "another repository": ({"build": built("acme/lib")}, WANTED, {"repository-mismatch"}),
    "the same name elsewhere": ({"build": built("acme/libs", "https://git.example")}, WANTED, {"repository-mismatch"}),
    "no server": ({"build": built("acme/libs", None)}, WANTED, {"repository-mismatch"}),
    "no repository": ({"build": built(None)}, WANTED, {"repository-mismatch"}),
    "other letters on GitHub": ({"build": built("Acme/LIBS")}, WANTED, set()),
    "a look-alike on GitHub": (
        {"build": built("ac\u017fe/libs")},
        {"source": (f"{SOURCE[:-9]}acse/libs",)},
        {"repository-mismatch"},
    ),
    "other letters elsewhere": (
        {"build": built("Acme/libs", "https://git.example")},
        {"source": ("https://git.example/acme/libs",)},
        {"repository-mismatch"},
    ),
    "an unknown parameter": ({"unknown_parameters": ("flags",)}, {}, {"external-parameter-unknown"}),
    "an allowed parameter": ({"unknown_parameters": ("flags",)}, {"allow_parameters": frozenset({"flags"})}, set()),
    "one more than is allowed": (
        {"unknown_parameters": ("flags", "image")},
        {"allow_parameters": frozenset({"flags"})},
        {"external-parameter-unknown"},
    ),
    "another than is allowed": (
        {"unknown_parameters": ("Flags",)},
        {"allow_parameters": frozenset({"flags"})},
        {"external-parameter-unknown"},
    ),
}


@pytest.mark.parametrize(("said", "wanted", "expected"), NEAR.values(), ids=NEAR)
def test_provenance_says_what_the_rule_expects_of_it(
    said: dict[str, Any], wanted: dict[str, Any], expected: set[str]
) -> None:
    assert codes(said, wanted) == expected


def test_what_a_certificate_proves_does_not_stand_in_for_what_provenance_does_not_say() -> None:
    asked = lab.asked(provenance=ProvenanceRule(source=(SOURCE,)))
    silent = attestation(provenance=provenance(build=Identity()))
    decision = decide(lab.case(findings=[finding(silent)]), lab.policy(lab.rule(attestations=(asked,))))
    assert {reason.code.value for reason in decision.reasons} == {"repository-mismatch"}
