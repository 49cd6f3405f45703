"""Records and intents as a publish writes them: an accepted upload of one file, and its intent."""

from __future__ import annotations

import hashlib
from typing import Any

from gateway.model.decision import Decision, Outcome
from gateway.model.digest import Digest
from gateway.model.evidence import Evidence, EvidenceRef, Format, Source
from gateway.model.intent import Intent, IntentFile, Record
from gateway.model.upload import File, Registry, Upload
from tests.lab import cases


def sha256(text: str) -> str:
    """The digest of a file whose bytes are this text."""
    return hashlib.sha256(text.encode()).hexdigest()


def file(name: str = cases.WHEEL, content: str = "good") -> File:
    """One file, whose name is its canonical name."""
    return cases.file(name=name, canonical=name, digests=(Digest("sha256", sha256(content)),))


def upload(*files: File, registry: str = "python", **changed: Any) -> Upload:
    """An upload of these files."""
    return cases.upload(files=files or (file(),), registry=Registry(registry, "pypi"), **changed)


def decision(**changed: Any) -> Decision:
    """An acceptance by `ci()`."""
    values: dict[str, Any] = {
        "outcome": Outcome.ACCEPT,
        "checks": (),
        "reasons": (),
        "rule": "acme-python",
        "policy": "0" * 64,
        "signer": cases.ci(),
    }
    return Decision(**(values | changed))


def record(id_: str, of: Upload | None = None, **changed: Any) -> Record:
    """An accepted upload's record."""
    case = cases.case(of=of or upload())
    values: dict[str, Any] = {
        "id": id_,
        "at": case.at,
        "case": case,
        "decision": decision(),
        "registry": case.upload.registry.name,
        "grant": case.grant.id,
    }
    return Record(**(values | changed))


def intent(of: Record) -> Intent:
    """The intent of a record."""
    assert of.case is not None
    sent = of.case.upload
    files = tuple(IntentFile(f.name, f.canonical, f.sha256, f.size) for f in sent.files)
    return Intent(of.id, of.registry, sent.name, sent.version, files, of.at)


def evidence(text: str = "a bundle", form: Format = Format.BUNDLE, source: Source = Source.REQUEST) -> Evidence:
    """A piece of evidence whose bytes are this text."""
    return Evidence(EvidenceRef(sha256(text), form, source), text.encode())
