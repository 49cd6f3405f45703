"""Break each check of a verification once and see a test fail: `python tests/mutants/verification.py [part of a file]`.

As `policy.py` beside it: each row names a file, a text that stands in it exactly once, and what it is turned into. The
mutants run in a copy of the tree; a survivor, or a row whose text is gone, ends with exit code 1.
"""

# ruff: noqa: T201 - printing is its job
from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[2]
TESTS: Final = ("tests/unit/verification", "tests/conformance/test_suite.py")
PARTS: Final = ("gateway", "tests", "trust_roots", "pyproject.toml")


class Mutant(NamedTuple):
    file: str
    old: str
    new: str


MUTANTS: Final = (
    Mutant("verifier.py", "if root.not_after is not None and now > root.not_after:", "if False:"),
    Mutant("verifier.py", "elif token.time > trial.now + _SKEW:", "elif False:"),
    Mutant("verifier.py", "if entry.time > (trial.now + _SKEW).timestamp():", "if False:"),
    Mutant("verifier.py", "log = log_at(root.logs, entry.log_id, times)", "log = log_at(root.logs, entry.log_id, [])"),
    Mutant("verifier.py", "[trial.promised[place]] if place in trial.promised else trial.moments", "trial.moments"),
    Mutant("verifier.py", "if log.key.signed(entry.promise, promise.promised(entry)):", "if True:"),
    Mutant(
        "verifier.py",
        "if outside := [time for time in times if not leaf.not_before <= time <= leaf.not_after]:",
        "if outside := []:",
    ),
    Mutant(
        "verifier.py",
        "if all(time in authority.window and all(step.valid_at(time) for step in steps) for time in times):",
        "if all(all(step.valid_at(time) for step in steps) for time in times):",
    ),
    Mutant(
        "verifier.py",
        "if all(time in authority.window and all(step.valid_at(time) for step in steps) for time in times):",
        "if all(time in authority.window for time in times):",
    ),
    Mutant("verifier.py", "if marked and not allow_sandbox:", "if False:"),
    Mutant("verifier.py", "marked = leaf.sandbox or any(", "marked = any("),
    Mutant("verifier.py", "for fault in leaf.faults:", "for fault in ():"),
    Mutant("verifier.py", "elif len(seen) < wanted:", "elif False:"),
    Mutant(
        "verifier.py",
        "log = log_at(root.ct_logs, stamp.log_id, [sct.time_of(stamp)])",
        "log = log_at(root.ct_logs, stamp.log_id, [])",
    ),
    Mutant("verifier.py", "if data is None or not log.key.signed(stamp.signature, data):", "if data is None:"),
    Mutant(
        "verifier.py",
        "if fault:\n            trial.refuse(Code.LOG_PROOF",
        "if False:\n            trial.refuse(Code.LOG_PROOF",
    ),
    Mutant("verifier.py", "if other:\n", "if False:\n"),
    Mutant("verifier.py", "if len(trial.logged) < wanted.log and", "if False and"),
    Mutant("verifier.py", "if len(trial.stamped) < wanted.timestamp:", "if False:"),
    Mutant("verifier.py", "elif root.needs_time and not trial.times and", "elif False and"),
    Mutant("verifier.py", "if any(key.signed(signature, pae) for signature in envelope.signatures):", "if True:"),
    Mutant("verifier.py", "if key.signed(simple.signature, simple.payload):", "if True:"),
    Mutant("verifier.py", "if content.digest is None or file.get(hint) == content.digest", "if True"),
    Mutant(
        "verifier.py",
        "if named is not None and (outside := [time for time in times if time not in named.window]):",
        "if False:",
    ),
    Mutant("verifier.py", 'raise Malformed("certificate chain", "holds a root certificate")', "pass"),
    Mutant("verifier.py", "if second_opinion and not trial.reasons:", "if False:"),
    Mutant(
        "verifier.py",
        "key = (root.digest, trial.read.leaf_hash, issuing.key_hash)",
        'key = ("", trial.read.leaf_hash, issuing.key_hash)',
    ),
    Mutant("verifier.py", "_PATHS.proved((root.digest, read.leaf_hash)", '_PATHS.proved(("", read.leaf_hash)'),
    Mutant("inclusion.py", "if entry.time is None and entry.index != proof.index:", "if False:"),
    Mutant("inclusion.py", "if (checkpoint.root, checkpoint.size) != (proof.root, proof.size):", "if False:"),
    Mutant("inclusion.py", "proof.hashes) != proof.root:", "proof.hashes) is None:"),
    Mutant("inclusion.py", "line.name == checkpoint.signer and ", ""),
    Mutant("inclusion.py", "line.hint == log.hint and ", ""),
    Mutant("inclusion.py", "if entry.promise is None or entry.time is None:", "if False:"),
    Mutant("inclusion.py", "key = (log.key.fingerprint, hash", 'key = (b"", hash'),
    Mutant("entry.py", "if expected != body.digest:", "if False:"),
    Mutant("entry.py", "if any(signed.verifier != verifier for signed in body.signatures):", "if False:"),
    Mutant("entry.py", "if recorded not in ([None], list(signatures)):", "if False:"),
    Mutant("entry.py", "if said != (entry.kind, entry.version):", "if False:"),
    Mutant("entry.py", 'if body.over != "message":', "if False:"),
    Mutant("timestamp.py", "_HASHERS[token.imprint_algorithm](signature).digest() == token.imprint", "True"),
    Mutant(
        "timestamp.py", "and _HASHERS[token.digest_algorithm](token.info).digest() == token.content_digest", "and True"
    ),
    Mutant("timestamp.py", "return named and made.digest() == value", "return named"),
    Mutant("timestamp.py", "return named and made.digest() == value", "return made.digest() == value"),
    Mutant(
        "timestamp.py", "and by.key.signed(token.signature, token.attributes, only=token.signature_hash)", "and True"
    ),
    Mutant("timestamp.py", 'if _oid(der.single(found.get(_CONTENT_TYPE, b""), der.OID)) != _TST_INFO:', "if False:"),
    Mutant("timestamp.py", "if (name := _oid(kind)) in found:", "name = _oid(kind)\n        if False:"),
    Mutant("timestamp.py", "if list(usage.value) != [ExtendedKeyUsageOID.TIME_STAMPING]:", "if False:"),
    Mutant("trust_root.py", "if time not in self.window or not all(", "if not all("),
    Mutant(
        "trust_root.py",
        "if time not in self.window or not all(step.valid_at(time) for step in self.issuers):",
        "if time not in self.window:",
    ),
    Mutant("trust_root.py", "if by.named_by(token) and by.valid_at(time)", "if by.named_by(token)"),
    Mutant("trust_root.py", "(self.end is None or time <= self.end)", "(self.end is None or time < self.end)"),
    Mutant("trust_root.py", "return self.start <= time and", "return True and"),
    Mutant("trust_root.py", "if issuers and not issuers[0].issued(first, None):", "if False:"),
    Mutant("trust_root.py", "self.issuers[0].issued(one, None)", "True"),
    Mutant("certificate.py", "if child.issuer != self.name or (", "if ("),
    Mutant("certificate.py", "_verify_signature(child, self.key)\n", "pass\n"),
    Mutant("certificate.py", "return found if _depths_hold(found) else None", "return found"),
    Mutant("certificate.py", "if usage is not None and not usage.key_cert_sign:", "if False:"),
    Mutant("certificate.py", "if constraints is None or not constraints.ca:", "if False:"),
    Mutant("certificate.py", "if not _depths_hold(found):", "if False:"),
    Mutant(
        "certificate.py", "if constraints is not None and constraints.ca:\n        yield", "if False:\n        yield"
    ),
    Mutant(
        "certificate.py", "if usage is not None and usage.key_cert_sign:\n        yield", "if False:\n        yield"
    ),
    Mutant("certificate.py", "if fault := _unknown_critical(extensions, _CRITICAL_LEAF):", 'if fault := "":'),
    Mutant("bundle.py", "if sum(item is not None for item in (chain, single, key)) != 1:", "if False:"),
    Mutant("bundle.py", "if len(read.signatures) != 1:", "if False:"),
    Mutant("keys.py", "names = self.hashes if only is None else (only,)", "names = self.hashes"),
    Mutant("statement.py", "if len(set(names)) != len(names):", "if False:"),
    Mutant("checkpoint.py", 'or "" in lines', ""),
)


def main(wanted: str) -> int:
    mutants = [mutant for mutant in MUTANTS if wanted in mutant.file]
    bad = []
    with tempfile.TemporaryDirectory() as name:
        tree = Path(name) / "main"
        tree.mkdir()
        (Path(name) / "shared").symlink_to(ROOT.parent / "shared")  # the real bundles
        for part in PARTS:
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, tree / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, tree / part)
        if not _tests_pass(tree):
            print("the tests fail without any mutant")
            return 1
        for mutant in mutants:
            path = tree / "gateway" / "verification" / mutant.file
            text = path.read_text()
            if text.count(mutant.old) != 1:
                bad.append(mutant)
                print(f"STALE    {mutant.file}: {mutant.old!r}")
                continue
            path.write_text(text.replace(mutant.old, mutant.new))
            if _tests_pass(tree):
                bad.append(mutant)
                print(f"SURVIVED {mutant.file}: {mutant.old!r} -> {mutant.new!r}")
            path.write_text(text)
    print(f"{len(mutants) - len(bad)} of {len(mutants)} mutants killed")
    return 1 if bad else 0


def _tests_pass(tree: Path) -> bool:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *TESTS]
    return subprocess.run(command, cwd=tree, capture_output=True, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ""))
