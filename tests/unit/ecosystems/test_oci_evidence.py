"""Told apart by content: what looks like evidence, what it claims to be for, and everything else, which is an image."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import limits
from gateway.ecosystems.oci_evidence import (
    ENVELOPE,
    Claimed,
    candidate,
    claimed,
    fallback_tag,
    is_fallback,
    legacy_tags,
)
from gateway.ecosystems.oci_manifest import DOCKER_IMAGE, EMPTY, IMAGE, INDEX, Manifest, read_manifest
from gateway.errors import Malformed, TooLarge
from gateway.model.digest import Digest
from gateway.model.evidence import Format, Source
from tests.lab.manifests import (
    BUNDLE,
    CONFIG,
    LAYER,
    NOTHING,
    SUBJECT,
    attestations,
    child,
    cosign,
    cosign_config,
    described,
    digest_of,
    dumped,
    envelope,
    image,
    index,
    payload,
    referrer,
)

OTHER = Digest("sha256", "6" * 64)
WIDE = Digest("sha512", "7" * 128)
STATED = {"mediaType": IMAGE, "digest": str(SUBJECT), "size": 1}


def read(document: dict[str, Any], content_type: str = IMAGE) -> Manifest:
    return read_manifest(dumped(document), content_type)


def claim(document: dict[str, Any], *blobs: bytes, content_type: str = IMAGE) -> Claimed | None:
    found = candidate(read(document, content_type))
    assert found is not None
    return claimed(found, {digest_of(blob): blob for blob in blobs})


# --- (a) a referrer ------------------------------------------------------------------------------------------------


def test_a_referrer_claims_its_subject_and_holds_a_bundle() -> None:
    found = claim(referrer(b"bundle"), b"bundle")
    assert found is not None
    assert (found.subject, found.tags) == (SUBJECT, frozenset())
    (piece,) = found.evidence
    assert piece.body == b"bundle"
    assert (piece.ref.format, piece.ref.source, piece.ref.position) == (Format.BUNDLE, Source.REFERRER, 0)
    assert piece.ref.id == hashlib.sha256(b"bundle").hexdigest()


def test_a_referrer_may_hold_several_pieces_in_several_forms() -> None:
    old = "application/vnd.dev.sigstore.bundle+json;version=0.2"
    layers = [described(BUNDLE, b"a"), described(ENVELOPE, b"b"), described(old, b"c")]
    found = claim(referrer(layers=layers), b"a", b"b", b"c")
    assert found is not None
    assert [(piece.body, piece.ref.format, piece.ref.position) for piece in found.evidence] == [
        (b"a", Format.BUNDLE, 0), (b"b", Format.DSSE, 1), (b"c", Format.BUNDLE, 2)
    ]  # fmt: skip


def test_of_a_referrer_only_its_layers_are_read() -> None:
    found = candidate(read(referrer(b"bundle")))
    assert found is not None
    assert [blob.digest for blob in found.blobs] == [digest_of(b"bundle")]


@pytest.mark.parametrize(
    "document",
    [
        image(), image(subject=STATED), image(artifactType=BUNDLE), image(subject=STATED, artifactType=BUNDLE),
        referrer(subject=None), referrer(layers=[]), referrer(layers=[described(LAYER, b"layer")]),
        referrer(layers=[described(BUNDLE, b"bundle"), described(LAYER, b"layer")]),
        referrer(layers=[described("application/vnd.in-toto+json", b"statement")]),
        referrer(layers=[described("application/json", b"bundle")]),
        referrer(config=described(EMPTY, b"{ }")), referrer(config=described(EMPTY, b"[]")),
        referrer(config=described(EMPTY, NOTHING) | {"size": 3}),
        referrer(config=described(CONFIG, NOTHING)), referrer(config=described("application/json", NOTHING)),
    ],
)  # fmt: skip
def test_everything_else_with_a_subject_or_an_artifact_type_is_an_image(document: dict[str, Any]) -> None:
    assert candidate(read(document)) is None


def test_an_index_with_a_subject_is_no_evidence() -> None:
    assert candidate(read(index(child(), subject=STATED, artifactType=BUNDLE), INDEX)) is None


def test_the_empty_config_may_be_named_by_sha512() -> None:
    wide = described(EMPTY, NOTHING) | {"digest": str(digest_of(NOTHING, "sha512"))}
    assert candidate(read(referrer(config=wide))) is not None


@pytest.mark.parametrize("document", [referrer(), cosign(payload())])
def test_evidence_over_the_bounds_is_neither_read_nor_an_image(document: dict[str, Any]) -> None:
    (piece,) = document["layers"]
    at_bound = [piece | {"size": limits.EVIDENCE_BYTES}] * limits.EVIDENCE_PER_DIGEST
    assert candidate(read(document | {"layers": at_bound})) is not None
    for layers in ([*at_bound, piece], [piece | {"size": limits.EVIDENCE_BYTES + 1}]):
        with pytest.raises(TooLarge):
            candidate(read(document | {"layers": layers}))


def test_a_cosign_config_over_the_bounds_is_not_read() -> None:
    large = described(CONFIG, b"") | {"size": limits.EVIDENCE_BYTES + 1}
    with pytest.raises(TooLarge):
        candidate(read(cosign(payload()) | {"config": large}))


@pytest.mark.parametrize("served", [b"bundl", b"bundle!", b"BUNDLE"])
def test_a_blob_that_is_not_its_descriptors_is_not_read(served: bytes) -> None:
    found = candidate(read(referrer(b"bundle")))
    assert found is not None
    with pytest.raises(Malformed, match="other bytes"):
        claimed(found, {digest_of(b"bundle"): served})


def test_a_blob_of_another_size_than_its_descriptor_says_is_not_read() -> None:
    found = candidate(read(referrer(layers=[described(BUNDLE, b"bundle") | {"size": 7}])))
    assert found is not None
    with pytest.raises(Malformed, match="other bytes"):
        claimed(found, {digest_of(b"bundle"): b"bundle"})


# --- (b) cosign's older way ----------------------------------------------------------------------------------------


def test_a_cosign_signature_is_read_with_its_annotations() -> None:
    found = claim(cosign(payload()), payload(), cosign_config(payload()))
    assert found is not None
    assert (found.subject, found.tags) == (SUBJECT, legacy_tags(SUBJECT))
    (piece,) = found.evidence
    assert piece.ref.format is Format.COSIGN
    document = json.loads(piece.body)
    assert base64.b64decode(document["payload"]) == payload()
    assert document["annotations"] == {"dev.cosignproject.cosign/signature": "AA==", "dev.sigstore.cosign/bundle": "{}"}


def test_a_cosign_attestation_names_its_subject_in_its_statement() -> None:
    body = envelope(SUBJECT)
    found = claim(attestations(body), body, cosign_config(body))
    assert found is not None
    assert (found.subject, found.evidence[0].ref.format) == (SUBJECT, Format.COSIGN)


def test_signing_again_adds_a_layer_of_the_same_payload() -> None:
    twice = (payload(), payload())
    found = claim(cosign(*twice), payload(), cosign_config(*twice))
    assert found is not None
    assert [piece.ref.position for piece in found.evidence] == [0, 1]


def test_cosign_may_write_dockers_types() -> None:
    written = cosign(payload()) | {"mediaType": DOCKER_IMAGE}
    written["config"]["mediaType"] = "application/vnd.docker.container.image.v1+json"
    assert claim(written, payload(), cosign_config(payload()), content_type=DOCKER_IMAGE) is not None


def test_a_stated_subject_is_the_one_that_is_signed() -> None:
    blobs = (payload(), cosign_config(payload()))
    found = claim(cosign(payload()) | {"subject": STATED}, *blobs)
    assert found is not None
    assert found.subject == SUBJECT
    with pytest.raises(Malformed, match="different subjects"):
        claim(cosign(payload()) | {"subject": STATED | {"digest": str(OTHER)}}, *blobs)


@pytest.mark.parametrize(
    "changed",
    [
        {"architecture": "amd64"}, {"os": "linux"}, {"config": {"Cmd": ["sh"]}}, {"config": None}, {"author": "x"},
        {"rootfs": {"type": "layers", "diff_ids": []}},
        {"rootfs": {"type": "x", "diff_ids": [str(digest_of(payload()))]}},
        {"history": [{"created_by": "0001"}]}, {"history": None}, {"created": "now"}, {"created": None}, {"x": ""},
        {"history": [{"created": ["0001-01-01T00:00:00Z"]}]},
    ],
)  # fmt: skip
def test_a_config_that_says_anything_makes_it_an_image(changed: dict[str, Any]) -> None:
    config = cosign_config(payload(), **changed)
    assert claim(cosign(payload(), config=config), payload(), config) is None


def test_a_config_that_is_no_json_makes_it_an_image() -> None:
    assert claim(cosign(payload(), config=b"\xff"), payload(), b"\xff") is None


@pytest.mark.parametrize("number", [0, 1])
def test_one_layer_that_is_not_cosigns_makes_it_an_image(number: int) -> None:
    for changed in ({"mediaType": LAYER}, {"annotations": {"dev.sigstore.cosign/bundle": "{}"}}, {"annotations": None}):
        document = cosign(payload(), payload())
        document["layers"][number] |= changed
        assert candidate(read(document)) is None


@pytest.mark.parametrize(
    "changed",
    [{"layers": []}, {"config": described(EMPTY, NOTHING)}, {"config": described("application/json", NOTHING)}],
)
def test_cosigns_layers_below_another_config_are_an_image(changed: dict[str, Any]) -> None:
    assert candidate(read(cosign(payload()) | changed)) is None


@pytest.mark.parametrize(
    "layers",
    [
        (payload(SUBJECT), payload(OTHER)), (b"{}",), (b"\xff",), (b'{"critical": {}}',),
        (b'{"critical": {"image": {"docker-manifest-digest": "sha1:x"}}}',),
    ],
)  # fmt: skip
def test_payloads_without_one_subject_are_evidence_for_nothing(layers: tuple[bytes, ...]) -> None:
    config = cosign_config(*layers)
    with pytest.raises(Malformed):
        claim(cosign(*layers), *layers, config)


@pytest.mark.parametrize(
    "layers",
    [
        (envelope(SUBJECT), envelope(OTHER)), (envelope(SUBJECT, OTHER),), (envelope(),), (b"{}",),
        (b'{"payload": "!"}',), (b'{"payload": "e30="}',),
    ],
)  # fmt: skip
def test_statements_without_one_subject_are_evidence_for_nothing(layers: tuple[bytes, ...]) -> None:
    config = cosign_config(*layers)
    with pytest.raises(Malformed):
        claim(attestations(*layers), *layers, config)


def test_of_several_subjects_the_one_that_all_layers_have_counts() -> None:
    layers = (envelope(SUBJECT, OTHER), envelope(SUBJECT, WIDE))
    found = claim(attestations(*layers), *layers, cosign_config(*layers))
    assert found is not None
    assert found.subject == SUBJECT


def test_cosigns_tags_are_those_of_the_subject() -> None:
    assert legacy_tags(SUBJECT) == {f"sha256-{'5' * 64}{end}" for end in (".sig", ".att", ".sbom")}


# --- (c) a client's list of referrers ------------------------------------------------------------------------------


def test_an_index_under_a_subjects_tag_may_be_a_list_of_its_referrers() -> None:
    assert is_fallback(read(index(child(b"a"), child(b"b")), INDEX), fallback_tag(SUBJECT))
    assert is_fallback(read(index(child()), INDEX), fallback_tag(WIDE))


@pytest.mark.parametrize(
    "tag", ["latest", f"sha256-{'5' * 63}", f"sha256-{'5' * 64}.sig", f"sha256-{'A' * 64}", f"sha512-{'7' * 128}"]
)
def test_an_index_under_another_tag_is_an_index(tag: str) -> None:
    assert not is_fallback(read(index(child()), INDEX), tag)


def test_what_is_no_plain_index_is_no_list_of_referrers() -> None:
    tag = fallback_tag(SUBJECT)
    assert not is_fallback(read(image()), tag)  # what `cosign copy` pushes under that tag
    assert not is_fallback(read(index(), INDEX), tag)
    assert not is_fallback(read(index(child(), subject=STATED), INDEX), tag)
    assert not is_fallback(read(index(child(), artifactType=BUNDLE), INDEX), tag)


@given(st.binary(max_size=60), st.binary(max_size=60), st.booleans())
def test_any_blobs_are_evidence_an_image_or_malformed(layer: bytes, config: bytes, signed: bool) -> None:  # noqa: FBT001
    document = cosign(layer, config=config) if signed else attestations(layer)
    try:
        found = claim(document, layer, config, cosign_config(layer))
    except Malformed:
        return
    assert found is None or len(found.evidence) == 1
