"""Checks that evidence is for this file: for all of its digests, and by a name it goes by."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.errors import Malformed
from gateway.model.decision import Check
from gateway.model.digest import ALGORITHMS, STRONG, Digest
from gateway.model.evidence import Subject
from gateway.model.names import canonical_file
from gateway.model.upload import File, Upload
from gateway.policy.checks.results import either, failed, passed, skipped
from gateway.reasons import Code, Reason


def covers(
    subjects: Sequence[Subject], file: File, upload: Upload, *, unbound: bool, copied: bool = False
) -> tuple[Check, ...]:
    """One subject has every digest of the file that can be computed, and a name of the file's (CONTRACTS C.5, C.6).

    `unbound` lets a subject without a name pass, never one with another name. `copied` says that another name is none:
    the signature of a copied image carries the reference that it was first signed under.
    """
    matched = [subject for subject in subjects if _right(subject, file) and _wrong(subject, file) is None]
    if not matched:
        missed = _digest_mismatch(subjects, file, upload)
        return (failed("digest", file.name, missed), skipped("evidence-name", file.name, "nothing covers this file"))
    digest = next(digest for digest in matched[0].digests if digest in file.digests and digest.algorithm in STRONG)
    same_bytes = passed("digest", file.name, str(digest), str(digest))
    named = next((subject for subject in matched if _names(subject.name, file, upload)), None)
    expected = either(sorted({file.name, _purl(upload)}))
    if named is not None:
        return same_bytes, passed("evidence-name", file.name, expected, named.name or "")
    got = either([subject.name for subject in matched if subject.name is not None][:3]) or "evidence that names nothing"
    if unbound and (copied or any(subject.name is None for subject in matched)):
        return same_bytes, passed("evidence-name", file.name, "no name asked for (unsafe_unbound_name)", got)
    return same_bytes, failed("evidence-name", file.name, Reason(Code.EVIDENCE_NAME_MISMATCH, file.name, expected, got))


def _right(subject: Subject, file: File) -> bool:
    """A strong digest is the file's: nobody may get by with md5 or sha1 alone."""
    return any(digest.algorithm in STRONG and digest in file.digests for digest in subject.digests)


def _wrong(subject: Subject, file: File) -> Digest | None:
    """The first digest that is not the file's; one that could be computed and was not is wrong too."""
    return next((one for one in subject.digests if one.algorithm in ALGORITHMS and one not in file.digests), None)


def _digest_mismatch(subjects: Sequence[Subject], file: File, upload: Upload) -> Reason:
    """Say which digest differs, in the subject that comes nearest: a right digest first, then the right name."""
    near = sorted(subjects, key=lambda one: (not _right(one, file), not _names(one.name, file, upload)))
    for subject in near:
        wrong = _wrong(subject, file)
        if wrong is not None:
            measured = file.digest(wrong.algorithm)
            got = f"{wrong.algorithm}:{measured}" if measured else f"no {wrong.algorithm} of the upload"
            return Reason(Code.DIGEST_MISMATCH, file.name, str(wrong), got)
    return Reason(Code.DIGEST_MISMATCH, file.name, "evidence with a strong digest", f"sha256:{file.sha256}")


def _names(name: str | None, file: File, upload: Upload) -> bool:
    if name is None:
        return False
    if name in file.names or name in {_purl(upload), f"{upload.purl}@{upload.canonical_version}"}:
        return True
    try:
        return canonical_file(upload.registry.ecosystem, name) in file.names
    except Malformed:
        return False


def _purl(upload: Upload) -> str:
    return f"{upload.purl}@{upload.version}"
