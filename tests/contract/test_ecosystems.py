"""What every protocol of the table keeps: an unknown write is no read, any bytes end cleanly, every code has words."""

from __future__ import annotations

import base64
import email
import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from string import printable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.demo.packages import wheel
from gateway.ecosystems import ECOSYSTEMS, PACKAGES
from gateway.ecosystems.protocol import Assembled, Change, Head, Refused, Verb, Write
from gateway.errors import Malformed
from gateway.model.upload import Registry
from gateway.reasons import CATALOGUE, Code, Reason
from tests.lab.raw import BOUNDARY, form, part

LINK = "https://registry.acme.example/-/d/AAAAAAAAAAAAAAAAAAAAAA"
HOSTILE = "a\r\nSet-Cookie: x=y\r\n\r\n<script>\x1b[31m\u202e\ud800\x00é"
WRITES = ["POST", "PUT", "DELETE", "PATCH", "COPY", "MOVE", "MKCOL", "PROPPATCH", "OPTIONS", "TRACE", "CONNECT", "get"]
RANDOM = bytes(range(16))
WHEEL = wheel("acme-good", "1.0.0")


@dataclass(frozen=True)
class Requests:
    """A protocol's own publish, and the paths that it reads."""

    publish: Head
    reads: tuple[str, ...]


@dataclass(frozen=True)
class Sample:
    """The body of a good publish, and how a peer that shares no code reads the file out of what is forwarded."""

    body: bytes
    file: bytes
    read_back: Callable[[Write, bytes], bytes]


def _pypi_file(write: Write, sent: bytes) -> bytes:
    kind = dict(write.headers)["Content-Type"]
    message = email.message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + sent)
    parts: list[Message] = message.get_payload()  # type: ignore[assignment]
    (content,) = [p for p in parts if p.get_param("name", header="content-disposition") == "content"]
    payload = content.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload


def _tarball() -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        manifest = json.dumps({"name": "@acme/widget", "version": "1.0.0"}).encode()
        for path, data in (("package/package.json", manifest), ("package/index.js", b"module.exports = 1\n")):
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(data), 0o644
            archive.addfile(entry, io.BytesIO(data))
    return gzip.compress(held.getvalue(), mtime=0)


TARBALL = _tarball()


def _npm_document() -> bytes:
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(TARBALL).digest()).decode()
    shasum = hashlib.sha1(TARBALL, usedforsecurity=False).hexdigest()
    dist = {"integrity": integrity, "shasum": shasum, "tarball": "http://r.example/@acme/widget/-/widget-1.0.0.tgz"}
    manifest = {"name": "@acme/widget", "version": "1.0.0", "_id": "@acme/widget@1.0.0", "dist": dist}
    attachment = {
        "content_type": "application/octet-stream", "data": base64.b64encode(TARBALL).decode(), "length": len(TARBALL),
    }  # fmt: skip
    return json.dumps({
        "_id": "@acme/widget", "name": "@acme/widget", "description": "x", "dist-tags": {"latest": "1.0.0"},
        "versions": {"1.0.0": manifest}, "access": None, "_attachments": {"@acme/widget-1.0.0.tgz": attachment},
    }).encode()  # fmt: skip


def _npm_file(_: Write, sent: bytes) -> bytes:
    (attachment,) = json.loads(sent)["_attachments"].values()
    return base64.b64decode(attachment["data"], validate=True)


