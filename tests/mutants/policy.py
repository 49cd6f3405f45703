"""Break each check of the policy once and see a test fail: `python -m tests.mutants.policy [part of a path]`.

A survivor, or a row whose text is gone, ends with exit code 1.
"""

from __future__ import annotations

import sys
from typing import Final

from tests.lab.mutation import Mutant, run

TESTS: Final = ("tests/unit/policy", "tests/property/test_policy.py")
CHECKS: Final = "gateway/policy/checks"


MUTANTS: Final = (
    # comparing
    Mutant(
        f"{CHECKS}/comparing.py",
        "if one is None or other is None or one.issuer is None or one.run is None:",
        "if one is None or other is None:",
    ),
    Mutant(f"{CHECKS}/comparing.py", "one.issuer == other.issuer\n        and one.run", "one.run"),
    Mutant(f"{CHECKS}/comparing.py", "        and one.run == other.run\n", ""),
    Mutant(f"{CHECKS}/comparing.py", "        and same_repository(one.issuer, one.repository, other.repository)\n", ""),
    Mutant(f"{CHECKS}/comparing.py", "ascii_lower(one) == ascii_lower(other) if", "one.lower() == other.lower() if"),
    Mutant(f"{CHECKS}/comparing.py", "if is_github(issuer) else one == other", ""),
    Mutant(f"{CHECKS}/comparing.py", "ours[2:] == theirs[2:] and ", ""),
    Mutant(f"{CHECKS}/comparing.py", ' and same_repository(issuer, "/".join(ours[:2]), "/".join(theirs[:2]))', ""),
    # credential
    Mutant(f"{CHECKS}/credential.py", "holds=grant.registry == upload.registry.name", "holds=True"),
    Mutant(f"{CHECKS}/credential.py", "upload.purl, holds=covered", "upload.purl, holds=True"),
    Mutant(f"{CHECKS}/credential.py", "holds=Action.PUBLISH in grant.actions", "holds=True"),
    Mutant(
        f"{CHECKS}/credential.py",
        "grant.not_before <= came < grant.expires",
        "grant.not_before <= came <= grant.expires",
    ),
    Mutant(
        f"{CHECKS}/credential.py",
        "grant.not_before <= came < grant.expires",
        "grant.not_before < came < grant.expires",
    ),
    Mutant(f"{CHECKS}/credential.py", "grant.not_before <= came < grant.expires", "came < grant.expires"),
    Mutant(f"{CHECKS}/credential.py", "holds=grant.uses_left > 0", "holds=True"),
    Mutant(f"{CHECKS}/credential.py", "holds=kind in wanted.kinds", "holds=True"),
    Mutant(f"{CHECKS}/credential.py", "holds=same_run(holder, signer)", "holds=True"),
    # claims
    Mutant(f"{CHECKS}/claims.py", "_normal(name, claim.value) == upload.name", "True"),
    Mutant(f"{CHECKS}/claims.py", "_normal(version, claim.value) == upload.canonical_version", "True"),
    Mutant(
        f"{CHECKS}/claims.py", "measured is not None and ascii_lower(claim.value) == measured", "measured is not None"
    ),
    Mutant(
        f"{CHECKS}/claims.py",
        "measured is not None and ascii_lower(claim.value) == measured",
        "measured is None or ascii_lower(claim.value) == measured",
    ),
    Mutant(f"{CHECKS}/claims.py", "ascii_lower(claim.value) == measured", "claim.value == measured"),
    # past
    Mutant(f"{CHECKS}/past.py", "holds=other is None", "holds=True"),
    Mutant(
        f"{CHECKS}/past.py",
        "[*case.history.bound, *((one.canonical, one.sha256) for one in case.history.release)]",
        "[*case.history.bound]",
    ),
    Mutant(f"{CHECKS}/past.py", "if sha256 != file.sha256", "if sha256 == OTHER"),
    Mutant(f"{CHECKS}/past.py", "if case.upload.movable and (rule is None or rule.moves(case.upload)):", "if False:"),
    Mutant(f"{CHECKS}/past.py", "if case.upload.movable and (rule is None or", "if (rule is None or"),
    Mutant(f"{CHECKS}/past.py", "(rule is None or rule.moves(case.upload))", "True"),
    Mutant(f"{CHECKS}/past.py", "    if rule.moves(case.upload):\n", "    if False:\n"),
    Mutant(f"{CHECKS}/past.py", "    if rule.moves(case.upload):\n", "    if case.upload.movable:\n"),
    Mutant(f"{CHECKS}/past.py", "remedy=_IMMUTABLE if case.upload.movable else", "remedy="),
    Mutant("gateway/policy/rules.py", "return upload.movable and not any(", "return not any("),
    Mutant("gateway/policy/rules.py", "return upload.movable and not any(", "return upload.movable or not any("),
    Mutant("gateway/policy/rules.py", "matches(pattern, upload.version)", "upload.version.startswith(pattern)"),
    Mutant("gateway/policy/rules.py", "return rule is not None and rule.moves(upload)", "return upload.movable"),
    Mutant(f"{CHECKS}/past.py", "file.sha256 not in case.history.revoked", "True"),
    Mutant(f"{CHECKS}/past.py", "holds=case.at <= closed", "holds=case.at < closed"),
    Mutant(f"{CHECKS}/past.py", "holds=case.at <= closed", "holds=True"),
    Mutant(f"{CHECKS}/past.py", "if first is None or (file.canonical, file.sha256) in there:", "if first is None:"),
    Mutant(f"{CHECKS}/past.py", "if one.canonical not in mine]", "]"),
    Mutant(
        f"{CHECKS}/past.py",
        "if not same_run(one.signer, signer)), None)",
        "if one.signer and not same_run(one.signer, signer)), None)",
    ),
    # coverage
    Mutant(
        f"{CHECKS}/coverage.py",
        "if _right(subject, file) and _wrong(subject, file) is None]",
        "if _right(subject, file)]",
    ),
    Mutant(
        f"{CHECKS}/coverage.py",
        "if _right(subject, file) and _wrong(subject, file) is None]",
        "if _wrong(subject, file) is None]",
    ),
    Mutant(
        f"{CHECKS}/coverage.py",
        "any(digest.algorithm in STRONG and digest in file.digests",
        "any(digest in file.digests",
    ),
    Mutant(
        f"{CHECKS}/coverage.py",
        "if one.algorithm in ALGORITHMS and one not in file.digests",
        "if one not in file.digests",
    ),
    Mutant(
        f"{CHECKS}/coverage.py",
        "if one.algorithm in ALGORITHMS and one not in file.digests",
        "if file.digest(one.algorithm) not in {None, one.value}",
    ),
    Mutant(
        f"{CHECKS}/coverage.py",
        "if unbound and (copied or any(subject.name is None for subject in matched)):",
        "if unbound:",
    ),
    Mutant(f"{CHECKS}/coverage.py", "if unbound and (copied or any(", "if (copied or any("),
    Mutant(f"{CHECKS}/coverage.py", "if unbound and (copied or any(", "if copied or (unbound and any("),
    Mutant(f"{CHECKS}/coverage.py", "if unbound and (copied or any(", "if unbound and (any("),
    Mutant(f"{CHECKS}/evidence.py", "copied = ref.format is Format.COSIGN and", "copied ="),
    Mutant(
        f"{CHECKS}/evidence.py",
        "ref.format is Format.COSIGN and attestation.predicate_type is None",
        "ref.format is Format.COSIGN",
    ),
    Mutant(f"{CHECKS}/evidence.py", "remedy = _LATER if demand", 'remedy = "" if demand'),
    Mutant(f"{CHECKS}/coverage.py", "in file.names\n    except", "or True\n    except"),
    Mutant(
        f"{CHECKS}/coverage.py",
        "    if name is None:\n        return False\n    if name in file.names",
        "    if name is None:\n        return True\n    if name in file.names",
    ),
    # signer
    Mutant(
        f"{CHECKS}/signer.py",
        "known = identity is None and attestation.key in signer.key",
        "known = attestation.key in signer.key",
    ),
    Mutant(f"{CHECKS}/signer.py", "known = identity is None and attestation.key in signer.key", "known = True"),
    Mutant(f"{CHECKS}/signer.py", "holds=subject is not None and subject in signer.subject", "holds=True"),
    Mutant(f"{CHECKS}/signer.py", "holds=got is not None and got in expected", "holds=got is None or got in expected"),
    Mutant(f"{CHECKS}/signer.py", "holds=got is not None and got in expected", "holds=True"),
    *(
        Mutant(f"{CHECKS}/signer.py", f'    _Exact("{field}", Code.{field.upper()}_MISMATCH),\n', "")
        for field in ("issuer", "repository_id", "owner_id", "workflow", "runner", "environment", "visibility")
    ),
    Mutant(
        f"{CHECKS}/signer.py",
        "known = any(same_repository(identity.issuer, one, identity.repository) for one in signer.repository)",
        "known = True",
    ),
    Mutant(
        f"{CHECKS}/signer.py",
        "known = any(same_builder(identity.issuer, one, identity.build_signer) for one in expected)",
        "known = True",
    ),
    Mutant(f"{CHECKS}/signer.py", "() if None in itself else (", "(identity.build_signer or '',) if True else ("),
    Mutant(f"{CHECKS}/signer.py", "    if signer.build_signer:\n", "    if False:\n"),
    Mutant(
        f"{CHECKS}/signer.py", "known, expected = got is not None and got in signer.trigger", "known, expected = True"
    ),
    Mutant(f"{CHECKS}/signer.py", "known, expected = got not in _DANGEROUS", "known, expected = True"),
    Mutant(f"{CHECKS}/signer.py", "    if signer.ref:\n", "    if False:\n"),
    Mutant(f"{CHECKS}/signer.py", 'if VERSION not in pattern or "*" not in version]', "]"),
    Mutant(f"{CHECKS}/signer.py", "    if identity.repository is None:\n", "    if False:\n"),
    Mutant(
        f"{CHECKS}/signer.py",
        'if any(matches(pattern.replace(VERSION, "*")',
        'if any(False and matches(pattern.replace(VERSION, "*")',
    ),
    # provenance
    *(
        Mutant(f"{CHECKS}/provenance.py", f'    "{field}",\n', "")
        for field in (
            "server",
            "repository",
            "repository_id",
            "owner_id",
            "workflow",
            "build_signer",
            "ref",
            "commit",
            "run",
            "trigger",
            "runner",
        )
    ),
    Mutant(
        f"{CHECKS}/provenance.py",
        "if attestation.predicate_type not in PROVENANCE:\n        return ()",
        "if attestation.predicate_type in PROVENANCE:\n        return ()",
    ),
    Mutant(f"{CHECKS}/provenance.py", "holds=not unknown", "holds=True"),
    Mutant(
        f"{CHECKS}/provenance.py",
        "    if said is None:\n",
        "    if said is None:\n        return ()\n    if said is None:\n",
    ),
    Mutant(f"{CHECKS}/provenance.py", "holds=reached >= wanted", "holds=True"),
    Mutant(f"{CHECKS}/provenance.py", "if identity.runner not in _HOSTED:", "if False:"),
    Mutant(
        f"{CHECKS}/provenance.py",
        "3 if named and elsewhere and not moves else 2",
        "3 if elsewhere and not moves else 2",
    ),
    Mutant(
        f"{CHECKS}/provenance.py", "3 if named and elsewhere and not moves else 2", "3 if named and not moves else 2"
    ),
    Mutant(
        f"{CHECKS}/provenance.py", "3 if named and elsewhere and not moves else 2", "3 if named and elsewhere else 2"
    ),
    Mutant(f"{CHECKS}/provenance.py", "if identity is None or identity.repository is None:", "if identity is None:"),
    # evidence
    Mutant(f"{CHECKS}/evidence.py", "if not any(one.own for one in candidates):", "if not candidates:"),
    Mutant(f"{CHECKS}/evidence.py", "if not any(one.own for one in candidates):", "if True:"),
    Mutant(f"{CHECKS}/evidence.py", "return lenient.weight(one.checks), nothing,", "return Weight.NOTHING, nothing,"),
    Mutant(f"{CHECKS}/evidence.py", "nothing, not one.own, misses", "nothing, False, misses"),
    Mutant(f"{CHECKS}/evidence.py", "misses if one.attestation else misses + _UNVERIFIED", "misses"),
    Mutant(f"{CHECKS}/evidence.py", "if one.root is None or one.root in asked.trust_roots]", "]"),
    Mutant(
        f"{CHECKS}/evidence.py",
        "if one.root is None or one.root in asked.trust_roots]",
        "if one.root in asked.trust_roots]",
    ),
    Mutant(
        f"{CHECKS}/evidence.py",
        "            if asked.asks_for(attestation.predicate_type):\n",
        "            if True:\n",
    ),
    Mutant(f"{CHECKS}/evidence.py", "else asked.signers", "else asked.signers[:1]"),
    Mutant(f"{CHECKS}/evidence.py", "if signer.repository and rule.credential.same_run:", "if signer.repository:"),
    Mutant(f"{CHECKS}/evidence.py", "if signer.repository and rule.credential.same_run:", "if False:"),
    Mutant(f"{CHECKS}/evidence.py", "if signer.repository and rule.release.same_run:", "if False:"),
    Mutant(f"{CHECKS}/evidence.py", "key=lambda one: all(", "key=lambda one: not all("),
    Mutant(f"{CHECKS}/evidence.py", "        *provenance_agrees(attestation, asked.provenance, about),\n", ""),
    Mutant(f"{CHECKS}/evidence.py", "        *level_reached(signer, attestation, asked.min_build_level, about),\n", ""),
    # request
    Mutant(f"{CHECKS}/request.py", "if finding.evidence.source is Source.REQUEST]", "]"),
    Mutant(f"{CHECKS}/request.py", "if one.root is None or one.root in roots]", "]"),
    Mutant(
        f"{CHECKS}/request.py",
        "            if rules.every_must_verify:\n                checks += _unverified",
        "            if False:\n                checks += _unverified",
    ),
    Mutant(
        f"{CHECKS}/request.py",
        "    if rules.every_must_verify:\n        checks += covers",
        "    if False:\n        checks += covers",
    ),
    Mutant(f"{CHECKS}/request.py", "    if rules.one_per_predicate:\n", "    if False:\n"),
    Mutant(f"{CHECKS}/request.py", "holds=count == 1", "holds=True"),
    Mutant(f"{CHECKS}/request.py", "holds=attestation.predicate_type in rules.predicates", "holds=True"),
    # leniency
    Mutant(
        "gateway/policy/leniency.py", "if self.observed and check.reason.entry.kind.observable:", "if self.observed:"
    ),
    Mutant(
        "gateway/policy/leniency.py",
        "if check.reason is None or not check.reason.entry.waivable:",
        "if check.reason is None:",
    ),
    Mutant(
        "gateway/policy/leniency.py", "if one.registry == upload.registry.name\n            and one.purl", "if one.purl"
    ),
    Mutant("gateway/policy/leniency.py", "            and one.purl == upload.purl\n", ""),
    Mutant("gateway/policy/leniency.py", "            and one.version == upload.version\n", ""),
    Mutant(
        "gateway/policy/leniency.py", "            and any(file.sha256 == one.sha256 for file in upload.files)\n", ""
    ),
    Mutant("gateway/policy/leniency.py", "and case.at < one.expires", "and case.at <= one.expires"),
    Mutant("gateway/policy/leniency.py", "if code in one.codes and name in", "if name in"),
    Mutant("gateway/policy/leniency.py", 'name in {"", check.about}', "True"),
    Mutant("gateway/policy/leniency.py", "if self.holds and all(", "if all("),
    Mutant(
        "gateway/policy/leniency.py", "if self.holds and all(one.entry.curable for one in failures)", "if self.holds"
    ),
    # rules, decide
    Mutant("gateway/policy/rules.py", "(not self.registries or registry in self.registries) and ", ""),
    Mutant(
        "gateway/policy/rules.py",
        "if ecosystem not in HOLDS:\n            return NEVER",
        "if ecosystem not in HOLDS:\n            return HOLDS['oci']",
    ),
    Mutant("gateway/policy/decide.py", "        *credential_covers(case),\n", ""),
    Mutant("gateway/policy/decide.py", "        *credential_in_force(case),\n", ""),
    Mutant("gateway/policy/decide.py", "        *claims_agree(case),\n", ""),
    Mutant("gateway/policy/decide.py", "        *names_free(case, rule),\n", ""),
    Mutant("gateway/policy/decide.py", "        *not_revoked(case),\n", ""),
    Mutant("gateway/policy/decide.py", "            *credential_kind(case, rule.credential),\n", ""),
    Mutant("gateway/policy/decide.py", "            *release_open(case, rule),\n", ""),
    Mutant("gateway/policy/decide.py", "            *request_rules(case, rule),\n", ""),
    Mutant(
        "gateway/policy/decide.py",
        "for asked in rule.attestations for file",
        "for asked in rule.attestations[:1] for file",
    ),
    Mutant("gateway/policy/decide.py", "for file in upload.files]", "for file in upload.files[:1]]"),
    Mutant("gateway/policy/decide.py", "is not Result.LIFTED for check", "is not Result.SKIPPED or True for check"),
    Mutant("gateway/policy/decide.py", "        and lenient.weight(one.checks) is Weight.NOTHING\n", ""),
    # provenance and summary as the rule wants them
    Mutant(f"{CHECKS}/provenance.py", "said.build_type in wanted.build_type", "True"),
    Mutant(f"{CHECKS}/provenance.py", "said.builder in wanted.builder", "True"),
    Mutant(f"{CHECKS}/provenance.py", "any(_same_source(one, source) for one in wanted.source)", "True"),
    Mutant(f"{CHECKS}/provenance.py", 'f"{server}/{repository}"', 'f"https://github.com/{repository}"'),
    Mutant(f"{CHECKS}/provenance.py", 'one.startswith("https://github.com/")', "True"),
    Mutant(f"{CHECKS}/provenance.py", "return ascii_lower(one) == ascii_lower(other)", "return one == other"),
    Mutant(
        f"{CHECKS}/provenance.py",
        "return ascii_lower(one) == ascii_lower(other)",
        "return one.casefold() == other.casefold()",
    ),
    Mutant(f"{CHECKS}/provenance.py", " if one not in wanted.allow_parameters)", " if not wanted.allow_parameters)"),
    Mutant(f"{CHECKS}/summary.py", "said.verifier == wanted.verifier", "True"),
    Mutant(f"{CHECKS}/summary.py", "said.resource in resources", "True"),
    Mutant(f"{CHECKS}/summary.py", "holds=said.passed", "holds=True"),
    Mutant(f"{CHECKS}/summary.py", "said.policy in wanted.policy)", "True)"),
    Mutant(f"{CHECKS}/summary.py", "any(one in wanted.policy_digest for one in digests)", "bool(digests)"),
    Mutant(f"{CHECKS}/summary.py", " and match[1] == wanted.track", ""),
    Mutant(f"{CHECKS}/summary.py", "int(match[2]) >= wanted.level", "int(match[2]) == wanted.level"),
    Mutant(f"{CHECKS}/summary.py", "int(match[2]) >= wanted.level", "True"),
    Mutant(f"{CHECKS}/provenance.py", "return signer.build_level\n", "return 3\n"),
    Mutant(f"{CHECKS}/provenance.py", "return signer.build_level\n", "return 1\n"),
    Mutant(f"{CHECKS}/provenance.py", "if identity is None or identity.repository is None:", "if True:"),
    Mutant(
        "gateway/policy/loading.py",
        "signer.build_level > 1 for signer in signers) and not rule.provenance.builder",
        "signer.build_level > 3 for signer in signers) and not rule.provenance.builder",
    ),
    Mutant("gateway/policy/loading.py", "if signer.build_level < level:", "if False:"),
    Mutant("gateway/policy/signers.py", 'elif "build_level" in given:', "elif False:"),
    Mutant(f"{CHECKS}/summary.py", "_LEVEL.fullmatch(level)", "_LEVEL.match(level)"),
    Mutant(f"{CHECKS}/summary.py", "_LEVEL.fullmatch(level)", "_LEVEL.search(level)"),
    Mutant(f"{CHECKS}/summary.py", "attestation.predicate_type != SUMMARY and wanted is None", "wanted is None"),
    Mutant(f"{CHECKS}/summary.py", "for values in (spelled, canonical)", "for values in (spelled,)"),
    Mutant(
        f"{CHECKS}/evidence.py", "        *summary_says(attestation, asked.summary, demand.file, case.upload),\n", ""
    ),
)


if __name__ == "__main__":
    sys.exit(run(MUTANTS, TESTS, *sys.argv[1:2]))
