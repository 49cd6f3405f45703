"""OCI in the words of its clients: what a request does, one error for every refusal, and the upload that a tag is."""

from __future__ import annotations

import hashlib
import json

import pytest

from gateway import limits
from gateway.ecosystems.oci import Oci, upload
from gateway.ecosystems.protocol import Head, Verb
from gateway.model.upload import Registry, Upload
from gateway.reasons import Code, Reason

LINK = "https://images.acme.example/-/d/AAAAAAAAAAAAAAAAAAAAAA"
D = f"sha256:{'a' * 64}"
PUSH = Head("PUT", "/team/app/manifests/1.0")
# The fixed list of the distribution specification: clients print any other code as `unknown`, and buildah tries again.
LISTED = {
    "BLOB_UNKNOWN", "BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN", "DIGEST_INVALID", "MANIFEST_BLOB_UNKNOWN",
    "MANIFEST_INVALID", "MANIFEST_UNKNOWN", "NAME_INVALID", "NAME_UNKNOWN", "SIZE_INVALID", "UNAUTHORIZED", "DENIED",
    "UNSUPPORTED", "TOOMANYREQUESTS",
}  # fmt: skip


def rendered(head: Head, *reasons: Reason) -> tuple[int, str, str]:
    """The status, the code and the message of a refusal."""
    reply = Oci().render(reasons, LINK, head)
    (error,) = json.loads(reply.body)["errors"]
    assert error.keys() == {"code", "message"}
    assert len(reply.body) < limits.REASON_MESSAGE
    return reply.status, error["code"], error["message"]


@pytest.mark.parametrize(
    ("method", "path", "verb", "package"),
    [
        ("GET", "/", Verb.OWN, None), ("GET", "/team/app/manifests/1.0", Verb.READ, "pkg:oci/team/app"),
        ("HEAD", f"/team/app/blobs/{D}", Verb.READ, "pkg:oci/team/app"),
        ("GET", "/a/tags/list", Verb.READ, "pkg:oci/a"),
        ("GET", f"/a/referrers/{D}", Verb.READ, "pkg:oci/a"), ("POST", "/a/blobs/uploads/", Verb.DEPOSIT, None),
        ("PATCH", "/a/blobs/uploads/x", Verb.DEPOSIT, None), ("GET", "/a/blobs/uploads/x", Verb.DEPOSIT, None),
        ("PUT", f"/a/manifests/{D}", Verb.DEPOSIT, None), ("PUT", "/a/manifests/1.0", Verb.PUBLISH, None),
        ("DELETE", f"/a/blobs/{D}", Verb.MUTATE, None), ("GET", "/_catalog", Verb.UNKNOWN, None),
    ],
)  # fmt: skip
def test_a_request_is_known_by_what_it_does(method: str, path: str, verb: Verb, package: str | None) -> None:
    route = Oci().route(Head(method, path))
    assert (route.verb, route.package) == (verb, package)
    assert (route.problem is not None) is (verb is Verb.UNKNOWN)


def test_a_digest_with_a_tag_beside_it_is_a_publish() -> None:
    assert Oci().route(Head("PUT", f"/a/manifests/{D}", "tag=1.0")).verb is Verb.PUBLISH


def test_a_refusal_is_one_error_whose_first_line_stands_alone() -> None:
    reasons = (Reason(Code.EVIDENCE_MISSING, "team/app:1.0"), Reason(Code.WORKFLOW_MISMATCH, "x", "release", "ci"))
    status, code, message = rendered(PUSH, *reasons)
    assert (status, code) == (403, "DENIED")
    first, *others = message.splitlines()
    assert first == f"evidence-missing: team/app:1.0: no evidence that the rule asks for (and 1 more) - {LINK}"
    assert "  workflow-mismatch: Built by another workflow" in others
    assert message.rstrip().endswith(f"Every check: {LINK}")


@pytest.mark.parametrize("code", Code)
def test_every_code_has_one_of_the_specifications(code: Code) -> None:
    for path in ("/a/manifests/x", f"/a/blobs/{D}", "/a/blobs/uploads/", "/a/tags/list", "/"):
        assert rendered(Head("PUT", path), Reason(code, "x"))[1] in LISTED


