"""Lists of tags and referrers as documents, and the answer to a manifest that was taken."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from gateway import limits
from gateway.ecosystems.oci_answers import held, listed, pong, pushed, referrers, tag_list
from gateway.ecosystems.oci_manifest import IMAGE, INDEX, read_manifest
from gateway.ecosystems.oci_routes import ManifestWrite, ReferrersRead, TagList, request
from gateway.ecosystems.protocol import Head, Reply
from gateway.model.content import Content
from gateway.model.digest import Digest
from gateway.reasons import Code, Reason
from tests.lab.manifests import BUNDLE, SUBJECT, child, digest_of, dumped, index

LINK = "https://images.acme.example/-/d/AAAAAAAAAAAAAAAAAAAAAA"
ONE = Content(digest_of(b"one"), 3, IMAGE, artifact_type=BUNDLE, annotations=(("a", "b"),), refers=SUBJECT)
TWO = Content(digest_of(b"two"), 3, IMAGE, artifact_type="application/x", refers=SUBJECT)
TAGS = ["b", "a", "C", "_", "a.1", "latest"]


def listing(reply: Reply) -> list[str]:
    document = json.loads(reply.body)
    assert (reply.status, document["name"]) == (200, "team/app")
    found: list[str] = document["tags"]
    return found


def entries(reply: Reply) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(reply.body)["manifests"]
    return found


def test_a_registry_says_that_it_is_one() -> None:
    assert dict(pong().headers)["Docker-Distribution-API-Version"] == "registry/2.0"


def test_tags_come_in_the_order_of_their_text() -> None:
    reply = tag_list(TagList("team/app"), TAGS)
    assert listing(reply) == ["C", "_", "a", "a.1", "b", "latest"]
    assert "Link" not in dict(reply.headers)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 6, 7])
def test_pages_joined_by_their_links_are_the_whole_list(count: int) -> None:
    seen: list[str] = []
    asked: TagList | None = TagList("team/app", count)
    while asked is not None:
        reply = tag_list(asked, TAGS)
        seen += listing(reply)
        assert len(listing(reply)) <= count
        link = dict(reply.headers).get("Link")
        asked = None
        if link is not None:
            assert link.endswith('>; rel="next"')
            path, _, query = link[1 : link.index(">")].removeprefix("/v2").partition("?")
            read = request(Head("GET", path, query))
            assert isinstance(read, TagList)
            asked = read
    assert seen == listing(tag_list(TagList("team/app"), TAGS))


def test_no_tags_are_asked_for_and_none_come() -> None:
    reply = tag_list(TagList("team/app", 0), TAGS)
    assert listing(reply) == []
    assert "Link" not in dict(reply.headers)
    assert listing(tag_list(TagList("team/app", None, "zz"), TAGS)) == []


def test_referrers_are_an_index_that_is_read_back_as_it_was() -> None:
    reply = referrers(ReferrersRead("team/app", SUBJECT), [ONE, TWO, ONE])
    assert dict(reply.headers)["Content-Type"] == INDEX
    assert "OCI-Filters-Applied" not in dict(reply.headers)
    assert entries(reply)[0] == {
        "mediaType": IMAGE, "digest": str(digest_of(b"one")), "size": 3, "artifactType": BUNDLE,
        "annotations": {"a": "b"},
    }  # fmt: skip
    assert listed(read_manifest(reply.body, INDEX), SUBJECT) == (ONE, TWO)


def test_referrers_of_one_type_say_that_they_were_filtered() -> None:
    reply = referrers(ReferrersRead("team/app", SUBJECT, "application/x"), [ONE, TWO])
    assert [entry["digest"] for entry in entries(reply)] == [str(TWO.digest)]
    assert dict(reply.headers)["OCI-Filters-Applied"] == "artifactType"


def test_evidence_that_states_no_subject_or_another_one_is_no_referrer() -> None:
    older = replace(ONE, refers=None, subject=SUBJECT)
    elsewhere = replace(TWO, refers=Digest("sha256", "6" * 64))
    assert entries(referrers(ReferrersRead("team/app", SUBJECT), [older, elsewhere])) == []


def test_what_has_no_referrers_has_an_empty_index() -> None:
    reply = referrers(ReferrersRead("team/app", SUBJECT), [])
    assert (reply.status, entries(reply)) == (200, [])


def test_a_clients_list_is_read_as_what_it_lists() -> None:
    found = listed(
        read_manifest(dumped(index(child(b"one", artifactType=BUNDLE, annotations={"a": "b"}))), INDEX), SUBJECT
    )
    assert found == (ONE,)


def test_a_manifest_that_was_taken_is_named_by_its_digest() -> None:
    digest = Digest("sha256", "a" * 64)
    reply = pushed(ManifestWrite("team/app", None, ("1.0",)), digest)
    assert (reply.status, reply.body) == (201, b"")
    assert dict(reply.headers) == {"Location": f"/v2/team/app/manifests/{digest}", "Docker-Content-Digest": str(digest)}


def test_a_referrers_subject_is_told_so_that_no_index_is_kept_under_a_tag() -> None:
    reply = pushed(ManifestWrite("team/app", ONE.digest), ONE.digest, SUBJECT)
    assert dict(reply.headers)["OCI-Subject"] == str(SUBJECT)


def test_each_tag_beside_a_digest_is_confirmed() -> None:
    reply = pushed(ManifestWrite("team/app", ONE.digest, ("1.0", "latest")), ONE.digest)
    assert [value for name, value in reply.headers if name == "OCI-Tag"] == ["1.0", "latest"]


def test_a_held_push_carries_a_warning_of_one_quoted_line() -> None:
    notice = held([Reason(Code.EVIDENCE_MISSING, 'team/app:1.0 "x\\"\r\nX: y')], LINK)
    reply = pushed(ManifestWrite("team/app", None, ("1.0",)), ONE.digest, notice=notice)
    warning = dict(reply.headers)["Warning"]
    assert warning.startswith('299 - "Held, and not to be pulled until its evidence has come: evidence-missing: ')
    assert warning.isprintable()
    assert warning.endswith(f' - {LINK}"')
    inner = warning.removeprefix('299 - "')[:-1].replace("\\\\", "").replace('\\"', "")
    assert '"' not in inner
    assert "\\" not in inner


@pytest.mark.parametrize("text", ["x", "\\", '"', "é"])
@pytest.mark.parametrize("count", [1023, 2039, 2040, 2041, 4080, 9000])
@pytest.mark.parametrize("start", ["", "x"])
def test_a_warning_is_bounded_and_stays_quoted(start: str, text: str, count: int) -> None:
    reply = pushed(ManifestWrite("team/app", None, ("1.0",)), ONE.digest, notice=start + text * count)
    warning = dict(reply.headers)["Warning"]
    assert len(warning) <= limits.WARNING_HEADER
    inner = warning.removeprefix('299 - "')
    assert inner.endswith('"')
    assert not {'"', "\\"} & set(inner[:-1].replace("\\\\", "").replace('\\"', ""))
