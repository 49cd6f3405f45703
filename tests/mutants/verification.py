"""Break each check of a verification once and see a test fail: `python -m tests.mutants.verification [part of a path]`.

A survivor, or a row whose text is gone, ends with exit code 1.
"""

from __future__ import annotations

import sys
from typing import Final

from tests.lab.mutation import Mutant, run

TESTS: Final = ("tests/unit/verification", "tests/conformance/test_suite.py")
ROOM: Final = "gateway/verification"


MUTANTS: Final = (
    Mutant(f"{ROOM}/verifier.py", "if root.not_after is not None and now > root.not_after:", "if False:"),
    Mutant(f"{ROOM}/verifier.py", "elif token.time > trial.now + _SKEW:", "elif False:"),
    Mutant(f"{ROOM}/verifier.py", "if entry.time > (trial.now + _SKEW).timestamp():", "if False:"),
    Mutant(
        f"{ROOM}/verifier.py",
        "log = log_at(root.logs, entry.log_id, times)",
        "log = log_at(root.logs, entry.log_id, [])",
    ),
    Mutant(
        f"{ROOM}/verifier.py", "[trial.promised[place]] if place in trial.promised else trial.moments", "trial.moments"
    ),
    Mutant(f"{ROOM}/verifier.py", "if log.key.signed(entry.promise, promise.promised(entry)):", "if True:"),
    Mutant(
        f"{ROOM}/verifier.py",
        "if outside := [time for time in times if not leaf.not_before <= time <= leaf.not_after]:",
        "if outside := []:",
    ),
    Mutant(
        f"{ROOM}/verifier.py",
        "if all(time in authority.window and all(step.valid_at(time) for step in steps) for time in times):",
        "if all(all(step.valid_at(time) for step in steps) for time in times):",
    ),
    Mutant(
        f"{ROOM}/verifier.py",
        "if all(time in authority.window and all(step.valid_at(time) for step in steps) for time in times):",
        "if all(time in authority.window for time in times):",
    ),
    Mutant(f"{ROOM}/verifier.py", "if marked and not allow_sandbox:", "if False:"),
    Mutant(f"{ROOM}/verifier.py", "marked = leaf.sandbox or any(", "marked = any("),
    Mutant(f"{ROOM}/verifier.py", "for fault in leaf.faults:", "for fault in ():"),
    Mutant(f"{ROOM}/verifier.py", "elif len(seen) < wanted:", "elif False:"),
    Mutant(
        f"{ROOM}/verifier.py",
        "log = log_at(root.ct_logs, stamp.log_id, [sct.time_of(stamp)])",
        "log = log_at(root.ct_logs, stamp.log_id, [])",
    ),
    Mutant(f"{ROOM}/verifier.py", "if data is None or not log.key.signed(stamp.signature, data):", "if data is None:"),
    Mutant(
        f"{ROOM}/verifier.py",
        "if fault:\n            trial.refuse(Code.LOG_PROOF",
        "if False:\n            trial.refuse(Code.LOG_PROOF",
    ),
    Mutant(f"{ROOM}/verifier.py", "if other:\n", "if False:\n"),
    Mutant(f"{ROOM}/verifier.py", "if len(trial.logged) < wanted.log and", "if False and"),
    Mutant(f"{ROOM}/verifier.py", "if len(trial.stamped) < wanted.timestamp:", "if False:"),
    Mutant(f"{ROOM}/verifier.py", "elif root.needs_time and not trial.times and", "elif False and"),
    Mutant(
        f"{ROOM}/verifier.py",
        "if any(key.signed_content(signature, pae) for signature in envelope.signatures):",
        "if True:",
    ),
    Mutant(f"{ROOM}/verifier.py", "if key.signed_content(simple.signature, simple.payload):", "if True:"),
    Mutant(f"{ROOM}/verifier.py", "if content.digest is None or file.get(hint) == content.digest", "if True"),
    Mutant(
        f"{ROOM}/verifier.py",
        "if named is not None and (outside := [time for time in times if time not in named.window]):",
        "if False:",
    ),
    Mutant(f"{ROOM}/claim.py", 'raise Malformed("certificate chain", "holds a root certificate")', "pass"),
    Mutant(f"{ROOM}/verifier.py", "if second_opinion and not trial.reasons:", "if False:"),
    Mutant(
        f"{ROOM}/verifier.py",
        "key = (root.digest, trial.read.leaf_hash, issuing.key_hash)",
        'key = ("", trial.read.leaf_hash, issuing.key_hash)',
    ),
    Mutant(f"{ROOM}/claim.py", "_PATHS.proved((root.digest, read.leaf_hash)", '_PATHS.proved(("", read.leaf_hash)'),
    Mutant(f"{ROOM}/inclusion.py", "if entry.time is None and entry.index != proof.index:", "if False:"),
    Mutant(f"{ROOM}/inclusion.py", "if (checkpoint.root, checkpoint.size) != (proof.root, proof.size):", "if False:"),
    Mutant(f"{ROOM}/inclusion.py", "proof.hashes) != proof.root:", "proof.hashes) is None:"),
    Mutant(f"{ROOM}/inclusion.py", "line.name == checkpoint.signer and ", ""),
    Mutant(f"{ROOM}/inclusion.py", "line.hint == log.hint and ", ""),
    Mutant(f"{ROOM}/inclusion.py", "if entry.promise is None or entry.time is None:", "if False:"),
    Mutant(f"{ROOM}/inclusion.py", "key = (log.key.fingerprint, hash", 'key = (b"", hash'),
    Mutant(f"{ROOM}/entry.py", "if expected != body.digest:", "if False:"),
    Mutant(f"{ROOM}/entry.py", "if any(signed.verifier != verifier for signed in body.signatures):", "if False:"),
    Mutant(f"{ROOM}/entry.py", "if recorded not in ([None], list(signatures)):", "if False:"),
    Mutant(f"{ROOM}/entry.py", "if said != (entry.kind, entry.version):", "if False:"),
    Mutant(f"{ROOM}/entry.py", 'if body.over != "message":', "if False:"),
    Mutant(f"{ROOM}/timestamp.py", "_HASHERS[token.imprint_algorithm](signature).digest() == token.imprint", "True"),
    Mutant(
        f"{ROOM}/timestamp.py",
        "and _HASHERS[token.digest_algorithm](token.info).digest() == token.content_digest",
        "and True",
    ),
    Mutant(f"{ROOM}/timestamp.py", "return named and made.digest() == value", "return named"),
    Mutant(f"{ROOM}/timestamp.py", "return named and made.digest() == value", "return made.digest() == value"),
    Mutant(
        f"{ROOM}/timestamp.py",
        "and by.key.signed(token.signature, token.attributes, only=token.signature_hash)",
        "and True",
    ),
    Mutant(
        f"{ROOM}/timestamp.py", 'if _oid(der.single(found.get(_CONTENT_TYPE, b""), der.OID)) != _TST_INFO:', "if False:"
    ),
    Mutant(f"{ROOM}/timestamp.py", "if (name := _oid(kind)) in found:", "name = _oid(kind)\n        if False:"),
    Mutant(f"{ROOM}/timestamp.py", "if list(usage.value) != [ExtendedKeyUsageOID.TIME_STAMPING]:", "if False:"),
    Mutant(f"{ROOM}/trust_root.py", "if time not in self.window or not all(", "if not all("),
    Mutant(
        f"{ROOM}/trust_root.py",
        "if time not in self.window or not all(step.valid_at(time) for step in self.issuers):",
        "if time not in self.window:",
    ),
    Mutant(f"{ROOM}/trust_root.py", "if by.named_by(token) and by.valid_at(time)", "if by.named_by(token)"),
    Mutant(f"{ROOM}/trust_root.py", "(self.end is None or time <= self.end)", "(self.end is None or time < self.end)"),
    Mutant(f"{ROOM}/trust_root.py", "return self.start <= time and", "return True and"),
    Mutant(f"{ROOM}/trust_root.py", "if issuers and not issuers[0].issued(first, None):", "if False:"),
    Mutant(f"{ROOM}/trust_root.py", "self.issuers[0].issued(one, None)", "True"),
    Mutant(f"{ROOM}/certificate.py", " or child.issuer != self.name:", ":"),
    Mutant(f"{ROOM}/certificate.py", "_verify_signature(child, self.key)\n", "pass\n"),
    Mutant(f"{ROOM}/certificate.py", "return found if _depths_hold(found) else None", "return found"),
    Mutant(f"{ROOM}/certificate.py", "if usage is not None and not usage.key_cert_sign:", "if False:"),
    Mutant(f"{ROOM}/certificate.py", "if constraints is None or not constraints.ca:", "if False:"),
    Mutant(f"{ROOM}/certificate.py", "if not _depths_hold(found):", "if False:"),
    Mutant(
        f"{ROOM}/certificate.py",
        "if constraints is not None and constraints.ca:\n        yield",
        "if False:\n        yield",
    ),
    Mutant(
        f"{ROOM}/certificate.py",
        "if usage is not None and usage.key_cert_sign:\n        yield",
        "if False:\n        yield",
    ),
    Mutant(f"{ROOM}/certificate.py", "if fault := _unknown_critical(extensions, _CRITICAL_LEAF):", 'if fault := "":'),
    Mutant(f"{ROOM}/bundle.py", "if sum(item is not None for item in (chain, single, key)) != 1:", "if False:"),
    Mutant(f"{ROOM}/bundle.py", "if len(read.signatures) != 1:", "if False:"),
    Mutant(f"{ROOM}/formats.py", "certificates_in(leaf)[:1] if leaf else ()", "()"),
    Mutant(f"{ROOM}/formats.py", "if len(lines) > limits.EVIDENCE_PER_REQUEST:", "if False:"),
    Mutant(f"{ROOM}/links.py", "signed = [one for one in left if one.by(step)]", "signed = list(left)"),
    Mutant(f"{ROOM}/links.py", "            if not reasons:\n", "            if chosen:\n"),
    Mutant(f"{ROOM}/links.py", "if self.depth == limits.LAYOUT_DEPTH:", "if False:"),
    Mutant(f"{ROOM}/links.py", "(other for other in self.sublayouts if other is not one)", "self.sublayouts"),
    Mutant(f"{ROOM}/links.py", "found += [\n", "found = [\n"),
    Mutant(f"{ROOM}/links.py", "if (by := one.by(step))", "if (by := tuple(step.functionaries))"),
    Mutant(f"{ROOM}/link_evidence.py", "if signed.is_layout and has_inspections(signed.document):", "if False:"),
    Mutant(f"{ROOM}/link_evidence.py", "if not signed.is_layout\n", "if True\n"),
    Mutant(f"{ROOM}/layout.py", '.startswith("pgp+")', '.startswith("x")'),
    Mutant(f"{ROOM}/signed_metadata.py", "if found and all(_GNUPG in one for one in found):", "if False:"),
    Mutant(f"{ROOM}/provenance.py", "if known.spread is not None and", "if known.spread is not None or"),
    Mutant(f"{ROOM}/provenance.py", 'if _text(one, "name") not in _DEFINITIONS', ""),
    Mutant(f"{ROOM}/provenance.py", 'if _text(config, "repository") == place else None', ""),
    Mutant(
        f"{ROOM}/provenance.py", "server, repository, _ in sources}) != 1:", "server, repository, _ in sources}) < 1:"
    ),
    Mutant(
        f"{ROOM}/provenance.py",
        "_commit((said.source, *said.dependencies), server",
        "_commit(said.dependencies, server",
    ),
    Mutant(f"{ROOM}/keys.py", "names = self.hashes if only is None else (only,)", "names = self.hashes"),
    Mutant(f"{ROOM}/keys.py", ' or int.from_bytes(scalar, "little") >= _ORDER', ""),
    Mutant(f"{ROOM}/keys.py", "if sodium.crypto_scalarmult_ed25519_base_noclamp(scalar) != right:", "if False:"),
    Mutant(f"{ROOM}/keys.py", "return prehashed and", "return"),
    Mutant(f"{ROOM}/statement.py", "if len(set(names)) != len(names):", "if False:"),
    Mutant(f"{ROOM}/checkpoint.py", 'or "" in lines', ""),
)


if __name__ == "__main__":
    sys.exit(run(MUTANTS, TESTS, *sys.argv[1:2]))
