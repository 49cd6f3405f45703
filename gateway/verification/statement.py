"""in-toto statements, v0.1 and v1: what an envelope's payload says it is about.

Specification: https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md. The bindings read v1 alone, and
most real statements are v0.1, so this is a reader of our own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway import limits
from gateway.errors import Malformed
from gateway.model.digest import ALGORITHMS, STRONG, Digest
from gateway.model.evidence import Subject
from gateway.strict import json
from gateway.strict.json import Json, Object

_TYPES: Final = frozenset({"https://in-toto.io/Statement/v0.1", "https://in-toto.io/Statement/v1"})
_ABOUT: Final = "statement"


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement with its predicate unread."""

    predicate_type: str
    subjects: tuple[Subject, ...]
    predicate: Json


def read_statement(payload: bytes) -> Statement:
    """Read a statement; raises `Malformed` where it names nothing, nothing comparable, or one name twice."""
    document = json.parse_object(payload, _ABOUT, limit=limits.EVIDENCE_BYTES)
    if json.field(document, "_type", str, _ABOUT) not in _TYPES:
        raise Malformed(f"{_ABOUT}._type", "not an in-toto statement of version 0.1 or 1")
    predicate_type = json.field(document, "predicateType", str, _ABOUT)
    if not predicate_type:
        raise Malformed(f"{_ABOUT}.predicateType", "is empty")
    found = json.items(document, "subject", dict, _ABOUT, most=limits.STATEMENT_SUBJECTS)
    if not found:
        raise Malformed(f"{_ABOUT}.subject", "is empty")
    subjects = tuple(_subject(item, f"{_ABOUT}.subject[{index}]") for index, item in enumerate(found))
    names = [subject.name for subject in subjects]
    if len(set(names)) != len(names):
        raise Malformed(f"{_ABOUT}.subject", "one name is given twice")
    return Statement(predicate_type, subjects, document.get("predicate"))


def _subject(item: Object, about: str) -> Subject:
    # GitHub's release attestations name a subject by its URI.
    name = json.optional(item, "name", str, about) or json.optional(item, "uri", str, about)
    known = read_digests(json.field(item, "digest", dict, about), about)
    if not any(digest.algorithm in STRONG for digest in known):
        raise Malformed(f"{about}.digest", "no sha256, sha384 or sha512")
    return Subject(name, known)


def read_digests(found: Object, about: str) -> tuple[Digest, ...]:
    """Read those of a digest set's members that can be computed here; raises `Malformed`."""
    return tuple(
        Digest.parse(f"{algorithm}:{json.expect(value, str, about)}")
        for algorithm, value in sorted(found.items())
        if algorithm in ALGORITHMS
    )
