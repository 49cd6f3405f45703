"""The small readers: Merkle paths, checkpoints, bundles, statements, the memory; good ones and near misses."""

from __future__ import annotations

import base64
import copy
import dataclasses
import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from gateway import limits
from gateway.errors import Malformed, TooLarge
from gateway.model.digest import Digest
from gateway.model.evidence import Format, Subject
from gateway.sandbox import Shape
from gateway.verification import detect, inclusion, pieces
from gateway.verification.bundle import Envelope, MessageSignature, read_bundle, read_pep740
from gateway.verification.checkpoint import read_checkpoint
from gateway.verification.entry import KINDS, EntryBody, Signed, difference, read_body
from gateway.verification.memory import Memory
from gateway.verification.merkle import leaf_hash, root_of
from gateway.verification.statement import read_statement
from tests.lab import sigstore as lab
from tests.lab.findings import made, root_with


def _tree(leaves: list[bytes]) -> bytes:
    """The root of a whole tree, as RFC 9162 defines it (2.1.1), by recursion."""
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + _tree(leaves[:split]) + _tree(leaves[split:])).digest()


def _path(leaves: list[bytes], index: int) -> list[bytes]:
    if len(leaves) == 1:
        return []
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if index < split:
        return [*_path(leaves[:split], index), _tree(leaves[split:])]
    return [*_path(leaves[split:], index - split), _tree(leaves[:split])]


@pytest.mark.parametrize("size", range(1, 18))
def test_a_path_leads_to_the_root_from_every_place_and_from_no_other(size: int) -> None:
    leaves = [bytes([number]) for number in range(size)]
    root = _tree(leaves)
    for index in range(size):
        path = _path(leaves, index)
        leaf = leaf_hash(leaves[index])
        assert root_of(leaf, index, size, path) == root
        assert root_of(leaf, index, size, [*path, root]) is None
        assert root_of(leaf_hash(b"other"), index, size, path) != root
        for other in range(size):
            if other != index:
                assert root_of(leaf, other, size, path) != root
        if path:
            assert root_of(leaf, index, size, path[:-1]) is None


@pytest.mark.parametrize(("index", "size"), [(-1, 1), (1, 1), (0, 0), (5, 3)])
def test_a_place_outside_the_tree_has_no_root(index: int, size: int) -> None:
    assert root_of(b"", index, size, []) is None


ROOT = base64.b64encode(b"r" * 32).decode()
LINE = "\u2014 log.acme.example " + base64.b64encode(b"hint" + b"s" * 64).decode()
NOTE = f"log.acme.example\n12\n{ROOT}\n\n{LINE}\n"


def test_a_checkpoint_is_read_with_its_signatures() -> None:
    found = read_checkpoint(NOTE)
    assert (found.origin, found.size, found.root, found.signer) == ("log.acme.example", 12, b"r" * 32, found.origin)
    assert found.note == f"log.acme.example\n12\n{ROOT}\n".encode()
    assert [(s.name, s.hint, s.signature) for s in found.signatures] == [("log.acme.example", b"hint", b"s" * 64)]


def test_a_first_generation_checkpoint_is_signed_under_the_host_alone() -> None:
    found = read_checkpoint(
        NOTE.replace("log.acme.example\n", "log.acme.example - 123\n", 1).replace("\n\n", "\nTimestamp: 1\n\n")
    )
    assert (found.origin, found.signer) == ("log.acme.example - 123", "log.acme.example")


@pytest.mark.parametrize(
    "note",
    [
        *("", "\n", "\n\n", NOTE[:-1], NOTE + "\n", NOTE + "x\n", NOTE.replace("\n\n", "\n")),
        NOTE.replace(ROOT, f"{ROOT}\n\nmore"),
        NOTE.replace("12", "-12"),
        NOTE.replace("12", "012"),
        NOTE.replace("12", "1e3"),
        NOTE.replace("12", "\u0661\u0662"),
        NOTE.replace("12", ""),
        NOTE.replace("12", "1" * 21),
        NOTE.replace(ROOT, ROOT[:-4]),
        NOTE.replace(ROOT, "!" + ROOT[1:]),
        NOTE.replace(ROOT, ""),
        NOTE.replace("\u2014", "-"),
        NOTE.replace("\u2014 log.acme.example ", "\u2014 "),
        NOTE.replace(LINE, LINE[:-1]),
        NOTE.replace(LINE, "\u2014 x " + base64.b64encode(b"hint").decode()),
        NOTE + f"{LINE}\n" * limits.CHECKPOINT_SIGNATURES,
    ],
)
def test_a_checkpoint_that_is_not_quite_one_is_malformed(note: str) -> None:
    with pytest.raises(Malformed):
        read_checkpoint(note)


