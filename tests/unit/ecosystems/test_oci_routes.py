"""Every request of the distribution specification as clients send it, and near misses of each."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ecosystems.oci_routes import (
    BlobRead,
    Delete,
    ManifestRead,
    ManifestWrite,
    OciRequest,
    Ping,
    ReferrersRead,
    TagList,
    UploadStart,
    UploadStep,
    read_media_type,
    request,
)
from gateway.ecosystems.protocol import Head
from gateway.errors import Malformed
from gateway.model.digest import Digest
from gateway.reasons import Code, Reason

D = Digest("sha256", "a" * 64)
E = Digest("sha512", "b" * 128)
ESCAPED = str(D).replace(":", "%3A")
UPLOAD = "/team/app/blobs/uploads/"
SESSION = f"{UPLOAD}0b5d6c2e-4ad8"
STATE = "_state=Ab-_9%3D%3D"

UNDERSTOOD: list[tuple[str, str, str, OciRequest]] = [
    ("GET", "/", "", Ping()),
    ("HEAD", "/", "", Ping()),
    ("GET", "/app/tags/list", "", TagList("app")),
    ("GET", "/team/app/tags/list", "n=0&last=1.0", TagList("team/app", 0, "1.0")),
    ("GET", "/app/tags/list", "last=", TagList("app")),
    ("GET", "/team/app/manifests/1.0.0", "", ManifestRead("team/app", "1.0.0")),
    ("HEAD", f"/team/app/manifests/{D}", "", ManifestRead("team/app", D, head=True)),
    ("GET", "/app/manifests/latest", "ns=docker.example", ManifestRead("app", "latest")),
    ("GET", "/team/manifests/manifests/x", "", ManifestRead("team/manifests", "x")),
    ("GET", f"/app/blobs/{E}", "", BlobRead("app", E)),
    ("HEAD", f"/app/blobs/{D}", "ns=docker.example", BlobRead("app", D, head=True)),
    ("GET", f"/app/referrers/{D}", "", ReferrersRead("app", D)),
    (
        "GET",
        f"/app/referrers/{D}",
        "artifactType=application%2Fx%2Bjson",
        ReferrersRead("app", D, "application/x+json"),
    ),
    ("GET", f"/app/referrers/{D}", "artifactType=application/x+json", ReferrersRead("app", D, "application/x+json")),
    ("POST", UPLOAD, "", UploadStart("team/app")),
    ("POST", UPLOAD, f"digest={D}", UploadStart("team/app", D)),
    ("POST", UPLOAD, "digest-algorithm=sha512", UploadStart("team/app")),
    ("POST", UPLOAD, f"from=team%2Fbase&mount={ESCAPED}", UploadStart("team/app", None, D, "team/base")),
    ("POST", UPLOAD, f"from=a&mount={D}&origin=oci.acme.example", UploadStart("team/app", None, D, "a")),
    ("POST", UPLOAD, f"mount={D}", UploadStart("team/app")),
    ("PATCH", SESSION, STATE, UploadStep("team/app", "PATCH", "0b5d6c2e-4ad8", STATE)),
    ("PUT", SESSION, f"{STATE}&digest={ESCAPED}", UploadStep("team/app", "PUT", "0b5d6c2e-4ad8", STATE, D)),
    ("PUT", SESSION, f"digest={D}&{STATE}", UploadStep("team/app", "PUT", "0b5d6c2e-4ad8", STATE, D)),
    ("PUT", SESSION, f"a=1&digest={D}&b=%2f", UploadStep("team/app", "PUT", "0b5d6c2e-4ad8", "a=1&b=%2f", D)),
    ("PUT", SESSION, f"digest={D}", UploadStep("team/app", "PUT", "0b5d6c2e-4ad8", "", D)),
    ("GET", SESSION, "", UploadStep("team/app", "GET", "0b5d6c2e-4ad8")),
    ("DELETE", SESSION, STATE, UploadStep("team/app", "DELETE", "0b5d6c2e-4ad8", STATE)),
    ("PUT", "/app/manifests/v1", "", ManifestWrite("app", None, ("v1",))),
    ("PUT", f"/app/manifests/{D}", "", ManifestWrite("app", D)),
    ("PUT", f"/app/manifests/{E}", "tag=v1&tag=latest&tag=v1", ManifestWrite("app", E, ("v1", "latest"))),
    ("DELETE", "/app/manifests/v1", "", Delete("app", "manifests", "v1")),
    ("DELETE", f"/app/manifests/{D}", "", Delete("app", "manifests", D)),
    ("DELETE", f"/app/blobs/{D}", "", Delete("app", "blobs", D)),
]


@pytest.mark.parametrize(("method", "path", "query", "understood"), UNDERSTOOD)
def test_what_clients_send_is_understood(method: str, path: str, query: str, understood: OciRequest) -> None:
    assert request(Head(method, path, query)) == understood


@pytest.mark.parametrize(
    ("method", "path", "query"),
    [
        ("GET", "/_catalog", ""), ("POST", "/", ""), ("GET", "/", "x=1"), ("GET", "/app", ""), ("GET", "/app/", ""),
        ("GET", "/tags/list", ""), ("GET", "/app/tags/lists", ""), ("GET", "/app/tags/list/", ""),
        ("GET", "/App/tags/list", ""), ("GET", "//app/tags/list", ""), ("GET", "/a//b/tags/list", ""),
        ("GET", "/a%2Fb/tags/list", ""), ("GET", "/%61pp/tags/list", ""), ("GET", "/../app/tags/list", ""),
        ("GET", f"/{'a' * 256}/tags/list", ""),
        ("GET", "/app/tags/list", "n=-1"), ("GET", "/app/tags/list", "n=1&n=2"), ("GET", "/app/tags/list", "n=%F0"),
        ("GET", "/app/tags/list", "n=1234567890"), ("GET", "/app/tags/list", "last=.x"),
        ("GET", "/app/tags/list", "ns=x"), ("GET", "/app/tags/list", "n=1&&last=a"), ("GET", "/app/tags/list", "n=1&"),
        ("GET", "/app/manifests/", ""), ("GET", "/app/manifests/.x", ""), ("GET", f"/app/manifests/{'x' * 129}", ""),
        ("GET", "/app/manifests/a b", ""), ("GET", "/app/manifests/é", ""), ("GET", "/app/manifests/1%2E0", ""),
        ("GET", f"/app/manifests/{ESCAPED}", ""), ("GET", f"/app/manifests/{str(D)[:-1]}", ""),
        ("GET", f"/app/manifests/{str(D).upper()}", ""), ("GET", f"/app/manifests/{D}", "tag=x"),
        ("GET", "/app/manifests/1.0", "ns=a&ns=b"), ("GET", "/app/manifests/1.0", "ns=a;x=1"),
        ("GET", "/app/blobs/latest", ""), ("GET", f"/app/blobs/sha384:{'a' * 96}", ""), ("GET", f"/app/blobs/{D}", "x"),
        ("GET", f"/app/blobs/sha1:{'a' * 40}", ""), ("GET", f"/app/referrers/{D}", "artifactType=x"),
        ("GET", f"/app/referrers/{D}", "artifacttype=application/x"),
        ("GET", f"/app/referrers/{D}", "artifactType=a/b&artifactType=c/d"), ("GET", "/app/referrers/v1", ""),
        ("POST", "/app/blobs/uploads", ""), ("POST", f"{UPLOAD}x", ""), ("PUT", UPLOAD, f"digest={D}"),
        ("HEAD", SESSION, ""), ("PATCH", f"{UPLOAD}a/b", ""), ("PATCH", f"{UPLOAD}..", ""),
        ("PATCH", f"{UPLOAD}a%2Fb", ""), ("PATCH", f"{UPLOAD}{'a' * 257}", ""),
        ("POST", "/app/manifests/v1", ""), ("PATCH", "/app/manifests/v1", ""), ("DELETE", "/app/tags/list", ""),
        ("PUT", f"/app/blobs/{D}", ""), ("PUT", f"/app/referrers/{D}", ""), ("put", "/app/manifests/v1", ""),
    ],
)  # fmt: skip
def test_a_near_miss_is_an_address_that_is_not_served(method: str, path: str, query: str) -> None:
    found = request(Head(method, path, query))
    assert isinstance(found, Reason)
    assert found.code is Code.ROUTE_UNKNOWN


@pytest.mark.parametrize(
    ("method", "path", "query", "code"),
    [
        ("PUT", "/App/manifests/v1", "", Code.FILE_NAME_INVALID),
        ("PUT", "/a%2Fb/manifests/v1", "", Code.FILE_NAME_INVALID),
        ("PUT", "/app/manifests/-v1", "", Code.FILE_NAME_INVALID),
        ("PUT", f"/app/manifests/{D}", "tag=.x", Code.FILE_NAME_INVALID),
        ("POST", UPLOAD, f"from=Team&mount={D}", Code.FILE_NAME_INVALID),
        ("PUT", f"/app/manifests/{str(D)[:-1]}", "", Code.DIGEST_INVALID),
        ("PUT", f"/app/manifests/md5:{'a' * 32}", "", Code.DIGEST_INVALID),
        ("POST", UPLOAD, "digest=x", Code.DIGEST_INVALID),
        ("POST", UPLOAD, "mount=x", Code.DIGEST_INVALID),
        ("POST", UPLOAD, "digest-algorithm=sha384", Code.DIGEST_INVALID),
        ("PUT", SESSION, STATE, Code.DIGEST_INVALID),
        ("PUT", SESSION, "digest=", Code.DIGEST_INVALID),
        ("PATCH", SESSION, f"digest={D}", Code.DIGEST_INVALID),
        ("DELETE", "/app/blobs/x", "", Code.DIGEST_INVALID),
        ("PUT", SESSION, f"digest={D}&digest={D}", Code.OPERATION_REFUSED),
        ("PUT", SESSION, f"%64igest={D}", Code.OPERATION_REFUSED),
        ("PUT", SESSION, f"digest={D}&Digest={D}", Code.OPERATION_REFUSED),
        ("PATCH", SESSION, "mount=x", Code.OPERATION_REFUSED),
        ("PATCH", SESSION, "%6dount=x", Code.OPERATION_REFUSED),
        ("PATCH", SESSION, "a=1;b=2", Code.OPERATION_REFUSED),
        ("PATCH", SESSION, "a=%zz", Code.OPERATION_REFUSED),
        ("PATCH", SESSION, "a=é", Code.OPERATION_REFUSED),
        ("PATCH", SESSION, "=1", Code.OPERATION_REFUSED),
        ("POST", UPLOAD, "from=team", Code.OPERATION_REFUSED),
        ("POST", UPLOAD, f"digest={D}&mount={D}&from=a", Code.OPERATION_REFUSED),
        ("POST", UPLOAD, f"mount={D}&mount={D}&from=a", Code.OPERATION_REFUSED),
        ("POST", UPLOAD, "x=1", Code.OPERATION_REFUSED),
        ("POST", UPLOAD, "ns=docker.example", Code.OPERATION_REFUSED),
        ("PUT", "/app/manifests/v1", "tag=v2", Code.OPERATION_REFUSED),
        ("PUT", "/app/manifests/v1", "force=true", Code.OPERATION_REFUSED),
        ("PUT", f"/app/manifests/{D}", f"digest={D}", Code.OPERATION_REFUSED),
        ("PUT", f"/app/manifests/{D}", "&".join(f"tag=v{number}" for number in range(11)), Code.OPERATION_REFUSED),
        ("DELETE", "/app/manifests/v1", "x=1", Code.OPERATION_REFUSED),
    ],
)
def test_a_spoiled_write_is_refused_for_what_is_wrong_with_it(method: str, path: str, query: str, code: Code) -> None:
    found = request(Head(method, path, query))
    assert isinstance(found, Reason)
    assert found.code is code


def test_ten_tags_may_be_pushed_at_once() -> None:
    query = "&".join(f"tag=v{number}" for number in range(10))
    found = request(Head("PUT", f"/app/manifests/{D}", query))
    assert isinstance(found, ManifestWrite)
    assert len(found.tags) == 10


@given(
    st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]),
    st.lists(st.sampled_from(["app", "blobs", "uploads", "manifests", "tags", "list", "referrers", str(D), "v1", ""])),
    st.text(alphabet="abdgimnorstuv%=&+:3A/", max_size=30),
)
def test_any_path_and_query_end_cleanly_and_what_goes_on_is_what_came(method: str, path: list[str], query: str) -> None:
    found = request(Head(method, "/" + "/".join(path), query))
    if isinstance(found, UploadStep) and found.digest is None:
        assert found.query == query
        assert "/".join(path) == f"{found.repository}/blobs/uploads/{found.session}"


def test_a_query_of_many_parts_is_read_in_no_time() -> None:
    assert isinstance(request(Head("PATCH", SESSION, "a" * 8000 + "=" * 8000 + ";")), Reason)


@pytest.mark.parametrize(
    "text", ["application/json", "application/vnd.dev.sigstore.bundle+json;version=0.1", "a/b; charset=utf-8"]
)
def test_a_media_type_may_have_parameters(text: str) -> None:
    assert read_media_type(text) == text


@pytest.mark.parametrize(
    "text", ["", "a", "a/", "/b", "a/b\r\n", "a/b, c/d", "a/b;", 'a/b;c="d"', "a/b c", "x/" + "y" * 300]
)
def test_what_a_header_should_not_carry_is_no_media_type(text: str) -> None:
    with pytest.raises(Malformed):
        read_media_type(text)
