"""What is fuzzed: each reader of strangers' bytes, the errors it may raise, and good inputs to start from.

A target runs a reader and whatever follows on what it read, and asserts what must hold of a value. `one.py` feeds a
target, `run.py` feeds them all; tests/corpus/test_fuzz.py keeps targets and seeds in step with the readers.
"""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from gateway.ecosystems import oci_manifest, pypi_index
from gateway.ecosystems.oci_evidence import candidate
from gateway.ecosystems.protocol import View
from gateway.ecosystems.pypi_distribution import read_distribution, read_metadata
from gateway.ecosystems.pypi_form import FormReceiver
from gateway.errors import ConfigurationError, Malformed
from gateway.model.digest import Digest
from gateway.model.evidence import Evidence, EvidenceRef, Format, Source
from gateway.policy import load_policy
from gateway.sandbox import Shape
from gateway.strict import json as strict_json
from gateway.strict import yaml as strict_yaml
from gateway.strict.archive import read_tar_gz, read_zip
from gateway.strict.multipart import PartData, Reader
from gateway.verification import TRUSTED_ROOT, TrustRootSettings, build_trust_root, detect, pieces, verify
from gateway.verification.bundle import Content, Envelope, LogEntry
from gateway.verification.certificate import read_leaf
from gateway.verification.checkpoint import read_checkpoint
from gateway.verification.cosign import read_subject
from gateway.verification.entry import KINDS, difference, read_body
from gateway.verification.formats import read
from gateway.verification.layout import read_layout
from gateway.verification.provenance import read_provenance
from gateway.verification.signed_metadata import read_metadata as read_in_toto
from gateway.verification.statement import read_statement
from gateway.verification.summary import read_summary
from gateway.verification.timestamp import read_token
from tests.fuzz import seeds
from tests.lab import layouts
from tests.lab import sigstore as lab
from tests.lab.findings import FILE, root

LIMIT: Final = 1 << 20
FORM: Final = f"multipart/form-data; boundary={seeds.BOUNDARY}"
INDEX: Final = "https://registry.example/simple/acme-lib/"


@dataclass(frozen=True, slots=True)
class Target:
    """One reader; `structured` inputs are JSON, which is also spoiled inside its strings of base64."""

    read: Callable[[bytes], object]
    seeds: Callable[[], list[bytes]]
    may_raise: tuple[type[Exception], ...] = (Malformed,)
    structured: bool = False

    def attempt(self, data: bytes) -> bool:
        """Read; whether there was a value. What the reader may not raise comes through."""
        try:
            self.read(data)
        except self.may_raise:
            return False
        return True


def _evidence(form: Format) -> Callable[[bytes], None]:
    """Read evidence of a form and everything in it, each part by itself."""

    def read_all(data: bytes) -> None:
        bundle = read(data, form)
        for der in bundle.certificates:
            _also(partial(read_leaf, der))
        for stamp in bundle.timestamps:
            _also(partial(read_token, stamp))
        for entry in bundle.entries:
            if (entry.kind, entry.version) in KINDS:
                _also(partial(_entry, entry, bundle.content))
        if isinstance(bundle.content, Envelope):
            _also(partial(_statement, bundle.content.payload))

    return read_all


def _also(inner: Callable[[], object]) -> None:
    try:
        inner()
    except Malformed:
        return


def _entry(entry: LogEntry, content: Content) -> None:
    assert isinstance(difference(read_body(entry), content, b"", {}), str)


def _statement(data: bytes) -> None:
    statement = read_statement(data)
    assert statement.subjects
    _also(partial(read_provenance, statement))
    _also(partial(read_summary, statement))


def _verification(data: bytes) -> None:
    """Verify under roots that know the seeds' signer: whatever is accepted covers what was signed, and no more."""
    assert detect(data) in Format
    for piece in pieces(data):
        evidence = Evidence(EvidenceRef("id", Format.UNKNOWN, Source.LOCKER), piece)
        roots = [root(Shape.LOG_V1), root(Shape.TIMESTAMP)]
        for found in verify(evidence, roots, [FILE], lab.NOW, allow_sandbox=True, second_opinion=False):
            assert (found.attestation is None) == bool(found.reasons)
            assert all(reason.line().isascii() for reason in found.reasons)
            if found.attestation is not None:
                assert found.attestation.signer == lab.SIGNER
                assert [subject.digests for subject in found.attestation.covers] == [FILE]


def _layout(data: bytes) -> None:
    found = read_layout(data)
    assert found.steps
    assert found.signed.message


def _link(data: bytes) -> None:
    """Read a link or a sublayout, and judge it as a step of a release whose other steps are good."""
    signed = read_in_toto(data)
    _also(lambda: signed.message)
    parts = (layouts.fetch(), layouts.build("bob"), layouts.compile_(), layouts.pack())
    for found in layouts.find([data, *(parts if signed.is_layout else layouts.links()[1:])]):
        assert (found.attestation is None) == bool(found.reasons)
        assert all(reason.line().isascii() for reason in found.reasons)
        if found.attestation is not None:
            digests = {digest for subject in found.attestation.covers for digest in subject.digests}
            assert digests <= {*layouts.FILE}


def _checkpoint(data: bytes) -> None:
    found = read_checkpoint(data.decode(errors="replace"))
    assert found.signatures
    assert len(found.root) == 32
    assert found.envelope.encode().startswith(found.note)


