"""What a rule may say of provenance and of a summary, and every mistake with the mend."""

from __future__ import annotations

import pytest

from gateway.errors import ConfigurationError
from gateway.policy import AttestationRule, ProvenanceRule, SummaryRule, load_policy

PROVENANCE = """\
rules:
  - name: acme
    packages: pkg:pypi/acme-*
    attestations:
      - predicate: https://slsa.dev/provenance/v1
        trust_roots: [keys]
        signer: {key: release}
        provenance:
          builder: https://tekton.dev/chains/v2
          build_type: [https://tekton.dev/chains/v2/slsa, https://tekton.dev/chains/v2/slsa-tekton]
          source: https://github.com/acme/libs
          allow_parameters: [flags, image]
"""
SUMMARY = """\
rules:
  - name: acme
    packages: pkg:pypi/acme-*
    attestations:
      - predicate: https://slsa.dev/verification_summary/v1
        trust_roots: [keys]
        signer: {key: verifier}
        summary:
          verifier: https://verifier.acme.example/v1
          resource: ["{purl}@{version}", "https://pypi.acme.example/{file}"]
          min_level: SLSA_BUILD_LEVEL_3
"""


def only(text: str) -> AttestationRule:
    (rule,) = load_policy({"a.yaml": text}).rules
    (asked,) = rule.attestations
    return asked


def problem(text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_policy({"a.yaml": text})
    (line,) = caught.value.problems
    return line


def test_what_is_expected_of_provenance_is_read_whole() -> None:
    assert only(PROVENANCE).provenance == ProvenanceRule(
        ("https://tekton.dev/chains/v2",),
        ("https://tekton.dev/chains/v2/slsa", "https://tekton.dev/chains/v2/slsa-tekton"),
        ("https://github.com/acme/libs",),
        frozenset({"flags", "image"}),
    )
    assert only(PROVENANCE).summary is None


def test_what_is_expected_of_a_summary_is_read_whole() -> None:
    resources = ("{purl}@{version}", "https://pypi.acme.example/{file}")
    assert only(SUMMARY).summary == SummaryRule("https://verifier.acme.example/v1", resources, "BUILD", 3)
    start, end = SUMMARY.index("          resource"), SUMMARY.index("          min_level")
    absent = only(SUMMARY[:start] + SUMMARY[end:]).summary
    assert absent is not None
    assert absent.resource == ("{purl}@{version}",)


def test_the_policy_behind_a_summary_may_be_named_by_address_and_content() -> None:
    digest = f"sha256:{'a' * 64}"
    found = only(f"{SUMMARY}          policy: https://acme.example/p\n          policy_digest: {digest}\n").summary
    assert found is not None
    assert (found.policy, found.policy_digest) == (("https://acme.example/p",), (digest,))


_START = PROVENANCE.index("        provenance:\n")
_SUMMARY_AT = SUMMARY.index("        summary:\n")
MISTAKES = {
    "of no provenance": (PROVENANCE.replace("slsa.dev/provenance/v1", "x.example"), "a.yaml:8:", "only provenance"),
    "of nothing": (PROVENANCE[:_START] + "        provenance: {}\n", "a.yaml:8:", "asks for nothing"),
    "null": (PROVENANCE[:_START] + "        provenance:\n", "a.yaml:8:", "a key without a value"),
    "an empty builder": (PROVENANCE.replace("https://tekton.dev/chains/v2\n", '""\n'), "a.yaml:9:", "an empty text"),
    "a pattern": (PROVENANCE.replace("chains/v2\n", "chains/*\n"), "a.yaml:9:", "compared exactly"),
    "no server": (
        PROVENANCE.replace("https://github.com/acme", "acme"),
        "a.yaml:11:",
        "no repository with its server",
    ),
    "a git address": (
        PROVENANCE.replace("acme/libs", "acme/libs.git"),
        "a.yaml:11:",
        "no repository with its server",
    ),
    "a server in capitals": (
        PROVENANCE.replace("https://github.com/acme/libs", "https://GitHub.com/acme/libs"),
        "a.yaml:11:",
        "no repository with its server",
    ),
    "a repository that leads upward": (
        PROVENANCE.replace("acme/libs", "acme/.."),
        "a.yaml:11:",
        "no repository with its server",
    ),
    "no parameters": (PROVENANCE.replace("[flags, image]", "[]"), "a.yaml:12:", "an empty list"),
    "a summary without summary": (SUMMARY[:_SUMMARY_AT], "a.yaml:5:", "could say anything"),
    "a summary of provenance": (
        SUMMARY.replace("verification_summary/v1", "provenance/v1"),
        "a.yaml:8:",
        "only a verification summary",
    ),
    "a summary or provenance": (
        SUMMARY.replace(
            "https://slsa.dev/verification_summary/v1",
            "[https://slsa.dev/verification_summary/v1, https://slsa.dev/provenance/v1]",
        ),
        "a.yaml:8:",
        "and no other",
    ),
    "an unknown placeholder": (SUMMARY.replace("{file}", "{name}"), "a.yaml:10:", "stands for nothing"),
    "a policy of nothing": (f"{SUMMARY}          policy: []\n", "a.yaml:12:", "an empty list"),
    "a digest without its kind": (f"{SUMMARY}          policy_digest: {'a' * 64}\n", "a.yaml:12:", "is no digest"),
    "a digest cut short": (f"{SUMMARY}          policy_digest: sha256:{'a' * 63}\n", "a.yaml:12:", "is no digest"),
    "a weak digest": (f"{SUMMARY}          policy_digest: sha1:{'a' * 40}\n", "a.yaml:12:", "is no digest"),
    "no level": (SUMMARY.replace("LEVEL_3", "LEVEL_0"), "a.yaml:11:", "is no level"),
    "a level of two digits": (SUMMARY.replace("LEVEL_3", "LEVEL_30"), "a.yaml:11:", "is no level"),
    "two verifiers": (SUMMARY.replace("verifier: https", "verifier: [x, y] #"), "a.yaml:9:", "verifier"),
    "no verifier": (
        SUMMARY.replace("          verifier: https://verifier.acme.example/v1\n", ""),
        "a.yaml:",
        "verifier",
    ),
}


@pytest.mark.parametrize(("text", "where", "said"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_named_where_it_stands(text: str, where: str, said: str) -> None:
    found = problem(text)
    assert found.startswith(where)
    assert said in found
