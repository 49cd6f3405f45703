"""Policy files to values, and every mistake with its line, its column and the mend."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import ConfigurationError
from gateway.model.case import GrantKind
from gateway.policy import Mode, Policy, Rule, decide, load_policy, policy_schema
from tests.lab import cases as lab

EXAMPLE = Path(__file__).parents[3] / "policy" / "acme-python.yaml"
GOOD = """\
rules:
  - name: acme
    packages: pkg:pypi/acme-*
    registries: [python]
    owner: team@acme.example
    mode: enforce
    attestations:
      - predicate: https://slsa.dev/provenance/v1
        trust_roots: [sigstore-public-good]
        signer:
          issuer: https://token.actions.githubusercontent.com
          repository: acme/libs
          repository_id: "763287532"
          workflow: .github/workflows/release.yml
          build_signer: acme/ci/.github/workflows/build.yml@refs/tags/v3
          ref: refs/tags/v{version}
          runner: github-hosted
          trigger: [push, release]
        min_build_level: 3
    credential: {kind: oidc, same_run: true}
    release: {same_run: true, closed_after: 14d}
    hold: never
"""


def one(text: str) -> Rule:
    (rule,) = load_policy({"a.yaml": text}).rules
    return rule


def problems(files: str | dict[str, str], **known: Any) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load_policy({"a.yaml": files} if isinstance(files, str) else files, **known)
    return list(caught.value.problems)


def test_the_example_is_what_the_design_shows() -> None:
    rule = one(EXAMPLE.read_text())
    (asked,) = rule.attestations
    (signer,) = asked.signers
    assert rule.packages == ("pkg:pypi/acme-*", "pkg:npm/%40acme/*")
    assert rule.registries == ("python", "node")
    assert (rule.owner, rule.mode) == ("team-libs@acme.example", Mode.ENFORCE)
    assert asked.predicate == ("https://slsa.dev/provenance/v1",)
    assert asked.trust_roots == ("sigstore-public-good",)
    assert asked.min_build_level == 3
    assert signer.repository_id == ("763287532",)
    assert signer.build_signer == (lab.BUILDER,)
    assert signer.ref == ("refs/tags/v{version}",)
    assert rule.credential.kinds == (GrantKind.OIDC,)
    assert rule.credential.same_run
    assert rule.release.same_run
    assert rule.release.closed_after == timedelta(days=14)
    assert rule.hold == timedelta(0)


def test_the_example_accepts_what_its_builder_signed() -> None:
    policy = load_policy({"acme-python.yaml": EXAMPLE.read_text()})
    signed = lab.attestation(signer=lab.reusable())
    decision = decide(lab.case(findings=[lab.finding(signed)]), policy)
    assert decision.reasons == ()
    assert [reason.code.value for reason in decide(lab.case(), policy).reasons] == [
        "builder-mismatch",
        "build-level-too-low",
    ]


def test_the_examples_load_together_with_the_trust_roots_beside_them() -> None:
    root = EXAMPLE.parents[1]
    kinds = {path.parent.name: _kind(path) for path in root.glob("trust_roots/*/trust_root.yaml")}
    files = {path.name: path.read_text() for path in root.glob("policy/*.yaml")}
    rules = load_policy(files, trust_roots={"github": "sigstore"} | kinds).rules
    assert [rule.name for rule in rules] == ["acme-python", "vendor-keys"]
    assert load_policy(files).warnings == ()


def _kind(path: Path) -> str:
    return next(
        line.removeprefix("kind: ").strip() for line in path.read_text().splitlines() if line.startswith("kind:")
    )


def test_a_rule_knows_where_it_stands() -> None:
    first, second = load_policy({"b.yaml": GOOD.replace("acme", "beta"), "a.yaml": GOOD}).rules
    assert (str(first.position), str(second.position)) == ("a.yaml:2:5", "b.yaml:2:5")


def test_the_revision_is_that_of_the_files_and_their_names() -> None:
    revisions = {
        load_policy(files).revision
        for files in (
            {"a.yaml": GOOD},
            {"b.yaml": GOOD},
            {"a.yaml": GOOD + "\n"},
            {"a.yaml": GOOD, "b.yaml": GOOD.replace("acme", "beta")},
        )
    }
    assert len(revisions) == 4
    assert all(len(revision) == 64 for revision in revisions)
    assert load_policy({"a.yaml": GOOD}).revision in revisions


def test_what_is_left_out_asks_for_nothing_more() -> None:
    rule = one(
        """