@pytest.mark.parametrize(
    ("path", "code", "expected"),
    [
        ("/a/manifests/1.0", Code.CONTENT_HIDDEN, (404, "MANIFEST_UNKNOWN")),
        ("/a/manifests/1.0", Code.NOT_FOUND, (404, "MANIFEST_UNKNOWN")),
        (f"/a/blobs/{D}", Code.CONTENT_HIDDEN, (404, "BLOB_UNKNOWN")),
        ("/a/blobs/uploads/x", Code.NOT_FOUND, (404, "BLOB_UPLOAD_UNKNOWN")),
        ("/a/tags/list", Code.NOT_FOUND, (404, "NAME_UNKNOWN")),
        (f"/a/referrers/{D}", Code.NOT_FOUND, (404, "NAME_UNKNOWN")),
        ("/_catalog", Code.ROUTE_UNKNOWN, (404, "UNSUPPORTED")),
        ("/a/manifests/1.0", Code.CREDENTIAL_MISSING, (401, "UNAUTHORIZED")),
        ("/a/manifests/1.0", Code.CREDENTIAL_SCOPE, (403, "DENIED")),
        ("/a/manifests/1.0", Code.DIGEST_REVOKED, (403, "DENIED")),
        ("/a/manifests/1.0", Code.DIGEST_MISMATCH, (403, "DENIED")),
        ("/a/manifests/1.0", Code.VERSION_EXISTS, (409, "DENIED")),
        ("/a/manifests/1.0", Code.OPERATION_REFUSED, (403, "DENIED")),
        ("/a/manifests/1.0", Code.UPLOAD_MALFORMED, (400, "MANIFEST_INVALID")),
        ("/a/blobs/uploads/", Code.UPLOAD_MALFORMED, (400, "UNSUPPORTED")),
        ("/a/manifests/1.0", Code.UPLOAD_TOO_LARGE, (413, "SIZE_INVALID")),
        ("/a/manifests/1.0", Code.CONTENT_MISSING, (400, "MANIFEST_BLOB_UNKNOWN")),
        ("/a/manifests/1.0", Code.DIGEST_INVALID, (400, "DIGEST_INVALID")),
        ("/a/manifests/.x", Code.FILE_NAME_INVALID, (400, "NAME_INVALID")),
        ("/a/blobs/uploads/", Code.SPOOL_FULL, (503, "TOOMANYREQUESTS")),
        ("/a/blobs/uploads/", Code.CONTENT_ENCODING, (415, "UNSUPPORTED")),
    ],
)
def test_a_status_and_a_code_say_together_what_it_is(path: str, code: Code, expected: tuple[int, str]) -> None:
    assert rendered(Head("PUT", path), Reason(code, "x"))[:2] == expected


def test_only_a_malformed_manifest_makes_skopeo_convert_and_push_again() -> None:
    for code in Code:
        said = rendered(PUSH, Reason(code, "x"))
        assert (said[1] == "MANIFEST_INVALID") is (code is Code.UPLOAD_MALFORMED)


def test_the_code_is_that_of_the_reason_that_decides_the_status() -> None:
    reasons = Reason(Code.EVIDENCE_MISSING, "x"), Reason(Code.CREDENTIAL_EXPIRED, "x")
    assert rendered(PUSH, *reasons)[:2] == (401, "UNAUTHORIZED")
    assert rendered(PUSH, Reason(Code.EVIDENCE_MISSING, "x"), Reason(Code.SPOOL_FULL, "x"))[:2] == (
        503,
        "TOOMANYREQUESTS",
    )


@pytest.mark.parametrize("text", ["x" * 9000, "\x00" * 900, '"\\' * 900, "é" * 900, "\n" * 900])
@pytest.mark.parametrize("count", [1, 10, 200])
def test_however_much_there_is_to_say_the_link_is_last(text: str, count: int) -> None:
    _, _, message = rendered(PUSH, *(Reason(Code.REF_MISMATCH, text, text, text, text) for _ in range(count)))
    assert message.splitlines()[0].endswith(f" - {LINK}")
    assert message.endswith(f"Every check: {LINK}\n")


def test_a_client_is_told_when_to_try_again() -> None:
    reply = Oci().render((Reason(Code.RECORD_UNAVAILABLE, "x"),), LINK, PUSH)
    assert dict(reply.headers)["Retry-After"] == "30"


def made(repository: str = "team/app", tag: str = "1.0", *hosts: str) -> Upload:
    return upload(Registry("images", "oci"), hosts, repository, tag, b"manifest")


def test_a_push_of_a_tag_is_an_upload_of_one_file_that_may_move() -> None:
    found = made()
    (file,) = found.files
    assert (found.purl, found.name, found.version, found.canonical_version) == (
        "pkg:oci/team/app",
        "team/app",
        "1.0",
        "1.0",
    )
    assert found.movable
    assert (file.name, file.canonical, file.size) == ("team/app:1.0", "team/app:1.0", 8)
    assert dict(file.digests) == {
        "sha256": hashlib.sha256(b"manifest").hexdigest(),
        "sha512": hashlib.sha512(b"manifest").hexdigest(),
    }


def test_evidence_may_name_the_repository_with_its_registrys_hosts_and_with_none() -> None:
    names = made("team/app", "1.0", "images.example", "cache.example:5000").files[0].names
    digest = hashlib.sha256(b"manifest").hexdigest()
    for place in ("team/app", "images.example/team/app", "cache.example:5000/team/app"):
        assert {place, f"{place}:1.0", f"{place}@sha256:{digest}"} <= names
    assert {"pkg:oci/team/app", "pkg:oci/team/app@1.0", f"pkg:oci/team/app@sha256:{digest}"} <= names
    assert f"pkg:oci/app@sha256%3A{digest}?repository_url=images.example/team/app" in names
    assert f"pkg:oci/app@sha256%3A{digest}?repository_url=images.example%2Fteam%2Fapp" in names


def test_evidence_for_another_repository_tag_digest_or_host_has_another_name() -> None:
    names = made("team/app", "1.0", "images.example").files[0].names
    digest = hashlib.sha256(b"manifest").hexdigest()
    others = {
        "app", "other/team/app", "team/app2", "team/app:1.1", "team/app:latest", f"team/app@sha256:{'0' * 64}",
        "other.example/team/app", "images.example", "images.example/app", "pkg:oci/app",
        f"pkg:oci/app@sha256%3A{digest}",
        f"pkg:oci/app@sha256%3A{digest}?repository_url=other.example/team/app", "",
    }  # fmt: skip
    assert not names & others