DIGEST = f"sha256:{'0' * 64}"
REQUESTS = {
    "npm": Requests(
        Head("PUT", "/@acme%2fwidget", "", (("Content-Type", "application/json"),)),
        ("/@acme%2fwidget", "/@acme/widget/-/widget-1.0.0.tgz"),
    ),
    "oci": Requests(
        Head("PUT", "/team/app/manifests/1.0.0", "", (("Content-Type", "application/vnd.oci.image.manifest.v1+json"),)),
        ("/team/app/tags/list", "/team/app/manifests/1.0.0", f"/team/app/manifests/{DIGEST}", f"/app/blobs/{DIGEST}",
         f"/team/app/referrers/{DIGEST}"),
    ),
    "pypi": Requests(
        Head("POST", "/", "", (("Content-Type", f"multipart/form-data; boundary={BOUNDARY}"),)),
        ("/simple/", "/simple/acme-good/", f"/packages/{WHEEL.name}"),
    ),
}  # fmt: skip
SAMPLES = {
    "npm": Sample(_npm_document(), TARBALL, _npm_file),
    "pypi": Sample(
        form([
            part(":action", "file_upload"), part("protocol_version", "1"), part("name", "acme-good"),
            part("version", "1.0.0"), part("filetype", "bdist_wheel"), part("md5_digest", "0" * 32),
            part("blake2_256_digest", "0" * 64), part("content", WHEEL.content, filename=WHEEL.name),
        ]),
        WHEEL.content,
        _pypi_file,
    ),
}  # fmt: skip
PATHS = st.one_of(
    st.text(max_size=40).map(lambda text: f"/{text}"),
    st.lists(
        st.sampled_from([
            "simple", "packages", "legacy", "acme-good", WHEEL.name, "..", ".", "%2e%2e", "", "-", "%00", "+status",
            "v1", "@acme%2fwidget", "-rev", "stage", "team", "manifests", "blobs", "uploads", "tags", "list", DIGEST,
            "1.0.0", "sha256%3A",
        ]),
        max_size=5,
    ).map(lambda parts: "/" + "/".join(parts)),
)  # fmt: skip
HEADERS = st.lists(
    st.tuples(st.sampled_from(["Content-Type", "Accept", "User-Agent", "X"]), st.text(max_size=20)), max_size=4
)


def taken(
    name: str, head: Head, body: bytes, chunk: int = 1 << 16
) -> tuple[Assembled | Change | Refused | Malformed, io.BytesIO]:
    """Give a protocol a body as the gateway would."""
    spool = io.BytesIO()
    protocol = PACKAGES[name]
    try:
        receiver = protocol.receiver(head, spool, 1 << 24)
        for start in range(0, len(body), chunk):
            receiver.feed(body[start : start + chunk])
        receiver.finish()
    except Malformed as error:
        return error, spool
    return protocol.assemble(Registry("lab", name), receiver), spool


def written(write: Write, spool: io.BytesIO) -> bytes:
    """Everything that the registry gets."""
    return write.head + b"".join(write.encode(spool)) + write.tail


@pytest.mark.parametrize("name", ECOSYSTEMS)
def test_a_protocol_knows_its_name_and_has_samples_here(name: str) -> None:
    assert ECOSYSTEMS[name].name == name
    assert name in REQUESTS
    assert (name in SAMPLES) is (name in PACKAGES)


@pytest.mark.parametrize("name", ECOSYSTEMS)
def test_its_own_publish_and_reads_are_recognised(name: str) -> None:
    requests, protocol = REQUESTS[name], ECOSYSTEMS[name]
    assert protocol.route(requests.publish).verb is Verb.PUBLISH
    for path in requests.reads:
        for method in ("GET", "HEAD"):
            assert protocol.route(Head(method, path)).verb is Verb.READ


@pytest.mark.parametrize("name", ECOSYSTEMS)
@given(method=st.sampled_from(WRITES), path=PATHS, query=st.text(max_size=10), headers=HEADERS)
def test_an_unknown_write_is_never_a_read(
    name: str, method: str, path: str, query: str, headers: list[tuple[str, str]]
) -> None:
    assert ECOSYSTEMS[name].route(Head(method, path, query, tuple(headers))).verb is not Verb.READ


@pytest.mark.parametrize("name", ECOSYSTEMS)
@given(path=PATHS, headers=HEADERS)
def test_what_is_read_stays_inside_and_is_asked_for_in_plain_characters(
    name: str, path: str, headers: list[tuple[str, str]]
) -> None:
    route = ECOSYSTEMS[name].route(Head("GET", path, "", tuple(headers)))
    if route.verb is Verb.READ:
        assert route.path.startswith("/")
        assert set(route.path) <= set(printable) - set(' \t\r\n\x0b\x0c?#\\"<>')
        assert ".." not in route.path.lower().replace("%2e", ".").split("/")