rules:
  - name: small
    packages: pkg:pypi/**
    attestations:
      - {signature: true, trust_roots: keys, signer: {key: [old, new]}}
"""
    )
    (asked,) = rule.attestations
    assert asked.predicate is None
    assert asked.signers[0].key == ("old", "new")
    assert (rule.registries, rule.hold, rule.release.closed_after) == ((), None, None)
    assert not rule.credential.kinds
    assert not rule.credential.same_run


@pytest.mark.parametrize("shape", ["signer: [{0}, {1}]", "signer: {{any_of: [{0}, {1}]}}"])
def test_builders_are_alternatives_as_a_list_or_as_any_of(shape: str) -> None:
    signers = [f"{{issuer: https://x.example, repository: acme/{name}, workflow: ci.yml}}" for name in "ab"]
    rule = one(
        f"""
rules:
  - name: two
    packages: pkg:pypi/**
    attestations:
      - predicate: p
        trust_roots: r
        {shape.format(*signers)}
"""
    )
    assert [signer.repository for signer in rule.attestations[0].signers] == [("acme/a",), ("acme/b",)]


def test_unsafe_keys_warn_with_their_line() -> None:
    text = GOOD.replace("runner: github-hosted", "unsafe_unbound_name: true\n          unsafe_mutable_signer: true")
    text = text.replace("min_build_level: 3", "min_build_level: 2").replace("refs/tags/v3", "refs/heads/main")
    policy = load_policy({"a.yaml": text})
    assert [line.split(" ")[:2] for line in policy.warnings] == [
        ["a.yaml:17:32:", "unsafe_unbound_name:"],
        ["a.yaml:18:34:", "unsafe_mutable_signer:"],
    ]
    assert load_policy({"a.yaml": GOOD}).warnings == ()


SPOILED = {
    # what is replaced, by what, and the problem: its place and a part of what it says
    "no files' rules": (GOOD, "rules: []", "a.yaml:1:8", "an empty list of rules"),
    "unknown key": ("    hold: never", "    holds: never", "a.yaml:22:", "did you mean 'hold'?"),
    "a later part of the language": ("    hold: never", "    require: 'true'", "a.yaml:22:", "unknown key 'require'"),
    "a name that is none": ("name: acme", "name: a b", "a.yaml:2:11", "is no name"),
    "an empty owner": ("owner: team@acme.example", "owner: ''", "a.yaml:5:12", "an empty owner"),
    "a mode that is none": ("mode: enforce", "mode: off", "a.yaml:6:11", "off is a truth value"),
    "no packages": ("packages: pkg:pypi/acme-*", "packages: []", "a.yaml:3:15", "an empty list"),
    "a package that is none": ("pkg:pypi/acme-*", "acme-*", "a.yaml:3:15", "write it as a purl"),
    "a package with version": ("pkg:pypi/acme-*", "pkg:pypi/acme@1", "a.yaml:3:15", "version or qualifiers"),
    "a package with qualifiers": ("pkg:pypi/acme-*", "pkg:pypi/acme?x=1", "a.yaml:3:15", "version or qualifiers"),
    "a scope not encoded": ("pkg:pypi/acme-*", "pkg:npm/@acme/*", "a.yaml:3:15", "write pkg:npm/%40acme/*"),
    "three stars": ("pkg:pypi/acme-*", "pkg:pypi/***", "a.yaml:3:15", "holds ***"),
    "a name not normalised": ("pkg:pypi/acme-*", "pkg:pypi/Acme_Lib*", "a.yaml:3:15", "write pkg:pypi/acme-lib*"),
    "no registries": ("registries: [python]", "registries: []", "a.yaml:4:17", "an empty list"),
    "no attestations": (
        GOOD[GOOD.index("    attestations:") : GOOD.index("    credential:")],
        "    attestations: []\n",
        "a.yaml:7:19",
        "asks for no evidence at all",
    ),
    "neither predicate nor signature": (
        "- predicate: https://slsa.dev/provenance/v1\n        trust",
        "- trust",
        "a.yaml:8:9",
        "neither predicate nor signature",
    ),
    "both predicate and signature": (
        "        trust_roots",
        "        signature: true\n        trust_roots",
        "a.yaml:9:20",
        "write two entries",
    ),
    "no trust roots": ("[sigstore-public-good]", "[]", "a.yaml:9:22", "an empty list"),
    "an issuer with a star": ("https://token.actions.githubusercontent.com", "https://*", "a.yaml:11:19", "holds *"),
    "an empty issuer": ("https://token.actions.githubusercontent.com", "''", "a.yaml:11:19", "an empty text"),
    "numbers of two issuers": (
        "https://token.actions.githubusercontent.com",
        "[https://gitlab.com, https://gitlab.acme.example]",
        "a.yaml:11:19",
        "one signer for each issuer",
    ),
    "no issuer": (
        "issuer: https://token.actions.githubusercontent.com\n          repository",
        "repository",
        "a.yaml:10:9",
        "a signer without issuer",
    ),
    "a repository that is an address": ("acme/libs", "https://github.com/acme/libs", "a.yaml:12:23", "the path alone"),
    "a repository without owner": ("acme/libs", "libs", "a.yaml:12:23", "is no repository"),
    "a repository with a star": ("acme/libs", "acme/*", "a.yaml:12:23", "only packages and refs are patterns"),
    "an id without quotes": ('"763287532"', "763287532", "a.yaml:13:26", "put it in quotes"),
    "an id that is a name": ('"763287532"', "libs", "a.yaml:13:26", "is no number"),
    "no workflow": ("          workflow: .github/workflows/release.yml\n", "", "a.yaml:10:9", "without workflow"),
    "a workflow without folder": (
        "workflow: .github/workflows/release.yml",
        "workflow: release.yml",
        "a.yaml:14:21",
        "write .github/workflows/release.yml",
    ),
    "a workflow with a ref": ("release.yml\n", "release.yml@refs/heads/main\n", "a.yaml:14:21", "holds a ref"),
    "a workflow from outside": ("workflow: .github", "workflow: ../.github", "a.yaml:14:21", "is no path"),
    "a builder that is none": (
        "acme/ci/.github/workflows/build.yml@refs/tags/v3",
        "build.yml",
        "a.yaml:15:25",
        "is no builder",
    ),
    "a builder with a short ref": ("@refs/tags/v3", "@v3", "a.yaml:15:25", "@refs/tags/v3, or the whole commit"),
    "a builder on a branch": ("@refs/tags/v3", "@refs/heads/main", "a.yaml:15:25", "unsafe_mutable_signer"),
    "a builder at a pull request": ("@refs/tags/v3", "@refs/pull/1/merge", "a.yaml:15:25", "unsafe_mutable_signer"),
    "a short ref": ("refs/tags/v{version}", "main", "a.yaml:16:16", "refs/heads/main for a branch"),
    "an unknown brace": ("refs/tags/v{version}", "'refs/tags/{name}'", "a.yaml:16:16", "only {version} is known"),
    "a ref with a space": ("refs/tags/v{version}", "refs/tags/v {version}", "a.yaml:16:16", "is no pattern of refs"),
    "a runner of nothing": ("runner: github-hosted", "runner:", "a.yaml:17:11", "got nothing"),
    "no triggers": ("[push, release]", "[]", "a.yaml:18:20", "an empty list"),
    "an empty trigger": ("[push, release]", "[push, '']", "a.yaml:18:27", "an empty text"),
    "a level that is none": ("min_build_level: 3", "min_build_level: 4", "a.yaml:19:26", "expected 1, 2 or 3"),
    "a level of nothing": ("min_build_level: 3", "min_build_level:", "a.yaml:19:9", "a key without a value"),
    "level 3 inside the job": (
        "          build_signer: acme/ci/.github/workflows/build.yml@refs/tags/v3\n",
        "",
        "a.yaml:18:26",
        "at most level 2",
    ),
    "level 3 by a builder of its own": ("acme/ci/.github", "Acme/Libs/.github", "a.yaml:19:26", "another repository"),
    "level 3 on a branch": (
        "@refs/tags/v3",
        "@refs/heads/main\n          unsafe_mutable_signer: true",
        "a.yaml:20:26",
        "name it by tag or commit",
    ),
    "a level of what is no provenance": ("https://slsa.dev/provenance/v1", "x", "a.yaml:19:26", "only provenance"),
    "a credential of nothing": ("{kind: oidc, same_run: true}", "{}", "a.yaml:20:17", "asks for nothing"),
    "a credential without value": (
        "credential: {kind: oidc, same_run: true}",
        "credential:",
        "a.yaml:20:5",
        "without a value",
    ),
    "a credential of no kind": ("kind: oidc", "kind: []", "a.yaml:20:24", "an empty list"),
    "a credential of an unknown kind": ("kind: oidc", "kind: password", "a.yaml:20:24", "write token or oidc"),
    "a token of the same run": ("kind: oidc", "kind: [oidc, token]", "a.yaml:20:", "a plain token is of no run"),
    "a release of nothing": ("{same_run: true, closed_after: 14d}", "{}", "a.yaml:21:14", "asks for nothing"),
    "a release without value": (
        "release: {same_run: true, closed_after: 14d}",
        "release:",
        "a.yaml:21:5",
        "without a value",
    ),
    "a duration that is none": ("14d", "two weeks", "a.yaml:21:45", "is no duration"),
    "a duration of nothing": ("14d", "0d", "a.yaml:21:45", "is no duration"),
    "tags where nothing has any": ("hold: never", "tags: {immutable: v*}", "a.yaml:22:11", "only oci does"),
    "tags without value": ("hold: never", "tags:", "a.yaml:22:5", "without a value"),
    "a hold that is none": ("hold: never", "hold: forever", "a.yaml:22:11", "is no duration"),
    "a hold where nothing can be held": ("hold: never", "hold: 30m", "a.yaml:22:11", "only oci can"),
}


TRUSTED = """rules:
  - name: acme
    packages: pkg:pypi/acme-*
    attestations:
      - predicate: https://slsa.dev/provenance/v1
        trust_roots: keys
        signer: {key: release, build_level: 3}
        provenance: {builder: https://tekton.acme.example/chains/v2}
        min_build_level: 3
"""


def test_the_builder_behind_a_key_may_be_trusted_for_a_level() -> None:
    (asked,) = load_policy({"a.yaml": TRUSTED}, trust_roots={"keys": "keys"}).rules[0].attestations
    assert [signer.build_level for signer in asked.signers] == [3]
    (asked,) = (
        load_policy({"a.yaml": TRUSTED.replace(", build_level: 3", "").replace(" 3", " 1")}).rules[0].attestations
    )
    assert [signer.build_level for signer in asked.signers] == [1]


@pytest.mark.parametrize(
    ("old", "new", "place", "said"),
    [
        ("build_level: 3", "build_level: 2", "a.yaml:9:26", "proves level 2 at most"),
        (", build_level: 3", "", "a.yaml:9:26", "proves level 1 at most"),
        ("build_level: 3", "build_level: 4", "a.yaml:7:45", "expected 1, 2 or 3"),
        ("build_level: 3", "build_level: null", "a.yaml:7:32", "a key without a value"),
        ("builder: https://tekton.acme.example/chains/v2", "build_type: x", "a.yaml:7:17", "provenance.builder"),
        (
            "key: release",
            "issuer: https://gitlab.com, repository: a/b, workflow: .gitlab-ci.yml",
            "a.yaml:7:102",
            "the certificate says the level",
        ),
    ],
)
def test_a_level_that_nobody_is_trusted_for_is_a_mistake(old: str, new: str, place: str, said: str) -> None:
    found = problems(TRUSTED.replace(old, new, 1))
    assert found[0].startswith(place)
    assert said in found[0]


@pytest.mark.parametrize("name", SPOILED)
def test_a_mistake_is_said_once_with_its_place_and_the_mend(name: str) -> None:
    old, new, place, said = SPOILED[name]
    assert old in GOOD
    (problem,) = problems(GOOD.replace(old, new, 1))
    assert problem.startswith(place)
    assert said in problem


IMAGES = GOOD.replace("pkg:pypi/acme-*", "pkg:oci/acme/**").replace(
    "release: {same_run: true, closed_after: 14d}", "tags: {immutable: [v*, '*.*.*']}"
)
SPOILED_IMAGES = {
    "a class of characters": ("v*", "'[0-9]*'", "a.yaml:21:24", "only * is special"),
    "a blank": ("v*", "'v *'", "a.yaml:21:24", "only * is special"),
    "a whole reference": ("v*", "'acme/app:v*'", "a.yaml:21:24", "only * is special"),
    "what no tag begins with": ("v*", "'-rc*'", "a.yaml:21:24", "only * is special"),
    "no pattern": ("[v*, '*.*.*']", "[]", "a.yaml:21:23", "an empty list"),
    "an unknown key": ("immutable", "mutable", "a.yaml:21:12", "unknown key"),
    "a release of one image": (
        "tags: {immutable: [v*, '*.*.*']}",
        "release: {same_run: true}",
        "a.yaml:21:14",
        "no files",
    ),
}


def test_tags_of_images_keep_their_bytes_by_pattern() -> None:
    assert one(IMAGES).tags.immutable == ("v*", "*.*.*")
    assert one(GOOD).tags.immutable == ()
    assert one(IMAGES.replace("pkg:oci/acme/**", "pkg:**")).tags.immutable == ("v*", "*.*.*")


@pytest.mark.parametrize("name", SPOILED_IMAGES)
def test_a_mistake_about_images_is_said_once_with_its_place_and_the_mend(name: str) -> None:
    old, new, place, said = SPOILED_IMAGES[name]
    assert old in IMAGES
    (problem,) = [one for one in problems(IMAGES.replace(old, new, 1)) if "missing" not in one]
    assert problem.startswith(place)
    assert said in problem


SIGNERS = {
    "nobody": ("{issuer: https://x.example}", "a signer of nobody"),
    "nothing at all": ("{}", "a signer of nobody"),
    "two at once": ("{issuer: i, subject: s, repository: a/b, workflow: w}", "subject and repository in one signer"),
    "a key with an issuer": ("{key: k, issuer: i}", "a key has no issuer"),
    "a person with a ref": ("{issuer: i, subject: s, ref: refs/heads/main}", "ref belongs to a signer by repository"),
    "any_of beside others": ("{any_of: [{key: k}], key: j}", "any_of stands alone"),
    "any_of nobody": ("{any_of: []}", "an empty list of signers"),
    "any_of in any_of": ("{any_of: [{any_of: [{key: k}], key: k}]}", "one flat list"),
    "a list of nobody": ("[]", "an empty list of signers"),
}


@pytest.mark.parametrize("name", SIGNERS)
def test_a_signer_that_is_nobody_or_two_is_refused(name: str) -> None:
    signer, said = SIGNERS[name]
    asked = f"{{predicate: p, trust_roots: r, signer: {signer}}}"
    found = problems(f"rules: [{{name: a, packages: 'pkg:pypi/**', attestations: [{asked}]}}]")
    assert len(found) == 1
    assert said in found[0]


def test_every_mistake_of_every_file_is_said_at_once_in_their_order() -> None:
    bad = GOOD.replace("acme-*", "Acme").replace("refs/tags/v{version}", "main")
    found = problems({"b.yaml": "rules: 3", "a.yaml": bad})
    assert [line.split(" ", maxsplit=1)[0] for line in found] == ["a.yaml:3:15:", "a.yaml:16:16:", "b.yaml:1:8:"]


def test_no_policy_file_at_all_is_a_mistake() -> None:
    assert "no policy file" in problems({})[0]


def test_trust_roots_and_registries_that_are_not_configured_are_named() -> None:
    (root,) = problems(GOOD, trust_roots=["github"])
    (registry,) = problems(GOOD, registries=["node", "images"])
    assert root == "a.yaml:9:23: no trust root 'sigstore-public-good'; configured: github"
    assert registry == "a.yaml:4:18: no registry 'python'; configured: images, node"
    assert load_policy({"a.yaml": GOOD}, trust_roots=["sigstore-public-good"], registries=["python"]).rules


@pytest.mark.parametrize(
    ("signer", "roots", "said"),
    [
        ("{subject: s}", {"r": "ca"}, ""),
        ("{repository: a/b, workflow: w}", {"r": "ca"}, ""),
        ("{subject: s}", {"r": "sigstore"}, "without issuer"),
        ("{subject: s}", ["r"], "without issuer"),
        ("{subject: s}", None, "without issuer"),
        ("{key: k}", {"r": "keys"}, ""),
        ("{key: k}", {"r": "sigstore"}, "none of the trust roots is of kind keys"),
        ("{key: k}", ["r"], ""),
    ],
)
def test_only_a_private_ca_stands_for_the_issuer_and_only_a_root_of_keys_has_keys(
    signer: str, roots: Any, said: str
) -> None:
    asked = f"{{predicate: p, trust_roots: r, signer: {signer}}}"
    text = f"rules: [{{name: a, packages: 'pkg:pypi/**', attestations: [{asked}]}}]"
    if said:
        (problem,) = problems(text, trust_roots=roots)
        assert said in problem
    else:
        assert load_policy({"a.yaml": text}, trust_roots=roots).rules


def test_a_private_ca_beside_another_root_does_not_stand_for_the_issuer() -> None:
    asked = "{predicate: p, trust_roots: [r, s], signer: {subject: x}}"
    text = f"rules: [{{name: a, packages: 'pkg:pypi/**', attestations: [{asked}]}}]"
    (problem,) = problems(text, trust_roots={"r": "ca", "s": "sigstore"})
    assert "without issuer" in problem


def test_same_run_needs_a_signer_with_a_run_and_none_without_beside_it() -> None:
    def of(signer: str, level: str = "") -> list[str]:
        start, end = GOOD.index("        signer:"), GOOD.index("    credential:")
        return problems(GOOD[:start] + f"        signer: {signer}\n{level}" + GOOD[end:])

    ci = "{issuer: i, repository: a/b, workflow: w}"
    assert ["no signer of this rule has a run" in line for line in of("{key: k}")] == [True, True]
    assert ["would slip past" in line for line in of(f"[{ci}, {{key: k}}]")] == [True, True]


def test_two_rules_of_one_name_are_a_mistake() -> None:
    (problem,) = problems({"a.yaml": GOOD, "b.yaml": GOOD.replace("acme-*", "beta-*")})
    assert problem == "b.yaml:2:11: a second rule 'acme'; the first is at a.yaml:2:5"


@pytest.mark.parametrize(
    ("earlier", "later", "hidden"),
    [
        ("pkg:pypi/acme-*", "pkg:pypi/acme-*", True),
        ("pkg:pypi/acme-*", "pkg:pypi/acme-lib", True),
        ("pkg:pypi/**", "pkg:pypi/acme-*", True),
        ("pkg:**", "pkg:oci/acme/**", True),
        ("pkg:oci/acme/**", "pkg:oci/acme/*", True),
        ("pkg:oci/acme/*", "pkg:oci/acme/**", False),
        ("pkg:oci/*", "pkg:oci/acme/x", False),
        ("pkg:pypi/acme-*", "pkg:pypi/acme", False),
        ("pkg:pypi/acme-lib", "pkg:pypi/acme-*", False),
        ("[pkg:pypi/a*, pkg:pypi/b*]", "[pkg:pypi/ab, pkg:pypi/b]", True),
        ("[pkg:pypi/a*, pkg:pypi/b*]", "[pkg:pypi/ab, pkg:pypi/c]", False),
    ],
)
def test_a_rule_that_can_never_match_is_a_mistake(earlier: str, later: str, *, hidden: bool) -> None:
    text = GOOD.replace("    release: {same_run: true, closed_after: 14d}\n", "").replace("pkg:pypi/acme-*", "{}")
    second = text.replace("name: acme", "name: late").removeprefix("rules:\n").replace("{}", later)
    both = text.replace("{}", earlier) + second
    if not hidden:
        assert len(load_policy({"a.yaml": both}).rules) == 2
        return
    (problem,) = problems(both)
    assert problem.startswith("a.yaml:22:5: rule late can never match: acme (a.yaml:2:5)")


@pytest.mark.parametrize(
    ("earlier", "later", "hidden"),
    [
        ("", "", True),
        ("", "registries: [python]", True),
        ("registries: [python]", "registries: [python]", True),
        ("registries: [python, node]", "registries: [node]", True),
        ("registries: [python]", "", False),
        ("registries: [python]", "registries: [python, node]", False),
    ],
)
def test_a_rule_of_another_registry_hides_nothing(earlier: str, later: str, *, hidden: bool) -> None:
    first = GOOD.replace("registries: [python]", earlier or "owner: a").replace("    owner: team@acme.example\n", "")
    second = GOOD.replace("registries: [python]", later or "owner: a").replace("    owner: team@acme.example\n", "")
    both = first + second.replace("name: acme", "name: late").removeprefix("rules:\n")
    if hidden:
        assert "can never match" in problems(both)[0]
    else:
        assert len(load_policy({"a.yaml": both}).rules) == 2


def test_several_rules_may_hide_one_between_them() -> None:
    def rule(name: str, packages: str, registry: str) -> str:
        text = GOOD.replace("name: acme", f"name: {name}").replace("pkg:pypi/acme-*", packages)
        return text.replace("[python]", registry).removeprefix("rules:\n")

    both = "rules:\n" + rule("a", "pkg:pypi/**", "[python]") + rule("b", "pkg:pypi/**", "[node]")
    (problem,) = problems(both + rule("c", "pkg:pypi/acme", "[python, node]"))
    assert "a (a.yaml:2:5), b (a.yaml:23:5)" in problem


def test_the_schema_knows_every_key_and_no_others() -> None:
    schema = policy_schema()
    assert schema["required"] == ["rules"]
    assert schema["additionalProperties"] is False
    rule = schema["$defs"]["RuleText"]
    assert rule["additionalProperties"] is False
    assert {"name", "packages", "attestations", "mode", "hold", "release", "credential"} <= set(rule["properties"])
    assert all(
        part.get("description") for kind in schema["$defs"].values() for part in kind.get("properties", {}).values()
    )


def test_an_empty_policy_value_has_no_rule_for_anything() -> None:
    assert Policy().rule_for("python", lab.PURL) is None