def _trust_root(data: bytes) -> None:
    thresholds = {"sct": 1, "log": 1, "timestamp": 0}
    settings = {"kind": "sigstore", "source": {"file": TRUSTED_ROOT}, "thresholds": thresholds, "owner": "nobody"}
    build_trust_root("fuzz", TrustRootSettings.model_validate(settings), {TRUSTED_ROOT: data})


def _json(data: bytes) -> None:
    assert strict_json.parse(data, "document", limit=LIMIT) == json.loads(data.decode())


def _multipart(data: bytes) -> None:
    """Read a form whole and in pieces of a size that the first byte chooses: both must come to the same."""
    step, body = 1 + (data[0] if data else 0), data[1:]
    pieces_of_it = [body[at : at + step] for at in range(0, len(body), step)]
    assert _parts([body]) == _parts(pieces_of_it)
    form = FormReceiver(FORM, io.BytesIO(), LIMIT)
    for piece in pieces_of_it:
        form.feed(piece)
    form.finish()
    assert form.digests()


def _parts(chunks: list[bytes]) -> object:
    """What a form holds, as far as it can be read, with the data of each part joined; or the error."""
    reader, found = Reader(FORM), list[object]()
    try:
        for chunk in chunks:
            for event in reader.feed(chunk):
                if isinstance(event, PartData) and found and isinstance(found[-1], bytes):
                    found[-1] += event.data
                else:
                    found.append(event.data if isinstance(event, PartData) else event)
        reader.close()
    except Malformed:
        return "malformed"
    return found


def _zip(data: bytes) -> None:
    archive = read_zip(io.BytesIO(data), "archive")
    for path in archive.files:
        _also(partial(archive.read, path, LIMIT))


def _tar_gz(data: bytes) -> None:
    packed = data if data.startswith(b"\x1f\x8b") else gzip.compress(data, 1, mtime=0)
    read_tar_gz(io.BytesIO(packed), "archive", keep=lambda path: path.endswith("INFO"), limit=LIMIT)


def _wheel(data: bytes) -> None:
    assert read_distribution(io.BytesIO(data), seeds.WHEEL).claims


def _yaml(data: bytes) -> None:
    assert strict_yaml.load(TrustRootSettings, data.decode(errors="replace"), "file").position(("owner",))


def _policy(data: bytes) -> None:
    assert load_policy({"policy.yaml": data.decode(errors="replace")}).rules


def _index(data: bytes) -> None:
    """Read a page and write it for three readers: nothing of it may be markup of the registry's own."""
    held = pypi_index.files(INDEX, data)
    accepted = dict.fromkeys((one.canonical for one in held), "0" * 64)
    hidden = dict.fromkeys(accepted, "0" * 64)
    for view in (View(), View(accepted=accepted), View(withheld=hidden)):
        written = pypi_index.page(INDEX, data, view) + pypi_index.index("https://registry.example/simple/", data, view)
        assert b"<script" not in written.lower()
        if view.withheld:
            assert b"/packages/" not in written


def _manifest(data: bytes) -> None:
    """Read a manifest under each type it may be sent as: at most one takes it, unless it leaves its own out."""
    taken = [found for found in (_sent_as(kind, data) for kind in oci_manifest.KINDS) if found]
    if not taken:
        raise Malformed("manifest", "taken under no type")
    assert len({found.kind for found in taken}) == 1


def _sent_as(kind: str, data: bytes) -> oci_manifest.Manifest | None:
    try:
        found = oci_manifest.read_manifest(data, kind)
    except Malformed:
        return None
    assert not (found.blobs and found.children)
    kept = oci_manifest.content(found, Digest("sha256", "0" * 64), data)
    assert set(kept.links) == {one.digest for one in (*found.blobs, *found.children)}
    _also(partial(candidate, found))
    return found


TARGETS: Final = {
    "bundle": Target(_evidence(Format.BUNDLE), seeds.bundles, structured=True),
    "pep740": Target(_evidence(Format.PEP740), seeds.attestations, structured=True),
    "envelope": Target(_evidence(Format.DSSE), seeds.envelopes, structured=True),
    "cosign": Target(_evidence(Format.COSIGN), seeds.cosign, structured=True),
    "simple-signing": Target(read_subject, seeds.simple_signing, structured=True),
    "statement": Target(_statement, seeds.statements, structured=True),
    "layout": Target(_layout, seeds.layouts, structured=True),
    "link": Target(_link, seeds.links, structured=True),
    "checkpoint": Target(_checkpoint, seeds.checkpoints),
    "certificate": Target(read_leaf, seeds.certificates),
    "timestamp": Target(read_token, seeds.timestamps),
    "trust-root": Target(_trust_root, seeds.trust_roots, structured=True),
    "verification": Target(_verification, seeds.bundles, structured=True),
    "json": Target(_json, seeds.documents),
    "multipart": Target(_multipart, seeds.forms),
    "zip": Target(_zip, seeds.zips),
    "tar-gz": Target(_tar_gz, seeds.tars),
    "wheel": Target(_wheel, seeds.wheels),
    "metadata": Target(lambda data: read_metadata(data, "METADATA"), seeds.metadata),
    "yaml": Target(_yaml, seeds.settings, may_raise=(ConfigurationError,)),
    "policy": Target(_policy, seeds.policies, may_raise=(ConfigurationError,)),
    "index": Target(_index, seeds.pages),
    "manifest": Target(_manifest, seeds.manifests, structured=True),
}