def _spoil(body: bytes, change: Callable[[Any], object]) -> bytes:
    document = json.loads(body)
    change(document)
    return json.dumps(document).encode()


def _entry(document: Any) -> Any:
    return document["verificationMaterial"]["tlogEntries"][0]


BUNDLE = made(None, Shape.LOG_V1_TIMESTAMP, "statement")
MESSAGE = made(None, Shape.LOG_V1, "digest")


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.pop("mediaType"),
        lambda d: d.update(mediaType="application/vnd.dev.sigstore.bundle+json;version=0.4"),
        lambda d: d.update(mediaType="application/vnd.dev.sigstore.bundle.v0.3+json\n"),
        lambda d: d.update(mediaType="application/vnd.dev.sigstore.bundle+json;version=0.2"),  # it has no chain
        lambda d: d.update(mediaType=3),
        lambda d: d.pop("dsseEnvelope"),
        lambda d: d.update(messageSignature={"signature": "AAAA"}),
        lambda d: d["verificationMaterial"].update(publicKey={}),
        lambda d: d["verificationMaterial"].pop("certificate"),
        lambda d: d["verificationMaterial"]["certificate"].update(rawBytes=""),
        lambda d: d["verificationMaterial"].update(tlogEntries={}),
        lambda d: _entry(d).update(logIndex="-1"),
        lambda d: _entry(d).update(logIndex=1.0),
        lambda d: _entry(d).update(logIndex="01"),
        lambda d: _entry(d).update(logIndex="0x1"),
        lambda d: _entry(d).update(logIndex="1\n"),
        lambda d: _entry(d).update(logIndex=True),
        lambda d: _entry(d).update(logIndex=str(2**63)),
        lambda d: _entry(d).update(integratedTime="now"),
        lambda d: _entry(d).pop("logId"),
        lambda d: _entry(d).pop("kindVersion"),
        lambda d: _entry(d).pop("canonicalizedBody"),
        lambda d: _entry(d).update(canonicalizedBody=_entry(d)["canonicalizedBody"] + "="),
        lambda d: _entry(d)["inclusionPromise"].update(signedEntryTimestamp=""),
        lambda d: _entry(d)["inclusionProof"].update(rootHash="AAAA"),
        lambda d: _entry(d)["inclusionProof"].update(hashes=["AAAA"]),
        lambda d: _entry(d)["inclusionProof"].update(hashes=[None]),
        lambda d: _entry(d)["inclusionProof"]["checkpoint"].update(envelope=""),
        lambda d: d["verificationMaterial"]["timestampVerificationData"].update(rfc3161Timestamps=[{}]),
        lambda d: d["dsseEnvelope"].update(signatures=[]),
        lambda d: d["dsseEnvelope"].update(signatures=d["dsseEnvelope"]["signatures"] * 2),
        lambda d: d["dsseEnvelope"].update(payload="AAA"),
        lambda d: d["dsseEnvelope"].update(payload="AB=="),  # trailing bits
        lambda d: d["dsseEnvelope"].update(payload=None),
    ],
)
def test_a_bundle_with_one_field_spoiled_is_malformed(change: Callable[[Any], object]) -> None:
    read_bundle(BUNDLE)
    with pytest.raises(Malformed):
        read_bundle(_spoil(BUNDLE, change))


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["verificationMaterial"].update(tlogEntries=[_entry(d)] * (limits.LOG_ENTRIES + 1)),
        lambda d: _entry(d)["inclusionProof"].update(hashes=[ROOT] * (limits.INCLUSION_HASHES + 1)),
        lambda d: d["verificationMaterial"]["timestampVerificationData"].update(
            rfc3161Timestamps=[{"signedTimestamp": "AAAA"}] * (limits.TIMESTAMPS + 1)
        ),
        lambda d: d["dsseEnvelope"].update(signatures=d["dsseEnvelope"]["signatures"] * (limits.SIGNATURES + 1)),
        lambda d: d.update(x="x" * limits.EVIDENCE_BYTES),
        lambda d: d.update(x=json.loads("[" * 80 + "]" * 80)),
        lambda d: d.update(x=10**40),
    ],
)
def test_a_bundle_over_a_bound_says_so(change: Callable[[Any], object]) -> None:
    with pytest.raises(TooLarge):
        read_bundle(_spoil(BUNDLE, change))