@pytest.mark.parametrize("name", PACKAGES)
def test_a_good_publish_gives_an_upload_whose_digests_are_those_of_what_is_forwarded(name: str) -> None:
    sample = SAMPLES[name]
    for chunk in (1, 7, 1 << 16):
        found, spool = taken(name, REQUESTS[name].publish, sample.body, chunk)
        assert isinstance(found, Assembled)
        write = found.forward(RANDOM)
        sent = written(write, spool)
        assert write.length == len(sent)
        file = sample.read_back(write, sent)
        assert file == sample.file
        (measured,) = found.upload.files
        assert measured.size == len(file)
        independent = {
            "sha256": hashlib.sha256(file).hexdigest(), "sha512": hashlib.sha512(file).hexdigest(),
            "sha1": hashlib.sha1(file, usedforsecurity=False).hexdigest(),
            "md5": hashlib.md5(file, usedforsecurity=False).hexdigest(),
            "blake2b-256": hashlib.blake2b(file, digest_size=32).hexdigest(),
        }  # fmt: skip
        for algorithm, value in measured.digests:
            assert value == independent[algorithm]
        assert measured.digest("sha256")


@pytest.mark.parametrize("name", PACKAGES)
@given(body=st.binary(max_size=300), headers=HEADERS)
def test_any_bytes_give_an_upload_or_a_clean_refusal(name: str, body: bytes, headers: list[tuple[str, str]]) -> None:
    head = REQUESTS[name].publish
    for given_head in (head, Head(head.method, head.path, "", tuple(headers))):
        found, _ = taken(name, given_head, body)
        assert isinstance(found, Refused | Malformed)
        assert not isinstance(found, Refused) or found.reasons


@pytest.mark.parametrize("name", PACKAGES)
@given(data=st.data())
def test_a_good_publish_with_a_few_bytes_changed_gives_an_upload_or_a_clean_refusal(
    name: str, data: st.DataObject
) -> None:
    sample = SAMPLES[name]
    body = bytearray(sample.body)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(body) - 1))
        match data.draw(st.sampled_from(["replace", "insert", "delete", "repeat"])):
            case "replace":
                body[at] = data.draw(st.integers(0, 255))
            case "insert":
                body[at:at] = data.draw(st.binary(min_size=1, max_size=4))
            case "delete":
                del body[at : at + data.draw(st.integers(1, 40))]
            case _:
                body[at:at] = body[at : at + 200]
    found, spool = taken(name, REQUESTS[name].publish, bytes(body))
    if isinstance(found, Assembled):
        write = found.forward(RANDOM)
        file = sample.read_back(write, written(write, spool))
        assert hashlib.sha256(file).hexdigest() == found.upload.files[0].sha256


@pytest.mark.parametrize("name", ECOSYSTEMS)
@pytest.mark.parametrize("code", list(Code))
def test_every_code_is_rendered_with_its_status_and_without_line_breaks_in_a_header(name: str, code: Code) -> None:
    for agent in ("twine/7.0.0", "uv/0.13.9", "npm/11.0.0 node/v20", "pnpm/12.0.0", HOSTILE):
        head = Head("POST", f"/{HOSTILE}", HOSTILE, (("User-Agent", agent), ("Accept", HOSTILE)))
        reply = ECOSYSTEMS[name].render((Reason(code, HOSTILE, HOSTILE, HOSTILE),), LINK, head)
        assert reply.status == CATALOGUE[code].status
        assert reply.reason.isascii()
        assert reply.reason.isprintable()
        assert reply.reason.startswith(f"{code.value}: ")
        assert reply.reason.endswith(LINK)
        assert code.value.encode() in reply.body
        assert LINK.encode() in reply.body
        for key, value in reply.headers:
            assert (key + value).isprintable()
        assert all(byte >= 32 or byte == 10 for byte in reply.body)


@pytest.mark.parametrize("name", ECOSYSTEMS)
def test_every_reason_is_in_the_body(name: str) -> None:
    reasons = tuple(Reason(code, f"about {number}") for number, code in enumerate(Code))
    body = ECOSYSTEMS[name].render(reasons, LINK, REQUESTS["pypi"].publish).body
    for reason in reasons:
        assert reason.code.value.encode() in body
        assert reason.about.encode() in body
