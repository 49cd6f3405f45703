"""What a manifest is made of, and what two clients could read differently: a good one with one field off."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import limits
from gateway.ecosystems.oci_manifest import (
    DOCKER_IMAGE,
    DOCKER_LIST,
    IMAGE,
    INDEX,
    KINDS,
    Kind,
    Manifest,
    UnsupportedManifest,
    content,
    read_manifest,
    refusal,
)
from gateway.errors import Malformed, TooLarge
from gateway.reasons import Code
from tests.lab.manifests import (
    BUNDLE,
    CONFIG,
    LAYER,
    SUBJECT,
    child,
    described,
    digest_of,
    dumped,
    image,
    index,
    referrer,
)


def read(document: dict[str, Any], content_type: str = IMAGE) -> Manifest:
    return read_manifest(dumped(document), content_type)


def layer(**changed: Any) -> dict[str, Any]:
    """An image whose one layer has some fields changed."""
    return image(layers=[described(LAYER, b"layer") | changed])


def test_an_image_is_its_config_and_its_layers() -> None:
    found = read(image(layers=[described(LAYER, b"one"), described(LAYER, b"two"), described(LAYER, b"one")]))
    assert found.kind is Kind.IMAGE
    assert [one.digest for one in found.blobs] == [digest_of(one) for one in (b"config", b"one", b"two", b"one")]
    assert found.links == tuple(digest_of(one) for one in (b"config", b"one", b"two"))
    assert (found.subject, found.artifact_type, found.listed_type) == (None, "", CONFIG)


def test_an_index_is_its_children() -> None:
    found = read(index(child(b"a", platform={"os": "linux", "os.version": 1}), child(b"b")), INDEX)
    assert found.kind is Kind.INDEX
    assert found.links == (digest_of(b"a"), digest_of(b"b"))
    assert (found.blobs, found.listed_type) == ((), "")


def test_docker_has_both_under_names_of_its_own() -> None:
    assert read(image(mediaType=DOCKER_IMAGE), DOCKER_IMAGE).kind is Kind.IMAGE
    assert read(index(child(), mediaType=DOCKER_LIST), DOCKER_LIST).kind is Kind.INDEX


def test_cosigns_referrer_has_no_media_type_of_its_own_and_is_read_by_its_header() -> None:
    found = read(referrer())
    assert found.media_type == IMAGE
    assert found.subject is not None
    assert found.subject.digest == SUBJECT
    assert SUBJECT not in found.links
    assert (found.artifact_type, found.listed_type) == (BUNDLE, BUNDLE)
    assert found.annotations == (("dev.sigstore.bundle.content", "dsse-envelope"),)


def test_a_digest_may_be_sha512() -> None:
    wide = str(digest_of(b"layer", "sha512"))
    assert read(layer(digest=wide)).layers[0].digest.algorithm == "sha512"


def test_data_in_a_descriptor_is_the_content_itself() -> None:
    assert read(layer(data=base64.b64encode(b"layer").decode())).layers[0].size == 5


@pytest.mark.parametrize("unknown", [{"x": 1}, {"org.example": {"layers": []}}])
def test_keys_that_nobody_knows_are_left_alone(unknown: dict[str, Any]) -> None:
    assert read(image(**unknown)) == read(image())
    assert read(layer(**unknown)) == read(image())


@pytest.mark.parametrize(
    "spoiled",
    [
        image(schemaVersion=1), image(schemaVersion="2"), image(schemaVersion=True), image(mediaType=INDEX),
        image(mediaType=DOCKER_IMAGE), image(mediaType=""), image(mediaType=[]),
        image(manifests=[]), image(manifests=None), image(manifests=[child()]), image(layers=None), image(layers={}),
        image(layers=[None]), image(config=None), image(config=[]), image(config={}),
        image(Layers=[]), image(LAYERS=[]), image() | {"layer\u017f": []}, image(Config={}), image(Subject={}),
        image(Manifests=[]), image(MediaType=INDEX), image(artifactType="x"), image(artifactType=1),
        image(subject=[]), image(subject={"digest": str(SUBJECT)}), image(annotations=[]), image(annotations={"a": 1}),
        image(annotations={"a": None}),
        layer(digest="sha256:x"), layer(digest=f"sha1:{'0' * 40}"), layer(digest=None), layer(size=-1),
        layer(size=1.0), layer(size="5"), layer(size=2**63), layer(size=True), layer(mediaType=""),
        layer(mediaType="x"), layer(mediaType="a/b\r\nX: y"), layer(Digest=str(SUBJECT)), layer(SIZE=1), layer(URLs=["https://a.example"]),
        image(layers=[described(LAYER, b"layer") | {"\u017fize": 1}]), layer() | {"Config": {}},
        layer(data="AAAA"), layer(data="bGF5ZXI"), layer(data=""),
        layer(data=base64.b64encode(b"lAyer").decode()), layer(urls="x"), layer(annotations={"a": []}),
    ],
)  # fmt: skip
def test_an_image_with_one_field_off_is_malformed(spoiled: dict[str, Any]) -> None:
    with pytest.raises(Malformed) as caught:
        read(spoiled)
    assert refusal(caught.value, "team/app:1.0").code is Code.UPLOAD_MALFORMED


@pytest.mark.parametrize(
    "spoiled",
    [
        index(child(), layers=[]), index(child(), config=described(CONFIG, b"config")), index(child(), layers=None),
        index(child(), Manifests=[]), index(child(), mediaType=IMAGE), index(manifests=None), {"schemaVersion": 2},
        index(child(size=-1)), index(child(digest="x")), index(child(Digest="x")),
    ],
)  # fmt: skip
def test_an_index_with_one_field_off_is_malformed(spoiled: dict[str, Any]) -> None:
    with pytest.raises(Malformed) as caught:
        read(spoiled, INDEX)
    assert refusal(caught.value, "team/app:1.0").code is Code.UPLOAD_MALFORMED


def test_an_index_that_is_sent_as_an_image_is_neither() -> None:
    both = {"schemaVersion": 2, "config": described(CONFIG, b""), "layers": [], "manifests": [child()]}
    for content_type in (IMAGE, INDEX):
        with pytest.raises(Malformed, match="two clients"):
            read(both, content_type)


def test_dockers_types_are_never_left_out() -> None:
    bare = image()
    del bare["mediaType"]
    assert read(bare).media_type == IMAGE
    with pytest.raises(Malformed):
        read(bare, DOCKER_IMAGE)


@pytest.mark.parametrize(
    ("document", "content_type"),
    [
        (image(), "application/vnd.docker.distribution.manifest.v1+prettyjws"), (image(), "application/json"),
        (image(), ""), (image(), f"{IMAGE}; charset=utf-8"), (image(), IMAGE.upper()), (image(fsLayers=[]), IMAGE),
        (image(signatures=[]), IMAGE), (index(child(mediaType=LAYER)), INDEX), (index(child(mediaType="a/b")), INDEX),
        (layer(urls=["https://a.example/layer"]), IMAGE),
        (layer(mediaType="application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"), IMAGE),
        (layer(mediaType="application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"), IMAGE),
        (image(config=described(CONFIG, b"", urls=["https://a.example"])), IMAGE),
    ],
)  # fmt: skip
def test_what_a_registry_takes_and_the_gateway_does_not_is_refused(document: dict[str, Any], content_type: str) -> None:
    with pytest.raises(UnsupportedManifest) as caught:
        read(document, content_type)
    assert refusal(caught.value, "team/app:1.0").code is Code.OPERATION_REFUSED


def test_bounds() -> None:
    layers = [described(LAYER, b"layer")] * limits.MANIFEST_LINKS
    assert read(image(layers=layers)).links
    many = {str(number): "" for number in range(limits.ANNOTATIONS + 1)}
    over: list[dict[str, Any]] = [
        image(layers=[*layers, layers[0]]), image(annotations=many), layer(annotations=many),
        image(x="y" * limits.MANIFEST_BYTES),
    ]  # fmt: skip
    for document in over:
        with pytest.raises(TooLarge) as caught:
            read(document)
        assert refusal(caught.value, "team/app:1.0").code is Code.UPLOAD_TOO_LARGE


def test_long_annotations_are_left_out_of_lists_alone() -> None:
    for length, listed in ((limits.ANNOTATIONS_LISTED - 1, True), (limits.ANNOTATIONS_LISTED, False)):
        document = image(annotations={"a": "x" * length})
        found = read(document)
        assert found.annotations == (("a", "x" * length),)
        assert content(found, SUBJECT, dumped(document)).annotations == (found.annotations if listed else ())


def test_a_key_given_twice_is_malformed() -> None:
    twice = dumped(image())[:-1] + b', "layers": []}'
    with pytest.raises(Malformed, match="twice"):
        read_manifest(twice, IMAGE)


def test_the_record_keeps_what_a_manifest_was_measured_as() -> None:
    body = dumped(referrer())
    wide = digest_of(body, "sha512")
    kept = content(read_manifest(body, IMAGE), wide, body, SUBJECT)
    assert (kept.digest, kept.size, kept.media_type, kept.subject) == (wide, len(body), IMAGE, SUBJECT)
    assert kept.sha256 == hashlib.sha256(body).hexdigest()
    assert kept.links == (digest_of(b"{}"), digest_of(b"bundle"))
    assert (kept.artifact_type, dict(kept.annotations)) == (BUNDLE, {"dev.sigstore.bundle.content": "dsse-envelope"})


GOOD = [dumped(image()), dumped(index(child(), annotations={"a": "b"})), dumped(referrer())]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just(str(SUBJECT)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
KEYS = st.sampled_from(["layers", "config", "manifests", "subject", "mediaType", "annotations", "Layers"])


@given(st.binary(max_size=200) | VALUES.map(lambda value: json.dumps(value).encode()), st.sampled_from(sorted(KINDS)))
def test_any_bytes_are_a_manifest_or_malformed(body: bytes, content_type: str) -> None:
    try:
        found = read_manifest(body, content_type)
    except Malformed:
        return
    assert found.kind is KINDS[content_type]


@given(st.sampled_from(GOOD), KEYS, VALUES, st.sampled_from(sorted(KINDS)))
def test_a_good_manifest_with_a_field_changed_is_one_kind_or_malformed(
    good: bytes, key: str, value: object, content_type: str
) -> None:
    try:
        found = read_manifest(dumped(json.loads(good) | {key: value}), content_type)
    except Malformed:
        return
    assert not (found.blobs and found.children)
    assert all(link.algorithm in {"sha256", "sha512"} for link in found.links)