@pytest.mark.parametrize(
    "text",
    [
        BUNDLE.replace(b'"mediaType"', b'"mediaType": "x", "mediaType"', 1),
        BUNDLE.replace(b'"payload"', b'"payload": "", "payload"', 1),
        b"\xef\xbb\xbf" + BUNDLE,
        BUNDLE + b"{}",
        BUNDLE[:-1],
        BUNDLE.decode().encode("utf-16"),
        b"",
        b"null",
        b"[]",
    ],
)
def test_a_bundle_that_two_readers_could_read_differently_is_malformed(text: bytes) -> None:
    with pytest.raises(Malformed):
        read_bundle(text)


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(version=2),
        lambda d: d.update(version=True),
        lambda d: d.pop("version"),
        lambda d: d["verification_material"].update(transparency_entries=[]),
        lambda d: d["verification_material"].pop("certificate"),
        lambda d: d["envelope"].pop("statement"),
        lambda d: d["envelope"].update(signature="!"),
    ],
)
def test_an_attestation_with_one_field_spoiled_is_malformed(change: Callable[[Any], object]) -> None:
    good = lab.publish_attestation_of()
    read_pep740(good)
    with pytest.raises(Malformed):
        read_pep740(_spoil(good, change))


@pytest.mark.parametrize("shape", [shape for shape in Shape if shape is not Shape.TIMESTAMP])
def test_every_kind_of_entry_is_read(shape: Shape) -> None:
    (entry,) = read_bundle(made(None, shape, "statement")).entries
    assert (entry.kind, entry.version) in KINDS
    assert len(read_body(entry).signatures) == 1


STATEMENT: dict[str, Any] = {
    "_type": "https://in-toto.io/Statement/v1",
    "subject": [{"name": "a.txt", "digest": {"sha256": "1" * 64, "gitCommit": "2" * 40}}],
    "predicateType": "https://acme.example/p",
    "predicate": {"a": 1},
}


@pytest.mark.parametrize("version", ["v0.1", "v1"])
def test_statements_of_both_versions_are_read_with_the_digests_we_compute(version: str) -> None:
    found = read_statement(json.dumps(STATEMENT | {"_type": f"https://in-toto.io/Statement/{version}"}).encode())
    assert found.subjects == (Subject("a.txt", (Digest("sha256", "1" * 64),)),)
    assert (found.predicate_type, found.predicate) == ("https://acme.example/p", {"a": 1})


def test_a_subject_may_be_named_by_its_uri_or_not_at_all() -> None:
    one, two = ({"digest": {"sha512": number * 128}} for number in "12")
    found = read_statement(json.dumps(STATEMENT | {"subject": [{"uri": "pkg:a/b", **one}, two]}).encode())
    assert [subject.name for subject in found.subjects] == ["pkg:a/b", None]


@pytest.mark.parametrize(
    "change",
    [
        {"_type": "https://in-toto.io/Statement/v2"},
        {"_type": None},
        {"subject": []},
        {"subject": None},
        {"subject": {}},
        {"subject": [{"name": "a"}]},
        {"subject": [{"name": "a", "digest": {}}]},
        {"subject": [{"name": "a", "digest": {"gitCommit": "1" * 40}}]},
        {"subject": [{"name": "a", "digest": {"sha1": "1" * 40}}]},
        {"subject": [{"name": "a", "digest": {"sha256": "A" * 64}}]},
        {"subject": [{"name": "a", "digest": {"sha256": "1" * 63}}]},
        {"subject": [{"name": "a", "digest": {"sha256": "1" * 64, "sha512": "1"}}]},
        {"subject": [{"name": "a", "digest": {"sha256": 1}}]},
        {"subject": [{"name": 1, "digest": {"sha256": "1" * 64}}]},
        {"subject": STATEMENT["subject"] * 2},
        {"subject": [{"digest": {"sha256": number * 64}} for number in "12"]},
        {"subject": [{"name": str(n), "digest": {"sha256": "1" * 64}} for n in range(limits.STATEMENT_SUBJECTS + 1)]},
        {"predicateType": ""},
        {"predicateType": None},
    ],
)
def test_a_statement_about_nothing_or_twice_about_one_name_is_malformed(change: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        read_statement(json.dumps(STATEMENT | change).encode())


@pytest.mark.parametrize(
    ("body", "form"),
    [
        (BUNDLE, Format.BUNDLE),
        (MESSAGE, Format.BUNDLE),
        (lab.publish_attestation_of(), Format.PEP740),
        (b'{"payloadType": "", "payload": "", "signatures": []}', Format.DSSE),
        (b'{"payload": "", "annotations": {}}', Format.COSIGN),
        (b'{"signed": {}, "signatures": []}', Format.LAYOUT),
        (b"{}", Format.UNKNOWN),
        (b"junk", Format.UNKNOWN),
        (b'{"mediaType": "", "mediaType": ""}', Format.UNKNOWN),
    ],
)
def test_a_format_is_told_by_its_keys(body: bytes, form: Format) -> None:
    assert detect(body) is form


def test_lines_of_json_are_pieces_and_a_document_over_several_lines_is_one() -> None:
    assert pieces(b'{"a": 1}\n\n{"b": 2}\r\n') == (b'{"a": 1}', b'{"b": 2}\r')
    pretty = json.dumps(copy.deepcopy(STATEMENT), indent=1).encode()
    assert pieces(pretty) == (pretty,)
    assert pieces(b"") == (b"",)
    with pytest.raises(TooLarge):
        pieces(b"{}\n" * (limits.EVIDENCE_PER_REQUEST + 1))


def test_the_memory_keeps_successes_alone_and_no_more_than_its_size() -> None:
    memory: Memory[int, int] = Memory(2)
    asked: list[int] = []

    def prove(number: int, result: int | None) -> int | None:
        asked.append(number)
        return result

    assert memory.proved(1, lambda: prove(1, None)) is None
    assert memory.proved(1, lambda: prove(1, 10)) == 10
    assert memory.proved(1, lambda: prove(1, None)) == 10
    assert asked == [1, 1]
    for number in (2, 3):
        memory.proved(number, lambda number=number: prove(number, number))  # type: ignore[misc]
    assert memory.proved(1, lambda: prove(1, None)) is None
    memory.clear()
    assert memory.proved(3, lambda: prove(3, None)) is None


ENVELOPE = Envelope("application/vnd.in-toto+json", b"payload", (b"signature",))
PLAIN = MessageSignature(b"signature", None, None)
DIGESTS = {"sha256": hashlib.sha256(b"file").digest()}
OVER_PAYLOAD = EntryBody("payload", "sha256", hashlib.sha256(b"payload").digest(), (Signed(b"signature", b"key"),))
OVER_PAE = dataclasses.replace(OVER_PAYLOAD, over="message", digest=hashlib.sha256(ENVELOPE.pae).digest())
OVER_FILE = dataclasses.replace(OVER_PAYLOAD, over="message", digest=DIGESTS["sha256"])


@pytest.mark.parametrize(
    ("body", "content", "same"),
    [
        (OVER_PAYLOAD, ENVELOPE, True),
        (OVER_PAE, ENVELOPE, True),
        (OVER_FILE, PLAIN, True),
        (dataclasses.replace(OVER_PAYLOAD, signatures=(Signed(None, b"key"),)), ENVELOPE, True),  # intoto 0.0.1
        (OVER_FILE, ENVELOPE, False),
        (OVER_PAE, PLAIN, False),
        (dataclasses.replace(OVER_FILE, over="payload"), PLAIN, False),
        (dataclasses.replace(OVER_FILE, algorithm="sha512"), PLAIN, False),
        (dataclasses.replace(OVER_PAYLOAD, signatures=(Signed(None, b"other"),)), ENVELOPE, False),
        (dataclasses.replace(OVER_PAYLOAD, signatures=(Signed(b"other", b"key"),)), ENVELOPE, False),
        (dataclasses.replace(OVER_PAYLOAD, signatures=(Signed(b"signature", b"other"),)), ENVELOPE, False),
        (dataclasses.replace(OVER_PAYLOAD, signatures=()), ENVELOPE, False),
        (dataclasses.replace(OVER_PAYLOAD, signatures=OVER_PAYLOAD.signatures * 2), ENVELOPE, False),
    ],
)
def test_an_entry_is_about_a_content_only_where_digest_signer_and_signature_agree(
    body: EntryBody, content: Envelope | MessageSignature, *, same: bool
) -> None:
    assert (difference(body, content, b"key", DIGESTS) == "") is same


def test_a_checkpoint_remembered_for_one_key_does_not_count_for_another_of_the_same_name() -> None:
    (entry,) = read_bundle(made(None, Shape.LOG_V1, "statement")).entries
    log = next(log for log in root_with().logs if log.id == entry.log_id and log.window.end is None)
    other = next(one for one in root_with().logs if one.key is not log.key)
    assert inclusion.fault(entry, 3, log) == ""
    assert inclusion.fault(entry, 3, dataclasses.replace(log, key=other.key)) != ""
